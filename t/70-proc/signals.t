#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What signals to the master and to a worker do, and "lbd -s".

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my ($code, $out);
my $lbd = Lbd->new(conf => <<'EOT');
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		return 200 "$pid\n";
	}
}
EOT

sub answers { return http_get($lbd->port, '/')->{status} == 200 }

# what reload does is in reload-*.t
my $generation = 1;
for my $sig (qw(HUP USR2)) {
	$generation++;
	$lbd->signal($sig);
	ok($lbd->wait_log(qr/signal $sig received from \d+, reloading/), "$sig is noticed");
	ok($lbd->wait_log(qr/generation $generation is serving/), 'and obeyed');
}
$generation++;
($code, $out) = $lbd->run('-s', 'reload');
is($code, 0, '-s reload');
ok($lbd->wait_log(qr/generation $generation is serving/), 'is the same');
ok($lbd->wait_log(qr/generation @{[ $generation - 1 ]} has ended/), 'the one before ends');
ok(answers(), 'it goes on');

# a worker ends by itself and is replaced
for my $sig (qw(TERM INT QUIT)) {
	my ($worker) = $lbd->workers;

	$lbd->signal($sig, $worker);
	ok($lbd->wait_log(qr/worker process $worker exited with code 0/), "a worker ends on $sig");
	ok(wait_for(sub { my @w = $lbd->workers; @w == 2 && !grep { $_ == $worker } @w }), 'and is replaced');
}
ok(answers(), 'it answers');

# WINCH as from a terminal would come from the kernel; this one is meant
$lbd->signal('WINCH');
ok($lbd->wait_log(qr/signal WINCH received from \d+, retiring the workers/), 'WINCH');
ok(wait_for(sub { !$lbd->workers }), 'the workers are gone');
ok($lbd->is_running, 'the master stays');
ok($lbd->control, 'and control');
($code, $out) = $lbd->run('-s', 'quit');
is($code, 0, '-s quit');
like($out, qr/^quit: master process \d+ has ended$/m, 'says that it ended');
is($lbd->wait_exit, 0, 'ends it');

($code, $out) = $lbd->run('-s', 'quit');
is($code, 1, '-s quit when nothing runs');
like($out, qr/no pid file ".*lbd\.pid"; is lbd running\?/, 'says so');
my $gone = fork // die;
POSIX::_exit(0) if !$gone;
waitpid $gone, 0;
spew($lbd->pid_path, "$gone\n");
($code, $out) = $lbd->run('-s', 'stop');
is($code, 1, '-s stop with a stale pid file');
like($out, qr/no process $gone, which pid file ".*" names/, 'says so');
spew($lbd->pid_path, "lbd\n");
($code, $out) = $lbd->run('-s', 'stop');
is($code, 1, '-s stop with a pid file that is none');
like($out, qr/holds no process number/, 'says so');

# stop, though the configuration is broken by now
$lbd->start;
spew($lbd->conf_path, "http { nonsense on; }\n");
($code, $out) = $lbd->run('-s', 'stop');
is($code, 0, '-s stop with a broken configuration');
like($out, qr/unknown directive "nonsense"/, 'says what is wrong with it');
is($lbd->wait_exit, 0, 'and stops');
$lbd->stop;

# two signals at once: the faster one wins, and both together are no error
$lbd->configure('events { }');
$lbd->start;
$lbd->signal($_) for qw(QUIT TERM TERM INT);
is($lbd->wait_exit, 0, 'QUIT and TERM at once');
ok(!-e $lbd->pid_path, 'pid file is gone');
$lbd->stop;

done_testing;
