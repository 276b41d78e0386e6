# SPDX-License-Identifier: MIT
#
# The control socket of an lbd that runs: requests as they are, replies as text or decoded.
#
#	use Lbd::Control;
#	my $r = control_ask($lbd, { verb => 'status' });   # a hash
#	my $s = control_server($lbd, 'api', '127.0.0.1:80'); # what the status says of a server
#	wait_server($lbd, 'api', '127.0.0.1:80', 'unhealthy'); # ... when it is in that state
#	my $text = control_raw($lbd->dir . '/logs/lbd.sock', "{}\n");

package Lbd::Control;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP ();
use Socket ();
use Time::HiRes qw(time);

use Lbd::Util;

our @EXPORT = qw(control_path control_connect control_line control_raw control_ask control_server wait_server
	json_decode);

sub control_path { return $_[0]->dir . '/logs/lbd.sock' }

sub control_connect {
	my ($path) = @_;

	return IO::Socket::UNIX->new(Type => Socket::SOCK_STREAM(), Peer => $path);
}

# What comes up to a line feed or the end, undef when nothing does in time.
sub control_line {
	my ($socket, $seconds) = @_;
	my $until = time + ($seconds // Lbd::Util::deadline());
	my $text = '';

	while ($text !~ /\n/) {
		return undef if !IO::Select->new($socket)->can_read($until - time > 0 ? $until - time : 0);
		my $n = sysread $socket, $text, 65536, length $text;

		last if !$n;
	}
	return $text;
}

# One request, as bytes; the reply likewise.
sub control_raw {
	my ($path, $bytes) = @_;
	my $socket = control_connect($path) // return undef;

	local $SIG{PIPE} = 'IGNORE';
	syswrite $socket, $bytes;
	return control_line($socket);
}

sub json_decode {
	my ($text) = @_;

	return eval { JSON::PP->new->utf8->decode($text) } // { broken => $text };
}

sub control_ask {
	my ($lbd, $request) = @_;
	my $reply = control_raw(control_path($lbd), JSON::PP->new->utf8->encode($request) . "\n");

	return json_decode($reply // '');
}

# A server of a group; the address may be left out where there is but one.
sub control_server {
	my ($lbd, $group, $address) = @_;
	my ($g) = grep { $_->{name} eq $group } @{ control_ask($lbd, { verb => 'status' })->{upstreams} // [] };

	return (grep { !defined $address || $_->{address} eq $address } @{ $g->{servers} // [] })[0];
}

# Waits for a state (and a reason like that); the server as it is then or in the end.
sub wait_server {
	my ($lbd, $group, $address, $state, $reason) = @_;
	my $s;

	Lbd::Util::wait_for(sub {
		$s = control_server($lbd, $group, $address);
		return $s && $s->{state} eq $state && (!defined $reason || $s->{reason} =~ $reason);
	});
	return $s // {};
}

1;
