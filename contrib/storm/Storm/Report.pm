# SPDX-License-Identifier: MIT
#
# The end of a storm: everything is waited for, all accounts are compared, and what came of it is told.

package Storm::Report;

use strict;
use warnings;

use JSON::PP ();
use Lbd;
use List::Util qw(max min sum0);
use Time::HiRes qw(sleep time);

use constant { ASKED => 1, ANSWERED => 2, TO_SERVER => 4, LOST => 8 };

# What the master and its workers may have more than at the start, both in a generation that is new.
use constant { MASTER_KB => 2048, WORKER_KB => 1024 };

my @lost = qw(failed reset closed cut refused silent stale);

sub new {
	my ($class, %o) = @_;

	return bless { %o, wrong => [], of => {} }, $class;
}

sub wrong {
	my ($self, $text) = @_;

	push @{ $self->{wrong} }, $text;
}

sub total {
	my ($accounts, @fields) = @_;

	return sum0(map { my $k = $_; map { $k->{$_} } @fields } values %{ $accounts->{kinds} });
}

sub progress {
	my ($self, $seconds) = @_;
	my $a = $self->{peers}->accounts;
	my $lbd = $self->{changes}->lbd;

	printf "%4d s: %d requests, %d messages, lost %d, told to close %d, by an older generation %d; %d workers\n", $seconds,
		total($a, 'requests'), total($a, 'messages'), total($a, @lost), total($a, 'told'), total($a, 'old'),
		scalar $lbd->workers;
}

