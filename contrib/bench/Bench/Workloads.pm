# SPDX-License-Identifier: MIT
#
# What is measured: a line each.  What the ports are is in Conf.pm.

package Bench::Workloads;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(workloads workloads_chosen targets_of descriptors_of);

use constant MB => 1 << 20;

# Who is driven in a row: [port, what is put behind the name, kinds of programs].  The first one of a kind
# of ours is also the copy's.
my $all = [['return', '']];
my $proxy = [['proxy', '']];
my $bodies = [['buffer', '', 'lbd'], ['stream', '+stream', 'lbd'], ['buffer', '+buffer', 'nginx'],
	['stream', '+stream', 'nginx'], ['stream', '+splice', 'haproxy'], ['buffer', '+copy', 'haproxy']];
my $logs = [['return', '', 'lbd'], ['log', '+log', 'lbd'], ['log', '+log', 'nginx']];
my $proxy_logs = [['proxy', '', 'lbd'], ['proxylog', '+log', 'lbd'], ['proxylog', '+log', 'nginx']];
my $methods = [['one', ''], (map { [$_, "+$_", 'lbd'] } qw(round least key time)), (map { [$_, "+$_", 'nginx'] } qw(round least key))];

# What is aimed at: how many times as much nginx and HAProxy should need.
my %aim = (
	'return-64' => [1.6, 1.75], 'return-256' => [1.7, 2.0], 'cached-64' => [1.6, 1.75], 'proxy-1' => [1.2, 1.3],
	'proxy-64' => [1.5, 1.6], 'proxy-256' => [1.8, 1.8], 'pipeline-4' => [3, 5], 'pipeline-16' => [7, 12], 'new' => [1.25, 1.25],
	'body-1m' => [1.75, 1.1], 'body-10m' => [3, 1.1],
);

sub row {
	my ($name, $set, $targets, $load, $what, %more) = @_;
	my %aimed = $aim{$name} ? (aim => { nginx => $aim{$name}[0], haproxy => $aim{$name}[1] }) : ();

	return { name => $name, set => $set, targets => $targets, load => $load, what => $what, slice => 80, %aimed, %more };
}

sub connections {
	my ($port, $targets, $path, $what, @counts) = @_;

	return map { row("$port-$_", 'small', $targets, "-c $_ -p $path", "$what, $_ connection" . ($_ > 1 ? 's' : '')) } @counts;
}

# name, bytes, connections, slice in ms, set
my @sizes = (['64k', 65536, 16, 120, 'bulk'], ['1m', MB, 8, 150, 'bulk-long'], ['10m', 10 * MB, 8, 250, 'bulk-long']);

my @rows = (
	connections('return', $all, '/', 'return 200, 1 KB', 64, 256),
	row('cached-64', 'small', [['return', '', 'lbd haproxy'], ['file', '', 'nginx']], '-c 64 -p /1024',
		'a file of 1 KB in the cache (nginx) against return 200 (lbd has no files yet, HAProxy none), 64 connections'),
	connections('proxy', $proxy, '/1024', 'proxy, 1 KB', 1, 8, 64, 256, 1000),
	row('pipeline-4', 'small', $all, '-c 64 -d 4 -p /', 'return 200, 64 connections, 4 requests at once'),
	row('pipeline-16', 'small', $all, '-c 64 -d 16 -p /', 'return 200, 64 connections, 16 requests at once'),
	row('new', 'small', $all, '-c 64 -n -p /', 'return 200, a new connection per request'),
	row('new-deferred', 'small', [['deferred', '']], '-c 64 -n -p /',
		'the same, the listener accepts when the request is there (for information)'),
	row('new-proxy', 'small', $proxy, '-c 64 -n -p /1024', 'proxy, a new connection of the client per request'),
	row('new-both', 'small', [['once', '']], '-c 64 -n -p /1024', 'proxy, new connections on both sides'),
	(map { row("body-$_->[0]", $_->[4], $bodies, "-c $_->[2] -e $_->[1] -p /$_->[1]", "proxy, answers of $_->[0], $_->[2] connections",
		slice => $_->[3], mb => $_->[1] / MB) } @sizes),
	(map { row("upload-$_->[0]", $_->[4], $bodies, "-c $_->[2] -u $_->[1] -e 2 -p /2", "proxy, uploads of $_->[0], $_->[2] connections",
		slice => $_->[3], mb => $_->[1] / MB) } @sizes),
	row('websocket-64', 'small', [['websocket', '']], '-c 64 -w -p /ws', 'proxy, WebSocket echo of 32 characters, 64 tunnels'),
	row('log-64', 'small', $logs, '-c 64 -p /', 'return 200, 1 KB, 64 connections, with a buffered access log'),
	row('proxy-log-64', 'small', $proxy_logs, '-c 64 -p /1024', 'proxy, 1 KB, 64 connections, with a buffered access log'),
	row('half-load', 'small', $proxy, '-c 64 -p /1024', 'proxy, 1 KB, 64 connections, half of what the slowest can do', paced => 1,
		slice => 200),
	row('methods-64', 'methods', $methods, '-A -c 64 -p /1024', 'proxy, 1 KB, 64 connections, 100 servers by some methods beside one'),
	(map { row("size-servers-$_", "servers-$_", $proxy, '-A -c 64 -p /1024',
		"proxy, 1 KB, $_ servers in the upstream, a new connection to one per request", size => $_) } 10, 1000, 10_000),
	(map { row("size-locations-$_", "locations-$_", $all, "-c 64 -e 16 -m $_ -p /d%/x", "return 200, $_ locations, each in turn",
		size => $_) } 10, 1000, 10_000),
	(map { row("size-names-$_", "names-$_", $all, "-c 64 -e 16 -m $_ -H h%.example -p /", "return 200, $_ servers by name, each in turn",
		size => $_) } 10, 1000, 10_000),
	{ name => 'idle', what => 'resident memory per idle keep-alive connection' },
);

sub workloads { return @rows }

# Names or beginnings of names; a whole name stands for itself alone.
sub workloads_chosen {
	my ($list) = @_;
	my %want;

	for my $name (split /,/, $list) {
		my @found = grep { $_->{name} eq $name } @rows;
		@found = grep { index($_->{name}, $name) == 0 } @rows if !@found;
		die "no workload $name; see --list\n" if !@found || $name eq '';
		$want{ $_->{name} } = 1 for @found;
	}
	return grep { $want{ $_->{name} } } @rows;
}

# [{ name, server, port }] of one row: each program on each of its ports.
sub targets_of {
	my ($w, @servers) = @_;
	my @targets;

	for my $s (@servers) {
		my @mine = grep { !defined $_->[2] || " $_->[2] " =~ / $s->{kind} / } @{ $w->{targets} };
		@mine = @mine[0 .. 0] if @mine && $s->{copy};
		push @targets, { name => "$s->{name}$_->[1]", server => $s, port => $_->[0] } for @mine;
	}
	return @targets;
}

# How many the generator needs: a client's connection and, with a proxy, the server's behind it.
sub descriptors_of {
	my ($w, $targets) = @_;
	my ($connections) = $w->{load} =~ /-c (\d+)/;

	return 2 * $connections * $targets + 200;
}

1;
