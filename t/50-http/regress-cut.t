#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Answers and tunnels that are not finished.  An answer that ends with its connection once looked whole
# when it was not; a tunnel whose client does not read was used after it was freed when lbd ended; a cut
# answer took whole ones before it along.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $server = backend(sub {
	my ($c, $n, $b) = @_;
	my $q = $c->request // return;

	if ($q->{target} =~ /half/) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
		return;
	}
	$c->send($q->{target} =~ /ws/
		? "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
		: "HTTP/1.1 200 OK\r\n\r\n");
	$c->{timeout} = 1; # until nobody takes more
	1 while $c->send('x' x 100_000);
	$b->note('full');
	$c->read_until(qr/never/);
});
my $a = $server->address;

sub start {
	return Lbd->new(workers => 1, conf => <<"EOT");
http {
	send_timeout $_[0];
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { proxy_pass http://$a; }
		location /whole { return 200 @{[ 'y' x 10_000 ]}; }
	}
}
EOT
}

# As many clients, of which nobody reads; lbd has as much as it takes.
sub clients {
	my ($lbd, $n, $request) = @_;
	my $full = $n + grep { /full/ } $server->notes;
	my @c = map { Lbd::Client->new($lbd->port) } 1 .. $n;

	$_->send($request) for @c;
	ok wait_for(sub { $full <= grep { /full/ } $server->notes }), 'nobody reads';
	return @c;
}

my $old = "GET / HTTP/1.0\r\n\r\n";
my $lbd = start('60s');
my @c = clients($lbd, 2, $old);
is $lbd->stop('TERM'), 0, 'lbd is told to end while responses are sent';
is scalar(grep { $_->is_reset } @c), 2, 'a response that ends with its connection is reset';

$lbd = start('60s');
@c = clients($lbd, 4, "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
is $lbd->stop('TERM'), 0, 'lbd is told to end while tunnels are full';

$lbd = start('200ms');
@c = clients($lbd, 1, $old);
ok $lbd->wait_log(qr/timed out while a response was being sent/), 'the time to send is over';
ok $c[0]->is_reset, 'the response is reset';

# closes its side and still reads
@c = map { Lbd::Client->new($lbd->port) } 1;
$c[0]->send($old);
ok $c[0]->until(sub { length $c[0]{buf} }), 'part of a response is here';
$c[0]{socket}->shutdown(1);
ok $c[0]->is_reset, 'a client that says it left gets no end that looks like one';

# more than lbd reads stands behind the answer that is cut, and the client has not read what came before it
{
	my $c = Lbd::Client->new($lbd->port);

	setsockopt $c->{socket}, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), 16384;
	syswrite $c->{socket}, join '', map { "GET /$_ HTTP/1.1\r\nHost: a\r\n\r\n" } ('whole') x 20, 'half', ('whole') x 5000;
	ok $lbd->wait_log(qr/response cut/), 'an answer is cut';
	is scalar(grep { $c->response->{complete} } 1 .. 20), 20, 'what comes before it is whole';
	my $r = $c->response;
	ok $r->{status} == 200 && !$r->{complete} && $r->{body} eq 'half', 'it is not';
}
is $lbd->stop, 0, 'lbd ends';
done_testing;
