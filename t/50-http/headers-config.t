#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# add_header, add_header_inherit, server_tokens, keepalive_timeout's field.

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
	add_header X-Http h;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /inherits { return 200; }
		location /own { add_header X-Own o; return 200; }
		location /merge { add_header_inherit merge; add_header X-Own o; return 200;
			location /merge/inner { add_header X-Inner i; return 200; }
			location /merge/plain { return 200; }
			location /merge/off { add_header_inherit off; return 200;
				location /merge/off/on { add_header_inherit on; return 200; }
			}
		}
		location /off { add_header_inherit off; return 200; }
		location /two { add_header X-A 1; add_header X-A 2; return 200; }
		location /value { add_header X-Value "[$arg_q]"; add_header X-Empty $arg_none; return 200; }
		location /split { add_header X-Uri $uri; return 200; }
		location /404 { add_header X-A 1; add_header X-B 2 always; return 404; }
		location /204 { return 204; }
		location /201 { return 201; }
		location /202 { return 202; }
		location /301 { return 301 /; }
		location /replaced {
			add_header Server mine; add_header Date today; add_header ETag '"x"'; add_header Last-Modified never;
			return 200;
		}
		location /tokens/off { return 404; }
		location /tokens/on { server_tokens on; return 404; }
		location /tokens/build { server_tokens build; return 404; }
		location /tokens/text { server_tokens "my $host"; return 404; }
		location /tokens/none { server_tokens ""; return 404; }
		location /tokens/html { server_tokens "<b>"; return 404; }
		location /kept { keepalive_timeout 65s 20s; return 200; }
	}
}
EOT
my $port = $lbd->port(0);

sub fields {
	my ($r) = @_;

	return join ' ', map { my $n = $_; map { "$n=$_" } @{ $r->{headers}{$n} } } grep { /^x-/ } sort keys %{ $r->{headers} };
}

sub fields_are {
	my ($target, $want) = @_;

	is(fields(http_get($port, $target)), $want, "$target: " . ($want || 'nothing'));
}

fields_are(@$_) for (
	['/inherits', 'x-http=h'], ['/own', 'x-own=o'], ['/merge', 'x-http=h x-own=o'],
	['/merge/inner', 'x-http=h x-inner=i x-own=o'], ['/merge/plain', 'x-http=h x-own=o'],
	['/merge/off', ''], ['/merge/off/on', ''], ['/off', ''], ['/two', 'x-a=1 x-a=2'],
	['/value?q=a b', ''], ['/value?q=ab', 'x-value=[ab]'], ['/404', 'x-b=2'],
	['/204', 'x-http=h'], ['/201', 'x-http=h'], ['/202', ''], ['/301', 'x-http=h'],
	['/split/x%20y', 'x-uri=/split/x y'],
	# a line break never gets into a head
	['/split/a%0d%0aX-Evil:%20yes', ''],
);
ok($lbd->wait_log(qr/field "X-Uri" left out/), 'a value with a line break is logged');

my $raw = http_raw($port, "GET /replaced HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
is(join('|', $raw =~ /^((?:Server|Date|ETag|Last-Modified): .*?)\r$/mg),
	'Server: mine|Date: today|ETag: "x"|Last-Modified: never', 'fields there is one of are replaced');

my ($version) = (lbd_run('-v'))[1] =~ m{lbd/(\S+)};
for (['off', 'lbd'], ['on', "lbd/$version"], ['text', 'my localhost'], ['none', undef]) {
	my ($how, $want) = @$_;
	my $r = http_get($port, "/tokens/$how");

	is(header($r, 'Server'), $want, "server_tokens $how");
	is($r->{body} =~ m{<p>(.*)</p>} ? $1 : undef, $want, 'and on the page');
}
like(header(http_get($port, '/tokens/build'), 'Server'), qr{^lbd/\Q$version\E}, 'server_tokens build');
unlike(http_get($port, '/tokens/html')->{body}, qr/<b>/, 'a page stays HTML');

my $c = Lbd::Client->new($port);
$c->send("GET /kept HTTP/1.1\r\nHost: a\r\n\r\n");
is(header($c->response, 'Keep-Alive'), 'timeout=20', 'keepalive_timeout says its second time');
$c->close;

$lbd->stop;
done_testing;
