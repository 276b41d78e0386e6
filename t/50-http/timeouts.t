#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Clients that are slow or stop: each state has its limit, a client that moves is waited for, and others are served.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

use Socket qw(SOL_SOCKET SO_RCVBUF);

# answers with that many bytes
my $origin = http_backend(sub {
	my ($q, $n, $b, $c) = @_;

	if ($q->{target} =~ /pause/) {
		$c->send("HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nfirst");
		$c->fill(1); # nothing comes: twice what send_timeout is
		$c->send('secnd');
		return undef;
	}
	return [200, [], 'x' x $1] if $q->{target} =~ /(\d+)/;
	return [200, [], $q->{body}];
});
my $sink = backend(sub {
	my ($c, $n, $b) = @_;

	$c->read_until(qr/\r\n\r\n/) // return;
	$b->note('begun');
	$c->read_all;
	$b->note('ended ' . length $c->{buf});
});
my $lbd = Lbd->new(workers => 1, conf => <<"EOT");
http {
	client_max_body_size 0;
	upstream o { server 127.0.0.1:@{[ $origin->port ]}; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		client_header_timeout 300ms;
		location / { return 200 "ok"; }
	}
	server {
		listen 127.0.0.1:%%PORT_1%%;
		client_body_timeout 500ms;
		lingering_timeout 200ms;
		location / { return 200 "ok"; }
		location /p/ { proxy_pass http://o; }
		location /u/ { proxy_pass http://127.0.0.1:@{[ $sink->port ]}; proxy_request_buffering off; }
		location /o/ { proxy_pass http://o; proxy_request_buffering off; }
	}
	server {
		listen 127.0.0.1:%%PORT_2%%;
		send_timeout 500ms;
		location / { return 200 "ok"; }
		location /p/ { proxy_pass http://o; }
		location /r/ { proxy_pass http://o; reset_timedout_connection on; }
	}
	server {
		listen 127.0.0.1:%%PORT_3%%;
		reset_timedout_connection on;
		keepalive_timeout 200ms;
		client_header_timeout 200ms;
		return 200 "ok";
	}
	server {
		listen 127.0.0.1:%%PORT_4%%;
		client_header_timeout 2s;
		return 200 "ok";
	}
}
EOT
my $get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

sub connected {
	my ($port, $bytes) = @_;
	my $c = Lbd::Client->new($lbd->port($port));

	$c->send($bytes);
	return $c;
}

# the last answer of each: all wait at once
sub last_answers {
	return map {
		my $c = $_;
		my $r = $c->response;

		while (length $c->{buf} || !$c->is_ended) {
			last if $c->{timed_out};
			$r = $c->response;
		}
		$c->{ended} ? $r->{status} . (header($r, 'Connection') // '') : 'open'
	} @_;
}

# the head
my @heads = ('G', 'GET / HTTP/1.1', "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r", "\r", "\r\n");
is(join(' ', last_answers(map { connected(0, $_) } @heads)), join(' ', ('408close') x @heads), '408 for a part of a head');
is(join(' ', last_answers(map { connected(0, $get . $_) } @heads)), join(' ', ('408close') x @heads), 'of the second too');
my $c = connected(0, '');
ok($c->is_ended, 'no byte at all: closed without a word');

# activity does not help: the head has one limit
for my $begin ('', $get) {
	$c = connected(0, "${begin}GET / HTTP/1.1\r\n");
	my $end = time + Lbd::Util::deadline();
	while (!$c->{ended} && time < $end && $c->{buf} !~ /408/) {
		$c->send("X: y\r\n") or last;
		$c->fill(0.03);
	}
	like($c->read_all, qr/HTTP\/1\.1 408 /, 'a dripping head');
	ok($c->{ended}, 'is closed');
}

# two hundred of them, and an honest one between
my @slow = map { connected(4, "GET / HTTP/1.1\r\nX: $_\r\n") } 1 .. 200;
is(http_get($lbd->port(4), '/')->{body}, 'ok', 'an honest client is served beside 200 slow ones');
$_->send('Y') for @slow;
is(http_get($lbd->port(4), '/')->{body}, 'ok', 'and again');
is(scalar(grep { ($_->response->{status} // 0) == 408 } @slow), 200, 'the slow ones get their 408');
@slow = ();

# the body
my @bodies = ("Content-Length: 5\r\n\r\n", "Content-Length: 5\r\n\r\nhell", "Transfer-Encoding: chunked\r\n\r\n",
	"Transfer-Encoding: chunked\r\n\r\n5\r\nhe", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	"Transfer-Encoding: chunked\r\n\r\n0\r\n", "Content-Length: 1000000\r\n\r\n" . 'x' x 300_000,
	"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
for my $path ('/p/', '/u/') {
	is(join(' ', last_answers(map { connected(1, "POST $path HTTP/1.1\r\nHost: a\r\n$_") } @bodies)),
		join(' ', ('408close') x @bodies), "$path: 408 for a part of a body");
}
ok(wait_for(sub { (grep { /begun/ } $sink->notes) == (grep { /ended/ } $sink->notes) }), 'servers that had begun are told');

# between two reads, not all of it
for my $path ('/p/', '/o/') {
	$c = connected(1, "POST $path HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n");
	for (1 .. 20) {
		$c->fill(0.04);
		$c->send('x');
	}
	is($c->response->{body}, 'x' x 20, "$path: a slow body that moves is waited for");
}

# one that nobody reads
$c = connected(1, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
is($c->response->{body}, 'ok', 'answered before its body came');
ok($c->is_ended, 'closed when that does not come');

# A client that does not read.
sub deaf {
	my ($path) = @_;
	my $s = IO::Socket::INET->new(Proto => 'tcp') // die;

	setsockopt $s, SOL_SOCKET, SO_RCVBUF, 4096;
	$s->connect(scalar Socket::pack_sockaddr_in($lbd->port(2), Socket::inet_aton('127.0.0.1'))) or die "connect: $!";
	my $deaf = Lbd::Client->new($s);
	$deaf->send("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
	return $deaf;
}
my $n = 0;
for my $path ('/p/30000000', '/r/30000000') {
	$n++;
	$c = deaf($path);
	ok($c->until(sub { length $c->{buf} > 1000 }), "$path begins");
	ok(wait_for(sub { my @l = $lbd->log =~ /client timed out while a response was being sent/g; @l == $n }),
		'the client does not go on: it timed out');
	my $reset = $c->is_reset;
	cmp_ok(length $c->{buf}, '<', 30_000_000, 'it has not got all of it');
	ok($reset, 'and is reset') if $path =~ /^.r/;
}
# one that reads slowly, longer than send_timeout
$c = deaf('/p/600000');
for (1 .. 60) {
	select undef, undef, undef, 0.03;
	$c->fill(1); # a few kilobytes
}
is(length $c->response->{body}, 600_000, 'a slow reader gets all of it');

# a server that pauses longer than send_timeout is none of the client's business
$c = connected(2, "GET /p/pause HTTP/1.1\r\nHost: a\r\n\r\n");
is($c->response->{body}, 'firstsecnd', 'a pause in the response');
# nor does a closing connection hurry
for my $more ("Connection: close\r\n", '') {
	$c = connected(2, "GET /p/3000000 HTTP/1.1\r\nHost: a\r\n$more\r\n");
	$c->fill(1);
	select undef, undef, undef, 0.3;
	my $r = $c->response;
	is(length $r->{body}, 3_000_000, 'all of a long answer' . ($more ? ' before the connection is closed' : ''));
}

# reset_timedout_connection is not for idle ones
$c = connected(3, $get);
is($c->response->{status}, 200, 'answered');
ok($c->is_ended && !$c->{error}, 'idle: an ordinary end');
$c = connected(3, 'GET');
is($c->response->{status}, 408, 'a 408 comes');
ok($c->is_ended, 'whole');

$lbd->stop;
done_testing;
