#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# How long a request is: whatever two readers might measure differently is refused, and nothing behind it is
# read as a request, neither by lbd nor by the server behind it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $origin = http_backend(sub {
	my ($q, $n, $b) = @_;

	# whether and how it is told a length
	$b->note(join ' ', $q->{method}, $q->{target}, map { ($_) x @{ $q->{headers}{$_} // [] } } 'content-length',
		'transfer-encoding');
	return [200, [], "$q->{target}:$q->{body}\n"];
});
my $lbd = Lbd->new(conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "\$uri\\n"; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /s/ {
			proxy_pass http://127.0.0.1:@{[ $origin->port ]};
			proxy_request_buffering off;
			proxy_http_version 1.1;
		}
	}
}
EOT
my $second = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";
my $length = length $second;
my $chunk = sprintf "%x\r\n%s\r\n0\r\n\r\n", $length, $second;
my $none = "0\r\n\r\n";

# fields of the head, bytes behind it, status when not 400, version when not 1.1
my @heads = (
	# two lengths
	["Content-Length: $length\r\nTransfer-Encoding: chunked", $none],
	["Transfer-Encoding: chunked\r\nContent-Length: $length", $none],
	["Transfer-Encoding: chunked\r\nContent-Length: 5", $none],
	["Transfer-Encoding: chunked\r\nContent-Length: 0", $none],
	["Content-Length: 5\r\nTransfer-Encoding: identity", $none],
	["Content-Length:\r\nTransfer-Encoding: chunked", $none],
	["Content-Length: $length\r\nContent-Length: $length"],
	["Content-Length: 0\r\nContent-Length: $length"],
	["Content-Length: $length\r\nContent-Length: 0"],
	["Content-Length: 0\r\ncontent-length: 0"],
	["Content-Length: 0, $length"],
	["Content-Length: $length, $length"],
	["Content-Length: 0,"],
	["Content-Length: 0\r\nX: a\r\nContent-Length:"],

	# a length that is none
	(map { ["Content-Length: $_"] } '', '+0', '-0', '-1', "+$length", '0x0', '0x23', '0 0', "0\t0", '0a', 'a', '1e1', '1.0',
		'"0"', '0;', '0_0', "\xb2", '9223372036854775808', '18446744073709551615', '18446744073709551616',
		'99999999999999999999999999999999'),
	["Content-Length : 0"], ["Content-Length\t: 0"], ["Content-Length: 0\r\n $length"], [" Content-Length: 0"],
	["Content-Length: 0\x0b"], ["Content-Length: \x000"], ["Content-Length: 0\r"], ["Content-Length: \r0"],

	# a coding that is not chunked
	(map { ["Transfer-Encoding: $_", $none] } '', 'identity', 'chunke', 'xchunked', 'chunkedx', 'chunked chunked',
		'"chunked"', "'chunked'", 'chunked;', 'chunked;a=b', 'chunked, chunked', 'chunked,', ',chunked', 'chunked, identity',
		'identity, chunked, identity', 'gzip', 'chunked, gzip', "chunked\x0b", "\x0bchunked", "chunked\x00", "\x00chunked",
		'chunked=', 'chunked:', '[chunked]', "\xe4chunked", 'chunked, cow'),
	(map { ["Transfer-Encoding: $_", $none, 501] } 'gzip, chunked', 'gzip,chunked', 'cow, chunked', 'identity, chunked'),
	["Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", $none],
	["Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", $none],
	["Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", $none],
	["Transfer-Encoding: chunked\r\nTransfer-Encoding:", $none],
	["Transfer-Encoding : chunked", $none], ["Transfer-Encoding\t: chunked", $none],
	["Transfer-Encoding:\r\n chunked", $none], ["X: a\r\n Transfer-Encoding: chunked", $none],
	["X: a\rTransfer-Encoding: chunked", $none], ["X: a\nTransfer-Encoding: chunked", $none],
	["Transfer-Encoding\x00: chunked", $none], ["\x00Transfer-Encoding: chunked", $none],
	["Transfer-Encoding chunked", $none],
	["Transfer-Encoding: chunked", $none, 400, '1.0'],
	["Connection: keep-alive\r\nTransfer-Encoding: chunked", $none, 400, '1.0'],
	["Content-Length: 0\r\nTransfer-Encoding: chunked", $none, 400, '1.0'],
);

# bytes of a chunked body
my @bodies = (
	"0\n\r\n", "0\r\r\n", "0\r\n\n", "0\n\n", "0\r\nX: a\n\r\n", "0\r\n\rX", "0\r\nX\0: a\r\n\r\n",
	"-0\r\n\r\n", "+0\r\n\r\n", "0x0\r\n\r\n", " 0\r\n\r\n", "\t0\r\n\r\n", "\r\n0\r\n\r\n", ";\r\n\r\n", "g\r\n\r\n",
	"0 \r\n\r\n", "0\0\r\n\r\n", "0 0\r\n\r\n", "0,0\r\n\r\n", "0\x0b\r\n\r\n", "0;a\nb\r\n\r\n", "0;a\rb\r\n\r\n",
	"0;a\0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "1\r\na0\r\n\r\n", "1\r\na\n0\r\n\r\n", "1\r\na\r0\r\n\r\n",
	"1\na\r\n0\r\n\r\n", "1\r\n\r\n0\r\n\r\n", "00000000000000000\r\n\r\n", "10000000000000000\r\na\r\n0\r\n\r\n",
	"ffffffffffffffff\r\na\r\n0\r\n\r\n", "8000000000000000\r\na\r\n0\r\n\r\n", "100000000000000001\r\na\r\n0\r\n\r\n",
	"0;" . 'a' x 70000 . "\r\n\r\n", join('', map { "1;" . 'b' x 4000 . "\r\na\r\n" } 1 .. 20) . "0\r\n\r\n",
);

