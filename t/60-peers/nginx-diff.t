#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The same configuration in nginx and in lbd, and the same requests: status, Location, fields and what a server
# behind them is asked must agree.  Where lbd is meant to differ, the case is not here.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Peers;
use Test::More;

skip_without('nginx');

# says what it was asked; ?code=, ?location=, ?refresh=, ?cookie= tell what to answer
my $server = http_backend(sub {
	my ($q) = @_;
	my %arg = map { /^(\w+)=(.*)$/ ? ("$1" => $2 =~ s/%([0-9a-f]{2})/chr hex $1/gier) : () }
		split /&/, ($q->{target} =~ /\?(.*)$/)[0] // '';
	my @h = ('Content-Type' => 'text/x-echo');

	push @h, ucfirst $_ => $arg{$_} for grep { defined $arg{$_} } qw(location refresh);
	push @h, 'Set-Cookie' => $arg{cookie} if defined $arg{cookie};
	push @h, 'X-Powered-By' => 'test', 'X-Accel-Expires' => 0, Server => 'behind', 'X-Pad' => 1;
	push @h, 'X-Accel-Redirect' => $arg{accel} if defined $arg{accel};
	$h[1] = 'text/x-json' if $q->{target} =~ m{^/json};
	my $text = "$q->{method} $q->{target}\n";
	for my $name (sort grep { /^(?:host|x-.*|cookie|content-type|content-length|referer|user-agent|te|upgrade|expect
			|authorization|forwarded|accept.*|via)$/x } keys %{ $q->{headers} }) {
		$text .= "$name: " . join(' | ', @{ $q->{headers}{$name} }) . "\n";
	}
	return [$arg{code} // 200, \@h, "$text\n$q->{body}"];
});
my $b = $server->address;
my $B = "http://$b";

# directives of a server, requests
my @cases;
sub same { push @cases, [@_] }

same('locations', <<'EOT', qw(/ /a /ab /a/ /a/b /a/b/c /exact /exact/ /exactly /img/x.png /img/x.PNG /pref/x.png /PREF/x.png /x.Php));
	location / { return 200 "root"; }
	location /a { return 200 "a"; }
	location /a/b { return 200 "ab"; }
	location = /exact { return 200 "exact"; }
	location /img/ { return 200 "img"; }
	location ~ \.png$ { return 200 "png"; }
	location ~* \.php$ { return 200 "php"; }
	location ^~ /pref/ { return 200 "pref"; }
EOT
same('nested locations', <<'EOT', qw(/a/ /a/b/ /a/b/x.gif /a/x.gif /x.gif /c/x.gif /c/ /d/x.gif /d/e/x.gif));
	location / { return 200 "root"; }
	location /a/ {
		return 200 "a";
		location /a/b/ { return 200 "ab"; location ~ \.gif$ { return 200 "ab gif"; } }
		location ~ \.gif$ { return 200 "a gif"; }
	}
	location ~ \.gif$ { return 200 "gif"; }
	location ^~ /c/ { return 200 "c"; location ~ \.gif$ { return 200 "c gif"; } }
	location /d/ { return 200 "d"; location ^~ /d/e/ { return 200 "de"; } }
EOT
same('captures', <<'EOT', qw(/user/joe/x /user/ /n/5 /n/a /case/ABC));
	location ~ ^/user/([^/]+)/(.*)$ { return 200 "$1-$2"; }
	location ~ ^/n/(?<number>\d+) { return 200 "n=$number"; }
	location ~* ^/case/(abc) { return 200 "$1"; }
	location / { return 200 "none $1"; }
EOT
same('normal paths', <<'EOT', qw(/a//b /a/./b /a/../b /a/b/.. /a%2fb /%61/b /a%20b /a/b?x=//y /a/b/ /a%3fb /%e4%b8%ad /..a /a.), '//a');
	location / { return 200 "$uri|$request_uri|$args|$is_args"; }
	location /a/ { return 200 "a:$uri|$request_uri"; }
EOT
same('return', <<'EOT', qw(/200 /301 /302 /303 /307 /308 /url /400 /404 /404t /500 /204 /403 /rel /var /599 /http /tail?a=b));
	location /200 { return 200 "text $arg_x"; }
	location /301 { return 301 http://a.test/x; }
	location /302 { return 302 /here; }
	location /303 { return 303 /here?$args; }
	location /307 { return 307 https://a.test$request_uri; }
	location /308 { return 308 /x; }
	location /url { return http://b.test/; }
	location /http { return https://$host/; }
	location /400 { return 400; }
	location /404 { return 404; }
	location = /404t { return 404 "mine"; }
	location /500 { return 500 "five"; }
	location /204 { return 204; }
	location /403 { return 403; }
	location /rel { return 301 relative; }
	location /var { return 302 $uri/x; }
	location /599 { return 599 "x"; }
	location /tail { return 301 /t$is_args$args; }
EOT
same('return at server level', 'return 200 "server"; location / { return 200 "location"; }', qw(/ /x));
same('a type for return', 'default_type application/json; location /a { default_type text/html; return 200 "<b>"; } return 200 "{}";', '/');
same('a type for a location', 'location / { default_type text/html; return 200 "<b>"; } location /x { return 404 "gone"; }', qw(/ /x));
same('absolute_redirect', 'absolute_redirect off; location / { return 301 /x; } location /abs { return 301 http://a.test/; }',
	qw(/ /abs));
same('server_name_in_redirect', 'server_name_in_redirect on; return 301 /x;', '/');
same('port_in_redirect', 'port_in_redirect off; return 301 /x;', '/', 'GET / | Host: other.%%NAME%%.test:99');
same('rewrite', <<'EOT', qw(/old/1 /perm/1 /red/1 /break/x /last/x /args?z=1 /noargs?z=1 /abs/x /chain1 /enc/a%20b /q/a%26b /none));
	rewrite ^/old/(.*)$ /new/$1;
	location / { return 200 "root $uri?$args"; }
	location /new/ { return 200 "new $uri"; }
	location /perm/ { rewrite ^/perm/(.*)$ /p/$1 permanent; }
	location /red/ { rewrite ^/red/(.*)$ /r/$1 redirect; }
	location /break/ { rewrite ^ /broken break; return 200 "stays $uri"; }
	location /last/ { rewrite ^/last/(.*)$ /new/$1 last; }
	location /args { rewrite ^ /new/a?b=c; }
	location /noargs { rewrite ^ /new/a? last; }
	location /abs/ { rewrite ^/abs/(.*)$ http://c.test/$1; }
	location /chain1 { rewrite ^ /chain2; rewrite ^/chain2 /new/chained last; }
	location /enc/ { rewrite ^/enc/(.*)$ /to/$1 redirect; }
	location /q/ { rewrite ^/q/(.*)$ /to?v=$1 redirect; }
EOT
same('rewrite to a server', <<"EOT", qw(/in/a%20b /in/x?y=1 /in2/x /in3/a%20b /in4/x?y=1));
	location /in/ { rewrite ^/in/(.*)\$ /out/\$1 break; proxy_pass $B; }
	location /in2/ { rewrite ^/in2/(.*)\$ /out/\$1?k=v break; proxy_pass $B/ignored/; }
	location /in3/ { rewrite ^/in3/(.*)\$ /out?v=\$1 break; proxy_pass $B; }
	location /in4/ { rewrite ^/in4/(.*)\$ /out/\$1? break; proxy_pass $B; }
EOT
same('rewrite loops', 'location / { rewrite ^/(.*)$ /x$1 last; }', '/a');
same('if', <<'EOT', '/', '/?a=1', '/?a=0', '/?a=', '/?b=xyz', '/?b=XYZ', '/neg?b=1', 'POST /', '/post', 'POST /post', '/set?s=v', '/set');
	set $r none;
	if ($arg_a) { set $r a; }
	if ($arg_b = xyz) { set $r xyz; }
	if ($arg_b ~* ^x(y)z$) { set $r "$r-$1"; }
	if ($request_method = POST) { set $r post; }
	location / { return 200 "$r"; }
	location /neg { if ($arg_b != 1) { return 200 "not one"; } if ($arg_b !~ 2) { return 200 "not two"; } return 200 x; }
	location /post { if ($request_method = POST) { return 405; } return 200 "get"; }
	location /set { set $s $arg_s; if ($s = "") { set $s empty; } return 200 "[$s]"; }
EOT
same('if in a location', <<"EOT", qw(/ /?up=1 /?h=1 /?rw=1));
	location / {
		add_header X-Out out;
		if (\$arg_h) { add_header X-In in; }
		if (\$arg_rw) { rewrite ^ /rewritten break; }
		if (\$arg_up) { proxy_pass $B; }
		proxy_pass $B;
	}
EOT
same('break', 'set $a 1; if ($arg_b) { break; } set $a 2; location / { set $c 1; break; set $c 2; return 200 x; } location /o { return 200 "$a"; }',
	qw(/o /o?b=1));
same('error_page', <<"EOT", qw(/a /b /c /d /e /f /g /h /direct/x /page /i));
	error_page 404 /page;
	location = /page { internal; return 200 "page \$status \$uri \$request_uri"; }
	location /a { return 404; }
	location /b { error_page 403 =200 /page; return 403; }
	location /c { error_page 403 \@named; return 403; }
	location \@named { return 200 "named \$uri"; }
	location /d { error_page 403 http://d.test/; return 403; }
	location /e { error_page 403 =301 http://d.test/\$uri; return 403; }
	location /f { error_page 500 502 503 /page; return 502; }
	location /g { error_page 404 = \@code; return 404; }
	location \@code { return 201 "code"; }
	location /h { error_page 403 =404 /direct/h; return 403; }
	location /direct/ { return 200 "direct"; }
	location /i { error_page 403 /missing; return 403; }
	location /missing { return 404; }
EOT
same('error_page of a server', <<"EOT", '/a?code=404', '/b?code=404', '/b?code=503', '/c?code=500', '/c?code=404', '/b?code=301&location=/x');
	location / { proxy_pass $B; }
	location /b { proxy_pass $B; proxy_intercept_errors on; error_page 404 \@own; error_page 503 =200 /own; }
	location \@own { return 200 "own \$upstream_status"; }
	location /own { return 200 "own path"; }
	location /c { proxy_pass $B; proxy_intercept_errors on; error_page 500 = \@proxied; }
	location \@proxied { proxy_pass $B; proxy_set_header X-Again yes; }
EOT
same('recursive_error_pages', <<'EOT', qw(/a /b));
	recursive_error_pages on;
	location /a { error_page 404 /b; return 404; }
	location /b { error_page 403 = /c; return 403; }
	location /c { return 200 "c"; }
EOT
same('internal', 'location /in { internal; return 200 in; } location / { rewrite ^/go /in last; return 200 out; }', qw(/in /go /));
same('proxy_pass and its URI', <<"EOT", qw(/a/x /a/x?q=1 /b/x /b/ /c/x /d/x%20y /d/a%2fb /e/x /f/x /g /g/ /g/x?y /h/../h/x /i//x /a/%e4 /j/x));
	location /a/ { proxy_pass $B; }
	location /b/ { proxy_pass $B/; }
	location /c/ { proxy_pass $B/deep/path/; }
	location /d/ { proxy_pass $B/d2/; }
	location /e { proxy_pass $B/e2; }
	location ~ ^/f/ { proxy_pass $B; }
	location /g/ { proxy_pass $B/g2/; }
	location /h/ { proxy_pass $B/x; }
	location /i/ { proxy_pass $B/i/; }
	location /j/ { proxy_pass $B/j?fixed=1; }
EOT
same('proxy_pass with variables', <<"EOT", qw(/a/x?y=1 /b/x?y=1 /c/x /d/p%20q));
	location /a/ { set \$to $b; proxy_pass http://\$to; }
	location /b/ { set \$to $b; proxy_pass http://\$to/fixed; }
	location ~ ^/c/(.*)\$ { proxy_pass $B/got/\$1; }
	location /d/ { set \$to $b; proxy_pass http://\$to\$request_uri; }
EOT
same('an upstream', "location / { proxy_pass http://group; } location /x/ { proxy_pass http://group/y/; }", qw(/a /x/z));
same('exact and named proxies', <<"EOT", qw(/x /y /y/z /q));
	location = /x { proxy_pass $B/exact; }
	location /y { error_page 418 = \@p; return 418; }
	location \@p { proxy_pass $B; }
	location ^~ /q { proxy_pass $B/r; }
EOT
same('the slash a proxied location adds', <<"EOT", '/a', '/a?b=c', '/a/', '/b', '/c', 'POST /a');
	location /a/ { proxy_pass $B; }
	location /b/ { proxy_pass $B; }
	location = /b { return 200 "exact"; }
	location /c/ { return 200 c; }
	location / { return 200 root; }
EOT
same('proxy_set_header', <<"EOT", '/', 'GET / | X-Client: mine', '/in', 'GET /none | X-Gone: x', '/ip', 'GET / | X-Forwarded-For: 1.2.3.4', 'POST /');
	proxy_set_header Host \$host;
	proxy_set_header X-Real-IP \$remote_addr;
	proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
	proxy_set_header X-Forwarded-Proto \$scheme;
	proxy_set_header X-Client "";
	location / { proxy_pass $B; }
	location /in { proxy_set_header X-Only here; proxy_pass $B; }
	location /none { proxy_set_header X-Gone ""; proxy_set_header X-Kept \$http_user_agent; proxy_pass $B; }
	location /ip { proxy_set_header Host \$http_host; proxy_set_header X-U "\$request_uri \$uri"; proxy_pass $B; }
EOT
same('fields that pass', "location / { proxy_pass $B; }", 'GET / | Cookie: a=b; c=d | User-Agent: x | Accept: */* | Accept: text/html',
	'GET / | Referer: http://a/ | Via: 1.0 x | X-Long: ' . 'y' x 3000, 'GET / | TE: trailers', 'GET / | X_Under: 1 | X-Fine: 2',
	'GET / | Authorization: Basic abc', 'GET / | Keep-Alive: 5 | X-A: b', 'GET / | Content-Type: a/b', 'HEAD /', 'DELETE /x', 'OPTIONS /', 'PATCH /x',
	'PROPFIND /x');
same('underscores_in_headers', "location / { proxy_pass $B; }", 'GET / | X_Under: 1 | X-Fine: 2');
same('bodies', "client_max_body_size 10; location / { proxy_pass $B; } location /big { client_max_body_size 0; proxy_pass $B; }"
	. " location /no { proxy_pass_request_body off; proxy_set_header Content-Length ''; proxy_pass $B; }"
	. " location /own { proxy_set_body \"own \$request_method\"; proxy_pass $B; } location /m { proxy_method PUT; proxy_pass $B; }",
	'POST / | =short', 'POST / | =exactly 10', 'POST / | =much too long', 'POST /big | =' . 'z' x 5000, 'POST /no | =body', 'POST /own | =body', 'POST /m | =body',
	'PUT / | =x', 'POST / | =');
same('proxy_pass_request_headers off', "location / { proxy_pass_request_headers off; proxy_pass $B; }", 'GET / | X-A: b | Cookie: c=d');
my @targets = ("$B/x", "$B/deep/x", "http://$b", 'http://elsewhere.test/x', '/x', '/deep/x', 'x', "http://$b:1/x", '');
same('proxy_redirect default', <<"EOT", map { my $p = $_; map { "$p?code=302&location=$_" } @targets } qw(/a/ /b/ /c /d/));
	location /a/ { proxy_pass $B/; }
	location /b/ { proxy_pass $B/deep/; }
	location /c { proxy_pass $B; }
	location /d/ { proxy_pass $B/; proxy_redirect off; }
EOT
same('proxy_redirect', <<"EOT", map { my $p = $_; map { "$p?code=302&location=$_" } 'http://one.test/x', 'http://two.test/y?z', '/three', 'http://ONE.test/x', 'https://four.test:8080/a' } qw(/a/ /b/ /c/ /d/ /e/));
	location /a/ { proxy_pass $B/; proxy_redirect http://one.test/ /one/; proxy_redirect http://two.test/ http://\$host/two/; }
	location /b/ { proxy_pass $B/; proxy_redirect ~^http://([a-z]+)\\.test/(.*)\$ http://new.test/\$1/\$2; }
	location /c/ { proxy_pass $B/; proxy_redirect ~*one /caseless; proxy_redirect / /prefixed/; }
	location /d/ { proxy_pass $B/; proxy_redirect default; proxy_redirect http://one.test /; }
	location /e/ { proxy_pass $B/; proxy_redirect http://\$arg_n.test/ /var/; proxy_redirect https://four.test:8080/ \$scheme://\$host/; }
EOT
same('Refresh', "location / { proxy_pass $B; proxy_redirect http://one.test/ /one/; }", '/?refresh=5;url=http://one.test/x', '/?refresh=5',
	'/?refresh=0; URL=http://one.test/', '/?refresh=3;url=/y');
my @cookies = ('a=b; path=/app/x', 'a=b; Path=/app/; Domain=one.test', 'a=b; domain=.one.test; path=/', 'a=b', 'a=b; Path=/other; HttpOnly',
	'a=b; secure; path=/app', 'sid=1; Path=/App/x', 'x=1; domain=ONE.test');
same('proxy_cookie_*', <<"EOT", map { my $p = $_; map { "$p?cookie=" . s/ /%20/gr =~ s/;/%3b/gr } @cookies } qw(/a /b /c /d));
	location /a { proxy_pass $B; proxy_cookie_path /app/ /; }
	location /b { proxy_pass $B; proxy_cookie_domain one.test two.test; proxy_cookie_path ~^/app(.*)\$ /new\$1; }
	location /c { proxy_pass $B; proxy_cookie_flags a secure httponly samesite=lax; proxy_cookie_flags sid nosecure samesite=strict; }
	location /d { proxy_pass $B; proxy_cookie_domain off; proxy_cookie_path / "/; SameSite=None"; }
EOT
same('fields of responses', <<"EOT", qw(/a /b /c /d));
	location /a { proxy_pass $B; }
	location /b { proxy_pass $B; proxy_hide_header X-Powered-By; proxy_pass_header X-Pad; }
	location /c { proxy_pass $B; proxy_pass_header X-Accel-Expires; add_header X-Powered-By more; }
	location /d { proxy_pass $B; proxy_pass_header Server; }
EOT
same('X-Accel-Redirect', <<"EOT", '/p?accel=/in', '/p?accel=/in%3fq=1', '/p?accel=@named', '/ig?accel=/in', '/p?accel=/none', '/p?accel=/again&cookie=a=b');
	location / { proxy_pass $B; }
	location /ig { proxy_pass $B; proxy_ignore_headers X-Accel-Redirect; }
	location /in { internal; return 200 "in \$uri \$args"; }
	location \@named { return 200 named; }
	location /again { internal; proxy_pass $B/json?code=201; }
	location /none { return 404; }
EOT
same('add_header', <<"EOT", qw(/ /a /b /c /d /e /f));
	add_header X-Server one;
	add_header X-Always two always;
	location / { return 200 root; }
	location /a { add_header X-Location three; return 200 a; }
	location /b { return 404; }
	location /c { add_header X-C c; return 404; }
	location /d { add_header X-E ""; add_header X-V "\$uri \$status"; return 200 d; }
	location /e { return 301 /x; }
	location /f { proxy_pass $B; }
EOT
same('variables', <<'EOT', '/v/a%20b?x=1&y=%20', 'GET /v | Cookie: a=1; b=2', 'POST /v | =body', 'HEAD /v', '/c?a=1&A=2&b', '/args?set', '/empty?');
	location /v { return 200 "$request_method $scheme $host $server_protocol $uri $document_uri $args $query_string $is_args $arg_x $arg_y $cookie_a $cookie_b $content_length $request"; }
	location /c { return 200 "$arg_a $arg_A $arg_b $arg_none [$http_none] $http_host"; }
	location /args { set $args changed=1; return 200 "$args $request_uri $arg_changed"; }
	location /empty { return 200 "[$args] [$is_args] $server_name $remote_addr $http_user_agent"; }
EOT
same('limit_except', <<"EOT", '/', 'POST /', 'HEAD /', 'PUT /', 'POST /ret', '/ret', 'POST /both', '/both');
	location / { proxy_pass $B; limit_except GET { proxy_pass http://group; } }
	location /ret { return 200 ret; limit_except GET { proxy_pass $B; } }
	location /both { proxy_pass $B; proxy_set_header X-Y z; limit_except GET POST { proxy_pass http://group; } }
EOT
same('nothing that answers', 'location /x { return 200 x; }', '/x');
same('keepalive_timeout 0', 'keepalive_timeout 0; return 200 x;', '/');
same('HTTP/1.0 and odd requests', 'location / { return 200 "$host|$http_host|$server_protocol"; }', 'GET / | HTTP/1.0', 'GET http://abs.test/p?q',
	'OPTIONS /', 'GET /' . 'u' x 2000);
same('a page for 413', 'client_max_body_size 1; error_page 413 =200 /big; location /big { return 200 "too big"; } location / { return 200 ok; }',
	'POST / | =xyz', 'POST / | =x');
same('no server', 'location / { proxy_pass http://127.0.0.1:1; } location /e { error_page 502 =200 /down; proxy_pass http://127.0.0.1:1; }'
	. ' location /down { return 200 "down $upstream_status"; }', qw(/ /e));
same('more rewriting', <<"EOT", qw(/a/x /a/x?y=1 /b/x /b/y?k=v /c/1/2/3 /d/A%2fB /e/a+b /f/x?y=1&z=2 /g/ /h/x /i/%25x /j?a=b));
	location /a/ { if (\$arg_y) { rewrite ^/a/(.*)\$ /z/\$1?old=\$arg_y? break; } proxy_pass $B; }
	location /b/ { rewrite ^/b/(?<what>.*)\$ /\$what/\$arg_k? break; proxy_set_header X-What \$what; proxy_pass $B; }
	location ~ ^/c/(\\d)/(\\d)/(\\d)\$ { set \$sum "\$3-\$2-\$1"; rewrite ^/c/(\\d)(.*)\$ /r/\$1 break; proxy_pass $B; proxy_set_header X-Sum \$sum; }
	location /d/ { return 301 \$scheme://\$host\$uri; }
	location /e/ { return 301 \$scheme://\$host\$request_uri; }
	location /f/ { rewrite ^ \$scheme://other.test\$request_uri? permanent; }
	location /g/ { rewrite ^/g/\$ /target last; return 500; }
	location = /target { return 200 "target \$request_uri"; }
	location /h/ { set \$x 1; if (\$x) { set \$x 2; rewrite ^/h/(.*)\$ /target/\$1; } return 200 "x=\$x \$uri"; }
	location /target/ { return 200 "below \$uri x=\$x"; }
	location /i/ { rewrite ^/i/(.*)\$ /o/\$1 break; proxy_pass $B; }
	location /j { rewrite ^/j /k?b=\$arg_a&c=d permanent; }
EOT
same('more error pages', <<"EOT", 'POST /a?code=500 | =body', '/a?code=500', 'POST /b | =body', '/c', '/d?code=502', 'HEAD /a?code=500', '/e');
	location /a { proxy_pass $B; proxy_intercept_errors on; error_page 500 /shown?from=\$uri; }
	location /shown { proxy_pass $B; proxy_set_header X-Status \$upstream_status; }
	location /b { error_page 405 =200 \@as_is; return 405; }
	location \@as_is { proxy_pass $B; }
	location /c { error_page 404 /c2; return 404; }
	location /c2 { return 302 /away; }
	location /d { proxy_pass $B; proxy_intercept_errors on; error_page 502 =503 /busy; }
	location /busy { add_header Retry-After 5 always; return 200 "busy"; }
	location /e { error_page 403 \$scheme://\$host/login?next=\$request_uri; return 403; }
EOT
same('levels', <<"EOT", qw(/ /a /a/b /c));
	proxy_set_header X-Level server;
	add_header X-Add server;
	proxy_hide_header X-Powered-By;
	location / { proxy_pass $B; }
	location /a { proxy_set_header X-More a; add_header X-Add a; proxy_pass $B; location /a/b { proxy_pass $B/deep; } }
	location /c { proxy_pass $B; proxy_hide_header X-None; proxy_redirect off; }
EOT
same('WordPress', <<"EOT", qw(/ /wp-admin/ /wp-content/x.css /xmlrpc.php /.htaccess /feed), 'GET / | Cookie: wordpress_logged_in=1');
	location / {
		proxy_pass http://group;
		proxy_set_header Host \$http_host;
		proxy_set_header X-Real-IP \$remote_addr;
		proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
		proxy_set_header X-Forwarded-Proto \$scheme;
		proxy_buffering on;
		proxy_read_timeout 90s;
	}
	location = /xmlrpc.php { return 403; }
	location ~ /\\.ht { return 403; }
	location ~* \\.(css|js)\$ { proxy_pass http://group; add_header Cache-Control "public"; proxy_hide_header Set-Cookie; }
EOT

# server blocks for both; the name of a server is its number
sub http_block {
	my ($listen, $more) = @_;
	my $text = "http {\n\taccess_log off;\n\ttypes { }\n\t$more\n\tupstream group { server $b; }\n";

	for my $i (0 .. $#cases) {
		my $extra = $cases[$i][0] =~ /^underscores/ ? 'underscores_in_headers on;' : '';
		$text .= "server {\nlisten $listen;\nserver_name s$i.test *.s$i.test;\n$extra\n$cases[$i][1]\n}\n";
	}
	return "$text}\n";
}

sub start_nginx {
	my $dir = tempdir(CLEANUP => 1);
	my $port = free_port();
	my $user = is_root() ? 'user root;' : '';
	my $temp = join ' ', map { "${_}_temp_path $dir/$_;" } qw(client_body proxy fastcgi uwsgi scgi);

	spew("$dir/nginx.conf", "daemon off; $user worker_processes 1; pid $dir/pid; error_log $dir/error.log;\n"
		. "events { }\n" . http_block("127.0.0.1:$port", $temp));
	return peer(name => 'nginx', cmd => [has_program('nginx'), '-c', "$dir/nginx.conf", '-p', $dir, '-e', "$dir/error.log"],
		port => $port, dir => $dir);
}

# The order and the case of a cookie's attributes, and a dot before its domain, mean nothing (RFC 6265 5.2).
sub cookie {
	my ($pair, @attributes) = split /;\s*/, $_[0];

	return join '; ', $pair, sort map { s/^(domain=)\./$1/ir =~ s{^([^=]+)}{lc $1}er } @attributes;
}

# "METHOD target | Name: value | =body | HTTP/1.0", most of it optional
sub ask {
	my ($port, $i, $what) = @_;
	my ($line, @parts) = split / \| /, $what;
	my ($method, $target) = $line =~ /^([A-Z]+) (.*)$/s ? ($1, $2) : ('GET', $line);
	my ($version) = map { m{^HTTP/(.*)} } @parts;
	my ($body) = map { /^=(.*)/s } @parts;
	my @headers = map { /^([^:]+): (.*)$/s ? ("$1" => $2 =~ s/%%NAME%%/s$i/r) : () } @parts;

	push @headers, Host => "s$i.test" unless grep { $_ eq 'Host' } @headers;
	$body //= '' if $method eq 'POST';
	my $r = http_request($port, $target, method => $method, headers => \@headers, body => $body,
		version => $version // '1.1');
	my @lines = ("status $r->{status}");
	for my $name (sort grep { !/^(?:date|connection|keep-alive|transfer-encoding|content-length|server|etag|last-modified
			|accept-ranges|expires)$/x } keys %{ $r->{headers} }) {
		push @lines, map { "$name: " . ($name eq 'set-cookie' ? cookie($_) : $_) } @{ $r->{headers}{$name} };
	}
	my $text = $r->{body} =~ /<html\b/ ? "a page\n" : $r->{body};
	return join("\n", @lines, '', $text) =~ s/\b$port\b/PORT/gr;
}

my $nginx = start_nginx();
my $lbd = Lbd->new(conf => http_block('127.0.0.1:%%PORT_0%%', ''));

for my $i (0 .. $#cases) {
	my ($name, undef, @requests) = @{ $cases[$i] };

	subtest $name => sub {
		for my $what (@requests) {
			my $theirs = ask($nginx->port, $i, $what);

			is ask($lbd->port, $i, $what), $theirs, substr($what, 0, 80);
		}
		plan tests => scalar @requests;
	};
}
$lbd->stop;
done_testing;
