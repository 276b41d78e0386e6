#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What a service manager is told, over a socket of the test's own; process 1 of a pid namespace.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Fcntl ();
use IO::Select;
use IO::Socket::UNIX ();
use Lbd;
use Lbd::Control;
use Socket ();
use Test::More;

my $site = <<'EOT';
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		return 200 "$pid\n";
	}
}
EOT

# Somebody who always listens: the kernel keeps ten messages for one who does not, and the rest is lost.
sub manager {
	my ($path) = @_;
	my $socket = IO::Socket::UNIX->new(Type => Socket::SOCK_DGRAM(), Local => $path) // die "$path: $!";

	pipe my $read, my $write or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		close $read;
		while (defined recv $socket, my $text, 4096, 0) {
			syswrite $write, "$text\0" or last;
		}
		POSIX::_exit(0);
	}
	return bless { pid => $pid, owner => $$, read => $read, buf => '' }, 'Manager';
}

sub Manager::DESTROY {
	my ($self) = @_;

	return if $self->{owner} != $$;
	local ($?, $!);
	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, 0;
}

# The next message that is like this, undef when none comes in time.
sub told {
	my ($manager, $re, $seconds) = @_;
	my $found;

	wait_for(sub {
		sysread $manager->{read}, $manager->{buf}, 65536, length $manager->{buf}
			if IO::Select->new($manager->{read})->can_read(0);
		while ($manager->{buf} =~ s/^([^\0]*)\0//) {
			$found = $1;
			return 1 if $found =~ $re;
		}
		return 0;
	}, $seconds) or return undef;
	return $found;
}

for my $kind ('by path', 'abstract') {
	my $lbd = Lbd->new(conf => $site, start => 0);
	my $name = $kind eq 'abstract' ? "lbd-test-$$-notify" : $lbd->dir . '/notify';
	my $manager = manager($kind eq 'abstract' ? "\0$name" : $name);

	$lbd->{env} = { NOTIFY_SOCKET => ($kind eq 'abstract' ? '@' : '') . $name, WATCHDOG_USEC => 200_000 };
	$lbd->start;
	my $pid = $lbd->pid;
	like(told($manager, qr/READY=1/), qr/^READY=1\nMAINPID=$pid\nSTATUS=generation 1 is serving, 2 workers\n\z/,
		"$kind: it is ready");
	is(http_get($lbd->port, '/')->{status}, 200, 'when it serves');
	ok(defined told($manager, qr/^WATCHDOG=1\n\z/), 'signs of life') for 1 .. 2;

	is(($lbd->run('-s', 'reload'))[0], 0, 'a reload');
	like(told($manager, qr/RELOADING=1/), qr/^RELOADING=1\nMONOTONIC_USEC=\d+\nSTATUS=reloading\n\z/, 'begins');
	like(told($manager, qr/READY=1/), qr/^READY=1\nMAINPID=$pid\nSTATUS=generation 2 is serving, 2 workers\n\z/, 'and ends');
	ok(defined told($manager, qr/^WATCHDOG=1\n\z/), 'signs of life from the next image');

	my $good = slurp($lbd->conf_path);
	spew($lbd->conf_path, "http {\n");
	is(($lbd->run('-s', 'reload'))[0], 1, 'one that fails');
	ok(defined told($manager, qr/RELOADING=1/), 'begins');
	like(told($manager, qr/READY=1/), qr/^READY=1\nMAINPID=$pid\nSTATUS=generation 2 keeps serving, the last reload failed\n\z/,
		'and ends with what is');
	spew($lbd->conf_path, $good);
	$lbd->signal('QUIT');
	like(told($manager, qr/STOPPING=1/), qr/^STOPPING=1\n/, 'the end is told');
	is($lbd->wait_exit, 0, 'and comes');
	# the manager is gone, or does not read
	$lbd->start;
	undef $manager;
	unlink $name;
	is(http_get($lbd->port, '/')->{status}, 200, 'a manager that is gone does not hurt');
	is(($lbd->run('-s', 'reload'))[0], 0, 'nor at a reload');
	$lbd->stop;
}

# a watchdog of somebody else's, addresses that are none
my $lbd = Lbd->new(conf => $site, start => 0);
my $manager = manager($lbd->dir . '/notify');
$lbd->{env} = { NOTIFY_SOCKET => $lbd->dir . '/notify', WATCHDOG_USEC => 1000, WATCHDOG_PID => 1 };
$lbd->start;
ok(defined told($manager, qr/READY=1/), 'ready');
ok(!defined told($manager, qr/WATCHDOG/, 0.3), 'a watchdog that is not for us is left alone');
$lbd->stop;
for my $name ('relative/path', '@', '/' . 'x' x 108) {
	my $other = Lbd->new(conf => $site, env => { NOTIFY_SOCKET => $name });

	is(http_get($other->port, '/')->{status}, 200, 'NOTIFY_SOCKET=' . substr($name, 0, 20) . ' is no reason not to serve');
	$other->stop;
}

# one process
$lbd = Lbd->new(conf => "master_process off;\n$site", start => 0);
$manager = manager($lbd->dir . '/notify');
$lbd->{env} = { NOTIFY_SOCKET => $lbd->dir . '/notify' };
$lbd->start;
ok(defined told($manager, qr/READY=1/), 'master_process off: ready');
$lbd->stop;

