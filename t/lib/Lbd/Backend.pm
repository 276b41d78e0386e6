# SPDX-License-Identifier: MIT
#
# Servers that lbd talks to, each a forked process that follows a script.
#
#	my $b = backend(sub { my ($c, $n) = @_; ... });
#
# runs the sub for every connection in a process of its own; $c is an Lbd::Client on it and $n counts
# connections from 1.  With serial => 1 one connection follows the other in one process, so that the
# script may keep state.
#
#	my $b = http_backend(sub { my ($q) = @_; return [200, ['X-A' => 'b'], "body"]; });
#
# answers requests, keeping connections alive; a string is sent as it is and the connection closed.
# Both: port => n, host => address, unix => path; $b->port, $b->address, $b->note("...") in the script and $b->notes in
# the test to tell what happened, $b->stop.

package Lbd::Backend;

use strict;
use warnings;

use Exporter 'import';
use File::Temp ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use Lbd::Http;
use Lbd::Util;
use POSIX ();
use Scalar::Util qw(weaken);
use Socket qw(SOCK_STREAM IPPROTO_TCP TCP_NODELAY);

our @EXPORT = qw(backend http_backend http_bytes);

my @running; # in this process

sub backend {
	my ($script, %o) = @_;
	my $self = bless { script => $script, owner => $$, %o }, 'Lbd::Backend';
	my (undef, $notes) = File::Temp::tempfile('lbd-notes-XXXXXX', TMPDIR => 1);

	$self->{notes} = $notes;
	$self->open_socket;
	$self->start;
	return $self;
}

sub http_backend {
	my ($answer, %o) = @_;

	return backend(sub {
		my ($c, $n, $b) = @_;

		while (my $q = $c->request) {
			my $a = $answer->($q, $n, $b, $c);

			last if !defined $a;
			$c->send(ref $a ? http_bytes(@$a) : $a) or last;
			last if !ref $a;
			last if lc($q->{headers}{connection}[0] // '') eq 'close' || $q->{version} eq 'HTTP/1.0';
		}
	}, %o);
}

# A response with a length; headers as [name => value, ...]
sub http_bytes {
	my ($status, $headers, $body) = @_;
	my @h = @{ $headers // [] };
	my $text = "HTTP/1.1 $status X\r\n";

	$body //= '';
	$text .= "Content-Length: " . length($body) . "\r\n"
		unless grep { /^(?:content-length|transfer-encoding)$/i } @h;
	while (my ($name, $value) = splice @h, 0, 2) {
		$text .= "$name: $value\r\n";
	}
	return "$text\r\n$body";
}

sub open_socket {
	my ($self) = @_;

	if (defined $self->{unix}) {
		unlink $self->{unix};
		$self->{socket} = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $self->{unix}, Listen => 128)
			// die "backend $self->{unix}: $!";
		chmod 0777, $self->{unix};
		return;
	}
	$self->{port} //= free_port();
	$self->{socket} = IO::Socket::INET->new(LocalAddr => $self->{host} // '127.0.0.1',
		LocalPort => $self->{port}, Listen => 128, ReuseAddr => 1) // die "backend 127.0.0.1:$self->{port}: $!";
}

sub start {
	my ($self) = @_;

	$self->{pid} = fork // die "fork: $!";
	if ($self->{pid} == 0) {
		@running = ();
		$SIG{CHLD} = 'IGNORE';
		$SIG{PIPE} = 'IGNORE';
		$SIG{TERM} = 'DEFAULT';
		setpgrp;
		$self->serve;
		POSIX::_exit(0);
	}
	setpgrp $self->{pid}, $self->{pid};
	push @running, $self;
	weaken $running[-1];
}

sub serve {
	my ($self) = @_;
	my $n = 0;

	while (1) {
		my $s = $self->{socket}->accept // next;

		$n++;
		setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1 if !defined $self->{unix};
		if ($self->{serial}) {
			$self->script($s, $n);
		} elsif ((fork // 0) == 0) {
			close $self->{socket};
			$self->script($s, $n);
			POSIX::_exit(0);
		}
		close $s;
	}
}

sub script {
	my ($self, $s, $n) = @_;
	my $c = Lbd::Client->new($s);

	eval { $self->{script}->($c, $n, $self); 1 } or $self->note("died: $@");
	close $c->{socket};
}

sub port { return $_[0]{port} }
sub pid { return $_[0]{pid} }

# As "server" and "proxy_pass" take it.
sub address {
	my ($self) = @_;

	return defined $self->{unix} ? "unix:$self->{unix}" : "127.0.0.1:$self->{port}";
}

# One line; whole lines of several processes do not mix.
sub note {
	my ($self, $text) = @_;

	open my $f, '>>', $self->{notes} or return;
	syswrite $f, "$text\n";
	close $f;
}

sub notes {
	my ($self) = @_;

	return split /\n/, slurp($self->{notes}) // '';
}

# The port refuses from now on; with a pid it may be started again.
sub stop {
	my ($self) = @_;

	return if $self->{owner} != $$ || !$self->{pid};
	local ($?, $!);
	kill 'KILL', -$self->{pid};
	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
	close $self->{socket} if $self->{socket};
	delete $self->{socket};
}

sub restart {
	my ($self) = @_;

	$self->stop;
	$self->open_socket;
	$self->start;
}

sub DESTROY {
	my ($self) = @_;

	return if $self->{owner} != $$;
	$self->stop;
	unlink $self->{notes} if defined $self->{notes};
}

END {
	local $?;
	$_->DESTROY for grep { defined } @running;
}

1;
