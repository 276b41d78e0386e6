#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What a check finds out: servers that are well, and all the ways in which they are not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::INET;
use Lbd;
use Lbd::Control;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;

sub reset_now { setsockopt $_[0]->socket, SOL_SOCKET, SO_LINGER, pack('II', 1, 0); $_[0]->close }

# name => [what the server does with a connection, parameters of the check, state, reason]
my $dir = File::Temp::tempdir('lbd-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
my %case = (
	ok => [sub { [200, [], 'hello'] }, '', 'up', qr/status 200, 1\/1/],
	found => [sub { [302, [Location => '/x'], ''] }, '', 'up', qr/status 302/],
	missing => [sub { [404, [], 'x'] }, '', 'unhealthy', qr/^check "http": status 404, 1\/1$/],
	error => [sub { [500, [], 'x'] }, 'uri=/a?b', 'unhealthy', qr/^check "http \/a\?b": status 500, 1\/1$/],
	silent => [sub { sleep 30; undef }, 'timeout=200ms', 'unhealthy', qr/timed out while waiting for an answer/],
	closed => [sub { '' }, '', 'unhealthy', qr/connection closed before the response head was complete/],
	half => [sub { "HTTP/1.1 200 OK\r\nX" }, '', 'unhealthy', qr/connection closed before the response head was complete/],
	garbage => [sub { "hello\r\n\r\n" }, '', 'unhealthy', qr/check "http": \S/],
	cut => [sub { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf" }, '', 'unhealthy',
		qr/connection closed before the response body was complete/],
	reset => [sub { my (undef, undef, undef, $c) = @_; $c->send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
		reset_now($c); undef }, '', 'unhealthy', qr/connection (?:reset|closed)/],
	drip => [sub { my (undef, undef, undef, $c) = @_; $c->send("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n");
		while ($c->send('x')) { select undef, undef, undef, 0.02 } undef }, 'timeout=1s', 'unhealthy',
		qr/timed out while (?:reading the body|waiting)/],
	endless => [sub { my (undef, undef, undef, $c) = @_; $c->send("HTTP/1.1 200 OK\r\n\r\n");
		while ($c->send('x' x 1000)) { select undef, undef, undef, 0.02 } undef }, 'timeout=3s', 'up', qr/status 200/],
	head => [sub { my ($q) = @_; $q->{method} eq 'HEAD' ? "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" : [500] }, 'method=HEAD',
		'up', qr/status 200/],
	fields => [sub { my ($q) = @_; my $h = $q->{headers};
		[$q->{target} eq '/h' && $h->{host}[0] eq 'a.test' && $h->{'x-a'}[0] eq 'b c' && $h->{'user-agent'}[0] =~ /^lbd/ ? 200 : 500] },
		q(uri=/h host=a.test 'header=X-A: b c'), 'up', qr/status 200/],
	group => [sub { my ($q) = @_; [$q->{headers}{host}[0] eq 'group' ? 200 : 500] }, '', 'up', qr/status 200/],
	interim => [sub { "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, '', 'up', qr/status 200/],
	bighead => [sub { "HTTP/1.1 200 OK\r\n" . ("X: " . 'y' x 1000 . "\r\n") x 20 . "Content-Length: 0\r\n\r\n" }, '',
		'unhealthy', qr/head too big/],
	tcp => [sub { '' }, 'type=tcp', 'up', qr/check "tcp": connected/],
	m_status => [sub { [204, [], undef] }, 'match=only200', 'unhealthy', qr/status 204/],
	m_header => [sub { [200, ['X-State' => 'bad'], 'x'] }, 'match=state', 'unhealthy', qr/header X-State, 1/],
	m_header_ok => [sub { [200, ['X-State' => 'bad', 'X-State' => 'good'], 'x'] }, 'match=state', 'up', qr/status 200/],
	m_no_header => [sub { [200, [Refresh => '1'], 'x'] }, 'match=norefresh', 'unhealthy', qr/header Refresh/],
	m_body => [sub { [200, [], 'not yet'] }, 'match=ready', 'unhealthy', qr/check "http": body, 1\/1/],
	m_body_ok => [sub { [200, [], 'x' x 100_000 . ' Ready '] }, 'match=ready', 'up', qr/status 200/],
	m_body_late => [sub { [200, [], 'x' x (256 * 1024) . ' Ready '] }, 'match=ready', 'unhealthy', qr/body/],
	m_drain => [sub { [404, [], 'x'] }, 'match=drains', 'draining', qr/status 404/],
	unix => [sub { [200, [], 'x'] }, 'port=1', 'up', qr/status 200/, unix => "$dir/s.sock"],
);

# a server whose queue of connections is full
my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) // die "listen: $!";
my @waiting = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $full->sockport, Blocking => 0) } 1 .. 4;
my %port = (refused => free_port(), full => $full->sockport);
my (%backend, $groups);

for my $name (sort keys %case) {
	my ($script, $params, undef, undef, @more) = @{ $case{$name} };

	$backend{$name} = http_backend(sub { $script->(@_) }, @more);
	$groups .= "upstream $name { server @{[$backend{$name}->address]}; health_check interval=100ms $params; }\n";
}
$case{refused} = [undef, '', 'unhealthy', qr/^check "http": connection refused, 1\/1$/];
$case{tcp_refused} = [undef, '', 'unhealthy', qr/^check "tcp :$port{refused}": connection refused, 1\/1$/];
$case{full} = [undef, '', 'unhealthy', qr/timed out while connecting/];
$case{tcp_full} = $case{full};

my $lbd = Lbd->new(conf => <<"EOT");
http {
	match only200 { status 200; }
	match state { status ! 500-599; header X-State = good; }
	match norefresh { header ! Refresh; }
	match ready { status 200; body ~* "\\bready\\b"; }
	match drains { drain status 404; status 200; }
	$groups
	upstream refused { server 127.0.0.1:$port{refused}; health_check interval=100ms; }
	upstream tcp_refused { server @{[$backend{ok}->address]}; health_check interval=100ms type=tcp port=$port{refused}; }
	upstream full { server 127.0.0.1:$port{full}; health_check interval=100ms timeout=200ms; }
	upstream tcp_full { server 127.0.0.1:$port{full}; health_check interval=100ms timeout=200ms type=tcp; }
	server { listen 127.0.0.1:%%PORT_0%%; location ~ ^/(?<name>\\w+)\$ { proxy_pass http://\$name; } }
}
EOT

for my $name (sort keys %case) {
	my (undef, undef, $state, $reason) = @{ $case{$name} };
	my $s;

	ok wait_for(sub {
		$s = control_server($lbd, $name) // return 0;
		# no line, and no reason, where nothing changed
		return $s->{state} eq $state && $s->{health_checks}{checks} > 1 && ($state eq 'up' || $s->{reason} =~ $reason);
	}), "$name: $state" or diag explain $s;
	is $s->{health_checks}{fails}, 0, "$name: no failures" if $state eq 'up';
}
is http_get($lbd->port, '/ok')->{status}, 200, 'servers that are well get requests';
is http_get($lbd->port, '/error')->{status}, 502, 'others do not';
is http_get($lbd->port, '/m_drain')->{status}, 502, 'nor those that drain';
ok $lbd->wait_log(qr/\[warn\] .*upstream "missing" server "127\.0\.0\.1:\d+": up -> unhealthy \(check "http": status 404, 1\/1\)$/m),
	'a line says what happened';
my $lines = () = $lbd->log =~ /upstream "missing" server/g;
is $lines, 1, 'one line';

$lbd->stop;
done_testing;
