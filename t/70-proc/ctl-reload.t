#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# A reload that answers: over the control socket and with "lbd -s reload".

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Lbd;
use Lbd::Control;
use Test::More;

my $mute = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1') // die "listen: $!";
my $back = $mute->sockport;
my $site = <<"EOT";
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "one\\n"; }
		location /slow { proxy_pass http://127.0.0.1:$back; }
	}
}
EOT
my ($code, $out, $r);
my $lbd = Lbd->new(conf => $site);
my $pid = $lbd->pid;

sub body { return http_get($lbd->port, '/')->{body} }
sub reload { return $lbd->run('-s', 'reload', @_) }

# good
spew($lbd->conf_path, slurp($lbd->conf_path) =~ s/one/two/r);
($code, $out) = reload();
is($code, 0, '-s reload');
like($out, qr/^reload: generation 2 is serving \(2 workers, \d+ ms\)(?:; generation 1 drains, \d workers? left, 0 connections)?$/,
	'says what came of it');
is(body(), "two\n", 'and it is so when it returns');
is($lbd->pid, $pid, 'by the same master');
($code, $out) = reload('--json');
$r = json_decode($out);
is($code, 0, '--json');
ok($r->{ok}, 'is ok');
is($r->{generation}, 3, 'the generation');
is($r->{workers}, 2, 'its workers');
is(join(' ', $lbd->run('-s', 'upgrade', '-q')), '0 ', 'upgrade is the same');
($code, $out) = $lbd->run('-s', 'status');
like($out, qr/^generation 4, running, master process $pid,/, 'status: the generation');
like($out, qr/^last reload: \d+s ago, succeeded: generation 4 is serving/m, 'and the last reload');
$r = control_ask($lbd, { verb => 'status' });
is($r->{reloads} . $r->{reloads_failed}, '30', 'how many there were');
cmp_ok($r->{uptime_ms}, '>', 0, 'uptime goes on');
is(scalar(grep { $_->{generation} == 4 && $_->{state} eq 'serving' } @{ $r->{workers} }), 3, 'all serve');

# bad
my $good = slurp($lbd->conf_path);
spew($lbd->conf_path, $good =~ s/return 200/rewind 200/r);
($code, $out) = reload();
is($code, 1, 'a bad configuration');
like($out, qr/^reload FAILED, generation 4 keeps serving:\n.*unknown directive "rewind".*\^\^\^.*\d errors?$/s, 'says what is wrong');
is(body(), "two\n", 'nothing has changed');
($code, $out) = reload('--json');
$r = json_decode($out);
is("$code$r->{generation}" . ($r->{ok} ? 'ok' : 'bad'), '14bad', '--json: likewise');
like($r->{text}, qr/unknown directive "rewind"/, 'with the reason');
($code, $out) = $lbd->run('-s', 'status');
like($out, qr/^last reload: \d+s ago, FAILED: generation 4 keeps serving:/m, 'status knows');
unlink $lbd->conf_path;
($code, $out) = reload();
is($code, 1, 'no configuration at all');
like($out, qr/^reload FAILED, generation 4 keeps serving:.*could not open .*lbd\.conf/s, 'says so');
spew($lbd->conf_path, $good);

# wait until the workers of before are gone
my $c = Lbd::Client->new($lbd->port);
$c->send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
my $request = $mute->accept;
($code, $out) = reload('--wait-drained=200ms');
is($code, 1, '--wait-drained that is too short');
like($out, qr/^reload: generation 5 is serving .*; generation 4 drains, .*; older generations have not ended in time$/,
	'says that the reload is done');
