# SPDX-License-Identifier: MIT
#
# Runs lbd for a test, in a folder of its own, on ports nobody else has.
#
#	use Lbd;
#	my $lbd = Lbd->new(conf => <<'EOT');
#	http {
#		server { listen 127.0.0.1:%%PORT_0%%; return 200 "hello\n"; }
#	}
#	EOT
#	is(http_get($lbd->port(0), '/')->{body}, "hello\n", 'answers');
#	$lbd->stop;
#	done_testing;
#
# stop() and the end of the test look into the error log and at what the program printed: an [alert] or
# [emerg], a sanitizer's report, a process that ended on a signal or with a code fails the test, unless
# a pattern of allow => [qr/.../] matches the line.
#
# What the configuration does not say at the beginning of a line is added with -g: daemon off, two workers,
# error_log at level info, and the engine of this run ($LBD_TEST_ENGINE).  A configuration with an events
# block of its own writes %%USE%% in it, or %%EVENTS%% for the whole block.

package Lbd;

use strict;
use warnings;

use Cwd ();
use Exporter 'import';
use File::Copy ();
use File::Path qw(make_path remove_tree);
use File::Temp ();
use POSIX qw(:sys_wait_h);
use Test::More ();
use Time::HiRes qw(time sleep);

use Lbd::Backend;
use Lbd::Http;
use Lbd::Util;

our @EXPORT = (@Lbd::Util::EXPORT, @Lbd::Http::EXPORT, @Lbd::Backend::EXPORT,
	qw(lbd_program lbd_run modules_folder));

my %live; # folder => object

# a test that is told to end ends what it started
for my $name (qw(TERM INT HUP)) {
	$SIG{$name} //= sub { exit 1 };
}

# nor does it end because somebody does not listen any more; a handler, for a program that is run would
# inherit that a signal is ignored
$SIG{PIPE} //= sub { };

my $build; # found once, before somebody becomes another user

