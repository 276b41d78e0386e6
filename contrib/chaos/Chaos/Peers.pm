# SPDX-License-Identifier: MIT
#
# Servers, each a process, and the process of the clients: started, told, killed.

package Chaos::Peers;

use strict;
use warnings;

use File::Temp ();
use IO::Handle ();
use IPC::Open2 qw(open2);
use Lbd::Util;

my $here = __FILE__ =~ s{Chaos/Peers\.pm$}{}r;

sub new {
	my ($class, %o) = @_;
	my $dir = File::Temp::tempdir('lbd-chaos-XXXXXX', TMPDIR => 1, CLEANUP => 1);
	my $self = bless { %o, dir => $dir, program => "$dir/chaos", server => [] }, $class;
	my ($code, $out) = run_program('sh', '-c', ($ENV{CC} // 'cc') . " -std=gnu11 -O2 -Wall -o $dir/chaos " .
		join ' ', glob("${here}chaos*.c"), map { "${here}../storm/storm_$_.c" } qw(body wire loop));

	die "the clients do not compile:\n$out" if $code != 0;
	$self->{ports} = [map { free_port() } 1 .. $o{servers}];
	$self->revive($_) for 0 .. $o{servers} - 1;
	return $self;
}

sub ports { return @{ $_[0]{ports} } }
sub dir { return $_[0]{dir} }

sub start {
	my ($self, @args) = @_;
	my $pid = open2(my $from, my $to, $self->{program}, @args);

	$to->autoflush(1);
	my $p = { pid => $pid, from => $from, to => $to };
	die "$args[0] does not begin\n" if hear($p) ne 'ready';
	return $p;
}

sub hear {
	my ($p) = @_;
	my $line = readline $p->{from};

	return 'nothing' if !defined $line;
	chomp $line;
	return $line;
}

sub ask {
	my ($p, $text) = @_;

	print { $p->{to} } "$text\n";
	return hear($p);
}

# --- servers ---

sub revive {
	my ($self, $i) = @_;

	$self->{server}[$i] = $self->start('serve', $self->{ports}[$i], $i, "$self->{dir}/seen.$i");
}

sub kill_server {
	my ($self, $i) = @_;
	my $p = $self->{server}[$i];

	kill 'KILL', $p->{pid};
	waitpid $p->{pid}, 0;
	$self->{server}[$i] = undef;
}

# STOP or CONT.
sub signal_server {
	my ($self, $i, $name) = @_;

	kill $name, $self->{server}[$i]{pid};
}

# Obeyed when this returns.
sub mood {
	my ($self, $i, $name) = @_;
	my $is = ask($self->{server}[$i], $name);

	die "server $i was told \"$name\" and says \"$is\"\n" if $is ne $name;
}

# A byte per id, of each server: what chaos.h says.
sub seen { return map { slurp("$_[0]{dir}/seen.$_") // '' } 0 .. $_[0]{servers} - 1 }

# --- clients ---

sub drive {
	my ($self, $port) = @_;

	$self->{drive} = $self->start('drive', $port, $self->{clients}, $self->{seed}, "$self->{dir}/odd", "$self->{dir}/posts");
}

sub tell_clients {
	my ($self, $text) = @_;
	my $is = ask($self->{drive}, $text);

	die "the clients were told \"$text\" and say \"$is\"\n" if $is ne 'ok';
}

# { GET => {...}, PUT => {...}, POST => {...}, busy, last }
sub accounts {
	my ($self) = @_;
	my %a;

	print { $self->{drive}{to} } "tell\n";
	while ((my $line = hear($self->{drive})) ne 'ok') {
		die "the clients have ended\n" if $line eq 'nothing';
		my %n = map { split /=/, $_, 2 } split / /, $line;
		my $name = delete $n{name};

		%a = defined $name ? (%a, $name => \%n) : (%a, %n);
	}
	return \%a;
}

# What was not as it should be: [id, method, how, status, excused, tried]
sub odd { return map { [split / /] } split /\n/, slurp("$_[0]{dir}/odd") // '' }

sub stop {
	my ($self) = @_;

	for my $p (grep { defined } delete $self->{drive}, splice @{ $self->{server} }) {
		kill 'KILL', $p->{pid};
		waitpid $p->{pid}, 0;
	}
}

sub DESTROY {
	my ($self) = @_;

	local ($?, $@, $!);
	$self->stop;
}

1;
