#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Starts lbd ($LBD, or the one in the path) with hello.conf and this module on a port that is free, and
# asks.  Nothing but Perl is needed.

use strict;
use warnings;

use Cwd qw(getcwd);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep);

my $dir = tempdir(CLEANUP => 1);
my $port = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)->sockport;
my $conf = do { local (@ARGV, $/) = 'hello.conf'; <> };

mkdir "$dir/logs";
$conf =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/g;
$conf =~ s{^load_module hello\.so;}{"load_module " . getcwd . "/hello.so;"}me;
open my $f, '>', "$dir/lbd.conf" or die "$dir/lbd.conf: $!";
print $f $conf;
close $f or die "$dir/lbd.conf: $!";

my $pid = fork // die "fork: $!";
if ($pid == 0) {
	exec $ENV{LBD} || 'lbd', '-p', $dir, '-c', "$dir/lbd.conf", '-g',
		'daemon off; worker_processes 1; pid logs/lbd.pid; error_log logs/error.log notice;';
	die "could not run lbd: $!";
}
my $ended;
for (1 .. 3000) {
	last if -s "$dir/logs/lbd.pid";
	last if $ended = waitpid($pid, 1) != 0;
	sleep 0.01;
}
BAIL_OUT('lbd did not start') if $ended || !-s "$dir/logs/lbd.pid";

# (head, body)
sub get {
	my ($path, $host) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) // die "port $port: $!";

	print $s "GET $path HTTP/1.1\r\nHost: " . ($host // 'a.example') . "\r\nConnection: close\r\n\r\n";
	local $/;
	return split /\r\n\r\n/, <$s>, 2;
}

is +(get('/count'))[1], "0\n", 'nothing was said yet';
my ($head, $body) = get('/');
like $head, qr{^HTTP/1\.1 200 }, 'an answer';
is $body, "hello, world\n", 'the default';
like $head, qr/^X-Hello: 1\r?$/m, 'is numbered';
is +(get('/you'))[1], "hello, 127.0.0.1\n", 'a text with a variable';
is +(get('/', 'loud.example'))[1], "HELLO\n", 'what the server says is inherited';
is +(get('/quiet', 'loud.example'))[1], "(hello)\n", 'and said otherwise in a location';
($head, $body) = get('/count');
is $body, "4\n", '$hello_count';
unlike $head, qr/X-Hello/, 'other answers have no number';

kill 'QUIT', $pid;
waitpid $pid, 0;
is $?, 0, 'lbd ends well';
my $log = do { local (@ARGV, $/) = "$dir/logs/error.log"; <> };
like $log, qr/hello from worker 1 of 1$/m, 'the worker said it started';
done_testing;
