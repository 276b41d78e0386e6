#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The answer that ends a connection is readable although the client still sends, and the waiting for it has a limit.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

use Time::HiRes qw(time);

my $conf = '';
my @ports = (
	'lingering_timeout 20s;', 'lingering_timeout 200ms;', 'lingering_time 500ms;', 'lingering_close off;',
	'lingering_close always; lingering_timeout 200ms;', '',
);
for my $i (0 .. $#ports) {
	$conf .= <<"EOT";
	server {
		listen 127.0.0.1:%%PORT_$i%%;
		client_max_body_size 1000;
		$ports[$i]
		location / { return 200 "ok"; }
		location /off { lingering_close off; return 200 "ok"; }
	}
EOT
}
my $lbd = Lbd->new(workers => 1, conf => "http {\n$conf}\n");
my ($worker) = $lbd->workers;
sub sockets { return scalar grep { (readlink($_) // '') =~ /^socket:/ } glob "/proc/$worker/fd/*" }
is(http_get($lbd->port, '/')->{body}, 'ok', 'it runs');
my $idle = sockets();
ok(wait_for(sub { sockets() <= $idle }), 'at rest');
$idle = sockets();

sub connected {
	my ($port, $bytes) = @_;
	my $c = Lbd::Client->new($lbd->port($port));

	$c->send($bytes);
	return $c;
}

# A client that sends all of a large body before it looks.
$SIG{PIPE} = 'IGNORE';
my $large = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n";
for my $port (0, 5) {
	my $c = connected($port, $large);
	my $left = 50_000_000;

	while ($left > 0) {
		my $n = syswrite $c->socket, 'x' x ($left < 1_000_000 ? $left : 1_000_000);

		$left -= $n // 0;
		last if !defined $n && (!$!{EAGAIN} || !IO::Select->new($c->socket)->can_write(Lbd::Util::deadline()));
	}
	is($left, 0, 'lbd takes all of the body');
	my $r = $c->response;
	is($r->{status}, 413, 'and its answer is there');
	ok($r->{complete}, 'whole');
	is(header($r, 'Connection'), 'close', 'which says close');
	ok($c->is_ended && !$c->{error}, 'an ordinary end');
	$c->close;
}
# the same for what is no request at all
for my $bad ("\x16\x03\x01" x 1000, "GET / HTTP/1.1\r\n\r\n" x 10_000, "GET /" . 'x' x 2_000_000, "POST / HTTP/1.1\r\nHost: a\r\n"
	. "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" . 'x' x 2_000_000) {
	my $c = connected(0, $bad);
	my $r = $c->response;

	like($r->{status}, qr/^4\d\d$/, 'bad bytes, many more behind: the answer is readable');
	ok($r->{complete} && $c->is_ended && !$c->{error}, 'whole, with an ordinary end');
	$c->close;
}
ok(wait_for(sub { sockets() <= $idle }), 'when a client closes, lbd does');

# one that sends no more: lingering_timeout
my @c = map { connected(1, $large) } 1 .. 5;
is($_->response->{status}, 413, 'answered') for @c;
ok(wait_for(sub { sockets() <= $idle }), 'silent: closed');
@c = ();

# one that never stops: lingering_time
my $c = connected(2, $large);
is($c->response->{status}, 413, 'answered');
my $end = time + Lbd::Util::deadline();
my $more = 1;
while ($more && time < $end) {
	$more = defined syswrite($c->socket, 'x' x 100) || $!{EAGAIN};
	select undef, undef, undef, 0.01;
}
ok(!$more, 'talkative: closed');
ok(wait_for(sub { sockets() <= $idle }), 'for good');

# off: closed at once
for my $request ($large, "POST /off HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\nConnection: close\r\n\r\n") {
	$c = connected($request eq $large ? 3 : 0, $request);
	is($c->read_until(qr/\r\n\r\n/) =~ /^HTTP\/1.1 (\d+)/ ? $1 : 0, $request eq $large ? 413 : 200, 'answered');
	ok(wait_for(sub { sockets() <= $idle }), 'lingering_close off: does not wait');
}
# always: waits for the client's end although all was read
$c = connected(4, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
is($c->response->{body}, 'ok', 'always: answered');
ok($c->is_ended, 'closed on one side');
ok(wait_for(sub { sockets() <= $idle }), 'then on both');

# what comes while lingering is no request
$c = connected(0, "GET / HTTP/1.1\r\n\r\n");
is($c->response->{status}, 400, 'refused');
$c->send("GET /evil HTTP/1.1\r\nHost: a\r\n\r\n" x 3);
ok($c->is_ended, 'nothing more comes');

$lbd->stop;
done_testing;
