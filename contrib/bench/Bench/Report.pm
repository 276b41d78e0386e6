# SPDX-License-Identifier: MIT
#
# From slices to figures.  What counts is the ratio within a rotation: the machine drifts, and two slices
# that follow each other see the same machine.

package Bench::Report;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(report_parse report_table report_summary);

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

# How many times what $name needs $peer needs, per rotation in which both slices are clean.
sub ratio {
	my ($us, $name, $peer) = @_;
	my @r = map { $us->{$peer}{$_} / $us->{$name}{$_} } grep { exists $us->{$peer}{$_} } keys %{ $us->{$name} };

	return undef if !@r;
	return { n => scalar @r, median => quantile(0.5, @r), q1 => quantile(0.25, @r), q3 => quantile(0.75, @r) };
}

# What the generator printed, as { servers => { NAME => {...} }, control, void }
sub report_parse {
	my ($text, $base, $control, @peers) = @_;
	my (%us, %sum, %servers);

	for (split /\n/, $text) {
		my ($what, @f) = split ' ';
		if ($what eq 'latency') {
			my ($name, $p50, $p99, $p999) = @f;
			@{ $servers{$name} }{qw(p50_us p99_us p999_us)} = ($p50, $p99, $p999);
			next;
		}
		my ($rotation, $name, $clean, $elapsed, $done, $bytes, $failed, $cpu, undef, $own, undef, $sleeps) = @f;
		my $s = $sum{$name} //= { map { $_ => 0 } qw(elapsed done bytes cpu own sleeps slices clean failed) };
		$s->{failed} += $failed;
		next if $rotation == 0;
		$s->{slices}++;
		next if !$clean;
		$s->{clean}++;
		$us{$name}{$rotation} = $cpu / 1000 / $done;
		$s->{elapsed} += $elapsed;
		$s->{done} += $done;
		$s->{bytes} += $bytes;
		$s->{cpu} += $cpu;
		$s->{own} += $own;
		$s->{sleeps} += $sleeps;
	}
	for my $name (keys %sum) {
		my $s = $sum{$name};
		my $r = $servers{$name} //= {};
		my @us = values %{ $us{$name} // {} };
		@$r{qw(slices clean failed)} = @$s{qw(slices clean failed)};
		next if !@us;
		$r->{us_p10} = quantile(0.1, @us);
		$r->{us_median} = quantile(0.5, @us);
		$r->{requests_per_s} = $s->{done} / $s->{elapsed} * 1e9;
		$r->{utilisation} = $s->{cpu} / $s->{elapsed};
		$r->{generator_utilisation} = $s->{own} / $s->{elapsed};
		$r->{sleeps_per_request} = $s->{sleeps} / $s->{done};
		$r->{bytes_per_request} = $s->{bytes} / $s->{done};
		$r->{ratio}{$_} = ratio(\%us, $name, $_) for @peers;
	}
	my $c = ratio(\%us, $base, $control);
	my $void = !defined $c ? 'no clean pair' : $c->{n} < PAIRS_MIN ? "only $c->{n} clean pairs"
		: $c->{median} < CONTROL_MIN || $c->{median} > CONTROL_MAX ? 'the copy differs' : undef;
	return { servers => \%servers, control => $c, void => $void };
}

sub number {
	my ($format, $v) = @_;

	return defined $v ? sprintf($format, $v) : '-';
}

sub ratio_text {
	my ($r) = @_;

	return '-' if !defined $r;
	return sprintf '%.2f (%.2f-%.2f)', @$r{qw(median q1 q3)};
}

# One workload, a line per server.
sub report_table {
	my ($w, $names, $peers) = @_;
	my @rows = (['', 'us p10', 'median', (map { "$_ needs x" } @$peers), 'p50 us', 'p99 us', 'req/s', 'busy',
		'sleeps/r', 'calls/r', 'clean', 'failed']);

	for my $name (@$names) {
		my $s = $w->{servers}{$name} // next;
		push @rows, [$name, number('%.2f', $s->{us_p10}), number('%.2f', $s->{us_median}),
			(map { ratio_text($s->{ratio}{$_}) } @$peers), number('%.0f', $s->{p50_us}),
			number('%.0f', $s->{p99_us}), number('%.0f', $s->{requests_per_s}),
			number('%.2f', $s->{utilisation}), number('%.3f', $s->{sleeps_per_request}),
			number('%.2f', $s->{calls_per_request}), "$s->{clean}/$s->{slices}", $s->{failed}];
	}
	return lines(@rows) . sprintf("control %s%s\n", ratio_text($w->{control}),
		defined $w->{void} ? "   VOID: $w->{void}" : '');
}

# All workloads, a line for each of ours.
sub report_summary {
	my ($all, $names, $peers) = @_;
	my @rows = (['workload', 'server', 'us p10', (map { "vs $_" } @$peers), 'control']);

	for my $w (@$all) {
		next if !$w->{servers};
		for my $name (@$names) {
			my $s = $w->{servers}{$name} // next;
			push @rows, [$w->{name}, $name, number('%.2f', $s->{us_p10}),
				(map { ratio_text($s->{ratio}{$_}) } @$peers),
				defined $w->{void} ? 'VOID' : number('%.3f', $w->{control}{median})];
		}
	}
	return @rows > 1 ? lines(@rows) : '';
}

sub lines {
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
