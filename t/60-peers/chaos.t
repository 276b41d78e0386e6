#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# A short round of contrib/chaos: servers die, hang and lie, nobody gets what is wrong.
#
# The one server that is left alone stays the same for all of it, and lbd is patient, so that a slow
# machine fails nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my @common = ('--lbd', lbd_program(), '--engine', $ENV{LBD_TEST_ENGINE} // '', '--clients', 12, '--settle', 60,
	'--timeout', 3, '--check', 5, '--back', 60, '--seed', $$ % 1000);

for my $round (['--seconds', 9, '--wide', '--kill-control'], ['--seconds', 6, '--kill-workers']) {
	my ($code, $out) = run_program($^X, ($ENV{LBD_SRC} // '.') . '/contrib/chaos/run', @common, @$round);

	is $code, 0, "contrib/chaos/run @$round" or diag $out;
	like $out, qr/^ok$/m, 'and it says so';
}
done_testing;
