#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# nginx's own configurations: what people have loads as it is, and what lbd does not have yet is said line by line.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

sub check {
	my ($conf) = @_;
	my $lbd = Lbd->new(start => 0, conf => $conf, files => {
		'conf/mime.types' => "types {\n    text/html html htm shtml;\n    application/vnd.ms-excel xls;\n}\n",
		'conf/proxy_params' => <<'EOT',
proxy_set_header Host $http_host;
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
EOT
	});
	my @r = $lbd->run_test;

	$lbd->clean;
	return @r;
}

sub loads {
	my ($name, $conf) = @_;
	my ($code, $out) = check($conf);

	ok($code == 0 && $out !~ /warning/, $name) or diag $out;
}

# what the file is, the messages of its errors
sub says {
	my ($name, $conf, @want) = @_;
	my ($code, $out) = check($conf);

	is($code, 1, "$name: refused");
	is_deeply([$out =~ /^\S*:\d+:\d+: (.*)/mg], \@want, 'with these words') or diag $out;
}

loads('the file of the distribution, without static files and TLS', <<'EOT');
worker_processes auto;
error_log logs/error.log;
include modules-enabled/*.conf;

events {
	worker_connections 768;
	# multi_accept on;
}

http {
	tcp_nopush on;
	types_hash_max_size 2048;
	# server_tokens off;
	# server_names_hash_bucket_size 64;
	include mime.types;
	default_type application/octet-stream;
	access_log logs/access.log;
	include conf.d/*.conf;
	include sites-enabled/*;
}
EOT

says('that file with them', <<'EOT',
events { worker_connections 768; }
http {
	sendfile on;
	tcp_nopush on;
	ssl_protocols TLSv1.2 TLSv1.3; # Dropping SSLv3, ref: POODLE
	ssl_prefer_server_ciphers on;
	gzip on;
	server {
		listen 127.0.0.1:%%PORT_0%% default_server;
		root /var/www/html;
		index index.html index.htm index.nginx-debian.html;
		server_name _;
		location / {
			try_files $uri $uri/ =404;
		}
		location ~ \.php$ {
			include snippets/*.conf;
			fastcgi_pass unix:/run/php/php-fpm.sock;
		}
		location ~ /\.ht { deny all; }
	}
}
EOT
	(map { "\"$_->[0]\" belongs to the module $_->[1], which is planned and not built into this lbd" } ['sendfile', 'static'],
		['ssl_protocols', 'tls'], ['ssl_prefer_server_ciphers', 'tls'], ['gzip', 'static'], ['root', 'static'], ['index', 'static'],
		['try_files', 'static']),
	(map { "\"$_\" is planned and not built into this lbd" } qw(fastcgi_pass deny)));

loads('a reverse proxy', <<'EOT');
events { }
http {
	log_format main '$remote_addr - $remote_user [$time_local] "$request" '
	                '$status $body_bytes_sent "$http_referer" '
	                '"$http_user_agent" "$http_x_forwarded_for" '
	                'rt=$request_time uct="$upstream_connect_time" uht="$upstream_header_time" urt="$upstream_response_time"';
	access_log logs/access.log main buffer=32k flush=5s;
	keepalive_timeout 65;
	client_max_body_size 20M;
	large_client_header_buffers 4 32k;
	upstream backend {
		server 10.0.0.1:8080 weight=3 max_fails=3 fail_timeout=30s;
		server 10.0.0.2:8080;
		server unix:/run/backend.sock backup;
		server 10.0.0.4:8080 down;
		keepalive 32;
		keepalive_requests 1000;
		keepalive_timeout 60s;
	}
	server {
		listen 127.0.0.1:%%PORT_0%% default_server backlog=1024;
		server_name _;
		return 444;
	}
	server {
		listen 127.0.0.1:%%PORT_0%%;
		listen [::1]:%%PORT_0%% ipv6only=on;
		server_name example.com www.example.com *.example.org;
		server_tokens off;
		add_header X-Frame-Options "SAMEORIGIN" always;
		add_header X-Content-Type-Options nosniff;
		error_page 500 502 503 504 /50x.html;
		location = /50x.html { internal; default_type text/html; return 200 "<h1>Sorry</h1>"; }
		location / {
			proxy_pass http://backend;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			include proxy_params;
			proxy_connect_timeout 60s;
			proxy_send_timeout 60s;
			proxy_read_timeout 60s;
			proxy_buffering on;
			proxy_buffer_size 4k;
			proxy_buffers 8 4k;
			proxy_busy_buffers_size 8k;
			proxy_max_temp_file_size 1024m;
			proxy_temp_file_write_size 8k;
			proxy_next_upstream error timeout invalid_header http_500 http_502 http_503 http_504;
			proxy_redirect off;
			proxy_intercept_errors on;
		}
		location = /health { access_log off; return 200 "healthy\n"; }
		location ~* \.(?:css|js|jpe?g|gif|ico|png)$ { proxy_pass http://backend; access_log off; log_not_found off; }
	}
	server {
		listen 127.0.0.1:%%PORT_0%%;
		server_name old.example.com;
		return 301 $scheme://www.example.com$request_uri;
	}
	server {
		listen 127.0.0.1:%%PORT_0%%;
		server_name ~^(?<user>.+)\.users\.example\.com$;
		location / { proxy_pass http://127.0.0.1:9000/~$user$request_uri; }
	}
}
EOT

loads('WebSocket without a map', <<'EOT');
events { }
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /chat/ {
			proxy_pass http://127.0.0.1:3000;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection "upgrade";
			proxy_set_header Host $host;
			proxy_read_timeout 86400;
		}
	}
}
EOT

loads('WordPress behind a proxy', <<'EOT');
events { }
http {
	upstream wp { server 127.0.0.1:8080; server 127.0.0.1:8081; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		server_name blog.example.com;
		client_max_body_size 64m;
		set $skip 0;
		if ($request_method = POST) { set $skip 1; }
		if ($query_string != "") { set $skip 1; }
		if ($request_uri ~* "/wp-admin/|/xmlrpc.php|wp-.*.php|/feed/") { set $skip 1; }
		if ($http_cookie ~* "comment_author|wordpress_[a-f0-9]+|wp-postpass|wordpress_logged_in") { set $skip 1; }
		location = /favicon.ico { log_not_found off; access_log off; return 204; }
		location = /robots.txt { access_log off; proxy_pass http://wp; }
		location ~ /\. { return 404; }
		location ~* /(?:uploads|files)/.*\.php$ { return 403; }
		location ~ ^/wp-json/ { rewrite ^/wp-json/(.*?)$ /?rest_route=/$1 last; }
		location / {
			proxy_pass http://wp;
			include proxy_params;
			proxy_set_header X-Skip $skip;
			proxy_cookie_path / "/; HTTPOnly; SameSite=Lax";
			proxy_hide_header X-Powered-By;
		}
	}
}
EOT

says('balancing methods and health checks', <<'EOT',
events { }
http {
	upstream a { least_conn; server 127.0.0.1; }
	upstream b { ip_hash; server 127.0.0.1; }
	upstream c { hash $request_uri consistent; server 127.0.0.1; }
	upstream d { random two least_conn; server 127.0.0.1; }
	upstream e { zone e 64k; server 127.0.0.1 resolve; sticky cookie id; }
	limit_req_zone $binary_remote_addr zone=one:10m rate=1r/s;
	map $http_upgrade $connection_upgrade { default upgrade; '' close; }
	geo $where { default 0; }
	server { listen 127.0.0.1:%%PORT_0%%; location /status { stub_status; } location / { proxy_pass http://a; health_check; } }
}
EOT
	(map { "\"$_\" is planned and not built into this lbd" } qw(limit_req_zone map geo)),
	'"stub_status" belongs to the module metrics, which is planned and not built into this lbd');

says('TLS', <<'EOT',
events { }
http {
	server {
		listen 127.0.0.1:%%PORT_0%% ssl http2;
		ssl_certificate /etc/ssl/a.pem;
		ssl_certificate_key /etc/ssl/a.key;
		location / { proxy_pass https://127.0.0.1:8443; proxy_ssl_verify on; }
	}
}
EOT
	'"ssl" needs the tls module, which is planned and not in this lbd', '"http2" is planned and not built into this lbd',
	(map { "\"$_\" belongs to the module tls, which is planned and not built into this lbd" } qw(ssl_certificate ssl_certificate_key)),
	'"https://" needs the tls module, which this lbd does not have yet',
	'"proxy_ssl_verify" belongs to the module tls, which is planned and not built into this lbd');

done_testing;
