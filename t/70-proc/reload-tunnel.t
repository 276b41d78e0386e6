#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# WebSocket tunnels over reloads: they move to the workers of the next generation, and neither peer can
# tell.  No byte is lost, doubled or in another place; the access log has one line for each, with what
# was so from the beginning, in the format of the configuration of the end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Echo;
use Test::More;
use POSIX ();
use Socket qw(SOL_SOCKET SO_RCVBUF);

$SIG{PIPE} = 'IGNORE';

my $echo = Lbd::Echo->new;
my $a = $echo->address;

sub site {
	my ($n, %o) = @_;
	my $workers = $o{workers} // 2;

	return <<"EOT";
worker_processes $workers;
http {
	log_format main "\$request|\$status|\$upstream_addr|\$upstream_status|\$body_bytes_sent|\$request_length|"
		"\$connection_requests|\$mine|\$1|\$upstream_http_x_server|\$sent_http_upgrade|\$request_time|"
		"\$upstream_bytes_sent|\$upstream_bytes_received|\$arg_q|$n";
	access_log logs/access.log main;
	upstream group { server $a; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "generation $n"; }
		location ~ ^/ws/(.*) {
			set \$mine "is \$arg_q";
			proxy_read_timeout 1h;
			proxy_pass http://group;
		}
	}
}
EOT
}

my $lbd = Lbd->new(conf => site(1));
my $port = $lbd->port;
my $generation = 1;

sub head { return "GET $_[0] HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" }

sub tunnel {
	my ($target, %o) = @_;
	my $c = Lbd::Client->new($port);

	setsockopt $c->{socket}, SOL_SOCKET, SO_RCVBUF, $o{rcvbuf} if $o{rcvbuf};
	$c->send(head($target));
	return $c if $o{early};
	my $r = $c->response;
	is $r->{status}, 101, "$target: 101" unless $o{silent} && $r->{status} == 101;
	return $c;
}

