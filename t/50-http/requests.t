#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What is a request and what is not: request line, fields, Host, target.  A refused one gets its status, one
# answer, and a closed connection, whatever follows it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $lbd = Lbd->new(conf => <<'EOT');
http {
	server {
		listen 127.0.0.1:%%PORT_0%% default_server;
		server_name default;
		location / { return 200 "$server_name|$host|$uri|$args\n"; }
	}
	server {
		listen 127.0.0.1:%%PORT_0%%;
		server_name named.example *.wild.example;
		location / { return 200 "named|$host|$uri|$args\n"; }
	}
	server {
		listen 127.0.0.1:%%PORT_1%%;
		merge_slashes off;
		location / { return 200 "$uri\n"; }
	}
	server {
		listen 127.0.0.1:%%PORT_2%%;
		underscores_in_headers on;
		location / { return 200 "[$http_x_y]\n"; }
	}
	server {
		listen 127.0.0.1:%%PORT_3%%;
		location / { return 200 "[$http_x_y]\n"; }
	}
	server {
		listen 127.0.0.1:%%PORT_4%%;
		ignore_invalid_headers off;
		location / { return 200 "[$http_x_y]\n"; }
	}
}
EOT
my $next = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";

# as they are, whole
my @refused = (
	['LF ends the line', "GET / HTTP/1.1\nHost: a\r\n\r\n"],
	['LF ends a field', "GET / HTTP/1.1\r\nHost: a\n\r\n"],
	['LF ends the head', "GET / HTTP/1.1\r\nHost: a\r\n\n"],
	['CR ends the line', "GET / HTTP/1.1\rHost: a\r\n\r\n"],
	['CR in a value', "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"],
	['LF in a value', "GET / HTTP/1.1\r\nHost: a\r\nX: a\nb: c\r\n\r\n"],
	['NUL in a value', "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"],
	['DEL in a value', "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n"],
	['two empty lines first', "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
	['a blank first', " GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
	['two blanks before the target', "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"],
	['two blanks before the version', "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"],
	['tab before the version', "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"],
	['tab before the target', "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"],
	['blank after the version', "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"],
	['blank in the target', "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"],
	['no version', "GET /\r\nHost: a\r\n\r\n"],
	['empty version', "GET / \r\nHost: a\r\n\r\n"],
	['no target', "GET HTTP/1.1\r\nHost: a\r\n\r\n"],
	['a method alone', "GET\r\nHost: a\r\n\r\n"],
	['method not a token', "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"],
	['TLS', "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
	['PROXY header', "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
	['a response', "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n"],
	['fragment', "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n"],
	['NUL in the target', "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"],
	['DEL in the target', "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"],
	['no name', "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"],
	['blank before the colon', "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
	['tab before the colon', "GET / HTTP/1.1\r\nHost: a\r\nX\t: a\r\n\r\n"],
	['blank in a name', "GET / HTTP/1.1\r\nHost: a\r\nX y: a\r\n\r\n"],
	['first field folded', "GET / HTTP/1.1\r\n Host: a\r\n\r\n"],
	['folded with a blank', "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"],
	['folded with a tab', "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n"],
	['a line of blanks', "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n"],
	['no colon', "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"],
	['bracket in a name', "GET / HTTP/1.1\r\nHost: a\r\nX[y]: a\r\n\r\n"],
	['NUL in a name', "GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n"],
	['8 bit in a name', "GET / HTTP/1.1\r\nHost: a\r\n\xe4: a\r\n\r\n"],
	['version without a name', "GET / /1.1\r\nHost: a\r\n\r\n"],

	['no Host', "GET / HTTP/1.1\r\nX: a\r\n\r\n"],
	['no field at all', "GET / HTTP/1.1\r\n\r\n"],
	['no Host, absolute form', "GET http://a/ HTTP/1.1\r\nX: a\r\n\r\n"],
	['two Hosts', "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
	['two equal Hosts', "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"],
	['two Hosts, absolute form', "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"],
	(map { ["Host \"$_\"", "GET / HTTP/1.1\r\nHost: $_\r\n\r\n"] } 'a b', 'a,b', 'a/b', 'a\\b', 'u@a', 'a?b', 'a#b',
		'a:b', 'a:80:80', 'a:65536', 'a:-1', 'a: 80', 'a..b', '.a', '.', '[::1', '::1', '[::1]a', '[v1.a]', '[::g]',
		'[]', ':80', 'a%2eb', '"a"', '<a>', "\xe4"),
	['bad Host, absolute form', "GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n"],

	(map { ["target \"$_\"", "GET $_ HTTP/1.1\r\nHost: a\r\n\r\n"] } 'a', '*', '?', 'a:80', 'ftp://a/',
		'http:', 'http:/', 'http:a', 'http://', 'http:///', 'http://u@a/', 'http://a b/', 'http://a:b/', 'http://[::1/',
		'http://a:99999/', '/%', '/%2', '/%zz', '/%00', '/a%00b', '/..', '/../', '/../a', '/a/../..', '/%2e%2e',
		'/.%2E/a', '/a/%2e%2e/%2e%2e/', '/..%2fa', 'http://a/../'),
	['asterisk with a query', "OPTIONS *?a HTTP/1.1\r\nHost: a\r\n\r\n"],
);

for (@refused) {
	my ($name, $bytes) = @$_;
	my ($closed, @r) = http_answers($lbd->port, $bytes . $next);
	is(join(' ', $closed, map { $_->{status} } @r), '1 400', "refused: $name");
	is(header($r[0] // {}, 'Connection'), 'close', 'and says that it closes');
}

# request => server|host|uri|args
sub gives {
	my ($name, $bytes, $body, $port) = @_;
	my ($closed, @r) = http_answers($lbd->port($port // 0), $bytes);

	$bytes = join '', @$bytes if ref $bytes;
	$bytes =~ s/\r\n/ /g;
	is(join(' ', $closed, map { $_->{status} } @r), '1 200', "$name: $bytes");
	is($r[0]{body}, "$body\n", "is $body");
}

my $close = "Connection: close\r\n\r\n";

# target, path
gives('target', "GET $_->[0] HTTP/1.1\r\nHost: a\r\n$close", "default|a|$_->[1]") for (
	['/', '/|'], ['//', '/|'], ['///a//b//', '/a/b/|'], ['/?', '/|'], ['/?a=b', '/|a=b'], ['/a?b?c', '/a|b?c'],
	['/a?//../%00', '/a|//../%00'], ['/%41', '/A|'], ['/%2f', '/|'], ['/a%2Fb', '/a/b|'], ['/a%2f%2fb', '/a/b|'],
	['/a/./b', '/a/b|'], ['/a/../b', '/b|'], ['/a/b/..', '/a/|'], ['/a/.', '/a/|'], ['/a/%2e%2E/b', '/b|'],
	['/a//../b', '/b|'], ['/...', '/...|'], ['/.a', '/.a|'], ['/a.', '/a.|'], ['/%25', '/%|'], ['/%252e', '/%2e|'],
	['/a;b=c', '/a;b=c|'], ["/\xe4", "/\xe4|"], ['/a%20b', '/a b|'], ['/a+b', '/a+b|'], ['/"<>', '/"<>|'],
);
gives('merge_slashes off', "GET $_->[0] HTTP/1.1\r\nHost: a\r\n$close", $_->[1], 1) for (
	['//', '//'], ['/a//b', '/a//b'], ['/a%2f%2fb', '/a//b'], ['/a//../b', '/a/b'], ['/a/./b', '/a/b'],
);

# absolute form: its host counts
gives('absolute form', "GET $_->[0] HTTP/1.1\r\nHost: other\r\n$close", $_->[1]) for (
	['http://a/', 'default|a|/|'], ['http://a', 'default|a|/|'], ['http://a?b', 'default|a|/|b'],
	['http://a:8080/x', 'default|a|/x|'], ['HTTP://A/x', 'default|a|/x|'], ['https://a/x', 'default|a|/x|'],
	['http://named.example/x', 'named|named.example|/x|'], ['http://[::1]:80/x', 'default|[::1]|/x|'],
	['http://a//b', 'default|a|/b|'],
);

# Host
gives('Host', "GET / HTTP/1.1\r\nHost:$_->[0]\r\n$close", $_->[1]) for (
	[' a', 'default|a|/|'], ['a', 'default|a|/|'], ["\t a \t", 'default|a|/|'], [' A.Example', 'default|a.example|/|'],
	[' a:80', 'default|a|/|'], [' a:', 'default|a|/|'], [' a.', 'default|a|/|'], [' named.example', 'named|named.example|/|'],
	[' NAMED.example.:81', 'named|named.example|/|'], [' x.wild.example', 'named|x.wild.example|/|'],
	[' 127.0.0.1', 'default|127.0.0.1|/|'], [' [::1]', 'default|[::1]|/|'], [' [::ffff:1.2.3.4]:80', 'default|[::ffff:1.2.3.4]|/|'],
	[' a_b', 'default|a_b|/|'],
);
gives('no Host in 1.0', "GET / HTTP/1.0\r\n\r\n", 'default|default|/|');
gives('empty Host', "GET / HTTP/1.1\r\nHost:\r\n$close", 'default|default|/|');

# fields
gives('one empty line first', "\r\nGET / HTTP/1.1\r\nHost: a\r\n$close", 'default|a|/|');
gives('empty value', "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t \r\n$close", 'default|a|/|');
gives('tab and 8 bit in a value', "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb \xe4\r\n$close", 'default|a|/|');
gives('underscore is dropped', "GET / HTTP/1.1\r\nHost: a\r\nX_Y: v\r\n$close", '[]', 3);
gives('underscores_in_headers on', "GET / HTTP/1.1\r\nHost: a\r\nX_Y: v\r\n$close", '[v]', 2);
gives('ignore_invalid_headers off', "GET / HTTP/1.1\r\nHost: a\r\nX_Y: v\r\n$close", '[v]', 4);
gives('odd names are dropped', "GET / HTTP/1.1\r\nHost: a\r\nX.Z: v\r\n!#\$%&'*+.^`|~: v\r\nX-Y: w\r\n$close", '[w]', 3);
gives('or kept', "GET / HTTP/1.1\r\nHost: a\r\nX.Z: v\r\n!#\$%&'*+.^`|~: v\r\nX-Y: w\r\n$close", '[w]', 4);

# a head that comes byte by byte
my $slow = "POST /a/../b?c HTTP/1.1\r\nHost: named.example\r\nX: y z\r\nContent-Length: 3\r\n${close}abc";
gives('byte by byte', [split //, $slow], 'named|named.example|/b|c');

is_deeply([grep { /\[(?:warn|error|crit)\]/ } split /\n/, $lbd->log], [],
	'nothing of it is worth a warning');
$lbd->stop;
done_testing;
