#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The configurations that come with lbd are good: each passes "lbd -t" without a warning, at free ports and
# below a folder of the test, and the one that is installed answers.

use strict;
use warnings;

use File::Path qw(make_path);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $src = $ENV{LBD_SRC} // '.';

# The text for a test: each address listened on becomes a port of its own, the same for the same one.
sub movable {
	my ($text) = @_;
	my %port;

	$text =~ s{^(\s*listen\s+)((?:[\d.]+:)?\d+)\b}{
		$port{$2} = scalar keys %port if !exists $port{$2};
		"${1}127.0.0.1:%%PORT_$port{$2}%%"}gme;
	$text =~ s{(?<=[\s:])/(?:var/log|var/cache|run)/(?=lbd)}{%%DIR%%/}g;
	return $text;
}

my %files = ('conf/mime.types' => slurp("$src/conf/mime.types"));
my @examples = sort glob "'$src/conf/examples/*.conf'";

ok(@examples >= 10, 'there are examples');
for my $path ("$src/conf/lbd.conf", @examples) {
	my $name = $path =~ s{.*/}{}r;
	my $text = slurp($path);
	my $lbd = Lbd->new(conf => movable($text), files => \%files, start => 0);

	make_path($lbd->dir . '/lbd');
	my ($code, $out) = lbd_run('-t', '-p', $lbd->dir);
	is($code, 0, "$name passes lbd -t") or diag $out;
	unlike($out, qr/warning/, "$name has no warnings");
	is(join("\n", grep { length > 100 } split /\n/, $text), '', "$name is not too wide");
}

# What is commented out in the installed one is as good.
my $text = slurp("$src/conf/lbd.conf");
my $proxy = $text =~ s/^(\t*)#(?! )(?!user|daemon|use\b|error_log|listen)/$1/gmr;
like($proxy, qr/^\s*proxy_pass/m, 'the comments show how to pass requests on');
$proxy =~ s/^\t+# Until then.*?^\t\t\}\n//ms;
my $commented = Lbd->new(conf => movable($proxy), files => \%files, start => 0);
make_path($commented->dir . '/lbd');
my ($code, $out) = lbd_run('-t', '-p', $commented->dir);
is($code, 0, 'lbd.conf with its comments in use') or diag $out;

my $lbd = Lbd->new(conf => movable($text =~ s/^events \{.*?^\}\n//msr), files => \%files);
my $r = http_get($lbd->port(0), '/');
is($r->{status}, 200, 'lbd.conf as it is: answers');
like($r->{body}, qr/lbd is running/, 'with a page');
$lbd->stop;
done_testing();
