#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Every balancing method with real requests over several workers: who gets what, what a reload and a worker that is
# killed change (nothing), and servers that are full.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $gate = File::Temp::tempdir(CLEANUP => 1) . '/open';
my @server = map {
	my $name = $_;

	http_backend(sub {
		my ($q, $n, $b) = @_;

		if ($q->{target} =~ m{/hold}) {
			$b->note('held');
			wait_for(sub { -e $gate }, 60);
		}
		select undef, undef, undef, 0.02 if $q->{target} =~ m{/slow} && $name eq 'a';
		return [200, [], $name];
	});
} qw(a b c d);
my ($a, $b, $c, $d) = map { $_->address } @server;
my $refused = '127.0.0.1:' . free_port();
my $four = "server $a; server $b; server $c; server $d;";
my $many = join ' ', map { my $s = $_; map { "server $s max_fails=0;" } 1 .. 16 } $a, $b, $c, $d;

my %group = (
	round => $four,
	weights => "server $a weight=3; server $b; server $c weight=2; server $d down;",
	round_many => $many,
	least => "least_conn; $four",
	least_many => "least_conn; $many",
	least_backup => "least_conn; server $refused; server $b backup;",
	ip => "ip_hash; $four",
	key => "hash \$arg_k; $four",
	ring => "hash \$arg_k consistent; $four",
	bound => "hash \$arg_k consistent bound=1.5; $four",
	random => "random; $four",
	two => "random two least_conn; $four",
	two_time => "random two least_time=last_byte; $four",
	time => "least_time header; $four",
	time_last => "least_time last_byte inflight; $four",
	time_many => "least_time header inflight; $many",
	full => "least_conn; server $a max_conns=2; server $b max_conns=1;",
);
my @names = sort keys %group;

sub site {
	my ($more) = @_;

	return "worker_processes 3;\nhttp {\n\taccess_log off;\n\t$more\n"
		. join('', map { "\tupstream $_ { $group{$_} retry_budget 100; }\n" } @names)
		. "\tserver {\n\t\tlisten 127.0.0.1:%%PORT_0%%;\n\t\tlocation = /pid { return 200 \$pid; }\n"
		. join('', map { "\t\tlocation /$_ { proxy_pass http://$_; }\n" } @names) . "\t}\n}\n";
}

my $lbd = Lbd->new(conf => site(''), allow => [qr/exited on signal 9\b/]);
my $port = $lbd->port;

# n requests over connections that come to different workers: { name => how many }
sub spread {
	my ($n, $target, $more) = @_;
	my (%count, @client);

	for my $i (1 .. $n) {
		my $k = $i % 8;

		$client[$k] //= Lbd::Client->new($port);
		$client[$k]->send('GET ' . (ref $target ? $target->($i) : $target) . " HTTP/1.1\r\nHost: a\r\n\r\n");
		my $r = $client[$k]->response;
		$count{ $r->{status} == 200 ? $r->{body} : $r->{status} }++;
	}
	return \%count;
}

sub text {
	my ($count) = @_;

	return join ' ', map { "$_=$count->{$_}" } sort keys %$count;
}

