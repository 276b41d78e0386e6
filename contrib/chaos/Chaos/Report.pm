# SPDX-License-Identifier: MIT
#
# The end: is everything back, do the accounts of clients and servers agree, what came of it.

package Chaos::Report;

use strict;
use warnings;

use JSON::PP ();
use Lbd;
use Lbd::Control;
use List::Util qw(max min sum0);
use Time::HiRes qw(sleep time);

# Of chaos.h.
use constant { SEEN_MASK => 0x0f, GARBLED => 0x10, ERROR => 0x20, CUT => 0x40, WRONG => 0x80 };
use constant REQUESTS => 1000;

sub new {
	my ($class, %o) = @_;

	return bless { %o, wrong => [], groups => [qw(rr lc un)] }, $class;
}

sub wrong {
	my ($self, $text) = @_;

	push @{ $self->{wrong} }, $text;
}

sub servers {
	my ($self) = @_;
	my %of = map { $_->{name} => $_->{servers} } @{ control_ask($self->{lbd}, { verb => 'status' })->{upstreams} // [] };

	return map { my $g = $_; map { { %$_, group => $g } } @{ $of{$g} // [] } } @{ $self->{groups} };
}

# All servers are up again, and nothing is left that began before: a request or a check that was kept
# waiting fails when its time is over, and the server is ejected once more.  Clients go on meanwhile,
# for who was ejected comes back by a request.
sub look_for_recovery {
	my ($self) = @_;
	my $last = my $start = time;
	my (@not, %checks, @were);

	$checks{"$_->{group} $_->{server}"} = $_->{health_checks}{checks} for $self->servers;
	wait_for(sub {
		my @now = $self->servers;

		@not = grep { $_->{state} ne 'up' } @now;
		$last = time, @were = @not if @not || !@now;
		return 0 if @not || !@now || time < $start + $self->{timeout} + 1;
		# the one that was under way, and another one
		return !grep { $_->{health_checks}{checks} < $checks{"$_->{group} $_->{server}"} + 2 } @now;
	}, $self->{back} + 60);
	$self->{back_ms} = int 1000 * ($last - $start);
	$self->wrong("$_->{group} $_->{server} is $_->{state} ($_->{reason})") for @not;
	$self->wrong("$_->{group} $_->{server} was $_->{state} $self->{back} s after the end ($_->{reason})")
		for $last > $start + $self->{back} ? @were : ();
	$self->{peers}->tell_clients('stop');
	wait_for(sub { $self->{peers}->accounts->{busy} == 0 }, 60) or $self->wrong('clients do not come to their end');
	@not = ();
	wait_for(sub { return !(@not = grep { $_->{active} != 0 } $self->servers) }, 30);
	$self->wrong("$_->{group} $_->{server}: $_->{active} in flight, and there are none") for @not;
}

# 1,000 requests, one after another, over all servers.
sub look_at_balance {
	my ($self) = @_;
	my $share = REQUESTS / $self->{servers};

	for my $group (qw(r l)) {
		my @n = (0) x $self->{servers};

		for (1 .. REQUESTS) {
			my $s = header(http_get($self->{lbd}->port, "/$group/g/0/10"), 'X-Server') // next;
			$n[$s]++ if $s =~ /^\d+$/ && $s < @n;
		}
		$self->{balance}{$group} = \@n;
		$self->{chi}{$group} = sprintf '%.2f', sum0(map { ($_ - $share) ** 2 / $share } @n);
		$self->wrong("balance of $group: @n") if min(@n) < 0.7 * $share || max(@n) > 1.3 * $share;
	}
}

# Which server an address of lbd's is.
sub number_of {
	my ($self, $address) = @_;
	my @ports = $self->{peers}->ports;
	my ($i) = grep { $address =~ /:$ports[$_]$/ } 0 .. $#ports;

	return $i // $address;
}

# Why a request that could be repeated was not answered, if that is as it is to be.
sub excuse {
	my ($self, $how, $status, $excused, $flags) = @_;

	return 'worker' if $excused;
	return 'cut' if $how eq 'cut';
	return undef if $how ne 'status';
	# what the configuration says is passed on as it is
	return 'passed' if $flags & ERROR && ($status == 500 || $status == 503 && !$self->{wide});
	return 'passed' if $flags & GARBLED && $status == 502 && !$self->{wide};
	return undef;
}

sub judge_clients {
	my ($self) = @_;
	my @seen = $self->{peers}->seen;
	my $a = $self->{accounts} = $self->{peers}->accounts;
	my (%n, @bad);

	for my $o ($self->{peers}->odd) {
		my ($id, $method, $how, $status, $excused, $tried, $begun, $ended) = @$o;
		my $flags = 0;
		$flags |= ord substr $_, $id, 1 for @seen;
		my $why = $self->excuse($how, $status, $excused, $flags);

		# once it was sent it may not be repeated; 503 of lbd says that nobody was asked
		$why //= 'not repeated' if $method eq 'POST' && $how eq 'status' && ($status != 503 || $flags & ERROR);
		$why = undef if $how eq 'wrong' || $how eq 'silent';
		$n{$method}{ $why // 'bad' }++;
		push @bad, sprintf "%s %d from %s to %s s: %s %d, tried %s, flags %s", $method, $id, $begun, $ended, $how,
			$status, join(' ', map { $self->number_of($_) } split /,_?/, $tried),
			join ',', map { sprintf '%02x', ord substr $_, $id, 1 } @seen if !defined $why;
	}
	$self->{odd} = \%n;
	$self->{twice} = $self->{wrong_uploads} = 0;
	my %post = map { $_ => 1 } split /\n/, slurp($self->{peers}->dir . '/posts') // '';
	for my $id (keys %post) {
		my $n = sum0(map { SEEN_MASK & ord substr $_, $id, 1 } @seen);

		$self->{twice}++, push @bad, "POST $id came to servers $n times" if $n > 1;
	}
	for my $i (0 .. $#seen) {
		my $wrong = () = $seen[$i] =~ /[\x80-\xff]/g;
		$self->{wrong_uploads} += $wrong;
	}
	$self->wrong("$self->{wrong_uploads} uploads came with other bytes") if $self->{wrong_uploads};
	$self->wrong(scalar(@bad) . ' requests') if @bad;
	$self->wrong($_) for splice @bad, 0, 20;
	for my $method (qw(GET PUT POST)) {
		my $k = $a->{$method};

		$k->{odd} = sum0(values %{ $n{$method} });
		$self->wrong("$method: $k->{asked} asked, $k->{whole} and $k->{odd} came to an end")
			if $k->{asked} != $k->{whole} + $k->{odd};
		$self->wrong("$method: nothing done") if !$k->{whole};
	}
}

# Each state that was left was entered: a change that is told twice, or not, does not add up.
sub judge_log {
	my ($self) = @_;
	my (%left, %changes);

	for (split /\n/, $self->{lbd}->log) {
		my ($group, $server, $from, $to, $why) = /upstream "(\w+)" server "([^"]+)": (.+?) -> (.+?)(?: \((.*)\))?$/ or next;

		$self->{state_changes}++;
		$left{"$group $server"}{$from}++;
		$left{"$group $server"}{$to}--;
		$self->wrong("log: no cause: $_") if !defined $why || $why eq '';
	}
	# the last line of a killed process may die with it, not more
	my $done = $self->{faults}{done};
	my $lost = sum0(map { $done->{"kill $_"} // 0 } qw(worker control));
	my (@odd, $n);

	for my $s ($self->servers) {
		my $of = $left{"$s->{group} $s->{server}"} // next;

		# it was up and is
		push @odd, map { "log: $s->{group} $s->{server}: $_ left $of->{$_} times more than entered" }
			grep { $of->{$_} != 0 } sort keys %$of;
		$n += abs for values %$of;
	}
	$self->{lines_lost} = ($n // 0) / 2;
	return if $self->{lines_lost} <= $lost;
	$self->wrong($_) for @odd;
}

sub finish {
	my ($self) = @_;
	my $lbd = $self->{lbd};

	$self->look_for_recovery;
	$self->judge_clients;
	$self->look_at_balance;
	$self->judge_log;
	$lbd->signal('QUIT');
	my $code = $lbd->wait_exit;
	$self->wrong('lbd ended with ' . ($code // 'nothing')) if !defined $code || $code != 0;
	$self->wrong("log: $_") for $lbd->complaints;
	return $self->{wrong};
}

sub table {
	my ($self) = @_;
	my $a = $self->{accounts};
	my @columns = qw(asked whole retried cut passed worker bad);

	printf "%-6s%s %13s %9s\n", 'method', join('', map { sprintf '%9s', $_ } @columns), 'not repeated', 'worst ms';
	for my $m (qw(GET PUT POST)) {
		my %k = (%{ $a->{$m} }, %{ $self->{odd}{$m} // {} });

		printf "%-6s%s %13d %9d\n", $m, join('', map { sprintf '%9d', $k{$_} // 0 } @columns),
			$k{'not repeated'} // 0, $k{worst_ms};
	}
	printf "faults: %s; %d guards\n", join(', ', map { "$_ $self->{faults}{done}{$_}" } sort keys %{ $self->{faults}{done} }),
		$self->{faults}{guards};
	printf "POST seen twice %d, uploads with other bytes %d, changes of state %d, of which a killed process took %d lines along\n",
		$self->{twice}, $self->{wrong_uploads}, $self->{state_changes} // 0, $self->{lines_lost} // 0;
	printf "back after %d ms; of %d requests round robin %s (chi-square %s), least_conn %s (%s)\n", $self->{back_ms}, REQUESTS,
		map { (join('/', @{ $self->{balance}{$_} }), $self->{chi}{$_}) } qw(r l);
}

sub json {
	my ($self, $path) = @_;
	my $a = $self->{accounts};

	spew($path, JSON::PP->new->canonical->pretty->encode({
		(map { $_ => $self->{$_} } qw(engine seed seconds back_ms balance chi odd twice wrong_uploads state_changes lines_lost wrong)),
		methods => { map { my $m = $_; $m => { map { $_ => 0 + $a->{$m}{$_} } keys %{ $a->{$m} } } } qw(GET PUT POST) },
		faults => $self->{faults}{done},
	}));
}

1;
