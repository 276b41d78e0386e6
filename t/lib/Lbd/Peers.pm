# SPDX-License-Identifier: MIT
#
# Other people's programs around lbd: servers it passes requests to and clients that send them.
#
#	my $node = peer_node();                   t/60-peers/server.js
#	my $nginx = peer_nginx($folder);          static files, /up answers uploads
#	my $haproxy = peer_haproxy($port);        in front of that port; more lines for "defaults" may follow
#	my $python = peer_python($folder);        http.server: HTTP/1.0, a connection per response
#	my $dnsmasq = peer_dnsmasq('option=value', ...);   a name server that knows nothing else
#	$node->port, $node->output, $node->stop
#
# Each is killed with all its children when the test ends.  A program that is missing ends the test as
# skipped; ask has_program() first where only a part depends on it.
#
#	client_checks('node', [...], 'name')      a client that prints "ok NAME" and "not ok NAME: WHY"

package Lbd::Peers;

use strict;
use warnings;

use Exporter 'import';
use File::Path ();
use File::Temp ();
use POSIX ();
use Scalar::Util qw(weaken);
use Test::More ();

use Lbd::Http;
use Lbd::Util;

our @EXPORT = qw(peer peer_node peer_nginx peer_haproxy peer_python peer_dnsmasq client_checks sample_text);

my @running;

# name => program, cmd => [...], port => n, dir => its folder; waits until the port answers
sub peer {
	my (%o) = @_;
	my $self = bless { owner => $$, %o }, 'Lbd::Peers';

	$self->{pid} = fork // die "fork: $!";
	if ($self->{pid} == 0) {
		setpgrp;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$self->{dir}/output" or POSIX::_exit(126);
		open STDERR, '>&', \*STDOUT;
		exec { $self->{cmd}[0] } @{ $self->{cmd} } or POSIX::_exit(127);
	}
	setpgrp $self->{pid}, $self->{pid};
	push @running, $self;
	weaken $running[-1];
	my $up = wait_for(sub {
		my $s = connect_to($self->{port});

		$self->{gone} = waitpid($self->{pid}, POSIX::WNOHANG()) != 0;
		return $s || $self->{gone};
	});
	die "$self->{name} did not start:\n" . $self->output if !$up || $self->{gone};
	return $self;
}

sub folder {
	my $dir = File::Temp::tempdir('lbd-peer-XXXXXX', TMPDIR => 1);

	chmod 0755, $dir;
	return $dir;
}

sub script_path {
	my ($name) = @_;

	return ($ENV{LBD_SRC} // '.') . "/t/60-peers/$name";
}

sub peer_node {
	my $port = free_port();

	skip_without('node');
	return peer(name => 'node', cmd => [has_program('node'), script_path('server.js'), $port], port => $port,
		dir => folder());
}

sub peer_nginx {
	my ($root) = @_;
	my $port = free_port();
	my $dir = folder();
	my $user = is_root() ? 'user root;' : '';

	skip_without('nginx');
	spew("$dir/nginx.conf", <<"EOT");
daemon off;
$user
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path $dir/body;
	proxy_temp_path $dir/proxy;
	fastcgi_temp_path $dir/fastcgi;
	uwsgi_temp_path $dir/uwsgi;
	scgi_temp_path $dir/scgi;
	client_max_body_size 0;
	keepalive_requests 1000000;
	gzip_types text/plain;
	server {
		listen 127.0.0.1:$port;
		root $root;
		default_type text/plain;
		location /gzip/ { alias $root/; gzip on; gzip_min_length 1; gzip_http_version 1.0; gzip_proxied any; }
		location /old/ { alias $root/; keepalive_timeout 0; chunked_transfer_encoding off; }
		location = /connection { add_header X-Connection \$connection; return 200 "\$connection_requests\\n"; }
	}
}
EOT
	return peer(name => 'nginx', cmd => [has_program('nginx'), '-c', "$dir/nginx.conf", '-p', $dir, '-e',
		"$dir/error.log"], port => $port, dir => $dir);
}

sub peer_haproxy {
	my ($to, $more) = @_;
	my $port = free_port();
	my $dir = folder();

	skip_without('haproxy');
	spew("$dir/haproxy.cfg", <<"EOT");
global
	maxconn 1000
defaults
	mode http
	timeout client 1m
	timeout server 1m
	timeout connect 5s
	@{[ $more // '' ]}
frontend in
	bind 127.0.0.1:$port
	http-request return status 200 content-type text/plain string "by haproxy" if { path /own }
	http-response set-header X-Via haproxy
	default_backend out
backend out
	server a 127.0.0.1:$to
EOT
	return peer(name => 'haproxy', cmd => [has_program('haproxy'), '-db', '-f', "$dir/haproxy.cfg"], port => $port,
		dir => $dir);
}

sub peer_python {
	my ($root) = @_;
	my $port = free_port();

	skip_without('python3');
	return peer(name => 'python3', cmd => [has_program('python3'), '-u', '-m', 'http.server', '--bind', '127.0.0.1',
		'--directory', $root, $port], port => $port, dir => folder());
}

# Names are in the file "hosts" of its folder, which it reads again on HUP.
sub peer_dnsmasq {
	my (@options) = @_;
	my $port = free_port();
	my $dir = folder();

	skip_without('dnsmasq');
	spew("$dir/hosts", '');
	spew("$dir/dnsmasq.conf", join "\n", "port=$port", 'listen-address=127.0.0.1', 'bind-interfaces', 'no-resolv', 'no-hosts',
		"addn-hosts=$dir/hosts", 'local=/test/', 'local-ttl=0', 'neg-ttl=1', 'keep-in-foreground', 'log-facility=-', 'pid-file=',
		(is_root() ? 'user=root' : ()), @options, '');
	return peer(name => 'dnsmasq', cmd => [has_program('dnsmasq'), "--conf-file=$dir/dnsmasq.conf"], port => $port, dir => $dir);
}

# Bytes that are the same in every program of this folder.
sub sample_text {
	my ($size) = @_;
	my $block = join '', map { chr 32 + $_ * 7 % 95 } 1 .. 65536;

	return substr $block x (1 + $size / length $block), 0, $size;
}

# Every line "ok ..." or "not ok ..." is a test of ours; so is that it ends with 0.
sub client_checks {
	my ($name, @args) = @_;
	my ($code, $out) = run_program(has_program($name), @args);
	my $n = 0;

	for (split /\n/, $out) {
		if (/^(not )?ok (.*)/) {
			Test::More::ok(!defined $1, "$name: $2");
			$n++;
		} else {
			Test::More::diag($_);
		}
	}
	Test::More::ok($code == 0 && $n > 0, "$name: ran to its end") or Test::More::diag("ended with $code");
}

sub port { return $_[0]{port} }
sub pid { return $_[0]{pid} }
sub address { return "127.0.0.1:$_[0]{port}" }

sub output { return slurp("$_[0]{dir}/output") // '' }

sub stop {
	my ($self) = @_;

	return if $self->{owner} != $$ || !$self->{pid};
	local ($?, $!);
	kill 'KILL', -$self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
	File::Path::remove_tree($self->{dir});
}

sub DESTROY { $_[0]->stop }

END {
	local $?;
	$_->stop for grep { defined } @running;
}

1;
