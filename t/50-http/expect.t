#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Expect: 100-continue: asked for when the body is wanted, never when not, and others are refused.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $origin = http_backend(sub {
	my ($q, $n, $b) = @_;

	$b->note($q->{target});
	return [200, [], "$q->{method}:$q->{body}"];
});
# as above, but says 100 by itself
my $eager = backend(sub {
	my ($c) = @_;

	$c->send("HTTP/1.1 100 Continue\r\n\r\n") if $c->until(sub { $c->{buf} =~ /\r\n\r\n/ });
	$c->{no_continue} = 1;
	my $q = $c->request // return;
	$c->send(http_bytes(200, [Connection => 'close'], "$q->{method}:$q->{body}"));
});
my $early = backend(sub {
	my ($c) = @_;

	$c->read_until(qr/\r\n\r\n/) // return;
	$c->send(http_bytes(401, [Connection => 'close'], 'no'));
	$c->{socket}->shutdown(1);
	$c->read_all;
});
my $lbd = Lbd->new(conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		client_max_body_size 1000;
		location / { return 200 "ok"; }
		location /403 { return 403; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /u/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; proxy_request_buffering off; }
		location /eager/ { proxy_pass http://127.0.0.1:@{[ $eager->port ]}; proxy_request_buffering off; }
		location /early/ { proxy_pass http://127.0.0.1:@{[ $early->port ]}; proxy_request_buffering off; }
	}
}
EOT
my $last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
my @framings = (['Content-Length: 5', 'hello'], ['Transfer-Encoding: chunked', "5\r\nhello\r\n0\r\n\r\n"]);

# the body is wanted: 100 first
for my $path ('/p/', '/u/', '/eager/') {
	for (@framings) {
		my ($field, $body) = @$_;

		for my $expect ('100-continue', '100-Continue', "100-continue\r\nExpect: 100-continue") {
			my $c = Lbd::Client->new($lbd->port);

			$c->send("POST $path HTTP/1.1\r\nHost: a\r\nExpect: $expect\r\n$field\r\n\r\n");
			is($c->read_until(qr/\r\n\r\n/), "HTTP/1.1 100 Continue\r\n\r\n", "$path, $field: lbd asks for it");
			$c->send($body . $last);
			my $r = $c->response;
			is("$r->{status} $r->{body}", '200 POST:hello', 'and gets it');
			is(scalar @{ $r->{interim} }, 0, 'it asks once');
			is($c->response->{body}, 'ok', 'the next one follows');
		}
		# it comes unasked
		my ($closed, @r) = http_answers($lbd->port, "POST $path HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n$field\r\n\r\n"
			. $body . $last);
		is(join(' ', $closed, map { "$_->{status} $_->{body}" } @r), '1 200 POST:hello 200 ok', 'it comes unasked');
		cmp_ok(scalar @{ $r[0]{interim} }, '<=', 1, 'asked for once at most');
	}
}

# it is not: no 100, and the connection ends because nobody knows whether it comes
for (['/', 200], ['/403', 403], ['/p/ ', 413, 1001], ['/u/', 413, 1001], ['/', 413, 1001]) {
	my ($path, $status, $length) = @$_;

	for my $sent ('', 'hello', $last) {
		my ($closed, @r) = http_answers($lbd->port, "POST " . ($path =~ s/ //r) . " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
			. 'Content-Length: ' . ($length // 5) . "\r\n\r\n$sent");

		is(join(' ', $closed, map { $_->{status} } @r), "1 $status", "$path: the answer alone");
		is(scalar @{ $r[0]{interim} }, 0, 'no 100');
		is(header($r[0], 'Connection'), 'close', 'closes');
	}
}
my ($closed, @r) = http_answers($lbd->port, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
is(join(' ', $closed, map { $_->{status} . header($_, 'Connection') } @r), '1 200close', 'chunked as well');
($closed, @r) = http_answers($lbd->port, "POST /early/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello$last");
ok($closed && "$r[0]{status} $r[0]{body}" eq '401 no', 'a server that does not want it');
ok(@r == 1 || $r[1]{body} eq 'ok', 'its body is no request');

# there is no body to wait for
for my $field ('X: y', 'Content-Length: 0') {
	for my $path ('/', '/p/') {
		($closed, @r) = http_answers($lbd->port, "POST $path HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n$field\r\n\r\n$last");
		is(join(' ', $closed, map { $_->{status} } @r), '1 200 200', "$path, no body: goes on");
		is(scalar @{ $r[0]{interim} }, 0, 'no 100');
	}
}

# HTTP/1.0 does not know it
for my $path ('/p/', '/u/') {
	my $c = Lbd::Client->new($lbd->port);

	$c->send("POST $path HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	$c->send('hello');
	my $r = $c->response;
	is("$r->{status} $r->{body} " . @{ $r->{interim} }, '200 POST:hello 0', "$path, 1.0: no 100");
}

# other expectations
my $before = $origin->notes;
for my $expect ('100', '100-continue, x', 'x', '100-continue;q=1', '"100-continue"', '101-continue', "100-continue\r\nExpect: x",
	"x\r\nExpect: 100-continue", '200-ok') {
	for my $path ('/', '/p/') {
		($closed, @r) = http_answers($lbd->port, "POST $path HTTP/1.1\r\nHost: a\r\nExpect: $expect\r\nContent-Length: "
			. length($last) . "\r\n\r\n$last$last");
		is(join(' ', $closed, map { $_->{status} . header($_, 'Connection') } @r), '1 417close', "$path $expect");
	}
}
is(scalar $origin->notes, $before, 'none came to the server');

$lbd->stop;
done_testing;
