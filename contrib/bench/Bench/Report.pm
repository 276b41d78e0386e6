# SPDX-License-Identifier: MIT
#
# From slices to figures.  What counts is the ratio within a rotation: the machine drifts, and two slices
# that follow each other see the same machine.

package Bench::Report;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(report_parse report_table report_summary report_lines report_ratio number quantile);

use constant CONTROL_MIN => 0.98;
use constant CONTROL_MAX => 1.02;
use constant PAIRS_MIN => 8; # fewer say nothing

sub quantile {
	my ($part, @v) = @_;

	@v = sort { $a <=> $b } @v;
	return undef if !@v;
	my $at = $part * $#v;
	my $i = int $at;
	return $v[$i] if $i == $#v;
	return $v[$i] + ($v[ $i + 1 ] - $v[$i]) * ($at - $i);
}

# How many times what $name needs $other needs, per rotation in which both slices are clean.
sub ratio {
	my ($us, $name, $other) = @_;
	my @r = map { $us->{$other}{$_} / $us->{$name}{$_} } grep { exists $us->{$other}{$_} } keys %{ $us->{$name} };

	return undef if !@r;
	return { n => scalar @r, median => quantile(0.5, @r), q1 => quantile(0.25, @r), q3 => quantile(0.75, @r), of => $other };
}

# Sums per server over all slices of all runs of the generator, us per request by server and rotation,
# latencies per run.
sub read_slices {
	my (@texts) = @_;
	my (%us, %sum, %latency);

	for my $run (0 .. $#texts) {
		for (split /\n/, $texts[$run]) {
			my ($what, @f) = split ' ';
			if ($what eq 'latency') {
				my ($name, @at) = @f;
				push @{ $latency{$name}[$_] }, $at[$_] for 0 .. 2;
				next;
			}
			my ($rotation, $name, $clean, $elapsed, $done, $bytes, $failed, $cpu, undef, $own, undef, $sleeps) = @f;
			my $s = $sum{$name} //= { map { $_ => 0 } qw(elapsed done bytes cpu own sleeps slices clean failed) };
			$s->{failed} += $failed;
			next if $rotation == 0;
			$s->{slices}++;
			next if !$clean;
			$s->{clean}++;
			$us{$name}{"$run.$rotation"} = $cpu / 1000 / $done;
			$s->{elapsed} += $elapsed;
			$s->{done} += $done;
			$s->{bytes} += $bytes;
			$s->{cpu} += $cpu;
			$s->{own} += $own;
			$s->{sleeps} += $sleeps;
		}
	}
	return (\%us, \%sum, \%latency);
}

sub figures {
	my ($s, $us, $latency) = @_;
	my %r = map { $_ => $s->{$_} } qw(slices clean failed);

	return \%r if !@$us;
	@r{qw(p50_us p99_us p999_us)} = map { quantile(0.5, @$_) } @$latency;
	$r{us_p10} = quantile(0.1, @$us);
	$r{us_median} = quantile(0.5, @$us);
	$r{requests_per_s} = $s->{done} / $s->{elapsed} * 1e9;
	$r{utilisation} = $s->{cpu} / $s->{elapsed};
	$r{generator_utilisation} = $s->{own} / $s->{elapsed};
	$r{sleeps_per_request} = $s->{sleeps} / $s->{done};
	$r{bytes_per_request} = $s->{bytes} / $s->{done};
	return \%r;
}

# Why the figures of a row do not count; undef: they do.
sub void_why {
	my ($control, $servers) = @_;
	my @failed = grep { $servers->{$_}{failed} > 0 } sort keys %$servers;

	return "requests failed: @failed" if @failed;
	return 'no clean pair' if !defined $control;
	return "only $control->{n} clean pairs" if $control->{n} < PAIRS_MIN;
	return 'the copy differs' if $control->{median} < CONTROL_MIN || $control->{median} > CONTROL_MAX;
	return undef;
}

