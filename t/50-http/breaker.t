#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The circuit breaker: how many requests a group gets at once, and none while it fails too often.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $gates = tempdir('lbd-gates-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $backend = http_backend(sub {
	my ($q, $n, $b) = @_;
	my ($name) = $q->{target} =~ m{/([^/]*)$};

	$b->note("begin $name");
	wait_for(sub { -e "$gates/$name" }) if $name =~ /^held/;
	return '' if -e "$gates/fail";
	return [200, [], "answer $name"];
});
my $s = $backend->address;

my $lbd = Lbd->new(allow => [qr{exited on signal 9\b}], conf => <<"EOT");
worker_processes 2;
error_log logs/error.log info;
http {
	proxy_next_upstream off;
	upstream two { server $s max_fails=0; circuit_breaker max_requests=2; }
	upstream pending { server $s max_fails=0 max_conns=1; queue 10 timeout=20s; circuit_breaker max_pending=1; }
	upstream opens { server $s max_fails=0; server $s max_fails=0; circuit_breaker open=50 interval=4s; }
	upstream slow { server $s max_fails=0; circuit_breaker open=50 interval=1h; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /two/ { proxy_pass http://two; }
		location /pending/ { proxy_pass http://pending; }
		location /opens/ { proxy_pass http://opens; }
		location /slow/ { proxy_pass http://slow; }
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
sub status { return http_get($port, $_[0])->{status} }

subtest 'max_requests' => sub {
	my @c = map { ask("/two/held$_") } 1, 2;
	my $r;

	ok(has_begun("held$_"), "request $_ is at the server") for 1, 2;
	$r = http_get($port, '/two/x');
	is($r->{status}, 503, 'one more is refused');
	is(header($r, 'Retry-After'), 1, 'with a time to come back');
	open_gate("held$_") for 1, 2;
	is($_->response->{status}, 200, 'the others are answered') for @c;
	ok(wait_for(sub { status('/two/x') == 200 }), 'and there is room');
	close_gates();
};

subtest 'max_requests, after a worker died' => sub {
	my @c = map { ask("/two/held-a$_") } 1, 2;

	ok(has_begun("held-a$_"), "request $_ is at the server") for 1, 2;
	kill KILL => $lbd->workers;
	ok(wait_for(sub { my $r = eval { http_get($port, '/two/x') }; $r && $r->{status} == 200 }),
		'what the dead had counts no more');
	open_gate("held-a$_") for 1, 2;
};

subtest 'max_pending' => sub {
	my @c = (ask('/pending/held3'));

	ok(has_begun('held3'), 'the server has all it takes');
	my $before = waiting();
	push @c, ask('/pending/x');
	ok(wait_for(sub { waiting() > $before }), 'one waits');
	is(status('/pending/x'), 503, 'one more is refused');
	open_gate('held3');
	is($_->response->{status}, 200, 'the others are answered') for @c;
	close_gates();
};

subtest 'open, half open, closed' => sub {
	is(status('/opens/x'), 200, 'all is well');
	open_gate('fail');
	my @got;
	push @got, status('/opens/x') while @got < 500 && ($got[-1] // 0) != 503;
	ok((grep { $_ == 502 } @got) >= 19, 'failures');
	is($got[-1], 503, 'then it opens');
	ok($lbd->wait_log(qr/upstream "opens": circuit breaker opens: too many/), 'and says so');
	my $asked = () = $backend->notes;
	status('/opens/x') for 1 .. 5;
	cmp_ok(scalar(() = $backend->notes), '<=', $asked + 1, 'servers are left alone');
	ok(wait_for(sub { status('/opens/x'); ($lbd->log // '') =~ /circuit breaker stays open/ }),
		'a probe fails: it stays open');
	close_gates();
	ok(wait_for(sub { status('/opens/x') == 200 }), 'a probe succeeds');
	ok($lbd->wait_log(qr/circuit breaker is closed again/), 'it closes');
	is_deeply([map { status('/opens/x') } 1 .. 10], [(200) x 10], 'and all is well');
};

subtest 'what is not enough' => sub {
	open_gate('fail');
	is_deeply([map { status('/slow/x') } 1 .. 19], [(502) x 19], 'few failures mean nothing');
	is(status('/slow/x'), 502, 'the last one of them');
	is(status('/slow/x'), 503, 'is enough');
	close_gates();
	is(status('/slow/x'), 503, 'it is open for the interval');
	is($lbd->reload, 1, 'a reload');
	is(status('/slow/x'), 503, 'does not change that');
};

$lbd->stop;
done_testing();
