#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Hosts to servers, and the addresses they listen on.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $lbd = Lbd->new(conf => <<'EOT');
%%EVENTS%%
http {
	access_log off;
	server { listen 127.0.0.1:%%PORT_0%%; server_name first.test; return 200 "first"; }
	server { listen 127.0.0.1:%%PORT_0%%; server_name www.Example.org; return 200 "exact"; }
	server { listen 127.0.0.1:%%PORT_0%%; server_name *.example.org; return 200 "head"; }
	server { listen 127.0.0.1:%%PORT_0%%; server_name .dot.test; return 200 "dot $server_name"; }
	server { listen 127.0.0.1:%%PORT_0%%; server_name www.example.*; return 200 "tail"; }
	server { listen 127.0.0.1:%%PORT_0%%; server_name "~^(?<user>\w+)\.(home)\.test$"; return 200 "re $user $2"; }
	server { listen 127.0.0.1:%%PORT_0%%; server_name ""; return 200 "empty"; }

	server { listen 127.0.0.1:%%PORT_1%%; server_name a.test; return 200 "a"; }
	server { listen 127.0.0.1:%%PORT_1%% default_server; server_name b.test; return 200 "b"; }
	server { listen 127.0.0.1:%%PORT_1%%; listen 127.0.0.1:%%PORT_2%%; server_name c.test; return 200 "c"; }

	server { listen unix:%%DIR%%/s.sock; return 200 "unix $server_name"; }
	server { listen *:%%PORT_3%%; return 200 "any"; }
	server { listen 127.0.0.2:%%PORT_3%%; return 200 "special"; }
}
EOT

sub host_is {
	my ($port, $host, $want) = @_;
	my $r = http_get($lbd->port($port), '/', Host => $host);

	is($r->{body}, $want, "host \"$host\" on port $port: $want");
}

host_is(0, @$_) for (
	['first.test', 'first'], ['www.example.org', 'exact'], ['WWW.EXAMPLE.ORG', 'exact'],
	['www.example.org.', 'exact'], ['www.example.org:8080', 'exact'], ['a.b.example.org', 'head'],
	['example.org', 'first'], ['dot.test', 'dot dot.test'], ['x.dot.test', 'dot dot.test'],
	['www.example.com', 'tail'], ['ann.home.test', 're ann home'], ['Ann.home.test', 're ann home'],
	['nowhere.test', 'first'], ['127.0.0.1', 'first'], ['[::1]', 'first'],
);
is(http_request($lbd->port(0), 'http://www.example.org/', headers => [Host => 'first.test'])->{body}, 'exact',
	'the target names the host, not the field');
like(http_raw($lbd->port(0), "GET / HTTP/1.0\r\n\r\n"), qr/empty$/, 'HTTP/1.0 without a host');
like(http_raw($lbd->port(0), "GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"), qr/empty$/, 'an empty host');

host_is(1, 'a.test', 'a');
host_is(1, 'x.test', 'b');
host_is(1, 'c.test', 'c');
host_is(2, 'a.test', 'c');

# one connection, several hosts
my $c = Lbd::Client->new($lbd->port(1));
for (['a.test', 'a'], ['c.test', 'c'], ['b.test', 'b']) {
	$c->send("GET / HTTP/1.1\r\nHost: $_->[0]\r\n\r\n");
	is($c->response->{body}, $_->[1], "$_->[0] on a kept connection");
}
$c->close;

is(http_get('unix:' . $lbd->dir . '/s.sock', '/')->{body}, 'unix ', 'a unix socket');
is(http_get('127.0.0.1:' . $lbd->port(3), '/')->{body}, 'any', 'any address');
is(http_get('127.0.0.2:' . $lbd->port(3), '/')->{body}, 'special', 'one address beside it');

$lbd->stop;
done_testing;
