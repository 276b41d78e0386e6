#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What must not wait: events of a server, pieces of an upload, interim responses; and connections made as told.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

# Waits until the other side has noted that line.
sub await {
	my ($b, $line) = @_;

	return wait_for(sub { grep { $_ eq $line } $b->notes });
}

# it closes after each answer, and says so: a POST on a connection that is going is nobody's to repeat
my @last = (Connection => 'close');
my $server = backend(sub {
	my ($c, $n, $b) = @_;
	my $head = $c->read_until(qr/\r\n\r\n/) // return;
	my ($what, $tag) = $head =~ m{^\w+ /\w+/(\w+)\?(\w+)};

	if ($what eq 'peer') {
		$c->send(http_bytes(200, \@last, $c->socket->peerhost));
	} elsif ($what eq 'events') { # the second one only when the client has the first
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
		$c->send("data: 2\n\n") if await($b, "$tag first");
	} elsif ($what eq 'early') { # answers before it has the body
		$c->send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
		$c->until(sub { 0 }) if $tag =~ /stays/;
	} elsif ($what eq 'upload') {
		my $te = $head =~ /^Transfer-Encoding: chunked/mi;

		$c->read_until($te ? qr/^5\r\nfirst\r\n/ : qr/^first/) // return;
		$b->note("$tag arrived");
		$c->read_until($te ? qr/^6\r\nsecond\r\n0\r\n\r\n/ : qr/^second/) // return;
		$c->send(http_bytes(200, \@last, 'both'));
	} elsif ($what eq 'hints') {
		$c->send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
		$c->send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
	}
});
my $a = $server->address;
my $gone = free_port();
my $lbd = Lbd->new(workers => 1, conf => <<"EOT");
http {
	upstream gone { server 127.0.0.1:$gone max_fails=1 fail_timeout=300ms; server 127.0.0.1:$gone down; no_live_action fail; }
	upstream none { server 127.0.0.1:$gone down; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /kept/ { proxy_pass http://$a; }
		location /hints/ { proxy_pass http://$a; early_hints 1; }
		location /off/ { proxy_pass http://$a; proxy_buffering off; proxy_request_buffering off; }
		location /bound/ { proxy_pass http://$a; proxy_bind 127.0.0.9; }
		location /boundvar/ { proxy_pass http://$a; proxy_bind 127.0.0.\$arg_n; }
		location /plain/ { proxy_pass http://$a; proxy_bind off; proxy_socket_keepalive on; proxy_socket_rcvbuf 64k;
			proxy_socket_sndbuf 64k; }
		location /none/ { proxy_pass http://none; }
		location /gone/ { proxy_pass http://gone; }
		location /wait/ { proxy_pass http://gone; proxy_next_upstream error no_live; proxy_next_upstream_tries 3; }
	}
}
EOT
my $port = $lbd->port(0);

for my $where (qw(kept off)) {
	my $c = Lbd::Client->new($port);

	$c->send("GET /$where/events?$where HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	ok defined $c->read_until(qr/data: 1\n\n/), "$where: the first event comes at once";
	$server->note("$where first");
	ok defined $c->read_until(qr/data: 2\n\n/), "$where: and the next";
}

for my $framing ('Content-Length: 11', 'Transfer-Encoding: chunked') {
	my $c = Lbd::Client->new($port);
	my ($tag) = lc($framing) =~ /^(\w+)/;
	my $te = $tag eq 'transfer';

	$c->send("POST /off/upload?$tag HTTP/1.1\r\nHost: a\r\n$framing\r\n\r\n" . ($te ? "5\r\nfirst\r\n" : 'first'));
	ok await($server, "$tag arrived"), "$framing: the first part is there before the second is sent";
	$c->send($te ? "6\r\nsecond\r\n0\r\n\r\n" : 'second');
	is $c->response->{body}, 'both', "$framing: both arrive";
}

for my $tag (qw(leaves stays)) {
	my $r = http_request($port, "/off/early?$tag", method => 'POST', body => 'x' x 500_000);

	is "$r->{status} $r->{body}", '413 big', "an answer before the whole body was sent: server $tag";
}

my $r = http_get($port, '/hints/hints?x');
is $r->{body}, 'ok', 'interim responses are not the answer';
is_deeply [map { $_->{status} } @{ $r->{interim} }], [103], 'early_hints: 103 passes, a 100 nobody asked for does not';
is header($r->{interim}[0], 'Link'), '</a.css>', 'with its fields';
$r = http_get($port, '/kept/hints?x');
is_deeply $r->{interim}, [], 'without early_hints it does not';
$r = http_request($port, '/hints/hints?x', version => '1.0');
is_deeply $r->{interim}, [], 'nothing of it to HTTP/1.0';

is http_get($port, '/bound/peer?x')->{body}, '127.0.0.9', 'proxy_bind';
is http_get($port, '/boundvar/peer?x&n=8')->{body}, '127.0.0.8', 'with a variable';
is http_get($port, '/plain/peer?x')->{body}, '127.0.0.1', 'off; other connections are not used for it';
is http_get($port, '/bound/peer?x')->{body}, '127.0.0.9', 'nor the other way round';

is http_get($port, '/gone/')->{status}, 502, 'nobody there';
is http_get($port, '/gone/')->{status}, 502, 'the last one is asked all the same';
is http_get($port, '/none/')->{status}, 502, 'nobody left';
ok $lbd->wait_log(qr/no live servers in "none"/), 'is logged';
my $back = backend(sub { my ($c) = @_; $c->request; $c->send(http_bytes(200, \@last, 'back')) }, port => $gone);
is http_get($port, '/wait/')->{body}, 'back', 'no_live waits until somebody is back';

$lbd->stop;
done_testing;
