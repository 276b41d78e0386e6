#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Variables: every one of the HTTP core in a log line, as it is after a request that lbd answered itself, one
# that went to a server, and one that could not be read; the prefixes; values made by the configuration.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Sys::Hostname ();
use Test::More;

# names that the table in core/http/vars.c has; the prefixes with names of ours
my $table = slurp(($ENV{LBD_SRC} // '.') . '/core/http/vars.c');
my @names = grep { !/_$/ } $table =~ /^\t(?:\w+\(|\{ )"(\w+)"/mg;
my @prefixed = qw(arg_x arg_Y arg_none arg_empty http_host http_x_own http_twice http_none cookie_a cookie_B
	cookie_none sent_http_x_own sent_http_content_type sent_http_content_length sent_http_connection
	sent_http_transfer_encoding sent_http_none sent_trailer_x_sum tcpinfo_rtt tcpinfo_rttvar tcpinfo_snd_cwnd
	tcpinfo_rcv_space tcpinfo_none connections_active connections_reading connections_writing
	connections_waiting upstream_http_x_own upstream_http_none upstream_trailer_x_sum upstream_cookie_sid);
my @tested;

ok(@names > 60, 'the table is found');
my $format = join '', map { "$_=[\${$_}]~" } @names, @prefixed;

my $server = http_backend(sub {
	return [201, ['X-Own' => 'up', 'Set-Cookie' => 'sid=s1; Path=/'], 'hello'];
});
my $trailing = http_backend(sub {
	return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n";
});
my $refusing = free_port();

my $lbd = Lbd->new(workers => 1, conf => <<"EOT");
http {
	log_format all '$format';
	log_format raw escape=none '\$binary_remote_addr';
	access_log logs/all.log all;
	upstream group {
		server 127.0.0.1:$refusing max_fails=0;
		server @{[ $server->address ]} backup;
	}
	upstream single { server @{[ $server->address ]}; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		server_name www.example.org other;
		location / {
			default_type text/x-own;
			add_header X-Own "\$request_method-\$arg_x";
			return 200 "\$uri";
		}
		location /named { return 200 "\${arg_x}y\$is_args\$args"; }
		location ~ ^/re/(?<first>\\w+)/(\\w+)\$ { return 200 "\$1 \$2 \$first"; }
		location /up/ { proxy_pass http://group; }
		location /one/ { proxy_pass http://single; }
		location /trailer { proxy_pass http://@{[ $trailing->address ]}; }
		location /raw { access_log logs/raw.log raw; return 204; }
		location /set { set \$mine "\$arg_x-\$mine"; return 200 "\$mine"; }
	}
	server {
		listen unix:%%DIR%%/socket;
		return 200 "\$remote_addr \$remote_port \$server_addr \$server_port";
	}
	server {
		listen [::1]:%%PORT_1%%;
		return 200 "\$remote_addr \$server_addr \$binary_remote_addr";
	}
}
EOT

my $lines = 0;

# What the next line says, as name => value.
sub line {
	my %v;

	$lines++;
	wait_for(sub { (() = $lbd->log('all.log') =~ /\n/g) >= $lines });
	my $text = (split /\n/, $lbd->log('all.log'))[ $lines - 1 ] // '';
	$v{$1} = $2 while $text =~ /\G(\w+)=\[(.*?)\]~/gc;
	return \%v;
}

# name => text or pattern, in pairs
sub check {
	my ($v, $what, @want) = @_;

	while (my ($name, $want) = splice @want, 0, 2) {
		push @tested, $name;
		if (ref $want) {
			like($v->{$name}, $want, "$what: \$$name");
		} else {
			is($v->{$name}, $want, "$what: \$$name");
		}
	}
}

my $port = $lbd->port(0);
my $time = qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;
my ($worker) = $lbd->workers;
my $hex = qr/^[0-9a-f]{32}$/;

# one that lbd answers
my $c = Lbd::Client->new($port);
my $head = "POST /a%20b/../c//d?x=1&Y=two%20&x=3&empty= HTTP/1.1\r\nHost: WWW.Example.ORG:$port\r\n"
	. "X-Own: v1\r\nTwice: 1\r\nTwice: 2\r\nCookie: a=1; b=2; a=3\r\nCookie: c=4\r\nReferer: http://r/\r\n"
	. "Authorization: Basic dXNlcjpwYXNz\r\nContent-Type: text/q\r\nContent-Length: 4\r\n\r\n";
$c->send($head . 'body');
my $r = $c->response;
is($r->{body}, '/c/d', 'the answer');
my $v = line();
check($v, 'own answer',
	request => 'POST /a%20b/../c//d?x=1&Y=two%20&x=3&empty= HTTP/1.1', request_method => 'POST',
	request_uri => '/a%20b/../c//d?x=1&Y=two%20&x=3&empty=', uri => '/c/d', document_uri => '/c/d',
	server_protocol => 'HTTP/1.1', scheme => 'http', https => '', content_length => '4',
	content_type => 'text/q', request_body_file => qr/^-?$/, remote_user => 'user', http2 => '',
	request_completion => 'OK', request_port => $port, is_request_port => ':',
	server_name => 'www.example.org', end_cause => '--', pipe => '.',
	args => 'x=1&Y=two%20&x=3&empty=', query_string => 'x=1&Y=two%20&x=3&empty=', is_args => '?',
	host => 'www.example.org', request_id => $hex,
	request_length => length($head) + 4, request_time => qr/^\d+\.\d{3}$/, status => '200',
	bytes_sent => length($r->{head}) + 4, body_bytes_sent => '4', gzip_ratio => '-',
	remote_addr => '127.0.0.1', remote_port => $c->socket->sockport, realip_remote_addr => '127.0.0.1',
	realip_remote_port => $c->socket->sockport, binary_remote_addr => '\\x7F\\x00\\x00\\x01',
	connection => qr/^[1-9]\d*$/, connection_requests => '1', connection_time => qr/^\d+\.\d{3}$/,
	server_addr => '127.0.0.1', server_port => $port,
	hostname => lc Sys::Hostname::hostname(), pid => $worker, nginx_version => qr/^1\.\d+\.\d+$/,
	lbd_version => qr/^\d+\.\d+\.\d+$/, worker_id => '0', generation => '1',
	msec => qr/^\d{10,}\.\d{3}$/, time_iso8601 => qr/^$time[+-]\d\d:\d\d$/,
	time_iso8601_ms => qr/^$time\.\d{3}[+-]\d\d:\d\d$/,
	time_local => qr{^\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}$},
	arg_x => '1', arg_Y => 'two%20', arg_none => '-', arg_empty => '', http_host => "WWW.Example.ORG:$port",
	http_x_own => 'v1', http_twice => '1, 2', http_none => '-', cookie_a => '1', cookie_B => '2',
	cookie_none => '-', sent_http_x_own => 'POST-1', sent_http_content_type => 'text/x-own',
	sent_http_content_length => '4', sent_http_connection => 'keep-alive', sent_http_transfer_encoding => '-',
	sent_http_none => '-', tcpinfo_rtt => qr/^\d+$/, tcpinfo_rttvar => qr/^\d+$/,
	tcpinfo_snd_cwnd => qr/^\d+$/, tcpinfo_rcv_space => qr/^\d+$/, tcpinfo_none => '-',
	connections_active => '1', connections_reading => '0', connections_writing => '1',
	connections_waiting => '0',
	(map { $_ => '-' } qw(upstream_addr upstream_status upstream_connect_time upstream_header_time
		upstream_response_time upstream_queue_time upstream_response_length upstream_bytes_sent
		upstream_bytes_received upstream_reused upstream_last_addr upstream_last_server_name upstream_name
		upstream_http_x_own upstream_http_none upstream_trailer_x_sum upstream_cookie_sid)),
	upstream_retries => '0');
my $id = $v->{request_id};
my $connection = $v->{connection};

# the same connection, as little as can be said
$c->send("GET /x HTTP/1.1\r\nHost: nobody\r\n\r\n");
$r = $c->response;
$v = line();
check($v, 'a short request', connection => $connection, connection_requests => '2', request_id => $hex,
	host => 'nobody', request_port => '-', is_request_port => '', args => '-', query_string => '-', is_args => '',
	content_length => '-', content_type => '-', remote_user => '-', http_x_own => '-', cookie_a => '-',
	server_name => 'www.example.org', sent_http_x_own => 'GET-', arg_x => '-');
isnt($v->{request_id}, $id, 'every request has an id of its own');

# two at once: the first one sees the second
$c->send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n" x 2);
$c->response for 1 .. 2;
check(line(), 'the first of two', pipe => 'p');
check(line(), 'the second of two', pipe => '.');

# HTTP/1.0, and HEAD
$c->send("HEAD /x HTTP/1.0\r\n\r\n");
$r = $c->response('HEAD');
check(line(), 'HEAD of 1.0', server_protocol => 'HTTP/1.0', request_method => 'HEAD', host => 'www.example.org',
	http_host => '-', body_bytes_sent => '0', bytes_sent => length $r->{head}, sent_http_connection => 'close',
	sent_http_content_length => '2');

# through a server, after one that refuses
$r = http_get($port, '/up/a?x=1');
is($r->{status}, 201, 'the backup answers');
$v = line();
my $address = $server->address;
check($v, 'proxied', upstream_addr => "127.0.0.1:$refusing, $address", upstream_status => '502, 201',
	upstream_connect_time => qr/^-, \d\.\d{3}$/, upstream_header_time => qr/^-, \d\.\d{3}$/,
	upstream_response_time => qr/^\d\.\d{3}, \d\.\d{3}$/, upstream_response_length => '0, 5',
	upstream_bytes_sent => qr/^0, [1-9]\d+$/, upstream_bytes_received => qr/^0, [1-9]\d+$/,
	upstream_queue_time => qr/^(?:-|0\.000), (?:-|0\.000)$/,
	upstream_reused => '0, 0', upstream_last_addr => $address, upstream_last_server_name => $address,
	upstream_name => 'group', upstream_retries => '1', upstream_http_x_own => 'up', upstream_http_none => '-',
	upstream_cookie_sid => 's1', status => '201', sent_http_x_own => 'up', request_completion => 'OK',
	body_bytes_sent => '5', end_cause => '--');

$c = Lbd::Client->new($port);
$c->send("GET /trailer HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n");
$c->response;
check(line(), 'with trailers', upstream_trailer_x_sum => '9', sent_trailer_x_sum => qr/^[9-]$/,
	sent_http_transfer_encoding => 'chunked', sent_http_content_length => '-', upstream_response_length => '3');
http_get($port, '/one/1');
check(line(), 'a new connection', upstream_reused => '0', upstream_name => 'single');
http_get($port, '/one/2');
check(line(), 'and again', upstream_reused => '1', upstream_retries => '0', upstream_status => '201');

# no request at all
$r = http_raw($port, "GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n");
like($r, qr{^HTTP/1\.1 400 }, 'a bad request');
check(line(), 'refused', status => '400', end_cause => 'PR', request_method => qr/^(?:GET|-)$/,
	upstream_addr => '-', request_completion => qr/^(?:OK)?$/, server_name => 'www.example.org');
$r = http_raw($port, "\x01\x02\r\n\r\n");
check(line(), 'garbage', status => '400', uri => '-', request_uri => '-', host => 'www.example.org',
	server_protocol => qr/^(?:-|HTTP\/1\.[01])$/);

# in the answer
is(http_get($port, '/named?x=1&y=2')->{body}, '1y?x=1&y=2', '${name} ends where it says');
is(http_get($port, '/re/one/two')->{body}, 'one two one', 'captures by number and by name');
is(http_get($port, '/set?x=7')->{body}, '7-', 'set, from itself before it has a value');
line() for 1 .. 3;

is(http_get($port, '/raw')->{status}, 204, 'a format without escapes');
ok(wait_for(sub { $lbd->log('raw.log') ne '' }), 'has its own log');
is($lbd->log('raw.log'), "\x7f\0\0\1\n", 'with the bytes as they are');

my ($body) = http_raw('unix:' . $lbd->dir . '/socket', "GET / HTTP/1.0\r\n\r\n") =~ /\r\n\r\n(.*)/s;
is($body, 'unix:  unix:' . $lbd->dir . '/socket ', 'addresses of a unix socket');
SKIP: {
	my $answer = http_raw('[::1]:' . $lbd->port(1), "GET / HTTP/1.0\r\n\r\n") // skip 'no IPv6', 1;
	my ($text) = $answer =~ /\r\n\r\n(.*)/s;
	is($text, "::1 ::1 " . "\0" x 15 . "\1", 'addresses of IPv6');
}

# what has no module yet stands in formats all the same
my %tested = map { $_ => 1 } @tested, qw(request_body request_filename document_root realpath_root limit_rate);
is(join(' ', grep { !$tested{$_} } @names, @prefixed), '', 'every variable of the table was looked at');
$lbd->stop;

# names that are none
for my $case (
	['$no_such_thing', qr/unknown variable "\$no_such_thing"/],
	['$request_urii', qr/did you mean.*request_uri/],
	['${uri', qr/closing bracket/],
	['a$', qr/must be followed by a name/]) {
	my ($text, $want) = @$case;
	my $bad = Lbd->new(start => 0, conf => "http { server { listen 127.0.0.1:%%PORT_0%%; return 200 \"$text\"; } }\n");
	my ($code, $out) = $bad->run_test;

	is($code, 1, "\"$text\" is refused");
	like($out, $want, 'and said so');
	$bad->stop;
}
done_testing;
