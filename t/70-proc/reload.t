#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What is going on while lbd reloads goes on: kept-alive connections, uploads, downloads, tunnels.  And
# what a reload brings: files, another program, another module, another pid file, with one master.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Copy ();
use File::Temp;
use Lbd;
use Lbd::Module;
use Test::More;

my $gate = File::Temp::tempdir(CLEANUP => 1) . '/open';
my $origin = backend(sub {
	my ($c, $n, $b) = @_;

	while (my $head = $c->read_until(qr/\r\n\r\n/)) {
		my ($what) = $head =~ m{^\w+ /(\w+)};

		$b->note("asked $what");
		if ($what eq 'down') { # half an answer now, half when the test says so
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" . 'a' x 100000);
			wait_for(sub { -e $gate });
			$c->send('b' x 100000);
		} elsif ($what eq 'up') {
			my ($size) = $head =~ /Content-Length: (\d+)/i;
			my $body = $c->read_bytes($size);
			my $sum = unpack '%32C*', $body;

			$c->send(http_bytes(200, [], length($body) . " $sum"));
		} elsif ($what eq 'ws') {
			$c->send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
			while ($c->until(sub { length $c->{buf} })) {
				$c->send(uc substr $c->{buf}, 0, length $c->{buf}, '');
			}
			return;
		}
	}
});

my $bin = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $bin;
sub install {
	my ($from, $to) = @_;

	File::Copy::copy($from, "$to.new") or die "copy: $!";
	chmod 0755, "$to.new";
	rename "$to.new", $to or die "rename: $!";
}

sub hello {
	my ($version) = @_;

	return module_so("hello$version", <<"EOT");
#include <lbd/http.h>
static enum lbd_hook_rc
run(struct lbd_http *x)
{
	(void)lbd_fields_add(&x->reply, x->pool, LBD_STR("X-Module"), LBD_STR("$version"));
	return LBD_NEXT;
}
static const struct lbd_http_hook hooks[] = { { .phase = LBD_REPLY_HEAD, .fn = run }, { .fn = NULL } };
LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .name = "hello", .version = "$version", .http_hooks = hooks };
EOT
}

sub site {
	my ($name, $main) = @_;

	return <<"EOT";
load_module $bin/hello.so;
worker_shutdown_spread 1s;
@{[ $main // '' ]}
http {
	keepalive_min_timeout 30s;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "$name \$pid\n"; }
		location ~ ^/(down|up|ws) {
			proxy_pass http://127.0.0.1:@{[ $origin->port ]};
			proxy_request_buffering off;
		}
	}
}
EOT
}

install(lbd_program(), "$bin/lbd");
install(hello(1), "$bin/hello.so");
my $lbd = Lbd->new(program => "$bin/lbd", workers => 1, conf => site('first'));
my $port = $lbd->port;
my $pid = $lbd->pid;
my ($old) = $lbd->workers;

# --- what is going on ---

my $idle = Lbd::Client->new($port);
$idle->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
is($idle->response->{body}, "first $old\n", 'a connection that is idle now');
my $new = Lbd::Client->new($port);
$new->send("GET / HT"); # a request that has begun
my $down = Lbd::Client->new($port);
$down->send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
ok($down->until(sub { length $down->{buf} > 1000 }), 'a download has begun');
my $up = Lbd::Client->new($port);
my $body = join '', map { chr(33 + $_ % 90) } 1 .. 300_000;
$up->send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" . substr $body, 0, 100_000);
ok(wait_for(sub { grep { /asked up/ } $origin->notes }), 'an upload has begun');
my $ws = Lbd::Client->new($port);
$ws->send("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
is($ws->response->{status}, 101, 'a tunnel');
$ws->send('one');
is($ws->read_bytes(3), 'ONE', 'that works');

$lbd->configure(site('second'));
is($lbd->reload, 1, 'a reload');
like($lbd->log, qr/reload: generation 2 is serving \(1 worker, \d+ ms\); generation 1 drains, 1 worker left/,
	'the log says what it did');
is($lbd->pid, $pid, 'the master is the same');
my ($serving) = grep { title_of($_) eq 'lbd: worker process' } $lbd->workers;
isnt($serving, $old, 'another worker serves');
ok(wait_for(sub { title_of($old) eq 'lbd: worker process is shutting down' }), 'the old one says that it is leaving');
is(http_get($port, '/')->{body}, "second $serving\n", 'a new connection gets the new configuration');

$new->send("TP/1.1\r\nHost: a\r\n\r\n");
my $r = $new->response;
is($r->{body}, "second $serving\n", 'the request that had begun is answered by the new one');
is(header($r, 'Connection'), undef, 'and more may follow');
$idle->send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
$r = $idle->response;
is($r->{body}, "second $serving\n", 'the idle connection goes on there');
is(header($r, 'Connection'), undef, 'and so for the next request');
$up->send(substr $body, 100_000);
is($up->response->{body}, '300000 ' . unpack('%32C*', $body), 'the upload ends whole');
spew($gate, '');
$r = $down->response;
is(length $r->{body}, 200_000, 'the download ends whole');
ok($r->{complete} && $r->{body} eq 'a' x 100_000 . 'b' x 100_000, 'with what was sent');
$ws->send('two');
is($ws->read_bytes(3), 'TWO', 'the tunnel goes on');

# two generations of old ones
$lbd->configure(site('third'));
is($lbd->reload, 1, 'a reload while one drains');
is(http_get($port, '/')->{body} =~ /^(\w+)/ && $1, 'third', 'takes effect');
$ws->send('three');
is($ws->read_bytes(5), 'THREE', 'the tunnel goes on');
ok(wait_for(sub { $lbd->workers == 1 }), 'generations with nothing to do end');
ok(!is_alive($old), 'the first, too');
ok($lbd->wait_log(qr/generation 1 has ended/), 'which is logged');
$ws->send('four');
is($ws->read_bytes(4), 'FOUR', 'the tunnel goes on');
$_->close for $ws, $down;

# an idle connection that has nowhere to go, and one that has
sub two_ports {
	my ($n, $spread) = @_;
	my $text = site('third') =~ s/keepalive_min_timeout 30s;//r =~ s/worker_shutdown_spread \w+;/worker_shutdown_spread $spread;/r;

	$text =~ s/(?=listen )/listen 127.0.0.1:%%PORT_1%%; / if $n == 2;
	$lbd->configure($text);
	return is($lbd->reload, 1, 'a reload');
}
for my $spread ('1s', 'off') {
	two_ports(2, $spread);
	my @c = map { Lbd::Client->new($lbd->port($_)) } 0, 1;
	$_->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), $_->response for @c;
	two_ports(1, $spread);
	ok($c[1]->is_ended, "a silent connection of a listener that is gone is closed, spread $spread");
	ok(!$c[1]->{error}, 'without a reset');
	$c[0]->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	is($c[0]->response->{status}, 200, 'the other one goes on');
	$_->close for @c;
}

