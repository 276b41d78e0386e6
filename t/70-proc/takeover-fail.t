#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Takeovers that come to nothing: nobody to take over from, a new process that cannot start, ends, hangs or
# talks nonsense, one that may not.  The lbd that runs serves on as if nothing had been.  And one that ends
# in the middle: the new process goes on alone.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use Lbd;
use Lbd::Control;
use Lbd::Module;
use Lbd::Takeover;
use Test::More;

my $gate = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $gate;

# does in a worker's start what the file says
my $module = module_so('gate', <<"EOT");
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <lbd/module.h>

static int
start(struct lbd_worker *w)
{
	char what[16] = "";
	FILE *f = fopen("$gate/what", "r");

	if (f != NULL) {
		if (fscanf(f, "%15s", what) != 1)
			what[0] = 0;
		fclose(f);
	}
	if (what[0] == 'f')
		return w->id == 1 ? -EIO : 0;
	/* late: longer than it may take */
	for (int n = what[0] == 'l' ? 300 : 1 << 20; (what[0] == 'h' || what[0] == 'l') && w->id == 1 && n > 0; n--)
		if (access("$gate/go", F_OK) == 0 || usleep(2000) < 0)
			break;
	return 0;
}
LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .name = "gate", .version = "1", .worker_start = start };
EOT

