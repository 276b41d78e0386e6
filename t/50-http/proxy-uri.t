#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# proxy_pass with and without a URI part: the request target a server gets.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $server = http_backend(sub { my ($q) = @_; return [200, [], "$q->{target} $q->{headers}{host}[0]"] });
my $a = $server->address;
my $dir = File::Temp::tempdir(CLEANUP => 1);
my $unix = http_backend(sub { my ($q) = @_; return [200, [], "unix $q->{target} $q->{headers}{host}[0]"] },
	unix => "$dir/sock");
chmod 0755, $dir;

my $lbd = Lbd->new(conf => <<"EOT");
http {
	upstream api { server $a; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /plain { proxy_pass http://$a; }
		location /top/ { proxy_pass http://$a/; }
		location /name/ { proxy_pass http://$a/new/; }
		location /noslash { proxy_pass http://$a/new; }
		location /odd/ { proxy_pass http://$a/x?y=; }
		location /group/ { proxy_pass http://api/g/; }
		location = /exact { proxy_pass http://$a/other; }
		location ~ ^/regex/ { proxy_pass http://$a; }
		location /var/ { set \$where api; proxy_pass http://\$where; }
		location /varuri/ { set \$where api; proxy_pass http://\$where/fixed\$uri?a=\$arg_a; }
		location /varaddr/ { set \$where $a; proxy_pass http://\$where; }
		location /varbad/ { set \$where nowhere.invalid; proxy_pass http://\$where; }
		location /varscheme/ { set \$where ftp; proxy_pass \$where://x; }
		location /unix/ { proxy_pass http://unix:$dir/sock; }
		location /unixuri/ { proxy_pass http://unix:$dir/sock:/u/; }
		location /rewritten/ { rewrite ^/rewritten/(.*) /to/\$1; }
		location /to/ { proxy_pass http://$a; }
		location /break/ { rewrite ^/break/(.*) /broken/\$1 break; proxy_pass http://$a/ignored/; }
		location /named/ { error_page 404 = \@named; return 404; }
		location \@named { proxy_pass http://$a; }
	}
}
EOT
my $port = $lbd->port(0);

# what is asked, what the server gets
my @cases = (
	['/plain', '/plain'],
	['/plain/a/../b', '/plain/a/../b'],
	['/plain//x%20y?q=%41&r=/../', '/plain//x%20y?q=%41&r=/../'],
	['/plain?', '/plain?'],
	['/top/', '/'],
	['/top/a/b?c', '/a/b?c'],
	['/top/a%20b', '/a%20b'],
	['/top/a%2fb', '/a/b'],
	['/top/%25', '/%25'],
	['/top/x%3fy', '/x%3Fy'],
	['/top/a/../b/./c//d', '/b/c/d'],
	['/name/a', '/new/a'],
	['/name/?x=%20', '/new/?x=%20'],
	['/noslash/a', '/new/a'],
	['/noslashes', '/newes'],
	['/odd/z', '/x?y=z'],
	['/exact?q', '/other?q'],
	['/regex/A%41', '/regex/A%41'],
	['/var/a%20b?c', '/var/a%20b?c', 'api'],
	['/varuri/a%20b?a=1&b=2', '/fixed/varuri/a%20b?a=1', 'api'],
	['/varuri/a%0d%0aX:%20y?a=1', '/fixed/varuri/a%0D%0AX:%20y?a=1', 'api'],
	['/varaddr/x', '/varaddr/x'],
	['/group/x', '/g/x', 'api'],
	['/rewritten/x%20y?z', '/to/x%20y?z'],
	['/break/x', '/broken/x'],
	['/named/x%20y?z', '/named/x%20y?z'],
);

for (@cases) {
	my ($ask, $want, $host) = @$_;

	is http_get($port, $ask)->{body}, "$want " . ($host // $a), $ask;
}
is http_get($port, '/unix/a?b')->{body}, 'unix /unix/a?b localhost', 'a UNIX socket';
is http_get($port, '/unixuri/a?b')->{body}, 'unix /u/a?b localhost', 'a UNIX socket with a URI';
is http_get($port, '/varbad/')->{status}, 502, 'a name that is neither a group nor an address';
ok $lbd->wait_log(qr/neither an upstream nor an address/), 'is explained';
is http_get($port, '/varscheme/')->{status}, 500, 'a scheme that is not http';

my $r = http_parse(http_raw($port, "GET http://other.example:81/plain/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
is $r->{body}, "/plain/x?y $a", 'an absolute-form target is forwarded in origin-form';
$r = http_parse(http_raw($port, "GET http://other.example HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
is $r->{status}, 404, 'and without a path it is /';

$lbd->stop;
done_testing;
