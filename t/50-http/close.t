#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Connections that lbd says it closes are closed, for whatever reason, and those it says it keeps are kept.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $origin = http_backend(sub {
	my ($q) = @_;

	return $q->{target} =~ /(\d{3})/ ? [$1, [], "x\n"] : [200, [], "x\n"];
});
my $lbd = Lbd->new(conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /refused/ { proxy_pass http://127.0.0.1:@{[ free_port() ]}; }
		location /444 { return 444; }
		location = /444e { error_page 404 = \@silent; return 404; }
		location \@silent { return 444; }
@{[ map { "\t\tlocation /$_ { return $_; }\n" } 200, 201, 204, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 408, 410, 413, 429,
	500, 502, 503, 504 ]}
	}
	server {
		listen 127.0.0.1:%%PORT_1%%;
		reset_timedout_connection on;
		return 444;
	}
}
EOT
my $next = "GET /200 HTTP/1.1\r\nHost: a\r\n\r\n";

sub statuses {
	my ($closed, @r) = http_answers($lbd->port, @_);

	return join ' ', $closed, map { $_->{status} . (header($_, 'Connection') // '') } @r;
}

for my $path ((map { "/$_" } 200, 201, 204, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 408, 410, 413, 429, 500, 502, 503, 504),
	(map { "/p/$_" } 200, 301, 404, 500, 503), '/refused/', '/nowhere') {
	my ($status) = $path =~ m{^/(?:p/)?(\d+)$} ? $1 : $path eq '/refused/' ? 502 : 404;
	my $request = "GET $path HTTP/1.1\r\nHost: a\r\n";

	is(statuses("${request}Connection: close\r\n\r\n$next"), "1 ${status}close", "$path closed as asked");
	is(statuses("${request}\r\nGET /200 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n$next"), "1 $status 200close",
		'and kept as asked');
}

# 444: not a byte
for my $request ("GET /444 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /444e HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /444 HTTP/1.0\r\n\r\n",
	"POST /444 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "POST /444 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n") {
	is(statuses($request), '1', '444: ' . ($request =~ s/\r\n.*//sr));
	is(statuses("$next$request$next"), '1 200', 'after an answer, which comes');
}
my $c = Lbd::Client->new($lbd->port(1));
$c->send($next);
ok($c->is_reset, '444 with reset_timedout_connection: a reset');

$lbd->stop;
done_testing;
