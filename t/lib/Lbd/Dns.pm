# SPDX-License-Identifier: MIT
#
# A name server that says what a test wants, lies included.
#
#	my $dns = dns_server('app.test' => { A => ['10.0.0.1'], ttl => 1 });
#	... resolver 127.0.0.1:@{[$dns->port]} ...
#	$dns->says('app.test' => { A => [] });              none; a name that is not there: NXDOMAIN
#	$dns->says('app.test' => { lie => 'silent' });      see %lies
#	$dns->wait_queries(3);                              three more queries have come
#
# Services: SRV => [[priority, weight, port, 'target'], ...].

package Lbd::Dns;

use strict;
use warnings;

use Exporter 'import';
use File::Temp ();
use IO::Select ();
use IO::Socket::INET ();
use POSIX ();

use Lbd::Util;

our @EXPORT = qw(dns_server);

my %types = (A => 1, CNAME => 5, AAAA => 28, SRV => 33);

sub wire_name { return join('', map { chr(length) . $_ } split /\./, $_[0]) . "\0" }

sub record {
	my ($owner, $type, $ttl, $data) = @_;

	return $owner . pack('nnNn', $types{$type}, 1, $ttl, length $data) . $data;
}

# The data of one record as it stands in the test.
sub data_of {
	my ($type, $v) = @_;

	return pack('C4', split /\./, $v) if $type eq 'A';
	return Socket::inet_pton(Socket::AF_INET6(), $v) if $type eq 'AAAA';
	return pack('nnn', @$v[0 .. 2]) . wire_name($v->[3]) if $type eq 'SRV';
	return wire_name($v);
}

# What makes an answer a lie: message, question, id.
my %lies = (
	silent => sub { () },
	servfail => sub { pack('nnnnnn', $_[1], 0x8182, 1, 0, 0, 0) . $_[2] },
	refused => sub { pack('nnnnnn', $_[1], 0x8185, 1, 0, 0, 0) . $_[2] },
	wrong_id => sub { pack('n', $_[1] ^ 0x5555) . substr($_[0], 2) },
	wrong_question => sub { my $m = $_[0]; substr($m, 13, 1, 'z'); $m },
	loop => sub { pack('nnnnnn', $_[1], 0x8180, 1, 1, 0, 0) . $_[2] . "\xc0" . chr(12 + length $_[2]) .
		pack('nnNnN', 1, 1, 60, 4, 0x7f000001) },
	cut => sub { substr($_[0], 0, length($_[0]) - 3) },
	giant => sub { $_[0] . ('x' x 60000) . "\0" },
	garbage => sub { join '', map { chr(($_ * 37) & 255) } 1 .. 300 },
	empty => sub { '' },
);

