#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Clients that finish sending before they have their answer.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $origin = http_backend(sub {
	my ($q, $n, $b, $c) = @_;

	$b->note("asked $q->{target}");
	if ($q->{target} =~ /wait/) {
		wait_for(sub { $c->fill(0.01); $c->{ended} || -e $b->{gate} });
		$b->note('left alone'), return undef if $c->{ended};
	}
	return [200, ['Connection' => 'close'], "p:$q->{body}"];
}, gate => "/tmp/lbd-gate-$$");
END { unlink "/tmp/lbd-gate-$$" if defined $origin && $origin->{owner} == $$ }

my $lbd = Lbd->new(conf => <<"EOT");
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "ok"; }
		location /big { return 200 @{[ 'x' x 4000 ]}; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /i/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; proxy_ignore_client_abort on; }
	}
}
EOT
my $get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

sub statuses {
	my ($closed, @r) = http_answers($lbd->port, @_, half_close => 1);

	return join ' ', $closed, map { "$_->{status} $_->{body}" } @r;
}

# Whatever was asked is answered, then it ends.
is(statuses($get), '1 200 ok', 'one request');
is(statuses($get x 5), '1' . ' 200 ok' x 5, 'five at once');
is(statuses("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello$get"), '1 200 ok 200 ok', 'with a body');
is(statuses("GET /big HTTP/1.1\r\nHost: a\r\n\r\n" x 100), '1' . (' 200 ' . 'x' x 4000) x 100, 'more than fits at once');
is(statuses("GET / HTTP/1.0\r\n\r\n"), '1 200 ok', 'HTTP/1.0');

# nothing, or a part of something
is(statuses(''), '1', 'nothing');
is(statuses($_), '1', 'a part: ' . length $_) for 'G', "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r";
is(statuses("${get}GET / HT"), '1 200 ok', 'one and a part');
for my $request ("POST /p/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
	"POST /p/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	"POST /p/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n") {
	my ($closed, @r) = http_answers($lbd->port, $request, half_close => 1);

	ok($closed && !grep({ $_->{status} == 200 } @r), 'a part of a body: no answer of the server');
}
is(statuses("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell"), '1 200 ok', 'a part of a body that nobody reads');
for my $bad ("GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n") {
	like(statuses($bad), qr/^1 400 /, 'a bad one gets its 400');
}
is(scalar(grep { /asked/ } $origin->notes), 0, 'the server has seen none of it');

# While a server is asked, the end of the client's side counts as its leaving, as proxy_ignore_client_abort says.
my $c = Lbd::Client->new($lbd->port);
$c->send("GET /p/wait HTTP/1.1\r\nHost: a\r\n\r\n");
ok(wait_for(sub { grep { /asked .p.wait/ } $origin->notes }), 'asked');
$c->socket->shutdown(1);
ok($c->is_ended, 'closed without an answer');
ok(wait_for(sub { grep { /left alone/ } $origin->notes }), 'the server is left alone');
ok($lbd->wait_log(qr/client closed the connection while waiting/), 'which is logged');

$c = Lbd::Client->new($lbd->port);
$c->send("GET /i/wait HTTP/1.1\r\nHost: a\r\n\r\n$get");
ok(wait_for(sub { grep { /asked .i.wait/ } $origin->notes }), 'asked');
$c->socket->shutdown(1);
spew($origin->{gate}, '');
is($c->response->{body}, 'p:', 'with proxy_ignore_client_abort it is answered');
is($c->response->{body}, 'ok', 'and so is the next');
ok($c->is_ended, 'then it is closed');

$lbd->stop;
done_testing;
