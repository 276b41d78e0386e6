#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What checks do to requests: servers that flap, come and go, all at once; mandatory ones; slow start; verdicts
# that outlive a reload and the process that found them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use Lbd;
use Lbd::Control;
use Test::More;

my $dir = File::Temp::tempdir('lbd-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);

# Servers that answer checks with the status in a file, requests with their name.
sub server {
	my ($name, $status) = @_;

	set($name, $status // 200);
	return http_backend(sub {
		my ($q, $n, $b) = @_;

		return [slurp("$dir/$name") =~ /(\d+)/ ? $1 : 500, ['X-Connection' => $n], ''] if $q->{target} =~ /^\/check/ && ($b->note("$n $q->{target}"), 1);
		return [200, [], $name];
	});
}

sub set {
	my ($name, $status) = @_;

	spew("$dir/$name.new", $status);
	rename "$dir/$name.new", "$dir/$name" or die "rename: $!";
}

my %b = map { $_ => server($_) } qw(a b c kept shared loc quiet);
$b{new} = server('new', 500);
my %at = map { $_ => $b{$_}->address } keys %b;

sub conf {
	my ($more) = @_;

	return <<"EOT";
http {
	upstream flap { server $at{a}; server $at{b}; health_check uri=/check interval=50ms fails=3 passes=2; }
	upstream slow { server $at{b}; server $at{c} slow_start=1h; health_check uri=/check interval=50ms; }
	upstream kept { server $at{kept}; health_check uri=/check interval=50ms keepalive_time=1h; }
	upstream one { server $at{shared}; health_check uri=/check/shared interval=50ms host=x; }
	upstream two { server $at{shared}; health_check uri=/check/shared interval=50ms host=x; }
	upstream both { server $at{a}; health_check type=tcp interval=50ms; health_check uri=/check interval=50ms; }
	upstream quick { server $at{a}; health_check uri=/check interval=1h down_interval=50ms fast_interval=20ms; }
	$more
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location ~ ^/(?<name>\\w+)\$ { proxy_pass http://\$name; }
		location /loc/ { proxy_pass http://$at{loc}; health_check uri=/check interval=50ms; }
	}
}
EOT
}
my $lbd = Lbd->new(conf => conf(''), workers => 3);
my $port = $lbd->port;

# how many of n requests each server answers, "-" for nobody
sub answers {
	my ($group, $n) = @_;
	my %got;

	for (1 .. $n // 12) {
		my $r = http_get($port, "/$group");

		$got{ $r->{status} == 200 ? $r->{body} : '-' }++;
	}
	return \%got;
}

# --- in and out
wait_for(sub { control_server($lbd, 'flap', $at{a})->{health_checks}{checks} });
is_deeply answers('flap'), { a => 6, b => 6 }, 'both are well';
set(a => 500);
my $s = wait_server($lbd, 'flap', $at{a}, 'unhealthy');
like $s->{reason}, qr/^check "http \/check": status 500, 3\/3$/, 'three failures in a row';
cmp_ok $s->{health_checks}{fails}, '>=', 3, 'are counted';
is_deeply answers('flap'), { b => 12 }, 'every worker knows it';
is wait_server($lbd, 'both', $at{a}, 'unhealthy')->{state}, 'unhealthy', 'one of two checks is enough';
set(b => 503);
wait_server($lbd, 'flap', $at{b}, 'unhealthy');
is_deeply answers('flap'), { '-' => 12 }, 'all are down: nobody is asked';
set($_ => 200) for qw(a b);
$s = wait_server($lbd, 'flap', $at{$_}, 'up', qr/status 200, 2\/2/) for qw(a b);
is_deeply answers('flap'), { a => 6, b => 6 }, 'all come back at once';
is wait_server($lbd, 'both', $at{a}, 'up')->{state}, 'up', 'both checks pass';

# --- slow start: by counting, not by time
set(c => 500);
wait_server($lbd, 'slow', $at{c}, 'unhealthy');
set(c => 200);
$s = wait_server($lbd, 'slow', $at{c}, 'up');
is $s->{ramp}, 10, 'a server that came back ramps up';
is_deeply answers('slow', 22), { b => 20, c => 2 }, 'with a tenth of its weight';

# --- connections and requests of checks
wait_for(sub { $b{kept}->notes > 20 });
my %connections = map { /^(\d+)/ => 1 } $b{kept}->notes;
cmp_ok scalar(keys %connections), '<', 10, 'a kept connection serves many checks';
wait_for(sub { control_server($lbd, $_)->{health_checks}{checks} > 5 }) for qw(one two);
my $asked = grep { m{/check/shared} } $b{shared}->notes;
my $counted = control_server($lbd, 'one')->{health_checks}{checks} + control_server($lbd, 'two')->{health_checks}{checks};
cmp_ok $asked, '<', $counted, "equal checks run once: $asked requests, $counted checks";
set(shared => 500);
wait_server($lbd, $_, undef, 'unhealthy') for qw(one two);
is control_server($lbd, $_)->{state}, 'unhealthy', "and are heard by group $_" for qw(one two);
set(loc => 404);
is wait_server($lbd, $at{loc}, undef, 'unhealthy')->{state}, 'unhealthy', 'the group of a location';
is http_get($port, '/loc/')->{status}, 502, 'gets no requests then';

# --- reload
set(a => 500);
wait_server($lbd, 'flap', $at{a}, 'unhealthy');
my $since = control_server($lbd, 'flap', $at{a})->{since_ms};
$lbd->configure(conf(<<"EOT"));
	upstream new { server $at{new}; server $at{quiet}; health_check uri=/check interval=50ms fails=1000 passes=2 mandatory; }
	upstream known { server $at{b} slow_start=1h; health_check uri=/check interval=50ms mandatory persistent; }
EOT
is $lbd->reload, 1, 'a reload';
$s = control_server($lbd, 'flap', $at{a});
is $s->{state}, 'unhealthy', 'keeps what is known';
cmp_ok abs($s->{since_ms} - $since), '<', 1000, 'and since when';
is_deeply answers('flap'), { b => 12 }, 'for all workers';
$s = control_server($lbd, 'new', $at{new});
is "$s->{state}: $s->{reason}", 'checking: a check has to pass first', 'mandatory: a new server waits';
is wait_server($lbd, 'new', $at{quiet}, 'up')->{state}, 'up', 'until it passes';
is_deeply answers('new'), { quiet => 12 }, 'which gets requests';
set(new => 200);
is wait_server($lbd, 'new', $at{new}, 'up')->{state}, 'up', 'another one later';
is control_server($lbd, 'new', $at{$_})->{ramp}, 100, 'no slow start where none is configured' for qw(new);
set(new => 500);
is $lbd->reload, 1, 'another reload';
is control_server($lbd, 'new', $at{new})->{state}, 'up', 'a known server does not wait again';

# --- control
wait_for(sub { $lbd->control == 1 }); # that of the generation before has ended
my ($control) = $lbd->control;
my $checks = control_server($lbd, 'flap', $at{b})->{health_checks}{checks};
$lbd->{allow} = [qr/control process \d+ exited on signal 9/];
$lbd->signal('KILL', $control);
is control_server($lbd, 'flap', $at{a})->{state}, 'unhealthy', 'the verdict of a killed process stands';
is_deeply answers('flap'), { b => 12 }, 'for everybody';
ok wait_for(sub { grep { $_ != $control } $lbd->control }), 'it is started again';
ok wait_for(sub { control_server($lbd, 'flap', $at{b})->{health_checks}{checks} > $checks + 3 }), 'and checks';
is control_server($lbd, 'flap', $at{a})->{state}, 'unhealthy', 'what it does not know yet is left alone';
set(a => 200);
is wait_server($lbd, 'flap', $at{a}, 'up')->{state}, 'up', 'until it does';

# --- a check that is held up counts for nothing
my $silent = backend(sub { my ($c, $n, $b) = @_; $c->request; $b->note('asked'); sleep 30 });
$lbd->configure(conf("upstream silent { server @{[$silent->address]}; health_check uri=/ interval=100ms timeout=1s fails=1; }"));
is $lbd->reload, 1, 'a server that does not answer';
wait_for(sub { $silent->notes >= 1 });
wait_for(sub { $lbd->control == 1 }); # that of the generation before has ended
($control) = $lbd->control;
$lbd->signal('STOP', $control);
$checks = control_server($lbd, 'silent')->{health_checks}{checks};
select undef, undef, undef, 2; # the loop has to be late: that is what is tested
$lbd->signal('CONT', $control);
ok $lbd->wait_log(qr/could not check server .* the check itself was held up; this counts for nothing/), 'a late check is none';

# --- checks that are gone
$lbd->configure(conf('') =~ s/health_check [^;]*;//gr);
set(a => 500);
wait_server($lbd, 'flap', $at{a}, 'unhealthy');
is $lbd->reload, 1, 'without checks';
is wait_server($lbd, 'flap', $at{a}, 'up', qr/not checked any more/)->{state}, 'up', 'verdicts end';

$lbd->stop;
done_testing;
