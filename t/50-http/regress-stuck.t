#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Exchanges that once waited for something that could not come any more, with no time limit running.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $server = http_backend(sub {
	my ($q) = @_;

	return [200, [], "$q->{method} $q->{target} " . length $q->{body}];
});
my $s = $server->address;
# Answers when it is told to, and reads no body.
my $early = backend(sub {
	my ($c, $n, $b) = @_;
	my $head = $c->read_until(qr/\r\n\r\n/) // return;
	my ($path) = $head =~ / (\S+)/;

	wait_for(sub { grep { $_ eq $path } $b->notes });
	$c->send($path =~ /accel/ ? http_bytes(200, ['X-Accel-Redirect' => '@kept'], '') : http_bytes(500, [], ''));
	$c->read_until(qr/never/);
});
my $e = $early->address;
my $lbd = Lbd->new(conf => <<"EOT");
http {
	large_client_header_buffers 8 64k;
	client_body_buffer_size 64m;
	client_max_body_size 64m;
	error_page 400 405 /page;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { proxy_pass http://$s; }
		location /stream { proxy_pass http://$s; proxy_request_buffering off; }
		location /path { client_max_body_size 10; error_page 413 /page; proxy_pass http://$s; }
		location /named { client_max_body_size 10; error_page 413 \@page; proxy_pass http://$s; }
		location /early { proxy_pass http://$e; proxy_request_buffering off; proxy_intercept_errors on;
			error_page 500 = \@kept; }
		location \@page { proxy_pass http://$s; }
		location \@kept { proxy_pass http://$s; }
	}
}
EOT
my $port = $lbd->port;
my $h = "Host: a\r\n";

sub ask {
	my ($bytes) = @_;
	my $c = Lbd::Client->new($port);

	$c->send($bytes);
	return $c->response;
}

# A head that alone is more than may be queued to a server, with a body behind it.
my $long = join '', map { "X-$_: " . 'x' x 30_000 . "\r\n" } 1 .. 10;
for my $path ('/', '/stream') {
	my $r = ask("POST $path HTTP/1.1\r\n$h${long}Content-Length: 5\r\n\r\nhello");

	is "$r->{status} $r->{body}", "200 POST $path 5", "$path: a body behind a very long head";
}

# A request body that was refused is not waited for by the page.
my $x = 'x' x 100;
my @bodies = (
	['a length', "Content-Length: 100\r\n\r\n$x"],
	['a length, nothing sent', "Content-Length: 100\r\n\r\n"],
	['chunks', "Transfer-Encoding: chunked\r\n\r\n64\r\n$x\r\n0\r\n\r\n"],
);
for (@bodies) {
	my ($what, $body) = @$_;
	my $r = ask("POST /path HTTP/1.1\r\n$h$body");

	is "$r->{status} $r->{body}", '413 GET /page 0', "too large, $what: a page from a server";
	$r = ask("POST /named HTTP/1.1\r\n$h$body");
	is "$r->{status} $r->{body}", '413 POST /named 0', "too large, $what: from a named location";
}
my $r = ask("POST / HTTP/1.1\r\n${h}Transfer-Encoding: chunked\r\n\r\nzz\r\n");
is "$r->{status} $r->{body}", '400 GET /page 0', 'a bad chunk: a page from a server';
$r = ask("TRACE / HTTP/1.1\r\n${h}Content-Length: 5\r\n\r\nhello");
is "$r->{status} $r->{body}", '405 GET /page 0', 'a method that is refused, with a body: a page from a server';

# As much of the body as is read ahead is here when another location wants all of it.
for my $path ('/early/accel', '/early/page') {
	my $c = Lbd::Client->new($port);
	my $n = 24 * 1024 * 1024;
	my $head = "POST $path HTTP/1.1\r\n${h}Content-Length: $n\r\n\r\n";
	my $body = 'x' x $n;

	# until lbd takes no more
	$c->send($head);
	my ($sent, $still) = (0, 0);
	while ($sent < $n && $still < 20) {
		my $k = syswrite $c->{socket}, $body, 1 << 20, $sent;

		$still = defined $k ? 0 : $still + 1;
		$sent += $k // 0;
		select undef, undef, undef, 0.02 if !defined $k;
	}
	cmp_ok $sent, '<', $n, "$path: the server stops the client";
	$early->note($path);
	$c->send(substr $body, $sent);
	$r = $c->response;
	is "$r->{status} $r->{body}", "200 POST $path $n", "$path: another one gets all of it";
}
done_testing;
