#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# A server sends more than its response, and the response ends just where a read ends: what follows once
# was taken for the answer to the next request on that connection.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
my $server = backend(sub {
	my ($c) = @_;

	while (my $q = $c->request) {
		my ($size) = $q->{target} =~ /(\d+)/;
		my $answer = http_bytes(200, [], "$q->{target} ");

		# of exactly that size, behind it one that nobody asked for, all in one piece
		$answer = http_bytes(200, ['X-Fill' => 'x' x ($size - length($answer) - 10)], "$q->{target} ");
		syswrite $c->{socket}, $answer . $poison;
	}
});
my $a = $server->address;
my $lbd = Lbd->new(workers => 1, conf => <<"EOT");
http {
	proxy_buffer_size 128k;
	upstream u { server $a; keepalive 4; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { proxy_pass http://u; }
	}
}
EOT
# Many at once, so that a connection that is free is wanted in the same moment.
my @clients = map { Lbd::Client->new($lbd->port) } 1 .. 30;

for my $size (8192, 16384, 32768) {
	my $wrong = 0;

	for my $round (1 .. 10) {
		$clients[$_]->send("GET /$size/$round/$_ HTTP/1.1\r\nHost: a\r\n\r\n") for 0 .. $#clients;
		for (0 .. $#clients) {
			$wrong++ if $clients[$_]->response->{body} ne "/$size/$round/$_ ";
		}
	}
	is $wrong, 0, "a response of $size bytes, more behind it: every request gets its own";
}
done_testing;