sub site {
	my ($name, $listen, $main) = @_;

	return <<"EOT";
@{[ $main // '' ]}
reload_timeout 20s;
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		listen unix:%%DIR%%/kept.sock;
		@{[ $listen // '' ]}
		return 200 "$name \$pid";
	}
}
EOT
}
my $gated = "load_module $module;";

my $lbd = Lbd->new(conf => site('first'), allow => [qr/exited with code 2$/, qr/exited on signal 9\b/,
	qr/\[emerg\].*(?:could not start|reload_timeout has|takeover from process \d+ failed)/]);
my $port = $lbd->port;
my $pid = $lbd->pid;
my %workers = map { $_ => 1 } $lbd->workers;
my $fds = fds_of($pid);

# Nothing has changed: the same workers answer, over all sockets, and the files are there.
sub is_as_it_was {
	my ($what) = @_;
	my ($name, $worker) = split / /, http_get($port, '/')->{body} // '';
	my $c = IO::Socket::UNIX->new(Peer => $lbd->dir . '/kept.sock');

	is($name, 'first', "$what: it serves as before");
	ok($workers{ $worker // 0 }, 'by a worker that was there');
	ok($c, 'over the UNIX socket, too');
	is(slurp($lbd->pid_path), "$pid\n", 'the pid file is as it was');
	is(control_ask($lbd, { verb => 'status' })->{pid} // 0, $pid, 'as is the control socket');
	ok(wait_for(sub { fds_of($pid) <= $fds }, 5), 'no descriptor is left over')
		or diag(map { "$_ " . (readlink // '') . "\n" } glob "/proc/$pid/fd/*");
}

# A takeover that fails, by itself.
sub fails {
	my ($what, $re, $log, @args) = @_;
	my $from = length $lbd->log;
	my ($code, $out) = taker_code($lbd, @args);

	is($code, 1, "$what fails");
	like($out . substr($lbd->log, $from), $re, 'and says why');
	ok(wait_for(sub { substr($lbd->log, $from) =~ $log }), 'to the other one as well')
		or diag(substr $lbd->log, $from) if defined $log;
	is_as_it_was($what);
}

sub mode { spew("$gate/what", $_[0]); unlink "$gate/go" }

my $over = qr/\[error\] $pid#\d+: takeover by process \d+ failed, generation 1 keeps serving: /;

# --- the new one cannot ---

$lbd->configure(site('second') . "nonsense on;\n");
fails('a broken configuration', qr/unknown directive "nonsense".*not usable; not started/s);
my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
$lbd->configure(site('second', 'listen 127.0.0.1:' . $taken->sockport . '; listen unix:%%DIR%%/new.sock;'));
fails('a port that is taken', qr/could not bind to 127\.0\.0\.1:\d+: address already in use/, qr/${over}its configuration is not usable/);
ok(!-e $lbd->dir . '/new.sock', 'a socket file of its own is removed');
mode('fail');
$lbd->configure(site('second', '', $gated));
fails('a worker that cannot start', qr/takeover from process \d+ failed|could not start worker process 1; not started/,
	qr/${over}could not start|${over}.*worker|${over}module "gate"/);
mode('late');
$lbd->configure(site('second', '', $gated) =~ s/20s/300ms/r);
fails('a worker that is not ready in time', qr/reload_timeout has passed/, qr/${over}reload_timeout has passed/);
mode('hang');
$lbd->configure(site('second', '', "master_process off;"));
fails('a single process', qr/"master_process" is off/);

# --- the new one ends, or hangs, or is told to end ---

$lbd->configure(site('second', '', $gated));
sub started {
	my $seen = () = $lbd->log =~ /gets the sockets of generation/g;
	my $taker = taker($lbd, @_);

	ok(wait_for(sub { my $n = () = $lbd->log =~ /gets the sockets of generation/g; $n > $seen }), 'it has the sockets');
	ok(wait_for(sub { grep { title_of($_) =~ /worker/ } Lbd::Util::children_of($taker) }), 'and starts');
	return $taker;
}
my @left;
sub is_told { my ($re, $from) = @_; ok(wait_for(sub { substr($lbd->log, $from) =~ $re }), 'the other one knows') or diag($lbd->log) }

for my $signal (qw(KILL TERM)) {
	my $from = length $lbd->log;
	my $taker = started();

	@left = Lbd::Util::children_of($taker);
	kill $signal, $taker;
	spew("$gate/go", '') if $signal ne 'KILL';
	is(ended($taker), $signal eq 'KILL' ? -9 : 0, "ended by $signal before it was ready");
	spew("$gate/go", '');
	is_told($signal eq 'KILL' ? qr/${over}it has ended/ : $over, $from);
	ok(wait_for(sub { !grep { is_alive($_) } @left }), 'its processes end');
	is_as_it_was("killed by $signal");
	mode('hang');
}

# it hangs: that is not waited for longer than it said it would need
$lbd->configure(site('second', '', $gated) =~ s/20s/300ms/r);
my $frozen = started();
my $at = length $lbd->log;
kill 'STOP', $frozen;
is_told(qr/${over}it was not ready in the time it has/, $at);
is_as_it_was('one that hangs');
spew("$gate/go", '');
kill 'CONT', $frozen;
is(ended($frozen), 1, 'and does not start when it goes on');
mode('hang');
$lbd->configure(site('second', '', $gated));

# one at a time; a reload waits, and is done when it comes to nothing
my $from = length $lbd->log;
my $taker = started();
my ($code, $out) = taker_code($lbd);
is($code, 1, 'another one meanwhile');
like($out, qr/^lbd: could not take over from the lbd at \S+: another takeover is going on; try again .*; not started$/m, 'is told to wait');
$lbd->signal('HUP');
ok($lbd->wait_log(qr/the reload waits for what comes of the takeover/), 'a reload waits');
is(control_ask($lbd, { verb => 'status' })->{generation}, 1, 'for its turn');
$lbd->configure(site('first'));
@left = ($taker, Lbd::Util::children_of($taker));
kill 'KILL', @left;
ok(defined ended($taker), 'when the takeover has failed');
ok($lbd->wait_log(qr/reload: generation 2 is serving/), 'it is done');
ok(wait_for(sub { $lbd->is_drained }), 'and the workers of before end');
%workers = map { $_ => 1 } $lbd->workers;
mode('');
is_as_it_was('a reload after it');
$over = qr/takeover by process \d+ failed, generation 2 keeps serving: /;

# a worker of the old one is killed meanwhile: it is replaced
mode('hang');
$lbd->configure(site('second', '', $gated));
$taker = started();
my ($victim) = sort keys %workers;
kill 'KILL', $victim;
ok(wait_for(sub { $lbd->workers == 2 && !grep({ $_ == $victim } $lbd->workers) && $lbd->is_complete }), 'a worker that is killed meanwhile is replaced');
kill 'KILL', $taker, Lbd::Util::children_of($taker);
ended($taker);
mode('');
%workers = map { $_ => 1 } $lbd->workers;
is_as_it_was('after that');

# --- memory is short ---

for my $n (1, 3, 10, 31, 50, 100, 150, 200, 317, 1000, '40+', '120+') {
	my $short = Lbd->new(conf => site('first'), workers => 1, allow => [qr/\[emerg\]/, qr/exited on signal 9\b/, qr/exited with code 2/]);
	my $old = $short->pid;

	$short->configure(site('second'));
	$short->{env} = { LBD_FAIL_TAKEOVER => $n };
	my $other = taker($short);
	my $code;
	ok(wait_for(sub {
		$code = $? if waitpid($other, POSIX::WNOHANG()) == $other;
		return defined $code || $short->log =~ /takeover: generation \d+ is serving/;
	}), "allocation $n fails: it ends or serves") or diag($short->output . $short->log);
	my $want = defined $code ? 'first' : 'second';
	# in its worker, too, an allocation may fail
	ok(wait_for(sub { (http_get($short->port, '/')->{body} // '') =~ /^$want / }), "and $want serves");
	if (defined $code) {
		is($code >> 8, 1, 'the failed one says so');
	} else {
		is(ended($old), 0, 'the old one ends');
		$short->{pid} = $other;
		delete $short->{status};
	}
	$short->stop;
}

# --- nonsense over the control socket ---

my $path = control_path($lbd);
sub garbage {
	my ($what, $bytes, $re) = @_;
	my $reply = control_raw($path, $bytes);

	like($reply // 'none', $re, "$what: the reply");
}
garbage('an unknown member', qq({"verb":"takeover","x":1}\n), qr/^\{"ok":false/);
garbage('no line', 'takeover' x 200, qr/^$|none/);
# the descriptor that comes with the reply is lost here, which is as good as its end
$from = length $lbd->log;
garbage('only the verb', qq({"verb":"takeover"}\n), qr/^\{"ok":true,/);
is_told(qr/${over}it has ended/, $from);
is_as_it_was('one who asks and goes');
# the reply is not read: the taker's end is nobody's, and says nothing
$from = length $lbd->log;
my $mute = control_connect($path);
syswrite $mute, qq({"verb":"takeover"}\n);
is_told(qr/"takeover" received/, $from);
($code, $out) = taker_code($lbd);
like("$code$out", qr/^1.*another takeover is going on/, 'one who says nothing keeps others away');
is_told(qr/${over}it says nothing/, $from);
close $mute;
is_as_it_was('but not for long');

# --- who may not ---

SKIP: {
	skip 'needs root', 4 if !is_root();
	my ($group) = grep { defined getgrnam $_ } qw(nogroup nobody daemon);

	for my $c (['mode=0666', 'everybody', qr/you may not use this control socket/],
		["mode=0660 group=$group", 'a group', qr/only root and the user of this lbd may take over/]) {
		my $guarded = Lbd->new(conf => site('guarded', '', "control unix:%%DIR%%/logs/lbd.sock $c->[0];"));
		my $before = $guarded->pid;

		chmod 0777, $guarded->dir, $guarded->dir . '/logs';
		($code, $out) = Lbd::Util::run_program({ %{ $guarded->environment }, run_as => nobody() }, lbd_program(),
			$guarded->arguments, '--takeover');
		is($code, 1, "another user, by a socket for $c->[1]");
		like($out, $c->[2], 'is refused');
		like(http_get($guarded->port, '/')->{body}, qr/^guarded /, 'nothing has changed');
		is($guarded->pid, $before, 'no process either');
		$guarded->stop;
	}
}

# an ordinary user's; as it happens, with more sockets than the other one may open
SKIP: {
	skip 'needs root', 6 if !is_root();
	my $bin = File::Temp::tempdir(CLEANUP => 1);
	my $own = Lbd->new(as => nobody(), conf => site('own', join ' ', map { "listen 127.0.0.1:%%PORT_$_%%;" } 1 .. 60));
	my $old = take_over($own);

	is(ended($old), 0, 'an ordinary user takes over');
	chmod 0755, $bin;
	spew("$bin/lbd", "#!/bin/sh\nulimit -n 50\nexec " . lbd_program() . " \"\$@\"\n");
	chmod 0755, "$bin/lbd";
	($code, $out) = taker_code(bless({ %$own, program => "$bin/lbd" }, 'Lbd::Takeover::Process'));
	is($code, 1, 'one that may have few descriptors fails');
	like($out, qr/it has more sockets than this process may open files; not started/, 'and says so');
	ok($own->wait_log(qr/takeover by process \d+ failed, .*: it has more sockets than/), 'to both');
	($code, $out) = taker_code(bless({ %$own, as => undef }, 'Lbd::Takeover::Process'));
	like("$code$out", qr/^1.*it is run by user \d+; take over as that user; not started/s, 'root does not trust what others share');
	like(http_get($own->port, '/')->{body}, qr/^own /, 'it serves on');
	$own->stop;
}

# --- what answers is no lbd ---

my $fake = "$gate/fake.sock";
for my $c (['nothing', undef, qr/no answer: it has ended/], ['nonsense', "hello\n", qr/what answers there is no lbd/],
	['an lbd that does not know of it', qq({"ok":false,"text":"unknown verb"}\n), qr/: unknown verb; not started/],
	['yes, and no more', qq({"ok":true,"text":"yes"}\n), qr/: yes; not started|no lbd/], ['an endless line', 'x' x 10000, qr/no answer: /]) {
	my $socket = IO::Socket::UNIX->new(Local => $fake, Listen => 1) or die "$fake: $!";
	my $child = fork // die "fork: $!";

	if ($child == 0) {
		my $one = $socket->accept;

		sysread $one, my $line, 1000;
		syswrite $one, $c->[1] if defined $c->[1];
		close $one;
		POSIX::_exit(0);
	}
	($code, $out) = taker_code($lbd, "--takeover=$fake");
	like("$code$out", qr/^1.*$c->[2]/s, "a socket that answers $c->[0]");
	kill 'KILL', $child;
	waitpid $child, 0;
	close $socket;
	($code, $out) = taker_code($lbd, "--takeover=$fake") if $c->[0] eq 'nothing';
	like("$code$out", qr/^1.*nobody answers there: Connection refused; not started/s, 'a file that nobody listens at') if $c->[0] eq 'nothing';
	unlink $fake;
}
fails('no file', qr/nobody answers there: No such file or directory; not started/, undef, '--takeover=/nowhere.sock');
for my $args (['--takeover='], ['--takeover', '-t'], ['--takeover', '-s', 'status']) {
	is(($lbd->run(@$args))[0], 1, "@$args is no command");
}

# --- the old one is told to end, or dies ---

$lbd->configure(site('second', '', $gated));
mode('hang');
my $second = Lbd->new(conf => site('first'), allow => $lbd->{allow});
$second->configure(site('second', '', $gated));
$from = length $second->log;
$taker = taker($second);
ok($second->wait_log(qr/gets the sockets/), 'it has the sockets');
$second->signal('QUIT');
is($second->wait_exit, 0, 'the old one is told to end');
spew("$gate/go", '');
$second->{pid} = $taker;
is(ended($taker), 1, 'then the new one does not start');
$second->stop;
mode('hang');

$from = length $lbd->log;
$taker = started();
kill 'KILL', $pid;
is(ended($pid), -9, 'the old one is killed');
is_told(qr/process $pid has ended before it was taken over; going on alone/, $from);
spew("$gate/go", '');
$lbd->{pid} = $taker;
delete $lbd->{status};
is_told(qr/takeover: generation 3 is serving/, $from);
is((split / /, http_get($port, '/')->{body})[0], 'second', 'the new one goes on alone');
ok(wait_for(sub { !grep { is_alive($_) } keys %workers }), 'the old workers end');
is(control_ask($lbd, { verb => 'status' })->{pid}, $taker, 'with the control socket');
is(slurp($lbd->pid_path), "$taker\n", 'and the pid file');
mode('');
is($lbd->reload, 1, 'and reloads');
$lbd->stop('QUIT');
ok(!-e "$lbd->{dir}/kept.sock", 'and removes its files');

done_testing;
