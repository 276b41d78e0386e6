#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Clients with kept-alive and with short connections, while lbd reloads again and again, with more and
# fewer workers and another text: every request gets its own answer, nobody is reset or refused, and who is
# kept alive is so until the end.  Then a storm of signals: one more reload after the one that runs, and
# nothing is left over.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp;
use Lbd;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);

my $dir = File::Temp::tempdir(CLEANUP => 1);
my $stop = "$dir/stop";
my $origin = http_backend(sub { my ($q) = @_; return [200, [], "origin $q->{target}"]; });

sub site {
	my ($workers, $n) = @_;

	return <<"EOT";
worker_processes $workers;
http {
	keepalive_min_timeout 20s;
	keepalive_requests 100000;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "\$request_uri $n"; }
		location /proxy/ { proxy_pass http://127.0.0.1:@{[ $origin->port ]}; }
	}
}
EOT
}

my $lbd = Lbd->new(conf => site(2, 0));
my $port = $lbd->port;
my $pid = $lbd->pid;

# A client process: asks until the file is there, and writes what went wrong.
sub client {
	my ($id, $keep, $prefix) = @_;
	my $child = fork // die "fork: $!";

	return $child if $child;
	my ($done, $c, @bad) = (0, undef);
	until (-e $stop) {
		my $uri = "$prefix$id-" . ++$done;

		$c //= Lbd::Client->new($port);
		if (!$c) {
			push @bad, "connect: $!";
			last;
		}
		$c->send("GET $uri HTTP/1.1\r\nHost: a\r\n" . ($keep ? '' : "Connection: close\r\n") . "\r\n");
		my $r = $c->response;
		if ($r->{status} != 200 || $r->{body} !~ /\Q$uri\E(?: \d+)?\z/) {
			push @bad, "request $done: $r->{status} \"$r->{body}\" " . ($c->{error} // '');
			last;
		}
		if (($r->{headers}{connection}[0] // '') eq 'close') {
			push @bad, "request $done is to be the last" if $keep;
			undef $c;
		}
		sleep 0.001;
	}
	spew("$dir/client-$id", join "\n", $done, @bad);
	POSIX::_exit(0);
}

my @clients = map { client($_, $_ % 2, $_ % 3 ? '/' : '/proxy/') } 1 .. 6;
my @workers = (3, 1, 2, 4, 1);
my $done = 0;
my $fds = scalar(() = glob "/proc/$pid/fd/*");
for my $n (1 .. 10) {
	$lbd->configure(site($workers[$n % @workers], $n));
	$done += $lbd->reload // 0;
}
is($done, 10, 'ten reloads') or diag($lbd->log =~ /(.*(?:reload failed|could not).*\n)/g);
is($lbd->generation, 11, 'ten generations more');
like(http_get($port, '/x')->{body}, qr{^/x 10$}, 'the last configuration is in effect');

# signals that come while one runs are one more reload, not a hundred
$lbd->configure(site(2, 99));
my ($before) = $lbd->reloads;
for (1 .. 100) {
	$lbd->signal('HUP');
	sleep 0.001;
}
ok(wait_for(sub { http_get($port, '/x')->{body} eq '/x 99' }), 'a storm of HUP ends with what was last written');
ok(wait_for(sub {
	my @w = $lbd->workers;
	my ($now) = $lbd->reloads;
	my @begun = $lbd->log =~ /reload: trying/g;

	return $now == @begun && @w == 2 + grep { title_of($_) =~ /shutting/ } @w;
}), 'and it is quiet');
my ($after) = $lbd->reloads;
cmp_ok($after - $before, '<', 100, 'in fewer reloads than signals: ' . ($after - $before));

spew($stop, '');
waitpid $_, 0 for @clients;
my ($requests, @bad) = (0);
for my $id (1 .. 6) {
	my ($n, @more) = split /\n/, slurp("$dir/client-$id") // 'none';

	$requests += $n =~ /^\d+$/ ? $n : 0;
	push @bad, map { "client $id: $_" } @more;
	push @bad, "client $id said nothing" if $n eq 'none';
}
is_deeply(\@bad, [], "nothing was lost of $requests requests");
ok(wait_for(sub { $lbd->is_drained }), 'all older generations end');
is($lbd->pid, $pid, 'the master is the same process');
is(scalar($lbd->workers), 2, 'two workers are left');
is(scalar($lbd->control), 1, 'and one control process');
# the sockets of four workers stay
ok(wait_for(sub { scalar(() = glob "/proc/$pid/fd/*") <= $fds + 2 }), 'no descriptor is left over') or
	diag(join "\n", map { "$_ " . (readlink // '') } glob "/proc/$pid/fd/*");
like(http_get($port, '/x')->{body}, qr{^/x 99$}, 'it serves');
$lbd->stop('QUIT');

done_testing;
