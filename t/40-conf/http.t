#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What the HTTP core's directives accept, and what they say about mistakes.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $port = free_port();

# place => where the text goes
sub check {
	my ($place, $text) = @_;
	my $listen = "listen 127.0.0.1:$port;";
	my %in = (
		main => $text,
		http => "http { access_log off; $text }",
		server => "http { access_log off; server { $listen $text } }",
		location => "http { access_log off; server { $listen location /here/ { $text } } }",
		if => "http { access_log off; server { $listen location / { if (\$uri) { $text } } } }",
	);
	my $lbd = Lbd->new(conf => "%%EVENTS%%\n$in{$place}\n", start => 0, files => { 'conf/mime.types' => '' });
	my @r = $lbd->run_test;

	$lbd->clean;
	return @r;
}

sub good {
	my ($place, $text) = @_;
	my ($code, $out) = check($place, $text);

	ok($code == 0 && $out !~ /warning/, "in $place: $text") or diag($out);
}

sub bad {
	my ($place, $text, $why) = @_;
	my ($code, $out) = check($place, $text);

	ok($code == 1 && $out =~ $why, "refused in $place: $text") or diag($out);
}

sub warns {
	my ($place, $text, $why) = @_;
	my ($code, $out) = check($place, $text);

	ok($code == 0 && $out =~ $why, "warned in $place: $text") or diag($out);
}

# every level
for my $line (
	'client_max_body_size 0;', 'client_max_body_size 10g;', 'client_body_buffer_size 8k;',
	'client_body_timeout 10s;', 'client_body_total_timeout 0;', 'client_body_temp_path tmp 1 2;',
	'client_body_in_file_only clean;', 'client_body_in_single_buffer on;',
	'keepalive_timeout 0;', 'keepalive_timeout 75s 20s;', 'keepalive_requests 0;', 'keepalive_time 1h;',
	'keepalive_min_timeout 0;', 'keepalive_disable msie6 safari;', 'send_timeout 1s;',
	'lingering_close always;', 'lingering_time 30s;', 'lingering_timeout 5s;',
	'reset_timedout_connection on;', 'tcp_nodelay off;', 'tcp_nopush on;',
	'chunked_transfer_encoding off;', 'resolver 127.0.0.1 [::1]:53 valid=30s ipv6=off stale=1h;',
	'resolver_timeout 5s;', 'server_tokens build;', 'server_tokens "by $hostname";',
	'error_page 404 /x;', 'error_page 500 502 503 504 =200 @named;', 'error_page 404 = /x;',
	'recursive_error_pages on;', 'satisfy any;', 'auth_delay 1s;', 'absolute_redirect off;',
	'server_name_in_redirect on;', 'port_in_redirect off;', 'log_not_found off;', 'log_subrequest on;',
	'subrequest_output_buffer_size 4k;', 'early_hints $http_early;', 'default_type text/html;',
	'types { text/html html htm; image/gif gif; }', 'types_hash_max_size 2048;',
	'add_header X-A "a $uri" always;', 'add_header_inherit merge;', 'error_log logs/http.log warn;',
	'error_log logs/http.json info json;', 'rewrite_log on;', 'uninitialized_variable_warn off;',
	'http2_chunk_size 8k;',
) {
	good($_, $line) for 'http', 'location';
}
good('http', $_) for (
	'server_names_hash_max_size 512;', 'server_names_hash_bucket_size 64;', 'variables_hash_max_size 1024;',
	'variables_hash_bucket_size 64;', 'http2_recv_buffer_size 256k;', '',
	'include mime.types;', 'log_format mine "$uri";',
);
good('server', $_) for (
	'client_header_timeout 10s;', 'client_header_buffer_size 1k;', 'large_client_header_buffers 4 8k;',
	'max_headers 100;', 'ignore_invalid_headers off;', 'underscores_in_headers on;', 'merge_slashes off;',
	'connection_pool_size 512;', 'request_pool_size 4k;', 'http2 off;', 'http2_max_concurrent_streams 128;',
	'http2_glitch_limit 100 window=10s;', 'return 200;', 'return 200 "x";', 'return https://a.test/;',
	'return 301 /x;', 'rewrite ^ /x;', 'rewrite ^/(a|b)$ /$1? permanent;', 'set $mine x;',
	'set $args x;', 'break;', 'if ($uri) { return 200; }', 'if (!-f /x) { set $a b; }',
	'if ( $uri !~* "a b" ) { break; }', 'location = /x { }', 'location ~* "\.(gif|jpg)$" { return 200 "$1"; }',
	'location ^~ /x { location /x/y { } location ~ z { } }', 'location @x { }',
	'server_name a.test *.b.test c.* .d.test ~^e$ "";', 'internal_redirect /x;',
	'location / { return 200 "$later"; } server_name ~^(?<later>.)$;',
);
good('location', $_) for 'internal;', 'return 444;', 'if ($arg_a) { add_header X-A b; return 200; }';

