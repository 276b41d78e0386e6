#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# HTTP/1.0, 1.1 and what claims to be another version; what each means for the connection.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $origin = http_backend(sub {
	my ($q, $n, $b, $c) = @_;

	return "HTTP/1.1 200 X\r\n\r\nuntil the end" if $q->{target} =~ /close/;
	return "HTTP/1.0 200 X\r\n\r\nuntil the end" if $q->{target} =~ /old/;
	return [200, ['Transfer-Encoding' => 'chunked'], "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"]
		if $q->{target} =~ /chunked/;
	return [200, [], 'hello'];
});
my $lbd = Lbd->new(conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "hello"; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /nochunks/ {
			proxy_pass http://127.0.0.1:@{[ $origin->port ]};
			chunked_transfer_encoding off;
		}
	}
}
EOT

# No second one is answered after these.
for (['HTTP/0.9', 505], ['HTTP/2.0', 505], ['HTTP/2', 400], ['HTTP/3.0', 505], ['HTTP/0.0', 505], ['HTTP/9.9', 505], ['HTTP/1', 400],
	['HTTP/1.', 400], ['HTTP/.1', 400], ['HTTP/1.10', 400], ['HTTP/1.1.1', 400], ['HTTP/11', 400], ['HTTP/01.1', 400],
	['HTTP/1.01', 400], ['http/1.1', 400], ['Http/1.1', 400], ['HTTP/1,1', 400], ['HTTP /1.1', 400], ['HTTP/ 1.1', 400],
	['HTTP/1. 1', 400], ['HTTPS/1.1', 400], ['HTTP/a.b', 400], ['HTTP/-1.1', 400], ['HTTP\\1.1', 400], ['HTCPCP/1.0', 400],
	['HTTP/1.1x', 400], ['HTTP/1.x', 400], ["HTTP/1.1\t", 400], ["HTTP/1.\0", 400]) {
	my ($version, $status) = @$_;
	my ($closed, @r) = http_answers($lbd->port, "GET / $version\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");

	is(join(' ', $closed, map { $_->{status} } @r), "1 $status", "\"$version\" is refused");
	is(header($r[0], 'Connection'), 'close', 'closed');
}
my ($closed, @r) = http_answers($lbd->port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
is(join(' ', $closed, map { $_->{status} } @r), '1 505', 'the preface of HTTP/2 without being told');

# 1.2 and later are 1.1
for my $version ('1.1', '1.2', '1.9') {
	($closed, @r) = http_answers($lbd->port, "GET / HTTP/$version\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\n\r\n");
	is(join(' ', $closed, map { "$_->{version} $_->{status}" } @r), '1 1.1 200 1.1 200', "$version stays open");
}

# Who stays open: version, Connection, whether a second request is answered, what lbd says
for (['1.1', undef, 1, undef], ['1.1', 'keep-alive', 1, undef], ['1.1', 'close', 0, 'close'], ['1.1', 'Close', 0, 'close'],
	['1.1', 'keep-alive, close', 0, 'close'], ['1.1', 'close, keep-alive', 0, 'close'], ['1.1', 'x, close', 0, 'close'],
	['1.1', 'x,,close,', 0, 'close'], ['1.1', 'closed', 1, undef], ['1.1', 'x', 1, undef], ['1.1', '', 1, undef],
	['1.1', "x\r\nConnection: close", 0, 'close'],
	['1.0', undef, 0, 'close'], ['1.0', 'keep-alive', 1, 'keep-alive'], ['1.0', 'Keep-Alive', 1, 'keep-alive'],
	['1.0', 'close', 0, 'close'], ['1.0', 'keep-alive, close', 0, 'close'], ['1.0', 'x', 0, 'close'],
	['1.0', "x\r\nConnection: keep-alive", 1, 'keep-alive']) {
	my ($version, $connection, $stays, $says) = @$_;
	my $field = defined $connection ? "Connection: $connection\r\n" : '';

	for my $path ('/', '/p/') {
		($closed, @r) = http_answers($lbd->port, "GET $path HTTP/$version\r\nHost: a\r\n$field\r\n"
			. "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
		is(join(' ', $closed, map { "$_->{status} $_->{body}" } @r), '1 200 hello' . ($stays ? ' 200 hello' : ''),
			"$path $version " . ($field =~ s/\r\n/ /gr));
		is(lc(header($r[0], 'Connection') // ''), $says // '', 'says so');
	}
}

# The end of a body of unknown length: chunks, or for 1.0 the end of the connection
for my $path ('/p/close', '/p/old', '/p/chunked') {
	my $body = $path eq '/p/chunked' ? 'hello world' : 'until the end';

	($closed, @r) = http_answers($lbd->port, "GET $path HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\n\r\n");
	is(join(' ', $closed, map { "$_->{status} $_->{body}" } @r), "1 200 $body 200 hello", "$path to 1.1");
	is(header($r[0], 'Transfer-Encoding'), 'chunked', 'in chunks');
	for my $connection ('', "Connection: keep-alive\r\n") {
		($closed, @r) = http_answers($lbd->port, "GET $path HTTP/1.0\r\n$connection\r\n");
		is(join(' ', $closed, map { "$_->{status} $_->{body} $_->{complete}" } @r), "1 200 $body 1", "$path to 1.0");
		is(header($r[0], 'Transfer-Encoding'), undef, 'as it is');
		is(header($r[0], 'Connection'), 'close', 'its end is the end of the connection');
	}
	($closed, @r) = http_answers($lbd->port, "GET /nochunks$path HTTP/1.1\r\nHost: a\r\n\r\n");
	is(join(' ', $closed, map { "$_->{status} $_->{body}" } @r), "1 200 $body", 'chunked_transfer_encoding off');
	is(header($r[0], 'Transfer-Encoding'), undef, 'as it is');
	is(header($r[0], 'Connection'), 'close', 'and closes');
}

$lbd->stop;
done_testing;
