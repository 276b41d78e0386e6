#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# A balancing method of a module's own, which counts: begin() and done() enclose every use of a server exactly
# once, in the same process, whatever becomes of the request.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Module;
use Test::More;

my $probe = module_so('counting', <<'EOT');
#include <stdatomic.h>

#include <lbd/balancer.h>
#include <lbd/module.h>
#include <lbd/var.h>

/* All processes' together; of all groups. */
static struct counts {
	_Atomic(uint64_t) begun, ended, wrong, ok, failed, uncounted, connected, heads, lasts;
} *counts;
static int64_t mine; /* of this process: begun and not ended */

static struct lbd_server *
count_pick(struct lbd_upstream *up, struct lbd_candidates *c, struct lbd_pick *p)
{
	(void)up, (void)p;
	return c->v[0];
}

static void
count_begin(struct lbd_upstream *up, struct lbd_server *s)
{
	(void)up;
	mine++;
	atomic_fetch_add(&counts->begun, 1);
	atomic_fetch_add(&s->state->balancer[2], 1);
	if (atomic_load(&s->state->in_flight) == 0)
		atomic_fetch_add(&counts->wrong, 1);
}

static void
count_done(struct lbd_upstream *up, struct lbd_server *s, const struct lbd_pick_result *r)
{
	(void)up;
	atomic_fetch_add(&counts->ended, 1);
	if (--mine < 0 || atomic_fetch_sub(&s->state->balancer[2], 1) <= 0)
		atomic_fetch_add(&counts->wrong, 1);
	if (r->header_us >= 0 && r->connect_us > r->header_us)
		atomic_fetch_add(&counts->wrong, 1);
	if (r->last_us >= 0 && (r->last_us < r->header_us || r->outcome != LBD_PICK_OK))
		atomic_fetch_add(&counts->wrong, 1);
	atomic_fetch_add(r->outcome == LBD_PICK_OK ? &counts->ok
		: lbd_pick_failed(r->outcome) ? &counts->failed : &counts->uncounted, 1);
	atomic_fetch_add(&counts->connected, r->connect_us >= 0);
	atomic_fetch_add(&counts->heads, r->header_us >= 0);
	atomic_fetch_add(&counts->lasts, r->last_us >= 0);
}

static int
count_init(struct lbd_conf *cf, struct lbd_upstream *up)
{
	if (counts == NULL)
		counts = lbd_balancer_share(cf, sizeof(*counts));
	lbd_balancer_set_data(up, counts);
	return counts == NULL ? -1 : 0;
}

static const struct lbd_balancer balancers[] = {
	{ .name = "count", .why = "count", .caps = LBD_BALANCER_BACKUP, .init = count_init,
	  .pick = count_pick, .begin = count_begin, .done = count_done },
	{ 0 }
};

static int
set_count(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	return lbd_balancer_use(cf, &balancers[0]);
}

static bool
get_counts(void *subject, struct lbd_pool *pool, const struct lbd_variable *v, struct lbd_str rest,
	   struct lbd_str *out)
{
	(void)subject, (void)v, (void)rest;
	*out = lbd_pool_printf(pool, "begun %u ended %u wrong %u ok %u failed %u uncounted %u connected %u heads %u lasts %u",
		(unsigned)counts->begun, (unsigned)counts->ended, (unsigned)counts->wrong, (unsigned)counts->ok,
		(unsigned)counts->failed, (unsigned)counts->uncounted, (unsigned)counts->connected,
		(unsigned)counts->heads, (unsigned)counts->lasts);
	return out->p != NULL;
}

static const struct lbd_directive directives[] = {
	{ .name = "count", .where = LBD_UPSTREAM, .type = LBD_T_CUSTOM, .set = set_count, .syntax = "", .help = "counts" },
	{ 0 }
};
static const struct lbd_variable variables[] = { { .name = "counts", .get = get_counts }, { .name = NULL } };

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER, .name = "counting", .version = "1", .summary = "counts", .directives = directives,
	.http_variables = variables, .balancers = balancers,
};
EOT

