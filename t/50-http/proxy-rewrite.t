#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Responses that name the server: proxy_redirect, proxy_cookie_*; and those that lbd acts on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

# /.../?Name=value&Name=value: a response with these fields
my $server = http_backend(sub {
	my ($q) = @_;
	my ($path, $args) = split /\?/, $q->{target}, 2;
	my @fields = map { my ($n, $v) = split /=/, $_, 2; $v =~ s/%(..)/chr hex $1/ge; ($n => $v) } split /&/, $args // '';
	my $status = $path =~ m{/(\d{3})$} ? $1 : 200;

	return [$status, \@fields, "from $path"];
});
my $a = $server->address;
my $lbd = Lbd->new(conf => <<"EOT");
http {
	upstream api { server $a; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		server_name www.example;
		location /plain/ { proxy_pass http://$a; }
		location /one/ { proxy_pass http://$a/two/; }
		location /group/ { proxy_pass http://api/x/; }
		location /off/ { proxy_pass http://$a; proxy_redirect off; }
		location /own/ {
			proxy_pass http://$a;
			proxy_redirect http://localhost:8000/two/ http://front.example/one/;
			proxy_redirect http://\$proxy_host/three /four;
			proxy_redirect ~^http://([^:]+):\\d+/rx(.*)\$ https://\$1/new\$2;
			proxy_redirect ~*/CASE/(.*) /case/\$1;
			proxy_redirect default;
		}
		location /cookie/ {
			proxy_pass http://$a;
			proxy_cookie_domain localhost example.org;
			proxy_cookie_domain ~\\.([a-z]+\\.net)\$ \$1;
			proxy_cookie_path /two/ /;
			proxy_cookie_path ~*^/user/(.+) /u/\$1;
			proxy_cookie_flags one httponly;
			proxy_cookie_flags ~^s secure samesite=strict;
			proxy_cookie_flags plain nosecure nohttponly nosamesite;
		}
		location /errors/ { proxy_pass http://$a; proxy_intercept_errors on; error_page 404 502 /page; error_page 403 \@named; }
		location /noerrors/ { proxy_pass http://$a; error_page 404 /page; }
		location = /page { return 200 "page"; }
		location \@named { return 200 "named"; }
		location /accel/ { proxy_pass http://$a; }
		location /noaccel/ { proxy_pass http://$a; proxy_ignore_headers X-Accel-Redirect; }
		location /internal/ { internal; proxy_pass http://$a; }
	}
}
EOT
my $port = $lbd->port(0);

sub field {
	my ($name, $path, $value) = @_;

	return header(http_get($port, "$path?$name=$value", Host => 'www.example'), $name);
}

my $me = "http://www.example:$port";
my @location = (
	['/plain/', "http://$a/x", "$me/x", 'default without a URI: the server\'s root is lbd\'s'],
	['/plain/', 'http://other.example/x', 'http://other.example/x', 'others stay'],
	['/plain/', '/x', '/x', 'relative ones stay'],
	['/one/', "http://$a/two/x?y", "$me/one/x?y", 'default with a URI: the location\'s prefix'],
	['/one/', "http://$a/three/", "http://$a/three/", 'what is not below it stays'],
	['/group/', 'http://api/x/y', "$me/group/y", 'default with a group'],
	['/off/', "http://$a/x", "http://$a/x", 'off'],
	['/own/', 'http://localhost:8000/two/z', 'http://front.example/one/z', 'a prefix and its replacement'],
	['/own/', "http://$a/three/z", "$me/four/z", 'with a variable, without a scheme'],
	['/own/', 'http://h.example:99/rx/y', 'https://h.example/new/y', 'a regular expression'],
	['/own/', 'http://x/case/y', "$me/case/y", 'one without case'],
	['/own/', "http://$a/else", "$me/else", 'default after others'],
);
is field('Location', $_->[0], $_->[1]), $_->[2], "Location: $_->[3]" for @location;
is field('Refresh', '/one/', "5;%20url%3dhttp://$a/two/x"), '5; url=/one/x', 'Refresh';
is field('Refresh', '/off/', "5;%20url%3dhttp://$a/two/x"), "5; url=http://$a/two/x", 'Refresh: off';

my @cookie = (
	['a=b', 'a=b'],
	['a=b; Domain=localhost; Path=/two/x', 'a=b; Domain=example.org; Path=/x'],
	['a=b; domain=.LOCALHOST', 'a=b; domain=example.org'],
	['a=b; domain=x.local.net', 'a=b; domain=local.net'],
	['a=b; path=/User/me; Secure', 'a=b; path=/u/me; Secure'],
	['a=b; path=/three/', 'a=b; path=/three/'],
	['one=1', 'one=1; HttpOnly'],
	['one=1; HttpOnly', 'one=1; HttpOnly'],
	['sess=1; path=/two/; SameSite=Lax', 'sess=1; path=/; Secure; SameSite=Strict'],
	['plain=1; Secure; HttpOnly; SameSite=None; Max-Age=3', 'plain=1; Max-Age=3'],
);
for (@cookie) {
	my ($value, $want) = @$_;

	(my $sent = $value) =~ s/([ =;])/sprintf '%%%02x', ord $1/ge;
	is field('Set-Cookie', '/cookie/', $sent), $want, "Set-Cookie: $value";
}

is http_get($port, '/errors/404')->{body}, 'page', 'proxy_intercept_errors: error_page answers';
is http_get($port, '/errors/404')->{status}, 404, 'with the server\'s status';
is http_get($port, '/errors/403')->{body}, 'named', 'and a named location';
is http_get($port, '/errors/410')->{body}, 'from /errors/410', 'without a page the server\'s answer passes';
is http_get($port, '/noerrors/404')->{body}, 'from /noerrors/404', 'off: so does this';

my $r = http_get($port, '/accel/?X-Accel-Redirect=/internal/file&Content-Type=text/x&X-Other=1');
is $r->{body}, 'from /internal/file', 'X-Accel-Redirect';
is_deeply $r->{headers}{'content-type'}, ['text/x'], 'keeps the type';
is header($r, 'X-Other'), undef, 'and not the rest';
is http_get($port, '/accel/?X-Accel-Redirect=/internal/a%2520b%253fc')->{status}, 502, 'a redirect that would change its meaning is not followed';
is http_get($port, '/accel/?X-Accel-Redirect=/internal/x/%252e%252e/a%2520b')->{body}, 'from /internal/a%20b', 'the path is decoded';
is http_get($port, '/accel/?X-Accel-Redirect=/../etc/x')->{status}, 502, 'a path above the root is not followed';
$r = http_get($port, '/accel/?X-Accel-Redirect=@named&Content-Type=text/x');
is $r->{body}, 'named', 'a named location';
is_deeply $r->{headers}{'content-type'}, ['text/x'], 'gets the type, too, and has no other';
is http_get($port, '/noaccel/?X-Accel-Redirect=/internal/file')->{body}, 'from /noaccel/', 'proxy_ignore_headers';
is http_get($port, '/internal/file')->{status}, 404, 'from outside it is not to be had';
is http_get($port, '/accel/?X-Accel-Redirect=http://x/')->{status}, 502, 'a redirect to an URL is not followed';

$lbd->stop;
done_testing;
