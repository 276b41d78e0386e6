#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Reloads that cannot succeed: the generation that serves goes on as if nothing had been, its workers are
# replaced when they crash, and the log says why.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Copy ();
use File::Temp;
use IO::Socket::INET ();
use Lbd;
use Lbd::Module;
use Test::More;

my $gate = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $gate;

# does in a worker's start what the file says
my $module = module_so('gate', <<"EOT");
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <lbd/module.h>

static int
start(struct lbd_worker *w)
{
	char what[16] = "";
	FILE *f = fopen("$gate/what", "r");

	if (f != NULL) {
		if (fscanf(f, "%15s", what) != 1)
			what[0] = 0;
		fclose(f);
	}
	switch (what[0]) {
	case 'f': return w->id == 1 ? -EIO : 0;
	case 'h': while (w->id == 1) pause(); return 0;
	case 'c': if (w->id == 1) kill(getpid(), SIGKILL); return 0;
	default: return 0;
	}
}
LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .name = "gate", .version = "1", .worker_start = start };
EOT

my $bin = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $bin;
my $program = "$bin/lbd";

# What is found under the program's name; "%s" is the real one.
sub program {
	my ($text) = @_;

	if (defined $text) {
		my $real = lbd_program();

		spew("$program.new", $text =~ s/%s/$real/r);
	} else {
		File::Copy::copy(lbd_program(), "$program.new") or die "copy: $!";
	}
	chmod 0755, "$program.new";
	rename "$program.new", $program or die "rename: $!";
}

my $more = '';
sub site {
	my ($name, $main) = @_;

	return <<"EOT";
reload_timeout 20s;
@{[ $main // '' ]}
http {
	include srv*.conf;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		return 200 "$name \$pid\n";
	}
	$more
}
EOT
}

program();
my $lbd = Lbd->new(program => $program, conf => site('first'), files => { 'conf/srv1.conf' => '# included' },
	allow => [qr/exited on signal 9\b/, qr/exited with code 2$/, qr/\[emerg\].*could not start/]);
my $port = $lbd->port;
my $pid = $lbd->pid;
my $marks = 0;

sub worker { return (http_get($port, '/')->{body} // '') =~ /^(\w+) (\d+)$/ ? ($1, $2) : ('nothing', 0) }

# Nothing has changed: the same workers answer as before.
sub is_as_it_was {
	my ($name, $what) = @_;
	my %now = map { $_ => 1 } $lbd->workers;
	my ($text, $worker) = worker();

	is($text, $name, "$what: it serves as before");
	ok($now{$worker}, 'by a worker that there is');
	is(scalar($lbd->workers), 2, 'there are as many as there were');
	is($lbd->pid, $pid, 'the master is the same');
}

# A reload fails, and the log says so.
sub fails {
	my ($what, $re) = @_;
	my %before = map { $_ => 1 } $lbd->workers;
	my $seen = length $lbd->log;

	is($lbd->reload, 0, "$what fails");
	like(substr($lbd->log, $seen), $re, 'and the log says why');
	ok(!grep({ !$before{$_} } $lbd->workers), 'the workers are those that were there');
	is_as_it_was('first', $what);
}

# --- the trial says no ---

$lbd->configure(site('second') . "nonsense on;\n");
fails('a broken file', qr/\[error\].*reload: .*unknown directive "nonsense"/);
$lbd->file('conf/srv1.conf', 'nonsense;');
$lbd->configure(site('second'));
fails('a broken included file', qr/srv1\.conf:1:1: unknown directive "nonsense"/);
$lbd->file('conf/srv1.conf', '');
unlink $lbd->conf_path;
fails('no file', qr/could not open ".*lbd\.conf": no such file/);
$lbd->file('conf/lbd.conf', "# being written\n");
fails('a file with nothing in it', qr/lbd\.conf: there is no directive in it/);
$lbd->configure(site('second', 'load_module none.so;'));
fails('a missing module', qr/module file "none\.so" does not exist/);
$lbd->configure(site('second', 'master_process off;'));
fails('"master_process off"', qr/"master_process off" takes a restart/);
my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
$more = 'server { listen 127.0.0.1:' . $taken->sockport . '; }';
$lbd->configure(site('second'));
fails('a port that is taken', qr/could not bind to 127\.0\.0\.1:\d+: address already in use/);
close $taken;
$more = '';
$lbd->configure(site('second'));

# --- the program ---

unlink $program;
fails('no program', qr/could not run ".*lbd": No such file or directory/);
program("#!/bin/sh\n");
chmod 0644, $program;
fails('a program that may not be run', qr/could not run ".*lbd": Permission denied/);
program('no program at all');
fails('a file that is none', qr/could not run ".*lbd": Exec format error/);
program("#!/bin/sh\nkill -SEGV \$\$\n");
fails('a program that crashes', qr/the trial of the new lbd ended on signal 11/);
program("#!/bin/sh\necho 'lbd: unknown option \"--trial\"'\nexit 1\n");
fails('another program', qr/unknown option "--trial"/);
program();

# --- the next generation says no ---

$lbd->configure(site('second', "load_module $module;") =~ s/20s/60s/r);
spew("$gate/what", 'fail');
fails('a module that fails in a worker', qr{reload: could not start worker process 1: module "gate": Input/output error});
spew("$gate/what", 'crash');
fails('a worker that crashes in its start', qr/reload: could not start worker process 1$/m);
$lbd->configure(site('second', "load_module $module;") =~ s/20s/60s/r);

# the image that goes on has the files of the first configuration
my (undef, $worker) = worker();
$lbd->signal('KILL', $worker);
ok($lbd->wait_log(qr/worker process $worker exited on signal 9/), 'a worker crashes after that');
ok(wait_for(sub { $lbd->workers == 2 && !grep { title_of($_) !~ /^lbd: worker process$/ } $lbd->workers }),
	'and is replaced');
is_deeply([sort map { (worker())[0] } 1 .. 20], [('first') x 20], 'by one that has the configuration of then');

# a worker that never gets ready: the limit is that of the new file
spew("$gate/what", 'hang');
$lbd->configure(site('second', "load_module $module;") =~ s/20s/1s/r);
fails('a worker that hangs in its start', qr/reload: could not start \w+ process \d: reload_timeout has passed/);

# --- the trial passes, but then it cannot be ---

program(qq{#!/bin/sh\ncase "\$*" in *--trial) exit 0;; esac\nexec %s "\$@"\n});
$lbd->configure(site('second') . 'nonsense;');
fails('a file that broke after the trial', qr/unknown directive "nonsense"/);
(undef, $worker) = worker();
$lbd->signal('KILL', $worker);
ok(wait_for(sub { $lbd->workers == 2 && !is_alive($worker) }), 'a crashed worker is replaced');
is_as_it_was('first', 'then');

# the program has gone when it would be needed to go back
program(qq{#!/bin/sh\ncase "\$*" in *--trial) exit 0;; esac\nrm "\$0"\nexec %s "\$@"\n});
fails('a program that vanished', qr/workers that end are not replaced until a reload succeeds/);
program();
$lbd->configure(site('last'));
is($lbd->reload, 1, 'with good files and a program it reloads');
is((worker())[0], 'last', 'to what is there now');
ok(wait_for(sub { $lbd->is_drained }), 'the generation that held out ends');
is(scalar($lbd->workers), 2, 'two workers');
is($lbd->pid, $pid, 'of the same master');
$lbd->stop('QUIT');

done_testing;