$r = control_ask($lbd, { verb => 'status' });
ok(wait_for(sub {
	$r = control_ask($lbd, { verb => 'status' });
	my @old = grep { $_->{generation} == 4 } @{ $r->{workers} };

	return @old == 1 && $old[0]{state} eq 'draining' && $old[0]{connections} == 1;
}), 'status: one worker drains, with one connection') or diag explain $r;
($code, $out) = reload();
like($out, qr/^reload: generation 6 is serving/, 'a reload while one drains');
my $socket = control_connect(control_path($lbd));
syswrite $socket, "{\"verb\":\"reload\",\"wait_drained\":60000}\n";
ok($lbd->wait_log(qr/reload: generation 7 is serving/), 'a reload that waits');
# it waits over further reloads
($code, $out) = reload();
like($out, qr/^reload: generation 8 is serving/, 'does not keep others from theirs');
is(control_line($socket, 0.3), undef, 'it still waits');
syswrite $request, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
is($c->response->{body}, 'ok', 'the request is finished');
$r = json_decode(control_line($socket) // '');
ok($r->{ok} && $r->{drained}, 'then it is answered') or diag explain $r;
like($r->{text}, qr/; older generations have ended$/, 'says why');
undef $c;
undef $request;
($code, $out) = reload('--wait-drained=1m');
is($code, 0, '--wait-drained with nothing to wait for');
is_deeply([map { $_->{generation} } @{ control_ask($lbd, { verb => 'workers' })->{workers} }], [9, 9, 9], 'only the new are left');

# many at once: each is answered, and few reloads serve them all
my @many = map { control_connect(control_path($lbd)) } 1 .. 20;
syswrite $_, "{\"verb\":\"reload\"}\n" for @many;
my @answers = map { json_decode(control_line($_) // '') } @many;
is(scalar(grep { $_->{ok} } @answers), 20, '20 at once: each has its answer');
cmp_ok(control_ask($lbd, { verb => 'status' })->{generation}, '<', 9 + 20, 'by fewer reloads');
my %seen = map { $_->{generation} => 1 } @answers;
ok(!exists $seen{9}, 'none is answered by what was before it');

# who asked and went away is no harm; nor is one that is idle across a reload
my $idle = control_connect(control_path($lbd));
my $half = control_connect(control_path($lbd));
syswrite $half, '{"verb":';
for (1 .. 5) {
	my $gone = control_connect(control_path($lbd));

	syswrite $gone, "{\"verb\":\"reload\"}\n";
	close $gone;
}
($code, $out) = reload();
is($code, 0, 'askers that went away');
syswrite $idle, "{\"verb\":\"status\"}\n";
my $idle_reply = control_line($idle) // '';
for (1 .. 5) {
	# on a machine that is slow enough its time was up
	last if $idle_reply ne '';
	$idle = control_connect(control_path($lbd));
	reload();
	syswrite $idle, "{\"verb\":\"status\"}\n";
	$idle_reply = control_line($idle) // '';
}
ok(json_decode($idle_reply)->{ok}, 'one that had not asked yet is served by the next image');
is(control_line($half), '', 'one in the middle of its request sees the end');

# --no-wait
($code, $out) = reload('--no-wait');
is("$code$out", "0reload: asked for; what comes of it is in the error log\n", '--no-wait');
my $n = () = $lbd->log =~ /generation \d+ is serving/g;
ok(wait_for(sub { my $m = () = $lbd->log =~ /generation \d+ is serving/g; $m > $n || control_ask($lbd, { verb => 'status' })->{state} eq 'running' }),
	'it comes');

# another place for the socket
my $other = $lbd->dir . '/logs/other.sock';
spew($lbd->conf_path, "control unix:$other;\n$good");
my $asker = control_connect(control_path($lbd));
syswrite $asker, "{\"verb\":\"reload\"}\n";
ok(json_decode(control_line($asker) // '')->{ok}, 'a reload that moves the socket is answered');
ok(wait_for(sub { -S $other && !-e control_path($lbd) }), 'the new place is there, the old one is gone');
($code, $out) = $lbd->run('-s', 'status');
is($code, 0, 'and -s finds it');
spew($lbd->conf_path, "control off;\n$good");
is(json_decode(control_raw($other, "{\"verb\":\"reload\"}\n") // '')->{ok}, JSON::PP::true(), 'a reload that ends it');
ok(wait_for(sub { !-e $other }), 'and it is gone');
spew($lbd->conf_path, $good);
$lbd->signal('HUP');
ok(wait_for(sub { -S control_path($lbd) }), 'and comes back');

ok(wait_for(sub { control_ask($lbd, { verb => 'status' })->{state} eq 'running' }), 'all is done');

# whoever comes after the answer is served by what was asked for
my $before = 0;
for my $turn (1 .. 10) {
	spew($lbd->conf_path, slurp($lbd->conf_path) =~ s/return 200 "\K[^\\]*/turn $turn/r);
	reload();
	$before += grep { body() ne "turn $turn\n" } 1 .. 8;
}
is($before, 0, 'nobody is served by the one before when a reload was answered');
$r = control_ask($lbd, { verb => 'quit' });
ok($r->{ok}, 'quit');
is($lbd->wait_exit, 0, 'after all that');
$lbd->stop;

done_testing;
