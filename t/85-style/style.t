#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What CONTRIBUTING.md asks of every file and a machine can see: licence line, include guard, width, length,
# calls that are not used, no path of somebody's machine.

use strict;
use warnings;
use File::Find;
use Test::More;

my $src = $ENV{LBD_SRC} // '.';
chdir $src or die "$src: $!";

my @files;
find({
	no_chdir => 1,
	wanted => sub {
		my $path = $File::Find::name =~ s{^\./}{}r;
		if (-d $path && ($path =~ m{^(?:\.git|obj|fuzz|stage|build.*|b)$} || -e "$path/config.mk" && $path ne '.')) {
			$File::Find::prune = 1;
			return;
		}
		push @files, $path if -f $path && !-l $path && -T $path;
	},
}, '.');
@files = sort grep { !m{^(?:Makefile|config\.(?:h|mk|log|status)|lbd\.pc)$|/corpus/|~$|\.sw.$} } @files;

sub lines {
	my ($path) = @_;
	open my $fh, '<', $path or return ();
	my @l = <$fh>;
	chomp @l;
	return @l;
}

# the name of a guard: core/include/lbd/str.h -> LBD_STR_H, core/net/conn.h -> LBD_CORE_NET_CONN_H
sub guard {
	my ($path) = @_;
	return 'LBD_' . uc($path =~ s{^.*/}{}r =~ tr{/.-}{___}r) if $path =~ m{^core/include/lbd/};
	my $name = uc($path =~ tr{/.-}{___}r);
	return $path =~ m{^t/} ? qr/(?:LBD_)?$name/ : qr/LBD_$name/;
}

# The text without comments and strings, so that what is said about a call is not taken for one.
sub code {
	my $text = join "\n", @_;
	$text =~ s{(/\*.*?\*/)|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|//[^\n]*}{
		my $gone = defined $1 ? $1 : ''; $gone =~ s/[^\n]//g; $gone . ' '}gse;
	return split /\n/, $text, -1;
}

sub width {
	my ($line) = @_;
	1 while $line =~ s/^([^\t]*)\t/$1 . ' ' x (8 - length($1) % 8)/e;
	utf8::decode($line);
	return length $line;
}

my (@spdx, @guard, @calls, @wide, @long, @space, @machine);
my $forbidden = qr/\b(strcpy|strcat|sprintf|vsprintf|alloca|gets|strtok|atoi|atol)\s*\(/;
my $machine = join '|', map { quotemeta } '/wo' . 'rk/main', '/wo' . 'rk/shared', '/tmp/' . 'brief', '/ro' . 'ot/';

for my $path (@files) {
	my @l = lines($path);
	my $c = $path =~ /\.[ch]$/;

	push @spdx, $path if $c && ($l[0] // '') ne '/* SPDX-License-Identifier: MIT */';
	push @spdx, $path if !$c && $path =~ /\.(?:t|pm|sh|pl)$/ && join("\n", @l[0 .. ($#l < 3 ? $#l : 3)]) !~ /^# SPDX-License-Identifier: MIT$/m;
	push @long, "$path: " . @l . ' lines' if $c && @l > 700;
	if ($path =~ /\.h$/) {
		my $g = guard($path);
		my ($name) = map { /^#ifndef (\w+)$/ ? $1 : () } @l;
		push @guard, "$path: " . ($name // 'none') . ", not $g"
			if !defined $name || $name !~ /^$g$/ || !grep { $_ eq "#define $name" } @l;
	}
	for my $n (1 .. @l) {
		my $line = $l[$n - 1];
		push @machine, "$path:$n: $line" if $line =~ /$machine/;
		next unless $c;
		push @wide, "$path:$n: " . width($line) . ' columns' if width($line) > 100;
		push @space, "$path:$n" if $line =~ /[ \t]$/;
	}
	if ($c) {
		my $n = 0;
		for (code(@l)) {
			$n++;
			push @calls, "$path:$n: $1()" if /$forbidden/;
		}
	}
}

ok(@files > 10, 'there are files to look at');
is(join("\n", @spdx), '', 'every source file says its licence');
is(join("\n", @guard), '', 'guards are named after the path');
is(join("\n", @calls), '', 'no call that writes without a bound or reads numbers without errors');
is(join("\n", @wide), '', 'no line is wider than 100 columns');
is(join("\n", @space), '', 'no line ends in white space');
is(join("\n", @long), '', 'no C file is longer than 700 lines');
is(join("\n", @machine), '', "no path of somebody's machine");
done_testing();
