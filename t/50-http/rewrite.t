#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# rewrite, set, if, break: in order, with captures and arguments.

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
		set $who server;
		if ($arg_who) { set $who $arg_who; }
		if ($arg_stop = yes) { return 202 "stopped"; }
		rewrite ^/srv/(.*)$ /t/$1;
		rewrite ^/srvbreak/(.*)$ /t2/$1 break;
		rewrite ^/srvlast/(.*)$ /t/$1?last=1 last;
		rewrite ^/t/x$ /t/second;
		location /t/ { return 200 "$uri [$args] $who"; }
		location /t2/ { rewrite ^ /t/from2; }
		location /args/ { rewrite ^/args/(.*)/(.*)$ /t/$2?a=$1; }
		location /noargs/ { rewrite ^/noargs/(.*)$ /t/$1? last; return 500; }
		location /mixed/ { rewrite ^/mixed/(.*)$ /t/$1?b=1?; }
		location /chain/ { rewrite ^/chain/(.*)$ /one/$1; rewrite ^/one/(.*)$ /t/two-$1; }
		location /break/ { rewrite ^/break/(.*)$ /kept/$1 break; return 200 "not reached"; }
		location /breakset/ { set $a 1; break; return 200 "not reached"; }
		location /redirect/ { rewrite ^/redirect/(.*)$ /new/$1 redirect; }
		location /permanent/ { rewrite (?s)^/permanent/(.*)$ http://z.test/$1 permanent; }
		location /url/ { rewrite ^/url/(.*)$ https://z.test/$1?q=$1; }
		location /urlnoargs/ { rewrite ^/urlnoargs/(.*)$ $scheme://z.test/$1? permanent; }
		location /loop/ { rewrite ^ /loop/x last; }
		location /long/ { rewrite ^/long/x(.*)$ /long/$1 last; return 200 "$uri"; }
		location /nomatch/ { rewrite ^/other/ /t/; return 200 "nomatch"; }
		location /named/ { rewrite "^/named/(?<id>\d{1,3})$" /shown/$id; }
		location /shown/ { return 200 "$id $uri"; }
		location /empty/ { rewrite ^ $arg_to; }
		location /captures/ { if ($arg_x ~ "^(.)(.)") { set $two $2$1; } return 200 "$two|$1"; }
		location /if/ {
			set $r "";
			if ($arg_a = b) { set $r "${r}eq "; }
			if ($arg_a != b) { set $r "${r}ne "; }
			if ($arg_a ~ ^B(.*)) { set $r "${r}re:$1 "; }
			if ($arg_a ~* ^B(.*)) { set $r "${r}rei:$1 "; }
			if ($arg_a !~ ^B) { set $r "${r}nre "; }
			if ($arg_a !~* ^B) { set $r "${r}nrei "; }
			if ($arg_a) { set $r "${r}true "; }
			if ( $arg_a = "" ) { set $r "${r}empty "; }
			return 200 "$r";
		}
		location /files/ {
			set $r "";
			if (-f %%DIR%%/conf/lbd.conf) { set $r "${r}f "; }
			if (!-f %%DIR%%/conf) { set $r "${r}!f "; }
			if (-d %%DIR%%/conf) { set $r "${r}d "; }
			if (!-d %%DIR%%/none) { set $r "${r}!d "; }
			if (-e %%DIR%%/conf) { set $r "${r}e "; }
			if (!-e %%DIR%%/none) { set $r "${r}!e "; }
			if (-x /bin/sh) { set $r "${r}x "; }
			if (!-x %%DIR%%/conf/lbd.conf) { set $r "${r}!x "; }
			if (-f %%DIR%%/conf/$arg_name) { set $r "${r}var "; }
			return 200 "$r";
		}
		location /ifreturn/ {
			if ($request_method = POST) { return 405; }
			if ($http_x_move) { rewrite ^/ifreturn/(.*)$ /t/moved-$1 last; }
			return 200 "stayed";
		}
		location /ifheader/ {
			if ($arg_a) { add_header X-Inner yes; }
			add_header X-Outer yes;
			return 200 "ok";
		}
		location /ifpass/ {
			proxy_pass http://127.0.0.1:%%PORT_0%%/t/passed-;
			if ($arg_a) { set $r 1; }
		}
		location /setargs/ { set $args "new=1"; rewrite ^/setargs/(.*)$ /t/$1; }
		location /logged/ { rewrite_log on; rewrite ^/logged/(.*)$ /t/$1; }
	}
}
EOT
my $port = $lbd->port(0);

sub body_is {
	my ($target, $want, %o) = @_;

	is(http_request($port, $target, %o)->{body}, $want, "$target gives \"$want\"");
}

body_is(@$_) for (
	['/t/a', '/t/a [] server'], ['/t/a?who=me', '/t/a [who=me] me'], ['/any?stop=yes', 'stopped'],
	['/srv/a?b=c', '/t/a [b=c] server'], ['/srv/x', '/t/second [] server'],
	['/srvlast/x?b=c', '/t/x [last=1&b=c] server'], ['/srvbreak/a', '/t/from2 [] server'],
	['/args/a/b?c=d', '/t/b [a=a&c=d] server'], ['/args/a%20%26/b', '/t/b [a=a%20%26] server'],
	['/args/a/b', '/t/b [a=a] server'], ['/noargs/a?c=d', '/t/a [] server'],
	['/mixed/a?c=d', '/t/a [b=1] server'], ['/chain/a', '/t/two-a [] server'],
	['/nomatch/a', 'nomatch'], ['/named/12', '12 /shown/12'],
	['/long/xxxxxa', '/long/a'],
	['/captures/?x=abc', 'ba|a'], ['/captures/?x=a', '|'],
	['/if/', 'ne nre nrei empty '], ['/if/?a=b', 'eq rei: nre true '], ['/if/?a=Bc', 'ne re:c rei:c true '],
	['/if/?a=0', 'ne nre nrei '], ['/if/?a=x', 'ne nre nrei true '],
	['/files/?name=lbd.conf', 'f !f d !d e !e x !x var '], ['/files/?name=none', 'f !f d !d e !e x !x '],
	['/ifreturn/a', 'stayed'], ['/ifreturn/a', '/t/moved-a [] server', headers => ['X-Move' => 1]],
	['/setargs/a?b=c', '/t/a [new=1] server'], ['/t/plain?b=c', '/t/plain [b=c] server'],
	['/logged/a', '/t/a [] server'],
);
is(http_request($port, '/ifreturn/', method => 'POST', body => 'x')->{status}, 405, 'return inside if');
is(http_get($port, "/$_->[0]")->{status}, $_->[1], "/$_->[0]: $_->[1]")
	for ['break/a', 404], ['breakset/', 404], ['loop/', 500], ['named/1234', 404], ['empty/', 500],
	['long/' . 'x' x 11, 500], ['long/' . 'x' x 10, 200];
ok($lbd->wait_log(qr/more than 10 internal redirects or rewrites/), 'a loop is logged');
ok($lbd->wait_log(qr{\[notice\].*"/logged/a" rewritten to "/t/a"}), 'rewrite_log');

for (['/redirect/a%20b%3Fc?d=e', 302, "http://localhost:$port/new/a%20b%3Fc?d=e"],
	['/permanent/a?b=c', 301, 'http://z.test/a?b=c'], ['/url/a%26?b=c', 302, 'https://z.test/a&?q=a%26&b=c'],
	['/urlnoargs/a?b=c', 301, 'http://z.test/a'], ['/permanent/%0d%0aX', 301, 'http://z.test/%0D%0AX']) {
	my ($target, $status, $location) = @$_;
	my $r = http_get($port, $target);

	is($r->{status}, $status, "$target: status");
	is(header($r, 'Location'), $location, "$target: location");
}

# the block of a true condition is the location from then on
my $r = http_get($port, '/ifheader/');
is_deeply([header($r, 'X-Inner'), header($r, 'X-Outer')], [undef, 'yes'], 'condition false: the outer settings');
$r = http_get($port, '/ifheader/?a=1');
is_deeply([header($r, 'X-Inner'), header($r, 'X-Outer')], ['yes', undef], 'condition true: those of the block');
body_is('/ifpass/a', '/t/passed-a [] server');
body_is('/ifpass/a?a=1', '/t/passed-a [a=1] server');

$lbd->stop;
done_testing;
