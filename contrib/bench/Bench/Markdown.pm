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
			push @rows, [$w->{name}, $name, number('%.2f', $s->{us_p10}), ratios($s, \@kinds),
				join(' / ', map { ($w->{aim} // {})->{$_} // () } @kinds), report_ratio($s->{ratio}{base}),
				$w->{pairs}, defined $w->{void} ? 'void' : number('%.3f', $w->{control}{median})];
		}
	}
	return table(['workload', 'server', 'us p10', (map { "$_ needs" } @kinds), 'aimed at', "$all->{base} needs", 'pairs', 'control'], @rows);
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
	my @best = map { $w->{best}{$_} // () } @{ $all->{kinds} };
	my $with = @best ? ' Compared with ' . join(' and ', @best) . '.' : '';

	return "### $w->{name}\n\n$w->{what}.$rate$with$void\n\n"
		. table(['', 'us p10', 'median', $w->{mb} ? 'us/MB' : (), qw(p50 p99 p99.9 requests/s busy gen sleeps/r calls/r clean)], @rows) . "\n";
}

sub memory {
	my ($w) = @_;
	my $m = $w->{memory};

	return "### $w->{name}\n\n$w->{what}\n\n"
		. table([qw(server connections before after), 'bytes each'], map { my $r = $m->{$_}; [$_, $r->{connections},
			sprintf('%d KB', $r->{before} / 1024), sprintf('%d KB', $r->{after} / 1024), sprintf('%.0f', $r->{bytes_each})] } sort keys %$m) . "\n";
}

# Microseconds by number: a line per server, what a row does not count in brackets.
sub sizes {
	my ($all) = @_;
	my (%us, @what);

	for my $w (grep { $_->{size} && $_->{servers} } @{ $all->{workloads} }) {
		my ($what) = $w->{name} =~ /^size-(\w+)-/;
		push @what, $what if !$us{$what};
		for my $name (@{ $w->{order} }) {
			$us{$what}{$name}{ $w->{size} } = number(defined $w->{void} ? '(%.2f)' : '%.2f', $w->{servers}{$name}{us_p10});
		}
	}
	return '' if !@what;
	my @n = (10, 1000, 10_000);
	my @rows = map { my $what = $_; map { my $name = $_; [$what, $name, map { $us{$what}{$name}{$_} // '-' } @n] } sort keys %{ $us{$what} } } @what;
	return "## Cost against size\n\nMicroseconds of CPU time per request (10th percentile); void rows in brackets.\n\n"
		. table(['number of', 'server', @n], @rows) . "\n";
}

sub left_out {
	my ($all) = @_;
	my @lines = ((map { "- $_->{name}: void, $_->{void}\n" } grep { defined $_->{void} } @{ $all->{workloads} }),
		(map { "- $_->{name}: left out, $_->{skipped}\n" } grep { defined $_->{skipped} } @{ $all->{workloads} }));

	return @lines ? join('', "## What does not count\n\n", @lines, "\n") : '';
}

# What contrib/bench/endtoend wrote.
sub end_to_end {
	my ($e) = @_;
	my $text = "## End to end\n\nMedians of rounds of wrk with $e->{connections} connections; workers on CPU $e->{cpus}[0] and $e->{cpus}[1], wrk and "
		. "the servers behind the\nproxy on CPU $e->{cpus}[2]. `-1` and `-2` are one worker and two.\n\n";

	for my $part ('one', 'two') {
		for my $port (qw(return proxy)) {
			my $r = $e->{$part}{$port};
			my @names = map { my $n = $_; grep { exists $r->{$_} } $n, "$n-1", "$n-2" } @{ $e->{order} };
			$text .= table([$port, 'requests/s', 'p50 us', 'p99 us', 'CPU us/request'], map { my $n = $_; [$n,
				(map { number('%.0f', $r->{$n}{$_}) } qw(requests_per_s p50_us p99_us)), number('%.2f', $r->{$n}{us})] } @names) . "\n";
		}
	}
	return $text . "400 connections over two workers: " . join('; ', map { "$_ @{ $e->{spread}{$_} // [] }" } map { "$_-2" } @{ $e->{order} }) . ".\n\n";
}

# The text of a file.
sub markdown {
	my ($all) = @_;

	return "# Results\n\nWritten by `contrib/bench/run --markdown`; what rows and columns mean is in README.md.\n\n"
		. about_machine($all) . "\n## CPU time per request\n\nMicroseconds, and how many times as much the others need: median of the "
		. "rotations (quartiles). The peer\nis the best of its configurations where there are several.\n\n" . result_table($all) . "\n"
		. sizes($all) . ($all->{endtoend} ? end_to_end($all->{endtoend}) : '') . left_out($all) . "## Every row\n\n"
		. join '', map { $_->{memory} ? memory($_) : $_->{servers} ? detail($all, $_) : () } @{ $all->{workloads} };
}

1;
