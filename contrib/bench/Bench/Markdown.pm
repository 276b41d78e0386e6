# SPDX-License-Identifier: MIT
#
# The tables of RESULTS.md, from what a run wrote as JSON.

package Bench::Markdown;

use strict;
use warnings;

use Exporter 'import';
use POSIX qw(strftime);

use Bench::Report;

our @EXPORT = qw(markdown);

sub table {
	my ($head, @rows) = @_;

	return join '', map { '| ' . join(' | ', map { s/\|/\\|/gr } @$_) . " |\n" } $head, ['---', ('---:') x $#$head], @rows;
}

sub about_machine {
	my ($all) = @_;
	my $m = $all->{machine};
	my $cpu = (split /,/, $all->{options}{cpus})[0];
	my @lines = (
		strftime('%Y-%m-%d', gmtime $all->{time}) . ", `" . $all->{command} =~ s{(^|[ =])/\S*/}{$1}gr . '`',
		"$m->{cpu}, $m->{cores} CPUs, $m->{memory_mb} MB, $m->{kernel}",
		"congestion control: $m->{congestion_control}" . ($m->{namespace} ? ', in a network namespace of its own' : ''),
		"one worker each, on CPU $cpu; clients and servers behind the proxy in one process on another",
		(map { "$_: $all->{versions}{$_}" } sort keys %{ $all->{versions} }),
	);
	return join '', map { "- $_\n" } @lines;
}

sub ratios {
	my ($s, $kinds) = @_;

	return map { report_ratio($s->{ratio}{$_}) } @$kinds;
}

# What counts: a line for each of ours.
sub result_table {
	my ($all) = @_;
	my @kinds = @{ $all->{kinds} };
	my @rows;

	for my $w (grep { $_->{servers} } @{ $all->{workloads} }) {
		for my $name (grep { $w->{servers}{$_}{kind} eq 'lbd' && $_ ne $all->{copy} } @{ $w->{order} }) {
			my $s = $w->{servers}{$name};
			push @rows, [$w->{name}, $name, number('%.2f', $s->{us_p10}), ratios($s, \@kinds), report_ratio($s->{ratio}{base}),
				$w->{pairs}, defined $w->{void} ? 'void' : number('%.3f', $w->{control}{median})];
		}
	}
	return table(['workload', 'server', 'us p10', (map { "$_ needs" } @kinds), "$all->{base} needs", 'pairs', 'control'], @rows);
}

# One workload, everybody.
sub detail {
	my ($all, $w) = @_;
	my @rows = map {
		my $s = $w->{servers}{$_};
		[$_, number('%.2f', $s->{us_p10}), number('%.2f', $s->{us_median}), $w->{mb} ? number('%.0f', $s->{us_per_mb}) : (),
			(map { number('%.0f', $s->{$_}) } qw(p50_us p99_us p999_us requests_per_s)),
			number('%.2f', $s->{utilisation}), number('%.2f', $s->{generator_utilisation}), number('%.3f', $s->{sleeps_per_request}),
			number('%.2f', $s->{calls_per_request}), "$s->{clean}/$s->{slices}"]
	} @{ $w->{order} };
	my $rate = defined $w->{rate} ? sprintf(' %.0f requests per second.', $w->{rate}) : '';
	my $void = defined $w->{void} ? " **Void: $w->{void}.**" : '';

	return "### $w->{name}\n\n$w->{what}.$rate$void\n\n"
		. table(['', 'us p10', 'median', $w->{mb} ? 'us/MB' : (), qw(p50 p99 p99.9 requests/s busy gen sleeps/r calls/r clean)], @rows) . "\n";
}

sub memory {
	my ($w) = @_;
	my $m = $w->{memory};

	return "### $w->{name}\n\n$w->{what}\n\n"
		. table([qw(server connections before after), 'bytes each'], map { my $r = $m->{$_}; [$_, $r->{connections},
			sprintf('%d KB', $r->{before} / 1024), sprintf('%d KB', $r->{after} / 1024), sprintf('%.0f', $r->{bytes_each})] } sort keys %$m) . "\n";
}

sub left_out {
	my ($all) = @_;
	my @lines = ((map { "- $_->{name}: void, $_->{void}\n" } grep { defined $_->{void} } @{ $all->{workloads} }),
		(map { "- $_->{name}: left out, $_->{skipped}\n" } grep { defined $_->{skipped} } @{ $all->{workloads} }));

	return @lines ? join('', "## What does not count\n\n", @lines, "\n") : '';
}

# The text of a file.
sub markdown {
	my ($all) = @_;

	return "# Results\n\nWritten by `contrib/bench/run --markdown`; what rows and columns mean is in README.md.\n\n"
		. about_machine($all) . "\n## CPU time per request\n\nMicroseconds, and how many times as much the others need: median of the "
		. "rotations (quartiles). The peer\nis the best of its configurations where there are several.\n\n" . result_table($all) . "\n"
		. left_out($all) . "## Every row\n\n"
		. join '', map { $_->{memory} ? memory($_) : $_->{servers} ? detail($all, $_) : () } @{ $all->{workloads} };
}

1;
