#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# A short round of contrib/soak: workers come back to where they were.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my ($code, $out) = run_program($^X, ($ENV{LBD_SRC} // '.') . '/contrib/soak/run', '--lbd', lbd_program(),
	'--seconds', 20, '--engine', $ENV{LBD_TEST_ENGINE} // '');

is $code, 0, 'contrib/soak/run' or diag $out;
like $out, qr/^ok$/m, 'and it says so';
done_testing;