# --- a bound on generations ---

$lbd->configure(site('fourth', 'worker_generations_max 2;'));
my @busy;
my $asked = grep { /asked up/ } $origin->notes;
for (1 .. 3) {
	push @busy, Lbd::Client->new($port);
	$busy[-1]->send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
	$asked++;
	ok(wait_for(sub { $asked == grep { /asked up/ } $origin->notes }), 'an upload has begun');
	is($lbd->reload, 1, 'a reload');
}
ok($lbd->wait_log(qr/worker_generations_max is reached, ending generation \d+/), 'too many generations');
ok($busy[0]->is_ended && $busy[1]->is_ended, 'the oldest end');
$busy[2]->send('b');
is($busy[2]->response->{body}, '2 195', 'the last one goes on');
$_->close for @busy;

# --- program and modules ---

my $inode = (stat "/proc/$pid/exe")[1];
install(lbd_program(), "$bin/lbd");
install(hello(2), "$bin/hello.so");
$lbd->configure(site('fifth', 'pid logs/other.pid;'));
is($lbd->reload('USR2'), 1, 'a program and a module are replaced, USR2');
like($lbd->log, qr/generation \d+ is serving \(1 worker, \d+ ms; modules: hello 2 was 1\)/, 'the log names the module');
isnt((stat "/proc/$pid/exe")[1], $inode, 'the master runs the new program');
is(header(http_get($port, '/'), 'X-Module'), 2, 'the workers have the new module');
is($lbd->pid, $pid, 'its number is the same');
is(slurp($lbd->dir . '/logs/other.pid'), "$pid\n", 'and in the new pid file');
ok(!-e $lbd->pid_path, 'the old one is gone');
SKIP: {
	skip 'no full device', 3 unless -w '/dev/full';
	# a folder that cannot be made stands for a disk that is full
	$lbd->configure(site('sixth', 'pid /dev/full/lbd.pid;'));
	is($lbd->reload, 1, 'a pid file that cannot be written does not stop it');
	ok($lbd->wait_log(qr{could not write pid file "/dev/full/lbd\.pid"; ".*other\.pid" stays}), 'the log says so');
	is(slurp($lbd->dir . '/logs/other.pid'), "$pid\n", 'the old one stays');
}
ok(wait_for(sub { $lbd->is_drained }), 'all that is old ends');
is($lbd->stop('QUIT'), 0, 'the end');

# --- in the background ---

my $bg = Lbd->new(start => 0, conf => "daemon on;\n" . site('back'));
my ($code, $out) = $bg->run;
is("$code$out", 0, 'starts in the background');
$bg->{pid} = 0 + slurp($bg->pid_path);
is($bg->reload, 1, 'reloads there');
is(0 + slurp($bg->pid_path), $bg->{pid}, 'and is the same process');
is(readlink "/proc/$bg->{pid}/fd/1", '/dev/null', 'without a terminal');
$bg->signal('QUIT');
ok(wait_for(sub { !is_alive($bg->{pid}) }), 'ends');
$bg->check;

# --- one process ---

my $single = Lbd->new(conf => "master_process off;\n" . site('single'));
$single->signal('HUP');
ok($single->wait_log(qr/signal HUP received from \d+; no reload with "master_process off"/), 'no reload without a master');
like(http_get($single->port, '/')->{body}, qr/^single/, 'it goes on');
$single->stop;

done_testing;
