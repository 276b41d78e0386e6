#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Methods: all are served alike but CONNECT and TRACE; HEAD, 204 and 304 have no body.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $origin = http_backend(sub {
	my ($q, $n, $b) = @_;
	my ($status) = $q->{target} =~ /(\d{3})/;

	# HEAD, 204 and 304: a head as if there were a body, and none
	return "HTTP/1.1 304 X\r\nContent-Length: 5\r\nETag: \"e\"\r\n\r\n" if ($status // 0) == 304;
	return "HTTP/1.1 204 X\r\n\r\n" if ($status // 0) == 204;
	return "HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\n" if $q->{method} eq 'HEAD' && $q->{target} =~ /length/;
	return "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n" if $q->{method} eq 'HEAD' && $q->{target} =~ /chunked/;
	return [200, [], "$q->{method} $q->{body}\n"];
});
my $lbd = Lbd->new(conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "\$request_method\\n"; }
		location /204 { return 204; }
		location /204t { return 204 "text"; }
		location /304 { return 304; }
		location /404 { return 404; }
		location /301 { return 301 /to; }
		location /empty { return 200; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
	}
}
EOT
my $last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

# any token is a method, and case matters
for my $method (qw(GET POST PUT DELETE PATCH OPTIONS PROPFIND MKCOL COPY MOVE LOCK UNLOCK PROPPATCH PURGE QUERY SEARCH
	get Get X X-Y 0), "!#\$%&'*+.^_`|~", 'M' x 64) {
	my ($closed, @r) = http_answers($lbd->port, "$method / HTTP/1.1\r\nHost: a\r\n\r\n$last");

	is(join(' ', $closed, map { "$_->{status} $_->{body}" } @r), "1 200 $method\n 200 GET\n", $method);
	($closed, @r) = http_answers($lbd->port, "$method /p/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi$last");
	is(join(' ', $closed, map { "$_->{status} $_->{body}" } @r), "1 200 $method hi\n 200 GET\n", 'forwarded');
}

# what lbd has no answer for
for (["TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405], ["TRACE /p/ HTTP/1.1\r\nHost: a\r\n\r\n", 405],
	["TRACE http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 405],
	["CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405], ["CONNECT [::1]:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405],
	["CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400], ["CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400],
	["CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", 400], ["CONNECT http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
	['M' x 65 . " / HTTP/1.1\r\nHost: a\r\n\r\n", 501], ['M' x 5000 . " / HTTP/1.1\r\nHost: a\r\n\r\n", 501],
	["OPTIONS a HTTP/1.1\r\nHost: a\r\n\r\n", 400]) {
	my ($bytes, $status) = @$_;
	my ($closed, @r) = http_answers($lbd->port, $bytes . $last);

	is(join(' ', $closed, map { $_->{status} } @r), "1 $status", substr($bytes, 0, 40) =~ s/\r\n.*//sr);
	is(header($r[0], 'Connection'), 'close', 'closes');
}
my ($closed, @r) = http_answers($lbd->port, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n$last");
ok($closed && @r == 2 && $r[1]{body} eq "GET\n", 'OPTIONS * is answered');

# No body, and what follows is the next answer.
for (['GET /204', 204, undef], ['GET /204t', 204, undef], ['GET /304', 304, undef], ['POST /204', 204, undef],
	['HEAD /204', 204, undef], ['HEAD /304', 304, undef], ['HEAD /', 200, 5], ['HEAD /404', 404, 'some'],
	['HEAD /301', 301, 'some'], ['HEAD /nowhere', 200, 5], ['HEAD /empty', 200, 0], ['GET /empty', 200, 0],
	['HEAD /p/length', 200, 5], ['HEAD /p/chunked', 200, undef], ['GET /p/204', 204, undef],
	['HEAD /p/204', 204, undef], ['GET /p/304', 304, undef], ['HEAD /p/304', 304, undef]) {
	my ($what, $status, $length) = @$_;
	my ($method) = split / /, $what;

	($closed, @r) = http_answers($lbd->port, "$what HTTP/1.1\r\nHost: a\r\n\r\n$last", methods => [$method]);
	is(join(' ', $closed, map { $_->{status} } @r), "1 $status 200", "$what has no body");
	is(($r[1] // {})->{body}, "GET\n", 'what follows is the next answer');
	my $got = header($r[0], 'Content-Length');
	if (!defined $length) {
		ok(!defined $got || $status == 304, 'no length');
	} else {
		ok(defined $got && ($length eq 'some' ? $got > 0 : $got == $length), 'its length is told');
	}
	ok(!defined header($r[0], 'Transfer-Encoding') || $what eq 'HEAD /p/chunked', 'no coding');
}

$lbd->stop;
done_testing;
