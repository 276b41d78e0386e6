#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What modules may call is written down: core/abi.txt, the public headers and the program agree, and a
# bundled module exports its lbd_module, needs what is listed, and nothing else of lbd.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Module;
use Test::More;

skip_without('nm', 'readelf');
my $src = $ENV{LBD_SRC} // '.';
my $is_sanitized = config_mk('SANITIZED') eq 'yes';

my @lines = split /\n/, slurp("$src/core/abi.txt") // '';
my @listed = grep { !/^\s*(?:#|$)/ } @lines;
my %listed = map { $_ => 1 } @listed;

is_deeply([grep { !/^lbd_[a-z0-9_]+$/ } @listed], [], 'core/abi.txt has a function a line');
is_deeply(\@listed, [sort keys %listed], 'in order, each once');

my (%declared, @odd);
for my $path (glob "'$src/core/include/lbd/*.h'") {
	my $text = slurp($path) =~ s{/\*.*?\*/}{}grs =~ s/^#.*(?:\\\n.*)*//grm;

	while ($text =~ /\bLBD_API\b([^;{]*)/g) {
		if ($1 =~ /\b(lbd_\w+)\s*\(/) {
			$declared{$1} = 1;
		} else {
			push @odd, "$path:$1";
		}
	}
}
is_deeply(\@odd, [], 'LBD_API stands before functions only');
is_deeply([grep { !$listed{$_} } sort keys %declared], [], 'every one of the headers is listed');
is_deeply([grep { !$declared{$_} } @listed], [], 'every one that is listed is in a header');

# [type, name, version] of dynamic symbols
sub symbols {
	my ($path, $which) = @_;
	my ($code, $out) = run_program('nm', '-D', "--$which-only", $path);

	is($code, 0, "nm $path") or diag $out if $code != 0;
	return map { /^\s*(?:[0-9a-f]+)?\s+(\w) ([^\s@]+)(?:@@?(\S+))?$/ ? [$1, $2, $3 // ''] : () } split /\n/, $out;
}

my @exported = grep { $_->[1] =~ /^lbd_/ } symbols(lbd_program(), 'defined');
is_deeply([sort map { $_->[1] } @exported], \@listed, 'lbd exports them');
is_deeply([grep { $_->[2] ne 'LBD_1.0' } @exported], [], 'as LBD_1.0');
SKIP: {
	skip 'the run-time of a sanitizer is exported, too', 1 if $is_sanitized;
	# copies of the C library's own variables bear its version
	is_deeply([grep { $_->[1] !~ /^lbd_/ && $_->[2] !~ /^GLIBC/ && $_->[0] ne 'A' &&
		$_->[1] !~ /^(?:stdin|stdout|stderr|environ|__environ)$/ } symbols(lbd_program(), 'defined')],
		[], 'and nothing else');
}

# libraries a module may be linked with: the C library's and those its module.mk names
sub may_need {
	my ($name) = @_;
	my $mk = slurp("$src/modules/$name/module.mk") // '';
	my @own = $mk =~ /-l(\S+)/g;

	push @own, config_mk($_) =~ /-l(\S+)/g for $mk =~ /\$\((\w+_LIBS)\)/g;
	return join '|', map { quotemeta "lib$_" } qw(c m dl pthread gcc_s), @own,
		$is_sanitized ? qw(asan ubsan clang_rt) : ();
}

my @modules = glob modules_folder() . '/*.so';
ok(@modules > 0, 'there are bundled modules');
for my $so (@modules) {
	my ($name) = $so =~ m{([^/]+)\.so$};
	my @own = grep { $_->[1] !~ /^__(?:asan|ubsan|odr_asan|lsan|tsan)/ } symbols($so, 'defined');
	my @needs = symbols($so, 'undefined');
	my $libs = may_need($name);
	my (undef, $dynamic) = run_program('readelf', '-dW', $so);

	is_deeply([map { $_->[1] } @own], ['lbd_module'], "$name exports lbd_module and nothing else");
	is_deeply([grep { /^lbd_/ && !$listed{$_} } map { $_->[1] } @needs], [], "$name calls what is listed");
	is_deeply([grep { !/^(?:$libs)\b|^ld-/ } $dynamic =~ /\(NEEDED\).*\[(.*?)\]/g], [], "$name needs its libraries only");
	unlike($dynamic, qr/\(TEXTREL\)|\(RPATH\)|\(RUNPATH\)/, "$name is mapped as it is, from where it is");
}
done_testing();
