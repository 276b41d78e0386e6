#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What requests find out about servers: max_fails and outlier_detection, over all workers; who is never ejected; panic; what the
# log and the status say.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use Lbd;
use Lbd::Control;
use Test::More;

my $dir = File::Temp::tempdir('lbd-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my %b;

sub set {
	my ($name, $what) = @_;

	spew("$dir/$name.new", $what);
	rename "$dir/$name.new", "$dir/$name" or die "rename: $!";
}

for my $name (qw(a b c d)) {
	set($name, 200);
	$b{$name} = http_backend(sub {
		my $what = slurp("$dir/$name");

		return undef if $what eq 'close';
		return "nonsense\r\n\r\n" if $what eq 'garbage';
		return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf" if $what eq 'cut';
		if ($what eq 'hang') {
			sleep 30;
			return undef;
		}
		return [$what, [], $name];
	});
}
my %at = map { $_ => $b{$_}->address } keys %b;
my $refused = '127.0.0.1:' . free_port();
my $all = join ' ', map { "server $at{$_} max_fails=0;" } qw(a b c d);

my $lbd = Lbd->new(workers => 3, conf => <<"EOT");
http {
	upstream fails { server $at{a} max_fails=3 fail_timeout=1h; server $at{b}; }
	upstream gone { server $refused fail_timeout=1h; server $refused fail_timeout=1h; server $refused fail_timeout=1h;
		server $at{a} backup; }
	upstream errors { $all outlier_detection errors=2 eject_time=1h; }
	upstream gateway { $all outlier_detection gateway_errors=1 statuses=500 eject_time=1h; }
	upstream rate { $all outlier_detection error_rate=50% min_requests=5 interval=200ms eject_time=1h; }
	upstream back { server $at{a} fail_timeout=100ms; server $at{b}; }
	upstream panic { $all outlier_detection errors=1 max_ejected=100 eject_time=1h; panic_threshold 50%; }
	upstream alone { server $at{a}; outlier_detection errors=1; }
	proxy_read_timeout 300ms;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location ~ ^/(?<name>\\w+)\$ { proxy_pass http://\$name; proxy_next_upstream error timeout invalid_header;
			proxy_next_upstream_tries 0; }
		location ~ ^/one/(?<name>\\w+)\$ { proxy_pass http://\$name; proxy_next_upstream off; }
	}
}
EOT
my $port = $lbd->port;

sub ask {
	my ($path, $n) = @_;
	my %got;

	$got{ http_get($port, "/$path")->{status} }++ for 1 .. $n // 1;
	return join ' ', map { "$_:$got{$_}" } sort keys %got;
}

sub state_of { my $s = control_server($lbd, @_); return $s->{state} }
sub states { my ($group) = @_; return join ' ', map { state_of($group, $at{$_}) } qw(a b c d) }

# --- max_fails: all kinds of failures, over all workers
for my $what (qw(close garbage hang)) {
	set(a => $what);
	ask('fails', 2);
}
my $s = wait_server($lbd, 'fails', $at{a}, 'unavail');
is $s->{state}, 'unavail', 'three failures, of whatever kind, on whichever worker';
like $s->{reason}, qr/^(?:timed out|invalid answer|connection closed), 3\/3; ejected for 3600s$/, 'the last is the reason';
is $s->{fails}, 3, 'all are counted';
ok $lbd->wait_log(qr/\[warn\] .* upstream "fails" server "\Q$at{a}\E": up -> unavail \(/), 'one line';
set(a => 200);
is ask('fails', 6), '200:6', 'who is left serves';
is control_server($lbd, 'fails', $at{a})->{fails}, 3, 'and nobody asks the other';

# --- somebody is always left
is ask('gone', 9), '200:9', 'three of three are gone: the backup helps';
my @states = map { $_->{state} } @{ (grep { $_->{name} eq 'gone' } @{ control_ask($lbd, { verb => 'status' })->{upstreams} })[0]{servers} };
is scalar(grep { $_ eq 'unavail' } @states), 2, 'half of four servers may be ejected';
set(a => 'close');
is ask('alone', 5), '502:5', 'an only server';
is state_of('alone', $at{a}), 'up', 'is never ejected';

# --- errors in a row
set(a => 500);
is ask('errors', 8), '200:6 500:2', 'statuses go to the client';
is states('errors'), 'unavail up up up', 'and count: two in a row';
is ask('errors', 6), '200:6', 'no more of them';
set(b => 503);
ask('errors', 8);
is states('errors'), 'unavail unavail up up', 'half of four';
set(c => 502);
ask('errors', 8);
is states('errors'), 'unavail unavail up up', 'and no more';
like control_server($lbd, 'errors', $at{c})->{reason}, qr/errors in a row, the last: status 502; not ejected, too many others are$/,
	'which is said of who was to be the next';

ask('gateway', 12);
is states('gateway'), 'up unavail unavail up', 'gateway errors are 502, 503 and 504';

# --- a rate over an interval
set($_ => 200) for qw(a b c);
set(d => 500);
ok wait_for(sub { ask('rate', 24); state_of('rate', $at{d}) eq 'unavail' }), 'half of the requests of an interval';
like control_server($lbd, 'rate', $at{d})->{reason}, qr/^\d+ errors in \d+ requests; ejected for 3600s$/, 'is a reason';
is state_of('rate', $at{$_}), 'up', "$_ is not concerned" for qw(a b c);

# --- one request looks
set(a => 'close');
ask('back', 2);
is wait_server($lbd, 'back', $at{a}, 'unavail')->{state}, 'unavail', 'out';
set(a => 200);
ok wait_for(sub { ask('back', 2); state_of('back', $at{a}) eq 'up' }), 'and back';
ok $lbd->wait_log(qr/\[notice\] .* upstream "back" server "\Q$at{a}\E": unavail -> up \(it answers again\)/), 'one line';

# --- a body that is cut
set(a => 'cut');
my $before = control_server($lbd, 'back', $at{a})->{fails};
wait_for(sub { ask('back', 2); control_server($lbd, 'back', $at{a})->{fails} > $before });
cmp_ok control_server($lbd, 'back', $at{a})->{fails}, '>', $before, 'a body that ends too early is a failure';

# --- panic
set($_ => 500) for qw(a b c);
set(d => 200);
ok wait_for(sub { ask('panic', 4); $lbd->log =~ /upstream "panic": panic, servers that are unavail get requests/ }), 'panic begins';
like ask('panic', 12), qr/500/, 'servers that have failed are asked';
set($_ => 200) for qw(a b c d);
ok wait_for(sub { ask('panic', 4); $lbd->log =~ /upstream "panic": end of panic \(2 of 4 servers usable, panic_threshold 50%\)/ }), 'and ends';

my ($code, $text) = $lbd->run('-s', 'status');
is $code, 0, 'lbd -s status';
like $text, qr/^upstream fails: 1 of 2 servers up$/m, 'tells of groups';
like $text, qr/^  \Q$at{a}\E +unavail +\d+\w(?: \d+\w)? +0 +3 +3  \S.*3\/3; ejected for 3600s$/m, 'and of servers';

$lbd->stop;
done_testing;
