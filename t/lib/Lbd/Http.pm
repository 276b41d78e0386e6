# SPDX-License-Identifier: MIT
#
# A small HTTP/1 client that does what it is told, well-formed or not.
#
#	http_get($port, '/path', Host => 'a.example')         one request, connection closed after it
#	http_raw($port, "GET / HTTP/1.1\r\n...")              bytes in, all bytes out
#	my $c = Lbd::Client->new($port);                      step by step, keep-alive
#	$c->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
#	$c->response->{status}
#
# A port is a number on 127.0.0.1, "address:port", or "unix:/path".  A response is a hash: status,
# reason, version, head (text), headers (name in lower case => [values]), body, trailers, complete.

package Lbd::Http;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use Lbd::Util ();
use Socket qw(IPPROTO_TCP TCP_NODELAY SOCK_STREAM);

our @EXPORT = qw(http_get http_request http_raw http_answers http_parse connect_to header);

sub connect_to {
	my ($where) = @_;
	my $s;

	if ($where =~ /^unix:(.*)/) {
		return IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $1);
	}
	$where = "127.0.0.1:$where" if $where =~ /^\d+$/;
	my ($host, $port) = $where =~ /^\[?(.*?)\]?:(\d+)$/ or die "connect_to: \"$where\"?\n";
	if ($host =~ /:/) {
		require IO::Socket::IP;
		$s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Timeout => 10);
	} else {
		$s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 10);
	}
	setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1 if $s;
	return $s;
}

# Sends (a string, or pieces in an array, each a write of its own) and reads until the peer closes.
# timeout => s; half_close => 1 shuts down after sending; then what is read so far is returned.
sub http_raw {
	my ($where, $bytes, %o) = @_;
	my $c = Lbd::Client->new($where, timeout => $o{timeout}) // return undef;

	$c->send($_) for ref $bytes ? @$bytes : $bytes;
	$c->{socket}->shutdown(1) if $o{half_close};
	$c->read_all;
	return $c->{buf};
}

