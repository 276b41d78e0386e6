#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# "make install" into a scratch directory puts everything where configure said, headers that compile
# alone included; a second time it keeps the operator's configuration; "make uninstall" takes away
# what it put there and nothing else.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Find;
use File::Temp qw(tempdir);
use Test::More;

my $src = abs_path($ENV{LBD_SRC} // '.');
my $build = $ENV{LBD_BUILD} // '';
plan skip_all => 'no build (LBD_BUILD)' unless -f "$build/config.mk";
$build = abs_path($build);
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES)};

my $dest = tempdir(CLEANUP => 1);
my %mk = do {
	open my $fh, '<', "$build/config.mk" or die "$build/config.mk: $!";
	map { /^(\w+) = (.*)$/ ? ($1 => $2) : () } <$fh>;
};

# with what is built already: nothing is rebuilt while other tests run it
sub make {
	my (@args) = @_;
	my $out = `make -C '$build' -o all @args DESTDIR='$dest' 2>&1`;
	return ($? >> 8, $out);
}

sub tree {
	my @found;
	find({ no_chdir => 1, wanted => sub { push @found, substr $_, length $dest if !-d } }, $dest);
	return sort @found;
}

sub spew {
	my ($path, $text) = @_;
	open my $fh, '>', $path or die "$path: $!";
	print $fh $text;
	close $fh or die "$path: $!";
}

sub slurp {
	my ($path) = @_;
	local $/;
	open my $fh, '<', $path or return undef;
	return scalar <$fh>;
}

my ($rc, $out) = make('install');
is($rc, 0, 'make install') or diag($out);

ok(-x "$dest$mk{sbin_path}", 'the program is at its place');
is(`'$dest$mk{sbin_path}' -v 2>&1` =~ /\Q$mk{VERSION}\E/ ? 1 : 0, 1, 'and says its version');
ok(-f "$dest$mk{modules_path}/index.tsv", 'the directive index is with the modules');
for my $folder (glob "'$src/modules/*/'") {
	my ($name) = $folder =~ m{([^/]+)/$};
	next unless glob "'$folder*.c'";
	ok(-x "$dest$mk{modules_path}/$name.so", "module $name");
}
my @headers = map { s{.*/}{}r } glob "'$src/core/include/lbd/*'";
is(join(' ', grep { !-f "$dest$mk{includedir}/lbd/$_" } @headers), '', 'no public header is missing');
ok(-f "$dest$mk{libdir}/pkgconfig/lbd.pc", 'lbd.pc');
unlike(slurp("$dest$mk{libdir}/pkgconfig/lbd.pc") // '', qr/@|\Q$dest\E/,
	'which is filled in, without DESTDIR');
ok(-f "$dest$mk{datadir}/lbd/module.mk", 'the makefile for modules');
my $confdir = $mk{conf_path} =~ s{/[^/]*$}{}r;
ok(-f "$dest$confdir/mime.types", 'mime.types');
for my $page (glob "'$src/man/*.[1-9]'") {
	my ($name, $section) = $page =~ m{([^/]+\.(\d))$};
	ok(-f "$dest$mk{mandir}/man$section/$name", "manual page $name");
}
ok(-d "$dest" . ($mk{error_log_path} =~ s{/[^/]*$}{}r), 'a folder for logs');

SKIP: {
	skip 'no conf/lbd.conf yet', 3 unless -f "$src/conf/lbd.conf";
	is(slurp("$dest$mk{conf_path}"), slurp("$src/conf/lbd.conf"), 'a configuration to start from');
	spew("$dest$mk{conf_path}", "# mine\n");
	my $ino = (stat "$dest$mk{sbin_path}")[1];
	($rc, $out) = make('install');
	is(slurp("$dest$mk{conf_path}"), "# mine\n", 'a second install keeps the configuration');
	isnt((stat "$dest$mk{sbin_path}")[1], $ino, 'and replaces the program by renaming');
}
is(join(' ', grep { /\.new/ } tree()), '', 'nothing half written is left');

# each header alone, as a module's compiler sees it
my $cc = $mk{CC};
for my $h (grep { /\.h$/ } @headers) {
	spew("$dest/one.c", "#include <lbd/$h>\nint lbd_one;\n");
	my $said = `$cc -std=c11 -pedantic-errors -Wall -Wextra -Werror -fsyntax-only '-I$dest$mk{includedir}' '$dest/one.c' 2>&1`;
	is($said, '', "<lbd/$h> alone is C11");
	SKIP: {
		skip 'no g++', 2 if system('command -v g++ >/dev/null 2>&1') != 0;
		spew("$dest/one.cc", "#include <lbd/$h>\nint lbd_one;\n");
		for my $std ('c++11', 'c++17') {
			$said = `g++ -std=$std -pedantic-errors -Wall -Wextra -Werror -fsyntax-only '-I$dest$mk{includedir}' '$dest/one.cc' 2>&1`;
			is($said, '', "<lbd/$h> alone is $std");
		}
	}
}
unlink "$dest/one.c", "$dest/one.cc";

($rc, $out) = make('uninstall');
is($rc, 0, 'make uninstall') or diag($out);
is(join(' ', tree()), join(' ', sort grep { -e "$dest$_" } $mk{conf_path}, "$confdir/mime.types"),
	'leaves the configuration and nothing else');

# ---- configure ----

is(`'$src/configure' --version`, "lbd $mk{VERSION}\n", 'configure --version');
like(`'$src/configure' --prefx=/usr 2>&1`, qr/unknown option --prefx; did you mean --prefix\?/,
	'a mistyped option gets a suggestion');
like(`'$src/configure' --prefix=/opt/x --sysconfdir=/etc --print-config`,
	qr{program +/opt/x/sbin/lbd\n *configuration +/etc/lbd/lbd\.conf\n}, 'paths follow the options');
is(`'$src/configure' --disable-silent-rules --disable-dependency-tracking --build=x86_64-linux-gnu --libexecdir=/l --list-modules 2>&1`,
	`'$src/configure' --list-modules`, 'what packagers pass is taken');

done_testing();
