#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Clients that go away at any moment, with an end or a reset: nothing of them stays, and others do not notice.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $origin = backend(sub {
	my ($c, $n, $b) = @_;
	my $q = $c->request // return;

	if ($q->{target} =~ /wait/) {
		$b->note('asked');
		$c->read_all;
		$b->note('left alone');
		return;
	}
	$c->send(http_bytes(200, [Connection => 'close'], 'x' x ($q->{target} =~ /(\d+)/ ? $1 : 1)));
	$c->read_all;
});
my $sink = backend(sub {
	my ($c, $n, $b) = @_;

	$c->read_until(qr/\r\n\r\n/) // return;
	$b->note('asked');
	$c->read_all;
	$b->note('left alone');
});
my $lbd = Lbd->new(workers => 1, conf => <<"EOT");
http {
	client_max_body_size 10m;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "ok"; }
		location /big { return 200 @{[ 'x' x 4000 ]}; }
		location /p/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
		location /w/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; proxy_read_timeout 1s; }
		location /unbuffered/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; proxy_buffering off; }
		# io_uring may keep a reset that came right behind data to itself: then the timeout ends it
		location /u/ { client_body_timeout 1s; proxy_pass http://127.0.0.1:@{[ $sink->port ]}; proxy_request_buffering off; }
		location /i/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; proxy_ignore_client_abort on; }
	}
}
EOT
my ($worker) = $lbd->workers;
sub sockets { return scalar grep { (readlink($_) // '') =~ /^socket:/ } glob "/proc/$worker/fd/*" }
# pipes for large bodies are kept, a few
sub pipes { return scalar grep { (readlink($_) // '') =~ /^pipe:/ } glob "/proc/$worker/fd/*" }
sub open_files { my @f = glob "/proc/$worker/fd/*"; return @f - pipes() }

# every way once, so that what stays open stays
sub honest { return http_get($lbd->port, $_[0] // '/')->{status} }
honest($_) for '/', '/p/1';
my $idle;
ok(wait_for(sub { my $n = sockets(); my $same = defined $idle && $n == $idle; $idle = $n; $same && $n < 20 }), 'at rest');
my ($files, $pipes) = (open_files(), pipes());

my $head = "HTTP/1.1\r\nHost: a\r\n";
# what it does, what it sends, whether it waits for: an answer's begin (1), the server being asked (2), or nothing
my @steps = (
	['connects', '', 0],
	['sends a byte', 'G', 0],
	['half a line', 'GET / HT', 0],
	['half a head', "GET / $head", 0],
	['a request', "GET / $head\r\n", 0],
	['many requests', "GET /big $head\r\n" x 200, 0],
	['a bad request', "GET / HTTP/1.1\r\n\r\n" . 'x' x 100_000, 0],
	['a bad request, reads', "GET / HTTP/1.1\r\n\r\n" . 'x' x 1000, 1],
	['too large a body', "POST /p/ ${head}Content-Length: 99999999\r\n\r\n" . 'x' x 100_000, 0],
	['too large a body, reads', "POST /p/ ${head}Content-Length: 99999999\r\n\r\n" . 'x' x 100_000, 1],
	['a head with a body', "POST /p/ ${head}Content-Length: 1000\r\n\r\n", 0],
	['half a body', "POST /p/ ${head}Content-Length: 1000\r\n\r\n" . 'x' x 500, 0],
	['half a large body', "POST /p/ ${head}Content-Length: 1000000\r\n\r\n" . 'x' x 500_000, 0],
	['half a chunked body', "POST /p/ ${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhe", 0],
	['half a body nobody reads', "POST / ${head}Content-Length: 1000\r\n\r\n" . 'x' x 500, 0],
	['half a body nobody reads, reads', "POST / ${head}Content-Length: 1000\r\n\r\n" . 'x' x 500, 1],
	['asks to be asked', "POST /p/ ${head}Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n", 1],
	['half a body that is passed on', "POST /u/ ${head}Content-Length: 1000000\r\n\r\n" . 'x' x 300_000, 2],
	['half a chunked body that is passed on', "POST /u/ ${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhe", 2],
	['a proxied request', "GET /p/1 $head\r\n", 0],
	['many proxied requests', "GET /p/1 $head\r\n" x 20, 0],
	['waits for the server', "GET /p/wait $head\r\n", 2],
	['waits for the server with a body', "POST /p/wait ${head}Content-Length: 5\r\n\r\nhello", 2],
	['waits, more behind', "GET /p/wait $head\r\n" . "GET / $head\r\n" x 10, 2],
	# more than lbd keeps, so that it does not see the end: the server's timeout ends it
	['waits, much more behind', "GET /w/wait $head\r\n" . "GET / $head\r\n" x 5000, 2],
	['a long response', "GET /p/9000000 $head\r\n", 0],
	['a long response, reads', "GET /p/9000000 $head\r\n", 1],
	['a long response without buffers, reads', "GET /unbuffered/9000000 $head\r\n", 1],
	['a long response to be ignored, reads', "GET /i/9000000 $head\r\n", 1],
	['a response to be ignored', "GET /i/1 $head\r\n", 0],
	['keeps alive', "GET / $head\r\n", 1],
);
for (@steps) {
	my ($what, $bytes, $waits) = @$_;

	for my $way ('close', 'reset') {
		my $asked = grep { /asked/ } $origin->notes, $sink->notes;
		my @c = map { Lbd::Client->new($lbd->port) } 1 .. 4;
		my $ready = 1;

		for my $c (@c) {
			$c->{timeout} = 0.2 if $what =~ /much more/; # lbd need not take it
			$c->send($bytes);
		}
		if ($waits == 1) {
			$ready &&= $_->until(sub { length $_->{buf} }) for @c;
		} elsif ($waits == 2) {
			$ready = wait_for(sub { grep({ /asked/ } $origin->notes, $sink->notes) == $asked + 4 });
		}
		ok($ready, "$what ...") if $waits;
		$_->$way for @c;
		ok(wait_for(sub { sockets() <= $idle }), "$what, then $way: nothing stays open");
		is(honest(), 200, 'others are served');
	}
}
ok(wait_for(sub { my @n = ($origin->notes, $sink->notes); grep({ /asked/ } @n) == grep({ /left alone/ } @n) }),
	'the servers were told');

# some stay a moment longer than their neighbours
my @mixed = map { my $c = Lbd::Client->new($lbd->port); $c->send($steps[$_ % @steps][1]) if $_ % @steps != 24; $c } 0 .. 61;
for my $i (0 .. $#mixed) {
	$i % 3 ? $mixed[$i]->reset : $mixed[$i]->close;
}
ok(wait_for(sub { sockets() <= $idle }), 'all kinds at once: nothing stays open');
is(honest('/p/1'), 200, 'it serves');
ok(wait_for(sub { open_files() <= $files }), 'no other file either');
cmp_ok(pipes(), '<=', $pipes + 16, 'but a few pipes');
is(join(' ', $lbd->workers), $worker, 'the worker has lived through it');
unlike($lbd->log, qr/\[(?:alert|crit|emerg)\]/, 'without an alarm');

$lbd->stop;
done_testing;
