#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# return, and what redirects say.

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
	server {
		listen 127.0.0.1:%%PORT_0%%;
		server_name named.test;
		location = /200 { return 200 "text $arg_q\n"; }
		location = /200type { default_type application/json; return 200 '{"a": 1}'; }
		location = /200empty { return 200; }
		location = /201 { return 201 "made"; }
		location = /204 { return 204; }
		location = /204text { return 204 "no"; }
		location = /304 { return 304; }
		location = /404 { return 404; }
		location = /404text { return 404 "mine"; }
		location = /444 { return 444; }
		location = /499 { return 499; }
		location = /494 { return 494; }
		location = /497 { return 497; }
		location = /599 { return 599; }
		location = /503 { return 503; }
		location = /301 { return 301 /to?a=b; }
		location = /301url { return 301 https://other.test/x; }
		location = /302 { return https://other.test$request_uri; }
		location = /scheme { return $scheme://$host/x; }
		location = /303 { return 303 sideways; }
		location = /307 { return 307 //other.test/; }
		location = /308 { return 308 /$arg_q; }
		location /decoded/ { return 302 http://other.test$uri; }
		location /relative/ { absolute_redirect off; return 301 /to; }
		location /noport/ { port_in_redirect off; return 301 /to; }
		location /named/ { server_name_in_redirect on; return 301 /to; }
	}
}
EOT
my $port = $lbd->port(0);

sub gets { return http_get($port, @_) }

# bodies
for (['/200?q=x', 200, "text x\n", 'text/plain'], ['/200type', 200, '{"a": 1}', 'application/json'],
	['/200empty', 200, '', 'text/plain'], ['/201', 201, 'made', 'text/plain'],
	['/404text', 404, 'mine', 'text/plain']) {
	my ($target, $status, $body, $type) = @$_;
	my $r = gets($target);

	is($r->{status}, $status, "$target: status");
	is($r->{body}, $body, "$target: body");
	is(header($r, 'Content-Type'), $type, "$target: type");
	is(header($r, 'Content-Length'), length $body, "$target: length");
	$r = http_request($port, $target, method => 'HEAD');
	is($r->{status}, $status, "HEAD $target: status");
	is(header($r, 'Content-Length'), length $body, "HEAD $target: length");
	is($r->{body}, '', "HEAD $target: no body");
}
for my $target ('/204', '/204text', '/304') {
	my $raw = http_raw($port, "GET $target HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");

	like($raw, qr{^HTTP/1\.1 (?:204|304) }, "$target: status");
	like($raw, qr/\r\n\r\n\z/, "$target: nothing behind the head");
	unlike($raw, qr/^Content-Length|^Transfer-Encoding/mi, "$target: no length");
}

# the built-in page
for (['/404', 404, '404 Not Found'], ['/503', 503, '503 Service Unavailable'], ['/494', 400, '400 Bad Request'],
	['/497', 400, '400 Bad Request'], ['/599', 599, '599']) {
	my ($target, $status, $title) = @$_;
	my $r = gets($target);

	is($r->{status}, $status, "$target: status");
	is(header($r, 'Content-Type'), 'text/html', "$target: a page");
	like($r->{body}, qr{<title>\Q$title\E</title>.*<h1>\Q$title\E</h1>}s, "$target: title");
	like($r->{body}, qr{<p>lbd</p>}, "$target: who says so, without a version");
}
is(http_request($port, '/404', method => 'HEAD')->{body}, '', 'HEAD has no page');
for my $target ('/444', '/499') {
	is(http_raw($port, "GET $target HTTP/1.1\r\nHost: a\r\n\r\n"), '', "$target: closed without a word");
}

# redirects
my $here = "http://host.test:$port";
for (['/301', 301, "$here/to?a=b"], ['/301url', 301, 'https://other.test/x'],
	['/302?x=y', 302, 'https://other.test/302?x=y'], ['/scheme', 302, 'http://host.test/x'],
	['/303', 303, 'sideways'], ['/307', 307, "$here//other.test/"], ['/308?q=z', 308, "$here/z"],
	['/decoded/a%20b%0d%0aSet-Cookie:%20x', 302, 'http://other.test/decoded/a%20b%0D%0ASet-Cookie:%20x'],
	['/decoded/%e4', 302, 'http://other.test/decoded/%E4'],
	['/relative/', 301, '/to'], ['/noport/', 301, 'http://host.test/to'], ['/named/', 301, "http://named.test:$port/to"]) {
	my ($target, $status, $location) = @$_;
	my $r = gets($target, Host => 'host.test');

	is($r->{status}, $status, "$target: status");
	is(header($r, 'Location'), $location, "$target: location");
	like($r->{body}, qr{<h1>$status }, "$target: a page for people");
}
is(header(gets('/301', Host => 'host.test:99'), 'Location'), "$here/to?a=b", 'the port is the listening one');
like(http_raw($port, "GET /301 HTTP/1.0\r\n\r\n"), qr{^Location: http://named\.test:$port/to\?a=b\r}m,
	'without a host: the server name');

# the request's body is read, so that the connection can go on
my $c = Lbd::Client->new($port);
$c->send("POST /201 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
is($c->response->{body}, 'made', 'POST');
$c->send("POST /404 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
is($c->response->{status}, 404, 'POST in chunks');
$c->send("GET /201 HTTP/1.1\r\nHost: a\r\n\r\n");
is($c->response->{body}, 'made', 'and the next request on the same connection');
$c->close;

# heads that are alike in part: each says what is its own
my $ask = sub {
	my ($target, $more, $version, $method) = @_;

	return ($method // 'GET') . " $target HTTP/" . ($version // '1.1') . "\r\nHost: a\r\n" . ($more // '') . "\r\n";
};
my $all = http_raw($port, $ask->('/200?q=a') . $ask->('/200?q=bb') . $ask->('/200?q=cc') . $ask->('/200type')
	. $ask->('/200?q=a', '', '1.1', 'HEAD') . $ask->('/404') . $ask->('/503') . $ask->('/200?q=a', "Connection: close\r\n"));
my @lengths = $all =~ /^Content-Length: (\d+)\r$/mg;
is_deeply([@lengths[0 .. 4, 7]], [7, 8, 8, 8, 7, 7], 'lengths');
sub times_in { return scalar(() = $all =~ /$_[0]/mg) }
is(times_in(qr{HTTP/1\.1 200 OK\r$}m), 6, 'statuses');
is(times_in(qr{^text (?:a|bb|cc)$|^\{"a": 1\}}m), 5, 'texts, none after HEAD');
is(times_in(qr{^Content-Type: application/json\r$}m), 1, 'the type of one');
is(times_in(qr{^Connection: close\r$}m), 1, 'only the last ends the connection');
like($all, qr{^HTTP/1\.1 404 .*^HTTP/1\.1 503 }ms, 'errors have their own');
like(http_raw($port, $ask->('/200?q=a', "Connection: keep-alive\r\n", '1.0') . $ask->('/200?q=a', '', '1.0')),
	qr{^Connection: keep-alive\r.*^Connection: close\r}ms, 'HTTP/1.0 is told');

$lbd->stop;
done_testing;
