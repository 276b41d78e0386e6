#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# "lbd -s": what it says, how it ends, and what it does without a control socket.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::UNIX ();
use Lbd;
use Lbd::Control;
use Socket ();
use Test::More;

my $site = <<'EOT';
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		return 200 "$pid\n";
	}
}
EOT
my ($code, $out);

# with a control socket
my $lbd = Lbd->new(conf => $site);
my $pid = $lbd->pid;

($code, $out) = $lbd->run('-s', 'status');
is($code, 0, '-s status');
like($out, qr/^generation 1, running, master process $pid, up \d+s\nlbd\/\S+, built by .*, engine \w+\nlast reload: none\n/,
	'tells of the master');
like($out, qr/^ +1  worker 0 +\d+ .* serving .*\n +1  worker 1 .*\n +1  control .*\n\z/m, 'and of each process');
($code, $out) = $lbd->run('-s', 'workers');
like($out, qr/^generation +process +pid.*\n(?: +1  .*\n){3}\z/, '-s workers');
($code, $out) = $lbd->run('-s', 'status', '--json');
is($code, 0, '--json');
is(json_decode($out)->{pid}, $pid, 'prints the reply as it is');
is(scalar(split /\n/, $out), 1, 'in one line');
is(join('', $lbd->run('-s', 'reopen')), "0reopen: logs are opened anew\n", '-s reopen');
is(join('', $lbd->run('-s', 'reopen', '-q')), '0', '-q: nothing is said of what went well');
# before the last line there is another one when it takes long
like(join('', $lbd->run('-s', 'quit')), qr/^0(?:.*\n)?quit: master process $pid has ended\n\z/, '-s quit waits for the end');
is($lbd->wait_exit, 0, 'it did end');
ok(!-e $lbd->pid_path, 'pid file is gone');

# it says so when it takes longer
my $mute = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') // die "listen: $!";
my $proxy = $site =~ s/return .*?;/"location \/ { proxy_pass http:\/\/127.0.0.1:" . $mute->sockport . '; }'/er;
$lbd->configure($proxy);
$lbd->start;
$pid = $lbd->pid;
my $c = Lbd::Client->new($lbd->port);
$c->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
my $request = $mute->accept;
is(join('', $lbd->run('-s', 'quit', '--no-wait')), "0quit: master process $pid is shutting down gracefully\n",
	'--no-wait returns at once');
ok($lbd->is_running, 'before the end');
local @ENV{ keys %{ $lbd->environment } } = values %{ $lbd->environment };
open(my $said, '-|', lbd_program(), $lbd->arguments, '-s', 'quit') or die "lbd: $!";
ok(wait_for(sub { $lbd->log =~ /("quit" received from.*){2}/s }), 'quit again');
is(control_line($said), "quit: master process $pid is shutting down gracefully\n", 'says what it waits for');
syswrite $request, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
is($c->response->{body}, 'ok', 'the request is finished');
is(do { local $/; readline $said }, "quit: master process $pid has ended\n", 'then so is lbd');
close $said;
is($lbd->wait_exit, 0, 'well');

# a shutdown that takes too long
$lbd->configure("worker_shutdown_timeout 300ms;\n$proxy");
$lbd->start;
$pid = $lbd->pid;
$c = Lbd::Client->new($lbd->port);
$c->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
$request = $mute->accept;
($code, $out) = $lbd->run('-s', 'quit');
is($code, 0, 'a request that never ends');
like($out, qr/^quit: master process $pid has ended$/m, 'is ended by worker_shutdown_timeout');
is($lbd->wait_exit, 0, 'well');
undef $request;

# stop, with a configuration that is broken by now, and one that is gone
for my $broken ("http { nonsense on; }\n", "http {\n", undef) {
	$lbd->configure($site);
	$lbd->start;
	$pid = $lbd->pid;
	defined $broken ? spew($lbd->conf_path, $broken) : unlink $lbd->conf_path;
	($code, $out) = $lbd->run('-s', 'status');
	is($code, 0, 'status with a ' . (defined $broken ? 'broken' : 'lost') . ' configuration');
	like($out, qr/^generation 1, running, master process $pid,/, 'tells of what runs');
	($code, $out) = $lbd->run('-s', 'stop');
	is($code, 0, 'stop likewise');
	like($out, qr/^stop: master process $pid has ended$/m, 'and it ends');
	$lbd->wait_exit;
}
$lbd->stop;