sub shown {
	my ($s) = @_;

	$s =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
	return length $s > 70 ? substr($s, 0, 70) . '...' : $s;
}

# One answer of that status, a closed connection, and nothing of the second request.
sub refused {
	my ($port, $bytes, $status, $name) = @_;
	my ($closed, @r) = http_answers($port, $bytes);
	my $all = join '', map { $_->{head} . $_->{body} } @r;

	is(join(' ', $closed, map { $_->{status} } @r), "1 $status", $name);
	is(header($r[0] // {}, 'Connection'), 'close', 'closes');
	unlike($all, qr/second/, 'reads no second request');
}

for my $path ('/', '/p/', '/s/') {
	for (@heads) {
		my ($fields, $body, $status, $version) = @$_;

		refused($lbd->port, "POST $path HTTP/" . ($version // '1.1') . "\r\nHost: a\r\n$fields\r\n\r\n" . ($body // '')
			. $second, $status // 400, "$path " . shown($fields));
	}
}
is(join("\n", $origin->notes), '', 'the server behind has seen nothing of them');

# A bad body that nobody reads ends the connection; one that a server waits for is refused.
for my $body (@bodies) {
	my $head = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
	my ($closed, @r) = http_answers($lbd->port, "POST / $head$body$second");

	is(join(' ', $closed, map { $_->{status} } @r), '1 200', 'return, ' . shown($body));
	is($r[0]{body}, "/\n", 'the first is answered, the second not');
	refused($lbd->port, "POST /p/ $head$body$second", 400, 'buffered, ' . shown($body));
	($closed, @r) = http_answers($lbd->port, "POST /s/ $head$body$second");
	is(join(' ', $closed, map { $_->{status} } @r), '1 400', 'unbuffered, ' . shown($body));
}
unlike(join("\n", $origin->notes), qr/second/, 'the server behind has not seen the second');

# What looks odd and is right: both requests are answered, the server sees the body.
my @accepted = (
	["Content-Length: $length", $second, $second], ["content-length:$length", $second, $second],
	["CONTENT-LENGTH: \t $length \t", $second, $second], ["Content-Length: 000$length", $second, $second],
	["Content-Length: 0", '', ''], ["X: a", '', ''], ["Content_Length: 5\r\nTransfer_Encoding: chunked", '', ''],
	["X-Content-Length: 5", '', ''], ["Content-Length-X: 5\r\nContent.Length: 5", '', ''],
	["Transfer-Encoding: chunked", $chunk, $second], ["transfer-encoding:CHUNKED", $chunk, $second],
	["Transfer-Encoding: \t chunked \t", $chunk, $second], ["Transfer-Encoding: chunked", $none, ''],
	["Transfer-Encoding: chunked", "000\r\n\r\n", ''], ["Transfer-Encoding: chunked", "0;a=b;c=\"d;e\"\r\n\r\n", ''],
	["Transfer-Encoding: chunked", "1 ;a\r\nx\r\n0\t;\r\n\r\n", 'x'],
	["Transfer-Encoding: chunked", "0\r\nX: a\r\nContent-Length: 5\r\n\r\n", ''],
	["Transfer-Encoding: chunked", "A\r\n0123456789\r\n00000a\r\n0123456789\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n",
		'01234567890123456789'],
	["Transfer-Encoding: chunked\r\nContent_Length: 3", $chunk, $second],
	["Connection: Content-Length\r\nContent-Length: $length", $second, $second],
	["Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", $chunk, $second],
);
my $last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
for (@accepted) {
	my ($fields, $bytes, $body) = @$_;

	for my $path ('/', '/p/', '/s/') {
		my ($closed, @r) = http_answers($lbd->port, "POST $path HTTP/1.1\r\nHost: a\r\n$fields\r\n\r\n$bytes$last");
		my $wanted = $path eq '/' ? "/\n" : "$path:$body\n";

		is(join(' ', $closed, map { $_->{status} } @r), '1 200 200', "$path " . shown("$fields $bytes"));
		is($r[0]{body}, $wanted, 'the first');
		is(($r[1] // {})->{body}, "/last\n", 'the second');
	}
}
is(join("\n", grep { !/^(?:GET|POST) \S+(?: content-length| transfer-encoding)?$/ } $origin->notes), '',
	'the server is told one length at most');

# A request that is refused for another reason than its length: its body is no request either.
for (['POST /%00', 400], ['POST /..', 400], ['POST a', 400], ['TRACE /', 405], ['CONNECT a:80', 405]) {
	my ($line, $status) = @$_;

	refused($lbd->port, "$line HTTP/1.1\r\nHost: a\r\nContent-Length: $length\r\n\r\n$second$second", $status, $line);
	refused($lbd->port, "$line HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n$chunk$second", $status,
		"$line, chunked");
}

$lbd->stop;
done_testing;
