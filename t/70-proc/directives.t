#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Directives of the main level and of events: what they take, and the exact words when they do not.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $lbd = Lbd->new(start => 0, engine => '', conf => '');

sub test {
	my ($conf) = @_;

	$lbd->configure($conf);
	return $lbd->run_test;
}

my @good = (
	'worker_processes 3;', 'worker_processes auto;', 'worker_cpu_affinity auto;',
	'worker_cpu_affinity auto 11;', 'worker_cpu_affinity 01 10 0001;', 'worker_priority -5;',
	'worker_rlimit_nofile 4096;', 'worker_rlimit_core 10m;', 'worker_shutdown_timeout 0;',
	'worker_shutdown_spread off;', 'worker_shutdown_spread 3s;', 'worker_generations_max off;',
	'worker_generations_max 3;', 'reload_timeout 5s;', 'env PATH; env A=b=c; env TZ=UTC;',
	'pcre_jit off;', 'state_path off;', 'state_path /nowhere;', 'control off;',
	'control unix:logs/a.sock mode=0660 group=daemon;', 'lock_file logs/lock;', 'timer_resolution 100ms;',
	'thread_pool default threads=4; thread_pool other threads=2 max_queue=10;', 'pid logs/other.pid;',
	'events { }', 'events { use epoll; worker_connections 100000; multi_accept on; }',
	'events { accept_mutex on; accept_mutex_delay 1s; accept_balance off; }',
	'events { accept_balance connections slack=12.5%; stall_threshold 10ms; }',
	'events { worker_aio_requests 64; io_uring_entries 1024 cq=8192; io_uring_buffers 64 16k; }',
	'events { io_uring_sqpoll on idle=1s cpu=0; io_uring_zerocopy on min=64k; }',
);
for my $conf (@good) {
	my ($code, $out) = test("$conf\n");

	is($code, 0, $conf) or diag $out;
}

my @bad = (
	['worker_processes 0;', 'lbd.conf:1:18: "worker_processes" is "0"; allowed are auto and 1 to 255'],
	['worker_processes many;', 'lbd.conf:1:18: "worker_processes" is "many"; allowed are auto and 1 to 255'],
	['worker_processes 256;', 'lbd.conf:1:18: "worker_processes" is "256"; allowed are auto and 1 to 255'],
	['worker_cpu_affinity 012;', 'lbd.conf:1:21: CPU mask "012" has digits other than 0 and 1'],
	['worker_cpu_affinity 00;', 'lbd.conf:1:21: CPU mask "00" has no CPU'],
	['worker_cpu_affinity auto 1 1;', 'lbd.conf:1:28: "auto" takes one CPU mask, 2 given'],
	['worker_priority 21;', 'lbd.conf:1:17: '],
	['worker_generations_max 1;', 'lbd.conf:1:24: '],
	['daemon maybe;', 'lbd.conf:1:8: '],
	['state_path;', 'lbd.conf:1:1: '],
	['env =x;', 'lbd.conf:1:5: "env" needs the name of a variable'],
	['control tcp:1;', 'lbd.conf:1:9: "control" is "tcp:1"; allowed are unix:path and off'],
	['control unix:a mode=99;', 'lbd.conf:1:16: "99" is not an octal mode'],
	['control unix:a owner=x;',
		'lbd.conf:1:16: unknown parameter "owner=x"; allowed are mode=octal and group=name'],
	['pid a; pid b;', 'lbd.conf:1:8: "pid" is given twice; first at '],
	['working_directory /nowhere/at/all;', '"working_directory": "/nowhere/at/all" is no folder'],
	['use epoll;', 'lbd.conf:1:1: "use" is not allowed'],
	['events { worker_processes 1; }', 'lbd.conf:1:10: "worker_processes" is not allowed in "events"'],
	['events { use select; }',
		'lbd.conf:1:14: event method "select" is not for lbd; allowed are io_uring and epoll'],
	['events { use kqueue; }',
		'lbd.conf:1:14: event method "kqueue" is not for lbd; allowed are io_uring and epoll'],
	['events { use epol; }',
		'lbd.conf:1:14: unknown event method "epol"; allowed are io_uring and epoll', 'did you mean "epoll"?'],
	['events { worker_connections 1; }', 'lbd.conf:1:29: '],
	['events { accept_balance on; }',
		'lbd.conf:1:25: "accept_balance" is "on"; allowed are off and connections'],
	['events { accept_balance connections slack=x; }', 'lbd.conf:1:37: "x" is not a percentage'],
	['events { accept_balance off slack=1; }',
		'lbd.conf:1:29: unknown parameter "slack=1"; "connections" allows slack=percent'],
	['events { io_uring_entries 1000; }',
		'lbd.conf:1:27: "io_uring_entries" is 1000; allowed are powers of two'],
	['events { io_uring_entries 32; }', 'lbd.conf:1:27: '],
	['events { io_uring_entries 1024 cq=1000; }', 'lbd.conf:1:35: "cq" is 1000; allowed are 1024 to 65536'],
	['events { io_uring_buffers 64 100; }', 'lbd.conf:1:30: size of a buffer is 100; allowed are 1k to 1m'],
	['events { io_uring_sqpoll maybe; }', 'lbd.conf:1:26: "io_uring_sqpoll" is "maybe"; allowed are on and off'],
	['events { io_uring_zerocopy on max=1; }', 'lbd.conf:1:31: unknown parameter "max=1"; allowed is min=size'],
	["events { }\nevents { }", 'lbd.conf:2:1: "events" is given twice; first at '],
);
for (@bad) {
	my ($conf, @texts) = @$_;
	my ($code, $out) = test("$conf\n");

	is($code, 1, "refused: $conf");
	for my $text (@texts) {
		ok(index($out, $text) >= 0, "says $text") or diag $out;
	}
}

my ($code, $out) = test("events { debug_connection 127.0.0.1; debug_connection unix:; }\n");
is($code, 0, 'debug_connection');
like($out, qr/lbd\.conf:1:10: .*"debug_connection" is ignored/, 'is ignored with a warning');
like($out, qr/^2 warnings$/m, 'each time');

# -g is as good as the file, and together they are one configuration
$lbd->configure("worker_processes 2;\n");
($code, $out) = lbd_run('-p', $lbd->dir, '-t', '-g', 'worker_processes 1;');
is($code, 1, 'the same directive in the file and in -g');
like($out, qr/"worker_processes" is given twice; first at -g:1:1/, 'says where the first is');
($code, $out) = lbd_run('-p', $lbd->dir, '-t', '-g', 'nonsense;');
like($out, qr/^-g:1:1: unknown directive "nonsense"/m, 'a mistake in -g');

# where the configuration is looked for
($code, $out) = lbd_run('-c', $lbd->conf_path, '-e', 'stderr', '-g', 'pid /nowhere/x.pid;', '-t');
is($code, 0, 'an absolute -c');
chdir $lbd->dir . '/conf' or die;
like((lbd_run('-c', 'lbd.conf', '-e', 'stderr', '-g', 'pid /nowhere/x.pid;', '-t'))[1],
	qr{configuration file \Q@{[ $lbd->conf_path ]}\E test is successful}, 'a relative -c: a file that is here');
like((lbd_run('-c', 'none.conf', '-t'))[1], qr{/none\.conf}, 'else below the prefix');
chdir $lbd->dir or die;
like((lbd_run('-p', '.', '-t'))[1], qr{configuration file \Q@{[ $lbd->dir ]}\E/.*conf/lbd\.conf test is successful},
	'a relative -p');
chdir '/';
$lbd->stop;

done_testing;