sub within {
	my ($count, $names, $least, $most, $what) = @_;

	ok !grep({ ($count->{$_} // 0) < $least || ($count->{$_} // 0) > $most } @$names)
		&& !grep({ my $k = $_; !grep { $k eq $_ } @$names } keys %$count), "$what: " . text($count);
}
my $all = [qw(a b c d)];

# Two rounds: before and after a reload.
for my $round ('', 'after a reload: ') {
	is text(spread(80, '/round')), 'a=20 b=20 c=20 d=20', "${round}round robin";
	is text(spread(60, '/weights')), 'a=30 b=10 c=20', "${round}by weight";
	is text(spread(64, '/round_many')), 'a=16 b=16 c=16 d=16', "${round}of many";
	is text(spread(80, '/least')), 'a=20 b=20 c=20 d=20', "${round}least_conn of idle servers";
	within(spread(64, '/least_many'), $all, 14, 18, "${round}least_conn of many");
	is text(spread(10, '/least_backup')), 'b=10', "${round}least_conn with a backup";
	is scalar(keys %{ spread(20, '/ip') }), 1, "${round}ip_hash: one client, one server";
	for my $name (qw(key ring bound)) {
		my $where = join ' ', map { text(spread(3, "/$name?k=$_")) } 1 .. 20;

		unlike $where, qr/=[12]\b/, "${round}$name: the same key, the same server";
		within(spread(200, sub { "/$name?k=$_[0]" }), $all, 15, 90, "${round}$name: different keys, all servers");
		is text(spread(8, "/$name?k=")), 'a=2 b=2 c=2 d=2', "${round}$name: without a key" if $round eq '';
	}
	within(spread(200, '/random'), $all, 20, 90, "${round}random");
	within(spread(200, '/two'), $all, 20, 90, "${round}random two");
	within(spread(100, '/two_time'), $all, 0, 97, "${round}random two by time");
	my $time = spread(100, "/time/slow");
	cmp_ok $time->{a} // 0, '<', 20, "${round}least_time spares the slow one: " . text($time);
	$time = spread(100, "/time_last/slow");
	cmp_ok $time->{a} // 0, '<', 20, "${round}last_byte, too: " . text($time);
	$time = spread(100, "/time_many");
	cmp_ok eval { my $n = 0; $n += $_ for values %$time; $n }, '==', 100, "${round}least_time of many: " . text($time);
	last if $round ne '';
	$lbd->configure(site('# as before'));
	is $lbd->reload, 1, 'a reload';
}

# --- requests that stay ---

sub hold {
	my ($n, $target) = @_;
	my $before = () = map { $_->notes } @server;
	my @held;

	for my $i (1 .. $n) {
		push @held, Lbd::Client->new($port);
		$held[-1]->send('GET ' . (ref $target ? $target->($i) : $target) . " HTTP/1.1\r\nHost: a\r\n\r\n");
		wait_for(sub { (() = map { $_->notes } @server) >= $before + $i }) or BAIL_OUT("$target is not held");
	}
	return @held;
}

sub release {
	my %count;

	spew($gate, '');
	$count{ $_->response->{body} }++ for @_;
	unlink $gate;
	return \%count;
}

is text(release(hold(12, '/least/hold'))), 'a=3 b=3 c=3 d=3', 'least_conn levels, over all workers';
within(release(hold(32, '/least_many/hold')), $all, 2, 14, 'also among many, all over them');
within(release(hold(12, '/two/hold')), $all, 1, 5, 'random two is nearly level');
within(release(hold(12, '/bound/hold?k=1')), $all, 0, 5, 'bound= spills a hot key over');
is scalar(keys %{ release(hold(5, '/ring/hold?k=1')) }), 1, 'without it, it stays';

# least_conn goes where others are not
my @held = hold(4, '/least/hold');
is text(spread(20, '/least')), 'a=5 b=5 c=5 d=5', 'with one held each';
release(@held);

# a reload in the middle: what the old workers have counts
@held = hold(2, '/full/hold');
is $lbd->reload, 1, 'a reload while requests are held';
push @held, hold(1, '/full/hold');
is text(spread(3, '/full')), '503=3', 'all is full, for the next generation, too';
is text(release(@held)), 'a=2 b=1', 'as many as there may be';
ok wait_for(sub { http_get($port, '/full')->{status} == 200 }), 'and then there is room again';

# workers are killed with requests open: the counts are true again
@held = hold(3, '/full/hold');
is http_get($port, '/full')->{status}, 503, 'full';
my %before = map { $_ => 1 } $lbd->workers;
$lbd->signal('KILL', $_) for keys %before;
ok wait_for(sub { my $s = connect_to($port); $s && 3 == grep { !$before{$_} } $lbd->workers }), 'other workers';
spew($gate, '');
ok wait_for(sub { http_get($port, '/full')->{status} == 200 }), 'what the dead had is taken back';
unlink $gate;
@held = hold(3, '/full/hold');
is http_get($port, '/full')->{status}, 503, 'all of it, and no more';
is text(release(@held)), 'a=2 b=1', 'as before';
is text(spread(80, '/least')), 'a=20 b=20 c=20 d=20', 'least_conn is level again';
within(spread(64, '/least_many'), $all, 14, 18, 'of many, too');
$lbd->stop;
done_testing();
