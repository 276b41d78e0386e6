#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What goes wrong around a reload: signals at the wrong time, processes killed at the wrong time, a program of
# another architecture, a full disk, few descriptors.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Copy ();
use File::Temp;
use Lbd;
use Lbd::Module;
use Test::More;

my $gate = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $gate;

# a worker waits in its start until the file is there
my $module = module_so('gate', <<"EOT");
#include <stdio.h>
#include <unistd.h>
#include <lbd/module.h>

static int
start(struct lbd_worker *w)
{
	char path[200];

	snprintf(path, sizeof(path), "$gate/open%u", w->id);
	while (access(path, F_OK) < 0)
		usleep(1000);
	return 0;
}
LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .name = "gate", .version = "1", .worker_start = start };
EOT

sub gate_open { spew("$gate/open$_", '') for @_ }
sub gate_close { unlink "$gate/open$_" for @_ }

sub site {
	my ($name, $main) = @_;

	return ($main // '') . <<"EOT";
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		listen unix:%%DIR%%/a.sock;
		location / { return 200 "$name \$pid\\n"; }
	}
}
EOT
}

sub text {
	my ($lbd, $at) = @_;

	return (http_get($at // $lbd->port, '/')->{body} // '') =~ /^(\w+) / ? $1 : 'nothing';
}

my $bin = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $bin;
sub install {
	my ($how) = @_;

	ref $how ? $how->("$bin/new") : spew("$bin/new", $how);
	chmod 0755, "$bin/new";
	rename "$bin/new", "$bin/lbd" or die "rename: $!";
}
sub itself { File::Copy::copy(lbd_program(), $_[0]) or die "copy: $!" }

install(\&itself);
my $lbd = Lbd->new(program => "$bin/lbd", conf => site('first'), allow => [qr/exited on signal 9\b/]);
my $unix = 'unix:' . $lbd->dir . '/a.sock';
my $pid = $lbd->pid;

# --- signals while a trial runs ---

install("#!/bin/sh\nwhile [ ! -e $gate/trial ]; do sleep 0.01; done\nexec @{[ lbd_program() ]} \"\$@\"\n");
$lbd->configure(site('second'));
my ($before) = $lbd->reloads;
$lbd->signal('HUP');
ok($lbd->wait_log(qr/reload: trying/), 'a trial runs');
for my $n (1 .. 5) {
	$lbd->signal($n % 2 ? 'HUP' : 'USR2');
	ok($lbd->wait_log(qr/(?:signal (?:HUP|USR2) received.*?){@{[ $n + 1 ]}}/s), "signal $n meanwhile");
}
is(text($lbd), 'first', 'it serves as before');
spew("$gate/trial", '');
ok(wait_for(sub { ($lbd->reloads)[0] == $before + 2 }), 'then there are two reloads');
ok(wait_for(sub { $lbd->is_drained }), 'and nothing left');
is(scalar(() = $lbd->log =~ /reload: trying/g), 2, 'not six');
is(text($lbd), 'second', 'of what was written');

# --- killed while the next generation starts ---

install(\&itself);
gate_open(0);
$lbd->configure(site('third', "load_module $module;\n"));
my %old = map { $_ => 1 } $lbd->workers;
my ($done, $failed) = $lbd->reloads;
my $seen = length $lbd->log;
$lbd->signal('HUP');
my $next;
ok(wait_for(sub { ($next) = substr($lbd->log, $seen) =~ /worker process (\d+) is ready/ }), 'a worker is ready, another is not');
is(text($lbd), 'second', 'so the old ones serve');
$lbd->signal('KILL', $next);
ok(wait_for(sub { ($lbd->reloads)[1] > $failed }), 'it is killed: the reload fails');
is(text($lbd, $_), 'second', 'the old ones serve') for $lbd->port, $unix;
is(scalar(grep { !$old{$_} } $lbd->workers), 0, 'and are the same');
is(scalar($lbd->workers), 2, 'all of them');

# one of the old
$seen = length $lbd->log;
$lbd->signal('HUP');
ok(wait_for(sub { substr($lbd->log, $seen) =~ /worker process \d+ is ready/ }), 'again a worker is ready, another is not');
my ($victim, $other) = sort { $a <=> $b } keys %old;
$lbd->signal('KILL', $victim);
ok($lbd->wait_log(qr/worker process $victim exited on signal 9/), 'an old one is killed');
gate_open(1);
ok(wait_for(sub { ($lbd->reloads)[0] > $done }), 'the reload succeeds');
ok(wait_for(sub { $lbd->is_drained && $lbd->workers == 2 }), 'two workers are left');
is(scalar(grep { text($lbd) ne 'third' } 1 .. 16), 0, 'of the new generation');

# one of the old, and then it fails
gate_close(1);
$seen = length $lbd->log;
$lbd->signal('HUP');
ok(wait_for(sub { ($next) = substr($lbd->log, $seen) =~ /worker process (\d+) is ready/ }), 'again a worker is ready');
($victim) = grep { title_of($_) eq 'lbd: worker process' && $_ != $next } $lbd->workers;
$lbd->signal('KILL', $victim);
ok($lbd->wait_log(qr/worker process $victim exited on signal 9/), 'an old one is killed');
($done, $failed) = $lbd->reloads;
gate_open(1);
$lbd->signal('KILL', $next);
ok(wait_for(sub { my ($d, $f) = $lbd->reloads; $d + $f > $done + $failed }), 'and a new one: there is a result');
ok(wait_for(sub { $lbd->workers == 2 && !grep { title_of($_) ne 'lbd: worker process' } $lbd->workers }), 'two workers serve');
is(scalar(grep { text($lbd) ne 'third' } 1 .. 16), 0, 'all who come');

# --- a program of another architecture ---

install(sub {
	itself($_[0]);
	open my $fh, '+<', $_[0] or die "open: $!";
	binmode $fh;
	seek $fh, 18, 0; # e_machine
	print $fh pack 'S', 2; # SPARC
	close $fh or die "close: $!";
});
is($lbd->reload, 0, 'a program of another architecture');
like($lbd->log, qr/could not run ".*lbd": Exec format error/, 'and the log says why');
is(text($lbd), 'third', 'it serves as before');
install(\&itself);
is($lbd->reload, 1, 'another reload');
is($lbd->pid, $pid, 'with the same master');

# --- the master is killed, the next one starts at once ---

my $busy = Lbd::Client->new($lbd->port);
$busy->send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /half");
is($busy->response->{status}, 200, 'a connection with a request that has begun');
my @left = $lbd->children;
$lbd->signal('KILL');
is($lbd->wait_exit, -9, 'the master is killed');
$lbd->start;
is(text($lbd, $_), 'third', "another one is there at $_") for $lbd->port, $unix;
$busy->send(" HTTP/1.1\r\nHost: a\r\n\r\n");
is($busy->response->{status}, 200, 'what had begun before is answered');
ok(wait_for(sub { !grep { is_alive($_) } @left }), 'and then those before are gone');
is(text($lbd, $unix), 'third', 'the UNIX socket is left to the new one');
$lbd->stop('QUIT');

# --- descriptors ---

for my $n (24 .. 40) {
	install("#!/bin/sh\nulimit -n $n\nexec @{[ lbd_program() ]} \"\$@\"\n");
	my $few = Lbd->new(program => "$bin/lbd", start => 0, conf => site('few'), allow => [qr/./]);

	$few->launch;
	next if !wait_for(sub { $few->is_up && $few->is_complete || !$few->is_running }) || !$few->is_running;
	$few->configure(site('more'));
	my $is = $few->reload;
	ok(defined $is, "a reload with $n descriptors has a result");
	is(text($few), $is ? 'more' : 'few', 'and one generation serves');
	$few->stop;
}

# --- no space for the pid file ---

SKIP: {
	my $unshare = has_program('unshare') // skip 'no unshare', 1;

	skip 'not root', 1 if !is_root();
	my ($code) = Lbd::Util::run_program($unshare, '-m', 'mount', '-t', 'tmpfs', 'x', $gate);
	skip 'cannot mount', 1 if $code != 0;
	my $disk = "$gate/disk";
	mkdir $disk or die "mkdir: $!";
	# a disk of one page, which is used
	my $full = "$unshare -m sh -c 'mount -t tmpfs -o size=4k x $disk && echo x >$disk/x && exec \"\$0\" \"\$@\"'";
	install("#!/bin/sh\nexec $full @{[ lbd_program() ]} \"\$@\"\n");

	my $start = Lbd->new(program => "$bin/lbd", start => 0, conf => site('full', "pid $disk/lbd.pid;\n"), allow => [qr/./]);
	$start->launch;
	is($start->wait_exit, 1, 'no space for the pid file: no start');
	like($start->output, qr/could not write pid file "\Q$disk\E\/lbd\.pid".*No space left/, 'and lbd says why');
	ok(!-e $start->dir . '/a.sock', 'it leaves no socket');
	$start->clean;

	my $runs = Lbd->new(program => "$bin/lbd", conf => site('before'), allow => [qr/could not write pid file/]);
	$runs->configure(site('after', "pid $disk/lbd.pid;\n"));
	is($runs->reload, 1, 'of the next configuration: it reloads');
	like($runs->log, qr/could not write pid file "\Q$disk\E\/lbd\.pid"; ".*" stays.*No space left/, 'and says that the old one stays');
	is(slurp($runs->pid_path), $runs->pid . "\n", 'as it does');
	is(text($runs), 'after', 'it serves');
	ok(!-s "/proc/@{[ $runs->pid ]}/root$disk/lbd.pid", 'nothing half written is left');
	$runs->stop('QUIT');
}

done_testing;
