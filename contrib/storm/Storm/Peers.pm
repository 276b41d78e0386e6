# SPDX-License-Identifier: MIT
#
# Clients and servers of the storm: two processes of the program in this folder, told what to do by lines.

package Storm::Peers;

use strict;
use warnings;

use File::Temp ();
use IO::Handle ();
use IPC::Open2 qw(open2);
use Lbd::Util;

sub new {
	my ($class, %o) = @_;
	my $dir = File::Temp::tempdir('lbd-storm-XXXXXX', TMPDIR => 1, CLEANUP => 1);
	my $self = bless { dir => $dir, program => "$dir/storm" }, $class;
	my ($code, $out) = run_program('sh', '-c', ($ENV{CC} // 'cc') . " -std=gnu11 -O2 -Wall -o $dir/storm " .
		join ' ', glob(__FILE__ =~ s{Storm/Peers\.pm$}{storm*.c}r));

	die "the clients do not compile:\n$out" if $code != 0;
	$self->start('serve', 3);
	while (1) {
		my $line = $self->hear('serve');

		last if $line eq 'ready';
		push @{ $self->{ports} }, $1 if $line =~ /^port (\d+)$/;
	}
	$self->start('drive', (defined $o{kinds} ? ('--kinds', $o{kinds}) : ()), '--clients', $o{clients}, '--seed', $o{seed}, '--complaints', $o{complaints} // 40, map { ("--$_->[0]", int 1000 * $o{ $_->[1] }) }
		['body-ms', 'body-seconds'], ['idle-min-ms', 'idle-min'], ['idle-max-ms', 'idle-max'],
		['tunnel-ms', 'tunnel-seconds'], ['silence-ms', 'silence']);
	return $self;
}

sub ports { return @{ $_[0]{ports} } }

sub start {
	my ($self, $name, @args) = @_;
	my $pid = open2(my $from, my $to, $self->{program}, $name, @args);

	$to->autoflush(1);
	$self->{$name} = { pid => $pid, from => $from, to => $to };
}

sub hear {
	my ($self, $name) = @_;
	my $line = readline $self->{$name}{from};

	die "the storm's \"$name\" ended\n" if !defined $line;
	chomp $line;
	return $line;
}

sub say_to {
	my ($self, $name, $text) = @_;

	print { $self->{$name}{to} } "$text\n";
}

# A word for the clients, obeyed when this returns.
sub drive {
	my ($self, $text) = @_;

	$self->say_to('drive', $text);
	my $answer = $self->hear('drive');
	die "the clients say \"$answer\" to \"$text\"\n" if $answer ne 'ok';
}

sub numbers { return { map { /^(\w+)=(.*)$/ ? ($1 => $2) : () } split / /, $_[0] } }

# ({ kind => {...} }, {running...})
sub accounts {
	my ($self) = @_;
	my (%kinds, @order);

	$self->say_to('drive', 'tell');
	while (1) {
		my $line = $self->hear('drive');
		my $n = numbers($line);

		return { kinds => \%kinds, order => \@order, all => $n } if $line =~ /^all /;
		my $name = delete $n->{name};
		push @order, $name;
		$kinds{$name} = $n;
	}
}

sub server_counts {
	my ($self) = @_;

	$self->say_to('serve', 'tell');
	return numbers($self->hear('serve'));
}

# A byte per id, of the clients and of the servers.
sub ids {
	my ($self) = @_;

	$self->drive("write $self->{dir}/asked");
	$self->say_to('serve', "write $self->{dir}/seen");
	$self->hear('serve');
	return (slurp("$self->{dir}/asked"), slurp("$self->{dir}/seen"));
}

# They end when nobody talks to them any more.
sub stop {
	my ($self) = @_;

	for my $name (qw(drive serve)) {
		my $p = delete $self->{$name} or next;

		close $p->{to};
		waitpid $p->{pid}, 0;
	}
}

sub DESTROY {
	my ($self) = @_;

	local ($?, $@, $!);
	$self->stop;
}

1;
