#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What lbd -t says about directives of the proxy.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

# directives of a location, what is said (undef: all is well)
my @cases = (
	['proxy_pass http://127.0.0.1:8080;'],
	['proxy_pass http://127.0.0.1;'],
	['proxy_pass http://[::1]:8080/x;'],
	['proxy_pass HTTP://127.0.0.1/;'],
	['proxy_pass http://unix:/tmp/x:/uri;'],
	['proxy_pass http://$host$request_uri;'],
	['proxy_pass 127.0.0.1;', qr/does not begin with http/],
	['proxy_pass http://;', qr/no host/],
	['proxy_pass http:///x;', qr/no host/],
	['proxy_pass https://127.0.0.1;', qr/needs the tls module/],
	['proxy_pass http://$nothing;', qr/nothing/],
	['proxy_pass http://127.0.0.1; proxy_pass http://127.0.0.2;', qr/twice/],
	['proxy_pass;', qr/argument/],
	['if ($host = x) { proxy_pass http://127.0.0.1/x; }', qr/cannot have a URI part/],
	['if ($host = x) { proxy_pass http://127.0.0.1; }'],
	['proxy_http_version 1.1; proxy_pass http://127.0.0.1;'],
	['proxy_http_version 2;', qr/planned/],
	['proxy_http_version 3;', qr/1\.0/],
	['proxy_set_header X-A $host; proxy_set_header X-A "";'],
	['proxy_set_header "X A" b;', qr/not a field name/],
	['proxy_set_header X-A;', qr/argument/],
	['proxy_set_header Content-Length 5;', qr/warn.*made by lbd/s, 1],
	['proxy_set_header_inherit merge;'],
	['proxy_set_header_inherit perhaps;', qr/merge/],
	['proxy_upgrade on;'],
	['proxy_upgrade off;'],
	['proxy_upgrade websocket;'],
	['proxy_upgrade h2c;', qr/not forwarded/],
	['proxy_buffers 8 16k;'],
	['proxy_buffers 1 16k;', qr/at least 2/],
	['proxy_buffers 8;', qr/argument/],
	['proxy_next_upstream error timeout http_429 http_418 non_idempotent reused no_live;'],
	['proxy_next_upstream http_200;', qr/no condition/],
	['proxy_next_upstream eror;', qr/did you mean "error"/],
	['proxy_next_upstream_backoff 100ms max=2s jitter=20%;'],
	['proxy_next_upstream_backoff 100ms maximum=2s;', qr/unknown parameter/],
	['proxy_next_upstream_tries 0;'],
	['proxy_bind 127.0.0.1;'],
	['proxy_bind $remote_addr transparent;'],
	['proxy_bind off;'],
	['proxy_bind 127.0.0.1 opaque;', qr/only "transparent"/],
	['proxy_redirect off;'],
	['proxy_redirect default;'],
	['proxy_redirect perhaps;', qr/expected "default"/],
	['proxy_redirect ~( x;', qr/parenthes/],
	['proxy_redirect http://a/ /; proxy_redirect default;'],
	['proxy_cookie_domain a b; proxy_cookie_path /a /b; proxy_cookie_flags x secure;'],
	['proxy_cookie_domain perhaps;', qr/expected "off"/],
	['proxy_cookie_flags x maybe;', qr/no cookie flag/],
	['proxy_hide_header X-A; proxy_pass_header Server; proxy_ignore_headers X-Accel-Redirect Vary;'],
	['proxy_ignore_headers X-Some;', qr/X-Accel-Redirect/],
	['proxy_read_timeout 5x;', qr/not a time/],
	['proxy_connect_timeout 1s; proxy_send_timeout 1m; proxy_read_timeout 1h; proxy_header_timeout 0;'],
	['proxy_headers_hash_max_size 512; proxy_headers_hash_bucket_size 64; proxy_send_lowat 0;'],
	['proxy_max_temp_file_size 0; proxy_temp_path /tmp/x 1 2; proxy_temp_file_write_size 8k;'],
	['proxy_busy_buffers_size 8k; proxy_buffer_size 4k; proxy_buffering off; proxy_request_buffering off;'],
);

for (@cases) {
	my ($text, $want, $fine) = @$_;
	my $lbd = Lbd->new(start => 0, conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { $text }
	}
}
EOT
	my ($code, $said) = $lbd->run_test;

	$lbd->clean;
	if (!defined $want) {
		is $code, 0, $text or diag $said;
	} else {
		is $code, $fine ? 0 : 1, "$text: " . ($fine ? 'accepted' : 'refused') or diag $said;
		like $said, $want, 'and it is said why';
	}
}

# the same, where it stands matters
for (['location ~ \.php$ { proxy_pass http://127.0.0.1/x; }', qr/cannot have a URI part/],
	['location @a { proxy_pass http://127.0.0.1/x; }', qr/cannot have a URI part/],
	['location ~ \.php$ { proxy_pass http://127.0.0.1; }'],
	['location / { limit_except GET { proxy_pass http://127.0.0.1/x; } }', qr/cannot have a URI part|limit_except/],
	['proxy_pass http://127.0.0.1;', qr/"proxy_pass" is not allowed in "server"/]) {
	my ($text, $want) = @$_;
	my $lbd = Lbd->new(start => 0, conf => "http { server { listen 127.0.0.1:%%PORT_0%%; $text } }");
	my ($code, $said) = $lbd->run_test;

	$lbd->clean;
	is $code, defined $want ? 1 : 0, $text or diag $said;
	like $said, $want, 'and it is said why' if defined $want;
}

done_testing;
