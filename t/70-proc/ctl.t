#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The control socket: who may use it, what it answers, and what it bears.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Lbd;
use Lbd::Control;
use Test::More;

my $site = <<'EOT';
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		return 200 "$pid\n";
	}
}
EOT
my $lbd = Lbd->new(conf => $site);
my $path = control_path($lbd);

sub mode { return sprintf '%04o', (stat $_[0])[2] & 07777 }

ok(-S $path, 'there is a control socket');
is(mode($path), '0600', 'for its user only');

# status
http_get($lbd->port, '/') for 1 .. 3;
my $st;
ok(wait_for(sub {
	$st = control_ask($lbd, { verb => 'status' });
	my $n = 0;

	$n += $_->{requests} // 0 for @{ $st->{workers} };
	return $n >= 3;
}), 'status counts requests');
ok($st->{ok}, 'it is ok');
is($st->{pid}, $lbd->pid, 'the master');
is($st->{state}, 'running', 'runs');
is($st->{generation}, 1, 'in its first generation');
like($st->{version}, qr{^lbd/\d}, 'version');
ok(!$st->{replaced}, 'the program on disk is the same');
is($st->{reloads}, 0, 'no reload yet');
is($st->{last_reload}, undef, 'and so none was the last');
like($st->{uptime_ms}, qr/^\d+$/, 'uptime');
my @workers = grep { $_->{role} eq 'worker' } @{ $st->{workers} };
is_deeply([sort map { $_->{pid} } @workers], [sort $lbd->workers], 'all workers');
is(join(' ', map { $_->{state} } @{ $st->{workers} }), 'serving serving serving', 'serve');
is((grep { $_->{role} eq 'control' } @{ $st->{workers} })[0]{pid}, ($lbd->control)[0], 'and control');
my $open = connect_to('127.0.0.1:' . $lbd->port);
ok(wait_for(sub {
	my $n = 0;

	$n += $_->{connections} // 0 for @{ control_ask($lbd, { verb => 'workers' })->{workers} };
	return $n == 1;
}), 'an open connection is seen');
undef $open;
my $text = control_ask($lbd, { verb => 'status', format => 'text' });
like($text->{text}, qr/^generation 1, running, master process \d+, up \d+s$/m, 'status in words');
like($text->{text}, qr/^\s+1  worker 0 +\d+ .* serving /m, 'with its workers');
is_deeply([sort keys %$text], [qw(ok text)], 'and nothing else');
like(control_ask($lbd, { verb => 'workers', format => 'text' })->{text}, qr/^generation +process/, 'workers in words');

# reopen
rename $lbd->log_path, $lbd->log_path . '.1';
my $r = control_ask($lbd, { verb => 'reopen' });
ok($r->{ok} && -e $lbd->log_path, 'reopen is done when it is answered');

