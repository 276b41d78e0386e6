#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Bodies of all sizes in both directions, kept first or passed on while they come, in all framings.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $block = join '', map { chr 32 + $_ * 7 % 95 } 1 .. 65536;

# POST: says what came.  GET /.../size/how: a body of that size.
my $server = backend(sub {
	my ($c, $n, $b) = @_;

	while (my $q = $c->request) {
		my ($size, $how) = $q->{target} =~ m{/(\d+)/(\w+)$};

		if (!defined $size) {
			my $te = $q->{headers}{'transfer-encoding'}[0] // '';
			my $cl = $q->{headers}{'content-length'}[0] // '';

			$c->send(http_bytes(200, ['X-Framing' => "$te$cl", 'X-Version' => $q->{version}],
				length($q->{body}) . ' ' . md5_hex($q->{body}) . ($q->{complete} ? '' : ' cut')));
			return if $q->{version} eq 'HTTP/1.0';
			next;
		}
		my $body = substr $block x (1 + $size / length $block), 0, $size;
		if ($how eq 'length') {
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: $size\r\n\r\n$body");
		} elsif ($how eq 'chunks') {
			$c->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n");
			while (length $body) {
				my $part = substr $body, 0, 1 + int rand 20000, '';

				$c->send(sprintf "%x;ext=1\r\n%s\r\n", length $part, $part) or return;
			}
			$c->send("0\r\nX-T: end\r\n\r\n");
		} elsif ($how eq 'bytes') {
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: $size\r\n\r\n");
			$c->send($_) for split //, $body;
		} else {
			$c->send("HTTP/1.1 200 OK\r\n\r\n$body");
			return;
		}
	}
});
my $a = $server->address;
my $lbd = Lbd->new(conf => <<"EOT");
http {
	client_max_body_size 0;
	client_body_temp_path %%DIR%%/html;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /kept/ { proxy_pass http://$a; }
		location /stream/ { proxy_pass http://$a; proxy_request_buffering off; proxy_buffering off; }
		location /old/ { proxy_pass http://$a; proxy_request_buffering off; proxy_http_version 1.0; }
		location /small/ { proxy_pass http://$a; proxy_buffers 2 1k; proxy_buffer_size 1k; }
		location /trailers/ { proxy_pass http://$a; proxy_pass_trailers on; }
		location /limited/ { proxy_pass http://$a; client_max_body_size 1000; }
	}
}
EOT
my $port = $lbd->port(0);
my @sizes = (0, 1, 1000, 16384, 16385, 70000, 1_000_000, 5_000_000);

sub body { return substr $block x (1 + $_[0] / length $block), 0, $_[0] }

# Chunks of odd sizes.
sub chunked {
	my ($body) = @_;
	my $out = '';

	while (length $body) {
		my $part = substr $body, 0, 1 + int rand 30000, '';
		$out .= sprintf "%x\r\n%s\r\n", length $part, $part;
	}
	return "${out}0\r\n\r\n";
}

for my $where (qw(kept stream old)) {
	for my $size (@sizes) {
		my $body = body($size);
		my $want = "$size " . md5_hex($body);
		my $r = http_request($port, "/$where/", method => 'POST', body => $body);

		is $r->{body}, $want, "$where: $size bytes up";
		is header($r, 'X-Framing'), $size, "$where: with their length";

		$r = http_request($port, "/$where/", method => 'POST', body => chunked($body),
			headers => ['Transfer-Encoding' => 'chunked']);
		is $r->{body}, $want, "$where: $size bytes up in chunks";
		is header($r, 'X-Framing'), $where eq 'stream' ? 'chunked' : $size, "$where: framing";
	}
}

for my $where (qw(kept stream small)) {
	for my $size (@sizes) {
		for my $how (qw(length chunks close)) {
			my $r = http_get($port, "/$where/$size/$how");

			is md5_hex($r->{body}), md5_hex(body($size)), "$where: $size bytes down, $how";
			ok $r->{complete}, "$where: $size bytes, $how: whole";
		}
	}
	my $r = http_get($port, "/$where/3000/bytes");
	is md5_hex($r->{body}), md5_hex(body(3000)), "$where: byte by byte";
}

my $r = http_request($port, '/kept/70000/length', method => 'HEAD', headers => [Connection => 'close']);
is $r->{status}, 200, 'HEAD';

$r = http_request($port, '/trailers/10/chunks', headers => ['TE' => 'trailers', Connection => 'close, TE']);
is $r->{trailers}{'x-t'}[0], 'end', 'proxy_pass_trailers on';
$r = http_request($port, '/kept/10/chunks', headers => ['TE' => 'trailers', Connection => 'close, TE']);
is_deeply $r->{trailers}, {}, 'proxy_pass_trailers off';

is http_request($port, '/limited/', method => 'POST', body => 'a' x 1001)->{status}, 413, 'client_max_body_size';
is http_request($port, '/limited/', method => 'POST', body => chunked('a' x 1001),
	headers => ['Transfer-Encoding' => 'chunked'])->{status}, 413, 'client_max_body_size, chunked';

subtest 'Expect: 100-continue' => sub {
	for my $where (qw(kept stream)) {
		my $c = Lbd::Client->new($port);

		$c->send("POST /$where/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
		like $c->read_until(qr/\r\n\r\n/), qr{^HTTP/1\.1 100 }, "$where: 100 comes first";
		$c->send('hello');
		is $c->response->{body}, '5 ' . md5_hex('hello'), "$where: then the answer";
	}
};

subtest 'a slow reader does not make lbd read everything' => sub {
	my $c = Lbd::Client->new($port);

	$c->send("GET /small/5000000/length HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	$c->read_until(qr/\r\n\r\n/);
	my $r = http_get($port, '/small/1000/length');
	is length $r->{body}, 1000, 'others are served meanwhile';
	$c->read_bytes(5_000_000 - length '');
	ok 1, 'and it gets the rest';
};

$lbd->stop;
done_testing;
