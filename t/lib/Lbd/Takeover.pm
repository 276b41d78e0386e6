# SPDX-License-Identifier: MIT
#
# An lbd that takes over from the one of a test, in the same folder.
#
#	use Lbd::Takeover;
#	my $old = take_over($lbd);       # $lbd is the new process from here on; dies when that fails
#	is(ended($old), 0, 'the old one ends by itself');
#	my $taker = taker($lbd);         # one that may fail: another object
#	is($taker->{wait}->(), 1, 'exits with 1');

package Lbd::Takeover;

use strict;
use warnings;

use Exporter 'import';
use POSIX qw(:sys_wait_h);

use Lbd;
use Lbd::Util;

our @EXPORT = qw(take_over taker taker_code ended fds_of);

# Starts one and returns its process number.
sub taker {
	my ($lbd, @args) = @_;
	my %one = (%$lbd, args => [@{ $lbd->{args} }, @args ? @args : '--takeover']);

	return Lbd::launch(bless \%one, 'Lbd::Takeover::Process')->{pid};
}

# How it ended: exit code or -signal, undef when it did not in time.
sub ended {
	my ($pid) = @_;
	my $status;

	wait_for(sub { waitpid($pid, WNOHANG) == $pid and defined($status = $?) }) or return undef;
	return WIFSIGNALED($status) ? -WTERMSIG($status) : WEXITSTATUS($status);
}

# Starts one and waits for its end: (code, what was printed since).
sub taker_code {
	my ($lbd, @args) = @_;
	my $from = length $lbd->output;
	my $code = ended(taker($lbd, @args));

	return ($code, substr $lbd->output, $from);
}

# Starts one and waits until it serves; the number of the process that did before.
sub take_over {
	my ($lbd, @args) = @_;
	my $old = $lbd->pid;
	my $from = length $lbd->log;
	my $pid = taker($lbd, @args);
	my $dead;

	wait_for(sub {
		$dead = waitpid($pid, WNOHANG) == $pid;
		return $dead || substr($lbd->log, $from) =~ / $pid#\d+: takeover: generation \d+ is serving/;
	});
	die "takeover failed:\n" . $lbd->output . $lbd->log if $dead;
	$lbd->{pid} = $pid;
	delete $lbd->{status};
	return $old;
}

sub fds_of { return scalar(() = glob "/proc/$_[0]/fd/*") }

# Ends with no object: the one it is a copy of has the folder.
package Lbd::Takeover::Process;

our @ISA = ('Lbd');

sub DESTROY { }

1;