# Every folder on the way may be entered by everybody.
sub is_open_to_all {
	my ($dir) = @_;

	while ($dir ne '') {
		return 0 unless ((stat $dir)[2] // 0) & 0001;
		$dir =~ s{/[^/]+$}{};
	}
	return 1;
}

# The program and its modules where an ordinary user can reach them, when they are below root's folder.
sub build_copy {
	my ($from) = @_;
	my $to = File::Temp::tempdir('lbd-build-XXXXXX', TMPDIR => 1, CLEANUP => 1);

	make_path("$to/modules");
	chmod 0755, $to, "$to/modules";
	for my $file ('lbd', map { s{^\Q$from\E/}{}r } glob "$from/modules/*.{so,tsv}") {
		File::Copy::copy("$from/$file", "$to/$file") or die "copy $file: $!\n";
		chmod 0755, "$to/$file";
	}
	return $to;
}

sub build_folder {
	return $build if defined $build;
	my $dir = $ENV{LBD_BUILD} // 'build';

	$build = Cwd::abs_path($dir) // die "no build folder \"$dir\"; set LBD_BUILD\n";
	$build = build_copy($build) if is_root() && !is_open_to_all($build);
	return $build;
}

sub lbd_program { return build_folder() . '/lbd' }
sub modules_folder { return $ENV{LBD_MODULES_PATH} // build_folder() . '/modules' }

# lbd with these arguments, to its end: (exit code or -signal, what it printed on both)
sub lbd_run {
	return Lbd::Util::run_program({ LBD_MODULES_PATH => modules_folder() }, lbd_program(), @_);
}

# conf => text        required
# engine => name      instead of $LBD_TEST_ENGINE; '' for none
# args => [...]       more arguments
# files => {...}      path below the folder => content
# env => {...}        environment
# allow => [qr//]     log lines that do not fail the test
# start => 0          prepares only
# as => name          the user that starts it, when root
# program => path     instead of the lbd of the build
# workers => n        when the configuration does not say; 2
# deadline => s       for start and stop
sub new {
	my ($class, %o) = @_;
	my $dir = File::Temp::tempdir('lbd-test-XXXXXX', TMPDIR => 1);
	my $self = bless {
		dir => $dir, ports => [], args => [], env => {}, allow => [], workers => 2, pid => 0,
		owner => $$, deadline => Lbd::Util::deadline(), engine => $ENV{LBD_TEST_ENGINE} // '', %o
	}, $class;

	build_folder();
	chmod 0755, $dir or die "chmod $dir: $!";
	make_path("$dir/conf", "$dir/logs", "$dir/html");
	$live{$dir} = $self;
	$self->file($_, $o{files}{$_}) for sort keys %{ $o{files} // {} };
	$self->configure($o{conf} // die "Lbd->new needs conf\n");
	$self->own($o{as}) if defined $o{as};
	$self->start unless defined $o{start} && !$o{start};
	return $self;
}

sub dir { return $_[0]{dir} }
sub pid { return $_[0]{pid} }
sub conf_path { return "$_[0]{dir}/conf/lbd.conf" }
sub pid_path { return "$_[0]{dir}/logs/lbd.pid" }
sub log_path { return "$_[0]{dir}/logs/error.log" }

# Port %%PORT_i%% of the configuration.
sub port {
	my ($self, $i) = @_;

	return $self->{ports}[$i // 0] //= free_port();
}

# Writes a file below the folder, placeholders replaced; its path.
sub file {
	my ($self, $name, $text) = @_;
	my $path = "$self->{dir}/$name";

	make_path($1) if $path =~ m{^(.*)/};
	spew($path, $self->expand($text));
	return $path;
}

sub expand {
	my ($self, $text) = @_;
	my $use = $self->use_engine;

	$text =~ s/%%PORT_(\d+)%%/$self->port($1)/ge;
	$text =~ s/%%DIR%%/$self->{dir}/g;
	$text =~ s/%%EVENTS%%/events { $use }/g;
	$text =~ s/%%USE%%/$use/g;
	return $text;
}

# What an events block says.  Rings of all processes of one user share a limit of locked memory (often
# 8 MB: fifteen rings of usual size), so those of tests that run side by side are small.
sub use_engine {
	my ($self) = @_;

	return '' if $self->{engine} eq '';
	return "use $self->{engine};" . ($self->{engine} eq 'io_uring' ? ' io_uring_entries 256;' : '');
}

# Writes the configuration anew.
sub configure {
	my ($self, $conf) = @_;
	my $global = $self->{global} // '';

	$global .= ' daemon off;' unless $conf =~ /^daemon\b/m;
	$global .= " worker_processes $self->{workers};" unless $conf =~ /^worker_processes\b/m;
	$global .= ' error_log logs/error.log info;' unless $conf =~ /^error_log\b/m;
	$global .= " events { @{[ $self->use_engine ]} }"
		if $self->{engine} ne '' && $conf !~ /%%EVENTS%%|\bevents\s*\{/;
	$self->{g} = $global;
	$self->{single} = $conf =~ /^master_process\s+off/m;
	$self->file('conf/lbd.conf', $conf);
}

# The folder and all in it belong to that user.
sub own {
	my ($self, $user) = @_;
	my (undef, undef, $uid, $gid) = getpwnam $user or die "no user $user\n";

	return if $> != 0;
	chown $uid, $gid, $self->{dir}, glob("$self->{dir}/*"), glob("$self->{dir}/*/*");
}

sub arguments {
	my ($self) = @_;

	return ('-p', $self->{dir}, '-g', $self->{g}, @{ $self->{args} });
}

# lbd on this folder with more arguments: ('-t'), ('-s', 'quit')
sub run {
	my ($self, @args) = @_;

	return Lbd::Util::run_program($self->environment, lbd_program(), $self->arguments, @args);
}

# lbd -t: (exit code, output)
sub run_test { return $_[0]->run('-t') }

sub environment {
	my ($self) = @_;

	return { LBD_MODULES_PATH => modules_folder(), %{ $self->{env} } };
}

# Starts without waiting.
sub launch {
	my ($self) = @_;
	my $env = $self->environment;
	my $pid = fork // die "fork: $!";

	if ($pid == 0) {
		@ENV{ keys %$env } = values %$env;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$self->{dir}/output" or POSIX::_exit(126);
		open STDERR, '>&', \*STDOUT;
		become($self->{as}) if defined $self->{as};
		my $program = $self->{program} // lbd_program();
		exec { $program } $program, $self->arguments or POSIX::_exit(127);
	}
	$self->{pid} = $pid;
	delete $self->{status};
	return $self;
}

# The pid file is written when every socket listens.
sub start {
	my ($self) = @_;

	unlink $self->pid_path;
	$self->launch;
	wait_for(sub { $self->is_up && $self->is_complete || !$self->is_running }, $self->{deadline});
	return $self if $self->is_up;
	my $said = $self->output . $self->log;
	$self->kill_now;
	die "lbd did not start:\n$said";
}

sub is_up {
	my ($self) = @_;

	return -s $self->pid_path && $self->is_running;
}

# Every child there is says that it is at work, control (the last one) included.
sub is_complete {
	my ($self) = @_;
	my @titles = map { title_of($_) } $self->children;

	return 1 if $self->{single};
	return grep(/^lbd: control/, @titles)
		&& !grep { !/^lbd: (?:worker|control) process(?: is shutting down)?$/ } @titles;
}

sub is_running {
	my ($self) = @_;

	return 0 if !$self->{pid};
	return 0 if defined $self->{status};
	return 1 if waitpid($self->{pid}, WNOHANG) == 0;
	$self->{status} = $?;
	return 0;
}

sub signal {
	my ($self, $name, $pid) = @_;

	return kill $name, $pid // $self->{pid};
}

# How the master ended: exit code, -signal, or undef when it did not in time.
sub wait_exit {
	my ($self, $deadline) = @_;

	return undef if !wait_for(sub { !$self->is_running }, $deadline // $self->{deadline});
	my $st = $self->{status} // return undef; # it never ran
	return WIFSIGNALED($st) ? -WTERMSIG($st) : WEXITSTATUS($st);
}

# Ends it (TERM unless told otherwise) and checks that all went well.
sub stop {
	my ($self, $name) = @_;
	my $code;

	if ($self->is_running) {
		$self->signal($name // 'TERM');
		$code = $self->wait_exit;
		if (!defined $code) {
			Test::More::fail('lbd ends on ' . ($name // 'TERM'));
			$self->kill_now;
		} elsif ($code != 0) {
			Test::More::fail("lbd ends with 0, not $code");
			Test::More::diag($self->output);
		}
	}
	$self->check;
	$self->clean;
	return $code;
}

sub kill_now {
	my ($self) = @_;

	kill 'KILL', $_ for grep { $_ > 1 } $self->{pid}, $self->children;
	$self->wait_exit(5);
}

# Lines in the logs that say something went wrong.
sub complaints {
	my ($self) = @_;
	my @bad;

	for (split /\n/, $self->output . "\n" . $self->log) {
		my $line = $_;

		next unless $line =~ /\[(?:alert|emerg)\]|ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer
			|exited\ on\ signal|exited\ with\ code\ (?!0\b)/x;
		push @bad, $line unless grep { $line =~ $_ } @{ $self->{allow} };
	}
	return @bad;
}

sub check {
	my ($self) = @_;
	my @bad = $self->complaints;

	return 1 if !@bad || $self->{checked}++;
	Test::More::fail('no complaints in the logs');
	Test::More::diag($_) for @bad;
	Test::More::diag($self->output) if grep { /Sanitizer|runtime error/ } @bad;
	return 0;
}

# A master in the background, which is not our child, is left when a test ends before it ended it.
sub end_background {
	my ($self) = @_;

	for my $path (glob "$self->{dir}/logs/*.pid") {
		my ($pid) = (slurp($path) // '') =~ /^([1-9]\d+)$/ or next;

		# the number may be another's by now
		next if !grep { (readlink // '') =~ m{^\Q$self->{dir}\E/} } glob "/proc/$pid/fd/*";
		kill 'KILL', $pid, Lbd::Util::children_of($pid);
	}
}

sub clean {
	my ($self) = @_;

	$self->end_background;
	delete $live{ $self->{dir} };
	if ($ENV{LBD_TEST_KEEP}) {
		Test::More::diag("kept $self->{dir}");
	} else {
		remove_tree($self->{dir}, { safe => 0, error => \my $ignored });
	}
}

sub output { return slurp("$_[0]{dir}/output") // '' }

# The error log so far, or another file below logs/.
sub log {
	my ($self, $name) = @_;

	return slurp("$self->{dir}/logs/" . ($name // 'error.log')) // '';
}

# Waits until the error log has a line like this; the first match's text (its group when it has one).
sub wait_log {
	my ($self, $re, $deadline) = @_;
	my $found;

	wait_for(sub { $found = $self->log =~ $re ? $1 // $& : undef; defined $found },
		$deadline // $self->{deadline});
	return $found;
}

# How many reloads are over: (done, failed).
sub reloads {
	my $log = $_[0]->log;

	return (scalar(() = $log =~ /reload: generation \d+ is serving/g),
		scalar(() = $log =~ /reload failed, generation \d+ keeps serving/g));
}

# HUP (or another signal), and its result: 1 or 0, undef when it does not come.
sub reload {
	my ($self, $name) = @_;
	my ($done, $failed) = $self->reloads;
	my $result;

	$self->signal($name // 'HUP');
	wait_for(sub {
		my @now = $self->reloads;

		$result = $now[0] > $done ? 1 : $now[1] > $failed ? 0 : undef;
		return defined $result;
	}, $self->{deadline});
	return $result;
}

# The generation that serves, by the log.
sub generation {
	my @serving = $_[0]->log =~ /reload: generation (\d+) is serving/g;

	return $serving[-1] // 1;
}

# Every worker there is serves: older generations are gone.
sub is_drained {
	my ($self) = @_;

	return !grep { title_of($_) =~ /shutting down/ } $self->children;
}

# Processes the master has forked, in the order of their pids.
sub children { return Lbd::Util::children_of($_[0]{pid}) }

# Pids of workers and of control, by what they call themselves.
sub workers { return grep { title_of($_) =~ /^lbd: worker/ } $_[0]->children }
sub control { return grep { title_of($_) =~ /^lbd: control/ } $_[0]->children }

sub DESTROY {
	my ($self) = @_;

	return if $self->{owner} != $$ || !$live{ $self->{dir} };
	local ($?, $@, $!);
	$self->kill_now if $self->is_running;
	$self->clean;
}

END {
	my $code = $?;

	for my $self (grep { $_->{owner} == $$ } values %live) {
		$self->signal('TERM') if $self->is_running;
		$self->kill_now if !defined $self->wait_exit(10);
		for ($self->complaints) {
			print STDERR "# $_\n";
			$code ||= 1;
		}
		$self->clean;
	}
	$? = $code;
}

1;
