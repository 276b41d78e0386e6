# SPDX-License-Identifier: MIT
#
# A server of WebSocket tunnels, many at a time in one process, that says back what it hears.
#
#	my $e = Lbd::Echo->new;     $e->address, $e->stop
#
# What it is to do besides is said by the last word of the target:
#
#	/echo   at the client's end says END and closes
#	/late   the same, when there is a file $e->flag('late')
#	/mute   says HELLO and is silent, but goes on reading; closes when the client does
#	/push   when it has heard something, numbers of four bytes from 1 to PUSH, and closes
#	/wait   says 101 when there is a file $e->flag('wait'), and then does as /echo
#	/plain  (without Upgrade) answers 200 and closes

package Lbd::Echo;

use strict;
use warnings;

use File::Temp ();
use IO::Select ();
use IO::Socket::INET ();
use POSIX ();

use constant PUSH => 2_000_000;

sub new {
	my ($class) = @_;
	my $self = bless { dir => File::Temp::tempdir(CLEANUP => 1), owner => $$ }, $class;

	$self->{socket} = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 512,
		ReuseAddr => 1, Blocking => 0) // die "echo: $!";
	$self->{port} = $self->{socket}->sockport;
	$self->{pid} = fork // die "fork: $!";
	return $self if $self->{pid};
	$SIG{PIPE} = 'IGNORE';
	$SIG{TERM} = 'DEFAULT';
	eval { $self->run };
	print STDERR "# echo: $@" if $@;
	POSIX::_exit(0);
}

sub port { return $_[0]{port} }
sub address { return "127.0.0.1:$_[0]{port}" }
sub flag { return "$_[0]{dir}/$_[1]" }

sub stop {
	my ($self) = @_;

	return if $self->{owner} != $$ || !$self->{pid};
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
}

sub DESTROY {
	my ($self) = @_;

	local ($?, $@, $!);
	$self->stop;
}

# The head of a request is here: true when it was answered.
sub greet {
	my ($self, $c) = @_;
	my ($target) = $c->{in} =~ m{^\S+ (\S+)};

	($c->{what}) = $target =~ m{(\w+)(?:\?|$)};
	return 0 if $c->{what} eq 'wait' && !-e $self->flag('wait');
	$c->{in} =~ s/^.*?\r\n\r\n//s;
	if ($c->{what} eq 'plain') {
		$c->{out} = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nplain";
		$c->{bye} = 1;
		return 1;
	}
	$c->{out} = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" .
		"X-Server: $c->{what}\r\n\r\n" . ($c->{what} eq 'mute' ? 'HELLO' : '');
	$c->{half} = $c->{what} eq 'mute';
	return 1;
}

# What is to be said to what was heard.
sub answer {
	my ($self, $c) = @_;

	if (!$c->{met}) {
		return if $c->{in} !~ /\r\n\r\n/ || !$self->greet($c);
		$c->{met} = 1;
	}
	if ($c->{what} eq 'push' && length $c->{in} && !$c->{bye}) {
		$c->{out} .= pack 'N*', 1 .. PUSH;
		$c->{bye} = 1;
	}
	$c->{out} .= $c->{in} if $c->{what} =~ /^(?:echo|late|wait)$/;
	$c->{in} = '';
	return if !$c->{eof} || $c->{bye} || ($c->{what} eq 'late' && !-e $self->flag('late'));
	$c->{out} .= 'END' if $c->{what} ne 'mute';
	$c->{bye} = 1;
}

sub hear {
	my ($c) = @_;
	my $n = sysread $c->{s}, $c->{in}, 65536, length $c->{in};

	return if !defined $n && $!{EAGAIN};
	$c->{eof} = 1 if !$n;
	$c->{bye} = 1 if !defined $n;
}

sub say_it {
	my ($c) = @_;

	if (length $c->{out}) {
		my $n = syswrite $c->{s}, $c->{out}, 262144;

		substr $c->{out}, 0, $n, '' if $n;
		$c->{out} = '', $c->{bye} = 1 if !defined $n && !$!{EAGAIN};
	}
	return if length $c->{out};
	shutdown $c->{s}, 1 if delete $c->{half};
	$c->{over} = 1 if $c->{bye};
}

sub run {
	my ($self) = @_;
	my %c;
	my $master = getppid;

	while (getppid == $master) {
		my $r = IO::Select->new($self->{socket}, map { $_->{s} } grep { !$_->{eof} } values %c);
		my $w = IO::Select->new(map { $_->{s} } grep { length $_->{out} } values %c);
		my ($can) = IO::Select->select($r, $w, undef, 0.05);

		for my $s (@{ $can // [] }) {
			if ($s == $self->{socket}) {
				while (my $new = $s->accept) {
					$new->blocking(0);
					$c{ fileno $new } = { s => $new, in => '', out => '' };
				}
			} else {
				hear($c{ fileno $s });
			}
		}
		for my $fd (keys %c) {
			my $c = $c{$fd};

			$self->answer($c);
			say_it($c);
			delete $c{$fd} if $c->{over} || ($c->{eof} && !$c->{met});
		}
	}
}

1;
