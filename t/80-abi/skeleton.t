#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# A third party's module, from nothing: lbd is installed into a folder, the skeleton that came with it
# is built with what was installed only, tested by its own test, installed and loaded by name.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Copy ();
use File::Temp qw(tempdir);
use Lbd;
use Lbd::Module;
use Test::More;

skip_without('make', 'prove');
my ($cc) = split ' ', config_mk('CC');
plan skip_all => "no compiler $cc" unless has_program($cc) || -x $cc;
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES LBD_MODULES_PATH)};

my $build = $ENV{LBD_BUILD};
my $dest = tempdir('lbd-installed-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $work = tempdir('lbd-skeleton-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my ($code, $out) = run_program('make', '-C', $build, '-o', 'all', 'install', "DESTDIR=$dest");
is($code, 0, 'lbd is installed') or diag $out;

my $skeleton = "$dest" . config_mk('datadir') . '/lbd/module-skeleton';
my $lbd = "$dest" . config_mk('sbin_path');
my $modules = "$dest" . config_mk('modules_path');
my @files = map { s{.*/}{}r } glob "$skeleton/*";
is_deeply([sort @files], [qw(Makefile README.md hello.c hello.conf hello.t)], 'with a skeleton');
File::Copy::copy("$skeleton/$_", "$work/$_") or die "$_: $!" for @files;

SKIP: {
	skip 'no pkg-config', 8 unless has_program('pkg-config');
	# the folder is not where lbd will be looked for
	my $pc = "$dest" . config_mk('libdir') . '/pkgconfig';
	my $pkg = 'pkg-config --define-variable=prefix=' . $dest . config_mk('prefix');
	my %env = (PKG_CONFIG_PATH => $pc, LBD => $lbd, LBD_MODULES_PATH => $modules);
	my @make = ('make', '-C', $work, "CC=$cc", "PKG_CONFIG=$pkg", 'CFLAGS=-O1 -g -Wall -Wextra -Werror');

	($code, $out) = run_program({ %env }, @make);
	is($code, 0, 'the skeleton is built') or diag $out;
	like($out, qr{ '?-I\Q$dest\E}, 'with what was installed');
	unlike($out, qr/-I\S*core/, 'and nothing of the source');
	($code, $out) = run_program({ %env }, @make, 'check');
	is($code, 0, 'its own test passes') or diag $out;

	($code, $out) = run_program({ %env }, @make, 'install', 'DESTDIR=');
	ok(-x "$modules/hello.so", 'it is installed') or diag $out;
	spew("$work/named.conf", "load_module hello.so;\nhttp { hello x; }\n");
	($code, $out) = run_program({ %env }, $lbd, '-t', '-p', $work, '-c', "$work/named.conf");
	is($code, 0, 'and found by its name') or diag $out;
	run_program({ %env }, @make, 'clean');
	is(join(' ', sort grep { !/\.conf$/ } map { s{.*/}{}r } grep { -f } glob "$work/*"), 'Makefile README.md hello.c hello.t',
		'clean leaves what there was');

	($code, $out) = run_program({ %env }, 'sh', '-c', "cd '$work' && '$cc' hello.c -o hello.so \$($pkg --cflags --libs lbd)");
	is("$code $out", '0 ', 'one line builds it, too');
	($code, $out) = run_program({ %env, HOME => $work }, 'sh', '-c', "cd '$work' && prove hello.t");
	is($code, 0, 'and it is as good') or diag $out;
}
done_testing();
