#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# WebSocket: forwarded by itself, a tunnel only after the server's 101, and no other protocol.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $server = backend(sub {
	my ($c, $n, $b) = @_;
	my $q = $c->request // return;
	my ($what) = $q->{target} =~ m{/(\w+)$};

	if (!$q->{headers}{upgrade}) {
		$c->send(http_bytes(200, [], "no upgrade: " . ($q->{headers}{connection}[0] // '-')));
		return;
	}
	if ($what eq 'refuse') {
		$c->send(http_bytes(403, [], 'no'));
		return;
	}
	my $to = $what eq 'other' ? 'h2c' : 'websocket';
	$c->send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: $to\r\nConnection: Upgrade\r\n" .
		"Sec-WebSocket-Accept: yes\r\n\r\n" . ($what eq 'early' ? 'early ' : ''));
	if ($what eq 'bye') {
		$c->send('bye');
		return;
	}
	while (1) { # echo
		$c->until(sub { length $c->{buf} }) or last;
		$c->send(uc substr $c->{buf}, 0, length $c->{buf}, '');
	}
	$b->note("$what over");
	$c->send('END') if $what eq 'half';
});
my $a = $server->address;
my $lbd = Lbd->new(conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /ws/ { proxy_pass http://$a; }
		location /off/ { proxy_pass http://$a; proxy_upgrade off; }
		location /lines/ {
			proxy_pass http://$a;
			proxy_upgrade off;
			proxy_http_version 1.1;
			proxy_set_header Upgrade \$http_upgrade;
			proxy_set_header Connection "upgrade";
		}
		location /old/ { proxy_pass http://$a; proxy_http_version 1.0; }
		location /idle/ { proxy_pass http://$a; proxy_tunnel_timeout 200ms; }
	}
}
EOT
my $port = $lbd->port(0);

sub ask {
	my ($target, %o) = @_;
	my $c = Lbd::Client->new($port);
	my $upgrade = $o{upgrade} // 'websocket';

	$c->send(($o{method} // 'GET') . " $target HTTP/" . ($o{version} // '1.1') . "\r\nHost: a\r\nUpgrade: $upgrade\r\n" .
		"Connection: Upgrade\r\nSec-WebSocket-Key: x\r\n" . ($o{more} // '') . "\r\n" . ($o{body} // ''));
	return ($c, $c->response);
}

for my $where (qw(ws lines)) {
	my ($c, $r) = ask("/$where/echo");

	is $r->{status}, 101, "$where: 101";
	is lc header($r, 'Upgrade'), 'websocket', "$where: Upgrade";
	is lc header($r, 'Connection'), 'upgrade', "$where: Connection";
	is header($r, 'Sec-WebSocket-Accept'), 'yes', "$where: other fields";
	is header($r, 'Content-Length') // header($r, 'Transfer-Encoding'), undef, "$where: no framing";
	for my $text ('hello', 'a' x 100_000, "GET / HTTP/1.1\r\n\r\n") {
		$c->send($text);
		is $c->read_bytes(length $text), uc $text, "$where: " . length($text) . ' bytes there and back';
	}
	$c->close;
}
ok wait_for(sub { 2 == grep { $_ eq 'echo over' } $server->notes }), 'the server learns that the client left';

my ($c, $r) = ask('/ws/early');
is $c->read_bytes(6), 'early ', 'what came with the 101';
$c->send('x');
is $c->read_bytes(1), 'X', 'goes before the rest';

($c, $r) = ask('/ws/echo', more => '');
$c->close;

($c, $r) = ask('/ws/bye');
is $c->read_all, 'bye', 'the server ends the tunnel';
ok $c->{ended}, 'and the client learns it';

($c, $r) = ask('/ws/half');
$c->send('ab');
is $c->read_bytes(2), 'AB', 'half close: before';
$c->{socket}->shutdown(1);
is $c->read_all, 'END', 'half close: the other direction goes on';

($c, $r) = ask('/ws/refuse');
is "$r->{status} $r->{body}", '403 no', 'a refusal passes';
($c, $r) = ask('/ws/other');
is $r->{status}, 502, 'a server that upgrades to something else';

($c, $r) = ask('/idle/echo');
ok $c->is_ended, 'proxy_tunnel_timeout';

# what does not become a tunnel
is((ask('/off/x'))[1]{body}, 'no upgrade: -', 'proxy_upgrade off');
is((ask('/ws/x', upgrade => 'h2c'))[1]{body}, 'no upgrade: -', 'h2c is not forwarded');
is((ask('/lines/x', upgrade => 'h2c'))[1]{body}, 'no upgrade: -', 'nor with lines of one\'s own');
is((ask('/lines/x', upgrade => 'websocket, h2c'))[1]{body}, 'no upgrade: -', 'nor in a list');
is((ask('/ws/x', version => '1.0'))[1]{body}, 'no upgrade: -', 'not from HTTP/1.0');
is((ask('/old/x'))[1]{body}, 'no upgrade: close', 'not to HTTP/1.0');
is((ask('/ws/x', method => 'POST', more => "Content-Length: 3\r\n", body => 'abc'))[1]{body}, 'no upgrade: -',
	'not with a body');
$c = Lbd::Client->new($port);
$c->send("GET /lines/x HTTP/1.1\r\nHost: a\r\n\r\n");
is $c->response->{body}, 'no upgrade: -', 'not without being asked';

$lbd->stop;
done_testing;
