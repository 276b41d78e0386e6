#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# contrib/bench: it runs, its files are well-formed, its generator sees what is wrong.  No figure is judged.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../contrib/bench";
use File::Temp ();
use JSON::PP ();
use Lbd;
use Test::More;

use Bench::Conf ();
use Bench::Report;
use Bench::Workloads;

plan skip_all => 'no compiler' if !has_program((split ' ', $ENV{CC} // 'cc')[0]);
plan skip_all => 'no taskset' if !has_program('taskset');
my $bench = Cwd::abs_path("$FindBin::Bin/../../contrib/bench");
my $dir = File::Temp::tempdir('lbd-bench-t-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my ($cpu) = (slurp('/proc/self/status') // '') =~ /^Cpus_allowed_list:\s*(\d+)/m;
my $engine = $ENV{LBD_TEST_ENGINE} // 'epoll';

sub bench {
	return run_program($^X, "$bench/run", @_);
}

# --- options ---
{
	my ($code, $out) = bench('--help');
	is $code, 0, '--help';
	like $out, qr/^usage: .*--workloads/s, 'says how it is used';
	($code, $out) = bench('--list');
	is $code, 0, '--list';
	is scalar(() = $out =~ /\n/g), scalar(my @w = workloads()), 'a line for each workload';
	my %seen;
	is_deeply [grep { $seen{$_}++ } map { $_->{name} } workloads()], [], 'each name is there once';
	for my $bad (['--nonsense'], ['--workloads', 'nonsense'], ['--cpus', '1'], ['--cpus', 'a,b'], ['--max-delay', 'x'],
		['--engines', 'kqueue'], ['--engines', ''], ['--lbd', "$dir/none"], ['--other', 'x'], ['--seconds', 'x'], ['--from', "$dir/none"],
		['left over']) {
		($code) = bench('--no-namespace', '--workloads', 'return-64', @$bad);
		isnt $code, 0, "refused: @$bad";
	}
}

# --- a run without peers ---
my @run = ('--lbd', lbd_program(), '--engines', $engine, '--nginx', '', '--haproxy', '', '--no-namespace', '--no-calls', '--retries', 0, '--starts', 1,
	'--cpus', "$cpu,$cpu", '--max-delay', '1000,1000');
{
	my @rows = qw(return-64 proxy-8 pipeline-4 new-both body-1m upload-64k websocket-64 log-64 half-load size-servers-10 size-locations-10
		size-names-10);
	my ($code, $out);
	for (1 .. 5) {
		($code, $out) = bench(@run, '--seconds', 0.1, '--rate', 200, '--workloads', join(',', @rows),
			map { ("--$_", "$dir/$_") } qw(json svg markdown));
		last if $out !~ /Address already in use/; # outside a network of its own others take ports, too
	}
	# void for want of pairs: nothing is said about figures, but nothing else may be wrong
	ok $code == 0 || $code == 1, 'a run' or diag $out;
	my $all = eval { JSON::PP->new->decode(slurp("$dir/json")) };
	is ref $all, 'HASH', 'JSON' or diag $out;
	is_deeply [sort map { $_->{name} } @{ $all->{workloads} }], [sort @rows], 'every row is there';
	for my $w (@{ $all->{workloads} // [] }) {
		my @base = grep { /^\Q$all->{base}\E/ } @{ $w->{order} };
		ok @base && !(grep { ($w->{servers}{$_}{failed} // 1) > 0 } @{ $w->{order} }), "$w->{name}: nothing failed" or diag $out;
		ok !(grep { !($w->{servers}{$_}{requests_per_s} // 0) } @base), "$w->{name}: has figures" or diag $out;
	}
	is_well_formed("$dir/svg", slurp("$dir/svg"));
	my @tables = split /\n\n/, slurp("$dir/markdown") // '';
	my @uneven = grep { /^\|/ && do { my %n; $n{ () = /(?<!\\)\|/g }++ for split /\n/; keys %n > 1 } } @tables;
	is_deeply \@uneven, [], 'Markdown: tables are even';
	($code, $out) = bench('--from', "$dir/json", '--svg', "$dir/svg2");
	is $code, 0, '--from';
	is slurp("$dir/svg2"), slurp("$dir/svg"), 'the same plot again';
}

# --- the other two ---
{
	my @one = ('--lbd', lbd_program(), '--engines', $engine, '--nginx', '', '--haproxy', '');
	for my $name (qw(idle endtoend)) {
		is((run_program($^X, "$bench/$name", '--help'))[0], 0, "$name --help");
		isnt((run_program($^X, "$bench/$name", '--nonsense'))[0], 0, "$name refuses what it does not know");
	}
	my ($code, $out) = run_program($^X, "$bench/idle", @one, '--cpu', $cpu, '--n', 50, '--json', "$dir/idle");
	is $code, 0, 'idle' or diag $out;
	my $idle = eval { JSON::PP->new->decode(slurp("$dir/idle")) } // {};
	is_deeply [map { $_->{connections} } values %$idle], [50], 'idle: JSON';
	SKIP: {
		skip 'no wrk', 2 if !has_program('wrk');
		($code, $out) = run_program($^X, "$bench/endtoend", @one, '--no-namespace', '--cpus', "$cpu,$cpu,$cpu", qw(--seconds 1 --rounds 1
			--connections 8), '--json', "$dir/endtoend");
		is $code, 0, 'endtoend' or diag $out;
		my $e = eval { JSON::PP->new->decode(slurp("$dir/endtoend")) } // {};
		ok((grep { $_->{requests_per_s} } map { values %$_ } map { values %{ $e->{$_} // {} } } qw(one two)) == 6, 'endtoend: JSON') or diag $out;
	}
}

# Elements are closed in the order in which they were opened, and the attributes of one differ.
sub is_well_formed {
	my ($path, $text) = @_;
	my (@open, @wrong);

	if (my $xmllint = has_program('xmllint')) {
		my ($code, $out) = run_program($xmllint, '--noout', $path);
		is $code, 0, 'SVG: xmllint' or diag $out;
	}
	while ($text =~ m{<(/?)(\w+)([^<>]*?)(/?)>}g) {
		my ($end, $name, $attributes, $empty) = ($1, $2, $3, $4);
		push @wrong, "</$name>" if $end && (pop(@open) // '') ne $name;
		push @open, $name if !$end && !$empty;
		push @wrong, "<$name$attributes>" if $attributes !~ /^(?:\s+[\w:-]+="[^"<&]*")*\s*$/;
	}
	push @wrong, 'nan or inf' if $text =~ /"[^"]*\b(?:nan|inf)\b/i;
	is_deeply [@wrong, @open], [], 'SVG is well-formed';
	like $text, qr/^<svg xmlns=/, 'SVG has its name space';
}

# --- with figures that are known ---
{
	my $slices = sub { my ($n, %cpu) = @_; join '', map { my $r = $_; map { "slice $r $_ 1 1000000000 1000 1024 0 $cpu{$_} 0 1 0 10\n" } sort keys %cpu } 0 .. $n };
	my %how = (base => 'a', copy => 'b', kind => { a => 'lbd', b => 'lbd', n1 => 'nginx', n2 => 'nginx' });
	my $r = report_parse(\%how, $slices->(8, a => 4e6, b => 4e6, n1 => 10e6, n2 => 8e6));
	is $r->{void}, undef, 'a row that counts';
	is $r->{best}{nginx}, 'n2', 'the best of the peers';
	is $r->{servers}{a}{ratio}{nginx}{median}, 2, 'what it needs';
	is $r->{servers}{a}{us_median}, 4, 'microseconds';
	is report_parse(\%how, $slices->(7, a => 4e6, b => 4e6))->{void}, 'only 7 clean pairs', 'too few pairs';
	is report_parse(\%how, $slices->(4, a => 4e6, b => 4e6), $slices->(4, a => 4e6, b => 4e6))->{pairs}, 8, 'pairs of two runs add up';
	is report_parse(\%how, $slices->(9, a => 4e6, b => 4.2e6))->{void}, 'the copy differs', 'a copy that differs';
	is report_parse(\%how, $slices->(9, a => 4e6))->{void}, 'no clean pair', 'no copy';
	like report_parse(\%how, $slices->(9, a => 4e6, b => 4e6) =~ s/1024 0/1024 3/r)->{void}, qr/^requests failed: a/, 'failures';
}

# --- the generator ---
my $load = "$dir/load";
my ($built, $say) = run_program('sh', '-c', ($ENV{CC} // 'cc') . " -std=gnu11 -O2 -Wall -o $load $bench/load*.c -lm");
is $built, 0, 'it is built' or diag $say;
for my $bad ([], ['-x'], ['-c', 0], ['-c', 'x'], ['-b', 0], ['-b', 70000], ['-e', -1], ['nonsense']) {
	is((run_program($load, @$bad))[0], 2, "refused: load @$bad");
}

# What a server answers, and what is said about it.
sub load_says {
	my ($answer, @options) = @_;
	my $b = backend(sub {
		my ($c) = @_;
		while ($c->request) {
			$c->send($answer) or last;
			last if $answer =~ /close/;
		}
	});
	return run_program($load, '-c', 1, '-t', 0.1, '-s', 20, '-l', 100, '-L', 100, @options, 'it=' . $b->port . ":$$");
}

my $good = Bench::Conf::body(100);
my $head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
my @cases = (
	['right', "$head$good", 0, qr/^slice 1 it 1 \d+ [1-9]\d* \d+ 0 /m],
	['a byte is wrong', $head . substr($good, 0, 99) . '!', 1, qr/body of an answer is not what was sent/],
	['two bytes changed places', $head . substr($good, 0, 98) . reverse(substr $good, 98), 1, qr/is not what was sent/],
	['too short', "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" . substr($good, 0, 99), 1, qr/not as long/],
	['no length', "HTTP/1.1 200 OK\r\n\r\n$good", 1, qr/not as long/],
	['too much', "$head${good}x", 1, qr/more than was asked for|not what was sent|no answer/],
	['not HTTP', "hello, who are you?\r\n\r\n", 1, qr/no answer/],
	['502', "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 0, qr/it: status 502/],
	['502 is counted', "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 0, qr/^slice 1 it 0 \d+ 0 \d+ [1-9]/m],
);
for my $c (@cases) {
	my ($name, $answer, $code, $says) = @$c;
	my ($got, $out) = load_says($answer, '-e', 100);

	is $got, $code, "the generator: $name";
	like $out, $says, "the generator: $name: says so";
}

done_testing;
