#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Connections to servers that are used again, and those that died while idle.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $gate = File::Temp::tempdir('lbd-test-XXXXXX', TMPDIR => 1, CLEANUP => 1) . '/answered';
my $ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

# Notes "connection request"; then does what the target says.
my $server = backend(sub {
	my ($c, $n, $b) = @_;
	my $answered = 0;

	while (my $q = $c->request) {
		my ($what) = $q->{target} =~ m{/(\w+)$};

		$b->note("$n $q->{method} $what");
		if ($what eq 'die') { # only the first request on a connection is answered
			return if $answered++;
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
			wait_for(sub { -e $gate });
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
	upstream dies { server $a max_fails=0; keepalive 4; }
	upstream none { server $a max_fails=0; keepalive 0; }
	upstream three { server $a max_fails=0; keepalive 4; keepalive_requests 3; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /keeps/ { proxy_pass http://keeps; }
		location /dies/ { proxy_pass http://dies; }
		location /none/ { proxy_pass http://none; }
		location /three/ { proxy_pass http://three; }
	}
}
EOT
my $port = $lbd->port(0);

# The connections that requests were made on since the last call, by number.
my $seen = 0;
sub connections {
	my @notes = grep { /^\d+ [A-Z]/ } $server->notes;
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
spew($gate, '');
ok wait_for(sub { $lbd->log =~ /on an idle connection/ }), 'the connection is closed';
is ask('/keeps/a'), 'ok', 'and nobody gets what it said';
connections();

# asked again on a new one, without a word to the client
subtest 'a connection that dies with the second request' => sub {
	for my $method (qw(GET PUT DELETE)) {
		is http_request($port, '/dies/die', method => $method)->{status}, 200, "$method: answered" for 1 .. 3;
		like connections(), qr/^(\d+) \1 (\d+) \2 (\d+)$|^(\d+) (\d+) \5 (\d+) \6 (\d+)$/, "$method: on new connections";
	}
	my @status = map { http_request($port, '/dies/die', method => 'POST', body => 'x')->{status} } 1 .. 2;
	is_deeply [sort @status], [200, 502], 'POST: not sent twice';
};

$lbd->stop;
done_testing;
