#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The configurations that come with lbd are good ones.

use strict;
use warnings;
use File::Basename qw(basename);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $top = "$FindBin::Bin/../..";
my %files = ('conf/mime.types' => slurp("$top/conf/mime.types"));

for my $path ("$top/conf/lbd.conf", sort glob "$top/conf/examples/*.conf") {
	my $text = slurp($path);
	my %ports;

	# on ports that are free here; a comment's stay as they are
	$text =~ s{^(\s*listen\s+(?:[\w.\[\]:*]*:)?)(\d+)\b}{
		$ports{$2} //= keys %ports; "$1%%PORT_$ports{$2}%%"
	}gme;
	# and in folders that exist
	$text =~ s{/var/log/lbd/}{%%DIR%%/logs/}g;
	$text =~ s{/run/lbd/}{%%DIR%%/}g;
	my $lbd = Lbd->new(conf => $text, files => \%files, start => 0);
	my ($code, $out) = $lbd->run_test;

	is($code, 0, basename($path) . ' is a valid configuration') or diag($out);
	unlike($out, qr/warning/, 'without warnings') or diag($out);
	$lbd->clean;
}

done_testing;
