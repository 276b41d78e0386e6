#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What workers and control are: user, limits, CPUs, folder, descriptors; and what is left
# when they are gone.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

sub status {
	my ($pid, $name) = @_;

	return slurp("/proc/$pid/status") =~ /^$name:\s*(.*)$/m ? $1 : undef;
}

sub limit {
	my ($pid, $name) = @_;

	return slurp("/proc/$pid/limits") =~ /^$name\s+(\S+)\s+(\S+)/m ? $1 : undef;
}

sub fds {
	my ($pid) = @_;

	return sort grep { defined } map { readlink } glob "/proc/$pid/fd/*";
}

my $lbd = Lbd->new(
	workers => 2,
	conf => <<'EOT'
worker_rlimit_nofile 3000;
worker_rlimit_core 1m;
worker_priority 5;
worker_cpu_affinity 01;
working_directory html;
events { worker_connections 100; %%USE%% }
http {
	server { listen 127.0.0.1:%%PORT_0%%; return 200 "$pid\n"; }
	server { listen unix:%%DIR%%/http.sock; return 200 "unix\n"; }
}
EOT
);
my $root = is_root();
my $socket = $lbd->dir . '/http.sock';

is(http_get("unix:$socket", '/')->{body}, "unix\n", 'a UNIX socket');
for my $pid ($lbd->workers, $lbd->control) {
	my $what = Lbd::title_of($pid);

	is(limit($pid, 'Max open files'), 3000, "$what: open files");
	is(limit($pid, 'Max core file size'), 1048576, "$what: core files");
	is((split ' ', slurp("/proc/$pid/stat") =~ s/.*\) //r)[16], 5, "$what: nice value");
	is(status($pid, 'NoNewPrivs'), 1, "$what: no new privileges");
	is(status($pid, 'Cpus_allowed_list'), 0, "$what: CPU 0") if $what =~ /worker/;
	SKIP: {
		skip 'not root', 4 unless $root;
		my ($uid, $gid) = (getpwnam 'nobody')[2, 3];

		is(status($pid, 'Uid'), join("\t", ($uid) x 4), "$what: user");
		is(status($pid, 'CapEff'), '0' x 16, "$what: no capabilities");
		is(status($pid, 'CapPrm'), '0' x 16, "$what: none to get back");
		like(status($pid, 'Groups'), qr/^(?:\d+ ?)?$/, "$what: no groups of root's");
	}
	SKIP: {
		my $cwd = readlink "/proc/$pid/cwd";

		skip 'cannot look into it', 1 unless defined $cwd;
		is($cwd, $lbd->dir . '/html', "$what: folder");
	}
}

# descriptors: nothing of the others'
my ($first, $second) = $lbd->workers;
my ($control) = $lbd->control;
SKIP: {
	skip 'cannot look into it', 4 unless fds($first);
	is(scalar(grep { /signalfd/ } fds($_)), 1, Lbd::title_of($_) . ' has a signal descriptor of its own')
		for $first, $control;
	my %second = map { $_ => 1 } grep { /^socket:/ } fds($second);
	my @shared = grep { $second{$_} } grep { /^socket:/ } fds($first);
	is(scalar(@shared), 1, 'two workers share the UNIX listener and no other socket');
	my %first = map { $_ => 1 } fds($first);
	is(scalar(grep { /^socket:/ && ($first{$_} || $second{$_}) } fds($control)), 0,
		'control has no listener');
}

# Ctrl-C reaches all of them at once
kill 'INT', $lbd->pid, $lbd->children;
is($lbd->wait_exit, 0, 'INT to all of them');
ok(!-e $socket, 'the UNIX socket is gone');
unlike($lbd->log, qr/start worker process.*start worker process.*start worker process/s, 'nothing is started again')
	or diag $lbd->log;
$lbd->stop;

# a UNIX socket left behind is no hindrance, one that is served is
$lbd = Lbd->new(conf => "http { server { listen unix:%%DIR%%/a.sock; return 200 x; } }\n");
my $other = Lbd->new(start => 0, conf => "http { server { listen unix:@{[ $lbd->dir ]}/a.sock; return 200 y; } }\n");
my ($code, $out) = $other->run;
is($code, 1, 'a UNIX socket that is served');
like($out, qr/could not bind to unix:.*: address already in use/, 'is in use');
is(http_get('unix:' . $lbd->dir . '/a.sock', '/')->{body}, 'x', 'and stays');
$lbd->signal('KILL', $_) for $lbd->pid, $lbd->children;
$lbd->wait_exit;
ok(-e $lbd->dir . '/a.sock', 'a socket that nobody serves is left');
# a ring that was killed gives its sockets back a little later
wait_for(sub { !connect_to('unix:' . $lbd->dir . '/a.sock') });
$other->start;
is(http_get('unix:' . $lbd->dir . '/a.sock', '/')->{body}, 'y', 'and replaced');
$other->stop;
$lbd->stop;

done_testing;
