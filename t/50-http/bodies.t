#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Request bodies of any size and framing arrive as they are; those nobody reads never become requests.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $origin = http_backend(sub {
	my ($q) = @_;
	my ($cl, $te) = map { $q->{headers}{$_}[0] // '-' } 'content-length', 'transfer-encoding';

	return [200, ['X-Framing' => "$cl $te"], $q->{body}] if $q->{target} =~ /echo/;
	return [200, [], length($q->{body}) . ' ' . unpack('%32C*', $q->{body})];
});
# answers at once and lets the body come
my $hasty = backend(sub {
	my ($c) = @_;

	$c->read_until(qr/\r\n\r\n/) // return;
	$c->send(http_bytes(200, [Connection => 'close'], 'early'));
	$c->{socket}->shutdown(1);
	$c->read_all;
});
my $lbd = Lbd->new(conf => <<"EOT");
http {
	client_max_body_size 0;
	client_body_buffer_size 16k;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "ok"; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /u/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; proxy_request_buffering off; }
		location /early/ { proxy_pass http://127.0.0.1:@{[ $hasty->port ]}; proxy_request_buffering off; }
		location /500 { return 500; }
	}
}
EOT
my $last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
my $text = join '', map { chr 32 + $_ * 7 % 95 } 0 .. 9999;

sub body { return substr $text x ($_[0] / 10000 + 1), 0, $_[0] }

sub chunked {
	my ($body, $size) = @_;

	return join('', map { sprintf "%x\r\n%s\r\n", length, $_ } $body =~ /(.{1,$size})/gs) . "0\r\n\r\n";
}

# path, body, whether in chunks of that size
sub post {
	my ($path, $body, $size) = @_;
	my $framing = $size ? 'Transfer-Encoding: chunked' : 'Content-Length: ' . length $body;

	return "POST $path HTTP/1.1\r\nHost: a\r\n$framing\r\n\r\n" . ($size ? chunked($body, $size) : $body);
}

sub answers {
	my ($closed, @r) = http_answers($lbd->port, @_);

	return join ' ', $closed, map { "$_->{status} $_->{body}" } @r;
}

# they arrive whole
for my $n (0, 1, 2, 1000, 16383, 16384, 16385, 65536, 100_000, 3_000_000) {
	my $body = body($n);
	my $wanted = '1 200 ' . length($body) . ' ' . unpack('%32C*', $body) . ' 200 ok';

	for my $path ('/p/', '/u/') {
		is(answers(post($path, $body) . $last), $wanted, "$path $n bytes");
		is(answers(post($path, $body, $_) . $last), $wanted, "in chunks of $_") for $n > 100_000 ? (30_000) : $n > 2000
			? (997, 20_000) : (1, 100);
	}
}

# as they are, and with what framing
for my $path ('/p/', '/u/') {
	for my $size (0, 7) {
		my ($closed, $r) = http_answers($lbd->port, post("${path}echo", "a\r\n\0b\xff" x 5, $size) . $last);

		is($r->{body}, "a\r\n\0b\xff" x 5, "$path echoed " . ($size ? 'from chunks' : 'with a length'));
		is(header($r, 'X-Framing'), $size && $path eq '/u/' ? '- chunked' : '30 -', 'framing at the server');
	}
}

# cut at every byte
for my $path ('/p/echo', '/u/echo') {
	for my $bytes (post($path, 'GET / HTTP/1.1') . $last,
		"POST $path HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nGET /\r\n009 ;c\r\n HTTP/1.1\r\n"
		. "0;d\r\nX: y\r\nContent-Length: 3\r\n\r\n$last") {
		my @wrong = grep { answers([substr($bytes, 0, $_), substr $bytes, $_]) ne '1 200 GET / HTTP/1.1 200 ok' }
			1 .. length($bytes) - 1;

		is("@wrong", '', "$path cut at each byte");
		is(answers([split //, $bytes]), '1 200 GET / HTTP/1.1 200 ok', 'byte by byte');
	}
}

# Nobody reads it: the connection goes on behind it or is closed.
my $evil = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
for my $path ('/', '/500') {
	my $first = $path eq '/' ? '200 ok' : '500 ';

	for my $n (1, 100, 10_000, 200_000) {
		my $body = substr $evil x ($n / 30 + 1), 0, $n;

		for my $size (0, 50, 5000) {
			my ($closed, @r) = http_answers($lbd->port, post($path, $body, $size) . $last);

			ok($closed && @r == 2 && $r[0]{status} == substr($first, 0, 3) && $r[1]{body} eq 'ok',
				"$path, unread, $n bytes, chunks $size: the next one is answered");
		}
	}
}
for my $size (0, 10_000) {
	my $bytes = post('/', $evil x 200_000, $size);
	my ($closed, @r) = http_answers($lbd->port, $bytes . $last);

	is(join(' ', $closed, map { "$_->{status} $_->{body}" } @r), '1 200 ok', 'a very long one: closed');
	is(header($r[0], 'Connection'), 'close', 'told before') if !$size;
}
# answered by the server before it was sent
for my $n (10, 100_000, 500_000) {
	for my $size (0, 5000) {
		my ($closed, @r) = http_answers($lbd->port, post('/early/', body($n), $size) . $last);

		is($r[0]{status} . $r[0]{body}, '200early', "early answer, $n bytes, chunks $size");
		ok($closed && (@r == 1 || $r[1]{body} eq 'ok'), 'then the next request or the end');
	}
}

# one after the other on one connection, kinds mixed
my $c = Lbd::Client->new($lbd->port);
my @wrong;
for my $i (1 .. 60) {
	my $path = ('/p/echo', '/u/echo', '/')[$i % 3];
	my $body = body($i * 311);

	$c->send(post($path, $body, $i % 4 ? 0 : 100 + $i));
	my $r = $c->response;
	push @wrong, $i if $r->{body} ne ($path eq '/' ? 'ok' : $body);
}
is("@wrong", '', 'sixty bodies on one connection');

$lbd->stop;
done_testing;
