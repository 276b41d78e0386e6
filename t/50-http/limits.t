#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Sizes: request line 414, fields 431, their number 400, body 413; one byte less is served.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $origin = http_backend(sub { return [200, [], length($_[0]{body}) . "\n"] });
my $lbd = Lbd->new(conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		large_client_header_buffers 3 1k;
		max_headers 10;
		client_max_body_size 1000;
		location / { return 200 "ok\\n"; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /s/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; proxy_request_buffering off; }
		location /any/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; client_max_body_size 0; }
		location /error { error_page 413 = /413; client_max_body_size 1; return 200 "no\\n"; }
		location = /413 { internal; return 403 "too much\\n"; }
	}
	server {
		listen 127.0.0.1:%%PORT_1%%;
		location / { return 200 "ok\\n"; }
	}
}
EOT
my $second = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";

sub statuses {
	my ($port, $bytes) = @_;
	my ($closed, @r) = http_answers($lbd->port($port), $bytes);

	return join ' ', $closed, map { $_->{status} } @r;
}

sub filled {
	my ($n, $make) = @_;

	return $make->('x' x ($n - length $make->('')));
}

# lines: their CRLF counts
my $end = "Host: a\r\nConnection: close\r\n\r\n";
for my $way ('at once', 'in pieces', 'byte by byte') {
	my $cut = sub {
		my ($s) = @_;

		return $s if $way eq 'at once';
		return [$way eq 'in pieces' ? $s =~ /(.{1,100})/gs : split //, $s];
	};
	my $line = sub { "GET /$_[0] HTTP/1.1\r\n" };
	my $field = sub { "X: $_[0]\r\n" };

	is(statuses(0, $cut->(filled(1024, $line) . $end)), '1 200', "$way: a request line of 1024");
	is(statuses(0, $cut->(filled(1025, $line) . $end)), '1 414', '1025 is too long');
	is(statuses(0, $cut->('GET /' . 'x' x 4000)), '1 414', 'it need not end');
	is(statuses(0, $cut->("GET / HTTP/1.1\r\n" . filled(1024, $field) . $end)), '1 200', 'a field of 1024');
	is(statuses(0, $cut->("GET / HTTP/1.1\r\n" . filled(1025, $field) . $end)), '1 431', '1025 is too long');
	is(statuses(0, $cut->("GET / HTTP/1.1\r\nX: " . 'x' x 4000)), '1 431', 'it need not end');
	is(statuses(0, $cut->("GET / HTTP/1.1\r\n" . 'X' x 4000)), '1 431', 'nor have a colon');
	is(statuses(0, $cut->("GET / HTTP/1.1\r\n$end" =~ s/(?=Host)/filled(1024, $field) x 3/er)), '1 431', 'all of them');
	is(statuses(0, $cut->("GET / HTTP/1.1\r\n$end" =~ s/(?=Host)/filled(1024, $field) x 2/er)), '1 200', 'fewer');
	is(statuses(0, $cut->("GET / HTTP/1.1\r\n" . "X: y\r\n" x 8 . $end)), '1 200', 'ten fields');
	is(statuses(0, $cut->("GET / HTTP/1.1\r\n" . "X: y\r\n" x 9 . $end)), '1 400', 'eleven');
}
is(statuses(0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n" . filled(1025, sub { "GET /$_[0] HTTP/1.1\r\n" }) . $end), '1 200 414',
	'the limit holds for the second request too');

# the defaults: 16k, 4 of them, 1000 fields
is(statuses(1, filled(16384, sub { "GET /$_[0] HTTP/1.1\r\n" }) . $end), '1 200', 'a line of 16k');
is(statuses(1, filled(16385, sub { "GET /$_[0] HTTP/1.1\r\n" }) . $end), '1 414', 'one more');
is(statuses(1, "GET / HTTP/1.1\r\n" . filled(16384, sub { "X: $_[0]\r\n" }) x 3 . $end), '1 200', 'three fields of 16k');
is(statuses(1, "GET / HTTP/1.1\r\n" . filled(16384, sub { "X: $_[0]\r\n" }) x 4 . $end), '1 431', 'four');
is(statuses(1, "GET / HTTP/1.1\r\n" . "X: y\r\n" x 998 . $end), '1 200', 'a thousand fields');
is(statuses(1, "GET / HTTP/1.1\r\n" . "X: y\r\n" x 999 . $end), '1 400', 'one more');
is(statuses(1, 'x' x 1_000_000), '1 414', 'a method without an end');

# bodies
for my $path ('/', '/p/', '/s/') {
	my $post = "POST $path HTTP/1.1\r\nHost: a\r\n";

	is(statuses(0, "${post}Connection: close\r\nContent-Length: 1000\r\n\r\n" . 'x' x 1000), '1 200', "$path: a body of 1000");
	is(statuses(0, "${post}Content-Length: 1001\r\n\r\n" . 'x' x 1001 . $second), '1 413', 'one more');
	is(statuses(0, "${post}Content-Length: 9223372036854775807\r\n\r\n$second"), '1 413', 'refused before it comes');
	is(statuses(0, "${post}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" . 'x' x 500 . "\r\n1f4\r\n" . 'x' x 500
		. "\r\n0\r\n\r\n"), '1 200', 'a chunked one');
	next if $path eq '/'; # nobody reads it
	is(statuses(0, "${post}Transfer-Encoding: chunked\r\n\r\n1f4\r\n" . 'x' x 500 . "\r\n1f5\r\n" . 'x' x 501
		. "\r\n0\r\n\r\n$second"), '1 413', 'one more');
	is(statuses(0, "${post}Transfer-Encoding: chunked\r\n\r\n" . "1\r\nx\r\n" x 1001 . "0\r\n\r\n$second"), '1 413', 'in small chunks');
}
is(statuses(0, "POST /any/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n" . 'x' x 100000), '1 200',
	'no limit');
my ($closed, @r) = http_answers($lbd->port, "POST /error HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxx$second");
is(join(' ', $closed, map { "$_->{status} $_->{body}" } @r), "1 403 too much\n", 'its error page');

# chunk extensions and trailers are bounded as well
my $post = "POST /p/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
like(statuses(0, "${post}0\r\n" . 'X: ' . 'y' x 100_000 . "\r\n\r\n$second"), qr/^1 4(?:31|00)$/, 'a trailer too long');
like(statuses(0, "${post}0\r\n" . "X: y\r\n" x 20_000 . "\r\n$second"), qr/^1 4(?:31|00)$/, 'too many trailers');
is(statuses(0, "${post}0;" . 'y' x 100_000 . "\r\n\r\n$second"), '1 400', 'an extension too long');

$lbd->stop;
done_testing;
