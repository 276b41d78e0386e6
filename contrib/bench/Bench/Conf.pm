# SPDX-License-Identifier: MIT
#
# The configurations.  All programs get the best one known for the job; a set of ports is what one process
# serves, so that ten thousand locations are in nobody's memory when they are not what is measured.
#
#	small        return, deferred, log: 1 KB by itself; proxy, proxylog, once (closes the connection to
#	             the server), websocket; file (nginx)
#	bulk         stream and buffer: proxies for long bodies; bulk-long: for very long ones
#	methods      proxies: one server; a hundred by each of some balancing methods
#	servers-N, locations-N, names-N
#
# conf_ports(SET, KIND) names the ports, conf_text(SERVER, PLACE) is the file.  PLACE: backend (port), files,
# connections; SERVER: kind, engine, dir, ports, set, workers.

package Bench::Conf;

use strict;
use warnings;

use Exporter 'import';

use Bench::Util;

our @EXPORT = qw(conf_ports conf_text haproxy_most);

use constant MANY => 1_000_000_000;

# The same bytes as the generator's.
sub body {
	my ($n) = @_;
	my @of = ('0' .. '9', 'a' .. 'z', 'A' .. 'Y');

	return join '', map { $of[($_ + int($_ / @of)) % @of] } 0 .. $n - 1;
}

sub loopback {
	my ($i) = @_;

	return sprintf '127.1.%d.%d', $i / 200, $i % 200 + 1;
}

# of groups of a hundred; nginx has what it has
my %methods = (round => '', least => 'least_conn;', key => 'hash $connection consistent;', time => 'least_time header;');

sub conf_ports {
	my ($set, $kind) = @_;

	return (qw(return deferred proxy once websocket), $kind eq 'haproxy' ? () : qw(log proxylog),
		$kind eq 'nginx' ? 'file' : ()) if $set eq 'small';
	return $kind eq 'haproxy' ? 'one' : ('one', sort keys %methods) if $set eq 'methods';
	return $set =~ /^bulk/ ? qw(stream buffer) : $set =~ /^servers/ ? 'proxy' : 'return';
}

# --- nginx and lbd: one language ---

