#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Every manual page is clean mdoc.

use strict;
use warnings;
use Test::More;

my $src = $ENV{LBD_SRC} // '.';
my @pages = sort glob "'$src/man/*.[1-9]'";

plan skip_all => 'no mandoc here' if system('command -v mandoc >/dev/null 2>&1') != 0;
plan skip_all => 'no manual pages yet' unless @pages;

for my $page (@pages) {
	# a page may name one that is installed elsewhere
	my @said = grep { !/referenced manual not found/ } `mandoc -T lint -W style '$page' 2>&1`;
	is(join('', @said), '', $page =~ s{.*/}{}r);
}
done_testing();
