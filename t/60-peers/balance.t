#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# ip_hash and hash in nginx and in lbd: the same server for the same client and the same key, with weights, with
# servers that are down or refuse, written in every way.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::INET ();
use Lbd;
use Lbd::Peers;
use Test::More;

skip_without('nginx');

my $dir = tempdir(CLEANUP => 1);
chmod 0755, $dir;
my @port = map { free_port() } 0 .. 5;
my $refused = free_port();
my $front = free_port();

# method and servers; what answers says its number
my $down = "server 127.0.0.9 down; server 127.0.0.9:1 weight=3 down;";
my $dead = "server 127.0.0.1:$refused weight=2 max_fails=0;";
my $equal = join ' ', map { "server 127.0.0.1:$_;" } @port;
my $uneven = join ' ', map { 'server 127.0.0.1:' . $port[$_] . ' weight=' . (1 + $_ % 3) . ';' } 0 .. 5;
my %group = (
	ip_equal => "ip_hash; $equal",
	ip_uneven => "ip_hash; $uneven",
	ip_down => "ip_hash; server 127.0.0.9 down; $uneven server 127.0.0.9:1 weight=4 down;",
	ip_dead => "ip_hash; $equal $dead",
	plain_equal => "hash \$arg_k; $equal",
	plain_uneven => "hash \$arg_k; $uneven",
	plain_down => "hash \"\$arg_k:\$arg_l\"; $down $uneven",
	plain_dead => "hash \$arg_k; $uneven $dead",
	ring_equal => "hash \$arg_k consistent; $equal",
	ring_uneven => "hash \$arg_k consistent; $uneven",
	ring_down => "hash \$arg_k consistent; $down $uneven",
	ring_dead => "hash \"key-\$arg_k\" consistent; $uneven $dead",
	ring_path => "hash \$arg_k consistent; server unix:$dir/0.sock weight=2; server unix:$dir/1.sock; server 127.0.0.1:$port[2];",
);

# without: lbd alone knows its directives
sub fronts {
	my ($listen, $more) = @_;

	return join "\n", (map { "upstream $_ { $group{$_} $more }" } sort keys %group),
		"server { listen $listen; " . join(' ', map { "location /$_ { proxy_pass http://$_; }" } sort keys %group) . ' }';
}

sub backends {
	return join "\n", map { "server { listen 127.0.0.1:$port[$_]; listen unix:$dir/$_.sock; location / { return 200 \"$_\"; } }" }
		0 .. $#port;
}

my $temp = join ' ', map { "${_}_temp_path $dir/$_;" } qw(client_body proxy fastcgi uwsgi scgi);
my $user = is_root() ? 'user root;' : '';
spew("$dir/nginx.conf", <<"EOT");
daemon off; $user worker_processes 1; pid $dir/pid; error_log $dir/error.log;
events { worker_connections 1024; }
http {
	access_log off; $temp keepalive_requests 100000;
	@{[ backends() ]}
	@{[ fronts("0.0.0.0:$front", '') ]}
}
EOT
my $nginx = peer(name => 'nginx', cmd => [has_program('nginx'), '-c', "$dir/nginx.conf", '-p', $dir, '-e', "$dir/error.log"],
	port => $front, dir => $dir);
my $lbd = Lbd->new(conf => "http {\naccess_log off; keepalive_requests 100000;\n"
	. fronts('0.0.0.0:%%PORT_0%%', 'retry_budget 100;') . "\n}\n");

sub client {
	my ($port, $from) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, LocalAddr => $from, Timeout => 10)
		or die "connect from $from: $!";

	return Lbd::Client->new($s);
}

# what each of the targets says
sub answers {
	my ($client, @targets) = @_;

	return map {
		$client->send("GET $_ HTTP/1.1\r\nHost: a\r\n\r\n");
		my $r = $client->response;
		$r->{status} == 200 ? $r->{body} : "status $r->{status}";
	} @targets;
}

sub same {
	my ($name, $theirs, $ours) = @_;
	my @differ = grep { $theirs->[$_] ne $ours->[$_] } 0 .. $#$theirs;
	my %count;

	$count{$_}++ for @$theirs;
	ok !@differ, "$name: as in nginx, " . @$theirs . ' times'
		or diag @differ . " differ; the first: $theirs->[$differ[0]], not $ours->[$differ[0]]";
	cmp_ok scalar(keys %count), '>=', $name eq 'ring_path' ? 3 : 5, "$name: over " . join ' ', map { "$_:$count{$_}" } sort keys %count;
}

for my $name (grep { !/^ip/ } sort keys %group) {
	my @targets = map { "/$name?k=" . $_ * 7919 . "&l=$_" } 1 .. ($name =~ /dead/ ? 200 : 1000);

	same($name, [answers(client($front), @targets)], [answers(client($lbd->port), @targets)]);
}
my @ip = grep { /^ip/ } sort keys %group;
my (%theirs, %ours);
for my $i (1 .. 300) {
	my $from = sprintf '127.%d.%d.%d', $i * 37 % 251, $i * 101 % 256, 1 + $i * 7 % 250;
	my @targets = map { "/$_" } @ip;
	my @t = answers(client($front, $from), @targets);
	my @o = answers(client($lbd->port, $from), @targets);

	push @{ $theirs{ $ip[$_] } }, $t[$_] for 0 .. $#ip;
	push @{ $ours{ $ip[$_] } }, $o[$_] for 0 .. $#ip;
}
same($_, $theirs{$_}, $ours{$_}) for @ip;
$lbd->stop;
done_testing;