# Clients finish, generations drain, accounts are compared.
sub finish {
	my ($self, $before) = @_;
	my ($peers, $changes) = @$self{qw(peers changes)};
	my $lbd = $changes->lbd;

	$peers->drive('stop');
	wait_for(sub { $peers->accounts->{all}{running} == 0 }, $self->{'body-seconds'} + 2 * $self->{silence})
		or $self->wrong('clients did not come to their end');
	$self->{accounts} = $peers->accounts;
	my $drain = time;
	wait_for(sub { $lbd->is_drained }, 120) or $self->wrong('older generations did not end: ' .
		join ', ', map { title_of($_) } $lbd->children);
	wait_for(sub { !$changes->masters_left }, 60) or $self->wrong('processes that were taken over from did not end: ' .
		join ', ', $changes->masters_left);
	$self->{drain_seconds} = sprintf '%.1f', time - $drain;
	wait_for(sub { 0 == sum0(map { $_->{connections} // 0 } @{ $changes->status->{workers} }) }, 30)
		or $self->wrong('workers count connections, and there are none');
	$self->count_ids;
	$self->look_at_servers;
	$self->look_at_processes($before);
	$self->judge;
	$lbd->signal('QUIT');
	my $code = $lbd->wait_exit;
	$self->wrong('lbd ended with ' . ($code // 'nothing')) if !defined $code || $code != 0;
	$self->wrong("log: $_") for $lbd->complaints;
	$lbd->clean;
	push @{ $self->{wrong} }, @{ $changes->{wrong} };
	return { wrong => $self->{wrong} };
}

# How often each id is in the access log.
sub read_log {
	my ($path) = @_;
	my @logged;

	open my $f, '<', $path or return;
	while (my $line = <$f>) {
		$line =~ m{^\d+ /\w/(\d+)} or next;
		$logged[$1]++ if $1 > 0;
	}
	return @logged;
}

# Every id that was answered came to a server once, and is once in lbd's log.
sub count_ids {
	my ($self) = @_;
	my ($asked, $seen) = $self->{peers}->ids;
	my $last = length($asked) - 1;
	my (@logged, %of);

	# a request is written when its worker has seen its end, by a thread that takes its time
	wait_for(sub {
		@logged = read_log($self->{changes}->lbd->dir . '/logs/access.log');
		return $last == grep { $_ } @logged;
	}, 5);
	$of{duplicated} = $of{unlogged} = $of{logged_twice} = $of{unseen} = 0;
	for my $id (1 .. $last) {
		my $flags = ord substr $asked, $id, 1;
		my $came = $id < length $seen ? ord substr $seen, $id, 1 : 0;
		my $log = $logged[$id] // 0;

		$of{duplicated}++ if $came > 1;
		$of{logged_twice}++ if $log > 1;
		next if $flags & LOST || !($flags & ANSWERED);
		$of{unseen}++ if $flags & TO_SERVER && !$came;
		$of{unlogged}++ if !$log;
	}
	$of{logged} = sum0(map { $_ // 0 } @logged);
	$of{asked} = $last;
	$self->{of} = \%of;
	my ($dropped) = $self->{changes}->lbd->log =~ /(\d+) lines dropped/;
	$self->wrong("$of{duplicated} requests came to the servers more than once") if $of{duplicated};
	$self->wrong("$of{unseen} requests were answered and never came to a server") if $of{unseen};
	$self->wrong("$of{logged_twice} requests are in the access log more than once") if $of{logged_twice};
	$self->wrong("$of{unlogged} requests are not in the access log" . ($dropped ? " (it lacks $dropped lines)" : ''))
		if $of{unlogged} && !$self->{kill}; # a worker's last lines die with it
}

sub look_at_servers {
	my ($self) = @_;
	my $s = $self->{servers_counts} = $self->{peers}->server_counts;

	$self->wrong("servers: $s->{busy} requests are still in flight") if $s->{busy};
	$self->wrong("servers: $s->{bad} requests were wrong") if $s->{bad};
	$self->wrong("servers: $s->{cut} requests were cut off") if $s->{cut} && !$self->{kill};
}

sub look_at_processes {
	my ($self, $before) = @_;
	my $changes = $self->{changes};
	my $lbd = $changes->lbd;
	my $status = $changes->status;
	my @generations = do { my %g; grep { !$g{$_}++ } map { $_->{generation} } @{ $status->{workers} } };

	$self->{generations} = $status->{generation};
	$self->wrong("generations: @generations") if @generations != 1;
	$self->{workers_at_end} = scalar $lbd->workers;
	$changes->last_reload;
	wait_for(sub { $lbd->is_drained && $lbd->workers == $self->{workers} }, 120);
	my $after;
	wait_for(sub {
		$after = $changes->usage;
		return $after->{worker_fds} <= $before->{worker_fds} && $after->{master_fds} <= $before->{master_fds};
	}, 5);
	$self->{usage} = { before => $before, after => $after };
	$self->wrong("the master is process $status->{pid}, not $changes->{pid}")
		if $status->{pid} != $changes->{pid};
	# sockets of workers that are no more are kept for those that may come
	my $more = 2 * ($changes->{workers_max} - $self->{workers});
	$self->wrong("master: $after->{master_fds} descriptors, $before->{master_fds} at the start")
		if $after->{master_fds} > $before->{master_fds} + $more;
	$self->wrong("workers: $after->{worker_fds} descriptors, $before->{worker_fds} at the start")
		if $after->{worker_fds} > $before->{worker_fds} + $more * $self->{workers};
	return if $changes->{sanitized};
	$self->wrong("master: $after->{master_kb} KB, $before->{master_kb} at the start")
		if $after->{master_kb} > $before->{master_kb} + MASTER_KB;
	$self->wrong("workers: $after->{worker_kb} KB, $before->{worker_kb} at the start")
		if $after->{worker_kb} > $before->{worker_kb} + WORKER_KB * $self->{workers};
}

sub judge {
	my ($self) = @_;
	my %allowed = map { $_ => 1 } split /,/, $self->{allow};
	my $slow = () = $self->{changes}->lbd->log =~ /the next generation has no room for connections/g;

	print "the next generation took no connections for a while, $slow times\n" if $slow && !$self->{quiet};
	@allowed{qw(told old)} = (1, 1) if $slow && $allowed{busy};
	my $a = $self->{accounts};

	for my $kind (@{ $a->{order} }) {
		my $k = $a->{kinds}{$kind};

		$self->wrong("$kind: nothing done") if !$k->{answered} && ($self->{kinds} // $kind) =~ /\b$kind\b/;
		for my $how (@lost) {
			$self->wrong("$kind: $k->{$how} $how") if $k->{$how} && !($how eq 'cut' && $allowed{told});
		}
		$self->wrong("$kind: $k->{told} told to close") if $k->{told} && !$allowed{told};
		$self->wrong("$kind: $k->{old} answered by an older generation") if $k->{old} && !$allowed{old};
	}
}

# --- telling ---

sub thousand { my $n = shift; 1 while $n =~ s/^(\d+)(\d{3})/$1,$2/; return $n }

sub table {
	my ($self) = @_;
	my ($a, $c, $u, $s) = ($self->{accounts}, $self->{changes}, $self->{usage}, $self->{servers_counts});
	my @columns = (qw(requests answered messages), 'MB in', 'MB out', qw(connections told old), @lost, 'worst ms');
	my $format = "%-10s" . join(' ', map { '%' . max(7, length) . 's' } @columns) . "\n";

	printf $format, 'kind', @columns;
	for my $kind (@{ $a->{order} }, 'all') {
		my %k = $kind eq 'all' ? map { my $f = $_; $f => $f eq 'worst_us' ? max(map { $_->{$f} } values %{ $a->{kinds} })
			: total($a, $f) } keys %{ $a->{kinds}{keep} } : %{ $a->{kinds}{$kind} };

		printf $format, $kind, @k{qw(requests answered messages)}, (map { sprintf '%.1f', $k{$_} / 1e6 } qw(bytes_in bytes_out)),
			@k{qw(connections told old)}, @k{@lost}, sprintf '%.1f', $k{worst_us} / 1000;
	}
	printf "%s requests, %s in the access log, %s at the servers; %d duplicated\n", map { thousand($_) }
		@{ $self->{of} }{qw(asked logged)}, $s->{requests}, $self->{of}{duplicated};
	printf "while a listener was removed: told to close %d, refused %d; lost with a killed worker %d\n",
		total($a, 'told_gone'), total($a, 'refused_gone'), total($a, 'excused');
	printf "%s; %d generations, reloads took %s ms at most; drained after %s s\n",
		join(', ', map { "$c->{done}{$_} $_" } sort keys %{ $c->{done} }), $self->{generations},
		max(0, @{ $c->{reload_ms} }), $self->{drain_seconds};
	printf "master: %d KB and %d descriptors, now %d and %d; workers: %d KB and %d, now %d and %d\n",
		map { $u->{before}{$_->[0]}, $u->{before}{$_->[1]}, $u->{after}{$_->[0]}, $u->{after}{$_->[1]} }
		['master_kb', 'master_fds'], ['worker_kb', 'worker_fds'];
}

sub json {
	my ($self, $path) = @_;
	my $numbers = sub { my ($h) = @_; return { map { $_ => $h->{$_} =~ /^[\d.]+$/ ? 0 + $h->{$_} : $h->{$_} } keys %$h } };

	spew($path, JSON::PP->new->canonical->pretty->encode({
		engine => $self->{engine}, seconds => 0 + $self->{seconds}, clients => 0 + $self->{accounts}{all}{clients},
		kinds => { map { $_ => $numbers->($self->{accounts}{kinds}{$_}) } @{ $self->{accounts}{order} } },
		servers => $numbers->($self->{servers_counts}), ids => $self->{of}, changes => $self->{changes}{done},
		reload_ms => [map { 0 + $_ } @{ $self->{changes}{reload_ms} }], usage => $self->{usage},
		drain_seconds => 0 + $self->{drain_seconds}, wrong => $self->{wrong},
	}));
}

1;