# without one: signals
$lbd = Lbd->new(conf => "control off;\n$site");
$pid = $lbd->pid;
($code, $out) = $lbd->run('-s', 'status');
is($code, 1, 'control off: no status');
is($out, "lbd: the control socket is off in the configuration; \"-s status\" needs one that answers\n", 'why');
is(join('', $lbd->run('-s', 'reopen')),
	"0lbd: the control socket is off in the configuration; sent signal USR1 to process $pid instead\n", 'reopen by signal');
ok($lbd->wait_log(qr/signal USR1 received from \d+/), 'arrives');
($code, $out) = $lbd->run('-s', 'reload');
is($code, 0, 'reload by signal');
is($out, "lbd: the control socket is off in the configuration; sent signal HUP to process $pid instead: "
	. "what comes of it is in the error log\n", 'says where to look');
ok($lbd->wait_log(qr/signal HUP received from \d+/), 'arrives');
ok($lbd->wait_log(qr/reload: generation 2 is serving/), 'and is obeyed');
($code, $out) = $lbd->run('-s', 'quit');
is($code, 0, 'quit by signal');
is($out, "lbd: the control socket is off in the configuration; sent signal QUIT to process $pid instead\n"
	. "quit: master process $pid has ended\n", 'waits for the end');
is($lbd->wait_exit, 0, 'which came');
$lbd->stop;

$lbd = Lbd->new(conf => $site);
$pid = $lbd->pid;
my $path = control_path($lbd);
unlink $path;
($code, $out) = $lbd->run('-s', 'reopen');
is("$code$out", "0lbd: no control socket at \"$path\" (No such file or directory); sent signal USR1 to process $pid instead\n",
	'a socket that is gone');
my $s = IO::Socket::UNIX->new(Type => Socket::SOCK_STREAM(), Local => $path, Listen => 1);
close $s;
($code, $out) = $lbd->run('-s', 'reopen');
like($out, qr/\(Connection refused\); sent signal USR1/, 'one that nobody serves');

# somebody else answers there
unlink $path;
$s = IO::Socket::UNIX->new(Type => Socket::SOCK_STREAM(), Local => $path, Listen => 1);
for my $reply ("HTTP/1.1 400 Bad Request\n", "{\"ok\":true}x\n", "\xff\n", "{\"ok\":{}}\n", '') {
	my $server = fork // die "fork: $!";

	if ($server == 0) {
		# without an answer it is asked once more
		for (1 .. ($reply eq '' ? 2 : 1)) {
			my $c = $s->accept;

			control_line($c);
			syswrite $c, $reply;
			close $c;
		}
		POSIX::_exit(0);
	}
	($code, $out) = $lbd->run('-s', 'reopen');
	waitpid $server, 0;
	is($code, 1, 'somebody else answers');
	like($out, $reply eq '' ? qr/^lbd: no answer over the control socket ".*": Connection reset by peer$/
		: qr/^lbd: what answers at the control socket is no lbd$/, 'which is seen');
}
close $s;
$lbd->stop;

# nothing runs
$lbd = Lbd->new(conf => $site, start => 0);
for my $verb (qw(stop quit reopen reload)) {
	($code, $out) = $lbd->run('-s', $verb);
	is($code, 1, "-s $verb when nothing runs");
	like($out, qr/^lbd: no pid file ".*lbd\.pid"; is lbd running\?$/, 'says so');
}
($code, $out) = $lbd->run('-s', 'status');
like("$code$out", qr/^1lbd: no control socket at ".*" \(No such file or directory\); "-s status" needs one/, 'status');

# options
for ([['--json'], '"--json" goes with "-s"'], [['--wait-drained=1s'], '"--wait-drained" goes with "-s"'],
	[['--no-wait'], '"--no-wait" goes with "-s"'],
	[['-s', 'quit', '--wait-drained=1s'], '"--wait-drained" goes with "-s reload"'],
	[['-s', 'reload', '--wait-drained=soon'], '"--wait-drained=soon": no time between 1ms and 24h'],
	[['-s', 'reload', '--wait-drained='], '"--wait-drained=": no time between 1ms and 24h'],
	[['-s', 'reload', '--wait-drained=0'], '"--wait-drained=0": no time between 1ms and 24h'],
	[['-s', 'reload', '--wait-drained=25h'], '"--wait-drained=25h": no time between 1ms and 24h'],
	[['-s', 'reload', '--wait-drained=1s', '--no-wait'], '"--wait-drained" and "--no-wait" are opposites']) {
	my ($args, $why) = @$_;

	is(join('', $lbd->run(@$args)), "1lbd: $why\n", "@$args");
}

done_testing;
