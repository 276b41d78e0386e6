#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# A worker or the control process that dies is logged and replaced; one that keeps dying is replaced later and later.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $lbd = Lbd->new(
	workers => 1,
	allow => [qr/exited on signal (?:6|9)\b/],
	conf => <<'EOT'
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		return 200 "$pid\n";
	}
}
EOT
);

# a signal that only a fault brings is an alert, one that somebody sent is not
my ($worker) = $lbd->workers;
is(http_get($lbd->port, '/')->{body}, "$worker\n", 'the worker answers');
$lbd->signal('ABRT', $worker);
is($lbd->wait_log(qr/\[(\w+)\] \d+#\d+: worker process $worker exited on signal 6/), 'alert', 'ABRT is an alert');
is(http_get($lbd->port, '/')->{status}, 200, 'its successor answers on the same socket');
my ($next) = $lbd->workers;
isnt($next, $worker, 'and is another process');
$lbd->signal('KILL', $next);
is($lbd->wait_log(qr/\[(\w+)\] \d+#\d+: worker process $next exited on signal 9/), 'error', 'KILL is an error');

# again and again; on a slow machine one may live long enough to be no matter, and it begins anew
my $slow = qr/next start in 200 ms/;
for (1 .. 50) {
	last if $lbd->log =~ $slow;
	my ($w) = wait_for(sub { ($lbd->workers)[0] });

	last if !$w;
	$lbd->signal('KILL', $w);
	$lbd->wait_log(qr/worker process $w exited/) or last;
}
like($lbd->log, qr/worker process 0 ended within \d+ ms of its start; next start in 100 ms/,
	'of those that die young the next one waits');
ok($lbd->wait_log($slow, 0), 'longer each time');
is(http_get($lbd->port, '/')->{status}, 200, 'and it answers again');

my ($control) = $lbd->control;
$lbd->signal('KILL', $control);
ok($lbd->wait_log(qr/control process $control exited on signal 9/), 'the death of control is logged');
ok(wait_for(sub { my ($c) = $lbd->control; $c && $c != $control }), 'and it is replaced');
is(http_get($lbd->port, '/')->{status}, 200, 'traffic goes on');

# the master is killed: the others notice and end by themselves
my @left = $lbd->children;
cmp_ok(scalar @left, '==', 2, 'a worker and control are left');
$lbd->signal('KILL');
is($lbd->wait_exit, -9, 'the master is killed');
ok(wait_for(sub { !grep { is_alive($_) } @left }), 'its children end');
ok($lbd->wait_log(qr/the master process is gone, shutting down gracefully/), 'and say why');
ok(-e $lbd->pid_path, 'the pid file is left');
$lbd->start;
is(http_get($lbd->port, '/')->{status}, 200, 'a new one starts over it');
$lbd->stop('QUIT');

done_testing;
