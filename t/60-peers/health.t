#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Checks of nginx and Python's http.server: files that come and go, connections that are kept,
# servers that are stopped.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Control;
use Lbd::Peers;
use Test::More;

my $root = tempdir(CLEANUP => 1);
chmod 0755, $root;

sub look {
	my ($peer, $params) = @_;
	my $address = $peer->address;

	spew("$root/ready", "ready\n");
	my $lbd = Lbd->new(conf => <<"EOT");
http {
	match ready { status 200; header Server; body ~ "^ready"; }
	upstream real {
		server $address;
		health_check interval=50ms uri=/ready match=ready host=localhost $params;
		health_check interval=50ms type=tcp timeout=1s;
	}
	server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://real; } }
}
EOT

	ok wait_for(sub { (control_server($lbd, 'real')->{health_checks}{checks} // 0) > 5 }), 'is checked';
	is control_server($lbd, 'real')->{health_checks}{fails}, 0, 'and well';
	unlink "$root/ready";
	like wait_server($lbd, 'real', undef, 'unhealthy')->{reason}, qr/"http \/ready": status 404, 1\/1/, 'the file is gone';
	is http_get($lbd->port, '/')->{status}, 502, 'no requests';
	spew("$root/ready", "not ready\n");
	ok wait_for(sub { $lbd->log =~ /check "http \/ready"/ && control_server($lbd, 'real')->{state} eq 'unhealthy' }), 'another file';
	spew("$root/ready.new", "ready\n");
	rename "$root/ready.new", "$root/ready";
	is wait_server($lbd, 'real', undef, 'up')->{state}, 'up', 'the right one';
	is http_get($lbd->port, '/ready')->{body}, "ready\n", 'requests';
	$peer->stop;
	like wait_server($lbd, 'real', undef, 'unhealthy')->{reason}, qr/connection (?:refused|closed|reset)/, 'it is stopped';
	$lbd->stop;
}

for my $params ('', 'keepalive_time=1m') {
	subtest "nginx $params" => sub {
		plan skip_all => 'nginx is not installed' if !has_program('nginx');
		look(peer_nginx($root), $params);
	};
	subtest "python $params" => sub {
		plan skip_all => 'python3 is not installed' if !has_program('python3');
		look(peer_python($root), $params);
	};
}

done_testing;
