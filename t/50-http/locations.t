#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Paths to locations, as a client sees them: normalised paths, nesting, internal ones, the slash.

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
		location = / { return 200 "root"; }
		location / { return 200 "slash $uri"; }
		location /doc/ {
			location /doc/deep/ { return 200 "deep"; }
			location ~ \.txt$ { return 200 "text"; }
			return 200 "doc";
		}
		location ^~ /img/ { return 200 "img"; }
		location ~* \.(gif|jpg)$ { return 200 "picture $1"; }
		location ~ ^/user/(?<name>[a-z]+)/(\d+)$ { return 200 "$name $2 $1"; }
		location "/a b" { return 200 "blank"; }
		location /secret/ { internal; return 200 "secret"; }
		location /open/ { rewrite ^/open/(.*)$ /secret/$1 last; }
		location /pass/ { proxy_pass http://127.0.0.1:%%PORT_1%%; }
		location /empty/ { }
		location @named { return 200 "named"; }
		location /tonamed { error_page 418 = @named; return 418; }
		location /redirected/ { internal_redirect $arg_to; }
	}
	server {
		listen 127.0.0.1:%%PORT_2%%;
		merge_slashes off;
		location /a/b { return 200 "one"; }
		location /a//b { return 200 "two"; }
	}
	server { listen 127.0.0.1:%%PORT_3%%; }
}
EOT

sub gets {
	my ($target, $status, $body, $port) = @_;
	my $r = http_get($lbd->port($port // 0), $target);

	is($r->{status}, $status, "$target is answered with $status");
	is($r->{body}, $body, "$target gives \"$body\"") if defined $body;
}

gets(@$_) for (
	['/', 200, 'root'], ['/x', 200, 'slash /x'], ['/?q', 200, 'root'],
	['/doc/', 200, 'doc'], ['/doc', 200, 'slash /doc'], ['/doc/deep/x', 200, 'deep'],
	['/doc/a.txt', 200, 'text'], ['/doc/deep/a.txt', 200, 'text'], ['/doc/a.gif', 200, 'picture gif'],
	['/img/a.gif', 200, 'img'], ['/A.JPG', 200, 'picture JPG'],
	['/user/ann/12', 200, 'ann 12 ann'], ['/user/ann/x', 200, 'slash /user/ann/x'],
	['/user/ann/12?a=/x', 200, 'ann 12 ann'],
	# what is searched is the normalised path
	['/a%20b', 200, 'blank'], ['//doc//deep//', 200, 'deep'], ['/x/../doc/deep/', 200, 'deep'],
	['/%64oc/deep/', 200, 'deep'], ['/doc/deep/..', 200, 'doc'], ['/doc%2Fdeep/', 200, 'deep'],
	['/%2564oc/', 200, 'slash /%64oc/'],
	['http://localhost/doc/deep/', 200, 'deep'],
	# refused
	['/..', 400], ['/doc/../../x', 400], ['/%00', 400], ['/%zz', 400],
	# internal
	['/secret/x', 404], ['/open/x', 200, 'secret'], ['/tonamed', 200, 'named'],
	['/@named', 200, 'slash /@named'], ['/empty/', 404],
	['/redirected/?to=/doc/', 200, 'doc'], ['/redirected/?to=@named', 200, 'named'],
	['/redirected/', 404], ['/redirected/?to=/redirected/', 404],
	['/redirected/?to=nowhere', 500], ['/redirected/?to=/secret/', 200, 'secret'],
);
gets('/a/b', 200, 'one', 2);
gets('/a//b', 200, 'two', 2);
gets('/', 404, undef, 3);

# a location that proxies and ends in a slash
my $r = http_get($lbd->port(0), '/pass');
is($r->{status}, 301, 'the slash is added');
is(header($r, 'Location'), 'http://localhost:' . $lbd->port(0) . '/pass/', 'and nothing else');
is(header(http_get($lbd->port(0), '/pass?a=b'), 'Location'), 'http://localhost:' . $lbd->port(0) . '/pass/?a=b',
	'arguments stay');
is(http_get($lbd->port(0), '/pass/')->{status}, 502, 'with the slash it proxies');
is(http_get($lbd->port(0), '/passage')->{status}, 200, 'a longer name is another one');

$lbd->stop;
done_testing;