# What the generator printed, run by run.  $o: base, copy (names), kind (name => kind of program), mb (of body per
# request).  Returns { servers => { NAME => {...} }, best => { KIND => NAME }, control, void, pairs }.
sub report_parse {
	my ($o, @texts) = @_;
	my ($us, $sum, $latency) = read_slices(@texts);
	my (%servers, %best);

	for my $name (keys %$sum) {
		my $r = $servers{$name} = figures($sum->{$name}, [values %{ $us->{$name} // {} }], $latency->{$name} // []);
		my $kind = $o->{kind}{$name};

		$r->{kind} = $kind;
		next if !defined $r->{us_p10};
		$r->{us_per_mb} = $r->{us_p10} / $o->{mb} if $o->{mb};
		next if $kind eq 'lbd';
		$best{$kind} = $name if !defined $best{$kind} || $r->{us_median} < $servers{ $best{$kind} }{us_median};
	}
	for my $name (grep { $o->{kind}{$_} eq 'lbd' } keys %servers) {
		$servers{$name}{ratio} = { map { $_ => ratio($us, $name, $best{$_}) } keys %best };
		$servers{$name}{ratio}{base} = ratio($us, $name, $o->{base}) if $name ne $o->{base};
	}
	my $control = ratio($us, $o->{base}, $o->{copy});
	return { servers => \%servers, best => \%best, control => $control, pairs => $control ? $control->{n} : 0,
		void => void_why($control, \%servers) };
}

# --- text ---

sub number {
	my ($format, $v) = @_;

	return defined $v ? sprintf($format, $v) : '-';
}

sub report_ratio {
	my ($r) = @_;

	return '-' if !defined $r;
	return sprintf '%.2f (%.2f-%.2f)', @$r{qw(median q1 q3)};
}

# One workload, a line per server.
sub report_table {
	my ($w, $names, $kinds, $base) = @_;
	my @rows = (['', 'us p10', 'median', $w->{mb} ? 'us/MB' : (), (map { "$_ needs x" } @$kinds), "$base x", 'p50 us', 'p99 us', 'p99.9',
		'req/s', 'busy', 'gen', 'sleeps/r', 'calls/r', 'clean', 'failed']);

	for my $name (@$names) {
		my $s = $w->{servers}{$name} // next;
		push @rows, [$name, number('%.2f', $s->{us_p10}), number('%.2f', $s->{us_median}),
			$w->{mb} ? number('%.0f', $s->{us_per_mb}) : (),
			(map { report_ratio($s->{ratio}{$_}) } @$kinds, 'base'), (map { number('%.0f', $s->{$_}) } qw(p50_us p99_us p999_us)),
			number('%.0f', $s->{requests_per_s}), number('%.2f', $s->{utilisation}), number('%.2f', $s->{generator_utilisation}),
			number('%.3f', $s->{sleeps_per_request}), number('%.2f', $s->{calls_per_request}), "$s->{clean}/$s->{slices}", $s->{failed}];
	}
	my @best = map { $w->{best}{$_} // () } @$kinds;
	return report_lines(@rows) . sprintf("control %s, %d pairs%s%s\n", report_ratio($w->{control}), $w->{pairs},
		@best ? '; compared with ' . join(' and ', @best) : '', defined $w->{void} ? "   VOID: $w->{void}" : '');
}

# All workloads, a line for each of ours.
sub report_summary {
	my ($all, $kinds, $copy) = @_;
	my @rows = (['workload', 'server', 'us p10', (map { "$_ needs x" } @$kinds), 'pairs', 'control']);

	for my $w (grep { $_->{servers} } @$all) {
		for my $name (grep { $w->{servers}{$_}{kind} eq 'lbd' && $_ ne $copy } @{ $w->{order} }) {
			my $s = $w->{servers}{$name};
			push @rows, [$w->{name}, $name, number('%.2f', $s->{us_p10}), (map { report_ratio($s->{ratio}{$_}) } @$kinds), $w->{pairs},
				defined $w->{void} ? 'VOID' : number('%.3f', $w->{control}{median})];
		}
	}
	return @rows > 1 ? report_lines(@rows) : '';
}

# Rows of cells in columns: the first to the left, the others to the right.
sub report_lines {
	my (@rows) = @_;
	my @wide;
	my $text = '';

	for my $r (@rows) {
		for my $i (0 .. $#$r) {
			$wide[$i] = length $r->[$i] if length $r->[$i] > ($wide[$i] // 0);
		}
	}
	for my $r (@rows) {
		my $line = join '  ', map { $_ == 0 ? sprintf('%-*s', $wide[$_], $r->[$_])
			: sprintf('%*s', $wide[$_], $r->[$_]) } 0 .. $#$r;
		$text .= $line =~ s/ +$//r . "\n";
	}
	return $text;
}

1;
