#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Error logs: the default one, several, levels, USR1 after a rename, bad ones.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my ($code, $out);
my $lbd = Lbd->new(conf => <<'EOT');
error_log logs/error.log notice;
error_log logs/info.log info;
error_log logs/alert.log alert;
error_log logs/lines.json notice json;
EOT

$lbd->wait_log(qr/start: /) or diag $lbd->log;
like($lbd->log, qr{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[notice\] \d+\#\d+: start: 2 workers, engine \w+$}m,
	'the form of a line');
like($lbd->log('info.log'), qr/\[info\].*is ready/, 'a log of level info has info');
unlike($lbd->log, qr/\[info\]/, 'one of level notice has not');
is($lbd->log('alert.log'), '', 'one of level alert is empty');
like($lbd->log('lines.json'), qr/^\{.*"level":"notice".*"msg":"start: 2 workers/m, 'json');

# rotation
rename $lbd->log_path, $lbd->log_path . '.1' or die;
my ($worker) = $lbd->workers;
$lbd->signal('USR1');
ok(wait_for(sub { -e $lbd->log_path }), 'USR1 makes a new file');
wait_for(sub { $lbd->log('error.log.1') =~ /\b$worker#$worker: signal USR1/ });
$lbd->signal('TERM', $worker);
ok($lbd->wait_log(qr/worker process $worker exited/), 'the master writes into it');
ok($lbd->wait_log(qr/\b$worker#$worker: signal TERM received from/), 'and so does a worker');
like($lbd->log('error.log.1'), qr/start: 2 workers/, 'the old one is as it was');
wait_for(sub { (() = $lbd->log('error.log.1') =~ /signal USR1/g) == 4 });
my $rotated = $lbd->log('error.log.1');
rename $lbd->log_path, $lbd->log_path . '.2' or die;
is(($lbd->run('-s', 'reopen'))[0], 0, '-s reopen');
ok(wait_for(sub { -e $lbd->log_path }), 'makes a new file, too');
is($lbd->log('error.log.1'), $rotated, 'nothing more came to the first');
SKIP: {
	skip 'not root', 1 unless is_root();
	is((stat $lbd->log_path)[4], scalar getpwnam('nobody'), 'it belongs to the workers, who open it themselves');
}
$lbd->stop;

# the default, and -e
$lbd = Lbd->new(start => 0, conf => "worker_processes 1;\ndaemon off;\n");
$lbd->{g} = ' ';
$lbd->start->stop;
$lbd = Lbd->new(start => 0, conf => "worker_processes 1;\n");
$lbd->{g} = 'daemon off;';
push @{ $lbd->{args} }, '-e', 'logs/early.log';
$lbd->start;
ok(-e $lbd->dir . '/logs/early.log', '-e names the log when the configuration does not');
ok(!-e $lbd->log_path, 'instead of the default');
$lbd->stop;

# what cannot be opened
$lbd = Lbd->new(start => 0, conf => "error_log logs/none/error.log;\n");
($code, $out) = $lbd->run_test;
is($code, 1, 'a folder that is missing');
like($out, qr{lbd\.conf:1:11: .*none/error\.log}, 'is named with its place');
$lbd->configure("error_log logs/error.log loud;\n");
($code, $out) = $lbd->run_test;
is($code, 1, 'a level that is none');
like($out, qr{lbd\.conf:1:\d+: .*loud}, 'is named with its place');
$lbd->stop;

# stderr
$lbd = Lbd->new(conf => "error_log stderr notice;\n");
ok(wait_for(sub { $lbd->output =~ /start: 2 workers/ }), 'error_log stderr');
$lbd->stop;

done_testing;