sub web_server {
	my ($s, $port, $text, $listen) = @_;

	return "\tserver {\n\t\tlisten 127.0.0.1:$s->{ports}{$port} reuseport backlog=4096" . ($listen // '') . ";\n$text\t}\n";
}

sub web_return {
	my ($n) = @_;

	return "\t\tdefault_type text/plain;\n\t\treturn 200 \"" . body($n) . "\";\n";
}

sub web_proxy {
	my ($to, @more) = @_;

	return "\t\tlocation / {\n" . join('', map { "\t\t\t$_;\n" } "proxy_pass http://$to", @more) . "\t\t}\n";
}

sub web_small {
	my ($s, $o) = @_;
	my $many = MANY;
	my $log = sub { "\t\taccess_log $s->{dir}/$_[0].log combined buffer=64k flush=5s;\n" };
	my @tunnel = $s->{kind} eq 'nginx' ? ('proxy_set_header Upgrade $http_upgrade', 'proxy_set_header Connection upgrade') : ();
	my $text = <<"EOT";
	upstream backend {
		server 127.0.0.1:$o->{backend};
		keepalive 1024;
		keepalive_requests $many;
	}
	upstream once { server 127.0.0.1:$o->{backend}; }
EOT
	$text .= web_server($s, 'return', web_return(1024)) . web_server($s, 'deferred', web_return(1024), ' deferred')
		. web_server($s, 'log', $log->('return') . web_return(1024))
		. web_server($s, 'proxy', web_proxy('backend'))
		. web_server($s, 'proxylog', $log->('proxy') . web_proxy('backend'))
		# newer nginx keeps connections to servers by default
		. web_server($s, 'once', web_proxy('once', 'proxy_set_header Connection close'))
		. web_server($s, 'websocket', web_proxy('backend', @tunnel));
	if ($s->{kind} eq 'nginx') {
		spew("$s->{dir}/1024", body(1024));
		$text .= web_server($s, 'file', "\t\troot $s->{dir};\n\t\topen_file_cache max=16 inactive=1h;\n\t\topen_file_cache_valid 1h;\n");
	}
	return $text;
}

# Of the buffers that were tried (8 of 16 KB to 4 of 256 KB) those that were the cheapest; lbd by its defaults, but
# uploads that are kept are kept in memory by both.
sub web_bulk {
	my ($s, $o) = @_;
	my $keep = 'client_body_buffer_size 16m';
	my @buffers = $s->{set} eq 'bulk' ? ('proxy_buffer_size 32k', 'proxy_buffers 8 32k', 'proxy_busy_buffers_size 128k')
		: ('proxy_buffer_size 64k', 'proxy_buffers 4 64k', 'proxy_busy_buffers_size 128k');
	my %more = (
		lbd => { stream => [], buffer => [$keep] },
		nginx => { stream => ['proxy_buffer_size 128k', 'proxy_buffers 8 128k', 'client_body_buffer_size 256k'],
			buffer => ['proxy_max_temp_file_size 0', @buffers, $keep] },
	);
	my $more = $more{ $s->{kind} };

	return "\tupstream backend {\n\t\tserver 127.0.0.1:$o->{backend};\n\t\tkeepalive 1024;\n\t\tkeepalive_requests " . MANY . ";\n\t}\n"
		. web_server($s, 'stream', web_proxy('backend', 'proxy_buffering off', 'proxy_request_buffering off', @{ $more->{stream} }))
		. web_server($s, 'buffer', web_proxy('backend', @{ $more->{buffer} }));
}

sub web_methods {
	my ($s, $o) = @_;
	my $keep = 'keepalive 1024; keepalive_requests ' . MANY . ';';
	my $many = join '', map { "\t\tserver " . loopback($_) . ":$o->{backend};\n" } 0 .. 99;
	my %text = (one => "server 127.0.0.1:$o->{backend};\n", map { $_ => "$methods{$_}\n$many" } keys %methods);

	$text{time} = $text{least} if $s->{kind} eq 'nginx';
	return join '', map { "\tupstream $_ {\n\t\t$text{$_}\t\t$keep\n\t}\n" . web_server($s, $_, web_proxy($_)) } sort keys %text;
}

sub web_size {
	my ($s, $o) = @_;
	my ($what, $n) = split /-/, $s->{set};

	return "\tupstream many {\n" . join('', map { "\t\tserver " . loopback($_) . ":$o->{backend};\n" } 0 .. $n - 1) . "\t}\n"
		. web_server($s, 'proxy', web_proxy('many', 'proxy_set_header Connection close')) if $what eq 'servers';
	return web_server($s, 'return', "\t\tdefault_type text/plain;\n"
		. join('', map { "\t\tlocation /d$_/ { return 200 \"" . body(16) . "\"; }\n" } 0 .. $n - 1)
		. "\t\tlocation / { return 404; }\n") if $what eq 'locations';
	return "\tserver_names_hash_max_size 65536;\n\tserver_names_hash_bucket_size 128;\n"
		. web_server($s, 'return', "\t\treturn 404;\n")
		. join '', map { "\tserver {\n\t\tlisten 127.0.0.1:$s->{ports}{return};\n\t\tserver_name h$_.example;\n" . web_return(16)
			. "\t}\n" } 0 .. $n - 1;
}

sub conf_web {
	my ($s, $o) = @_;
	my $many = MANY;
	my $body = $s->{set} eq 'small' ? web_small($s, $o) : $s->{set} eq 'methods' ? web_methods($s, $o)
		: $s->{set} =~ /^bulk/ ? web_bulk($s, $o) : web_size($s, $o);
	my $use = $s->{kind} eq 'lbd' ? "use $s->{engine};" : '';
	my $own = $s->{kind} eq 'lbd' ? '' : <<"EOT" . join '', map { "\t${_}_temp_path $s->{dir}/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi);
	sendfile off;
	proxy_http_version 1.1;
	proxy_set_header Connection "";
EOT
	return join('', map { "$_;\n" } 'daemon off', "worker_processes $s->{workers}", "worker_rlimit_nofile $o->{files}",
			"pid $s->{dir}/pid", "error_log $s->{dir}/error.log",
			# files of ours are read and written, and the memory of rings is not charged to a user with others
			$> == 0 ? 'user root' : ())
		. <<"EOT";
events { worker_connections $o->{connections}; $use }
http {
	access_log off;
	keepalive_requests $many;
	keepalive_timeout 1h;
	client_max_body_size 0;
$own$body}
EOT
}

# --- HAProxy ---

# It plans with two descriptors for each connection and some for idle ones to servers.
sub haproxy_most {
	my ($files) = @_;

	return int($files * 0.38);
}

sub haproxy_front {
	my ($s, $port, $bind, @lines) = @_;

	return join '', map { "$_\n" } "frontend $port", "\tbind 127.0.0.1:$s->{ports}{$port} backlog 4096$bind", map { "\t$_" } @lines;
}

sub haproxy_back {
	my ($name, $o, @lines) = @_;

	return join '', map { "$_\n" } "backend $name", (map { "\t$_" } @lines),
		"\tserver one 127.0.0.1:$o->{backend} pool-max-conn -1 pool-purge-delay 1h";
}

sub haproxy_return {
	my ($n, $if) = @_;

	return 'http-request return status 200 content-type text/plain string "' . body($n) . '"' . ($if // '');
}

sub haproxy_small {
	my ($s, $o) = @_;

	return haproxy_front($s, 'return', '', haproxy_return(1024))
		. haproxy_front($s, 'deferred', ' defer-accept', haproxy_return(1024))
		. haproxy_front($s, 'proxy', '', 'default_backend backend')
		. haproxy_front($s, 'websocket', '', 'default_backend backend')
		. haproxy_front($s, 'once', '', 'default_backend once')
		. haproxy_back('backend', $o)
		. haproxy_back('once', $o, 'http-reuse never', 'option http-server-close');
}

sub haproxy_bulk {
	my ($s, $o) = @_;
	my @splice = ('option splice-request', 'option splice-response');

	return haproxy_front($s, 'stream', '', @splice, 'default_backend stream')
		. haproxy_front($s, 'buffer', '', 'default_backend buffer')
		. haproxy_back('stream', $o, @splice) . haproxy_back('buffer', $o);
}

sub haproxy_size {
	my ($s, $o) = @_;
	my ($what, $n) = split /-/, $s->{set};

	return haproxy_front($s, 'proxy', '', 'default_backend many')
		. join '', map { "$_\n" } 'backend many', "\thttp-reuse never", "\toption http-server-close",
			map { "\tserver s$_ " . loopback($_) . ":$o->{backend}" } 0 .. $n - 1 if $what eq 'servers';
	my ($line, $key) = $what eq 'locations' ? (sub { "/d$_[0]/ 1\n" }, 'path,map_beg') : (sub { "h$_[0].example 1\n" }, 'req.hdr(host),map_str');
	spew("$s->{dir}/map", join '', map { $line->($_) } 0 .. $n - 1);
	return haproxy_front($s, 'return', '', haproxy_return(16, " if { $key($s->{dir}/map) -m found }"), 'http-request deny deny_status 404');
}

sub conf_haproxy {
	my ($s, $o) = @_;
	my $max = haproxy_most($o->{files});
	# larger buffers pay where bodies are much larger
	my $tune = $s->{set} eq 'bulk-long' ? 'tune.bufsize 65536' : '';
	my $body = $s->{set} eq 'small' ? haproxy_small($s, $o)
		: $s->{set} eq 'methods' ? haproxy_front($s, 'one', '', 'default_backend stream') . haproxy_back('stream', $o) : $s->{set} =~ /^bulk/ ? haproxy_bulk($s, $o) : haproxy_size($s, $o);

	return <<"EOT";
global
	nbthread $s->{workers}
	maxconn $max
	$tune
	stats socket $s->{dir}/socket level admin
defaults
	mode http
	timeout client 1h
	timeout server 1h
	timeout tunnel 1h
	timeout connect 5s
	http-reuse always
$body
EOT
}

my %conf = (lbd => \&conf_web, nginx => \&conf_web, haproxy => \&conf_haproxy);

sub conf_text {
	my ($s, $o) = @_;

	return $conf{ $s->{kind} }->($s, $o);
}

1;
