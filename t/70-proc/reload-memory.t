#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Reloads for which memory does not last: each allocation in turn fails in the trial, in the master before
# the exec and in the one after it.  Whatever fails, one generation serves, whole: the old or the new one.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Copy ();
use File::Temp;
use Lbd;
use Test::More;

my $dir = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $dir;

# What fails is known to the next program that is run, which is this one, and to the one after it.
sub fails {
	my %n = (trial => 0, master => 0, reload => 0, @_);

	spew("$dir/n.new", "$n{trial} $n{master} $n{reload}\n");
	rename "$dir/n.new", "$dir/n" or die "rename: $!";
}

# What is run is found once, so it is the program at first.
sub install {
	my ($from) = @_;

	chmod 0755, $from;
	rename $from, "$dir/lbd" or die "rename: $!";
}

File::Copy::copy(lbd_program(), "$dir/first") or die "copy: $!";
install("$dir/first");
fails();

sub site {
	my ($n) = @_;

	return <<"EOT";
http {
	upstream group { server 127.0.0.1:1 down; server 127.0.0.1:2 down; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		listen unix:%%DIR%%/a.sock;
		location / { return 200 "$n \$pid\n"; }
		location /group { proxy_pass http://group; }
	}
}
EOT
}

my $lbd = Lbd->new(program => "$dir/lbd", workers => 1, conf => site(0),
	allow => [qr/\[emerg\]/, qr/exited on signal 9\b/, qr/exited with code 2/]);
my @where = ($lbd->port, 'unix:' . $lbd->dir . '/a.sock');
my $pid = $lbd->pid;
spew("$dir/then", <<"EOT");
#!/bin/sh
read t m r <$dir/n
export LBD_FAIL_TRIAL=\$t LBD_FAIL_MASTER=\$m LBD_FAIL_RELOAD=\$r
exec @{[ lbd_program() ]} "\$@"
EOT
install("$dir/then");
my ($serving, $turn, $old) = (0, 0, 0);

# The allocation that fails may be a worker's for this very request: then it is the next one's answer.
sub text {
	my ($at) = @_;

	for (1, 2) {
		return $1 if (http_get($at, '/')->{body} // '') =~ /^(\d+) /;
	}
	return 'nothing';
}

# One reload: what is wrong with it, '' if nothing; and its result.
sub reload_once {
	my $seen = length $lbd->log;

	$lbd->configure(site(++$turn));
	my $is = $lbd->reload // return 'no result: ' . substr $lbd->log, $seen;
	$serving = $turn if $is;
	for my $at (@where) {
		my $text = text($at);

		return "$at: $text serves, not $serving: " . substr $lbd->log, $seen if $text ne $serving;
	}
	return ('', $is);
}

# Fails at one place after the other, until many in a row have done no harm.
sub walk {
	my ($what) = @_;
	my ($failed, $good, $n, @bad) = (0, 0, 0);

	while ($good < 20 && !@bad) {
		my ($bad, $is);

		fails($what => ++$n);
		if ($what eq 'master') { # this one is only told; with what it shall do then, the next begins
			($bad) = reload_once();
			push @bad, "before $n: $bad" if $bad;
			fails();
		}
		($bad, $is) = reload_once();
		push @bad, "$n: $bad" if $bad;
		$failed += !$is;
		$good = $is ? $good + 1 : 0;
	}
	is_deeply(\@bad, [], "$what: one generation serves, whatever fails") or diag(@bad);
	cmp_ok($failed, '>', 2, "$what: $failed reloads failed, up to allocation $n");
	fails();
	is((reload_once())[0], '', "$what: then one that is let");
	is($serving, $turn, 'succeeds');
}

walk($_) for qw(trial master reload);

# not one, but all from there on
for my $what (qw(trial reload)) {
	for my $n (1, 7, 40, 60) {
		fails($what => "$n+");
		is((reload_once())[0], '', "$what: one generation serves, when all fails from $n on");
	}
}
fails();
is((reload_once())[0], '', 'then one that is let');
is($serving, $turn, 'succeeds');
is($lbd->pid, $pid, 'all of it with one master');
ok(wait_for(sub { $lbd->is_drained && $lbd->workers == 1 && $lbd->control == 1 }), 'nothing else is left');
$lbd->stop('QUIT');

done_testing;
