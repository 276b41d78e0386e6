#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Clients written with the libraries of Python and Node, and a Node server behind lbd.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Peers;
use Test::More;

my $node = peer_node();
my $a = $node->address;
my $lbd = Lbd->new(conf => <<"EOT");
http {
	client_max_body_size 0;
	upstream node { server $a; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { proxy_pass http://node; }
		location /stream/ { proxy_pass http://node/; proxy_request_buffering off; proxy_buffering off; }
		location /trailers/ { proxy_pass http://node/; proxy_pass_trailers on; }
		location /hints/ { proxy_pass http://node/; early_hints 1; }
		location /patient/ { proxy_pass http://node/; proxy_ignore_client_abort on; }
	}
}
EOT
my $here = ($ENV{LBD_SRC} // '.') . '/t/60-peers';

client_checks('node', "$here/client.js", $lbd->port);
SKIP: {
	skip 'python3 is not installed', 1 if !has_program('python3');
	client_checks('python3', "$here/client.py", $lbd->port);
}

$lbd->stop;
done_testing;
