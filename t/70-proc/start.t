#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Ways to start and reasons not to: in the background, in one process, as an ordinary user, with a wrong user, on a
# port in use, without io_uring.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::INET;
use Lbd;
use Test::More;

my ($code, $out, $lbd);
my $site = <<'EOT';
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		return 200 "$pid\n";
	}
}
EOT

# in the background: the shell gets its prompt back when all workers serve
$lbd = Lbd->new(start => 0, conf => "daemon on;\n$site");
($code, $out) = $lbd->run;
is("$code$out", '0', 'a start in the background');
my $pid = slurp($lbd->pid_path) + 0;
isnt($pid, 0, 'has a pid file at once');
is(http_get($lbd->port, '/')->{status}, 200, 'and answers at once');
is((POSIX::getpgrp() == (split ' ', slurp("/proc/$pid/stat") =~ s/.*\) //r)[2]) + 0, 0, 'in a session of its own');
is((lbd_run('-p', $lbd->dir, '-s', 'quit'))[0], 0, '-s quit');
ok(wait_for(sub { !is_alive($pid) }), 'ends it');
ok(!-e $lbd->pid_path, 'pid file is gone');

# ... and learns when they do not
$lbd->configure("daemon on;\nworking_directory logs;\n$site");
SKIP: {
	skip 'not root', 4 unless is_root();
	chmod 0700, $lbd->dir . '/logs';
	push @{ $lbd->{allow} }, qr/working_directory|could not start/, qr/exited with code 2/;
	($code, $out) = $lbd->run;
	is($code, 1, 'a worker that cannot start');
	like($out, qr/could not start: working_directory ".*logs": Permission denied/, 'says why in the terminal');
	like($out, qr/could not start (?:worker|control) process \d; not started/, 'and that nothing was started');
	ok(!-e $lbd->pid_path, 'pid file is gone');
}
$lbd->stop;

# one process
$lbd = Lbd->new(conf => "master_process off;\n$site");
is(http_get($lbd->port, '/')->{body}, $lbd->pid . "\n", 'master_process off: one process');
is(scalar(my @none = $lbd->children), 0, 'without children');
rename $lbd->log_path, $lbd->log_path . '.1';
$lbd->signal('USR1');
ok(wait_for(sub { -e $lbd->log_path }), 'USR1');
$lbd->signal('HUP');
ok($lbd->wait_log(qr/signal HUP received from \d+; no reload/), 'HUP');
$lbd->stop('QUIT');
ok(!-e $lbd->pid_path, 'pid file is gone');

# who
$lbd = Lbd->new(start => 0, as => nobody(), conf => $site);
$lbd->start;
is(http_get($lbd->port, '/')->{status}, 200, 'an ordinary user');
my ($worker) = $lbd->workers;
is((stat "/proc/$worker")[4], scalar getpwnam(nobody()), 'runs everything as itself') if is_root();
unlike($lbd->output, qr/"user" is ignored/, 'no warning without "user"');
$lbd->stop;
$lbd = Lbd->new(start => 0, conf => "user root;\n$site");
($code, $out) = Lbd::run_program({ %{ $lbd->environment }, run_as => nobody() }, lbd_program(), '-p', $lbd->dir,
	'-e', 'stderr', '-g', 'daemon off;', '-t');
is($code, 0, 'an ordinary user with "user"');
like($out, qr/lbd\.conf:1:1: .*"user" is ignored: lbd was not started by root/, 'is warned');
SKIP: {
	skip 'not root', 6 unless is_root();
	$lbd->configure("user no-such-user;\n$site");
	($code, $out) = $lbd->run_test;
	is($code, 1, 'a user that does not exist');
	like($out, qr/lbd\.conf:1:6: user "no-such-user" does not exist/, 'is named');
	$lbd->configure("user daemon no-such-group;\n$site");
	($code, $out) = $lbd->run_test;
	is($code, 1, 'a group that does not exist');
	like($out, qr/lbd\.conf:1:13: group "no-such-group" does not exist/, 'is named');
	$lbd->configure("user daemon;\n$site");
	$lbd->start;
	($worker) = $lbd->workers;
	is((stat "/proc/$worker")[4], scalar getpwnam('daemon'), 'workers are who "user" says');
	is((stat '/proc/' . ($lbd->control)[0])[4], scalar getpwnam('daemon'), 'and so is control');
	$lbd->signal('TERM');
	$lbd->wait_exit;
}
like(slurp("/proc/self/status"), qr/NoNewPrivs/, 'the kernel shows no_new_privs');
$lbd->configure($site);
$lbd->start;
like(slurp("/proc/$_/status"), qr/^NoNewPrivs:\s*1$/m, 'a child cannot gain rights') for $lbd->children;
$lbd->stop;

# a port that belongs to somebody else
$lbd = Lbd->new(start => 0, conf => $site);
my $other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $lbd->port, Listen => 1, ReuseAddr => 1)
	or die "listen: $!";
($code, $out) = $lbd->run;
is($code, 1, 'a port in use');
like($out, qr/lbd\.conf:3:\d+: could not bind to 127\.0\.0\.1:\d+: address already in use \(98\)/, 'is named');
like($out, qr/not started/, 'nothing starts');
ok(!-e $lbd->pid_path, 'no pid file');
close $other;
my $first = Lbd->new(conf => $site, ports => [$lbd->port]);
($code, $out) = $lbd->run;
is($code, 1, 'the port of another lbd');
like($out, qr/address already in use/, 'is in use, too');
is(($first->run_test)[0], 0, '-t with the configuration that runs');
$first->stop;
$lbd->stop;
SKIP: {
	my $low = slurp('/proc/sys/net/ipv4/ip_unprivileged_port_start') // 1024;

	skip 'every port is free for all', 2 if $low < 90;
	$lbd = Lbd->new(start => 0, conf => "http { server { listen 127.0.0.1:81; } }\n");
	$lbd->own(nobody());
	($code, $out) = Lbd::run_program({ %{ $lbd->environment }, run_as => nobody() }, lbd_program(), $lbd->arguments);
	is($code, 1, 'a port below 1024 for an ordinary user');
	like($out, qr/could not bind to 127\.0\.0\.1:81: permission denied \(13\)/, 'is refused by the kernel');
	$lbd->stop;
}

# io_uring refused
$lbd = Lbd->new(engine => '', env => { LBD_URING_REFUSE => 1 }, conf => $site);
ok($lbd->wait_log(qr/\[notice\] .*io_uring is not used: .*; using epoll/), 'without io_uring there is a notice');
ok($lbd->wait_log(qr/start: 2 workers, engine epoll/), 'and epoll');
is(http_get($lbd->port, '/')->{status}, 200, 'that works');
$lbd->stop;
$lbd = Lbd->new(start => 0, env => { LBD_URING_REFUSE => 1 }, conf => "events { use io_uring; }\n");
($code, $out) = $lbd->run_test;
is($code, 1, 'use io_uring without io_uring');
like($out, qr/lbd\.conf:1:14: io_uring cannot be used here: /, 'is an error of the configuration');
$lbd->stop;

done_testing;
