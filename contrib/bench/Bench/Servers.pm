# SPDX-License-Identifier: MIT
#
# The programs that are compared: how each is configured, started on one CPU, found and ended.
#
# All get the best configuration known for the job.  Three ports each: "return" answers by itself,
# "proxy" passes to the backend, "bulk" does so with what helps long bodies.

package Bench::Servers;

use strict;
use warnings;

use Cwd ();
use Exporter 'import';
use File::Basename qw(dirname);
use File::Path qw(make_path);
use IO::Socket::INET ();
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

our @EXPORT = qw(free_port slurp spew find_program haproxy_most server_start servers_stop);

use constant BODY => 'x' x 1024;
use constant MANY => 1_000_000_000;

my @running;
my %given;

sub slurp {
	my ($path) = @_;

	open my $f, '<', $path or return undef;
	local $/;
	return scalar <$f>;
}

sub spew {
	my ($path, $text) = @_;

	open my $f, '>', $path or die "$path: $!\n";
	print $f $text;
	close $f or die "$path: $!\n";
}

# Below the ephemeral range, never the same twice: a second listener on the same port would share it.
sub free_port {
	for (1 .. 2000) {
		my $port = 20000 + int rand 10000;

		next if $given{$port}++;
		return $port if IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1);
	}
	die "no free port\n";
}

sub find_program {
	my ($name) = @_;

	return -x $name ? Cwd::abs_path($name) : undef if $name =~ m{/};
	for my $dir (split(/:/, $ENV{PATH} // ''), qw(/usr/sbin /sbin /usr/local/sbin)) {
		return "$dir/$name" if -x "$dir/$name" && !-d _;
	}
	return undef;
}

sub conf_nginx {
	my ($s, $o) = @_;
	my $user = $> == 0 ? 'user root;' : '';
	my $body = BODY;
	my $many = MANY;

	return <<"EOT";
daemon off;
$user
worker_processes 1;
worker_rlimit_nofile $o->{files};
pid $s->{dir}/nginx.pid;
error_log $s->{dir}/error.log;
events { worker_connections $o->{connections}; }
http {
	access_log off;
	sendfile off;
	keepalive_requests $many;
	keepalive_timeout 1h;
	client_body_temp_path $s->{dir}/body;
	proxy_temp_path $s->{dir}/proxy;
	fastcgi_temp_path $s->{dir}/fastcgi;
	uwsgi_temp_path $s->{dir}/uwsgi;
	scgi_temp_path $s->{dir}/scgi;
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	upstream backend {
		server 127.0.0.1:$o->{backend};
		keepalive 1024;
		keepalive_requests $many;
	}
	server {
		listen 127.0.0.1:$s->{ports}{return} reuseport backlog=4096;
		default_type text/plain;
		return 200 "$body";
	}
	server {
		listen 127.0.0.1:$s->{ports}{proxy} reuseport backlog=4096;
		location / { proxy_pass http://backend; }
	}
	server {
		listen 127.0.0.1:$s->{ports}{bulk} reuseport backlog=4096;
		location / {
			proxy_buffering off;
			proxy_buffer_size 128k;
			proxy_buffers 8 128k;
			proxy_pass http://backend;
		}
	}
}
EOT
}

# It plans with two descriptors for each connection and some for idle ones to servers.
sub haproxy_most {
	my ($files) = @_;

	return int($files * 0.38);
}

sub conf_haproxy {
	my ($s, $o) = @_;
	my $body = BODY;
	my $max = haproxy_most($o->{files});

	return <<"EOT";
global
	nbthread 1
	maxconn $max
defaults
	mode http
	timeout client 1h
	timeout server 1h
	timeout connect 5s
	http-reuse always
frontend answer
	bind 127.0.0.1:$s->{ports}{return} backlog 4096
	http-request return status 200 content-type text/plain string "$body"
frontend proxy
	bind 127.0.0.1:$s->{ports}{proxy} backlog 4096
	default_backend backend
frontend bulk
	bind 127.0.0.1:$s->{ports}{bulk} backlog 4096
	option splice-response
	default_backend backend_bulk
backend backend
	server one 127.0.0.1:$o->{backend} pool-max-conn -1
backend backend_bulk
	option splice-response
	server one 127.0.0.1:$o->{backend} pool-max-conn -1
EOT
}

sub conf_lbd {
	my ($s, $o) = @_;
	my $body = BODY;
	my $many = MANY;

	return <<"EOT";
daemon off;
worker_processes 1;
worker_rlimit_nofile $o->{files};
pid $s->{dir}/lbd.pid;
error_log $s->{dir}/error.log;
events { worker_connections $o->{connections}; use $s->{engine}; }
http {
	access_log off;
	keepalive_requests $many;
	keepalive_timeout 1h;
	upstream backend {
		server 127.0.0.1:$o->{backend};
		keepalive 1024;
		keepalive_requests $many;
	}
	server {
		listen 127.0.0.1:$s->{ports}{return} reuseport backlog=4096;
		default_type text/plain;
		return 200 "$body";
	}
	server {
		listen 127.0.0.1:$s->{ports}{proxy} reuseport backlog=4096;
		location / { proxy_pass http://backend; }
	}
	server {
		listen 127.0.0.1:$s->{ports}{bulk} reuseport backlog=4096;
		location / { proxy_pass http://backend; }
	}
}
EOT
}

my %kinds = (
	nginx => { conf => \&conf_nginx, args => sub { ('-p', $_[0]{dir}, '-e', "$_[0]{dir}/error.log", '-c', $_[1]) },
		worker => qr/^nginx: worker/ },
	haproxy => { conf => \&conf_haproxy, args => sub { ('-db', '-f', $_[1]) } },
	lbd => { conf => \&conf_lbd, args => sub { ('-p', $_[0]{dir}, '-c', $_[1]) }, worker => qr/^lbd: worker/ },
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
	return 1 == (my @w = workers_of($s));
}

sub failed {
	my ($s, $why) = @_;

	die "$s->{name}: $why\n" . (slurp("$s->{dir}/output") // '') . (slurp("$s->{dir}/error.log") // '');
}

# { name, kind, program, engine } on the CPU of $o->{cpu}; with pids, ports and dir when it is up.
# $o: dir, cpu, backend (port), connections, files.
sub server_start {
	my ($s, $o) = @_;
	my $kind = $kinds{ $s->{kind} };

	$s->{dir} = "$o->{dir}/$s->{name}";
	make_path($s->{dir});
	chmod 0755, $s->{dir};
	$s->{ports} = { map { $_ => free_port() } qw(return proxy bulk) };
	spew("$s->{dir}/conf", $kind->{conf}->($s, $o));
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
	my $end = time + 20;
	until (is_up($s)) {
		failed($s, 'ended at its start') if waitpid($pid, WNOHANG) != 0;
		failed($s, 'did not start') if time > $end;
		sleep 0.05;
	}
	$s->{pids} = [workers_of($s)];
	system("taskset -a -p -c $o->{cpu} $_ >/dev/null") for @{ $s->{pids} };
	return $s;
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
