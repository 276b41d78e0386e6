#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The layers are as ARCHITECTURE.md says, and the script that checks it can find an offence.

use strict;
use warnings;
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

my $src = $ENV{LBD_SRC} // '.';

sub check {
	my ($dir) = @_;
	my $out = `'$src/contrib/check-layers' '$dir' 2>&1`;
	return ($? >> 8, $out);
}

my ($rc, $out) = check($src);
is($out, '', 'no file includes what it may not');
is($rc, 0, 'and the check says so');

my @offences = (
	['core/base/a.c', '"core/os/sock.h"', 'layer 0 includes layer 1'],
	['core/net/a.c', '"core/http/uri.h"', 'layer 4 includes layer 5'],
	['core/http/a.c', '"core/stream/relay.h"', 'never include one another'],
	['event/uring.c', '"event/epoll.h"', 'engines never'],
	['event/loop.c', '"core/net/conn.h"', 'layer 2 includes layer 4'],
	['core/net/a.c', '"conn.h"', 'by path from the top'],
	['core/net/a.c', '"lbd/conn.h"', 'included as <lbd/...>'],
	['core/net/a.c', '"../base/num.h"', 'leaves its folder'],
	['core/new/a.c', '<stdio.h>', 'in no layer'],
	['core/include/lbd/a.h', '"core/base/num.h"', 'a public header'],
	['modules/m/module.c', '"core/net/conn.h"', 'a module sees only'],
	['modules/m/module.c', '"other.h"', 'not in the folder'],
);
for my $o (@offences) {
	my ($path, $include, $why) = @$o;
	my $dir = tempdir(CLEANUP => 1);
	make_path("$dir/" . $path =~ s{/[^/]*$}{}r);
	open my $fh, '>', "$dir/$path" or die "$path: $!";
	print $fh "#include $include\n";
	close $fh;
	($rc, $out) = check($dir);
	is($rc, 1, "$path may not include $include");
	like($out, qr/^\Q$path\E:1: .*\Q$why\E/, '  and the message says why');
}

done_testing();
