#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Servers that refuse, hang, lie, cut or say too much: what the client gets, what the log says, and that the
# next client is never given bytes that were not meant for it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
my $fields = join '', map { "X-$_: " . 'a' x 1000 . "\r\n" } 1 .. 40;

# path => [bytes sent after the request, status, body or undef, complete, what the log says]
my %cases = (
	'close' => ['', 502, undef, 1, qr/closed the connection before the response head/],
	'half-head' => ["HTTP/1.1 200 OK\r\nX-A: b\r\n", 502, undef, 1, qr/before the response head/],
	'garbage' => ["\x16\x03\x01 hello\r\n\r\n", 502, undef, 1, qr/invalid response: not an HTTP/],
	'http09' => ["<html>hello</html>", 502, undef, 1, qr/invalid response/],
	'bad-status' => ["HTTP/1.1 20 OK\r\n\r\n", 502, undef, 1, qr/invalid response/],
	'bare-lf' => ["HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 502, undef, 1, qr/invalid response/],
	'nul' => ["HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", 502, undef, 1, qr/invalid response/],
	'two-lengths' => ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 502, undef, 1,
		qr/invalid response/],
	'odd-length' => ["HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", 502, undef, 1, qr/invalid response/],
	'both' => ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502,
		undef, 1, qr/invalid response/],
	'te-gzip' => ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", 502, undef, 1, qr/invalid response/],
	'unasked-101' => ["HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nok", 502,
		undef, 1, qr/101 that was not asked for/],
	'big-head' => ["HTTP/1.1 200 OK\r\n$fields\r\nok", 502, undef, 1, qr/head over 16384 bytes/],
	'endless-head' => ["HTTP/1.1 200 OK\r\nX: " . 'a' x 100_000, 502, undef, 1, qr/head over 16384 bytes/],
	'many-1xx' => ["HTTP/1.1 102 Processing\r\n\r\n" x 100 . $ok, 502, undef, 1, qr/too many interim/],
	'few-1xx' => ["HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n$ok", 200, 'ok', 1, undef],
	'two-answers' => ["$ok$ok", 200, 'ok', 1, undef],
	'surplus' => ["${ok}more", 200, 'ok', 1, undef],
	'short-body' => ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok", 200, 'ok', 0,
		qr/closed the connection before the response body/],
	'cut-chunk' => ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", 200, 'ok', 0,
		qr/before the response body/],
	'no-last-chunk' => ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", 200, 'ok', 0,
		qr/before the response body/],
	'bad-chunk' => ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nxyz\r\n", 200, undef, 0,
		qr/invalid response/],
	'long-chunk' => ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nok", 200, '', 0,
		qr/invalid response/],
	'until-close' => ["HTTP/1.1 200 OK\r\n\r\nok", 200, 'ok', 1, undef],
	'http10' => ["HTTP/1.0 200 OK\r\n\r\nok", 200, 'ok', 1, undef],
	'http10-length' => ["HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, 'ok', 1, undef],
	'204-body' => ["HTTP/1.1 204 No Content\r\n\r\n", 204, '', 1, undef],
	'reason' => ["HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", undef, undef, 1, undef],
);

my $server = backend(sub {
	my ($c, $n, $b) = @_;

	while (my $q = $c->request) {
		my ($name) = $q->{target} =~ m{^/([\w-]+)};

		$b->note("$n $q->{target}");
		if ($name eq 'good') {
			$c->send($ok);
			next;
		}
		if ($name eq 'reset') {
			$c->reset;
			return;
		}
		$c->send($cases{$name}[0]);
		return if $q->{target} !~ /keep/;
	}
});

my $refused = free_port();
my $lbd = Lbd->new(conf => <<"EOT");
http {
	upstream one { server @{[$server->address]} max_fails=0; }
	upstream down { server 127.0.0.1:$refused; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { proxy_pass http://one; }
		location /down { proxy_pass http://down; }
	}
}
EOT
my $port = $lbd->port(0);
my $seen = 0;

# The log has a line like this since mark().
sub mark { $seen = length $lbd->log }
sub logged {
	my ($re, $what) = @_;

	ok wait_for(sub { substr($lbd->log, $seen) =~ $re }), "$what: logged";
}

for my $name (sort keys %cases) {
	my (undef, $status, $body, $complete, $log) = @{ $cases{$name} };

	mark();
	my $r = http_get($port, "/$name");
	is $r->{status}, $status, "$name: status" if defined $status;
	is $r->{body}, $body, "$name: body" if defined $body;
	is !!$r->{complete}, !!$complete, "$name: " . ($complete ? 'whole' : 'visibly cut');
	logged($log, $name) if defined $log;
	is http_get($port, '/good')->{body}, 'ok', "$name: the next request is well";
}

subtest 'a connection that said too much is not used again' => sub {
	for my $name (qw(two-answers surplus few-1xx 204-body)) {
		my $c = Lbd::Client->new($port);

		for my $target ("/$name/keep", '/good', '/good') {
			$c->send("GET $target HTTP/1.1\r\nHost: a\r\n\r\n");
			my $r = $c->response;
			is $r->{body}, $name eq '204-body' && $target =~ /204/ ? '' : 'ok', "$name: $target";
		}
		$c->close;
	}
};

is http_get($port, '/reset')->{status}, 502, 'a reset is a 502';
is http_get($port, '/down')->{status}, 502, 'a refused connection is a 502';
ok $lbd->wait_log(qr/could not connect to server "127.0.0.1:$refused" of "down" \(111: Connection refused\)/),
	'and is logged with server, group and cause';

$lbd->stop;
done_testing;
