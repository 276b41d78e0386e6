#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# error_page in all its forms.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $lbd = Lbd->new(conf => <<'EOT');
%%EVENTS%%
http {
	access_log off;
	error_page 400 /e400;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		error_page 400 /e400;
		error_page 404 /e404;
		error_page 403 =200 /e403;
		error_page 402 = /e402;
		error_page 500 502 @named;
		error_page 410 http://other.test/gone;
		error_page 411 =301 http://other.test/gone;
		error_page 406 /elsewhere;
		error_page 301 /e301;
		location = /e400 { return 200 "bad request page"; }
		location = /e404 { internal; return 200 "e404 $uri $request_uri $request_method [$args]"; }
		location = /e403 { return 201 "e403 $status"; }
		location = /e402 { return 203 "e402"; }
		location = /e301 { return 200 "e301"; }
		location = /elsewhere { return 302 /other; }
		location @named { return 200 "named $uri $request_method [$args]"; }
		location ~ ^/code/(\d+) {
			if ($1 = 400) { return 400; }
			if ($1 = 402) { return 402; }
			if ($1 = 403) { return 403; }
			if ($1 = 404) { return 404; }
			if ($1 = 406) { return 406; }
			if ($1 = 410) { return 410; }
			if ($1 = 411) { return 411; }
			if ($1 = 500) { return 500; }
		}
		location /moved { return 301 /to; }
		location /inherits/none/ { error_page 418 /e403; return 404; }
		location /recursive/ { recursive_error_pages on; error_page 404 /second/; return 404; }
		location /second/ { recursive_error_pages on; error_page 418 =200 /third; return 418; }
		location /third { return 200 "third"; }
		location /once/ { error_page 404 /twice/; return 404; }
		location /twice/ { error_page 418 /third; return 418; }
		location /loop/ { recursive_error_pages on; error_page 404 /loop/; return 404; }
		location /var/ { error_page 404 /third?from=$arg_q; return 404; }
		location /args/ { error_page 404 =200 /show?x=$arg_q; return 404; }
		location /show { return 200 "[$args]"; }
		location /missing/ { error_page 404 @none; return 404; }
		location /down/ { error_page 503 =503 /third; return 503; }
		location /denied/ { error_page 403 =404 /nowhere/x; return 403; }
		location /nowhere/ { return 404; }
		location /pass/ { error_page 502 =200 /third; proxy_pass http://127.0.0.1:%%PORT_1%%; }
		location /post/ { client_max_body_size 10; error_page 413 =200 /third; proxy_pass http://127.0.0.1:%%PORT_0%%/small; }
		location /small { return 200 "small"; }
	}
}
EOT
my $port = $lbd->port(0);

sub page_is {
	my ($target, $status, $body, %o) = @_;
	my $r = http_request($port, $target, %o);

	is($r->{status}, $status, "$target: $status");
	is($r->{body}, $body, "$target: \"$body\"") if defined $body;
	return $r;
}

page_is(@$_) for (
	['/nothing?q=1', 404, 'e404 /e404 /nothing?q=1 GET []'],
	['/nothing', 404, 'e404 /e404 /nothing GET []', method => 'POST', body => 'hello'],
	['/code/404', 404, 'e404 /e404 /code/404 GET []'],
	['/code/403', 200, 'e403 200'], ['/code/402', 203, 'e402'],
	['/code/500?a=b', 500, 'named /code/500 GET [a=b]'],
	['/code/500', 500, 'named /code/500 PUT []', method => 'PUT', body => ''],
	['/code/400', 400, 'bad request page'],
	['/e404', 404, 'e404 /e404 /e404 GET []'],
	['/recursive/', 200, 'third'],
	['/var/?q=1', 404, 'third'], ['/args/?q=7', 200, '[x=7]'], ['/down/', 503, 'third'],
	['/pass/', 200, 'third'],
	['/moved', 301, 'e301'],
	['/post/', 200, 'small', method => 'POST', body => 'x' x 10],
);
is(http_request($port, '/nothing', method => 'HEAD')->{body}, '', 'HEAD has no body');

# a URL
my $r = page_is('/code/410', 302);
is(header($r, 'Location'), 'http://other.test/gone', 'a URL is a redirect');
$r = page_is('/code/411', 301);
is(header($r, 'Location'), 'http://other.test/gone', 'with the status asked for');
$r = page_is('/code/406', 302);
is(header($r, 'Location'), "http://localhost:$port/other", 'a page that redirects');

# errors of error pages
like(page_is('/inherits/none/', 404)->{body}, qr/<h1>404/, 'a level with pages of its own inherits none');
like(page_is('/once/', 418)->{body}, qr/<h1>418/, 'one page per request');
like(page_is('/denied/', 404)->{body}, qr/<h1>404/, 'an error of the page is what is seen');
page_is('/loop/', 500);
page_is('/missing/', 500);
ok($lbd->wait_log(qr/there is no location "\@none"/), 'a missing named location is logged');

# requests that cannot be understood have pages, too
like(http_raw($port, "GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n"), qr/^HTTP\/1\.1 400 .*bad request page$/s,
	'a malformed request');
like(http_raw($port, "POST /post/ HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nConnection: close\r\n\r\nhello world"),
	qr/^HTTP\/1\.1 200 .*third$/s, 'a body that is too large');

$lbd->stop;
done_testing;
