#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What a server gets to see of a request's fields, and a client of a response's.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $server = http_backend(sub {
	my ($q) = @_;

	return [200, ['X-Head' => unpack('H*', $q->{head})], $q->{body}] if $q->{target} =~ m{^/(?!reply)};
	return [200, [
		'Date' => 'Sun, 06 Nov 1994 08:49:37 GMT', 'Server' => 'secret/1', 'X-Pad' => 'p', 'X-Powered-By' => 'x',
		'X-Accel-Expires' => '5', 'Connection' => 'X-Hop', 'X-Hop' => 'h', 'Keep-Alive' => 'timeout=5',
		'Proxy-Connection' => 'close', 'Upgrade' => 'h2c', 'X-End' => 'e', 'Set-Cookie' => 'a=b',
		'Set-Cookie' => 'c=d', 'ETag' => '"x"',
	], 'body'];
});
my $a = $server->address;

my $lbd = Lbd->new(conf => <<"EOT");
http {
	proxy_set_header X-Outer outer;
	proxy_set_header X-Both outer;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /inherit { proxy_pass http://$a; }
		location /own {
			proxy_pass http://$a;
			proxy_set_header X-Own own;
		}
		location /merge {
			proxy_pass http://$a;
			proxy_set_header_inherit merge;
			proxy_set_header X-Both inner;
			proxy_set_header X-Own own;
		}
		location /off { proxy_pass http://$a; proxy_set_header_inherit off; }
		location /usual {
			proxy_pass http://$a;
			proxy_set_header Host \$http_host;
			proxy_set_header X-Real-IP \$remote_addr;
			proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto \$scheme;
			proxy_set_header Connection "";
			proxy_set_header Accept-Encoding "";
			proxy_set_header X-Target \$proxy_host/\$proxy_port;
		}
		location /emptyhost { proxy_pass http://$a; proxy_set_header Host \$http_none; }
		location /split { proxy_pass http://$a; proxy_set_header X-Uri \$uri; }
		location /close { proxy_pass http://$a; proxy_set_header Connection close; }
		location /odd { proxy_pass http://$a; proxy_set_header Connection \$http_connection; }
		location /bare { proxy_pass http://$a; proxy_pass_request_headers off; }
		location /http10 { proxy_pass http://$a; proxy_http_version 1.0; }
		location /method { proxy_pass http://$a; proxy_method PUT; }
		location /setbody { proxy_pass http://$a; proxy_set_body "uri=\$uri"; }
		location /nobody { proxy_pass http://$a; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
		location /reply { proxy_pass http://$a; }
		location /reply/pass { proxy_pass http://$a; proxy_pass_header Server; proxy_pass_header Date; proxy_pass_header X-Accel-Expires; }
		location /reply/hide { proxy_pass http://$a; proxy_hide_header X-Powered-By; proxy_hide_header ETag; }
	}
}
EOT
my $port = $lbd->port(0);

# The head the server got.
sub seen {
	my ($target, %o) = @_;
	my $r = http_request($port, $target, %o);

	return pack('H*', header($r, 'X-Head') // '') || "status $r->{status}";
}

my $head = seen('/inherit', headers => ['X-Client' => 'c', 'X-Outer' => 'client', 'Accept' => '*/*']);
is $head, "GET /inherit HTTP/1.1\r\nHost: $a\r\nX-Outer: outer\r\nX-Both: outer\r\nX-Client: c\r\n" .
	"Accept: */*\r\n\r\n", 'the request line, Host, set fields, the client\'s';

like seen('/own'), qr/X-Own: own/, 'a level with lines of its own';
unlike seen('/own'), qr/X-Outer/, 'has only those';
$head = seen('/merge');
like $head, qr/X-Both: inner/, 'merge: the inner value';
like $head, qr/X-Outer: outer/, 'merge: what only the outer level has';
unlike $head, qr/X-Both: outer/, 'merge: nothing twice';
unlike seen('/off'), qr/X-Outer/, 'off: nothing is inherited';

$head = seen('/usual', headers => [Host => 'name.example:81', 'X-Forwarded-For' => '1.1.1.1', 'X-Forwarded-For' => '2.2.2.2',
	'Accept-Encoding' => 'gzip', 'X-Real-IP' => '6.6.6.6']);
like $head, qr/^Host: name\.example:81\r$/m, '$http_host';
like $head, qr/^X-Real-IP: 127\.0\.0\.1\r$/m, '$remote_addr replaces the client\'s';
unlike $head, qr/6\.6\.6\.6/, 'which is gone';
like $head, qr/^X-Forwarded-For: 1\.1\.1\.1, 2\.2\.2\.2, 127\.0\.0\.1\r$/m, '$proxy_add_x_forwarded_for';
is scalar(() = $head =~ /X-Forwarded-For/g), 1, 'once';
like $head, qr/^X-Forwarded-Proto: http\r$/m, '$scheme';
unlike $head, qr/Accept-Encoding|Connection/, 'an empty value removes';
my ($p) = $a =~ /(\d+)$/;
like $head, qr{^X-Target: \Q$a\E/$p\r$}m, '$proxy_host, $proxy_port';
like seen('/emptyhost'), qr/^Host: \Q$a\E\r$/m, 'an empty Host falls back';

is seen('/split/%0d%0aX-Evil:%20yes'), 'status 500', 'no CR LF by way of a variable';
ok $lbd->wait_log(qr/proxy_set_header "X-Uri" holds CR, LF or NUL/), 'and it is logged';

$head = seen('/inherit', headers => ['Connection' => 'close, X-Secret, TE', 'X-Secret' => 's', 'Keep-Alive' => '5',
	'Proxy-Connection' => 'x', 'TE' => 'trailers', 'Trailer' => 'X', 'Upgrade' => 'h2c',
	'Proxy-Authorization' => 'p', 'Cookie' => 'c=d']);
unlike $head, qr/Secret|Keep-Alive|Proxy-Connection|^TE|Trailer|Upgrade|Connection/im, 'what is for one hop ends here';
like $head, qr/Proxy-Authorization: p\r\nCookie: c=d/, 'the rest goes on';
like seen('/close'), qr/^Connection: close\r$/m, 'Connection: close can be set';
$head = seen('/odd', headers => ['Connection' => 'X-Forwarded-For, close', 'X-Forwarded-For' => '9']);
unlike $head, qr/^Connection: .*X-Forwarded-For/m, 'but no other token gets into it';

is seen('/bare', headers => ['X-Client' => 'c', 'Cookie' => 'd']) =~ /X-Client|Cookie/, '', 'proxy_pass_request_headers off';
like seen('/http10'), qr{^GET /http10 HTTP/1\.0\r\n.*Connection: close\r\n}s, 'HTTP/1.0 closes';
like seen('/method', method => 'POST', body => 'abc'), qr{^PUT /method HTTP/1\.1\r\n.*Content-Length: 3\r\n}s, 'proxy_method';
my $r = http_request($port, '/setbody', method => 'POST', body => 'abcdef');
is $r->{body}, 'uri=/setbody', 'proxy_set_body';
like pack('H*', header($r, 'X-Head')), qr/^Content-Length: 12\r$/m, 'with its own length';
$r = http_request($port, '/nobody', method => 'POST', body => 'abcdef');
is $r->{body}, '', 'proxy_pass_request_body off';
unlike pack('H*', header($r, 'X-Head')), qr/Content-Length|Transfer-Encoding/, 'and no length';
like seen('/inherit', method => 'POST', body => ''), qr/^Content-Length: 0\r$/m, 'an empty body keeps its length';

$r = http_get($port, '/reply');
is header($r, 'X-End'), 'e', 'response fields pass';
is_deeply $r->{headers}{'set-cookie'}, ['a=b', 'c=d'], 'all of a name, in order';
is header($r, $_), undef, "$_ does not" for qw(X-Pad X-Accel-Expires X-Hop Keep-Alive Proxy-Connection Upgrade);
unlike $r->{head}, qr/secret|1994/, 'Server and Date are lbd\'s';
$r = http_get($port, '/reply/pass');
is_deeply $r->{headers}{server}, ['secret/1'], 'proxy_pass_header Server, once';
is_deeply $r->{headers}{date}, ['Sun, 06 Nov 1994 08:49:37 GMT'], 'proxy_pass_header Date, once';
is header($r, 'X-Accel-Expires'), 5, 'proxy_pass_header X-Accel-Expires';
$r = http_get($port, '/reply/hide');
is header($r, $_), undef, "proxy_hide_header $_" for qw(X-Powered-By ETag);

$lbd->stop;
done_testing;
