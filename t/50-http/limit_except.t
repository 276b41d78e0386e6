#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# limit_except: other settings for other methods.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my ($first, $second) = map { my $name = $_; http_backend(sub { [200, [], "$name $_[0]{method} " . header($_[0], 'x-a')] }) } qw(one two);
my ($one, $two) = map { 'proxy_pass http://' . $_->address . ';' } $first, $second;
my $lbd = Lbd->new(conf => <<"EOT");
http {
	access_log logs/all.log;
	proxy_set_header X-A b;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { $one limit_except GET { $two } }
		location /post { $one limit_except GET POST purge { $two } }
		location /same { $one limit_except GET { access_log off; } }
		location /return { return 200 "return"; limit_except GET { $two } }
		location /internal { internal; $one limit_except GET { $two } }
		location /to { error_page 418 = \@named; return 418; }
		location \@named { $one limit_except GET { $two } }
		location /outer/ { $one limit_except GET { $two } location /outer/inner { $one } }
	}
}
EOT

sub ask { return http_request($lbd->port, $_[1], method => $_[0], $_[0] eq 'POST' ? (body => 'x') : ())->{body} }

is ask('GET', '/'), 'one GET b', 'a method that is listed';
is http_request($lbd->port, '/', method => 'HEAD')->{status}, 200, 'GET means HEAD, too';
is ask('POST', '/'), 'two POST b', 'another one';
is ask('get', '/'), 'two get b', 'names have a case';
is ask('POST', '/post'), 'one POST b', 'a list';
is ask('PURGE', '/post'), 'one PURGE b', 'of any methods';
is ask('PUT', '/post'), 'two PUT b', 'and what is not on it';
is ask('DELETE', '/same'), 'one DELETE b', 'a block that says nothing else';
is ask('GET', '/return'), 'return', 'return for those listed';
is ask('POST', '/return'), 'two POST b', 'does not run for others';
is http_request($lbd->port, '/internal', method => $_)->{status}, 404, "$_: an internal location stays internal" for qw(GET PUT);
is ask('POST', '/to'), 'two POST b', 'in a named location';
is ask('POST', '/outer/x'), 'two POST b', 'a location';
is ask('POST', '/outer/inner'), 'one POST b', 'a location in it is not concerned';
ok wait_for(sub { $lbd->log('all.log') =~ m{POST /outer/inner} }), 'the access log';
unlike $lbd->log('all.log'), qr/DELETE/, 'not of a method that has none';

$lbd->stop;
done_testing;
