#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Requests that come without waiting for the answers: in order, however the bytes are cut, and not without a bound.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $origin = http_backend(sub {
	my ($q) = @_;
	return [200, [], "p:$q->{target}:$q->{body}"];
});
my $lbd = Lbd->new(workers => 1, conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		keepalive_requests 1000000;
		location / { return 200 "r:\$request_uri"; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /u/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; proxy_request_buffering off; }
		location /204 { return 204; }
		location /404 { return 404; }
		location /big { return 200 @{[ 'x' x 4000 ]}; }
	}
}
EOT

# request, method, what its answer says
sub ask {
	my ($kind, $i) = @_;
	my $get = "HTTP/1.1\r\nHost: a\r\n";

	return ("GET /r$i $get\r\n", 'GET', "200 r:/r$i") if $kind eq 'r';
	return ("GET /p/$i $get\r\n", 'GET', "200 p:/p/$i:") if $kind eq 'p';
	return ("HEAD /h$i $get\r\n", 'HEAD', '200 ') if $kind eq 'h';
	return ("HEAD /p/h$i $get\r\n", 'HEAD', '200 ') if $kind eq 'H';
	return ("GET /204 $get\r\n", 'GET', '204 ') if $kind eq 'n';
	return ("POST /r$i ${get}Content-Length: 5\r\n\r\nGET /", 'POST', "200 r:/r$i") if $kind eq 'b';
	return ("POST /p/$i ${get}Content-Length: 5\r\n\r\nGET /", 'POST', "200 p:/p/$i:GET /") if $kind eq 'B';
	return ("POST /r$i ${get}Transfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n2\r\n /\r\n0\r\n\r\n", 'POST', "200 r:/r$i")
		if $kind eq 'c';
	my $path = $kind eq 'C' ? '/p/' : '/u/';
	return ("POST $path$i ${get}Transfer-Encoding: chunked\r\n\r\n3;x\r\nGET\r\n2\r\n /\r\n0\r\nX: y\r\n\r\n", 'POST',
		"200 p:$path$i:GET /");
}

my $last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

# kinds => bytes, methods, answers
sub made {
	my ($bytes, @methods, @answers) = ('');
	my $i = 0;

	for (split //, $_[0]) {
		my ($request, $method, $answer) = ask($_, $i++);

		$bytes .= $request;
		push @methods, $method;
		push @answers, $answer;
	}
	return ($bytes . $last, [@methods, 'GET'], join "\n", 1, @answers, '200 r:/last');
}

sub answers {
	my ($pieces, $methods) = @_;
	my ($closed, @r) = http_answers($lbd->port, $pieces, methods => $methods);

	return join "\n", $closed, map { "$_->{status} $_->{body}" } @r;
}

for my $kinds ('r' x 16, 'p' x 16, 'rp' x 8, 'rrrrpppprrrrpppp', 'rphHnbBcCurphHnb', 'b' x 16, 'B' x 16, 'c' x 16, 'C' x 16,
	'u' x 16, 'bcBCu' x 3 . 'r', 'hHhHnnnnrrppCCuu') {
	my ($bytes, $methods, $wanted) = made($kinds);

	is(answers($bytes, $methods), $wanted, "$kinds at once");
	is(answers([split //, $bytes], $methods), $wanted, 'byte by byte');
	is(answers([$bytes =~ /(.{1,33})/gs], $methods), $wanted, 'in pieces');
	is(answers([split /(?<=\n)/, "\r\n$bytes"], $methods), $wanted, 'by lines, an empty one first');
}

# cut in two at every byte
for my $kinds ('rpb', 'Bcr', 'uCp') {
	my ($bytes, $methods, $wanted) = made($kinds);
	my @wrong = grep { answers([substr($bytes, 0, $_), substr $bytes, $_], $methods) ne $wanted } 1 .. length($bytes) - 1;

	is("@wrong", '', "$kinds cut at each byte");
}

# an error or a close ends it there
for (['r', "GET / HTTP/1.1\r\n\r\n", 400], ['rp', "GET / HTTP/3.0\r\n\r\n", 505], ['pr', "GET /x HTTP/1.0\r\n\r\n", 200],
	['p', "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200]) {
	my ($kinds, $end, $status) = @$_;
	my ($bytes, $methods, $wanted) = made($kinds);
	my ($closed, @r) = http_answers($lbd->port, $bytes =~ s/\Q$last\E/$end$last/r, methods => $methods);

	is(join(' ', $closed, map { $_->{status} } @r), join(' ', 1, (200) x length $kinds, $status), "$kinds, then the last");
}

# Whoever asks without reading is not read any more: memory stays bounded, nothing is lost.
my ($worker) = $lbd->workers;
sub rss { return (slurp("/proc/$worker/status") // '') =~ /^VmRSS:\s+(\d+)/m ? $1 : 0 }
my $c = Lbd::Client->new($lbd->port);
my $one = "GET /big HTTP/1.1\r\nHost: a\r\nX: @{[ 'y' x 3000 ]}\r\n\r\n"; # few fit into the kernel's buffers
my $before = rss();
my ($sent, $asked) = ('', 0);
my $idle = 0;
while ($asked < 50_000 && $idle < 20) {
	$sent = $one x 100, $asked += 100 if $sent eq '';
	my $n = syswrite $c->socket, $sent;

	if (defined $n) {
		substr $sent, 0, $n, '';
		$idle = 0;
	} else {
		$idle++ if !IO::Select->new($c->socket)->can_write(0.02);
	}
}
cmp_ok($asked, '<', 50_000, 'lbd stops reading requests whose answers nobody reads');
cmp_ok(rss() - $before, '<', 32 * 1024, 'and does not grow');
my ($got, $wrong) = (0, 0);
my $size;
while ($got < $asked && !$wrong && !$c->{ended}) {
	if ($sent ne '') {
		my $n = syswrite $c->socket, $sent;

		substr $sent, 0, $n, '' if $n;
	}
	$c->fill(0.5) or $sent ne '' or last;
	$size //= $c->{buf} =~ /\A(.*?\r\n\r\n)/s ? 4000 + length $1 : next;
	while (length $c->{buf} >= $size) {
		$wrong++ if substr($c->{buf}, 0, $size, '') !~ /\AHTTP\/1\.1 200 OK\r\n(?:[^\r\n]+\r\n)+\r\nx+\z/;
		$got++;
	}
}
is($wrong, 0, 'only answers come');
is($got, $asked, 'all of them');
is(http_get($lbd->port, '/')->{status}, 200, 'it serves others');

$lbd->stop;
done_testing;
