#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Bodies large enough to go straight from socket to socket: whole at any pace, both ways, many at once; what
# follows them; and everything that can end them early.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;
use Time::HiRes ();

my $block = join '', map { pack 'N', $_ * 2654435761 % 4294967296 } 1 .. 4096;
my %made;
sub bytes { my ($n) = @_; return $made{$n} //= substr $block x ($n / length($block) + 1), 0, $n }

# /N: N bytes; what=...: how
my $server = backend(sub {
	my ($c, undef, $b) = @_;

	while (1) {
		my $head = $c->read_until(qr/\r\n\r\n/) // last;
		my ($method, $n, $how) = $head =~ m{^(\w+) /\w+/(\d+)(?:\?(\S*))? };
		my ($length) = $head =~ /^Content-Length: (\d+)/mi;

		$how //= '';
		if ($how eq 'early') { # an answer before the body was read
			$c->send(http_bytes(200, [], 'early'));
			$b->note('early');
		}
		if ($how eq 'stuck') { # reads nothing
			wait_for(sub { grep { $_ eq 'timed out' } $b->notes });
			return;
		}
		if ($how eq 'deaf') { # reads some of it, then goes
			$c->read_bytes(200_000);
			$b->note('deaf');
			$c->reset;
			return;
		}
		if (defined $length) {
			my $md5 = Digest::MD5->new;
			my $got = 0;

			while ($got < $length) {
				my $piece = $c->read_bytes($length - $got < 262144 ? $length - $got : 262144);
				last if !length $piece;
				$md5->add($piece);
				$got += length $piece;
				Time::HiRes::sleep(0.002) if $how eq 'slow';
			}
			$b->note("got $got");
			last if $got < $length;
			$c->send(http_bytes(200, [], $md5->hexdigest)) if $how ne 'early';
			next;
		}
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: $n\r\n" . ($how eq 'close' ? "Connection: close\r\n" : '') . "\r\n");
		next if $method eq 'HEAD';
		if ($how eq 'slow') {
			$c->send(substr bytes($n), $_ * 100_000, 100_000) for 0 .. $n / 100_000;
		} elsif ($how =~ /^(short|reset|stall)(\d+)$/) {
			my $what = $1;

			$c->send(substr bytes($n), 0, $2);
			if ($what eq 'reset') {
				$c->read_until(qr/never/) if $n == 1_000_001; # until lbd has gone
				$c->reset;
				return;
			}
			$c->read_all if $what eq 'stall';
			$b->note('left alone');
			return;
		} elsif ($how eq 'surplus') {
			$c->send(bytes($n) . 'more than was said');
		} else {
			$c->send(bytes($n)) or last;
		}
		last if $how eq 'close';
	}
	$b->note('left alone');
});
my $a = $server->address;

sub conf {
	my ($main) = @_;

	return <<"EOT";
$main
http {
	log_format it '\$status \$body_bytes_sent \$upstream_response_length \$upstream_bytes_received \$request_length \$upstream_status';
	access_log logs/access.log it;
	client_max_body_size 100m;
	upstream kept { server $a; keepalive 8; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "ok"; }
		location /p/ { proxy_pass http://kept; }
		location /u/ { proxy_pass http://kept; proxy_buffering off; proxy_request_buffering off; }
		location /r/ { proxy_pass http://kept; proxy_read_timeout 500ms; }
		location /s/ { proxy_pass http://kept; send_timeout 500ms; proxy_request_buffering off; client_body_timeout 500ms; proxy_send_timeout 500ms; }
		location /i/ { proxy_pass http://kept; proxy_ignore_client_abort on; }
	}
}
EOT
}
my $lbd = Lbd->new(workers => 1, conf => conf(''));
my $port = $lbd->port;
my ($worker) = $lbd->workers;
sub log_lines { return split /\n/, slurp($lbd->dir . '/logs/access.log') // '' }
sub sockets { return scalar grep { (readlink($_) // '') =~ /^socket:/ } glob "/proc/$worker/fd/*" }
sub get { my ($target, @more) = @_; return "GET $target HTTP/1.1\r\nHost: a\r\n@more\r\n" }
# the last line of the log, once there are n more
sub logged {
	my ($before) = @_;
	my @l;

	wait_for(sub { @l = log_lines(); @l > $before });
	return $l[-1] // '';
}

# sizes around what is decided by size
my $c = Lbd::Client->new($port);
for my $n (0, 1, 16384, 32767, 32768, 32769, 49152, 65536, 100_000, 131072, 262143, 262144, 1_048_576, 1_500_000, 50_000_000) {
	my $at = log_lines();

	$c->send(get("/p/$n"));
	my $r = $c->response;
	is(md5_hex($r->{body}), md5_hex(bytes($n)), "$n bytes are whole, on one connection");
	like(logged($at), qr/^200 $n $n \d+ /, 'and counted');
	my ($received) = (log_lines())[-1] =~ /^\d+ \d+ \d+ (\d+)/;
	cmp_ok($received, '>', $n, 'with the head');
}
delete $made{50_000_000};
sub pipes { return scalar grep { (readlink($_) // '') =~ /^pipe:/ } glob "/proc/$_[0]/fd/*" }
cmp_ok(pipes($worker), '>', pipes($lbd->control), 'through a pipe');
is(scalar(grep { /left alone/ } $server->notes), 0, 'the server saw one connection');
my $r;

# what is behind it
$c->send(get('/p/700000') . get('/p/700001') . get('/') . get('/p/3'));
is(md5_hex($c->response->{body}), md5_hex(bytes($_)), "pipelined: $_ bytes") for 700000, 700001;
is($c->response->{body}, 'ok', 'pipelined: something else');
is($c->response->{body}, bytes(3), 'pipelined: few bytes');
$c->send("HEAD /p/900000 HTTP/1.1\r\nHost: a\r\n\r\n" . get('/p/5'));
is(header($c->response('HEAD'), 'content-length'), 900000, 'HEAD: the length');
is($c->response->{body}, bytes(5), 'then another');
$r = http_request($port, '/p/900000', version => '1.0');
is(md5_hex($r->{body}), md5_hex(bytes(900000)), 'HTTP/1.0');
$r = http_get($port, '/p/900000?close');
is(md5_hex($r->{body}), md5_hex(bytes(900000)), 'the server closes afterwards');
$r = http_get($port, '/u/900000?slow');
is(md5_hex($r->{body}), md5_hex(bytes(900000)), 'in pieces, without buffers');

# surplus: the answer is good, the connection is not
my $before = grep { /left alone/ } $server->notes;
$r = http_get($port, '/p/700000?surplus');
is(md5_hex($r->{body}), md5_hex(bytes(700000)), 'bytes behind the answer do not reach the client');
is(http_get($port, '/p/10')->{body}, bytes(10), 'nor the next one');

# many at once, more than there are pipes, read one after the other
my @many = map { my $o = Lbd::Client->new($port); $o->send(get('/p/' . (3_000_000 + $_), "Connection: close\r\n")); $o } 1 .. 60;
my $whole = 0;
for my $i (reverse 0 .. $#many) {
	my $got = $many[$i]->response;

	$whole += $got->{complete} && md5_hex($got->{body}) eq md5_hex(bytes(3_000_001 + $i));
	delete $made{3_000_001 + $i};
}
is($whole, 60, 'many at once, most of which wait');

# uploads
for my $n (40_000, 300_000, 5_000_000) {
	for my $how ('', '?slow') {
		my $at = log_lines();

		$r = http_request($port, "/u/$n$how", method => 'POST', body => bytes($n));
		is($r->{body}, md5_hex(bytes($n)), "an upload of $n bytes$how");
		my ($length) = logged($at) =~ /^200 \d+ \d+ \d+ (\d+)/;
		cmp_ok($length, '>', $n, 'and counted');
	}
}
$c = Lbd::Client->new($port);
$c->send("POST /u/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n");
$c->send(substr bytes(2_000_000), $_ * 100_000, 100_000) for 0 .. 19;
$c->send("POST /u/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" . bytes(500_000) . get('/p/4'));
is($c->response->{body}, md5_hex(bytes($_)), "uploads on one connection: $_ bytes") for 2_000_000, 500_000;
is($c->response->{body}, bytes(4), 'and a request behind them');
$r = http_request($port, '/u/1?early', method => 'POST', body => bytes(3_000_000));
is($r->{body}, 'early', 'an answer before the upload is through');
$r = http_request($port, '/u/1?deaf', method => 'POST', body => bytes(5_000_000));
is($r->{status}, 502, 'a server that goes in the middle of an upload');
$r = http_request($port, '/s/1?stuck', method => 'POST', body => bytes(30_000_000));
is($r->{status}, 504, 'a server that takes no more of an upload');
ok($lbd->wait_log(qr/timed out while the request was being sent/), 'runs into proxy_send_timeout');
$server->note('timed out');
delete $made{30_000_000};

# ends too early
for my $at (40_000, 300_000, 699_999) {
	my $lines = log_lines();

	$r = http_get($port, "/p/700000?short$at");
	is($r->{status} . ' ' . $r->{complete}, '200 ', "the server ends after $at bytes: the client sees it");
	is(length $r->{body}, $at, 'and gets what there was');
	like(logged($lines), qr/^200 $at $at /, 'as the log says');
}
$r = http_get($port, '/p/700000?reset300000');
ok($r->{status} == 200 && !$r->{complete}, 'a server that resets');
like($lbd->log, qr/closed the connection before the response body was complete/, 'is written down');
$r = http_get($port, '/r/700000?stall300000');
ok(!$r->{complete}, 'a server that stalls');
ok($lbd->wait_log(qr/timed out while reading the response body/), 'runs into proxy_read_timeout');

# clients that go
for my $at (0, 30_000, 500_000, 2_999_000, 3_000_000) {
	for my $way ('close', 'reset') {
		for my $where ('p', 'u', 'i') {
			my $o = Lbd::Client->new($port);

			$o->send(get("/$where/3000000"));
			$o->until(sub { length $o->{buf} >= $at });
			$o->$way;
		}
	}
}
$c->close;
for my $where ('u', 's') {
	for my $sent (0, 10, 50_000, 400_000) {
		my $o = Lbd::Client->new($port);

		$o->send("POST /$where/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" . bytes($sent));
		$sent % 100 ? $o->reset : $o->close;
	}
}
my $o = Lbd::Client->new($port);
$o->send("POST /s/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" . bytes(400_000));
is($o->response->{status}, 408, 'a client that stops sending');
my $asleep = Lbd::Client->new($port);
setsockopt $asleep->socket, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), 65536;
$asleep->send(get('/s/30000000'));
ok($lbd->wait_log(qr/client timed out while a response was being sent/), 'a client that reads nothing runs into send_timeout');
$asleep->close;
ok(wait_for(sub { sockets() <= 24 }), 'nothing of them stays open');
$r = http_get($port, '/p/800000');
is(md5_hex($r->{body}), md5_hex(bytes(800000)), 'others are served');
is(join(' ', $lbd->workers), $worker, 'the worker has lived through it');

# memory: as much after many as after some
sub rss { my ($kb) = slurp("/proc/$worker/status") =~ /^VmRSS:\s+(\d+)/m; return $kb }
sub some { for (1 .. $_[0]) { my $l = Lbd::Client->new($port); $l->send(get('/p/2000000')); $l->response; } }
some(10);
my $some = rss();
some(60);
SKIP: {
	skip 'a sanitizer keeps what was freed', 1 if slurp("/proc/$worker/maps") =~ /libasan/;
	cmp_ok(rss() - $some, '<', 4096, 'memory does not grow');
}
unlike($lbd->log, qr/\[(?:alert|crit|emerg)\]/, 'without an alarm');
$lbd->stop;

# a system that gives no pipes
my $poor = Lbd->new(workers => 1, conf => conf('env LBD_PIPE_REFUSE=1;'));
$r = http_get($poor->port, '/p/5000000');
is(md5_hex($r->{body}), md5_hex(bytes(5_000_000)), 'without pipes: a response');
$r = http_request($poor->port, '/u/1?slow', method => 'POST', body => bytes(5_000_000));
is($r->{body}, md5_hex(bytes(5_000_000)), 'without pipes: an upload');
my @slow = map { my $s = Lbd::Client->new($poor->port); $s->send(get('/p/4000000', "Connection: close\r\n")); $s } 1 .. 10;
is(scalar(grep { md5_hex($_->response->{body}) eq md5_hex(bytes(4_000_000)) } @slow), 10, 'without pipes: many that wait');
my ($copier) = $poor->workers;
is(pipes($copier), pipes($poor->control), 'there is none');
$poor->stop;

done_testing;
