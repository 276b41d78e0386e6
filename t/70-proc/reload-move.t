#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Connections go on in the next generation: kept-alive ones through many reloads, with requests in flight, in
# pieces and pipelined, hundreds of idle ones; and those that cannot go on are not lost.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use Lbd;
use Lbd::Control;
use POSIX ();
use Test::More;

my $gates = File::Temp::tempdir(CLEANUP => 1);
my $origin = http_backend(sub {
	my ($q, $n, $b) = @_;

	$b->note("asked $q->{target}");
	# answers when a file of that name is there
	wait_for(sub { -e "$gates/$1" }) if $q->{target} =~ m{/held/(\w+)};
	return [200, [], 'b' x 6_000_000] if $q->{target} =~ m{^/big};
	return [200, [], "origin $q->{target}"];
});

sub site {
	my ($name, %o) = @_;

	return <<"EOT";
worker_processes @{[ $o{workers} // 1 ]};
@{[ $o{main} // '' ]}
events { %%USE%% @{[ $o{events} // '' ]} }
http {
	keepalive_min_timeout @{[ $o{min} // '30s' ]};
	keepalive_requests 100000;
	client_header_timeout @{[ $o{header} // '60s' ]};
	server {
		listen 127.0.0.1:%%PORT_0%%;
		@{[ $o{listen} // '' ]}
		location / { return 200 "$name \$connection \$connection_requests \$pid \$request_uri"; }
		location /big/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /held/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; proxy_read_timeout 60s; }
	}
}
EOT
}

sub ask { return $_[0]->send("GET $_[1] HTTP/1.1\r\nHost: a\r\n\r\n") }

# The next answer as (name, connection, requests, pid, uri), '' for one that says that it is the last.
sub answer {
	my $r = $_[0]->response;

	return ('') if $r->{status} != 200 || defined header($r, 'Connection');
	return split / /, $r->{body};
}

sub asked {
	ask(@_);
	return answer($_[0]);
}

# What the workers that serve say of themselves, added up.
sub counted {
	my ($lbd, $what) = @_;
	my $n = 0;

	$n += $_->{$what} // 0 for grep { $_->{state} eq 'serving' } @{ control_ask($lbd, { verb => 'status' })->{workers} };
	return $n;
}

subtest 'what comes after a reload' => sub {
	my $lbd = Lbd->new(conf => site('before'));
	my @c = map { Lbd::Client->new($lbd->port) } 1 .. 12;
	my ($worker) = $lbd->workers;

	asked($_, '/a') for @c;
	# it is to find the reload and the requests at once; epoll tells first of whom it has told last
	asked(my $last = Lbd::Client->new($lbd->port), '/a');
	$lbd->signal('STOP', $worker);
	ok(wait_for(sub { (slurp("/proc/$worker/stat") // '') =~ /^\d+ \(.*\) T /s }), 'the worker is stopped');
	$lbd->configure(site('after'));
	is($lbd->reload, 1, 'a reload, for which it is not waited');
	ask($_, '/b') for @c;
	$lbd->signal('CONT', $worker);
	my %by;
	$by{ (answer($_))[0] }++ for @c;
	is_deeply(\%by, { after => 12 }, 'all of them are served by the next generation');
	ok(wait_for(sub { !is_alive($worker) }), 'and the worker has nothing to wait for');
	$lbd->stop;
};

subtest 'one connection, many generations' => sub {
	my $lbd = Lbd->new(conf => site('g0'));
	my $c = Lbd::Client->new($lbd->port);
	my $silent = Lbd::Client->new($lbd->port);
	my ($name, $number, $requests, $pid) = asked($c, '/a');
	my $expected = 1;
	my %pids = ($pid => 1);

	is($requests, 1, 'the first request');
	for my $g (1 .. 6) {
		$lbd->configure(site("g$g", workers => (1, 3, 2, 4, 1, 2)[$g - 1]));
		is($lbd->reload, 1, "reload $g") or last;
		for my $k (1 .. 1 + $g % 3) {
			my @a = asked($c, "/$g/$k");

			is_deeply([@a[0, 1, 2, 4]], ["g$g", $number, ++$expected, "/$g/$k"],
				'the same connection, the new configuration');
			$pids{$a[3]} = 1;
		}
	}
	is(scalar(keys %pids), 7, 'a worker of each generation');
	my @a = asked($silent, '/first');
	is_deeply([@a[0, 2]], ['g6', 1], 'one that had not asked anything');
	isnt($a[1], $number, 'with a number of its own');
	ok(wait_for(sub { $lbd->is_drained }), 'no older generation is left');
	is(counted($lbd, 'moved_in'), 2, 'two came');
	is(counted($lbd, 'accepted'), 0, 'and were not accepted there');
	ok(wait_for(sub { counted($lbd, 'connections') == 2 }), 'two are open');
	$lbd->signal('QUIT');
	ok($_->is_ended && !$_->{error}, 'without a next generation they are closed') for $c, $silent;
	is($lbd->wait_exit, 0, 'it ends');
	$lbd->stop;
};

subtest 'requests in flight, pipelined, in pieces' => sub {
	my $lbd = Lbd->new(conf => site('old'));
	my ($held, $two, $piece, $both) = map { Lbd::Client->new($lbd->port) } 1 .. 4;
	my @first = map { [asked($_, '/x')] } $held, $two, $piece, $both;

	ask($held, '/held/a');
	$two->send("GET /held/b HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\nGET /thi");
	$both->send("GET /held/c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	$piece->send("GET /piece HTTP/1.1\r\nHo");
	ok(wait_for(sub { $origin->notes == 3 }), 'requests in flight');
	$lbd->configure(site('middle'));
	is($lbd->reload, 1, 'a reload');
	$lbd->configure(site('new'));
	is($lbd->reload, 1, 'and another one meanwhile');
	$piece->send("st: a\r\n\r\n");
	is_deeply([(answer($piece))[0 .. 2]], ['new', $first[2][1], 2], 'a head in two pieces');
	spew("$gates/$_", '') for qw(a b c);
	my $r = $held->response;
	is($r->{body}, 'origin /held/a', 'an answer that was under way');
	is(header($r, 'Connection'), undef, 'is not the last');
	is_deeply([(asked($held, '/y'))[0 .. 2]], ['new', $first[0][1], 3], 'it goes on in the newest generation');
	is($two->response->{body}, 'origin /held/b', 'the first of two');
	is_deeply([(answer($two))[0 .. 2, 4]], ['new', $first[1][1], 3, '/next'],
		'the second, which had come before the reload, is answered by the newest');
	$two->send("rd HTTP/1.1\r\nHost: a\r\n\r\n");
	is_deeply([(answer($two))[0 .. 2, 4]], ['new', $first[1][1], 4, '/third'], 'and the third, of which it had a piece');
	is($both->response->{body}, 'origin /held/c', 'one that wanted it');
	ok($both->is_ended, 'is closed');
	ok(wait_for(sub { $lbd->is_drained }), 'no older generation is left');
	$lbd->stop;
};

subtest 'long answers' => sub {
	my $lbd = Lbd->new(conf => site('old'));
	my @c = map { Lbd::Client->new($lbd->port) } 1 .. 4;

	for my $c (@c) {
		ask($c, '/big/x');
		ok($c->until(sub { length $c->{buf} > 1000 }), 'an answer has begun');
	}
	$c[3]->send("GET /after HTTP/1.1\r\nHost: a\r\n\r\n");
	$lbd->configure(site('new'));
	is($lbd->reload, 1, 'a reload');
	ok(!$lbd->is_drained, 'they have their worker');
	is(length $_->response->{body}, 6_000_000, 'all of it') for @c;
	is_deeply([(answer($c[3]))[0, 2]], ['new', 2], 'the next request, which was there already');
	ok(wait_for(sub { $lbd->is_drained }), 'the connections go on without having asked');
	is((asked($_, '/y'))[0], 'new', 'and can ask') for @c;
	$lbd->stop;
};

subtest 'who does not read' => sub {
	my $much = 'm' x 30_000;
	my $lbd = Lbd->new(conf => site("old$much"));
	my @slow = map { Lbd::Client->new($lbd->port) } 1 .. 80;
	my $idle = Lbd::Client->new($lbd->port);

	$_->send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n" x 300) for @slow;
	asked($idle, '/x');
	$lbd->configure(site("new$much"));
	is($lbd->reload, 1, 'a reload');
	# where the way is full it is asked once more
	ok(wait_for(sub { (asked($idle, '/y'))[0] eq "new$much" }), 'holds up nobody else');
	for my $c (@slow[0, 79]) {
		my @a = map { [answer($c)] } 1 .. 300;
		my $names = join '', map { $_->[0] eq "old$much" ? 'o' : $_->[0] eq "new$much" ? 'n' : '-' } @a;

		like($names, qr/^o+n*$/, 'answers come from one, then from the other');
		is_deeply([map { $_->[2] } @a], [1 .. 300], 'all of them, once, in order');
	}
	$_->close for @slow;
	ok(wait_for(sub { $lbd->is_drained }), 'no older generation is left');
	$lbd->stop;
};

subtest 'a head that never comes' => sub {
	my $lbd = Lbd->new(conf => site('old', header => '2s'));
	my ($begun, $silent) = map { Lbd::Client->new($lbd->port) } 1 .. 2;

	$begun->send("GET / HTTP/1.1\r\n");
	for (1 .. 3) {
		is($lbd->reload, 1, 'a reload');
	}
	is($begun->response->{status}, 408, 'what has begun is timed out');
	ok($silent->is_ended, 'what has not is closed');
	$lbd->stop;
};

subtest 'other addresses' => sub {
	my $listen = "listen unix:$gates/sock; listen [::1]:%%PORT_1%%;";
	my $lbd = Lbd->new(conf => site('old', listen => $listen));
	my @c = map { Lbd::Client->new($_) } "unix:$gates/sock", '[::1]:' . $lbd->port(1);
	my @number = map { (asked($_, '/x'))[1] } @c;

	$lbd->configure(site('new', listen => $listen));
	is($lbd->reload, 1, 'a reload');
	is_deeply([(asked($c[$_], '/y'))[0 .. 2]], ['new', $number[$_], 2], 'goes on') for 0, 1;
	$lbd->configure(site('newer', listen => $listen =~ s/unix:\S+ listen //r));
	is($lbd->reload, 1, 'a reload without the one');
	ask($c[0], '/z');
	my $r = $c[0]->response;
	is(($r->{body} =~ /^(\w+) /)[0], 'new', 'whose connection stays behind');
	is(header($r, 'Connection'), 'close', 'for a last request');
	is((asked($c[1], '/z'))[0], 'newer', 'the other goes on');
	ok(wait_for(sub { $lbd->is_drained }), 'no older generation is left');
	$lbd->stop;
};

subtest 'many idle connections' => sub {
	my $lbd = Lbd->new(conf => site('old', workers => 2));
	my @c = map { Lbd::Client->new($lbd->port) } 1 .. 500;
	my %number;

	ask($_, '/x') for @c;
	$number{(answer($_))[1]}++ for @c;
	is(scalar(keys %number), 500, 'each has its number');
	my @fds = map { scalar(() = glob "/proc/$_/fd/*") } $lbd->pid;
	for my $round (1 .. 3) {
		$lbd->configure(site("round$round", workers => 2 + $round % 2));
		is($lbd->reload, 1, 'a reload');
		ok(wait_for(sub { $lbd->is_drained }), 'nothing is left behind');
		ok(wait_for(sub { counted($lbd, 'moved_in') == 500 }), 'all came');
		ask($_, '/x') for @c;
		is(scalar(grep { (answer($_))[0] eq "round$round" } @c), 500, 'all are answered');
	}
	ok(wait_for(sub { scalar(() = glob "/proc/@{[ $lbd->pid ]}/fd/*") <= $fds[0] + 2 }),
		'the master has no more descriptors than for a worker more') or diag("$fds[0]: " . join "\n", map { readlink // '' } glob "/proc/@{[ $lbd->pid ]}/fd/*");
	my ($worker) = $lbd->workers;
	my $open = scalar(() = glob "/proc/$worker/fd/*");
	$_->close for @c;
	is(http_get($lbd->port, '/')->{status}, 200, 'it serves');
	ok(wait_for(sub { counted($lbd, 'connections') == 0 }), 'they are gone');
	$lbd->stop;
};

# A client process: requests on one connection as fast as it can, some of them two at once, some in two
# pieces; ends when a file is there.
sub talker {
	my ($port, $id, $stop) = @_;
	my $child = fork // die "fork: $!";

	return $child if $child;
	my $c = Lbd::Client->new($port);
	my ($number, $done, $bad) = (undef, 0, '');
	while (!-e $stop && $bad eq '') {
		my $n = 1 + $done % 3;
		my @uri = map { "/$id/" . ($done + $_) } 1 .. $n;
		my $bytes = join '', map { "GET $_ HTTP/1.1\r\nHost: a\r\n\r\n" } @uri;
		my $cut = $done * 7 % length $bytes;

		$c->send(substr $bytes, 0, $cut);
		select undef, undef, undef, 0.0005 if $done % 5 == 0;
		$c->send(substr $bytes, $cut);
		for my $uri (@uri) {
			my @a = answer($c);

			$number //= $a[1];
			$bad = "request $done: (@a) for $uri" if ($a[4] // '') ne $uri || $a[1] != $number || $a[2] != ++$done;
			last if $bad ne '';
		}
	}
	spew("$stop-$id", "$done $bad");
	POSIX::_exit(0);
}

subtest 'bytes that come while it moves' => sub {
	my $lbd = Lbd->new(conf => site('g0', workers => 2));
	my $stop = "$gates/stop";
	my @talkers = map { talker($lbd->port, $_, $stop) } 1 .. 4;
	my $done = 0;

	for my $g (1 .. 20) {
		$lbd->configure(site("g$g", workers => 1 + $g % 3));
		$done += $lbd->reload // 0;
	}
	is($done, 20, '20 reloads');
	spew($stop, '');
	waitpid $_, 0 for @talkers;
	like(slurp("$stop-$_"), qr/^\d+ $/, "connection $_ was never closed and got every answer once") for 1 .. 4;
	ok(wait_for(sub { $lbd->is_drained }), 'nothing is left behind');
	$lbd->stop;
};

my $room = 0;
for ([connections => events => 'worker_connections 24;'], [descriptors => main => 'worker_rlimit_nofile 48;']) {
	my ($what, @small) = @$_;
	subtest "no room: $what" => sub {
		my $lbd = Lbd->new(conf => site('old'));
		my @held = map { Lbd::Client->new($lbd->port) } 1 .. 10;
		my @idle = map { Lbd::Client->new($lbd->port) } 1 .. 200;
		my $gate = 'room' . ++$room;

		asked($_, '/x') for @idle;
		$lbd->configure(site('small', @small, min => '1s'));
		ask($_, "/held/$gate") for @held;
		is($lbd->reload, 1, 'a reload');
		ok(wait_for(sub { counted($lbd, 'moved_in') > 10 }), 'some come');
		# those that are idle for long give way to others, as for new connections
		my %end = (answered => 0, closed => 0);
		for my $c (@idle) {
			ask($c, '/y');
			my $r = $c->response;
			$end{$r->{status} == 200 ? 'answered' : $c->{ended} ? 'closed' : 'in vain'}++;
			$c->close;
		}
		is($end{answered} + $end{closed}, 200, "everybody is heard: $end{answered} answered, $end{closed} closed");
		cmp_ok($end{answered}, '>', 10, 'some get an answer');
		spew("$gates/$gate", '');
		is($_->response->{body}, "origin /held/$gate", 'what was in flight is answered') for @held;
		$_->close for @held;
		ok(wait_for(sub { $lbd->is_drained }), 'the older generation ends');
		$lbd->stop;
	};
}

subtest 'a worker of the next generation dies' => sub {
	my $lbd = Lbd->new(conf => site('old'), allow => [qr/exited on signal 9/]);
	my ($idle, $held) = map { Lbd::Client->new($lbd->port) } 1 .. 2;
	my $number = (asked($held, '/x'))[1];

	asked($idle, '/x');
	ask($held, '/held/dies');
	ok(wait_for(sub { grep { /dies/ } $origin->notes }), 'a request in flight');
	$lbd->configure(site('new'));
	is($lbd->reload, 1, 'a reload');
	my @a = asked($idle, '/y');
	is($a[0], 'new', 'a connection that has moved');
	$lbd->signal('KILL', $a[3]);
	ok($idle->is_ended, 'ends with its worker');
	ok(wait_for(sub { http_get($lbd->port, '/')->{status} == 200 }), 'another one is started');
	spew("$gates/dies", '');
	is($held->response->{body}, 'origin /held/dies', 'the request is answered');
	is_deeply([(asked($held, '/z'))[0 .. 2]], ['new', $number, 3], 'and its connection goes on in that worker');
	ok(wait_for(sub { $lbd->is_drained }), 'the older generation ends');
	is($lbd->reload, 1, 'a reload');
	is((asked($held, '/z'))[2], 4, 'goes on');
	$lbd->stop;
};

subtest 'a worker dies before it takes what was sent' => sub {
	my $lbd = Lbd->new(conf => site('old'), allow => [qr/exited on signal 9/]);
	my $c = Lbd::Client->new($lbd->port);
	my ($name, $number, $requests, $old) = asked($c, '/x');

	ask($c, '/held/queue');
	ok(wait_for(sub { grep { /queue/ } $origin->notes }), 'a request in flight');
	$lbd->configure(site('new'));
	is($lbd->reload, 1, 'a reload');
	my ($new) = grep { $_ != $old } $lbd->workers;
	$lbd->signal('STOP', $new);
	spew("$gates/queue", '');
	is($c->response->{body}, 'origin /held/queue', 'it is answered');
	ok(wait_for(sub { !is_alive($old) }), 'its worker has nothing left');
	ask($c, '/y');
	$lbd->signal('KILL', $new);
	my @a = answer($c);
	is_deeply([@a[0 .. 2]], ['new', $number, 3], 'the next request is answered by another');
	isnt($a[3], $new, 'worker, started again');
	$lbd->stop;
};

subtest 'a reload that fails' => sub {
	my $lbd = Lbd->new(conf => site('old'), allow => [qr/reload/]);
	my $c = Lbd::Client->new($lbd->port);
	my @a = asked($c, '/x');

	$lbd->configure(site('bad') . "nonsense;\n");
	is($lbd->reload, 0, 'a reload that fails');
	is_deeply([asked($c, '/y')], [@a[0, 1], 2, $a[3], '/y'], 'moves nothing');
	$lbd->configure(site('new'));
	is($lbd->reload, 1, 'one that does not');
	is_deeply([(asked($c, '/z'))[0 .. 2]], ['new', $a[1], 3], 'does');
	$lbd->stop;
};

done_testing;
