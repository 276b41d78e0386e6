#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The end of a worker with connections open: QUIT finishes what is going on and closes what is idle, TERM and
# worker_shutdown_timeout close everything.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use Lbd;
use Test::More;

my $origin = http_backend(sub {
	my ($q, $n, $b) = @_;

	$b->note('asked');
	# answers when the test says so
	wait_for(sub { -e "$b->{gate}" }) if $q->{target} eq '/slow';
	return [200, [], "done\n"];
}, gate => File::Temp::tempdir(CLEANUP => 1) . '/open');

sub site {
	my ($more) = @_;

	return ($more // '') . <<"EOT";
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location = /hello { return 200 "hello\\n"; }
	}
}
EOT
}

# QUIT
my $lbd = Lbd->new(conf => site());
my $idle = Lbd::Client->new($lbd->port);
$idle->send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
is($idle->response->{body}, "hello\n", 'a connection that is idle now');
my $busy = Lbd::Client->new($lbd->port);
$busy->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
ok(wait_for(sub { $origin->notes }), 'a request in flight');
$lbd->signal('QUIT');
ok($idle->is_ended, 'the idle connection is closed');
ok(wait_for(sub { !connect_to($lbd->port) }), 'no new ones');
ok($lbd->is_running, 'lbd waits for the request');
like(join(' ', map { Lbd::title_of($_) } $lbd->workers), qr/shutting down/, 'a worker says that it is leaving');
spew($origin->{gate}, '');
my $r = $busy->response;
is($r->{body}, "done\n", 'which gets its answer');
is(header($r, 'Connection'), 'close', 'and is told that it was the last');
ok($busy->is_ended, 'closed');
is($lbd->wait_exit, 0, 'now it ends');
$lbd->stop;
unlink $origin->{gate};

# several requests in one go: all that was received is answered, and only the last answer says so
for my $how (qw(QUIT HUP)) {
	unlink $origin->{gate};
	my $asked = $origin->notes;

	$lbd = Lbd->new(conf => site());
	$busy = Lbd::Client->new($lbd->port);
	$busy->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" . "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" x 2);
	ok(wait_for(sub { $origin->notes > $asked }), "$how: the first of three requests in one go is in flight");
	if ($how eq 'QUIT') {
		$lbd->signal('QUIT');
		ok($lbd->wait_log(qr/exit|shutting down gracefully/), 'lbd is told to end');
	} else { # its listener is gone
		$lbd->configure(site() =~ s/PORT_0/PORT_1/r);
		is($lbd->reload, 1, 'a reload without its listener');
	}
	ok(wait_for(sub { !connect_to($lbd->port) }), 'nobody listens there any more');
	spew($origin->{gate}, '');
	my @r = map { $busy->response } 1 .. 3;
	is_deeply([map { $_->{body} } @r], ["done\n", "hello\n", "hello\n"], 'three answers');
	is_deeply([map { header($_, 'Connection') // '' } @r], ['', '', 'close'], 'the last one says that it is');
	ok($busy->is_ended, 'closed');
	is($lbd->wait_exit, 0, 'it ends') if $how eq 'QUIT';
	$lbd->stop;
}
unlink $origin->{gate};

# TERM
$lbd = Lbd->new(conf => site());
$busy = Lbd::Client->new($lbd->port);
$busy->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
ok(wait_for(sub { $origin->notes == 4 }), 'a request in flight');
$lbd->signal('TERM');
is($busy->response->{status}, 0, 'TERM: no answer');
is($lbd->wait_exit, 0, 'it ends');
$lbd->stop;

# TERM, and connections that come right behind it
$lbd = Lbd->new(conf => site(), workers => 1);
my ($worker) = $lbd->workers;
$lbd->signal('STOP', $worker);
ok(wait_for(sub { (slurp("/proc/$worker/stat") // '') =~ /^\d+ \(.*\) T /s }), 'a worker is stopped');
$lbd->signal('TERM', $worker);
my @late = map { Lbd::Client->new($lbd->port) } 1 .. 20;
$_->send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n") for @late;
$lbd->signal('CONT', $worker);
ok($lbd->wait_log(qr/worker process $worker exited with code 0/), 'and told to end');
unlike($lbd->log, qr/connections did not end/, 'which it does, without those it let in at last');
$lbd->stop;

# worker_shutdown_timeout
$lbd = Lbd->new(conf => site("worker_shutdown_timeout 300ms;\n"));
$busy = Lbd::Client->new($lbd->port);
$busy->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
ok(wait_for(sub { $origin->notes == 5 }), 'a request in flight');
$lbd->signal('QUIT');
is($busy->response->{status}, 0, 'QUIT: no answer in time');
ok($lbd->wait_log(qr/worker_shutdown_timeout has passed, closing 1 connections/), 'the time is up');
is($lbd->wait_exit, 0, 'it ends');
$lbd->stop;

done_testing;
