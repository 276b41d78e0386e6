# SPDX-License-Identifier: MIT
#
# What is done to the servers and to lbd, at random, and who is left alone meanwhile.
#
# One server, the guard, has no fault.  Another one takes its place only after it has been well for so
# long that whatever went wrong with it before is over: a request that it had to answer has come
# to its timeout, its ejection has ended, a check has passed.

package Chaos::Faults;

use strict;
use warnings;

use Lbd::Util;
use List::Util qw(shuffle);
use Time::HiRes qw(sleep time);

my @moods = qw(refuse close reset hang hanghead hangbody cutbody resetbody garbage badchunk error500 error503 drip
	surplus);

# What each of them is when nothing else is wanted.
my @faults = (('kill') x 4, ('stop') x 4, @moods);

sub new {
	my ($class, %o) = @_;

	return bless { %o, fault => [], until => [], well_since => [(0) x $o{servers}], guard => 0, guard_until => 0,
		done => {}, guards => 1 }, $class;
}

sub count { $_[0]{done}{ $_[1] }++ }

sub tell {
	my ($self, $text) = @_;

	printf "%7.2f s: %s\n", time - $self->{start}, $text if $self->{verbose};
}

sub begin {
	my ($self, $i) = @_;
	my $f = $faults[rand @faults];

	$self->tell("server $i: $f");
	$self->count($f);
	$self->{fault}[$i] = $f;
	$self->{until}[$i] = time + 0.3 + rand 4;
	return $self->{peers}->kill_server($i) if $f eq 'kill';
	return $self->{peers}->signal_server($i, 'STOP') if $f eq 'stop';
	$self->{peers}->mood($i, $f);
}

sub finish {
	my ($self, $i) = @_;
	my $f = $self->{fault}[$i] // return;

	if ($f eq 'kill') {
		$self->{peers}->revive($i);
	} elsif ($f eq 'stop') {
		$self->{peers}->signal_server($i, 'CONT');
	} else {
		$self->{peers}->mood($i, 'ok');
	}
	$self->tell("server $i: well");
	$self->{fault}[$i] = undef;
	$self->{well_since}[$i] = time;
}

sub next_guard {
	my ($self) = @_;
	my $now = time;
	my @may = grep { $_ != $self->{guard} && !defined $self->{fault}[$_] &&
		$now - $self->{well_since}[$_] > $self->{settle} } 0 .. $self->{servers} - 1;

	return if !@may;
	$self->{guard} = $may[rand @may];
	$self->{guard_until} = $now + 4 + rand 8;
	$self->{guards}++;
	$self->tell("guard: server $self->{guard}");
}

# Workers and the control process, which the master starts again.
sub kill_one {
	my ($self, $what) = @_;
	my $lbd = $self->{lbd};
	my @are = $what eq 'worker' ? $lbd->workers : $lbd->control;
	my $pid = $are[rand @are] // return;

	$self->tell("$what process $pid is killed");
	$self->count("kill $what");
	$self->{peers}->tell_clients("kill $pid") if $what eq 'worker';
	$lbd->signal('KILL', $pid);
	wait_for(sub {
		my @now = grep { $_ != $pid && is_alive($_) } $what eq 'worker' ? $lbd->workers : $lbd->control;
		return @now == @are && $lbd->is_complete;
	}, 30) or push @{ $self->{wrong} }, "$what process $pid was not replaced";
	$self->{peers}->tell_clients('killed') if $what eq 'worker';
}

sub run {
	my ($self) = @_;
	my $start = $self->{start} = time;
	my $kill_at = $start + 2 + rand 4;
	my $progress = $start + 30;

	while (time < $start + $self->{seconds}) {
		my $now = time;
		# one may be kept well to be the next guard
		my $spare = $now > $self->{guard_until} - $self->{settle} - 1 ? 1 : 0;
		my @well = grep { !defined $self->{fault}[$_] && $_ != $self->{guard} } 0 .. $self->{servers} - 1;

		$self->next_guard if $now > $self->{guard_until};
		@well = grep { $_ != $self->{guard} } @well;
		# the one that has been well for longest
		@well = sort { $self->{well_since}[$b] <=> $self->{well_since}[$a] } @well;
		pop @well if $spare && @well;
		$self->begin((shuffle @well)[0]) if @well && rand() < 0.35;
		for my $i (0 .. $self->{servers} - 1) {
			$self->finish($i) if defined $self->{fault}[$i] && $now >= $self->{until}[$i];
		}
		if ($now > $kill_at && ($self->{'kill-workers'} || $self->{'kill-control'})) {
			my @may = (($self->{'kill-workers'} ? 'worker' : ()), ($self->{'kill-control'} ? 'control' : ()));
			$self->kill_one($may[rand @may]);
			$kill_at = time + 4 + rand 6;
		}
		if ($now > $progress && !$self->{quiet}) {
			my $a = $self->{peers}->accounts;
			printf "%4d s: %d requests, %d not as usual\n", $now - $start, $a->{last}, scalar $self->{peers}->odd;
			$progress += 30;
		}
		sleep 0.1 + rand 0.2;
	}
	$self->finish($_) for 0 .. $self->{servers} - 1;
}

1;
