#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# nginx, HAProxy and Python's http.server behind lbd: files of all sizes, ranges, conditions, uploads,
# connections that are kept, and servers that go away.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Peers;
use Test::More;
use Time::HiRes qw(sleep);

my @sizes = (0, 1, 16383, 16384, 16385, 65536, 1 << 20, 50 << 20);
my $root = tempdir(CLEANUP => 1);
chmod 0755, $root;
spew("$root/$_", sample_text($_)) for @sizes;
my %sum = map { $_ => md5_hex(sample_text($_)) } @sizes;
$sum{''} = md5_hex('');

sub same { # its name, not 50 MB of difference
	my ($r, $size, $name) = @_;

	is md5_hex($r->{body}), $sum{$size}, $name;
	ok $r->{complete}, "$name: whole" if !$r->{complete};
}

sub start {
	my ($to, $more) = @_;

	return Lbd->new(conf => <<"EOT");
http {
	upstream real { server $to; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { proxy_pass http://real; }
		location /stream/ { proxy_pass http://real/; proxy_buffering off; }
		location /once/ { proxy_pass http://real/; proxy_http_version 1.0; }
		@{[ $more // '' ]}
	}
}
EOT
}

subtest nginx => sub {
	plan skip_all => 'nginx is not installed' if !has_program('nginx');
	my $nginx = peer_nginx($root);
	my $lbd = start($nginx->address);
	my $c = Lbd::Client->new($lbd->port);

	for my $where (qw(/ /stream/ /once/ /old/)) {
		for my $size (@sizes) {
			$c->send("GET $where$size HTTP/1.1\r\nHost: a\r\n\r\n");
			same($c->response, $size, "$where$size");
		}
	}
	my $r = http_get($lbd->port, '/65536', Range => 'bytes=1000-1999');
	is $r->{status}, 206, 'a range';
	is $r->{body}, substr(sample_text(65536), 1000, 1000), 'its content';
	$r = http_get($lbd->port, '/65536', Range => 'bytes=0-1,10-11');
	like header($r, 'Content-Type'), qr{^multipart/byteranges}, 'two ranges';
	is http_get($lbd->port, '/65536', Range => 'bytes=99999-')->{status}, 416, 'a range outside';
	my $tag = header($r, 'ETag');
	$r = http_get($lbd->port, '/65536', 'If-None-Match' => $tag);
	is "$r->{status} $r->{body}", '304 ', 'not modified';
	is http_get($lbd->port, '/none')->{status}, 404, 'not there';
	is http_request($lbd->port, '/1', method => 'HEAD')->{status}, 200, 'HEAD';
	is http_request($lbd->port, '/1', method => 'PUT', body => 'x' x 100_000)->{status}, 405, 'a refused upload';

	$r = http_get($lbd->port, '/gzip/16384', 'Accept-Encoding' => 'gzip');
	is header($r, 'Content-Encoding'), 'gzip', 'compressed by nginx';
	SKIP: {
		eval { require IO::Uncompress::Gunzip; 1 } or skip 'no IO::Uncompress::Gunzip', 1;
		IO::Uncompress::Gunzip::gunzip(\$r->{body}, \my $text);
		is md5_hex($text), $sum{16384}, 'its content';
	}

	# one worker's connection carries many requests
	$c = Lbd::Client->new($lbd->port);
	my @n = map { $c->send("GET /connection HTTP/1.1\r\nHost: a\r\n\r\n"); 0 + $c->response->{body} } 1 .. 20;
	cmp_ok $n[-1], '>=', 20, 'connections to nginx are kept';

	# nginx closes kept connections when it ends; no client sees it
	my $port = $nginx->port;
	kill 'QUIT', $nginx->pid;
	wait_for(sub { !is_alive($nginx->pid) });
	is http_get($lbd->port, '/1')->{status}, 502, 'nobody there';
	$lbd->stop;
};

subtest haproxy => sub {
	plan skip_all => 'haproxy is not installed' if !has_program('haproxy');
	my $behind = Lbd->new(conf => <<'EOT');
http {
	server { listen 127.0.0.1:%%PORT_0%%; return 200 "$request_method $request_uri $http_x_forwarded_for\n"; }
}
EOT
	my $haproxy = peer_haproxy($behind->port);
	my $lbd = start($haproxy->address, 'location /xff/ { proxy_pass http://real; proxy_set_header X-Forwarded-For $remote_addr; }');
	my $r = http_get($lbd->port, '/own');

	is $r->{body}, 'by haproxy', 'a response of its own';
	$r = http_get($lbd->port, '/a?b=c');
	is $r->{body}, "GET /a?b=c \n", 'one from behind it';
	is header($r, 'X-Via'), 'haproxy', 'that went through it';
	is http_get($lbd->port, '/xff/')->{body}, "GET /xff/ 127.0.0.1\n", 'fields pass';
	my $c = Lbd::Client->new($lbd->port);
	for my $n (1 .. 50) {
		$c->send("POST /$n HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
		is $c->response->{body}, "POST /$n \n", "POST $n on one connection" or last;
	}
	is http_request($lbd->port, '/once/x', version => '1.0', headers => [Connection => 'close'])->{body}, "GET /x \n",
		'HTTP/1.0 on both sides';

	# closes kept connections at the moment they are used again
	my $hasty = peer_haproxy($behind->port, 'timeout http-keep-alive 2');
	my $over = start($hasty->address);
	my %status;
	$c = Lbd::Client->new($over->port);
	for my $n (1 .. 300) {
		$c->send("GET /$n HTTP/1.1\r\nHost: a\r\n\r\n");
		$status{ $c->response->{status} }++;
		sleep 0.0015 + rand 0.001;
	}
	is_deeply \%status, { 200 => 300 }, 'no request is lost on a connection that was closed';
	$over->stop;
	$hasty->stop;
	$behind->stop;
	is http_get($lbd->port, '/x')->{status}, 503, 'its own error is passed on';
	$lbd->stop;
};

subtest python => sub {
	plan skip_all => 'python3 is not installed' if !has_program('python3');
	my $python = peer_python($root);
	my $lbd = start($python->address);
	my $c = Lbd::Client->new($lbd->port);

	for my $where (qw(/ /stream/ /once/)) {
		for my $size (@sizes) {
			$c->send("GET $where$size HTTP/1.1\r\nHost: a\r\n\r\n");
			same($c->response, $size, "$where$size");
		}
	}
	$c->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	my $r = $c->response;
	like $r->{body}, qr/65536/, 'a folder';
	$c->send("HEAD /65536 HTTP/1.1\r\nHost: a\r\n\r\n");
	$r = $c->response('HEAD');
	is header($r, 'Content-Length'), 65536, 'HEAD';
	$c->send("GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
	is $c->response->{status}, 404, 'not there';
	is http_request($lbd->port, '/', method => 'POST', body => 'x' x 1000)->{status}, 501, 'an upload it does not know';
	$lbd->stop;
};

done_testing;
