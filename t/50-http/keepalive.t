#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# How many requests a connection serves, how long it may be idle, how old it may get.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $origin = http_backend(sub { return [200, [], 'x' x ($_[0]{target} =~ /(\d+)/ ? $1 : 1)] });
my $lbd = Lbd->new(conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		keepalive_requests 3;
		location / { return 200 "ok"; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /one { keepalive_requests 1; return 200 "ok"; }
		location /off { keepalive_timeout 0; return 200 "ok"; }
		location /said { keepalive_timeout 75s 20s; return 200 "ok"; }
	}
	server {
		listen 127.0.0.1:%%PORT_1%%;
		keepalive_timeout 1s; # a request comes sooner also where the machine is busy
		send_timeout 20s;
		keepalive_disable msie6 safari;
		location / { return 200 "ok"; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /long { keepalive_timeout 1h; return 200 "ok"; }
	}
	server {
		listen 127.0.0.1:%%PORT_2%%;
		keepalive_time 200ms;
		location / { return 200 "ok"; }
	}
	server {
		listen 127.0.0.1:%%PORT_3%%;
		keepalive_timeout 1h;
		location / { return 200 "ok"; }
		location /short { keepalive_timeout 100ms; return 200 "ok"; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
	}
}
EOT

sub get {
	my ($path, $version, $more) = @_;

	return "GET $path HTTP/" . ($version // '1.1') . "\r\nHost: a\r\n" . ($more // '') . "\r\n";
}

# keepalive_requests: one after the other and all at once
for my $path ('/', '/p/') {
	my $c = Lbd::Client->new($lbd->port);
	my @said;

	for (1 .. 3) {
		$c->send(get($path));
		push @said, lc(header($c->response, 'Connection') // '-');
	}
	is("@said", '- - close', "$path: the third is the last");
	ok($c->is_ended, 'closed');
	my ($closed, @r) = http_answers($lbd->port, get($path) x 10);
	is(join(' ', $closed, map { $_->{status} . lc(header($_, 'Connection') // '') } @r), '1 200 200 200close',
		'ten at once: three are answered');
	($closed, @r) = http_answers($lbd->port, get($path, '1.0', "Connection: keep-alive\r\n") x 4);
	is(join(' ', $closed, map { $_->{status} . lc(header($_, 'Connection') // '') } @r),
		'1 200keep-alive 200keep-alive 200close', 'HTTP/1.0 too');
}
for my $path ('/one', '/off') {
	my ($closed, @r) = http_answers($lbd->port, get($path) x 2);

	is(join(' ', $closed, map { $_->{status} . header($_, 'Connection') } @r), '1 200close', "$path: one");
	($closed, @r) = http_answers($lbd->port, get('/') . get($path) . get('/'));
	is(join(' ', $closed, map { $_->{status} . (header($_, 'Connection') // '') } @r), '1 200 200close', 'or two');
}

# the header
my $c = Lbd::Client->new($lbd->port);
$c->send(get('/said'));
my $r = $c->response;
is(header($r, 'Keep-Alive'), 'timeout=20', 'Keep-Alive');
is(header($r, 'Connection'), 'keep-alive', 'and Connection');
$c->send(get('/said', '1.1', "Connection: close\r\n"));
$r = $c->response;
is(header($r, 'Keep-Alive'), undef, 'not when closing');
is(header($r, 'Connection'), 'close', 'which it says');

# keepalive_timeout: silence, then the end, without a word
for my $path ('/', '/p/', '/p/300000') {
	$c = Lbd::Client->new($lbd->port(1));
	$c->send(get($path));
	ok($c->response->{complete}, "$path is answered");
	$c->send(get('/'));
	is($c->response->{status}, 200, 'so is another');
	ok($c->is_ended, 'then it is closed, without a word');
}
$c = Lbd::Client->new($lbd->port(3));
$c->send(get('/'));
is($c->response->{status}, 200, 'an hour');
$c->send(get('/short'));
is($c->response->{status}, 200, 'the last one decides');
ok($c->is_ended, 'closed');
$c = Lbd::Client->new($lbd->port(1));
$c->send(get('/'));
$c->response;
$c->send(get('/long'));
$c->response;
my $other = Lbd::Client->new($lbd->port(1));
$other->send(get('/'));
$other->response;
ok($other->is_ended, 'a short one has ended');
$c->send(get('/'));
is($c->response->{status}, 200, 'the long one has not');

# the time is counted from when the client has all of it
$c = Lbd::Client->new($lbd->port(1));
$c->send(get('/p/8000000'));
ok($c->until(sub { length $c->{buf} > 100_000 }), 'a long answer begins');
$other = Lbd::Client->new($lbd->port(1));
$other->send(get('/'));
$other->response;
ok($other->is_ended, 'longer than keepalive_timeout passes');
$r = $c->response;
ok($r->{complete} && length $r->{body} == 8_000_000, 'and all of it comes');
$c->send(get('/'));
is($c->response->{status}, 200, 'and the connection goes on');

# keepalive_time
$c = Lbd::Client->new($lbd->port(2));
my $n = 0;
my $last = wait_for(sub {
	$c->send(get('/'));
	$r = $c->response;
	$n++;
	return !$r->{status} || defined header($r, 'Connection');
});
ok($last && $r->{status} == 200 && header($r, 'Connection') eq 'close', 'an old connection is told to close');
ok($n > 1, 'a young one is not');
ok($c->is_ended, 'closed');

$lbd->stop;
done_testing;
