#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# curl through lbd to a Node server: what people try first.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Peers;
use Test::More;

skip_without('curl', 'node');
my $node = peer_node();
my $a = $node->address;
my $lbd = Lbd->new(conf => <<"EOT");
http {
	client_max_body_size 0;
	upstream node { server $a; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { proxy_pass http://node; }
		location /stream/ { proxy_pass http://node/; proxy_request_buffering off; proxy_buffering off; }
	}
}
EOT
my $url = 'http://127.0.0.1:' . $lbd->port;
my $dir = tempdir(CLEANUP => 1);
my $big = 50 << 20;

# (exit code, what it printed: the body, or what -w asked for)
sub curl { return run_program(has_program('curl'), '-sS', '--max-time', 120, @_) }

sub facts {
	my ($code, $out) = curl('-o', '/dev/null', '-w', '%{http_code} %{num_connects} %{size_download}\n', @_);

	return "$code: " . join ', ', split /\n/, $out;
}

is facts("$url/size/100/length", '-o', '/dev/null', "$url/size/200/chunks", '-o', '/dev/null', "$url/size/0/length"),
	'0: 200 1 100, 200 0 200, 200 0 0', 'keep-alive';
is facts("$url/size/100/close", '-o', '/dev/null', "$url/size/100/close"), '0: 200 1 100, 200 0 100',
	'also where the server closes';
is facts('--http1.0', "$url/size/100/chunks"), '0: 200 1 100', 'HTTP/1.0';
is facts('--http1.0', '-H', 'Connection: keep-alive', "$url/size/100/length", '-o', '/dev/null', "$url/size/100/length"),
	'0: 200 1 100, 200 0 100', 'HTTP/1.0, kept alive';
is facts('-I', "$url/size/100/length", '-o', '/dev/null', "$url/size/100/chunks"), '0: 200 1 0, 200 0 0', 'HEAD';
like +(curl('-I', "$url/size/12345/length"))[1], qr/^content-length: 12345\r$/mi, 'HEAD: the length';
is facts('-G', '--data-urlencode', 'q=a b/&=?', "$url/x"), facts("$url/x?q=a%20b%2F%26%3D%3F"), 'a query';

# bodies
spew("$dir/big", sample_text($big));
spew("$dir/none", '');
my $sum = md5_hex(sample_text($big));
for my $where ('', '/stream') {
	my $up = "$url$where/up";
	my @no_expect = ('-H', 'Expect:');

	is +(curl('--data-binary', "\@$dir/big", $up))[1], "$big $sum $big", "$where: POST of 50 MB, with Expect";
	is +(curl(@no_expect, '--data-binary', "\@$dir/big", $up))[1], "$big $sum $big", "$where: without";
	is +(curl('-H', 'Transfer-Encoding: chunked', '--data-binary', "\@$dir/big", $up))[1],
		"$big $sum " . ($where eq '' ? $big : 'chunked'), "$where: POST of 50 MB in chunks";
	is +(curl('-T', "$dir/big", $up))[1], "$big $sum $big", "$where: -T";
	is +(curl('-T', "$dir/none", $up))[1], '0 ' . md5_hex('') . ' 0', "$where: -T of an empty file";
	is +(curl('-d', 'a=b', '-d', 'c=d', $up))[1], '7 ' . md5_hex('a=b&c=d') . ' 7', "$where: a form";
	like +(curl('-F', "f=\@$dir/none", '-F', 'a=b', $up))[1], qr/^\d+ /, "$where: a form in parts";
	is +(curl('--limit-rate', '20M', '-d', 'x' x 1000, $up))[1], '1000 ' . md5_hex('x' x 1000) . ' 1000',
		"$where: POST with a limit";

	curl('-o', "$dir/got", "$url$where/size/$big/length");
	is md5_hex(slurp("$dir/got")), $sum, "$where: 50 MB down";
	curl('-o', "$dir/got", "$url$where/size/$big/chunks");
	is md5_hex(slurp("$dir/got")), $sum, "$where: 50 MB down in chunks";
	curl('-o', "$dir/got", '--limit-rate', '10M', "$url$where/size/5000000/length");
	is md5_hex(slurp("$dir/got")), md5_hex(sample_text(5_000_000)), "$where: down with a limit";
	is +(curl('--compressed', "$url$where/gzip"))[1], sample_text(100_000), "$where: compressed";
	my ($code, $out) = curl('-D', '-', '-o', "$dir/got", '-H', 'Accept-Encoding: gzip', "$url$where/gzip");
	like $out, qr/^Content-Encoding: gzip\r$/mi, "$where: not compressed twice";
	is md5_hex(slurp("$dir/got")), ($out =~ /^X-MD5: (\w+)/mi)[0], "$where: nor changed";
}

is +(curl("$url/stream/abort"))[0], 18, 'a response that was cut is seen to be';
is +(curl('--parallel', '--parallel-max', 8, '-o', '/dev/null', "$url/size/[1-40]/chunks"))[0], 0, 'parallel';
is +(curl('--max-time', 0.2, '--limit-rate', '1k', "$url/size/$big/length", '-o', '/dev/null'))[0], 28, 'a client that leaves';
is facts("$url/size/100/length"), '0: 200 1 100', 'and the next one';

$lbd->stop;
done_testing;
