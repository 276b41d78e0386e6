#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# lbd as process 1 of a container: it gets the orphans of others, signals that have no other receiver, and
# everything ends with it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use Lbd;
use Test::More;

my ($unshare, $nsenter) = map { has_program($_) // '' } qw(unshare nsenter);
plan(skip_all => 'no unshare, no nsenter') if !$unshare || !$nsenter;
plan(skip_all => 'not root') if !is_root();
plan(skip_all => 'no namespaces here') if (Lbd::Util::run_program($unshare, qw(-pf --mount-proc true)))[0] != 0;

my $bin = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $bin;
spew("$bin/lbd", "#!/bin/sh\nexec $unshare -pf --kill-child --mount-proc @{[ lbd_program() ]} \"\$@\"\n");
chmod 0755, "$bin/lbd";

sub site { return "http { server { listen 127.0.0.1:%%PORT_0%%; return 200 \"$_[0] \$pid\\n\"; } }\n" }

# Its own number is that of unshare, whose child is process 1.
sub start {
	my ($name) = @_;
	my $lbd = Lbd->new(program => "$bin/lbd", conf => site($name), start => 0, allow => [qr/exited on signal 9\b/]);

	$lbd->launch;
	my $init = wait_for(sub { (Lbd::Util::children_of($lbd->pid))[0] });
	wait_for(sub { -s $lbd->pid_path && workers($init) == 2 }) or die "no start: " . $lbd->output . $lbd->log;
	return ($lbd, $init);
}

sub workers { return grep { title_of($_) eq 'lbd: worker process' } Lbd::Util::children_of($_[0]) }
sub zombies { return grep { (slurp("/proc/$_/stat") // '') =~ /^\d+ \(.*\) Z /s } Lbd::Util::children_of($_[0]) }
sub text { return (http_get($_[0]->port, '/')->{body} // '') =~ /^(\w+) \d+$/ ? $1 : 'nothing' }

my ($lbd, $init) = start('first');
sub inside { return (Lbd::Util::run_program($nsenter, '-t', $init, qw(-p -m), @_))[0] }

is(slurp($lbd->pid_path), "1\n", 'it is process 1');
is(text($lbd), 'first', 'and serves');

# --- others' orphans ---

is(inside('sh', '-c', '(true & true &); (sleep 0.05 &); exit 0'), 0, "orphans, round $_") for 1 .. 10;
inside('sh', '-c', 'sleep 30 >/dev/null 2>&1 & exit 0');
my $orphan = wait_for(sub { (grep { (slurp("/proc/$_/comm") // '') eq "sleep\n" } Lbd::Util::children_of($init))[0] });
ok($orphan, 'one that lives on is its child');
kill 'KILL', $orphan if $orphan;
ok(wait_for(sub { !is_alive($orphan) && !zombies($init) }), 'all are reaped');
unlike($lbd->log, qr/process \d+ exited (?:on signal|with code [1-9])/, 'which is nothing to say');
is(text($lbd), 'first', 'it serves');

# --- signals from inside, where nobody is above it ---

$lbd->configure(site('second'));
inside(qw(kill -HUP 1));
ok($lbd->wait_log(qr/reload: generation 2 is serving/), 'HUP from inside reloads');
is(text($lbd), 'second', 'what is written');
is(join(' ', Lbd::Util::children_of($lbd->pid)), $init, 'it is the same process');
$lbd->configure(site('third'));
is(inside(lbd_program(), $lbd->arguments, '-s', 'reload'), 0, 'lbd -s reload from inside');
is(text($lbd), 'third', 'does the same');
rename $lbd->log_path, $lbd->log_path . '.1' or die "rename: $!";
inside(qw(kill -USR1 1));
ok(wait_for(sub { -e $lbd->log_path }), 'USR1 opens the logs anew');
my ($worker) = workers($init);
kill 'KILL', $worker if $worker;
ok(wait_for(sub { !is_alive($worker) && workers($init) == 2 }), 'a worker that is killed is replaced');
inside(qw(kill -KILL 1));
is(text($lbd), 'third', 'KILL from inside does nothing to process 1');

# what is going on is finished
my $c = Lbd::Client->new($lbd->port);
$c->send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /half");
is($c->response->{status}, 200, 'a connection with a request that has begun');
inside(qw(kill -QUIT 1));
ok($lbd->wait_log(qr/signal QUIT received/), 'QUIT from inside');
$c->send(" HTTP/1.1\r\nHost: a\r\n\r\n");
is($c->response->{status}, 200, 'lets it finish');
is($lbd->wait_exit, 0, 'then it ends with 0');
ok(!-e $lbd->pid_path, 'and takes the pid file with it');
$lbd->stop;

# --- the end from outside, as a container's runtime does it ---

($lbd, $init) = start('again');
my @all = ($init, Lbd::Util::children_of($init));
$lbd->signal('TERM', $init);
is($lbd->wait_exit, 0, 'TERM from outside');
ok(!grep({ is_alive($_) } @all), 'ends all');
$lbd->stop;
($lbd, $init) = start('once more');
@all = ($init, Lbd::Util::children_of($init));
$lbd->signal('KILL', $init);
ok(defined $lbd->wait_exit, 'KILL from outside');
ok(wait_for(sub { !grep { is_alive($_) } @all }), 'ends all');
$lbd->{status} = 0;
$lbd->stop;

done_testing;
