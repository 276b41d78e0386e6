#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The kernel announces a connection to one of those who wait for it.  When that one is stuck, or dead while
# its ring is not, the others must find out themselves.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use POSIX ();
use Test::More;

use constant { PIDFD_OPEN => 434, PIDFD_GETFD => 438 }; # of all architectures that Perl runs on here

sub site {
	my ($name) = @_;

	return "http { server { listen 127.0.0.1:%%PORT_0%%; listen unix:%%DIR%%/a.sock; return 200 \"$name \$pid\\n\"; } }\n";
}

sub text { return (http_get($_[0], '/')->{body} // 'nothing') =~ s/ \d+\n//r }

# A descriptor of ours for that process's ring, as a debugger might have one; undef: there is none.
sub hold_ring {
	my ($pid) = @_;
	my ($fd) = map { (readlink // '') =~ /io_uring/ && m{/(\d+)$} ? $1 : () } glob "/proc/$pid/fd/*";
	my $process = defined $fd ? syscall(PIDFD_OPEN, $pid + 0, 0) : -1;
	my $ring = $process >= 0 ? syscall(PIDFD_GETFD, $process, $fd + 0, 0) : -1;

	POSIX::close($process) if $process >= 0;
	return $ring >= 0 ? $ring : undef;
}

# --- a worker of the generation before is stuck ---

my $lbd = Lbd->new(workers => 1, conf => site('first'), allow => [qr/exited on signal 9\b/]);
my @where = ($lbd->port, 'unix:' . $lbd->dir . '/a.sock');
my ($old) = $lbd->workers;
$lbd->signal('STOP', $old);
ok(wait_for(sub { (slurp("/proc/$old/stat") // '') =~ /^\d+ \(.*\) T /s }), 'a worker is stopped');
$lbd->configure(site('second'));
is($lbd->reload, 1, 'and a reload does not wait for it');
for my $at (@where) {
	is(text($at), 'second', "connection $_ to $at is served") for 1 .. 4;
}
$lbd->configure(site('third'));
is($lbd->reload, 1, 'another one');
is(text($_), 'third', "a connection to $_ is served") for @where;
$lbd->signal('CONT', $old);
ok(wait_for(sub { $lbd->is_drained }), 'it ends when it goes on');

# --- a worker has died, its ring has not ---

SKIP: {
	my ($worker) = $lbd->workers;
	my $ring = hold_ring($worker) // skip 'no ring to hold', 13;

	$lbd->signal('KILL', $worker);
	ok($lbd->wait_log(qr/worker process $worker exited on signal 9/), 'a worker is killed');
	ok(wait_for(sub { grep { title_of($_) eq 'lbd: worker process' } $lbd->workers }), 'and replaced');
	for my $at (@where) {
		is(text($at), 'third', "connection $_ to $at is served") for 1 .. 4;
	}
	$lbd->configure(site('fourth'));
	is($lbd->reload, 1, 'a reload meanwhile');
	is(text($_), 'fourth', "a connection to $_ is served") for @where;
	POSIX::close($ring);
}
is(text($_), ($lbd->generation > 3 ? 'fourth' : 'third'), 'all is well') for @where;
$lbd->stop('QUIT');

done_testing;
