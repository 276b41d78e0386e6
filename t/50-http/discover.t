#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Servers that a file lists: replaced, broken, emptied, behind links that turn; what there is at a start.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Dns;
use POSIX ();
use Test::More;

my $back = http_backend(sub { [200, [], 'ok'] }, host => '0.0.0.0');
my $p = $back->port;
my $dns = dns_server('app.test' => { A => ['127.0.0.2'] });
my $dir = File::Temp::tempdir('lbd-servers-XXXXXX', TMPDIR => 1, CLEANUP => 1);

chmod 0755, $dir;

# Another file in its place, as editors and scripts do.
sub save {
	my ($text, $name) = @_;

	$name //= 'list.json';
	spew("$dir/.$name", $text);
	rename "$dir/.$name", "$dir/$name" or die "$dir/$name: $!";
}

# A folder of its own, and "..data" led there.
sub turn {
	my ($n, $text) = @_;

	mkdir "$dir/k8s";
	mkdir "$dir/k8s/..$n" or die "$n: $!";
	spew("$dir/k8s/..$n/list.json", $text);
	symlink "..$n", "$dir/k8s/..tmp" or die "link: $!";
	rename "$dir/k8s/..tmp", "$dir/k8s/..data" or die "rename: $!";
	symlink '..data/list.json', "$dir/k8s/list.json";
}

save(qq{["127.0.0.2:$p", {"address": "127.0.0.3", "port": $p, "weight": 2}]});
turn(1, qq{["127.0.0.6:$p"]});

