#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# A short round of contrib/soak: workers come back to where they were.
#
# Seconds are not enough to reach the memory a worker settles at, and how near it comes in the first rest
# is chance: only a gross leak shows here (a kilobyte a request is more than the bound).  A long round
# by hand has the tight one, and ASan's legs find what was never freed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my ($code, $out) = run_program($^X, ($ENV{LBD_SRC} // '.') . '/contrib/soak/run', '--lbd', lbd_program(),
	'--seconds', 20, '--growth', 24, '--engine', $ENV{LBD_TEST_ENGINE} // '');

is $code, 0, 'contrib/soak/run' or diag $out;
like $out, qr/^ok$/m, 'and it says so';
done_testing;
