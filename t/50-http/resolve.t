#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Servers that a name server knows: server NAME resolve, services, what comes and goes, and name servers
# that are silent or lie.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Dns;
use Test::More;

my $back = http_backend(sub { [200, [], 'ok'] }, host => '0.0.0.0');
my $p = $back->port;
my $dns = dns_server(
	'app.test' => { A => ['127.0.0.2', '127.0.0.3'], ttl => 0 },
	'one.test' => { A => ['127.0.0.2'] },
	'alias.test' => { CNAME => 'one.test' },
	'late.test' => { lie => 'silent', A => ['127.0.0.7'] },
	'many.test' => { A => [map { "127.0.1.$_" } 1 .. 100] },
	'_http._tcp.srv.test' => { SRV => [[1, 5, $p, 'one.test'], [2, 0, $p, 'back.test']] },
	'back.test' => { A => ['127.0.0.9'] },
	(map { ("$_.lie.test" => { lie => $_, A => ['127.0.0.8'] }) }
		qw(silent servfail refused wrong_id wrong_question wrong_source loop cut garbage empty)),
	'truncate.test' => { lie => 'truncate', A => ['127.0.0.4'] },
	'giant.test' => { lie => 'giant', A => ['127.0.0.5'] },
);
my $silent = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') or die "socket: $!";
my @lies = qw(silent servfail refused wrong_id wrong_question wrong_source loop cut garbage empty);
my $resolver = "resolver 127.0.0.1:@{[$dns->port]} ipv6=off valid_min=100ms valid_max=200ms timeout=100ms;";

sub groups {
	return join "\n", map { "upstream g_$_->[0] { zone z_$_->[0] 64k; $_->[1] }" } @_;
}

