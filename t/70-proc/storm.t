#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# A short round of contrib/storm: reloads and takeovers under clients with exact accounts, nothing is lost.
# Before that, whether the accounts notice when something is; in the end, workers that are killed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../contrib/storm";
use File::Temp ();
use JSON::PP ();
use Lbd;
use Storm::Peers;
use Test::More;

plan skip_all => 'no compiler' if !has_program((split ' ', $ENV{CC} // 'cc')[0]);
my $storm = "$FindBin::Bin/../../contrib/storm/run";
my $dir = File::Temp::tempdir(CLEANUP => 1);

# --- the accounts notice ---

my $ok = "HTTP/1.1 200 OK\r\nX-Generation: 1\r\nX-Uri: %s\r\nContent-Length: %d\r\n%s\r\n%s";

# name => (what the accounts must say, what the server does with a request)
my %faults = (
	'an idle connection is closed' => ['closed', sub {
		my ($c, $q) = @_;
		$c->send(sprintf $ok, $q->{target}, length $q->{target}, '', $q->{target});
		return 0;
	}],
	'a connection is reset' => ['reset', sub { $_[0]->reset; return 0 }],
	'another body' => ['failed', sub {
		my ($c, $q) = @_;
		return $c->send(sprintf $ok, $q->{target}, length $q->{target}, '', $q->{target} ^ (' ' x length $q->{target}));
	}],
	'another status' => ['failed', sub { return $_[0]->send("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") }],
	'told to close' => ['told', sub {
		my ($c, $q) = @_;
		$c->send(sprintf $ok, $q->{target}, length $q->{target}, "Connection: close\r\n", $q->{target});
		return 0;
	}],
	'an older generation' => ['stale', sub {
		my ($c, $q) = @_;
		return $c->send((sprintf $ok, $q->{target}, length $q->{target}, '', $q->{target}) =~ s/Generation: 1/Generation: 0/r);
	}],
	'no answer' => ['silent', sub { return 1 }],
);
for my $name (sort keys %faults) {
	my ($field, $script) = @{ $faults{$name} };
	my $server = backend(sub {
		my ($c) = @_;

		while (my $q = $c->request) {
			$script->($c, $q) or last;
		}
	});
	my $peers = Storm::Peers->new(clients => 10, seed => 1, silence => 1, complaints => 0, 'body-seconds' => 1,
		'idle-min' => 1, 'idle-max' => 1, 'tunnel-seconds' => 1);
	$peers->drive('coming 1 1');
	$peers->drive('now 1 1');
	$peers->drive('port add ' . $server->port);
	$peers->drive('start');
	ok(wait_for(sub { grep { $_->{$field} > 0 } values %{ $peers->accounts->{kinds} } }), "$name: \"$field\"");
	$peers->stop;
	$server->stop;
}

# --- nothing is lost ---

sub storm {
	my ($name, @args) = @_;
	my ($code, $out) = run_program($^X, $storm, '--lbd', lbd_program(), '--engine', $ENV{LBD_TEST_ENGINE} // '',
		'--body-seconds', 8, '--idle-min', 2, '--idle-max', 5, '--json', "$dir/json",
		'--verbose', '--every', 5, @args);

	is $code, 0, $name or diag $out;
	like $out, qr/^ok$/m, 'and it says so';
	my $j = eval { JSON::PP->new->decode(slurp("$dir/json")) } // {};
	is scalar(grep { !$_->{answered} } values %{ $j->{kinds} }), 0, 'each kind of client was answered';
	return $j;
}

my $j = storm('reloads and takeovers', '--clients', 150, '--seconds', 20, '--reloads', 12, '--storms', 1, '--takeovers', 2,
	'--allow', 'busy');
is_deeply $j->{wrong}, [], 'all accounts agree';
cmp_ok scalar @{ $j->{reload_ms} // [] }, '>', 5, 'reloads were timed';
$j = storm('killed workers', '--clients', 60, '--seconds', 6, '--reloads', 3, '--kill',
	'--body-seconds', 2);
is_deeply $j->{changes}, { kill => 3 }, 'three workers were killed, and only they lost something';

done_testing;
