#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Listening sockets over reloads: added, removed, given other options; of UNIX paths; with more and fewer
# workers.  What waits in a queue is served, whoever is to serve it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use IO::Socket::INET ();
use Lbd;
use POSIX ();
use Test::More;

my $main = "worker_processes 2;";
sub site {
	my ($name, @listen) = @_;

	return "$main\nhttp { server { " . join(' ', map { "listen $_;" } @listen) . " return 200 \"$name \$pid\\n\"; } }\n";
}

my @tcp = map { "127.0.0.1:%%PORT_$_%%" } 0 .. 2;
my $lbd = Lbd->new(conf => site('one', $tcp[0], 'unix:%%DIR%%/a.sock'));
my $dir = $lbd->dir;
my @unix = map { "unix:$dir/$_.sock" } qw(a b);
my $pid = $lbd->pid;

sub text { return (http_get($_[0], '/')->{body} // '') =~ /^(\w+) / ? $1 : 'nothing' }

sub inode { return (stat "$dir/$_[0].sock")[1] // 0 }

# The master's sockets that listen on a port.
sub listening {
	my ($port) = @_;
	my $hex = sprintf ':%04X', $port;
	my %ours = map { (readlink($_) // '') =~ /^socket:\[(\d+)\]/ ? ($1 => 1) : () } glob "/proc/$pid/fd/*";
	my @lines = grep { my @f = split; @f > 9 && $f[1] =~ /$hex$/ && $f[3] eq '0A' && $ours{ $f[9] } }
		split /\n/, slurp('/proc/net/tcp');

	return join ' ', sort map { (split)[9] } @lines;
}

is(text($_), 'one', "it listens on $_") for $lbd->port(0), $unix[0];
my $socket = inode('a');
my $sockets = listening($lbd->port(0));
is(scalar(split ' ', $sockets), 2, 'with a socket for each worker');

# --- added and removed ---

$lbd->configure(site('two', @tcp[0, 1], @unix));
is($lbd->reload, 1, 'listeners are added');
is(text($_), 'two', "it listens on $_") for $lbd->port(0), $lbd->port(1), @unix;
is(listening($lbd->port(0)), $sockets, 'those that were there are the same sockets');
is(inode('a'), $socket, 'and the same file');

# Stops the workers, and waits until they do nothing any more.
sub stop_workers {
	my @w = $lbd->workers;

	$lbd->signal('STOP', $_) for @w;
	wait_for(sub { !grep { (slurp("/proc/$_/stat") // '') !~ /^\d+ \(.*\) T /s } @w }) or die "not stopped\n";
	return @w;
}

# who waits in the queues while the old workers are stopped
sub waiting {
	my (@where) = @_;
	my @c = map { Lbd::Client->new($_) } map { ($_) x 8 } @where;

	$_->send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") for @c;
	return @c;
}

sub texts {
	my %seen = map { (($_->response->{body} =~ /^(\w+) /)[0] // 'nothing') => 1 } @_;

	return join ' ', sort keys %seen;
}

my @old = stop_workers();
my @gone = waiting($lbd->port(1), $unix[0]);
my @kept = waiting($lbd->port(0), $unix[1]);
$lbd->configure(site('three', $tcp[0], $unix[1]));
is($lbd->reload, 1, 'listeners are removed');
is(texts(@kept), 'three', 'who waits at one that stays is served by the next generation');
$lbd->signal('CONT', $_) for @old;
is(texts(@gone), 'two', 'who waits at one that goes, by the one before');
ok($lbd->wait_log(qr/no longer listening on 127\.0\.0\.1:@{[ $lbd->port(1) ]}/), 'the log says so');
ok($lbd->wait_log(qr/no longer listening on \Q$unix[0]\E/), 'of both');
ok(wait_for(sub { $lbd->is_drained }), 'the old generation ends');
ok(!connect_to($lbd->port(1)), 'nobody listens there');
ok(!-e "$dir/a.sock", 'the file is gone');
is(text($_), 'three', "it listens on $_") for $lbd->port(0), $unix[1];
is(listening($lbd->port(0)), $sockets, 'still the same sockets');
$lbd->configure(site('four', @tcp[0, 1], @unix));
is($lbd->reload, 1, 'and added again');
is(text($_), 'four', "it listens on $_") for $lbd->port(1), $unix[0];

# a generation that fails removes what it made, and nothing else
$socket = inode('a');
$lbd->file('conf/lbd.conf', $lbd->expand("load_module none.so;\n" . site('no', @tcp, @unix, 'unix:%%DIR%%/c.sock')));
is($lbd->reload, 0, 'a reload that fails');
ok(!-e "$dir/c.sock", 'leaves no file behind');
ok(!connect_to($lbd->port(2)), 'and no socket');
is(inode('a'), $socket, 'and removes none');
is(text($_), 'four', "it listens on $_") for $lbd->port(0), @unix;

# --- an address and the wildcard of one port ---

$lbd->configure(site('wild', '%%PORT_1%%', $tcp[0], @unix));
is($lbd->reload, 1, 'the wildcard in the place of an address');
is(text($lbd->port(1)), 'wild', 'answers');
$lbd->configure(site('narrow', @tcp[0, 1], @unix));
is($lbd->reload, 1, 'and back');
is(text($lbd->port(1)), 'narrow', 'answers');

# --- options ---

$lbd->configure(site('deep', "$tcp[0] backlog=100 rcvbuf=64k so_keepalive=on", @unix));
is($lbd->reload, 1, 'other options');
is(listening($lbd->port(0)), $sockets, 'are given to the same sockets');
SKIP: {
	my $ss = has_program('ss') // skip 'no ss', 1;
	my (undef, $out) = Lbd::Util::run_program($ss, '-ltnH', "sport = :@{[ $lbd->port(0) ]}");
	my @queue = map { (split)[2] } split /\n/, $out;

	is("@queue", '100 100', 'the backlog is new');
}
SKIP: {
	skip 'no IPv6', 4 if !-e '/proc/net/if_inet6' || !slurp('/proc/net/if_inet6');
	my $port = $lbd->port(3);

	$lbd->configure(site('six', $tcp[0], "[::]:$port", @unix));
	is($lbd->reload, 1, 'an IPv6 listener');
	$lbd->configure(site('six', $tcp[0], "[::]:$port ipv6only=off", @unix));
	is($lbd->reload, 0, 'cannot change to both');
	like($lbd->log, qr/"ipv6only" of \[::\]:$port cannot be changed while it is in use/, 'the log says why');
	is(text($lbd->port(0)), 'six', 'it goes on');
}

# --- handshakes that are not over when a listener is removed ---

ok(wait_for(sub { $lbd->is_drained }), 'nobody is at it any more');
$lbd->configure(site('going', $tcp[0], "$tcp[1] deferred", @unix));
is($lbd->reload, 1, 'a listener that waits for data');
my @quiet = map { connect_to($lbd->port(1)) // die "connect: $!" } 1 .. 8;
$lbd->configure(site('stays', $tcp[0], @unix));
is($lbd->reload, 1, 'is removed');
is(text($lbd->port(0)), 'stays', 'the next generation serves');
print $_ "GET / HTTP/1.0\r\nHost: a\r\n\r\n" for @quiet;
my @got = map { local $/; my $t = readline $_; defined $t && $t =~ /\r\n\r\n(\w+) / ? $1 : 'nothing' } @quiet;
is("@got", join(' ', ('going') x 8), 'those that had connected are served');
ok(wait_for(sub { $lbd->is_drained }), 'by those that end then');
ok(!connect_to($lbd->port(1)), 'and then nobody listens');
close $_ for @quiet;

# --- options that change under load ---

my @options = ('deferred', 'backlog=7', 'rcvbuf=32k sndbuf=64k', 'fastopen=16', 'so_keepalive=off', 'reuseport', '');
my $end = File::Temp::tempdir(CLEANUP => 1) . '/end';
my @clients = map { my $id = $_; fork // die "fork: $!" or do {
	my ($n, $bad) = (0, '');

	until (-e $end || $bad) {
		my $r = http_get($lbd->port(0), '/');
		$bad = "request $n: $r->{status}" if $r->{status} != 200;
		$n++;
	}
	spew("$end-$id", $bad || "good $n");
	POSIX::_exit(0);
} } 1 .. 2;
for my $n (0 .. 2 * $#options) {
	$lbd->configure(site("o$n", "$tcp[0] $options[$n % @options]", @unix));
	is($lbd->reload, 1, "with \"$options[$n % @options]\"") or last;
}
spew($end, '');
waitpid $_, 0 for @clients;
like(slurp("$end-$_"), qr/^good [1-9]/, "client $_ has lost nothing") for 1, 2;

# --- the number of workers ---

for my $n (4, 1, 3, 2) {
	@old = stop_workers();
	@kept = waiting($lbd->port(0), $unix[0]);
	$main = "worker_processes $n;";
	$lbd->configure(site("w$n", $tcp[0], @unix));
	is($lbd->reload, 1, "$n workers");
	is(texts(@kept), "w$n", 'serve who waited for those of before');
	$lbd->signal('CONT', $_) for @old;
	ok(wait_for(sub { $lbd->is_drained && $lbd->workers == $n }), 'are there');
	my %seen;
	for (1 .. 64) {
		my ($text, $worker) = split ' ', http_get($lbd->port(0), '/')->{body};

		$seen{"$text $worker"}++;
	}
	is(scalar(grep { !/^w$n / } keys %seen), 0, 'every connection is served');
	is(scalar(keys %seen), $n, 'each worker has its share');
}
is(scalar(split ' ', listening($lbd->port(0))), 4, 'no socket was closed');

# a worker that dies is replaced on all its sockets
push @{ $lbd->{allow} }, qr/exited on signal 9\b/;
$lbd->signal('KILL', $_) for $lbd->workers;
ok(wait_for(sub { $lbd->workers == 2 && !grep { title_of($_) ne 'lbd: worker process' } $lbd->workers }), 'others');
is(scalar(grep { text($lbd->port(0)) ne 'w2' } 1 .. 64), 0, 'serve all sockets');

# --- the end ---

$lbd->stop('QUIT');
ok(!-e "$dir/$_.sock", "$_.sock is removed in the end") for qw(a b);

# more goes at once than there is room for in a worker's channel
my $many = Lbd->new(conf => "http { server { " . join(' ', map { "listen 127.0.0.1:%%PORT_$_%%;" } 0 .. 400)
	. " return 200 \"many\\n\"; } }\n");
$many->configure("http { server { listen 127.0.0.1:%%PORT_0%%; return 200 \"one\\n\"; } }\n");
is($many->reload, 1, '400 listeners are removed');
is(http_get($many->port, '/')->{body}, "one\n", 'one is left');
ok(wait_for(sub { $many->is_drained && $many->workers == 2 }), 'the workers of before have heard all of it, and end');
is(scalar(grep { defined Lbd::Client->new($many->port($_)) } 1 .. 400), 0, 'as the others do not listen any more');
$many->stop;

done_testing;