my $server = backend(sub {
	my ($c, $n, $b) = @_;

	while (my $q = $c->request) {
		my $what = $q->{target} =~ m{^/(\w+)} ? $1 : '';

		$b->note("asked $what");
		if ($what eq 'close') {
			return;
		} elsif ($what eq 'reset') {
			return $c->reset;
		} elsif ($what eq 'hang') {
			return $c->is_ended;
		} elsif ($what eq 'part') {
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
			return;
		} elsif ($what eq 'stall') {
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
			return $c->is_ended;
		} elsif ($what eq 'large') {
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
			$c->send('x' x 10_000_000) or return;
		} elsif ($what eq 'garbage') {
			return $c->send("nonsense\r\n\r\n");
		} elsif ($what eq 'upgrade') {
			$c->send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
			return $c->is_ended;
		} elsif ($what =~ /^s(\d+)$/) {
			$c->send(http_bytes($1, $1 == 302 ? [Location => '/x'] : [], $1 == 304 ? '' : 'status'));
		} elsif ($what eq 'accel') {
			$c->send(http_bytes(200, ['X-Accel-Redirect' => '/ok/accel'], 'not this'));
		} else {
			$c->send(http_bytes(200, [], 'fine'));
		}
	}
});
my $a = $server->address;
my $refused = '127.0.0.1:' . free_port();
my $lbd = Lbd->new(conf => <<"EOT");
load_module $probe;
http {
	access_log off;
	upstream one { count; server $a max_fails=0; retry_budget 100; }
	upstream two { count; server $refused max_fails=0; server $a max_fails=0; retry_budget 100; }
	upstream three { count; server $a max_fails=0; server $a max_fails=0; server $a max_fails=0; retry_budget 100; }
	upstream spare { count; server $refused; server $a backup; retry_budget 100; }
	upstream last { count; server $refused fail_timeout=1h; server 127.0.0.2:1 fail_timeout=1h; retry_budget 100; }
	upstream full { count; server $a max_conns=1 max_fails=0; queue 5 timeout=20s; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		proxy_next_upstream error timeout invalid_header http_500 http_503 http_404;
		location /counts { return 200 "\$counts"; }
		location /ok { proxy_pass http://one/; }
		location /one/ { proxy_pass http://one/; }
		location /two/ { proxy_pass http://two/; }
		location /three/ { proxy_pass http://three/; }
		location /spare/ { proxy_pass http://spare/; }
		location /last/ { proxy_pass http://last/; }
		location /full/ { proxy_pass http://full/; }
		location /head/ { proxy_pass http://one/; proxy_header_timeout 50ms; }
		location /read/ { proxy_pass http://one/; proxy_read_timeout 50ms; }
		location /whole/ { proxy_pass http://three/; proxy_request_timeout 100ms; proxy_next_upstream_backoff 80ms; }
		location /page/ { proxy_pass http://one/; proxy_intercept_errors on; error_page 404 500 /ok; }
		location /once/ { proxy_pass http://one/; proxy_http_version 1.0; proxy_buffering off; }
	}
}
EOT
my $port = $lbd->port;

sub counts { return { split / /, http_get($port, '/counts')->{body} } }

my %sum; # as expected
sub settled {
	my ($name, %more) = @_;
	my $c;

	$sum{$_} += $more{$_} // 0 for qw(ok failed uncounted heads lasts);
	my $all = $sum{ok} + $sum{failed} + $sum{uncounted};
	my $well = wait_for(sub { $c = counts(); $c->{begun} == $all && $c->{ended} == $all }, 10);
	is_deeply({ map { $_ => $c->{$_} } 'begun', 'ended', 'wrong', keys %sum },
		{ begun => $all, ended => $all, wrong => 0, %sum }, $name);
	$sum{$_} = $c->{$_} for keys %sum; # one mistake is told once
}

# ... where it may end in more than one way
sub ended {
	my ($name) = @_;
	my $c;

	ok wait_for(sub { $c = counts(); $c->{begun} == $c->{ended} }, 10), "$name: all have ended";
	is $c->{wrong}, 0, "$name: once";
	$sum{$_} = $c->{$_} for keys %sum;
}

sub ask { return http_request($port, @_)->{status} }

# target => status, what is counted
for (
	['/one/x', 200, ok => 1, heads => 1, lasts => 1],
	['/once/x', 200, ok => 1, heads => 1, lasts => 1],
	['/one/s304', 304, ok => 1, heads => 1, lasts => 1],
	['/one/s302', 302, ok => 1, heads => 1, lasts => 1],
	['/one/large', 200, ok => 1, heads => 1, lasts => 1],
	['/one/accel', 200, ok => 2, heads => 2, lasts => 2],
	['/one/close', 502, failed => 1],
	['/one/reset', 502, failed => 1],
	['/one/garbage', 502, failed => 1],
	['/one/s500', 500, failed => 1, heads => 1],
	['/one/s404', 404, uncounted => 1, heads => 1],
	['/two/x', 200, failed => 1, ok => 1, heads => 1, lasts => 1],
	['/two/s503', 503, failed => 2, heads => 1],
	['/three/s500', 500, failed => 3, heads => 3],
	['/three/garbage', 502, failed => 3],
	['/spare/x', 200, failed => 1, ok => 1, heads => 1, lasts => 1],
	['/spare/x', 200, ok => 1, heads => 1, lasts => 1],
	['/last/x', 502, failed => 2],
	['/last/x', 502, failed => 2], # the one that is never ejected, then the last resort
	['/head/hang', 504, failed => 1],
	['/read/hang', 504, failed => 1],
	['/page/s404', 404, uncounted => 1, ok => 1, heads => 2, lasts => 1],
) {
	my ($target, $status, %more) = @$_;

	is ask($target), $status, $target;
	settled($target, %more);
}
is ask('/one/x', method => 'HEAD'), 200, 'HEAD';
settled('HEAD', ok => 1, heads => 1, lasts => 1);
is ask('/three/x', method => 'POST', body => 'x' x 100_000), 200, 'POST';
settled('POST', ok => 1, heads => 1, lasts => 1);

# broken off by the server, or by time, in the middle of the answer
http_get($port, '/one/part');
my $c = counts();
is $c->{begun} - $sum{ok} - $sum{failed} - $sum{uncounted}, 1, 'an answer that breaks off';
ended('an answer that breaks off');
http_get($port, '/read/stall');
ended('an answer that stalls');

# the client goes: while the server thinks, in the middle of an answer, of an upload, of a tunnel, in a queue
sub leave {
	my ($name, $bytes, $when, @how) = @_;
	my $client = Lbd::Client->new($port);
	my $seen = () = $server->notes;

	$client->send($bytes);
	$when->($client, $seen);
	$client->reset;
	settled($name, @how);
}
my $asked = sub { my (undef, $seen) = @_; wait_for(sub { $server->notes > $seen }) };
leave('leaves a server that thinks', "GET /one/hang HTTP/1.1\r\nHost: a\r\n\r\n", $asked, uncounted => 1);
leave('leaves in an answer', "GET /one/stall HTTP/1.1\r\nHost: a\r\n\r\n", sub { $_[0]->read_until(qr/part/) }, uncounted => 1, heads => 1);
leave('leaves a large answer', "GET /one/large HTTP/1.1\r\nHost: a\r\n\r\n", sub { $_[0]->read_until(qr/xxx/) }, uncounted => 1, heads => 1);
leave('leaves a tunnel', "GET /one/upgrade HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
	sub { $_[0]->read_until(qr/\r\n\r\n/) }, ok => 1, heads => 1);

is ask('/whole/hang'), 504, 'proxy_request_timeout';
ended('proxy_request_timeout');
is ask('/whole/close'), 504, 'in a pause between attempts';
ended('in a pause between attempts');

my $holder = Lbd::Client->new($port);
my $seen = () = $server->notes;
$holder->send("GET /full/hang HTTP/1.1\r\nHost: a\r\n\r\n");
$asked->(undef, $seen);
my @queued = map { Lbd::Client->new($port) } 1 .. 3;
$_->send("GET /full/x HTTP/1.1\r\nHost: a\r\n\r\n") for @queued;
$queued[0]->reset;
$holder->reset;
is $_->response->{status}, 200, 'one that waited' for @queued[1, 2];
ended('a queue'); # where the first may have been served before it left

$c = counts();
is $c->{wrong}, 0, 'begin and done in pairs';
cmp_ok $c->{connected}, '>=', $c->{heads}, 'who answers was connected';
$lbd->stop;
done_testing();
