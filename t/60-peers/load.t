#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Load generators: no request is lost, refused or answered wrongly.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Peers;
use Test::More;

plan skip_all => 'neither wrk nor ab is installed' if !has_program('wrk') && !has_program('ab');
my $haproxy = has_program('haproxy') ? 1 : 0;
my $lbd = Lbd->new(start => 0, conf => '');
my $peer = $haproxy ? peer_haproxy($lbd->port(1)) : undef;
my $real = $haproxy ? $peer->address : '127.0.0.1:%%PORT_1%%';

$lbd->configure(<<"EOT");
http {
	upstream real { server $real; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "hello\\n"; }
		location /proxy/ { proxy_pass http://real/; }
		location /once/ { proxy_pass http://real/; proxy_set_header Connection close; }
	}
	server {
		listen 127.0.0.1:%%PORT_1%%;
		location / { return 200 "from behind\\n"; }
	}
}
EOT
$lbd->start;
my $url = 'http://127.0.0.1:' . $lbd->port;

SKIP: {
	skip 'no wrk', 1 if !has_program('wrk');
	for my $path ('/', '/proxy/', '/once/') {
		my ($code, $out) = run_program(has_program('wrk'), qw(-t1 -c64 -d2s --timeout 20s), "$url$path");

		is $code, 0, "wrk $path";
		unlike $out, qr/Socket errors|Non-2xx/, "wrk $path: no errors" or diag $out;
		like $out, qr/^\s*[1-9]\d* requests in/m, "wrk $path: answers";
	}
}
SKIP: {
	skip 'no ab', 1 if !has_program('ab');
	for my $path ('/', '/proxy/', '/once/') {
		for my $keep ([], ['-k']) {
			my ($code, $out) = run_program(has_program('ab'), '-q', @$keep, '-n', 2000, '-c', 20, "$url$path");
			my $name = join ' ', 'ab', @$keep, $path;

			is $code, 0, $name;
			like $out, qr/^Complete requests: +2000$/m, "$name: all are answered";
			like $out, qr/^Failed requests: +0$/m, "$name: none failed" or diag $out;
			unlike $out, qr/^Non-2xx/m, "$name: none was refused";
			like $out, qr/^Keep-Alive requests: +\d{4}$/m, "$name: over connections that are kept" if @$keep;
		}
	}
}

$lbd->stop;
done_testing;