# The same, as the responses it was given; methods => ['HEAD', ...] of the requests, GET where missing.  What is no
# response comes as one with status 0.  In front: whether lbd closed the connection.
sub http_answers {
	my ($where, $bytes, %o) = @_;
	my $c = Lbd::Client->new($where, timeout => $o{timeout}) // return 0;
	my @methods = @{ $o{methods} // [] };
	my @answers;

	$c->send($_) for ref $bytes ? @$bytes : $bytes;
	$c->{socket}->shutdown(1) if $o{half_close};
	$c->read_all;
	my $closed = $c->{ended};
	$c->{ended} = 1;
	while (length $c->{buf}) {
		push @answers, $c->response(shift @methods);
		last if !$answers[-1]{status};
	}
	return ($closed, @answers);
}

# method => 'POST', body => '...', headers => [name => value, ...], version => '1.1', timeout
sub http_request {
	my ($where, $target, %o) = @_;
	my $method = $o{method} // 'GET';
	my @headers = @{ $o{headers} // [] };
	my %have = map { lc $headers[ $_ * 2 ] => 1 } 0 .. @headers / 2 - 1;
	my $body = $o{body} // '';

	unshift @headers, Host => 'localhost' unless $have{host};
	push @headers, Connection => 'close' unless $have{connection};
	push @headers, 'Content-Length' => length $body
		if defined $o{body} && !$have{'content-length'} && !$have{'transfer-encoding'};
	my $bytes = "$method $target HTTP/" . ($o{version} // '1.1') . "\r\n";
	for (my $i = 0; $i < @headers; $i += 2) {
		$bytes .= "$headers[$i]: $headers[$i + 1]\r\n";
	}
	my $c = Lbd::Client->new($where, timeout => $o{timeout})
		// return { status => 0, headers => {}, body => '', head => '', error => "$!" };
	$c->send("$bytes\r\n$body");
	return $c->response($method);
}

sub http_get {
	my ($where, $target, @headers) = @_;

	return http_request($where, $target, headers => \@headers);
}

# The first value of a field, or undef.
sub header {
	my ($r, $name) = @_;

	return ($r->{headers}{ lc $name } // [])->[0];
}

sub parse_fields {
	my ($text) = @_;
	my %h;

	for (split /\r\n/, $text) {
		push @{ $h{ lc $1 } }, $2 if /^([^:]+):[ \t]*(.*?)[ \t]*$/;
	}
	return \%h;
}

# A whole response (or request: {method, target}) from bytes; the final one when there are 1xx before.
sub http_parse {
	my ($bytes, $method) = @_;
	my $c = bless { buf => $bytes, ended => 1 }, 'Lbd::Client';

	return $c->response($method // 'GET');
}

package Lbd::Client;

use IO::Select ();
use Time::HiRes qw(time);

sub new {
	my ($class, $where, %o) = @_;
	my $s = ref $where ? $where : Lbd::Http::connect_to($where) // return undef;

	$s->blocking(0);
	$s->autoflush(1);
	return bless { socket => $s, buf => '', timeout => $o{timeout} // Lbd::Util::deadline() }, $class;
}

sub socket { return $_[0]{socket} }

# All of it, as far as the peer takes it; false when it does not.
sub send {
	my ($self, $bytes) = @_;
	my $end = time + $self->{timeout};
	local $SIG{PIPE} = 'IGNORE';

	while (length $bytes) {
		my $n = syswrite $self->{socket}, $bytes;

		if (defined $n) {
			substr $bytes, 0, $n, '';
		} elsif (!$!{EAGAIN} && !$!{EINTR}) {
			return 0;
		} else {
			# the peer may wait for us to read
			my ($r) = IO::Select::select(IO::Select->new($self->{socket}),
				IO::Select->new($self->{socket}), undef, 0.1);

			$self->fill(0) if $r && @$r;
			return 0 if time > $end || $self->{ended};
		}
	}
	return 1;
}

# Reads what is there, or waits for it at most that long; false at the end or when nothing came.
sub fill {
	my ($self, $wait) = @_;

	return 0 if $self->{ended};
	return 0 unless IO::Select->new($self->{socket})->can_read($wait);
	my $n = sysread $self->{socket}, $self->{buf}, 65536, length $self->{buf};

	return 1 if $n;
	return 0 if !defined $n && ($!{EAGAIN} || $!{EINTR});
	$self->{ended} = 1;
	$self->{error} = $!{ECONNRESET} ? 'reset' : "$!" if !defined $n;
	return 0;
}

# Reads until the condition holds; false when the end or the deadline comes first.
sub until {
	my ($self, $cond) = @_;
	my $end = time + ($self->{timeout} // 0);

	while (!$cond->()) {
		return 0 if $self->{ended};
		my $left = $end - time;
		if ($left <= 0) {
			$self->{timed_out} = 1;
			return 0;
		}
		$self->fill($left);
	}
	return 1;
}

# Bytes up to and including what the pattern matches; undef when it does not come.
sub read_until {
	my ($self, $re) = @_;

	$self->until(sub { $self->{buf} =~ $re }) or return undef;
	$self->{buf} =~ $re;
	return substr $self->{buf}, 0, $+[0], '';
}

# That many bytes, or fewer when the end comes first.
sub read_bytes {
	my ($self, $n) = @_;

	$self->until(sub { length $self->{buf} >= $n });
	return substr $self->{buf}, 0, $n, '';
}

# Until the peer closes: everything not yet read stays in {buf}.
sub read_all {
	my ($self) = @_;

	$self->until(sub { 0 });
	return $self->{buf};
}

# The peer has closed and nothing is left.
sub is_ended {
	my ($self) = @_;

	$self->until(sub { length $self->{buf} });
	return $self->{ended} && $self->{buf} eq '';
}

sub is_reset {
	my ($self) = @_;

	$self->until(sub { 0 });
	return ($self->{error} // '') eq 'reset';
}

# The next response; 1xx ones are in {interim} unless one is 101.
sub response {
	my ($self, $method) = @_;
	my @interim;
	my $r;

	while (1) {
		my $head = $self->read_until(qr/\r\n\r\n/);

		return { status => 0, headers => {}, body => $self->{buf}, head => '', interim => \@interim,
			complete => 0 } if !defined $head;
		my ($line, $fields) = $head =~ /^(.*?)\r\n(.*)\r\n\z/s;
		my ($version, $status, $reason) = $line =~ m{^HTTP/(\d\.\d) (\d{3}) ?(.*)$};

		$r = { head => $head, line => $line, version => $version, status => $status // 0,
			reason => $reason, headers => Lbd::Http::parse_fields($fields), body => '',
			trailers => {}, complete => 1, interim => \@interim };
		last unless $r->{status} =~ /^1/ && $r->{status} != 101;
		push @interim, $r;
	}
	$self->body($r) unless ($method // 'GET') eq 'HEAD' || $r->{status} =~ /^(?:101|204|304)$/;
	return $r;
}

sub body {
	my ($self, $m) = @_;
	my $te = lc(($m->{headers}{'transfer-encoding'} // [''])->[-1]);
	my $cl = ($m->{headers}{'content-length'} // [])->[0];

	if ($te =~ /chunked$/) {
		$m->{complete} = $self->chunked($m);
	} elsif (defined $cl) {
		$m->{body} = $self->read_bytes($cl);
		$m->{complete} = length $m->{body} == $cl;
	} elsif (exists $m->{status}) {
		$self->read_all;
		$m->{body} = $self->{buf};
		$self->{buf} = '';
		$m->{complete} = $self->{ended} && !$self->{error};
	}
}

sub chunked {
	my ($self, $m) = @_;

	while (1) {
		my $line = $self->read_until(qr/\r\n/) // return 0;
		my ($hex) = $line =~ /^([0-9a-fA-F]+)/ or return 0;
		my $n = hex $hex;

		last if $n == 0;
		my $data = $self->read_bytes($n);
		$m->{body} .= $data;
		return 0 if length $data < $n || $self->read_bytes(2) ne "\r\n";
		push @{ $m->{chunks} }, $n;
	}
	my $end = $self->read_until(qr/^(?:[^\r\n]+\r\n)*\r\n/) // return 0;
	$m->{trailers} = Lbd::Http::parse_fields($end);
	return 1;
}

# Server side: the next request on this connection, or undef at its end.
sub request {
	my ($self) = @_;
	my $head = $self->read_until(qr/\r\n\r\n/) // return undef;
	my ($line, $fields) = $head =~ /^(.*?)\r\n(.*)\r\n\z/s;
	my ($method, $target, $version) = split / /, $line;
	my $q = { head => $head, line => $line, method => $method, target => $target, version => $version,
		headers => Lbd::Http::parse_fields($fields), body => '', trailers => {}, complete => 1 };

	$self->send("HTTP/1.1 100 Continue\r\n\r\n")
		if ($q->{headers}{expect}[0] // '') =~ /100-continue/i && !$self->{no_continue};
	$self->body($q);
	return $q;
}

sub close {
	my ($self) = @_;

	CORE::close($self->{socket});
	$self->{ended} = 1;
}

# With a reset.
sub reset {
	my ($self) = @_;

	setsockopt $self->{socket}, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack('ii', 1, 0);
	$self->close;
}

1;
