#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Another lbd takes over from the one that runs, again and again: with other files, more and fewer workers
# and listeners, the other engine.  Nobody is refused or reset, what is known of servers goes on, and what
# was taken over ends by itself.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use IO::Socket::UNIX ();
use Lbd;
use Lbd::Control;
use Lbd::Takeover;
use POSIX ();
use Socket ();
use Test::More;
use Time::HiRes qw(sleep);

my $dir = File::Temp::tempdir(CLEANUP => 1);
my $stop = "$dir/stop";
my $gate = "$dir/open";
my $server = http_backend(sub {
	my ($q, $n, $b) = @_;

	$b->note("asked $q->{target}");
	wait_for(sub { -e $gate }, 60) if $q->{target} eq '/slow';
	return [200, [], "origin $q->{target}"];
});

sub site {
	my ($name, %o) = @_;

	return <<"EOT";
@{[ $o{main} // '' ]}
http {
	keepalive_min_timeout 20s;
	keepalive_requests 1000000;
	upstream one { server @{[ $server->address ]} max_conns=1; }
	upstream many { server @{[ $server->address ]}; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		@{[ $o{listen} // '' ]}
		location / { return 200 "\$request_uri $name \$pid"; }
		location /proxy/ { proxy_pass http://many; }
		location /slow { proxy_pass http://one; }
		location /one { proxy_pass http://one; }
	}
}
EOT
}

my $other = ($ENV{LBD_TEST_ENGINE} // '') eq 'epoll' ? 'epoll' : 'io_uring';
sub engine { return $_[0]->{engine} = $_[1] }

# A client process: asks until the file is there, and writes what went wrong.
sub client {
	my ($port, $id, $keep, $prefix) = @_;
	my $child = fork // die "fork: $!";

	return $child if $child;
	my ($done, $c, @bad) = (0, undef);
	until (-e $stop) {
		my $uri = "$prefix$id-" . ++$done;

		$c //= Lbd::Client->new($port);
		if (!$c) {
			push @bad, "connect: $!";
			last;
		}
		$c->send("GET $uri HTTP/1.1\r\nHost: a\r\n" . ($keep ? '' : "Connection: close\r\n") . "\r\n");
		my $r = $c->response;
		if ($r->{status} != 200 || $r->{body} !~ /\Q$uri\E\b/) {
			push @bad, "request $done: $r->{status} \"$r->{body}\" " . ($c->{error} // '');
			last;
		}
		if ($keep && defined header($r, 'Connection')) {
			push @bad, "request $done: the connection is to be closed";
			last;
		}
		undef $c if !$keep;
		sleep 0.001;
	}
	spew("$dir/client-$id", join "\n", $done, @bad);
	POSIX::_exit(0);
}

sub name_of { return (split / /, http_get($_[0]->port, '/')->{body} // '')[1] // '' }

subtest 'a chain under load' => sub {
	my $lbd = Lbd->new(conf => site('first', listen => 'listen unix:%%DIR%%/kept.sock; listen 127.0.0.1:%%PORT_1%%; '
		. 'listen unix:%%DIR%%/gone.sock;'));
	my $kept = $lbd->dir . '/kept.sock';
	my $engine = $lbd->{engine};
	my @clients = map { client($lbd->port, $_, $_ % 2, $_ % 3 ? '/' : '/proxy/') } 1 .. 6;
	my @workers = (3, 1, 4, 2);
	my ($first, $r);

	$lbd->configure(site('second', main => 'worker_processes 3;', listen => 'listen unix:%%DIR%%/kept.sock; listen 127.0.0.1:%%PORT_2%%;'));
	my $old = take_over($lbd);
	is(slurp($lbd->pid_path), $lbd->pid . "\n", 'the pid file names the new one');
	is(http_get($lbd->port(2), '/')->{status}, 200, 'a listener that is new');
	is(ended($old), 0, 'the old one ends');
	ok(!defined Lbd::Client->new($lbd->port(1)), 'a listener that is not there any more');
	ok(!-e $lbd->dir . '/gone.sock', 'nor its file');
	ok(-S $kept, 'the other file is left');
	is(name_of($lbd), 'second', 'it is the new one that answers');
	$r = control_ask($lbd, { verb => 'status' });
	is("$r->{pid} $r->{generation} $r->{state}", $lbd->pid . ' 2 running', 'over the control socket, too');
	is($r->{taken_over}{from}, $old, 'which knows where it came from');
	like(($lbd->run('-s', 'status'))[1], qr/^taken over from process $old \d+s ago$/m, 'and says so');

	for my $n (1 .. 4) {
		engine($lbd, $engine eq '' ? '' : $n % 2 ? 'epoll' : $engine);
		$lbd->configure(site("turn$n", main => "worker_processes $workers[$n % 4];", listen => 'listen unix:%%DIR%%/kept.sock;'));
		$old = take_over($lbd);
		is(name_of($lbd), "turn$n", "takeover $n: another file");
		is(scalar($lbd->workers), $workers[$n % 4], 'other workers');
		is(ended($old), 0, 'the one before ends');
		my $c = IO::Socket::UNIX->new(Peer => $kept);
		ok($c, 'the UNIX socket answers');
	}
	# from here on it is all the same, but for the process
	my $fds;
	for my $n (1 .. 4) {
		my $before = take_over($lbd);

		is(ended($before), 0, 'once more');
		ok($lbd->wait_log(qr/takeover: process $before has ended/), 'the end is noticed');
		ok(wait_for(sub { control_ask($lbd, { verb => 'status' })->{state} eq 'running' }), 'it runs');
		$fds //= fds_of($lbd->pid);
	}
	ok(wait_for(sub { fds_of($lbd->pid) <= $fds }), 'no descriptor is left over');
	is($lbd->reload, 1, 'a reload of the last one');
	is($lbd->generation, 11, 'is one generation more');
	spew($stop, '');
	my $requests = 0;
	for my $id (1 .. 6) {
		waitpid $clients[$id - 1], 0;
		my ($n, @bad) = split /\n/, slurp("$dir/client-$id") // 'nothing';

		$requests += $n;
		is("@bad", '', "client $id: no request failed");
	}
	cmp_ok($requests, '>', 100, "$requests requests");
	$lbd->stop('QUIT');
	ok(!-e $kept, 'the last one removes the file');
	unlink $stop;
};

subtest 'what is known of servers' => sub {
	my $lbd = Lbd->new(conf => site('first'), allow => [qr/exited on signal 9\b/]);
	my $port = $lbd->port;
	my $slow = Lbd::Client->new($port);

	$slow->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
	ok(wait_for(sub { grep { m{/slow} } $server->notes }), 'the only connection there may be');
	my @before = $lbd->workers;
	my $a = take_over($lbd);
	is(http_get($port, '/one')->{status}, 503, 'the new one counts what the old one has');
	like(($lbd->run('-s', 'status'))[1], qr/^generation 2, running/, 'and is asked instead of it');
	ok(is_alive($a), 'which is still there');
	my $b = take_over($lbd);
	is(http_get($port, '/one')->{status}, 503, 'the third, too');
	is($lbd->reload, 1, 'a reload');
	is(http_get($port, '/one')->{status}, 503, 'does not forget it');
	is(http_get($port, '/')->{status}, 200, 'with processes of its own') for 1 .. 5;
	is(ended($b), 0, 'the second one has nothing to wait for');
	spew($gate, '');
	is($slow->response->{body}, 'origin /slow', 'the request of the first is finished');
	is(ended($a), 0, 'and the first ends');
	ok(wait_for(sub { http_get($port, '/one')->{status} == 200 }), 'its share is free');
	unlink $gate;

	# the same, killed
	my $seen = grep { m{/slow} } $server->notes;
	for (1 .. 20) {
		# the answer before may still be counted when it is here
		$slow = Lbd::Client->new($port);
		$slow->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
		last if wait_for(sub { $seen < grep({ m{/slow} } $server->notes) || $slow->fill(0.01) }) && $seen < grep { m{/slow} } $server->notes;
	}
	is(http_get($port, '/one')->{status}, 503, 'one is in flight');
	@before = $lbd->workers;
	$a = take_over($lbd);
	kill 'KILL', $a;
	is(ended($a), -9, 'the master that was taken over from is killed');
	is(http_get($port, '/one')->{status}, 503, 'its worker goes on');
	kill 'KILL', @before;
	ok(wait_for(sub { http_get($port, '/one')->{status} == 200 }), 'its worker is killed: its share is taken back');
	spew($gate, '');
	$lbd->stop;
	unlink $gate;
};

subtest 'connections' => sub {
	my $conf = sub {
		my ($name, $workers) = @_;

		return <<"EOT";
worker_processes $workers;
http {
	keepalive_min_timeout 30s;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "$name \$connection \$connection_requests \$request_uri"; }
		location /slow { proxy_pass http://@{[ $server->address ]}; proxy_read_timeout 60s; }
	}
}
EOT
	};
	my $lbd = Lbd->new(conf => $conf->('first', 2));
	my ($c, $busy, $late, @idle) = map { Lbd::Client->new($lbd->port) } 1 .. 43;
	my $asked = sub {
		my ($client, $uri) = @_;

		$client->send("GET $uri HTTP/1.1\r\nHost: a\r\n\r\n");
		my $r = $client->response;
		return $r->{status} != 200 || defined header($r, 'Connection') ? '' : split / /, $r->{body};
	};
	my (%number, $old, @old);
	my $seen = grep { m{/slow} } $server->notes;

	$number{$_} = ($asked->($_, '/1'))[1] for $c, $busy, @idle;
	$busy->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
	ok(wait_for(sub { $seen < grep { m{/slow} } $server->notes }), 'a request is in flight');
	for my $n (2 .. 5) {
		$lbd->configure($conf->("turn$n", $n % 3 + 1));
		push @old, take_over($lbd);
		is_deeply([$asked->($c, "/$n")], ["turn$n", $number{$c}, $n, "/$n"],
			"takeover $n: the same connection, the new configuration");
	}
	ok(wait_for(sub { 1 == grep { is_alive($_) } @old }), 'only the one with the request is left');
	rename $lbd->log_path, $lbd->log_path . '.1';
	$lbd->signal('USR1');
	my ($still) = grep { is_alive($_) } @old;
	ok(wait_for(sub { grep { (readlink // '') eq $lbd->log_path } glob "/proc/$still/fd/*" }), 'its log is opened anew, too');
	is($lbd->reload, 1, 'a reload');
	is(($asked->($late, '/late'))[2], 1, 'one that had not asked yet');
	spew($gate, '');
	is($busy->response->{body}, 'origin /slow', 'the request is finished');
	is_deeply([($asked->($busy, '/after'))[0 .. 2]], ['turn5', $number{$busy}, 3], 'and its connection goes on where the others are');
	is(scalar(grep { (($asked->($_, '/2'))[1] // '') eq $number{$_} } @idle), 40, 'as did those that were idle');
	is(join(' ', map { ended($_) } @old), '0 0 0 0', 'then all have ended');
	my %new = map { ($asked->(Lbd::Client->new($lbd->port), '/'))[1] => 1 } 1 .. 20;
	is(scalar(grep { $new{$_} } values %number), 0, 'no number is given twice');
	$lbd->stop('QUIT');
	unlink $gate;
};

subtest 'many sockets' => sub {
	my $n = 300;
	my $lbd = Lbd->new(conf => site('first', listen => join ' ', map { "listen 127.0.0.1:%%PORT_$_%%;" } 1 .. $n));

	# two sockets each: more than one message of the kernel takes
	my $old = take_over($lbd);
	is(ended($old), 0, "$n listeners are taken over");
	is(scalar(grep { (http_get($lbd->port($_), '/')->{status} // 0) == 200 } 0 .. $n), $n + 1, 'each answers');
	$lbd->configure(site('few'));
	$old = take_over($lbd);
	is(ended($old), 0, 'and given up');
	is(scalar(grep { defined Lbd::Client->new($lbd->port($_)) } 1 .. $n), 0, 'all of them');
	is(name_of($lbd), 'few', 'one is left');
	$lbd->stop;
};

subtest 'in the background' => sub {
	my $lbd = Lbd->new(conf => site('first', main => "daemon on;\n"), start => 0);

	is(($lbd->run)[0], 0, 'one in the background');
	my $a = slurp($lbd->pid_path) + 0;
	my ($code, $out) = $lbd->run('--takeover');
	is("$code$out", '0', 'another takes over, and the command returns when it has');
	my $b = slurp($lbd->pid_path) + 0;
	isnt($b, $a, 'another process');
	ok(wait_for(sub { !is_alive($a) }), 'the first ends');
	is(http_get($lbd->port, '/')->{status}, 200, 'the second answers');
	is(control_ask($lbd, { verb => 'status' })->{pid}, $b, 'and is asked');
	is(($lbd->run('-s', 'quit'))[0], 0, 'and ends');
	ok(!-e $lbd->pid_path && !-e control_path($lbd), 'with its files');
	$lbd->check;
};

subtest 'other places' => sub {
	my $lbd = Lbd->new(conf => site('first'));
	my $from = control_path($lbd);

	$lbd->configure(site('second', main => "control unix:%%DIR%%/logs/other.sock;\npid logs/other.pid;"));
	my $old = take_over($lbd, "--takeover=$from");
	is(ended($old), 0, 'from a socket that is named');
	ok(!-e $from, 'the old control socket is gone');
	ok(!-e $lbd->pid_path, 'the old pid file, too');
	is(slurp($lbd->dir . '/logs/other.pid'), $lbd->pid . "\n", 'the new one is there');
	like(($lbd->run('-s', 'status'))[1], qr/^generation 2, running/, 'as is the new control socket');
	$lbd->configure(site('third', main => "control off;\npid logs/other.pid;"));
	$old = take_over($lbd, '--takeover=unix:' . $lbd->dir . '/logs/other.sock');
	is(ended($old), 0, 'by one without a control socket');
	ok(!-e $lbd->dir . '/logs/other.sock', 'then there is none');
	is(name_of($lbd), 'third', 'it serves');
	my ($code, $out) = taker_code($lbd);
	is($code, 1, 'nobody takes over from that');
	like($out, qr/^lbd: could not take over: the configuration has "control off"; name the socket .*; not started$/m, 'and is told why');
	$lbd->stop;
};

subtest 'a service manager' => sub {
	my $path = "$dir/notify";
	my $manager = IO::Socket::UNIX->new(Type => Socket::SOCK_DGRAM(), Local => $path) // die "$path: $!";
	my $lbd = Lbd->new(conf => site('first'), env => { NOTIFY_SOCKET => $path });
	my $said = '';
	my $old = $lbd->pid;

	# the new one knows of no manager
	$lbd->{env} = { NOTIFY_SOCKET => '' };
	take_over($lbd);
	is(ended($old), 0, 'the old one ends');
	$manager->blocking(0);
	while (defined recv $manager, my $text, 4096, 0) {
		$said .= $text;
	}
	my $new = $lbd->pid;
	like($said, qr/^READY=1\nMAINPID=$old\n/, 'it was ready');
	like($said, qr/^MAINPID=$new$/m, 'and told who goes on');
	unlike($said, qr/STOPPING/, 'so the service goes on');
	$lbd->stop;
};

# Each is process 1 of a namespace of its own, as in containers that share a folder.
subtest 'containers' => sub {
	my @unshare = ('unshare', '--pid', '--fork', '--kill-child', '--mount-proc');

	plan(skip_all => 'not root, or no unshare') if !is_root() || !has_program('unshare') || system("@unshare true 2>/dev/null") != 0;
	my $lbd = Lbd->new(conf => site('first'), start => 0);
	my $container = sub {
		my $child = fork // die "fork: $!";

		return $child if $child;
		my $env = $lbd->environment;

		@ENV{ keys %$env } = values %$env;
		open STDOUT, '>>', $lbd->dir . '/output';
		open STDERR, '>&', \*STDOUT;
		exec @unshare, lbd_program(), $lbd->arguments, @_ or POSIX::_exit(127);
	};
	my $answers = sub { (http_get($lbd->port, '/') // {})->{body} // '' };

	$lbd->{pid} = my $first = $container->();
	ok(wait_for(sub { $answers->() =~ / first / }), 'the first container serves');
	my $slow = Lbd::Client->new($lbd->port);
	my $seen = grep { m{/slow} } $server->notes;
	$slow->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
	ok(wait_for(sub { $seen < grep { m{/slow} } $server->notes }), 'and has a request');
	$lbd->configure(site('second'));
	$lbd->{pid} = my $second = $container->('--takeover');
	ok($lbd->wait_log(qr/takeover: generation 2 is serving .* taken over from process 1$/m), 'the second takes over');
	like($answers->(), qr/ second /, 'and serves');
	is(http_get($lbd->port, '/one')->{status}, 503, 'and knows of the request');
	spew($gate, '');
	is($slow->response->{body}, 'origin /slow', 'which is finished');
	is(ended($first), 0, 'then the first container ends');
	ok(wait_for(sub { http_get($lbd->port, '/one')->{status} == 200 }), 'its share is free');
	is(slurp($lbd->pid_path), "1\n", 'the pid file is left');
	is(control_ask($lbd, { verb => 'status' })->{taken_over}{from}, 1, 'as is the control socket');
	is(($lbd->run('-s', 'reload'))[0], 0, 'which reloads it');
	is(($lbd->run('-s', 'quit'))[0], 0, 'and ends it');
	is(ended($second), 0, 'well');
	ok(!-e $lbd->pid_path && !-e control_path($lbd), 'with its files');
	$lbd->check;
	unlink $gate;
};

subtest 'side by side' => sub {
	my $port = free_port();
	my $conf = <<"EOT";
http {
	server {
		listen 127.0.0.1:$port reuseport;
		return 200 "%%DIR%%";
	}
}
EOT
	my @lbd = map { Lbd->new(conf => $conf) } 1, 2;
	my %by;

	$by{ http_get($port, '/')->{body} }++ for 1 .. 60;
	is(join(' ', sort keys %by), join(' ', sort map { $_->dir } @lbd), 'two that share an address: each answers');
	is($lbd[0]->stop('QUIT'), 0, 'one ends');
	%by = ();
	$by{ http_get($port, '/')->{body} }++ for 1 .. 20;
	is(join(' ', keys %by), $lbd[1]->dir, 'the other has it alone');
	$lbd[1]->stop;
};

done_testing;
