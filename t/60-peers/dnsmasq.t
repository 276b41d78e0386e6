#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# dnsmasq as the name server: names with no, one and a hundred addresses, services, changes, its end; traffic
# that does not notice any of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Peers;
use Test::More;

my $back = http_backend(sub { [200, [], 'ok'] }, host => '0.0.0.0');
my $p = $back->port;
my $dns = peer_dnsmasq("srv-host=_http._tcp.srv.test,one.test,$p,10,3", "srv-host=_http._tcp.srv.test,two.test,$p,20,1");

sub hosts {
	my (%names) = @_;
	my $text = join '', map { my $n = $_; map { "$_ $n\n" } @{ $names{$n} } } sort keys %names;

	spew("$dns->{dir}/hosts", $text);
	kill HUP => $dns->pid;
}

my @hundred = map { "127.0.1.$_" } 1 .. 100;
my %names = ('one.test' => ['127.0.0.2'], 'two.test' => ['127.0.0.3', '127.0.0.4'], 'many.test' => \@hundred,
	'six.test' => ['::1']);

hosts(%names);
my $lbd = Lbd->new(allow => [qr/exited on signal 9/], conf => <<EOT);
http {
	resolver 127.0.0.1:@{[$dns->port]} valid_min=100ms valid_max=200ms timeout=500ms;
	add_header X-Up \$upstream_addr always;
	upstream two { server two.test:$p resolve; discover_policy remove_delay=0; }
	upstream many { server many.test:$p resolve; discover_policy remove_delay=0; }
	upstream none { server none.test:$p resolve; }
	upstream srv { server srv.test service=http resolve; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /two { proxy_pass http://two; }
		location /many { proxy_pass http://many; }
		location /none { proxy_pass http://none; }
		location /srv { proxy_pass http://srv; }
		location /direct { proxy_pass http://one.test:$p; }
	}
}
EOT

my $failed = 0;

sub who {
	my ($group, $n) = @_;
	my %seen;

	for (1 .. $n // 8) {
		my $r = http_get($lbd->port(0), "/$group");
		my $who = $r->{status} == 200 ? header($r, 'x-up') : $r->{status};

		$failed++ if $group eq 'two' && $r->{status} != 200;
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

becomes(many => join(' ', sort @hundred), 'a hundred addresses', 110);
becomes(two => '127.0.0.3 127.0.0.4', 'two addresses');
becomes(srv => '127.0.0.2', 'a service');
becomes(direct => '127.0.0.2', 'a name in proxy_pass');
is(who('none', 2), '502', 'a name that is not there');

$failed = 0;
hosts(%names, 'two.test' => ['127.0.0.4', '127.0.0.5'], 'many.test' => [@hundred[0 .. 49]], 'one.test' => ['127.0.0.9'],
	'none.test' => ['127.0.0.6']);
becomes(two => '127.0.0.4 127.0.0.5', 'one comes, one goes');
becomes(many => join(' ', sort @hundred[0 .. 49]), 'half of a hundred go', 60);
becomes(direct => '127.0.0.9', 'another address of the name in proxy_pass');
becomes(none => '127.0.0.6', 'a name that came to be');
hosts();
my $asked = sub { my $n = () = $lbd->log =~ /the name "two.test" \(A\) (?:does not exist|has no records)/g; $n };
ok(wait_for($asked), 'all names are gone');
is(who('two'), '127.0.0.4 127.0.0.5', 'live groups are not emptied');
hosts(%names);
becomes(two => '127.0.0.3 127.0.0.4', 'they are back');
$dns->stop;
ok($lbd->wait_log(qr/could not look up "two.test"/), 'dnsmasq has ended');
ok($lbd->reload, 'a reload meanwhile');
is(who('two'), '127.0.0.3 127.0.0.4', 'changes nothing');
my ($control) = $lbd->control;
kill KILL => $control;
ok(wait_for(sub { my ($c) = $lbd->control; defined $c && $c != $control }), 'nor does the end of control');
is(who('two'), '127.0.0.3 127.0.0.4', 'for the servers');
is($failed, 0, 'no request has failed');
$lbd->stop;

done_testing;
