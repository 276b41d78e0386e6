# SPDX-License-Identifier: MIT
#
# The programs that are compared: how each is started on its CPUs, found and ended.  What they serve is in Conf.pm.

package Bench::Servers;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use File::Path qw(make_path);
use IO::Socket::INET ();
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

use Bench::Conf;
use Bench::Util;

our @EXPORT = qw(free_port server_start servers_stop servers_complaints);

my @running;
my %given;

# Below the ephemeral range, never the same twice: a second listener on the same port would share it.
sub free_port {
	for (1 .. 2000) {
		my $port = 20000 + int rand 10000;

		next if $given{$port}++;
		return $port if IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1);
	}
	die "no free port\n";
}

my %kinds = (
	nginx => { args => sub { ('-p', $_[0]{dir}, '-e', "$_[0]{dir}/error.log", '-c', $_[1]) }, worker => qr/^nginx: worker/ },
	haproxy => { args => sub { ('-db', '-f', $_[1]) } },
	lbd => { args => sub { ('-p', $_[0]{dir}, '-c', $_[1]) }, worker => qr/^lbd: worker/ },
);

sub children_of {
	my ($pid) = @_;

	return grep { (slurp("/proc/$_/stat") // '') =~ /^\d+ \(.*\) [^Z] $pid /s }
		map { m{/(\d+)/} ? $1 : () } glob '/proc/[0-9]*/stat';
}

# Processes whose CPU time counts.
sub workers_of {
	my ($s) = @_;
	my $is = $kinds{ $s->{kind} }{worker} // return $s->{pid};

	return grep { (slurp("/proc/$_/cmdline") // '') =~ $is } children_of($s->{pid});
}

sub is_up {
	my ($s) = @_;

	for my $port (values %{ $s->{ports} }) {
		return 0 unless IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 1);
	}
	return ($kinds{ $s->{kind} }{worker} ? $s->{workers} : 1) == (my @w = workers_of($s));
}

sub failed {
	my ($s, $why) = @_;

	die "$s->{name}: $why\n" . (slurp("$s->{dir}/output") // '') . (slurp("$s->{dir}/error.log") // '');
}

# { name, kind, program, engine } with a set of ports on the CPUs of $o->{cpu}; with pids, ports and dir when it is
# up.  $o: dir, cpu, backend (port), connections, files, workers (default: 1; each on a CPU of its own).
sub server_start {
	my ($s, $o, $set) = @_;
	my $kind = $kinds{ $s->{kind} };
	my @cpus = split /,/, $o->{cpu};

	@$s{qw(set workers dir)} = ($set, $o->{workers} // 1, "$o->{dir}/$s->{name}-$set");
	make_path($s->{dir});
	chmod 0755, $s->{dir};
	$s->{ports} = { map { $_ => free_port() } conf_ports($set, $s->{kind}) };
	spew("$s->{dir}/conf", conf_text($s, $o));
	my $modules = dirname($s->{program}) . '/modules';
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		$ENV{LBD_MODULES_PATH} //= $modules if $s->{kind} eq 'lbd' && -d $modules;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$s->{dir}/output";
		open STDERR, '>&', \*STDOUT;
		exec 'taskset', '-c', $o->{cpu}, $s->{program}, $kind->{args}->($s, "$s->{dir}/conf")
			or POSIX::_exit(127);
	}
	$s->{pid} = $pid;
	push @running, $s;
	my $end = time + 60;
	until (is_up($s)) {
		failed($s, 'ended at its start') if waitpid($pid, WNOHANG) != 0;
		failed($s, 'did not start') if time > $end;
		sleep 0.05;
	}
	$s->{pids} = [workers_of($s)];
	# several processes: one CPU each, whatever they have chosen themselves
	for my $i (0 .. $#{ $s->{pids} }) {
		my $cpu = @{ $s->{pids} } > 1 ? $cpus[$i % @cpus] : $o->{cpu};
		system("taskset -a -p -c $cpu $s->{pids}[$i] >/dev/null");
	}
	return $s;
}

# What they have to say about a run that failed.
sub servers_complaints {
	return map { my $s = $_; map { "$s->{name}: $_\n" } grep { /\[(?:alert|emerg|crit)\]/ } split /\n/,
		slurp("$s->{dir}/error.log") // '' } @running;
}

sub servers_stop {
	local $?;
	for my $s (splice @running) {
		my $end = time + 5;

		kill 'TERM', $s->{pid};
		while (waitpid($s->{pid}, WNOHANG) == 0) {
			kill 'KILL', $s->{pid}, workers_of($s) if time > $end;
			sleep 0.02;
		}
	}
}

END { servers_stop() }

1;
