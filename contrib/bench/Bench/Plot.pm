# SPDX-License-Identifier: MIT
#
# The ratios of a run as an SVG: a bar per workload and peer from 1 to the median, whiskers for the quartiles, a
# diamond for the other engine, a red line for what is aimed at.  Logarithmic, because half is as bad as double is good.

package Bench::Plot;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(plot);

use constant {
	LABEL => 190,   # where the axis begins
	AXIS => 520,
	VALUE => 150,   # room behind it
	ROW => 30,
	BAR => 10,
	TOP => 92,
};

my $style = <<'EOT';
	text { font: 12px system-ui, sans-serif; fill: #1b1f24; }
	.title { font-size: 16px; font-weight: 600; }
	.note, .tick { fill: #57606a; font-size: 11px; }
	.grid { stroke: #d0d7de; stroke-width: 1; }
	.one { stroke: #1b1f24; stroke-width: 1.5; }
	.whisker { stroke: #1b1f24; stroke-width: 1.2; fill: none; }
	.mark { fill: #ffffff; stroke: #1b1f24; }
	.back { fill: #ffffff; }
	.aim { stroke: #cf222e; stroke-width: 2; }
	.p0 { fill: #1f8a9e; } .p1 { fill: #d9822b; }
	.void { opacity: 0.35; }
	@media (prefers-color-scheme: dark) {
		text { fill: #e6edf3; }
		.note, .tick { fill: #9198a1; }
		.grid { stroke: #3d444d; }
		.one, .whisker { stroke: #e6edf3; }
		.mark { fill: #0d1117; stroke: #e6edf3; }
		.back { fill: #0d1117; }
		.aim { stroke: #ff7b72; }
		.p0 { fill: #3fb4ca; } .p1 { fill: #eb9b4c; }
	}
EOT

sub escape {
	my ($text) = @_;
	my %to = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');

	return $text =~ s/([&<>"])/$to{$1}/gr;
}

sub text_at {
	my ($x, $y, $text, $class, $anchor) = @_;

	return sprintf qq{<text x="%.1f" y="%.1f"%s%s>%s</text>\n}, $x, $y, $class ? qq{ class="$class"} : '',
		$anchor ? qq{ text-anchor="$anchor"} : '', escape($text);
}

# [{ label, void, ratio => { PEER => {...} }, other => { PEER => {...} } }]: a row for each way the base engine is set up.
sub rows_of {
	my ($all) = @_;
	my ($second) = grep { /^lbd-/ && $_ ne $all->{base} && $_ ne $all->{copy} } sort keys %{ $all->{versions} };
	my @rows;

	for my $w (grep { $_->{servers} } @{ $all->{workloads} }) {
		for my $name (grep { /^\Q$all->{base}\E(?:\+|$)/ } @{ $w->{order} }) {
			my $suffix = substr $name, length $all->{base};
			my $ratio = $w->{servers}{$name}{ratio} or next;
			push @rows, { aim => $w->{aim} // {}, label => $w->{name} . ($suffix eq '' ? '' : " $suffix"), void => defined $w->{void}, ratio => $ratio,
				other => defined $second ? $w->{servers}{"$second$suffix"}{ratio} : undef };
		}
	}
	return ($second, @rows);
}

# x of a ratio: a function that knows the range.
sub axis {
	my ($kinds, @rows) = @_;
	my ($least, $most) = (-1, 1);
	my @aims = map { log($_) / log 2 } map { values %{ $_->{aim} } } @rows;

	$_ > $most and $most = $_ for @aims;

	for my $r (@rows) {
		for my $v (map { @$_{qw(q1 q3 median)} } grep { defined } map { ($r->{ratio}{$_}, ($r->{other} // {})->{$_}) } @$kinds) {
			my $l = log($v) / log 2;
			$least = $l if $l < $least;
			$most = $l if $l > $most;
		}
	}
	my ($from, $to) = (-int(-$least + 0.999), int($most + 0.999));
	return ($from, $to, sub { LABEL + AXIS * (log($_[0]) / log(2) - $from) / ($to - $from) });
}

sub bar {
	my ($x, $y, $class, $r) = @_;
	my ($left, $right) = sort { $a <=> $b } $x->(1), $x->($r->{median});
	my $middle = $y + BAR / 2;

	return sprintf(qq{<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%d"/>\n}, $class, $left, $y, $right - $left, BAR - 1)
		. sprintf qq{<path class="whisker" d="M%.1f %.1fH%.1fM%.1f %.1fv6M%.1f %.1fv6"/>\n}, $x->($r->{q1}), $middle, $x->($r->{q3}),
			$x->($r->{q1}), $middle - 3, $x->($r->{q3}), $middle - 3;
}

sub row {
	my ($x, $y, $kinds, $r) = @_;
	my $svg = text_at(LABEL - 10, $y + BAR + 4, $r->{label}, '', 'end');
	my @values;

	for my $i (0 .. $#$kinds) {
		my $v = $r->{ratio}{ $kinds->[$i] } // next;
		my $o = ($r->{other} // {})->{ $kinds->[$i] };
		my $at = $y + $i * BAR;
		$svg .= bar($x, $at, "p$i", $v);
		$svg .= sprintf qq{<path class="mark" d="M%.1f %.1fl3 3l-3 3l-3 -3z"/>\n}, $x->($o->{median}), $at + BAR / 2 - 3 if defined $o;
		$svg .= sprintf qq{<path class="aim" d="M%.1f %.1fv%d"/>\n}, $x->($_), $at, BAR - 1 for $r->{aim}{ $kinds->[$i] } // ();
		push @values, sprintf '%.2f', $v->{median};
	}
	$svg .= text_at(LABEL + AXIS + 12, $y + BAR + 4, join(' / ', @values) . ($r->{void} ? ' void' : ''));
	return $r->{void} ? qq{<g class="void">\n$svg</g>\n} : $svg;
}

# The text of a file, from what a run wrote as JSON.
sub plot {
	my ($all) = @_;
	my @kinds = @{ $all->{kinds} };
	my ($second, @rows) = rows_of($all);
	my ($from, $to, $x) = axis(\@kinds, @rows);
	my $bottom = TOP + @rows * ROW;
	my $wide = LABEL + AXIS + VALUE;
	my $svg = text_at(16, 26, 'CPU time per request: how many times as much the others need', 'title')
		. text_at(16, 45, "$all->{base}, right of 1 is better; lines: quartiles; red: aimed at" . (defined $second ? "; diamonds: $second" : ''), 'note');

	for my $i (0 .. $#kinds) {
		$svg .= sprintf qq{<rect class="p%d" x="%d" y="56" width="10" height="10"/>\n}, $i, 16 + $i * 90;
		$svg .= text_at(30 + $i * 90, 65, $kinds[$i]);
	}
	for my $l ($from .. $to) {
		my $at = $x->(2**$l);
		$svg .= sprintf qq{<path class="%s" d="M%.1f %dV%d"/>\n}, $l == 0 ? 'one' : 'grid', $at, TOP - 8, $bottom;
		$svg .= text_at($at, TOP - 12, $l < 0 ? '1/' . 2**-$l : 2**$l, 'tick', 'middle');
	}
	$svg .= row($x, TOP + 4 + $_ * ROW, \@kinds, $rows[$_]) for 0 .. $#rows;
	my $high = $bottom + 16;
	return qq{<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $wide $high" width="$wide" height="$high" role="img" }
		. qq{aria-label="CPU time per request against lbd">\n<style>\n$style</style>\n<rect class="back" width="$wide" height="$high"/>\n$svg</svg>\n};
}

1;
