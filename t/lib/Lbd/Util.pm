# SPDX-License-Identifier: MIT
#
# What every test needs that has to do with neither lbd nor HTTP: ports, files, waiting, programs.

package Lbd::Util;

use strict;
use warnings;

use Exporter 'import';
use Fcntl qw(:flock O_RDWR O_CREAT);
use File::Spec ();
use IO::Socket::INET ();
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(time sleep);

our @EXPORT = qw(free_port wait_for slurp spew become has_program skip_without run_program title_of is_alive
	is_root nobody);

# Seconds after which something that should have happened counts as never.
sub deadline { return $ENV{LBD_TEST_DEADLINE} // 30 }

my %locks; # port => handle; held until the process ends

# A port below the ephemeral range that nobody listens on; tests that run beside this one skip it.
sub free_port {
	my $dir = File::Spec->tmpdir . "/lbd-test-ports-$>";

	mkdir $dir, 0700;
	for (1 .. 2000) {
		my $port = 10000 + int rand 22000;

		next if $locks{$port};
		sysopen my $lock, "$dir/$port", O_RDWR | O_CREAT or die "$dir/$port: $!";
		next unless flock $lock, LOCK_EX | LOCK_NB;
		next unless can_bind($port);
		$locks{$port} = $lock;
		return $port;
	}
	die "no free port\n";
}

sub can_bind {
	my ($port) = @_;

	return defined IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 1,
		ReuseAddr => 1);
}

# Asks until it is true or the deadline (seconds) has passed; what it said last.
sub wait_for {
	my ($ask, $deadline) = @_;
	my $end = time + ($deadline // deadline());
	my $pause = 0.002;

	while (1) {
		my $is = $ask->();

		return $is if $is || time > $end;
		sleep $pause;
		$pause = $pause * 1.5 > 0.05 ? 0.05 : $pause * 1.5;
	}
}

sub slurp {
	my ($path) = @_;

	open my $f, '<:raw', $path or return undef;
	local $/;
	return scalar(<$f>) // '';
}

sub spew {
	my ($path, $text) = @_;

	open my $f, '>:raw', $path or die "$path: $!";
	print $f $text;
	close $f or die "$path: $!";
}

sub is_root { return $> == 0 }

# A user without rights that exists here.
sub nobody { return (grep { defined getpwnam $_ } qw(nobody daemon))[0] // die "no user nobody\n" }

# Becomes this user for good; no-op unless root.
sub become {
	my ($name) = @_;
	my (undef, undef, $uid, $gid) = getpwnam $name or die "no user $name\n";

	return if $> != 0;
	$) = "$gid $gid";
	POSIX::setgid($gid);
	POSIX::setuid($uid);
	die "could not become $name\n" if $> != $uid || $< != $uid;
}

sub has_program {
	my ($name) = @_;

	for my $dir (split(/:/, $ENV{PATH} // ''), qw(/usr/sbin /sbin /usr/local/sbin)) {
		return "$dir/$name" if -x "$dir/$name" && !-d _;
	}
	return undef;
}

# Ends the test as skipped when one of the programs is missing.
sub skip_without {
	for my $name (@_) {
		next if has_program($name);
		require Test::More;
		Test::More::plan(skip_all => "$name is not installed");
	}
}

# (exit code or -signal, output).  First argument may be a hash with environment, and run_as => user.
sub run_program {
	my $env = ref $_[0] ? shift : {};
	my @cmd = @_;
	my $as = delete local $env->{run_as};
	my $pid = open(my $out, '-|') // die "fork: $!";

	if ($pid == 0) {
		$ENV{$_} = $env->{$_} for keys %$env;
		open STDIN, '<', '/dev/null';
		open STDERR, '>&', \*STDOUT;
		become($as) if defined $as;
		exec { $cmd[0] } @cmd or do {
			print "could not run $cmd[0]: $!\n";
			close STDOUT;
			POSIX::_exit(127);
		};
	}
	my $text = do { local $/; <$out> };
	close $out;
	return (WIFSIGNALED($?) ? -WTERMSIG($?) : WEXITSTATUS($?), $text // '');
}

# It exists and is not just waiting for its parent to notice its end.
sub is_alive {
	my ($pid) = @_;

	return (slurp("/proc/$pid/stat") // '') =~ /^\d+ \(.*\) [^ZX] /s;
}

sub children_of {
	my ($pid) = @_;
	my @found;

	for my $stat (glob '/proc/[0-9]*/stat') {
		my $text = slurp($stat) // next;

		push @found, $1 if $text =~ /^(\d+) \(.*\) (\S) (\d+) /s && $3 == $pid && $2 ne 'Z';
	}
	return sort { $a <=> $b } @found;
}

# What ps shows.
sub title_of {
	my ($pid) = @_;
	my $text = slurp("/proc/$pid/cmdline") // '';

	$text =~ s/\0+\z//;
	$text =~ tr/\0/ /;
	return $text;
}

1;
