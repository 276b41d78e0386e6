#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Requests that wait while all servers have max_conns of them: in order, bounded in number and time, over all
# workers; clients that leave, workers that die.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $gates = tempdir('lbd-gates-XXXXXX', TMPDIR => 1, CLEANUP => 1);

# Holds a request until its gate is open: a file with the name of the path's last part.
my $backend = http_backend(sub {
	my ($q, $n, $b) = @_;
	my ($name) = $q->{target} =~ m{/([^/]*)$};

	$b->note("begin $name");
	wait_for(sub { -e "$gates/$name" || -e "$gates/all" }) if $name =~ /^held/;
	$b->note("end $name");
	return [200, [], "answer $name"];
});
my $s = $backend->address;

my $lbd = Lbd->new(allow => [qr{exited on signal 9\b}], conf => <<"EOT");
worker_processes 2;
error_log logs/error.log info;
http {
	log_format queue '\$uri \$status \$upstream_queue_time';
	access_log logs/queue.log queue;
	upstream two { server $s max_conns=1 max_fails=0; queue 2 timeout=20s; }
	upstream short { server $s max_conns=1 max_fails=0; queue 5 timeout=300ms; }
	upstream none { server $s max_conns=1 max_fails=0; }
	upstream many { server $s max_conns=2 max_fails=0; queue 100; }
	upstream dead { server 127.0.0.1:@{[free_port()]} max_conns=1; queue 5 timeout=300ms; no_live_action fail; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /two/ { proxy_pass http://two; }
		location /short/ { proxy_pass http://short; }
		location /none/ { proxy_pass http://none; }
		location /many/ { proxy_pass http://many; }
		location /dead/ { proxy_pass http://dead; proxy_next_upstream error no_live; }
	}
}
EOT
my $port = $lbd->port(0);

sub ask {
	my ($path) = @_;
	my $c = Lbd::Client->new($port);

	$c->send("GET $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	return $c;
}

sub open_gate { spew("$gates/$_[0]", '') }
sub close_gates { unlink glob "$gates/*" }
sub has_begun { my ($name) = @_; return wait_for(sub { grep { $_ eq "begin $name" } $backend->notes }) }
sub waiting { my $log = $lbd->log; return scalar(() = $log =~ /waits for room/g) }

# Asks, and is in the queue afterwards.
sub queue_up {
	my ($path) = @_;
	my $before = waiting();
	my $c = ask($path);

	ok(wait_for(sub { waiting() > $before }), "$path waits");
	return $c;
}

subtest 'a queue' => sub {
	my $first = ask('/two/held1');
	my (@more, $r);

	ok(has_begun('held1'), 'the server has all it takes');
	push @more, queue_up('/two/a');
	push @more, queue_up('/two/held2');
	$r = http_get($port, '/two/full');
	is($r->{status}, 503, 'a third one does not wait');
	is(header($r, 'Retry-After'), 1, 'it is told when to come back');
	open_gate('held1');
	is($first->response->{body}, 'answer held1', 'the first is answered');
	is($more[0]->response->{body}, 'answer a', 'then the second');
	ok(has_begun('held2'), 'the third one gets there');
	push @more, queue_up('/two/b');
	open_gate('held2');
	is($more[1]->response->{body}, 'answer held2', 'and is answered');
	is($more[2]->response->{body}, 'answer b', 'so is who came later');
	my @order = grep { /^begin (?:held1|a|held2|b)$/ } $backend->notes;
	is("@order", 'begin held1 begin a begin held2 begin b', 'first come, first served');
	close_gates();
};

subtest 'who leaves' => sub {
	my $first = ask('/two/held3');
	my ($left, $stays, $next);

	ok(has_begun('held3'), 'the server has all it takes');
	$left = queue_up('/two/left');
	$stays = queue_up('/two/stays');
	$left->close;
	ok(wait_for(sub { (slurp($lbd->dir . '/logs/queue.log') // '') =~ m{/two/left 499} }), 'one goes away');
	$next = queue_up('/two/next');
	open_gate('held3');
	is($_->response->{status}, 200, 'the others are served') for $first, $stays, $next;
	ok(!(grep { /left/ } $backend->notes), 'what nobody waits for is not asked for');
	close_gates();
};

subtest 'time' => sub {
	my $first = ask('/short/held4');
	my ($c, $r);

	ok(has_begun('held4'), 'the server has all it takes');
	$c = queue_up('/short/late');
	$r = $c->response;
	is($r->{status}, 504, 'who waits too long gets 504');
	is(header($r, 'Retry-After'), 1, 'with a time to come back');
	open_gate('held4');
	is($first->response->{status}, 200, 'the first is not concerned');
	is(http_get($port, '/short/x')->{status}, 200, 'nor is the next');
	close_gates();
};

subtest 'no queue' => sub {
	my $first = ask('/none/held5');
	my $r;

	ok(has_begun('held5'), 'the server has all it takes');
	$r = http_get($port, '/none/x');
	is($r->{status}, 503, 'without a queue it is 503 at once');
	is(header($r, 'Retry-After'), 1, 'with a time to come back');
	open_gate('held5');
	is($first->response->{status}, 200, 'the first is answered');
	close_gates();
};

subtest 'no live server' => sub {
	my $r = http_get($port, '/dead/x');

	is($r->{status}, 504, 'no_live waits as well');
};

subtest 'many, over all workers' => sub {
	my ($running, $most) = (0, 0);
	my @c = map { ask("/many/held-$_") } 1 .. 30;

	ok(wait_for(sub { (grep { /^begin held-/ } $backend->notes) == 2 }), 'two are at the server');
	spew("$gates/all", '');
	is_deeply([map { $_->response->{status} } @c], [(200) x 30], 'all are answered');
	for (grep { /held-/ } $backend->notes) {
		$running += /^begin/ ? 1 : -1;
		$most = $running if $running > $most;
	}
	cmp_ok($most, '<=', 2, 'never more than max_conns at once');
	close_gates();
};

subtest 'a worker that dies' => sub {
	my @c = (ask('/two/held6'));

	ok(has_begun('held6'), 'the server has all it takes');
	push @c, map { queue_up("/two/dead$_") } 1, 2;
	is(http_get($port, '/two/x')->{status}, 503, 'the queue is full');
	my @old = $lbd->workers;
	kill KILL => @old;
	ok(wait_for(sub { my @now = $lbd->workers; @now == 2 && !grep { my $p = $_; grep { $_ == $p } @old } @now }),
		'others take the place of dead workers');
	open_gate('all');
	ok(wait_for(sub { my $r = eval { http_get($port, '/two/y') }; $r && $r->{status} == 200 }),
		'nobody waits behind the dead');
	close_gates();
};

my $log = slurp($lbd->dir . '/logs/queue.log');
like($log, qr{^/two/a 200 \d+\.\d+$}m, '$upstream_queue_time is how long it waited');
like($log, qr{^/two/held1 200 -$}m, 'and nothing where it did not');
$lbd->stop;
done_testing();
