# SPDX-License-Identifier: MIT
#
# Modules that a test compiles, as a third party would: with the machine's compiler, the public
# headers and nothing else.
#
#	my $so = module_so('hello', $text);	its path; the test ends when it does not compile
#	module_so('hello', $text, '-DX=1')	with more flags
#
# They are for the plain program and for one with sanitizers alike.  Without a compiler the test is skipped.

package Lbd::Module;

use strict;
use warnings;

use Cwd ();
use Exporter 'import';
use File::Temp ();
use Lbd::Util;
use Test::More ();

our @EXPORT = qw(module_so module_folder config_mk include_folder);

my $dir;
my %mk;

# What configure has settled, by name.
sub config_mk {
	my ($name) = @_;
	my $build = $ENV{LBD_BUILD} // 'build';

	%mk = map { /^(\w+) = (.*)$/ ? ($1 => $2) : () } split /\n/, slurp("$build/config.mk") // '' if !%mk;
	return $mk{$name} // '';
}

sub include_folder { return Cwd::abs_path($ENV{LBD_SRC} // '.') . '/core/include' }

# Where they are; gone with the test.
sub module_folder { return $dir //= File::Temp::tempdir('lbd-modules-XXXXXX', TMPDIR => 1, CLEANUP => 1) }

sub module_so {
	my ($name, $text, @flags) = @_;
	my $base = module_folder() . "/$name";
	my @cc = split ' ', config_mk('CC') || 'cc';

	Test::More::plan(skip_all => "no compiler $cc[0]") if !has_program($cc[0]) && !-x $cc[0];
	spew("$base.c", $text);
	my ($code, $out) = run_program(@cc, qw(-std=gnu11 -O1 -g -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden),
		'-I' . include_folder(), '-o', "$base.so", "$base.c", @flags);
	die "$base.c does not compile:\n$out" if $code != 0;
	return "$base.so";
}

1;
