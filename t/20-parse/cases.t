#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The text cases of this folder, run by the program made from t/10-unit/http/cases.c.

use strict;
use warnings;

my $here = ($ENV{LBD_SRC} // '.') . '/t/20-parse';
my $program = ($ENV{LBD_BUILD} // '.') . '/t/10-unit/http/cases';

if (!-x $program) {
	print "1..0\nBail out! no $program; build it with make tests\n";
	exit 1;
}
exec $program, sort glob "$here/*.txt" or die "$program: $!\n";