my $lbd = Lbd->new(allow => [qr/control process \d+ exited on signal 9/], conf => <<EOT);
http {
	$resolver
	resolver_timeout 1s;
	add_header X-Up \$upstream_addr always;
	@{[groups(
		[app => "server app.test:$p resolve; discover_policy remove_delay=0;"],
		[alias => "server alias.test:$p resolve;"],
		[none => "server nowhere.test:$p resolve;"],
		[late => "server late.test:$p resolve;"],
		[many => "server many.test:$p resolve; discover_policy remove_delay=0;"],
		[srv => "server srv.test service=http resolve;"],
		[big => "server truncate.test:$p resolve; server giant.test:$p resolve;"],
		[both => "server 127.0.0.1:$p; server nowhere.test:$p resolve backup;"],
		[fail => "resolver 127.0.0.1:@{[$silent->sockport]} 127.0.0.1:@{[$dns->port]} ipv6=off timeout=100ms
			valid_min=100ms; server one.test:$p resolve;"],
		[lie => join ' ', map { "server $_.lie.test:$p resolve;" } @lies],
		[seen => "server one.test:$p resolve max_fails=3;"])]}
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location ~ ^/(?<g>\\w+) { proxy_pass http://g_\$g; }
	}
}
EOT

# The addresses that answer n requests, sorted, each once; a status in the place of an address.
sub who {
	my ($group, $n) = @_;
	my %seen;

	for (1 .. $n // 12) {
		my $r = http_get($lbd->port(0), "/$group");
		my $who = $r->{status} == 200 ? header($r, 'x-up') : $r->{status};

		$who =~ s/.*, //;
		$who =~ s/:$p$//;
		$seen{$who} = 1;
	}
	return join ' ', sort keys %seen;
}

sub becomes {
	my ($group, $want, $name, $n) = @_;
	my $got = '';

	wait_for(sub { ($got = who($group, $n)) eq $want });
	is($got, $want, $name);
}

becomes(app => '127.0.0.2 127.0.0.3', 'both addresses of a name');
becomes(alias => '127.0.0.2', 'of an alias');
becomes(none => '502', 'nobody knows it: 502, and lbd has started');
becomes(both => '127.0.0.1', 'what is not found is in nobody\'s way');
becomes(big => '127.0.0.4 127.0.0.5', 'by TCP when the answer was cut; a datagram with much behind it');
becomes(many => join(' ', sort map { "127.0.1.$_" } 1 .. 100), 'a hundred addresses', 110);
becomes(srv => '127.0.0.2', 'a service: the lowest priority');
becomes(fail => '127.0.0.2', 'the next name server when one is silent');
ok((grep { $_->[2] eq 'tcp' } $dns->queries) > 0, 'TCP was used');
my %ports = map { $_->[3] => 1 } grep { $_->[2] eq 'udp' } $dns->queries;
ok(keys %ports > 10, 'questions come from many ports');

# --- changes ---

$dns->says('app.test' => { A => ['127.0.0.3', '127.0.0.4'], ttl => 0 });
becomes(app => '127.0.0.3 127.0.0.4', 'one goes, one comes');
ok($lbd->wait_log(qr/upstream "g_app": server "app.test:$p" added \(127.0.0.4:$p, dns app.test:$p\)/), 'both');
ok($lbd->wait_log(qr/upstream "g_app": server "app.test:$p" removed \(127.0.0.2:$p/), 'are logged');
$dns->says('many.test' => { A => [map { "127.0.1.$_" } 51 .. 100] });
becomes(many => join(' ', sort map { "127.0.1.$_" } 51 .. 100), 'half of a hundred go', 60);
$dns->says('app.test' => { A => [], ttl => 0 });
ok($dns->wait_queries(3, 'app.test'), 'the name has no address any more');
is(who('app'), '127.0.0.3 127.0.0.4', 'a live group is not emptied');
$dns->says('app.test' => undef);
ok($dns->wait_queries(3, 'app.test'), 'nor is the name there');
is(who('app'), '127.0.0.3 127.0.0.4', 'still');
for my $lie (@lies) {
	$dns->says('app.test' => { lie => $lie, A => ['127.0.0.66'] });
	ok($dns->wait_queries(2, 'app.test'), "the name server: $lie");
	is(who('app', 4), '127.0.0.3 127.0.0.4', '... changes nothing');
}
$dns->says('app.test' => { A => ['127.0.0.2'], ttl => 0 });
becomes(app => '127.0.0.2', 'an honest answer does');
is(who('lie', 3), '502', 'who only ever lied is never believed');
$dns->says('late.test' => { A => ['127.0.0.7'] });
becomes(late => '127.0.0.7', 'who answers at last is');
$dns->says('one.test' => undef, 'back.test' => { A => ['127.0.0.9'] });
$dns->says('_http._tcp.srv.test' => { SRV => [[2, 0, $p, 'back.test']] });
becomes(srv => '127.0.0.9', 'another priority, another target');

# --- gone and back ---

$dns->stop;
ok($lbd->wait_log(qr/could not look up "app.test" \(A\): .*; the last answer is used/), 'the name server ends');
is(who('app'), '127.0.0.2', 'what it said last holds');
$dns->says('app.test' => { A => ['127.0.0.6'], ttl => 0 });
$dns->start;
becomes(app => '127.0.0.6', 'it is back');

# --- control, reload ---

my ($control) = $lbd->control;
kill KILL => $control;
ok(wait_for(sub { my ($c) = $lbd->control; defined $c && $c != $control }), 'control was killed, and is there again');
is(who('app'), '127.0.0.6', 'the servers stay');
$dns->says('app.test' => { A => ['127.0.0.5', '127.0.0.6'], ttl => 0 });
becomes(app => '127.0.0.5 127.0.0.6', 'the next control goes on');
$dns->stop;
ok($lbd->reload, 'a reload while the name server is away');
is(who('app'), '127.0.0.5 127.0.0.6', 'begins with what was known');
is(who('late'), '127.0.0.7', 'of all groups');
$lbd->stop;

done_testing;
