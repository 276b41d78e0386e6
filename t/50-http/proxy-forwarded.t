#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# proxy_forwarded: what servers are told about the client, and that clients cannot say it themselves.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $server = http_backend(sub {
	my ($q) = @_;

	return [200, [], join '', map { my $n = $_; map { "$n: $_\n" } @{ $q->{headers}{$n} } }
		grep { /^(?:x-.*|forwarded)$/ } sort keys %{ $q->{headers} }];
});
my $to = 'proxy_pass http://' . $server->address . ';';
my $lbd = Lbd->new(conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		listen [::1]:%%PORT_0%%;
		listen unix:%%DIR%%/s;
		proxy_forwarded both;
		location /both { $to }
		location /x { proxy_forwarded x-forwarded; $to }
		location /rfc { proxy_forwarded rfc7239; $to }
		location /off { proxy_forwarded off; $to }
		location /own { proxy_set_header X-Real-IP ""; proxy_set_header X-Forwarded-Host mine; $to }
		location /outer {
			proxy_set_header X-Own 1;
			proxy_set_header X-Forwarded-For "\$proxy_add_x_forwarded_for";
			location /outer/off { proxy_forwarded off; $to }
			location /outer/merge { proxy_set_header_inherit merge; proxy_set_header X-More 2; $to }
			location /outer/same { $to }
		}
	}
}
EOT
my $port = $lbd->port;
my @lies = ('X-Forwarded-For' => '6.6.6.6', 'X-Forwarded-Proto' => 'gopher', 'X-Forwarded-Host' => 'evil.test', 'X-Forwarded-Port' => 1,
	'X-Real-IP' => '6.6.6.6', Forwarded => 'for=6.6.6.6');
my $x = "x-forwarded-for: 127.0.0.1\nx-forwarded-host: a.test\nx-forwarded-port: $port\nx-forwarded-proto: http\nx-real-ip: 127.0.0.1\n";
my $rfc = "forwarded: for=127.0.0.1;host=a.test;proto=http\n";

sub told { return http_get($port, $_[0], Host => $_[1] // 'a.test', @_[2 .. $#_])->{body} }

is told('/both'), "$rfc$x", 'both';
is told('/both', 'a.test', @lies), "$rfc$x", 'what the client says is replaced';
is told('/x'), $x, 'x-forwarded';
like told('/x', 'a.test', @lies), qr/^forwarded: for=6\.6\.6\.6\n\Q$x\E$/, 'leaves the other field alone';
is told('/rfc'), $rfc, 'rfc7239';
is told('/off'), '', 'off: nothing';
is scalar(() = told('/off', 'a.test', @lies) =~ /^\S+: /mg), 6, 'off: the client may say what it likes';
is told('/own', 'a.test', @lies), $rfc . ($x =~ s/^x-real-ip.*\n//mr =~ s/^(x-forwarded-host:).*/$1 mine/mr), 'proxy_set_header wins';
is told('/outer/off', 'a.test'), "x-forwarded-for: 127.0.0.1\nx-own: 1\n", 'lines of an outer level without the preset';
is told('/outer/same', 'a.test', 'X-Forwarded-For' => '1.2.3.4'), $rfc . ($x =~ s/: 127/: 1.2.3.4, 127/r =~ s/(?=x-real)/x-own: 1\n/r),
	'lines of an outer level with it';
is told('/outer/merge'), $rfc . ($x =~ s/(?=x-real)/x-more: 2\nx-own: 1\n/r), 'merged lines with it';
like told('/rfc', "a.test:$port"), qr/;host="a\.test:$port";/, 'a port makes the host a quoted string';
like http_get("[::1]:$port", '/rfc')->{body}, qr/^forwarded: for="\[::1\]";/, 'so does IPv6';
like http_get('unix:' . $lbd->dir . '/s', '/rfc')->{body}, qr/^forwarded: for=unknown;/, 'nobody knows who is behind a UNIX socket';
unlike http_request($port, '/both', version => '1.0', headers => [Host => ''])->{body}, qr/host[=:]/, 'a request without a host';

$lbd->stop;
done_testing;