# The message; the second time without its records, which go by TCP.
sub answer {
	my ($says, $id, $name, $type, $question, $tcp) = @_;
	my $entry = $says->{lc $name};
	my ($number) = grep { $types{$_} == $type } keys %types;
	my $lie = $entry->{lie} // '';
	my ($head, $body, $n) = (0x8180, '', 0);

	if (!$entry) {
		$head |= 3;
	} elsif (my $alias = $entry->{CNAME}) {
		$body = record("\xc0\x0c", 'CNAME', $entry->{ttl} // 60, wire_name($alias));
		my $target = $says->{$alias} // {};
		my @v = @{ $target->{ $number // '' } // [] };
		$body .= join '', map { record(wire_name($alias), $number, $target->{ttl} // 60, data_of($number, $_)) } @v;
		$n = 1 + @v;
	} else {
		my @v = @{ $entry->{ $number // '' } // [] };

		$body = join '', map { record("\xc0\x0c", $number, $entry->{ttl} // 60, data_of($number, $_)) } @v;
		$n = @v;
	}
	my $m = pack('nnnnnn', $id, $head, 1, $n, 0, 0) . $question . $body;

	if (!$tcp && (length $m > 1232 || $lie eq 'truncate')) {
		return pack('nnnnnn', $id, $head | 0x200, 1, 0, 0, 0) . $question;
	}
	return $lies{$lie} ? $lies{$lie}->($m, $id, $question) : ($m);
}

# id, name, type and question as sent
sub parse {
	my ($m) = @_;
	my ($at, @labels) = (12);

	return if length $m < 17;
	while ((my $n = ord substr $m, $at, 1) > 0) {
		push @labels, substr $m, $at + 1, $n;
		$at += 1 + $n;
	}
	return (unpack('n', $m), join('.', @labels), unpack('n', substr $m, $at + 1, 2), substr $m, 12, $at + 5 - 12);
}

sub note {
	my ($self, $name, $type, $how, $port) = @_;

	open my $f, '>>', "$self->{dir}/queries" or die "queries: $!";
	print $f "$name $type $how $port\n";
	close $f;
}

sub said {
	my ($self) = @_;
	my $text = slurp("$self->{dir}/says") // '';

	return eval $text || {}; ## no critic: our own file
}

sub serve_udp {
	my ($self, $udp) = @_;
	my $from = $udp->recv(my $m, 4096) // return;
	my ($id, $name, $type, $question) = parse($m) or return;
	my $says = $self->said;
	my $lie = ($says->{lc $name} // {})->{lie} // '';
	my ($port) = Socket::unpack_sockaddr_in($from);
	my $out = $udp;

	$self->note($name, $type, 'udp', $port);
	# from another port than was asked
	$out = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') if $lie eq 'wrong_source';
	$out->send($_, 0, $from) for answer($says, $id, $name, $type, $question, 0);
}

sub serve_tcp {
	my ($self, $tcp) = @_;
	my $s = $tcp->accept or return;

	local $SIG{ALRM} = sub { die "slow\n" };
	eval {
		alarm 5;
		$s->read(my $head, 2);
		$s->read(my $m, unpack 'n', $head);
		my ($id, $name, $type, $question) = parse($m) or die "no query\n";

		$self->note($name, $type, 'tcp', $s->peerport);
		for (answer($self->said, $id, $name, $type, $question, 1)) {
			# in two pieces
			$s->syswrite(pack('n', length $_) . substr $_, 0, 1);
			$s->syswrite(substr $_, 1);
		}
	};
	alarm 0;
	close $s;
}

sub run {
	my ($self, $udp, $tcp) = @_;
	my $select = IO::Select->new($udp, $tcp);

	while (getppid() == $self->{parent}) {
		for my $s ($select->can_read(1)) {
			$s == $udp ? $self->serve_udp($udp) : $self->serve_tcp($tcp);
		}
	}
}

# The sockets are made before the child is there, so that nobody comes too early.
sub start {
	my ($self) = @_;
	my ($udp, $tcp);

	for (1 .. 50) {
		my $port = $self->{port} || free_port();

		$tcp = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1);
		$udp = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => $port);
		$self->{port} = $port if $tcp && $udp;
		last if $tcp && $udp;
	}
	die "no port for a name server: $!" unless $tcp && $udp;
	$self->{parent} = $$;
	$self->{pid} = fork // die "fork: $!";
	if (!$self->{pid}) {
		$SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
		$SIG{PIPE} = 'IGNORE';
		eval { $self->run($udp, $tcp) };
		warn $@ if $@;
		POSIX::_exit(0);
	}
	return $self;
}

sub dns_server {
	my (%says) = @_;
	my $self = bless { dir => File::Temp::tempdir('lbd-dns-XXXXXX', TMPDIR => 1, CLEANUP => 1), says => {} };

	$self->says(%says);
	return $self->start;
}

sub port { return $_[0]{port} }

# undef: the name is not there any more
sub says {
	my ($self, %says) = @_;

	require Data::Dumper;
	local $Data::Dumper::Terse = 1;
	for my $name (keys %says) {
		defined $says{$name} ? ($self->{says}{$name} = $says{$name}) : delete $self->{says}{$name};
	}
	spew("$self->{dir}/says.new", Data::Dumper::Dumper($self->{says}));
	rename "$self->{dir}/says.new", "$self->{dir}/says" or die "says: $!";
}

# [name, type, udp or tcp, port] of each
sub queries {
	my ($self) = @_;

	return map { [split] } split /\n/, slurp("$self->{dir}/queries") // '';
}

# Waits for so many more than there are, of a name.
sub wait_queries {
	my ($self, $n, $name) = @_;
	my $count = sub { scalar grep { !defined $name || $_->[0] eq $name } $self->queries };
	my $before = $count->();

	return wait_for(sub { $count->() >= $before + $n });
}

sub stop {
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;

	kill KILL => $pid;
	waitpid $pid, 0;
}

sub DESTROY {
	my ($self) = @_;

	local ($?, $@);
	$self->stop if $self->{parent} && $self->{parent} == $$;
}

1;
