#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Time limits towards servers, and clients that leave.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::INET;
use Lbd;
use Test::More;

my $server = backend(sub {
	my ($c, $n, $b) = @_;
	my $head = $c->read_until(qr/\r\n\r\n/) // return;
	my ($what) = $head =~ m{^\w+ /\w+/(\w+)};

	$b->note("$what asked");
	if ($what eq 'silent') {
		$c->until(sub { 0 });
	} elsif ($what eq 'half') {
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
		$c->until(sub { 0 });
	} elsif ($what eq 'drip') {
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
		for (1 .. 6) {
			select undef, undef, undef, 0.1;
			$c->send('x');
		}
	} elsif ($what eq 'endless') {
		$c->send("HTTP/1.1 200 OK\r\n\r\n");
		1 while $c->send('x' x 1000);
	} elsif ($what eq 'deaf') { # never reads the body
		sleep 20;
	}
	$b->note("$what " . ($c->{ended} || $what eq 'endless' ? 'left' : 'done'));
});
my $a = $server->address;

# a listener whose queue is full answers no more connections
my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 1);
my $where = '127.0.0.1:' . $full->sockport;
my @fill;
for (1 .. 4) {
	my $s = IO::Socket::INET->new(PeerAddr => $where, Blocking => 0);
	push @fill, $s;
}

my $lbd = Lbd->new(conf => <<"EOT");
http {
	log_format status '\$uri \$status';
	access_log logs/status.log status;
	client_max_body_size 0;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /connect/ { proxy_pass http://$where; proxy_connect_timeout 200ms; }
		location /read/ { proxy_pass http://$a; proxy_read_timeout 300ms; }
		location /send/ { proxy_pass http://$a; proxy_send_timeout 300ms; }
		location /stays/ { proxy_pass http://$a; proxy_ignore_client_abort on; proxy_read_timeout 1s; }
		location /leaves/ { proxy_pass http://$a; }
	}
}
EOT
my $port = $lbd->port(0);

is http_get($port, '/connect/x')->{status}, 504, 'proxy_connect_timeout';
ok $lbd->wait_log(qr/timed out while connecting/), 'is logged';
is http_get($port, '/read/silent')->{status}, 504, 'proxy_read_timeout before the head';
my $r = http_get($port, '/read/half');
is "$r->{status} $r->{body} $r->{complete}", '200 half ', 'proxy_read_timeout in the body cuts';
ok $lbd->wait_log(qr/timed out while reading the response body/), 'is logged';
$r = http_get($port, '/read/drip');
is $r->{body}, 'xxxxxx', 'it is the gap between two reads';

$r = http_request($port, '/send/deaf', method => 'POST', body => 'x' x 20_000_000);
is $r->{status}, 504, 'proxy_send_timeout';
ok $lbd->wait_log(qr/timed out while the request was being sent/), 'is logged';

# the client leaves
my $c = Lbd::Client->new($port);
$c->send("GET /leaves/silent HTTP/1.1\r\nHost: a\r\n\r\n");
ok wait_for(sub { 2 == grep { $_ eq 'silent asked' } $server->notes }), 'the server was asked';
$c->close;
ok wait_for(sub { grep { $_ eq 'silent left' } $server->notes }), 'a client that leaves ends the call';
ok wait_for(sub { $lbd->log('status.log') =~ m{^/leaves/silent 499$}m }), 'with status 499';

$c = Lbd::Client->new($port);
$c->send("GET /leaves/endless HTTP/1.1\r\nHost: a\r\n\r\n");
$c->read_bytes(100_000);
$c->close;
ok wait_for(sub { grep { $_ eq 'endless left' } $server->notes }), 'also in the middle of a body';

$c = Lbd::Client->new($port);
$c->send("GET /stays/drip HTTP/1.1\r\nHost: a\r\n\r\n");
ok wait_for(sub { 2 == grep { $_ eq 'drip asked' } $server->notes }), 'proxy_ignore_client_abort: the server is asked';
$c->close;
ok wait_for(sub { 2 == grep { $_ eq 'drip done' } $server->notes }), 'and may finish';
ok wait_for(sub { $lbd->log('status.log') =~ m{^/stays/drip 200$}m }), 'with its own status';

$lbd->stop;
done_testing;
