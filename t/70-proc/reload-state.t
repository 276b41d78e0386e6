#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What is known of servers outlives a reload, also of a group that grows; what a killed worker of an old
# generation had in flight is taken back.  Then what may happen in the middle: processes are killed, the
# limit of descriptors is reached, lbd is told to end.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use Lbd;
use Lbd::Control;
use Test::More;

my $gate = File::Temp::tempdir(CLEANUP => 1) . '/open';
my $bad = backend(sub { my ($c, $n, $b) = @_; $c->request; $b->note('asked') }); # closes
my $good = http_backend(sub {
	my ($q, $n, $b) = @_;

	$b->note("asked $q->{target}");
	wait_for(sub { -e $gate }, 60) if $q->{target} eq '/slow';
	return [200, [], "good\n"];
});

my $more = ''; # servers of group one
sub site {
	my ($name, $servers, @listen) = @_;

	return <<"EOT";
http {
	upstream group {
		server @{[ $bad->address ]} max_fails=1 fail_timeout=1h;
		server @{[ $good->address ]};
		$servers
	}
	upstream one {
		server @{[ $good->address ]} max_conns=1;
		$more
	}
	server {
		listen 127.0.0.1:%%PORT_0%%;
		@listen
		location / { return 200 "$name \$pid\n"; }
		location /group { proxy_pass http://group; proxy_next_upstream error timeout; }
		location /slow { proxy_pass http://one; }
		location /one { proxy_pass http://one; }
	}
}
EOT
}

my $lbd = Lbd->new(conf => site('one', ''), allow => [qr/exited on signal 9\b/]);
my $port = $lbd->port;

# --- states ---

is(http_get($port, '/group')->{body}, "good\n", 'a request, maybe at the second try') for 1 .. 4;
is(scalar($bad->notes), 1, 'a server has failed');
for my $what (['the same group', ''], ['a smaller one', ''], ['a larger one', 'server 127.0.0.2:1 down; ' x 20],
	['one that does not fit where it was', join ' ', map { "server 127.0.0.2:$_ down;" } 1 .. 100], ['the first one', '']) {
	$lbd->configure(site('next', $what->[1]));
	is($lbd->reload, 1, "a reload with $what->[0]");
	is(http_get($port, '/group')->{body}, "good\n", 'is served') for 1 .. 4;
	is(scalar($bad->notes), 1, 'the server is still known as failed');
}
ok(wait_for(sub { $lbd->is_drained }), 'old generations end');

# --- counts ---

my $slow = Lbd::Client->new($port);
$slow->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
ok(wait_for(sub { grep { m{/slow} } $good->notes }), 'the only connection there may be');
is(http_get($port, '/one')->{status}, 503, 'another is refused');
my %before = map { $_ => 1 } $lbd->workers;
is($lbd->reload, 1, 'a reload');
is(http_get($port, '/one')->{status}, 503, 'the next generation counts what the old one has');
is($lbd->reload, 1, 'another');
is(http_get($port, '/one')->{status}, 503, 'and the next');
for my $n (300, 1000, 0) {
	$more = join ' ', map { "server 127.0.0.2:$_ down;" } reverse 1 .. $n;
	$lbd->configure(site('next', ''));
	is($lbd->reload, 1, "with $n servers more");
	is(http_get($port, '/one')->{status}, 503, 'it is still known');
}
# gone for a generation, server or group, while a worker before has requests there
$lbd->configure(site('next', '') =~ s/server \S+ max_conns=1;/server 127.0.0.2:1;/r);
is($lbd->reload, 1, 'without the server');
$lbd->configure(site('next', ''));
is($lbd->reload, 1, 'with it again');
is(http_get($port, '/one')->{status}, 503, 'it is the one that was known');
$lbd->configure(site('next', '') =~ s/upstream one \{.*?\}//sr =~ s/http:\/\/one/http:\/\/group/gr);
is($lbd->reload, 1, 'without the group');
$lbd->configure(site('next', ''));
is($lbd->reload, 1, 'with it again');
is(http_get($port, '/one')->{status}, 503, 'it is the one that was known');
my ($holder) = grep { $before{$_} } $lbd->workers;
$lbd->signal('KILL', $holder);
ok($lbd->wait_log(qr/worker process $holder exited on signal 9/), 'the worker that has it is killed');
ok(wait_for(sub { http_get($port, '/one')->{status} == 200 }), 'its share is taken back');
ok(!grep({ !is_alive($_) } $lbd->workers) && $lbd->workers == 2, 'it is not replaced');
spew($gate, '');

# --- killed in the middle ---

for my $n (1 .. 5) {
	my ($done) = $lbd->reloads;
	my @workers = $lbd->workers;

	$lbd->signal('HUP');
	$lbd->signal('KILL', $workers[$n % @workers]);
	ok(wait_for(sub { ($lbd->reloads)[0] > $done }), 'a reload while a worker dies');
}
ok(wait_for(sub { $lbd->is_drained && $lbd->workers == 2 }), 'two workers serve');
is(scalar(grep { http_get($port, '/')->{status} != 200 } 1 .. 20), 0, 'all of it');

# the master of a reload is killed: the next one starts over what is left
my @left = $lbd->children;
$lbd->signal('KILL');
$lbd->wait_exit;
ok(wait_for(sub { !grep { is_alive($_) } @left }), 'without their master the children end');
$lbd->start;
is(http_get($port, '/')->{status}, 200, 'another one starts');

# --- told to end in the middle ---

for my $signal (qw(QUIT TERM)) {
	for my $wait (0, 0.01, 0.03) {
		$lbd->signal('HUP');
		select undef, undef, undef, $wait;
		$lbd->signal($signal);
		is($lbd->wait_exit, 0, "$signal after HUP");
		$lbd->start;
	}
}

# WINCH, which counts once all are there, then HUP: workers again
ok(wait_for(sub { (control_ask($lbd, { verb => 'status' })->{state} // '') eq 'running' }), 'it runs');
$lbd->signal('WINCH');
ok(wait_for(sub { !$lbd->workers }), 'retired');
is($lbd->reload, 1, 'a reload brings workers back');
is(http_get($port, '/')->{status}, 200, 'which serve');
$lbd->stop('QUIT');

# --- descriptors ---

my $bin = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $bin;
spew("$bin/lbd", "#!/bin/sh\nulimit -n 40\nexec " . lbd_program() . " \"\$@\"\n");
chmod 0755, "$bin/lbd";
$lbd = Lbd->new(program => "$bin/lbd", conf => site('few', ''), allow => [qr/exited on signal 9\b/, qr/\[emerg\]/, qr/exited with code 2/]);
$lbd->configure(site('many', '', map { "listen 127.0.0.1:%%PORT_$_%%;" } 1 .. 30));
is($lbd->reload, 0, 'more sockets than descriptors: a reload fails');
like($lbd->log, qr/reload: .*[Tt]oo many open files/, 'and says so');
like(http_get($lbd->port, '/')->{body}, qr/^few /, 'it goes on');
$lbd->configure(site('fewer', ''));
is($lbd->reload, 1, 'and reloads when there are few');
like(http_get($lbd->port, '/')->{body}, qr/^fewer /, 'as written');
$lbd->stop;

done_testing;