# what is refused
for (['', 'no object'], ['reload', 'no object'], ['[]', 'no object'], ['{}', '"verb" is missing'],
	['{"verb":"status"', 'a comma is missing'], ['{"verb":"status"} x', 'more text behind the object'],
	['{"verb":"dance"}', '"verb" is not one of what is allowed: status, workers, reload, upgrade, reopen, quit, stop and takeover'],
	['{"verb":1}', '"verb" is not one of what is allowed: status, workers, reload, upgrade, reopen, quit, stop and takeover'],
	['{"verb":"status","verb":"stop"}', 'a name that was there before'],
	['{"verb":"status","format":"xml"}', '"format" is not one of what is allowed: text and json'],
	['{"verb":"reload","wait_drained":0}', '"wait_drained" is not one of what is allowed: 1 to 86400000 milliseconds'],
	['{"verb":"reload","wait_drained":1.5}', '"wait_drained" is not one of what is allowed: 1 to 86400000 milliseconds'],
	['{"verb":"reload","wait_drained":"1s"}', '"wait_drained" is not one of what is allowed: 1 to 86400000 milliseconds'],
	['{"verb":"status","wait_drained":1}', '"wait_drained" is for "reload"'],
	['{"verb":"stop","more":"x\\n"}', 'unknown member "more"'],
	["{\"verb\":\"st\0op\"}", 'a control character in a string'],
	["\xff\xfe", 'no object'], ['{"verb":{"a":1}}', 'a value inside a value']) {
	my ($bytes, $why) = @$_;

	$r = json_decode(control_raw($path, "$bytes\n") // '');
	ok(exists $r->{ok} && !$r->{ok}, "refused: $bytes") or diag explain $r;
	is($r->{text}, $why, 'says why');
}
is(control_raw($path, '{' . 'x' x 2000), '', 'a line that is too long: the connection ends');
is(control_raw($path, '{' . 'x' x 100_000), '', 'whatever comes behind it');
is_deeply(json_decode(control_raw($path, "{\"verb\":\"reopen\"}\n{\"verb\":\"stop\"}\n"))->{ok}, JSON::PP::true(),
	'of two requests the first is answered');
ok($lbd->is_running, 'and the second is not looked at');

# clients that vanish, wait, drip
for my $bytes ('', '{"verb"', "{\"verb\":\"status\"}\n") {
	for (1 .. 5) {
		my $c = control_connect($path);

		syswrite $c, $bytes;
		close $c;
	}
}
my @idle = map { control_connect($path) } 1 .. 31;
is(scalar(grep { defined } @idle), 31, '31 that say nothing');
ok(control_ask($lbd, { verb => 'status' })->{ok}, 'leave room for one more');
my $late = control_connect($path);
my $later = control_connect($path);
syswrite $later, "{\"verb\":\"status\"}\n";
close $_ for splice @idle, 0, 2;
ok(json_decode(control_line($later) // '')->{ok}, 'who comes when it is full waits until one is gone');
close pop @idle;
my $drip = control_connect($path);
for my $c (split //, "{\"verb\":\"workers\"}\n") {
	syswrite $drip, $c;
}
ok(json_decode(control_line($drip) // '')->{ok}, 'byte by byte');
is(http_get($lbd->port, '/')->{status}, 200, 'and traffic goes on');
is(control_line($idle[0]), '', 'who says nothing is sent away');
close $_ for @idle, $late;

# a half-closed client is answered
my $half = control_connect($path);
syswrite $half, "{\"verb\":\"status\"}\n";
shutdown $half, 1;
ok(json_decode(control_line($half) // '')->{ok}, 'a client that has closed its side is answered');

# a large reply to one that does not read, while others are served
my @deaf = map { control_connect($path) } 1 .. 8;
syswrite $_, "{\"verb\":\"status\"}\n" for @deaf;
ok(control_ask($lbd, { verb => 'status' })->{ok}, 'clients that do not read are in nobody\'s way');
ok(json_decode(control_line($_) // '')->{ok}, 'they have their reply') for $deaf[0], $deaf[7];

# others
SKIP: {
	skip 'not root', 6 unless is_root();
	my $who = nobody();
	my $ask = sub {
		my ($groups) = @_;
		my $pid = open(my $out, '-|') // die "fork: $!";

		if ($pid == 0) {
			my (undef, undef, $uid, $gid) = getpwnam $who;

			$) = join ' ', $gid, $gid, @$groups;
			$( = $gid;
			($<, $>) = ($uid, $uid);
			my $got = control_raw($path, "{\"verb\":\"status\"}\n");

			print defined $got ? $got : "no connection\n";
			close STDOUT;
			POSIX::_exit(0);
		}
		local $/;
		return scalar <$out>;
	};

	is($ask->([]), "no connection\n", "$who cannot connect");
	chmod 0666, $path;
	like($ask->([]), qr/"ok":false,"text":"you may not use this control socket"/, 'and is refused where he can');
	ok($lbd->wait_log(qr/control socket: user \d+ \(process \d+\) may not use it/), 'which is logged');
	$lbd->stop;
	my ($group, $gid) = ('daemon', scalar getgrnam 'daemon');
	skip "no group $group", 3 unless defined $gid;
	$lbd = Lbd->new(conf => "control unix:%%DIR%%/logs/lbd.sock group=$group;\n$site");
	$path = control_path($lbd);
	is(mode($path) . ' ' . (stat $path)[5], "0660 $gid", 'group=: its members may');
	is(json_decode($ask->([$gid]))->{ok}, JSON::PP::true(), 'a member by a further group');
	is($ask->([]), "no connection\n", 'others may not');
}
$lbd->stop;

# quit and stop: the connection ends with the master
for my $verb (qw(quit stop)) {
	$lbd = Lbd->new(conf => $site);
	my $idle = Lbd::Client->new($lbd->port);
	$idle->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	is($idle->response->{status}, 200, "$verb with a connection");
	my $c = control_connect(control_path($lbd));

	syswrite $c, "{\"verb\":\"$verb\"}\n";
	$r = json_decode(control_line($c) // '');
	ok($r->{ok}, "$verb is answered");
	like($r->{text}, qr/^master process \d+ is (?:shutting down gracefully|exiting)$/, 'says what it does');
	is(control_line($c), '', 'and the connection ends');
	is($lbd->wait_exit, 0, 'with the master');
	like($lbd->log, qr/"$verb" received from $$ over the control socket/, 'the log says who asked');
	ok(!-e control_path($lbd), 'the socket is gone');
	$lbd->stop;
}

# while it quits it still answers
my $mute = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') // die "listen: $!";
$lbd = Lbd->new(conf => $site =~ s/return .*?;/"location \/ { proxy_pass http:\/\/127.0.0.1:" . $mute->sockport . '; }'/er);
my $long = Lbd::Client->new($lbd->port);
$long->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
my $request = $mute->accept;
ok(control_ask($lbd, { verb => 'quit' })->{ok}, 'quit with a request under way');
ok(wait_for(sub {
	my $s = control_ask($lbd, { verb => 'status' });

	return ($s->{state} // '') eq 'quitting' && grep { $_->{state} eq 'draining' } @{ $s->{workers} };
}), 'status says that a worker drains');
$r = control_ask($lbd, { verb => 'reload' });
ok(!$r->{ok}, 'no reload then') or diag explain $r;
ok(control_ask($lbd, { verb => 'stop' })->{ok}, 'stop is still possible');
is($lbd->wait_exit, 0, 'and ends it');
$lbd->stop;

# the socket's file
$lbd = Lbd->new(start => 0, conf => $site);
$path = control_path($lbd);
my $stale = IO::Socket::UNIX->new(Type => Socket::SOCK_STREAM(), Local => $path, Listen => 1);
close $stale;
ok(-S $path, 'a socket nobody serves');
$lbd->start;
ok(control_ask($lbd, { verb => 'status' })->{ok}, 'is replaced');
$lbd->signal('KILL', $_) for $lbd->pid, $lbd->children;
$lbd->wait_exit;
ok(-S $path, 'a master that was killed leaves its socket');
# a ring that was killed gives its sockets back a little later
wait_for(sub { !connect_to('127.0.0.1:' . $lbd->port) });
$lbd->start;
ok(control_ask($lbd, { verb => 'status' })->{ok}, 'the next one replaces it');
unlink $path;
$stale = IO::Socket::UNIX->new(Type => Socket::SOCK_STREAM(), Local => $path, Listen => 1);
$lbd->signal('TERM');
is($lbd->wait_exit, 0, 'a master whose socket was taken away ends');
ok(-S $path, 'and leaves what is not its own');
$lbd->start;
ok($lbd->wait_log(qr/no control socket "\Q$path\E"; "lbd -s" sends signals instead \(98: /), 'a socket that is served stays');
is(http_get($lbd->port, '/')->{status}, 200, 'and is no reason not to serve');
$lbd->signal('TERM');
$lbd->wait_exit;
close $stale;
unlink $path;
spew($path, "a file\n");
$lbd->start;
is(slurp($path), "a file\n", 'a file that is no socket stays');
$lbd->signal('TERM');
$lbd->wait_exit;
unlink $path;
symlink '/nowhere', $path;
$lbd->start;
is(readlink $path, '/nowhere', 'and so does a link');
$lbd->stop;

$lbd = Lbd->new(conf => "control off;\n$site");
ok(!-e control_path($lbd), 'control off: no socket');
$lbd->stop;

done_testing;
