# SPDX-License-Identifier: MIT
#
# Files, programs, and what machine this is.

package Bench::Util;

use strict;
use warnings;

use Cwd ();
use Exporter 'import';
use File::Temp ();
use JSON::PP ();
use POSIX ();

our @EXPORT = qw(slurp spew find_program first_line build_load data_folder files_limit machine enter_namespace raise_limit install_peers);

sub slurp {
	my ($path) = @_;

	open my $f, '<', $path or return undef;
	local $/;
	return scalar <$f>;
}

sub spew {
	my ($path, $text) = @_;

	open my $f, '>', $path or die "$path: $!\n";
	print $f $text;
	close $f or die "$path: $!\n";
}

sub first_line {
	my ($text) = @_;

	return (split /\n/, $text // '')[0] // '';
}

sub find_program {
	my ($name) = @_;

	return -x $name && !-d _ ? Cwd::abs_path($name) : undef if $name =~ m{/};
	for my $dir (split(/:/, $ENV{PATH} // ''), qw(/usr/sbin /sbin /usr/local/sbin)) {
		return "$dir/$name" if -x "$dir/$name" && !-d _;
	}
	return undef;
}

# The generator, from the sources in one folder to a program in another.
sub build_load {
	my ($from, $dir) = @_;
	my $cc = $ENV{CC} // 'cc';

	system("$cc -std=gnu11 -O2 -Wall -o '$dir/load' " . join(' ', map { "'$_'" } glob("$from/load*.c")) . ' -lm') == 0
		or die "could not build the generator\n";
	return "$dir/load";
}

# For logs, bodies and configurations: in memory if there is such a place, so that no disk is measured.
sub data_folder {
	my ($keep) = @_;
	my @where = -d '/dev/shm' && -w _ ? (DIR => '/dev/shm') : (TMPDIR => 1);
	my $dir = File::Temp::tempdir('lbd-bench-XXXXXX', @where, CLEANUP => !$keep);

	chmod 0755, $dir;
	return $dir;
}

sub files_limit { return POSIX::sysconf(POSIX::_SC_OPEN_MAX()) }

# Starts the program again with as many descriptors as are allowed.
sub raise_limit {
	my (@argv) = @_;

	return if $ENV{LBD_BENCH_LIMIT}++;
	exec '/bin/sh', '-c', 'ulimit -n "$(ulimit -H -n)" 2>/dev/null; exec "$@"', 'sh', $^X, $0, @argv or die "sh: $!\n";
}

# A network of its own: nobody's ports, nobody's connections in TIME_WAIT, the same congestion control
# everywhere (a pacing one costs each program much, and not the same).  Only as root.
sub enter_namespace {
	my (@argv) = @_;

	if (!$ENV{LBD_BENCH_NAMESPACE}) {
		if (system('unshare -n ip link set lo up >/dev/null 2>&1') != 0) {
			warn "no network namespace (unshare, ip): connections of others and the congestion control are as they are\n";
			return;
		}
		$ENV{LBD_BENCH_NAMESPACE} = 1;
		exec 'unshare', '-n', '--', $^X, $0, @argv or die "unshare: $!\n";
	}
	system('ip link set lo up') == 0 or die "could not set up the network namespace\n";
	my %sysctl = ('ipv4/tcp_congestion_control' => 'reno', 'core/somaxconn' => 65535, 'ipv4/ip_local_port_range' => '1024 65000',
		'ipv4/ip_local_reserved_ports' => '20000-30000', 'ipv4/tcp_tw_reuse' => 1);
	for (sort keys %sysctl) {
		eval { spew("/proc/sys/net/$_", $sysctl{$_}); 1 } or warn "no $_: $@";
	}
}

sub machine {
	my ($model) = (slurp('/proc/cpuinfo') // '') =~ /^model name\s*:\s*(.*)$/m;
	my ($memory) = (slurp('/proc/meminfo') // '') =~ /^MemTotal:\s*(\d+)/m;
	my $control = slurp('/proc/sys/net/ipv4/tcp_congestion_control') // 'unknown';

	chomp $control;
	return { cpu => $model // (POSIX::uname())[4], cores => scalar(() = (slurp('/proc/cpuinfo') // '') =~ /^processor\s*:/mg),
		memory_mb => int(($memory // 0) / 1024), kernel => join(' ', (POSIX::uname())[0, 2]), congestion_control => $control,
		namespace => $ENV{LBD_BENCH_NAMESPACE} ? JSON::PP::true() : JSON::PP::false() };
}

# What is compared with lbd, from the distribution.
sub install_peers {
	my ($id) = (slurp('/etc/os-release') // '') =~ /^ID=(\w+)/m;
	my %tools = (debian => ['linux-perf'], ubuntu => ['linux-tools-generic']);
	my $perf = $tools{ $id // '' } // die "--install knows Debian and Ubuntu only; install nginx, HAProxy, wrk, perf by hand\n";
	my %want = (nginx => ['nginx-light'], haproxy => ['haproxy'], wrk => ['wrk'], perf => $perf, ip => ['iproute2'],
		unshare => ['util-linux'], cc => [qw(gcc libc6-dev)]);
	my @missing = map { @{ $want{$_} } } grep { !defined find_program($_) } sort keys %want;

	return if !@missing;
	die "--install needs root\n" if $> != 0;
	my @command = (qw(apt-get install -y --no-install-recommends), @missing);
	print "installing what is compared: @command\n(the packages may start their services)\n";
	system('apt-get', 'update') == 0 or die "apt-get update failed\n";
	system(@command) == 0 or die "apt-get install failed\n";
}


1;