sub echo {
	my ($c, $text) = @_;

	$c->send($text);
	return ($c->read_bytes(length $text) // '') eq $text;
}

sub reloaded {
	my (%o) = @_;

	$lbd->configure(site(++$generation, %o));
	is $lbd->reload, 1, "reload to $generation";
}

sub drained { ok wait_for(sub { $lbd->is_drained }), $_[0] }

# The lines of requests with this target, when there are so many.
sub lines {
	my ($target, $n) = @_;
	my @l;

	wait_for(sub { @l = grep { /^GET \Q$target\E / } split /\n/, $lbd->log('access.log'); @l >= $n });
	return map { [split /\|/, $_] } @l;
}

{ # one tunnel, many reloads
	my $c = tunnel('/ws/echo?q=1');
	my ($bytes, $bad) = (0, 0);

	for (1 .. 20) {
		my ($before, $after) = ("before $generation", "after $generation");

		$bad += !echo($c, $before);
		reloaded(workers => 1 + $_ % 3);
		$bad += !echo($c, $after);
		$bytes += length($before) + length($after);
	}
	drained('the old generations end, with the tunnel open');
	is $bad, 0, 'the peers notice nothing';
	$c->{socket}->shutdown(1);
	is $c->read_all, 'END', 'the end is passed on';

	my @l = lines('/ws/echo?q=1', 1);
	is scalar @l, 1, 'one line';
	my @f = @{ $l[0] };
	is "@f[0 .. 3]", "GET /ws/echo?q=1 HTTP/1.1 101 $a 101", 'the request, where it went';
	is $f[4], $bytes + 3, 'bytes to the client';
	is $f[5], $bytes + length head('/ws/echo?q=1'), 'bytes from the client';
	is "@f[6 .. 10]", '1 is 1 echo echo websocket', 'variables';
	cmp_ok $f[11], '>', 0, 'the time of all of it';
	cmp_ok $f[12], '>', $bytes, 'to the server';
	cmp_ok $f[13], '>', $bytes, 'from the server';
	is "@f[14 .. 15]", "1 $generation", 'in the format of the last configuration';
}

# A client that keeps up to 32 KB on their way, and compares what comes back; (wrong, bytes).
sub traffic {
	my ($c, $stop) = @_;
	my ($sent, $got, $wrong) = (0, 0, 0);

	until (-e $stop && $got == $sent) {
		if ($sent - $got < 32768 && !-e $stop) {
			my $n = 1 + ($sent / 4 * 7919) % 2000;

			$c->send(pack 'N*', map { $sent / 4 + $_ } 0 .. $n - 1) or return ('cannot send', $got);
			$sent += 4 * $n;
		}
		$c->fill($sent - $got < 32768 ? 0 : $c->{timeout});
		return ('the end came', $got) if $c->{ended};
		my $whole = length($c->{buf}) & ~3;
		my $is = substr $c->{buf}, 0, $whole, '';

		return ('wrong bytes', $got) if $is ne pack 'N*', map { $got / 4 + $_ } 0 .. $whole / 4 - 1;
		$got += $whole;
	}
	$c->{socket}->shutdown(1);
	return ($c->read_all eq 'END' ? 'nothing' : 'no end', $got);
}

{ # both directions, while it moves
	my @clients;
	my $stop = $lbd->dir . '/stop';

	for my $i (1 .. 3) {
		my $c = tunnel("/ws/echo?q=traffic$i");
		my $pid = fork // die "fork: $!";

		push @clients, $pid;
		next if $pid;
		my ($wrong, $n) = traffic($c, $stop);
		spew($lbd->dir . "/traffic-$i", "$wrong $n");
		POSIX::_exit(0);
	}
	reloaded(workers => 1 + $_ % 2) for 1 .. 12;
	drained('they all moved, in the middle of it');
	spew($stop, '');
	waitpid $_, 0 for @clients;
	for my $i (1 .. 3) {
		my ($wrong, $n) = (slurp($lbd->dir . "/traffic-$i") // '') =~ /^(.*) (\d+)$/;

		is $wrong, 'nothing', 'is wrong with what came back';
		my @l = lines("/ws/echo?q=traffic$i", 1);
		is scalar @l, 1, 'one line';
		is $l[0][4], $n + 3, "$n bytes there";
		is $l[0][5], $n + length head("/ws/echo?q=traffic$i"), 'and back';
		is $l[0][15], $generation, 'logged at the end';
	}
}

{ # a slow reader
	my $c = tunnel('/ws/push', rcvbuf => 131072);

	$c->send('go');
	is unpack('N', $c->read_bytes(4)), 1, 'it begins';
	reloaded() for 1 .. 2;
	my ($next, $bad) = (2, 0);
	while ($next <= Lbd::Echo::PUSH) {
		my $is = $c->read_bytes(4 * (my $n = $next + 999 > Lbd::Echo::PUSH ? 1 : 1000));

		$bad++, last if $is ne pack 'N*', $next .. $next + $n - 1;
		$next += $n;
		reloaded() if $next == 500_002;
	}
	is $bad, 0, 'all in order';
	is $c->read_all, '', 'and no more';
	$c->close;
	is((lines('/ws/push', 1))[0][4], 4 * Lbd::Echo::PUSH, 'counted');
	drained('moved, or ended');
}

{ # half-closed
	my $late = tunnel('/ws/late');
	my $mute = tunnel('/ws/mute');

	$late->{socket}->shutdown(1);
	is $mute->read_until(qr/HELLO/), 'HELLO', 'the server has finished sending';
	ok $mute->until(sub { $mute->{ended} }), 'which is passed on';
	reloaded();
	$mute->send('some more');
	reloaded();
	drained('they move');
	spew($echo->flag('late'), '');
	is $late->read_all, 'END', 'the client has finished, the server has not';
	$mute->send(', and more');
	$mute->{socket}->shutdown(1);
	is((lines('/ws/mute', 1))[0][5], length('some more, and more') + length head('/ws/mute'), 'and the other way round');
	is scalar(my @l = lines('/ws/late', 1)), 1, 'one line';
}

{ # 101 after the drain began
	my $c = tunnel('/ws/wait', early => 1);

	reloaded();
	spew($echo->flag('wait'), '');
	is $c->response->{status}, 101, 'an upgrade in a generation that drains';
	ok echo($c, 'then'), 'it works';
	drained('and moves at once');
	ok echo($c, 'now'), 'it works';
	$c->close;
	is scalar(my @l = lines('/ws/wait', 1)), 1, 'one line';
}

{ # many
	my @c = map { tunnel("/ws/echo?q=many", silent => 1) } 1 .. 200;

	reloaded(workers => 3);
	reloaded(workers => 1);
	drained('200 tunnels move');
	is scalar(grep { !echo($c[$_], "number $_") } 0 .. $#c), 0, 'all are well';
	reloaded(workers => 2);
	is scalar(grep { !echo($c[$_], "again $_") } 0 .. $#c), 0, 'again';
	$_->close for @c;
	is scalar(my @l = lines('/ws/echo?q=many', 200)), 200, 'one line each';
	is scalar(grep { $_->[4] !~ /^(?:1[5-9]|2[0-2])$/ } @l), 0, 'with their bytes';
}

drained('nothing is left over');
$lbd->stop;
$echo->stop;
done_testing;
