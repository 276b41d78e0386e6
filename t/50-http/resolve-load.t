#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Clients that do not notice anything while the servers of a group change again and again, control is
# killed, the configuration is read again and the name server is away.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Dns;
use Test::More;

use constant { CLIENTS => 3, CHANGES => 12 };

my $back = http_backend(sub { [200, [], 'x' x 3000] }, host => '0.0.0.0');
my $p = $back->port;
my $dns = dns_server('app.test' => { A => ['127.0.0.2', '127.0.0.3'], ttl => 0 });
my $lbd = Lbd->new(allow => [qr/control process \d+ exited on signal 9/], conf => <<EOT);
http {
	resolver 127.0.0.1:@{[$dns->port]} ipv6=off valid_min=100ms valid_max=100ms timeout=200ms;
	upstream app { server app.test:$p resolve; discover_policy remove_delay=100ms min_ratio=0; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { proxy_pass http://app; }
	}
}
EOT

# Asks until the test says stop; its exit code: no answer but whole ones.
sub client {
	my ($number) = @_;
	my ($good, $bad) = (0, 0);
	my $pid = fork // die "fork: $!";

	return $pid if $pid;
	$SIG{TERM} = 'DEFAULT';
	eval {
		while (!-e $lbd->dir . '/stop') {
			my $c = Lbd::Client->new(connect_to($lbd->port(0)));

			for (1 .. 5) {
				$c->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
				my $r = $c->response;

				last if !$r; # a kept connection may end with a generation
				$r->{status} == 200 && length $r->{body} == 3000 ? $good++ : $bad++;
				last if lc(header($r, 'connection') // '') eq 'close';
			}
			$c->close;
		}
	};
	print STDERR "# client $number: $good good, $bad bad $@\n" if $bad || $@ || !$good;
	POSIX::_exit($bad || $@ || !$good ? 1 : 0);
}

ok(wait_for(sub { http_get($lbd->port(0), '/')->{status} == 200 }), 'the group has servers');
my @clients = map { client($_) } 1 .. CLIENTS;
my $published = sub { my $n = () = $lbd->log =~ /server "app.test:$p" added/g; $n };

for my $i (1 .. CHANGES) {
	my $before = $published->();

	$dns->says('app.test' => { A => [map { "127.0." . (1 + $i) . '.' . ($_ + 1) } 1 .. 1 + $i % 5], ttl => 0 });
	wait_for(sub { $published->() > $before }) or fail("change $i is published");
	if ($i == 4) {
		my ($control) = $lbd->control;

		kill KILL => $control;
		wait_for(sub { my ($c) = $lbd->control; defined $c && $c != $control }) or fail('control is back');
	} elsif ($i == 8) {
		$lbd->reload or fail('reload');
	}
}
spew($lbd->dir . '/stop', '');
my $bad = 0;
for (@clients) {
	waitpid $_, 0;
	$bad++ if $?;
}
is($bad, 0, 'no client has noticed anything');
$lbd->stop;

done_testing;
