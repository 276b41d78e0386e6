#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# lbd says what it is, checks a configuration, starts, answers, stops.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my ($code, $out);

# what it is
($code, $out) = lbd_run('-v');
is($code, 0, '-v');
like($out, qr{^lbd version: lbd/\d+\.\d+\.\d+$}m, '-v names the version');
is((lbd_run('--version'))[1], $out, '--version is the same');
($code, $out) = lbd_run('-V');
is($code, 0, '-V');
like($out, qr/^lbd version.*^built by .*^configure arguments:.*^event engines: .*epoll.*^module API: \d+\.\d+$/ms,
	'-V tells how it was built');
like($out, qr/^bundled modules in .*:$/m, '-V lists modules');
($code, $out) = lbd_run('-h');
is($code, 0, '-h');
like($out, qr/^usage: lbd.*-c file.*-p prefix.*-g directives.*-t .*-T .*-s stop.*-s quit.*-s reopen.*odules/ms, '-h helps');
is((lbd_run('--help'))[1], $out, '--help is the same');
is((lbd_run('-?'))[1], $out, '-? is the same');

# what it does not take
for (['-x', qr/unknown option "-x"/], ['stop', qr/unknown option "stop"/], ['-c', qr/option "-c" needs a value/],
	['--helq', qr/unknown option "--helq"/], ['-s', 'kill', qr/unknown signal "-s kill"/]) {
	my $re = pop @$_;

	($code, $out) = lbd_run(@$_);
	is($code, 1, "lbd @$_ is refused");
	like($out, $re, 'and says why');
}

my $lbd = Lbd->new(start => 0, conf => <<'EOT');
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		return 200 "hello\n";
	}
}
EOT

# the configuration is checked
my $conf = $lbd->conf_path;
($code, $out) = $lbd->run('-t');
is($code, 0, '-t of a good configuration');
is($out, "lbd: configuration file $conf syntax is ok\nlbd: configuration file $conf test is successful\n",
	'-t says so');
($code, $out) = $lbd->run('-tq');
is("$code$out", '0', '-tq says nothing');
($code, $out) = $lbd->run('-T');
is($code, 0, '-T');
my $text = slurp($conf);
like($out, qr/^\Q# configuration file $conf:\E\n\Q$text\E$/m, '-T shows the file as it is');

spew("$lbd->{dir}/conf/broken.conf", "http {\n\tservr { }\n}\n");
($code, $out) = lbd_run('-p', $lbd->dir, '-c', 'conf/broken.conf', '-t');
is($code, 1, '-t of a broken configuration');
like($out, qr{broken\.conf:2:\d+: unknown directive "servr"}, 'says where');
like($out, qr/^1 error$/m, 'counts');
like($out, qr{^lbd: configuration file .*/conf/broken\.conf test failed$}m, 'and fails');
($code, $out) = lbd_run('-p', $lbd->dir, '-c', 'conf/broken.conf');
is($code, 1, 'nothing starts with it');
like($out, qr/not started$/m, 'and says so');
($code, $out) = lbd_run('-p', $lbd->dir, '-c', 'conf/none.conf', '-t');
is($code, 1, 'a missing file');
like($out, qr{none\.conf}, 'is named');

# it runs
$lbd->start;
is(slurp($lbd->pid_path), $lbd->pid . "\n", 'pid file holds the pid');
like(Lbd::title_of($lbd->pid), qr/^lbd: master/, 'the master says what it is');
ok(wait_for(sub { $lbd->workers == 2 && $lbd->control }), 'two workers and control');
my $r = http_get($lbd->port, '/');
is($r->{status}, 200, 'answers');
is($r->{body}, "hello\n", 'with what the configuration says');
like($lbd->wait_log(qr/start: .*/), qr/^start: 2 workers, engine (?:io_uring|epoll)$/, 'the start is logged');
like($lbd->log, qr/engine \Q$ENV{LBD_TEST_ENGINE}\E/, 'the engine asked for') if $ENV{LBD_TEST_ENGINE};

# and ends
$lbd->signal('TERM');
is($lbd->wait_exit, 0, 'TERM ends it with 0');
ok(!-e $lbd->pid_path, 'the pid file is gone');
ok(!connect_to($lbd->port), 'nobody listens');
$lbd->start;
is(http_get($lbd->port, '/')->{body}, "hello\n", 'starts again');
$lbd->signal('QUIT');
is($lbd->wait_exit, 0, 'QUIT ends it with 0');
ok(!-e $lbd->pid_path, 'the pid file is gone');
$lbd->stop;

done_testing;
