#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Every allocation that a worker makes for requests fails once: the exchange that needed it is refused or
# its connection closed, no other one is, and the worker lives on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $server = http_backend(sub {
	my ($q) = @_;

	return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi" if $q->{target} =~ /ws/;
	return [500, [], 'oops'] if $q->{target} =~ /oops/;
	return [200, ['X-A' => 'b'], 'y' x 100_000] if $q->{target} =~ /big/;
	return [200, [], "$q->{method} " . length $q->{body}];
});
my $a = $server->address;
my $nobody = free_port();
my $conf = <<"EOT";
http {
	log_format long '\$request \$status \$upstream_addr \$request_id';
	access_log logs/access.log long;
	upstream real { server $a; keepalive 4; }
	upstream failing { server 127.0.0.1:$nobody max_fails=0; server $a max_fails=0; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		add_header X-Uri \$request_uri;
		location / { return 200 "\$request_uri\\n"; }
		location /proxy/ { proxy_pass http://real; proxy_set_header X-Host \$host; }
		location /stream/ { proxy_pass http://real/; proxy_request_buffering off; proxy_buffering off; }
		location /fails/ { proxy_pass http://failing/; proxy_next_upstream error timeout; }
		location /own-error/ { proxy_pass http://real/; proxy_intercept_errors on; error_page 500 =200 /replaced; }
		location ~ ^/match/(?<x>\\d+)/(.*)\$ { rewrite ^/match/(.*)\$ /rewritten/\$1 last; }
		location /small/ { proxy_pass http://real; client_body_buffer_size 1k; }
	}
}
EOT
my $body = 'x' x 40_000;
my $chunks = "7530\r\n" . 'x' x 30_000 . "\r\n2710\r\n" . 'x' x 10_000 . "\r\n0\r\n\r\n";
my @requests = (
	["GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "/a\n"],
	["GET /b?" . 'c' x 3000 . " HTTP/1.1\r\nHost: a\r\nX-Long: " . 'd' x 5000 . "\r\n\r\n", "/b?" . 'c' x 3000 . "\n"],
	["GET /proxy/ HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n", 'GET 0'],
	["GET /proxy/big HTTP/1.1\r\nHost: a\r\n\r\n", 'y' x 100_000],
	["GET /stream/big HTTP/1.1\r\nHost: a\r\n\r\n", 'y' x 100_000],
	["POST /proxy/ HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n$body", 'POST 40000'],
	["POST /small/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n$chunks", 'POST 40000'],
	["POST /stream/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n$chunks", 'POST 40000'],
	["POST /stream/ HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n$body", 'POST 40000'],
	["HEAD /proxy/big HTTP/1.1\r\nHost: a\r\n\r\n", ''],
	["GET /fails/ HTTP/1.1\r\nHost: a\r\n\r\n", 'GET 0'],
	["GET /own-error/oops HTTP/1.1\r\nHost: a\r\n\r\n", "/own-error/oops\n"],
	["GET /match/12/x HTTP/1.1\r\nHost: a\r\n\r\n", "/match/12/x\n"],
	["GET /proxy/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n", 'hi'],
);

# Gives up before the server does, lest that ends what hangs.
sub client { return Lbd::Client->new($_[0], timeout => Lbd::Util::deadline() / 2) }

# What is wrong with the answer to a request, 'refused', or nothing.
sub judge {
	my ($c, $q) = @_;
	my ($bytes, $want) = @$q;
	my $r = $c->response((split / /, $bytes)[0]);
	my ($what) = $bytes =~ /^(\S+ \S{1,20})/;

	($r->{status}, $r->{body}) = (200, $c->read_all) if $r->{status} == 101;
	return "$what: no answer in time" if $c->{timed_out};
	$c->close if $r->{status} != 200 || !$r->{complete} || lc(header($r, 'Connection') // '') =~ /close|upgrade/;
	return undef if $r->{status} == 200 && $r->{complete} && $r->{body} eq $want;
	return 'refused' if $r->{status} == 200 ? index($want, $r->{body}) == 0 : $r->{status} =~ /^(?:0|50[023])$/;
	return "$what: status $r->{status}, " . length($r->{body}) . ' bytes';
}

# Each request, over one connection as long as it lasts, then all at once: how many were refused, and what was wrong.
sub round {
	my ($port) = @_;
	my ($c, @said);

	for my $q (@requests) {
		$c = client($port) if !$c || $c->{ended};
		$c->send($q->[0]);
		push @said, judge($c, $q) // ();
	}
	my @c = map { client($port) } @requests;
	$c[$_]->send($requests[$_][0]) for 0 .. $#c;
	push @said, judge($c[$_], $requests[$_]) // () for 0 .. $#c;
	return (scalar(grep { $_ eq 'refused' } @said), grep { $_ ne 'refused' } @said);
}

my ($n, $refused_in) = (0, 0);
while (1) {
	# one process is enough, and started the fastest
	my $lbd = Lbd->new(conf => "master_process off;\n$conf", env => { LBD_FAIL_ALLOC => ++$n });
	my ($refused, @wrong) = round($lbd->port);

	push @wrong, "$refused requests refused" if $refused > 1;
	push @wrong, 'it is gone' if !$lbd->is_running;
	$lbd->signal('QUIT');
	my $code = $lbd->wait_exit // 'never';
	push @wrong, "ended with $code" if $code ne '0';
	push @wrong, $lbd->complaints;
	my ($failed) = $lbd->log =~ /(\d+) of \d+ allocations failed/;
	push @wrong, 'nobody counted' if !defined $failed;
	$refused_in++ if $refused;
	if (@wrong) {
		fail "allocation $n";
		diag $_ for @wrong, $lbd->log, $lbd->output =~ /(==.*)/s;
	}
	$lbd->clean;
	last if !$failed || $n >= 1000;
}
cmp_ok $n, '<', 1000, "each of $n allocations failed once, one is refused at most";
cmp_ok $refused_in, '>', 0, 'some were noticed by a client';

# none at all from some point on: nothing is answered any more, and nothing ends either
for my $from (1, 5, 20, int($n * 2 / 3)) {
	my $lbd = Lbd->new(conf => $conf, workers => 1, env => { LBD_FAIL_ALLOC => "$from+" });
	my ($worker) = $lbd->workers;
	my ($refused, @wrong) = round($lbd->port);

	cmp_ok $refused, '>', 0, "no memory from allocation $from on: requests are refused";
	is "@wrong", '', 'and get no other answer';
	is "@{[ $lbd->workers ]}", $worker, 'the worker lives on';
	is $lbd->stop('QUIT'), 0, 'and ends when told to';
}
done_testing;
