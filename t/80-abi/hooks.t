#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Modules' hooks in every phase of a request: their order, what they may return, waiting and going on,
# filters of the body, contexts that begin empty.  Phases of requests to servers are in upstream.t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Module;
use Test::More;

my $probe = module_so('probe', slurp("$FindBin::Bin/probe.c"));

# Modules that only put their name into a field, in an order of their own making.
my %order = (
	m0 => '.before = "m2, m3"',
	m1 => '.after = "m3"',
	m2 => '.before = "m1 nobody"',
	m3 => '.after = "nobody"',
	m4 => '.before = "m0"',
);
my @loads = map { 'load_module ' . module_so($_, <<"EOT") . ';' } qw(m1 m3 m0 m4 m2);
#include <lbd/http.h>
static enum lbd_hook_rc
run(struct lbd_http *x)
{
	(void)lbd_fields_add(&x->reply, x->pool, LBD_STR("X-Order"), LBD_STR("$_"));
	return LBD_NEXT;
}
static const struct lbd_http_hook hooks[] = { { .phase = LBD_REPLY_HEAD, .fn = run, $order{$_} }, { .fn = NULL } };
LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .name = "$_", .version = "1", .http_hooks = hooks };
EOT

my $backend = http_backend(sub {
	my ($q) = @_;

	return [200, ['Content-Type' => 'text/plain'], $q->{headers}{'x-else'} ? "else\n" : "Some Text\n"];
});
my $b = $backend->address;
my $lbd = Lbd->new(conf => <<"EOT");
load_module $probe;
@loads
http {
	log_format log '\$uri \$status';
	access_log logs/access.log log;
	add_header X-Always 1 always;
	error_page 403 404 /page;
	error_page 405 = \@page;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { proxy_pass http://$b; }
		location /page { return 200 "page\n"; }
		location \@page { return 200 "named page\n"; }
		location \@else { proxy_pass http://$b; proxy_set_header X-Else 1; }
		location /else { proxy_pass http://$b; proxy_set_header X-Else 1; }
		location /shout { shout on; proxy_pass http://$b;
			location /shout/not { shout off; proxy_pass http://$b; }
			location /shout/twice { twice on; proxy_pass http://$b; } }
		location /none { }
	}
}
EOT
my $port = $lbd->port(0);

sub get {
	my ($target) = @_;
	my $r = http_get($port, $target);

	return "$r->{status} $r->{body} " . (header($r, 'X-Phases') // '-');
}

my $r = http_get($port, '/');
is join(' ', @{ $r->{headers}{'x-order'} }), 'm4 m0 m2 m3 m1', 'hooks run as before and after say, else by name'
	or diag $r->{head};
like $r->{head}, qr/^X-Phases: PRLACUVH\r$/m, 'every phase runs, in order';

# one connection, several exchanges: each has a context of its own, empty at first
my $c = Lbd::Client->new($port);
for my $n (1 .. 3) {
	$c->send("GET /else?n=$n HTTP/1.1\r\nHost: a\r\n\r\n");
	is_deeply $c->response->{headers}{'x-phases'}, ['PRLACUVH'], "exchange $n of a connection begins with nothing";
}
$c->close;

# phase, letters up to it
my @phases = (['post_read', 'P'], ['rewrite', 'PR'], ['preaccess', 'PRL'], ['access', 'PRLA'], ['precontent', 'PRLAC']);
for (@phases) {
	my ($phase, $letters) = @$_;

	$r = http_get($port, "/?$phase=403");
	is "$r->{status} $r->{body}", "403 page\n", "$phase refuses: the configured page";
	$r = http_get($port, "/?$phase=405");
	is "$r->{status} $r->{body}", "200 named page\n", "$phase refuses: the named page";
	$r = http_get($port, "/?$phase=409");
	is $r->{status}, 409, "$phase refuses";
	like $r->{body}, qr{<h1>409 Conflict</h1>}, "$phase refuses: the built-in page";
	is header($r, 'X-Phases'), "${letters}H", "$phase refuses: nothing runs behind it";
	is header($r, 'X-Always'), 1, "$phase refuses: fields of lbd are there";

	for my $how (qw(wait now done)) {
		$r = http_get($port, "/?$phase=$how");
		is "$r->{status} $r->{body}", "200 Some Text\n", "$phase: $how";
		like $r->{head}, qr/^X-Phases: PRLACUVH\r$/m, "$phase: $how: each hook ran once";
	}
	$r = http_get($port, "/?$phase=late");
	is "$r->{status} " . header($r, 'X-Phases'), "429 ${letters}H", "$phase: refused while it waits";
	$r = http_get($port, "/?$phase=text");
	is "$r->{status} $r->{body}", "200 said by a hook\n", "$phase: answers itself";
	$r = http_get($port, "/?$phase=/else");
	is "$r->{status} $r->{body}", "200 else\n", "$phase: redirects to a path";
	$r = http_get($port, "/?$phase=\@else");
	is "$r->{status} $r->{body}", "200 else\n", "$phase: redirects to a name";
	$r = http_get($port, "/?$phase=\@nowhere");
	is $r->{status}, 500, "$phase: redirects to a name there is not";
}
$r = http_get($port, '/none?precontent=wait');
is "$r->{status} $r->{body}", "404 page\n", 'nobody answers';
$r = http_get($port, '/?post_read=wait&rewrite=now&preaccess=wait&access=wait&precontent=wait');
is "$r->{status} " . header($r, 'X-Phases'), '200 PRLACUVH', 'waits in all of them';

# a client that leaves
$c = Lbd::Client->new($port);
$c->send("GET /left?access=never HTTP/1.1\r\nHost: a\r\n\r\n");
ok wait_for(sub { $c->socket->connected }), 'a client asks';
$c->close;
ok $lbd->wait_log(qr/phases PRLA status 499/), 'and leaves while a hook waits: the log phase runs';
$c = Lbd::Client->new($port);
$c->send("GET /left?access=wait HTTP/1.1\r\nHost: a\r\n\r\n" x 3);
$c->close;

# heads
$r = http_get($port, '/?status=207');
is $r->{line}, 'HTTP/1.1 207 As Asked', 'a hook changes status and reason';
$r = http_raw($port, "GET / HTTP/9.9\r\n\r\n");
like $r, qr/^HTTP\/1\.1 (?:400|505) .*^X-Phases: H\r$/ms, 'a request that cannot be read has a context, too';

# bodies
is http_get($port, '/shout')->{body}, "SOME TEXT\n", 'a filter changes the body';
is http_get($port, '/shout/not')->{body}, "Some Text\n", 'where it is configured';
$r = http_get($port, '/shout/twice');
is "$r->{body} $r->{complete}", "SOME TEXT\nSOME TEXT\n 1", 'and its length';
is header($r, 'Content-Length'), undef, 'which is not announced then';
$r = http_request($port, '/shout/twice', version => '1.0');
is $r->{body}, "SOME TEXT\nSOME TEXT\n", 'nor to HTTP/1.0';
$r = http_request($port, '/shout', method => 'HEAD');
is "$r->{status} " . header($r, 'Content-Length'), '200 10', 'HEAD';

ok $lbd->wait_log(qr/phases PRLACUVH status 200/), 'the log phase saw everything';
$lbd->stop;
done_testing();
