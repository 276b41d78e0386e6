#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Too many connections: for the descriptors there are, for worker_connections, for the buffers of io_uring.
# Those that are there are served, the others wait, and it gets better by itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

# Answers when a file of that name is there.
my $gate = File::Temp::tempdir(CLEANUP => 1);
my $server = http_backend(sub {
	my ($q) = @_;

	wait_for(sub { -e "$gate/$1" }) if $q->{target} =~ m{/(held\w*)};
	return [200, [], 'z' x 5000 . "$q->{target}\n"];
});
my $a = $server->address;
my $http = <<"EOT";
http {
	upstream real { server $a; keepalive 2; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		keepalive_timeout 60s;
		location / { return 200 "\$request_uri\\n"; }
		location /proxy/ { proxy_pass http://real; proxy_read_timeout 60s; }
	}
}
EOT

sub ask { return $_[0]->send("GET $_[1] HTTP/1.1\r\nHost: a\r\n\r\n") }

# One after the other: the number of those that were answered with this body.
sub answered {
	my ($body, @c) = @_;
	my $n = 0;

	for my $c (@c) {
		my $r = $c->response;
		$n++ if $r->{status} == 200 && $r->{body} eq $body;
	}
	return $n;
}

subtest 'no descriptors left' => sub {
	my $lbd = Lbd->new(workers => 1, conf => "worker_rlimit_nofile 64;\n$http");
	my ($worker) = $lbd->workers;
	my $c = Lbd::Client->new($lbd->port);

	ask($c, '/first');
	is $c->response->{body}, "/first\n", 'a connection';
	my @many = map { Lbd::Client->new($lbd->port) } 1 .. 100;
	ask($_, '/many') for @many;
	ok $lbd->wait_log(qr/\[crit\].* accept on .* failed.*Too many open files/), 'accept fails and that is logged';
	for my $n (1 .. 20) {
		ask($c, "/still$n");
		is $c->response->{body}, "/still$n\n", "the first is served, $n" or last;
	}
	my @served = grep { $_->fill(0.2) } splice @many, 0, 20;
	is answered("/many\n", @served), 20, 'those that came early, too';
	$_->close for @served;
	# room for 20; they are closed in turn, so that the others get in
	my $n = 0;
	for my $m (@many) {
		$n += answered("/many\n", $m);
		$m->close;
	}
	is $n, 80, 'those that waited are served when others left';
	ok $lbd->wait_log(qr/accepting again on/), 'and that is logged';
	is scalar(() = $lbd->log =~ /accept on .* failed/g) <= 5, 1, 'not once for each';
	is http_get($lbd->port, '/last')->{body}, "/last\n", 'all is well again';
	ask($c, '/proxy/x');
	is $c->response->{status}, 200, 'servers are reached';
	is "@{[ $lbd->workers ]}", $worker, 'by the same worker';
	$lbd->stop;
};

subtest 'no descriptor for a server' => sub {
	my $lbd = Lbd->new(workers => 1, conf => "worker_rlimit_nofile 64;\n$http");
	my $c = Lbd::Client->new($lbd->port);

	ask($c, '/first');
	$c->response;
	my @many = map { Lbd::Client->new($lbd->port) } 1 .. 100;
	ok $lbd->wait_log(qr/accept on .* failed/), 'none left';
	ask($c, '/proxy/x');
	like $c->response->{status}, qr/^50[0234]$/, 'that exchange is refused';
	$_->close for @many;
	ok wait_for(sub { ask($c, '/proxy/x'); $c->response->{status} == 200 }), 'it gets better';
	$lbd->stop;
};

subtest worker_connections => sub {
	my $lbd = Lbd->new(workers => 1, conf => "events { %%USE%% worker_connections 32; }\n$http");
	my @busy = map { Lbd::Client->new($lbd->port) } 1 .. 16;

	# each takes two: a client's and a server's
	ask($_, '/proxy/held1') for @busy;
	ok $lbd->wait_log(qr/worker_connections \(32\) are used up/), 'they are used up';
	my @later = map { Lbd::Client->new($lbd->port) } 1 .. 40;
	ask($_, '/later') for @later;
	ok !$later[-1]->fill(0.3), 'new ones wait';
	spew("$gate/held1", '');
	is answered('z' x 5000 . "/proxy/held1\n", @busy), 16, 'those that were there are served';
	$_->close for @busy;
	my $n = 0;
	for my $c (@later) {
		$n += answered("/later\n", $c);
		$c->close;
	}
	is $n, 40, 'then the others';
	is http_get($lbd->port, '/proxy/x')->{status}, 200, 'all is well again';
	$lbd->stop;
};

subtest 'few buffers' => sub {
	my $lbd = Lbd->new(workers => 1, conf => "events { %%USE%% io_uring_buffers 8 4k; }\n$http");
	my $body = 'b' x 20_000;

	for my $round (1 .. 3) {
		my @many = map { Lbd::Client->new($lbd->port) } 1 .. 200;

		# all have sent half a head before the first goes on
		$_->send("GET /half HTTP/1.1\r\nX-Long: " . 'l' x 1500) for @many;
		$_->send("\r\nHost: a\r\n\r\n") for @many;
		is answered("/half\n", @many), 200, "round $round: 200 at once";
		my @few = splice @many, 0, 30;
		ask($_, "/proxy/x") for @few;
		is answered('z' x 5000 . "/proxy/x\n", @few), 30, "round $round: 30 to servers";
		$_->send("POST /proxy/p HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" . $body) for @few;
		is answered('z' x 5000 . "/proxy/p\n", @few), 30, "round $round: 30 with bodies";
		$_->close for @few, @many;
	}
	$lbd->stop;
};

done_testing;