my $http = <<EOT;
	resolver 127.0.0.1:@{[$dns->port]} ipv6=off valid_min=100ms timeout=200ms;
	add_header X-Up \$upstream_addr always;
	upstream list { discover file $dir/list.json; discover_policy remove_delay=0; }
	upstream clear { discover file $dir/clear.json; discover_policy remove_delay=0 on_empty=clear min_ratio=0; }
	upstream links { discover file $dir/k8s/list.json; discover_policy remove_delay=0; }
	upstream delay { discover file $dir/delay.json; discover_policy remove_delay=1h min_ratio=0; }
	upstream init { server nowhere.test:$p resolve; upstream_init_addr none 127.0.0.5; }
	upstream given { server nowhere.test:$p resolve; upstream_init_addr last 127.0.0.5; }
	upstream app { server app.test:$p resolve; upstream_init_addr last none; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location ~ ^/(?<g>\\w+) { proxy_pass http://\$g; }
	}
EOT
my $lbd = Lbd->new(allow => [qr/control process \d+ exited on signal 9/, qr/list\.json:\d+:\d+/], conf => "http {\n$http}\n");

sub who {
	my ($group, $n) = @_;
	my %seen;

	for (1 .. $n // 8) {
		my $r = http_get($lbd->port(0), "/$group");
		my $who = $r->{status} == 200 ? header($r, 'x-up') : $r->{status};

		$who =~ s/.*, //;
		$who =~ s/:$p$//;
		$seen{$who} = 1;
	}
	return join ' ', sort keys %seen;
}

sub becomes {
	my ($group, $want, $name) = @_;
	my $got = '';

	wait_for(sub { ($got = who($group)) eq $want });
	is($got, $want, $name);
}

becomes(list => '127.0.0.2 127.0.0.3', 'a file of servers');
becomes(links => '127.0.0.6', 'behind links');
is(who('clear', 1), '502', 'no file: nobody');
is(who('init', 1), '502', 'upstream_init_addr: none is first');
is(who('given', 1), '127.0.0.5', 'an address of the configuration');

# --- changes ---

save(qq{[{"targets": ["127.0.0.3:$p", "127.0.0.4:$p"], "labels": {"env": "x", "max_conns": "9"}}]});
becomes(list => '127.0.0.3 127.0.0.4', 'another list');
turn(2, qq{["127.0.0.7:$p"]});
becomes(links => '127.0.0.7', 'the link turns');
turn(3, qq{["127.0.0.8:$p"]});
becomes(links => '127.0.0.8', 'and again');
spew("$dir/clear.json", qq{["127.0.0.9:$p"]});
becomes(clear => '127.0.0.9', 'a file that comes to be');
save('[]', 'clear.json');
becomes(clear => '502', 'on_empty=clear: an empty list is believed');

# --- mistakes ---

for (['[', 'the beginning of one'], ['', 'nothing'], ['{}', 'no list'], ['["127.0.0.1:99999"]', 'no address'],
	['["app.test:80"]', 'a name'], ['[{"address": "127.0.0.1", "wieght": 1}]', 'an unknown member'],
	['[{"weight": 1}]', 'no address'], ['[{"address": "127.0.0.1", "weight": "x"}]', 'no number'],
	["[\n  \"127.0.0.1\",\n  nul ]", 'a word', '3:3'], ['["127.0.0.1"] 1', 'two values'],
	['[[[[[[[[[[[[', 'too deep'], ['[{"address": "127.0.0.1", "tier": 7}]', 'no such tier'],
	['[{"address": "127.0.0.1", "route": "a; Domain=b"}]', 'a route that ends a cookie'],
	['[{"address": "127.0.0.1", "route": "a\u000d\u000ab"}]', 'a route of two lines']) {
	my ($text, $what, $at) = @$_;
	my $before = () = $lbd->log =~ /stay as they were/g;

	save($text);
	ok(wait_for(sub { my $n = () = $lbd->log =~ /stay as they were/g; $n > $before }), "a file with $what is refused");
	like($lbd->log, qr/list\.json:\Q$at\E: a value that is none/, 'with its place') if $at;
}
{
	my $before = () = $lbd->log =~ /stay as they were/g;

	POSIX::mkfifo("$dir/.pipe", 0644) or die "pipe: $!";
	rename "$dir/.pipe", "$dir/list.json" or die "pipe: $!";
	ok(wait_for(sub { my $n = () = $lbd->log =~ /stay as they were/g; $n > $before }), 'a pipe is refused, not waited for');
}
is(who('list'), '127.0.0.3 127.0.0.4', 'the servers stay as they were');
save('[]');
ok($lbd->wait_log(qr/brings 0 servers in the place of 2; kept as they were/), 'an empty list');
is(who('list'), '127.0.0.3 127.0.0.4', 'is not believed');
unlink "$dir/list.json";
ok($lbd->wait_log(qr/could not read .*list\.json; its servers stay as they were/), 'no file');
is(who('list'), '127.0.0.3 127.0.0.4', 'is no list');
save('[' . join(',', map { "\"127.0.2.$_:$p\"" } 1 .. 9) . ']');
ok(wait_for(sub { who('list', 20) eq join ' ', map { "127.0.2.$_" } 1 .. 9 }), 'nine servers');
save(qq{["127.0.2.1:$p"]});
ok($lbd->wait_log(qr/brings 1 server in the place of 9; kept until it is said three times/), 'one in the place of nine is doubted');
becomes(list => '127.0.2.1', 'and believed when it says so still');

# --- who drains ---

save(qq{["127.0.0.2:$p", "127.0.0.3:$p"]}, 'delay.json');
becomes(delay => '127.0.0.2 127.0.0.3', 'two servers');
save(qq{["127.0.0.3:$p"]}, 'delay.json');
becomes(delay => '127.0.0.3', 'one of them leaves and gets no requests');
save(qq{["127.0.0.2:$p", "127.0.0.3:$p"]}, 'delay.json');
becomes(delay => '127.0.0.2 127.0.0.3', 'comes back');
save(qq{[{"address": "127.0.0.2", "port": $p, "state": "down"}, {"address": "127.0.0.3", "port": $p, "drain": true},
	{"address": "127.0.0.4:$p", "backup": true}]}, 'delay.json');
becomes(delay => '127.0.0.4', 'down, draining and backup servers');

# --- control, reload, the next run ---

becomes(app => '127.0.0.2', 'a name');
my ($control) = $lbd->control;
kill KILL => $control;
ok(wait_for(sub { my ($c) = $lbd->control; defined $c && $c != $control }), 'control is killed');
is(who('list'), '127.0.2.1', 'nothing changes');
save(qq{["127.0.2.1:$p", "127.0.2.2:$p"]});
becomes(list => '127.0.2.1 127.0.2.2', 'the next one looks on');
ok($lbd->reload, 'a reload');
is(who('list'), '127.0.2.1 127.0.2.2', 'takes the servers over');
$dns->stop;
$lbd->configure("http {\n" . ($http =~ s/resolve; upstream_init_addr last none/resolve max_fails=2; upstream_init_addr last none/r) . "}\n");
ok($lbd->reload, 'another definition of the group, while the name server is away');
is(who('app'), '127.0.0.2', 'begins with what was published');
ok(wait_for(sub { (slurp($lbd->dir . '/state/servers-app') // '') =~ /127\.0\.0\.2/ }), 'it is noted for the next run');
$lbd->signal('TERM');
is($lbd->wait_exit, 0, 'lbd ends');
$lbd->start;
is(who('app', 2), '127.0.0.2', 'which begins with it');
$lbd->stop;

# --- without a master ---

save(qq{["127.0.0.2:$p"]});
my $single = Lbd->new(single => 1, conf => <<EOT);
master_process off;
http {
	add_header X-Up \$upstream_addr always;
	upstream list { discover file $dir/list.json; discover_policy remove_delay=0; }
	server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://list; } }
}
EOT
$lbd = $single;
becomes(list => '127.0.0.2', 'the only process reads a file');
save(qq{["127.0.0.3:$p"]});
becomes(list => '127.0.0.3', 'and sees it change');
$single->stop;

done_testing;
