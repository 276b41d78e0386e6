#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Connections to servers that are used again, and those that died while idle.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

# Notes "connection request"; then does what the target says.
my $server = backend(sub {
	my ($c, $n, $b) = @_;

	while (my $q = $c->request) {
		my ($what) = $q->{target} =~ m{/(\w+)$};

		$b->note("$n $q->{method} $what");
		if ($what eq 'die') { # the second request on a connection is not answered
			return if $b->{died}++;
			$c->send($ok);
		} elsif ($what eq 'last') {
			$c->send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
			return;
		} elsif ($what eq 'leave') { # announces nothing
			$c->send($ok);
			return;
		} elsif ($what eq 'chunks') {
			$c->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
		} elsif ($what eq 'early') { # more bytes later, on the idle connection
			$c->send($ok);
			$b->note("$n sends");
			select undef, undef, undef, 0.05;
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
		} else {
			$c->send($ok);
		}
	}
});
my $a = $server->address;
my $lbd = Lbd->new(workers => 1, conf => <<"EOT");
http {
	upstream keeps { server $a max_fails=0; keepalive 4; }
	upstream none { server $a max_fails=0; keepalive 0; }
	upstream three { server $a max_fails=0; keepalive 4; keepalive_requests 3; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /keeps/ { proxy_pass http://keeps; }
		location /none/ { proxy_pass http://none; }
		location /three/ { proxy_pass http://three; }
	}
}
EOT
my $port = $lbd->port(0);

# The connections that requests were made on since the last call, by number.
my $seen = 0;
sub connections {
	my @notes = grep { /GET|POST/ } $server->notes;
	my @new = @notes[$seen .. $#notes];

	$seen = @notes;
	return join ' ', map { /^(\d+)/ } @new;
}

sub ask {
	my ($target, %o) = @_;

	return http_request($port, $target, %o)->{body};
}

is ask("/keeps/$_"), 'ok', $_ for qw(a b chunks c);
is connections(), '1 1 1 1', 'one connection serves them all';
ask('/keeps/last');
ask('/keeps/a');
is connections(), '1 2', 'after Connection: close a new one is made';
ask("/none/a") for 1 .. 2;
is connections(), '3 4', 'keepalive 0: one for each request';
ask("/three/a") for 1 .. 4;
is connections(), '5 5 5 6', 'keepalive_requests 3';

ask('/keeps/leave');
ask('/keeps/a') for 1 .. 2;
like connections(), qr/^2 (\d+) \1$/, 'a connection the server closed while idle is not used';

is ask('/keeps/early'), 'ok', 'a server that says more later';
ok wait_for(sub { $lbd->log =~ /nobody asked for on an idle connection/ }), 'the connection is closed';
is ask('/keeps/a'), 'ok', 'and nobody gets what it said';
connections();

# the second request on a connection finds it dead: asked again on a new one, without a word to the client
subtest 'a connection that dies with the request' => sub {
	for my $method (qw(GET PUT DELETE)) {
		ask('/three/a') until connections() =~ /^(\d+)$/ && $1 > 6; # a connection that is not at its limit
		my $r = http_request($port, '/keeps/die', method => $method);
		is $r->{status}, 200, "$method: answered";
		$r = http_request($port, '/keeps/die', method => $method);
		is $r->{status}, 200, "$method: answered again";
	}
	my $r = http_request($port, '/keeps/die', method => 'POST', body => 'x');
	$r = http_request($port, '/keeps/die', method => 'POST', body => 'x') if $r->{status} == 200;
	is $r->{status}, 502, 'POST: not sent twice';
};

$lbd->stop;
done_testing;