# numbers and words
bad('http', @$_) for (
	['keepalive_timeout soon;', qr/"keepalive_timeout": "soon" is not a time/],
	['keepalive_timeout 1s 2s 3s;', qr/takes .*arguments, 3 given/],
	['client_max_body_size many;', qr/"client_max_body_size": "many" is not a size/],
	['client_body_buffer_size 0;', qr/"client_body_buffer_size" is 0; allowed are 1 to 1g/],
	['large_client_header_buffers 0 8k;', qr/is 0; allowed are 1 to 1024/],
	['large_client_header_buffers 4 8;', qr/size of a buffer is 8; allowed are 1k to 1m/],
	['max_headers 0;', qr/"max_headers" is 0; allowed are 1 to 100000/],
	['tcp_nodelay maybe;', qr/"maybe" is neither "on" nor "off"/],
	['lingering_close alway;', qr/"lingering_close" cannot be "alway"; allowed are off, on, always.*did you mean "always"/s],
	['client_body_temp_path tmp 4;', qr/is 4; allowed are 1 to 3/],
	['server_tokens $nothing;', qr/unknown variable "nothing"|unknown variable "\$nothing"/],
	['resolver valid=1s;', qr/"resolver" needs the address of a name server/],
	['resolver 127.0.0.1 vald=1s;', qr/unknown parameter "vald=1s".*did you mean "valid"/s],
	['http2 on;', qr/"http2" is planned and not built into this lbd/],
	['client_body_early_read 1;', qr/"client_body_early_read" is planned/],
	['merge_slashes on; merge_slashes off;', qr/"merge_slashes" is given twice/],
	['error_log logs/x.log loud;', qr/"error_log": .*loud/],
	['error_log /nonexistent/folder/x.log;', qr{"error_log": .*(?:no such file or directory)}i],
	['location / { }', qr/"location" is not allowed in "http"/],
	['listen 80;', qr/"listen" is not allowed in "http"/],
);

# error_page, add_header
bad('location', @$_) for (
	['error_page 404;', qr/takes at least|needs at least|arguments?, 1 given/],
	['error_page 404 =200;', qr/"error_page" needs a uri/],
	['error_page x /y;', qr/"x" is no status to replace; allowed are 300 to 599/],
	['error_page 200 /y;', qr/"200" is no status to replace/],
	['error_page 499 /y;', qr/499 has no page/],
	['error_page 404 =99 /y;', qr/"=99" is no response; allowed are = and =200 to =599/],
	['error_page =200 /y;', qr/needs a status in front of the uri/],
	['add_header "X A" b;', qr/"X A" is no name for a field/],
	['add_header X-A b sometimes;', qr/unknown parameter "sometimes"; allowed is always/],
);
warns('location', 'add_header Content-Length 5;', qr/"Content-Length" is decided by lbd for each response; ignored/);
warns('location', 'add_header Transfer-Encoding chunked;', qr/ignored/);

# rewriting
bad('server', @$_) for (
	['return;', qr/argument/],
	['return 99;', qr/"99" is no status to return; allowed are 200 to 999/],
	['return /x;', qr{"/x" is no status to return.*a URL alone must begin with http://}s],
	['return 200 a b;', qr/3 given/],
	['rewrite ^;', qr/argument/],
	['rewrite ( /x;', qr/regular expression "\("/],
	['rewrite ^ /x lst;', qr/"lst" is no flag; allowed are last, break, redirect, permanent.*did you mean "last"/s],
	['rewrite ^ "";', qr/"rewrite" needs a replacement/],
	['set x y;', qr/"x" is no variable: names begin with "\$"/],
	['set $uri y;', qr/"\$uri" is lbd's own variable and cannot be set/],
	['set $a-b y;', qr/"a-b" is no name for a variable/],
	['set $a $nothere;', qr/unknown variable/],
	['if $uri { }', qr/invalid condition/],
	['if (uri) { }', qr/invalid condition/],
	['if ($uri = a b) { }', qr/invalid condition/],
	['if ($uri == a) { }', qr/invalid condition/],
	['if ($uri =) { }', qr/invalid condition/],
	['if () { }', qr/invalid condition/],
	['if (-z /x) { }', qr/invalid condition/],
	['if (-f) { }', qr/invalid condition/],
	['if ($uri ~ "(") { }', qr/regular expression "\("/],
	['if ($uri) { proxy_pass http://127.0.0.1:1; }', qr/"proxy_pass" is not allowed/],
	['if ($uri) { if ($uri) { } }', qr/"if" is not allowed/],
	['break 1;', qr/argument/],
	['limit_except GET { }', qr/"limit_except" is not allowed in "server"/],
);
good('location', 'limit_except GET POST { access_log off; }');
bad('location', 'internal on;', qr/argument/);
bad('location', 'proxy_pass http://127.0.0.1:1; proxy_pass http://127.0.0.1:2;', qr/"proxy_pass" is given twice/);
warns('location', 'if ($uri) { error_page 404 /x; }', qr/"error_page" in "if" may not do what it seems to/);
warns('server', 'location x { }', qr{location "x" matches nothing: paths begin with "/"});
bad('main', 'http { } http { }', qr/"http" is given twice/);

# all mistakes of a file are found in one run
my ($code, $out) = check('server', "return 1;\nlocation /a { }\nlocation /a { }\nkeepalive_timeout x;\n");
is(() = $out =~ /^\S+:\d+:\d+: /mg, 3, 'three mistakes are three errors') or diag($out);

done_testing;