# sockets that the manager made
sub activate {
	my ($lbd, @sockets) = @_;
	my %env = %{ $lbd->environment };
	my $pid = fork // die "fork: $!";

	unlink $lbd->pid_path;
	if ($pid == 0) {
		my @high = map { fcntl $_, Fcntl::F_DUPFD(), 100 } @sockets;

		open STDOUT, '>>', $lbd->dir . '/output';
		open STDERR, '>&', \*STDOUT;
		POSIX::dup2($high[$_], 3 + $_) for 0 .. $#high;
		@ENV{ keys %env } = values %env;
		@ENV{qw(LISTEN_FDS LISTEN_PID)} = (scalar @high, $lbd->{listen_pid} // $$);
		exec { lbd_program() } lbd_program(), $lbd->arguments or POSIX::_exit(127);
	}
	$lbd->{pid} = $pid;
	delete $lbd->{status};
	ok(wait_for(sub { $lbd->is_up && $lbd->is_complete || !$lbd->is_running }), 'started with sockets') or diag $lbd->output;
}

my $tcp = IO::Socket::INET->new(Listen => 100, LocalAddr => '127.0.0.1', ReuseAddr => 1) // die "listen: $!";
my $extra = IO::Socket::INET->new(Listen => 100, LocalAddr => '127.0.0.1', ReuseAddr => 1) // die "listen: $!";
my $udp = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') // die "udp: $!";
my $port = $tcp->sockport;
$lbd = Lbd->new(start => 0, conf => "http { server {\n"
	. "listen 127.0.0.1:$port; listen unix:%%DIR%%/a.sock; listen 127.0.0.1:%%PORT_0%%; return 200 \"\$pid\\n\"; } }\n");
my $path = $lbd->dir . '/a.sock';
my $unix = IO::Socket::UNIX->new(Type => Socket::SOCK_STREAM(), Local => $path, Listen => 100) // die "$path: $!";
my $early = Lbd::Client->new($port);
$early->send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
activate($lbd, $tcp, $unix, $extra, $udp);
is($early->response->{status}, 200, 'who came before the start is served');
is(http_get($_, '/')->{status}, 200, "$_ answers") for $port, "unix:$path", $lbd->port;
ok($lbd->wait_log(qr/no "listen" has the address of the socket 127\.0\.0\.1:@{[ $extra->sockport ]} of LISTEN_FDS; closed/),
	'a socket without a listen is named');
ok($lbd->wait_log(qr/descriptor 6 of LISTEN_FDS is no listening stream socket; closed/), 'and one that does not listen');
unlike(slurp('/proc/' . ($lbd->workers)[0] . '/environ') // '', qr/LISTEN_/, 'workers do not get the variables');
is(($lbd->run('-s', 'reload'))[0], 0, 'a reload');
is(http_get($_, '/')->{status}, 200, "$_ still answers") for $port, "unix:$path";
is(($lbd->run('-s', 'quit'))[0], 0, 'an end');
ok(-S $path, 'the file of the UNIX socket stays');
is($lbd->wait_exit, 0, 'well');
my $waiting = Lbd::Client->new("unix:$path");
ok(defined $waiting, 'and one may connect meanwhile');
$waiting->send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
activate($lbd, $tcp, $unix);
is($waiting->response->{status}, 200, 'to be served after the next start');
is(http_get($port, '/')->{status}, 200, 'TCP likewise');
$lbd->signal('TERM');
$lbd->wait_exit;
# for somebody else
$lbd->{listen_pid} = 1;
close $tcp;
close $unix;
activate($lbd, $extra);
is(http_get("unix:$path", '/')->{status}, 200, 'sockets for another process are left alone');
unlike($lbd->log =~ s/.*\[notice\][^\n]*exit\n//sr, qr/LISTEN_FDS/, 'without a word');
$lbd->stop;

# process 1: it reaps what others leave, reloads, and ends as it is told to
SKIP: {
	my @unshare = ('unshare', '--pid', '--fork', '--kill-child', '--mount-proc');

	skip 'not root, or no unshare', 7 if !is_root() || !has_program('unshare')
		|| system("@unshare true 2>/dev/null") != 0;
	$lbd = Lbd->new(conf => $site, start => 0);
	my %env = %{ $lbd->environment };
	my $shell = fork // die "fork: $!";

	if ($shell == 0) {
		@ENV{ keys %env } = values %env;
		open STDOUT, '>', $lbd->dir . '/output';
		open STDERR, '>&', \*STDOUT;
		# an orphan of lbd's is made by what execs it
		exec @unshare, 'sh', '-c', '(sleep 0.2; true) & exec "$@"', 'sh', lbd_program(), $lbd->arguments or POSIX::_exit(127);
	}
	# so that it ends with the test, however that ends
	$lbd->{pid} = $shell;
	delete $lbd->{status};
	ok(wait_for(sub { http_get($lbd->port, '/') && (http_get($lbd->port, '/')->{status} // 0) == 200 }), 'as process 1: it serves')
		or diag $lbd->output;
	my $st = control_ask($lbd, { verb => 'status' });
	is($st->{pid}, 1, 'it is process 1');
	my ($init) = Lbd::Util::children_of($shell);
	ok(wait_for(sub { !grep { /^State:\s*Z/m } map { slurp("/proc/$_/status") // '' } Lbd::Util::children_of($init) }), 'no zombies are left');
	my ($code, $out) = $lbd->run('-s', 'reload');
	is($code, 0, 'it reloads') or diag $out;
	is(control_ask($lbd, { verb => 'status' })->{pid}, 1, 'and is process 1 still');
	($code, $out) = $lbd->run('-s', 'quit');
	is($code, 0, 'quit from outside of the namespace waits for the end') or diag $out;
	is($lbd->wait_exit, 0, 'well');
	$lbd->stop;
}

done_testing;
