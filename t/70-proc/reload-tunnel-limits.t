#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What is bound to a tunnel that moves: the count of its server (max_conns tells), its time limits, its
# place in the configuration, room in the worker that is to take it.  And what happens to it when the
# new configuration or a process has gone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Echo;
use Test::More;

$SIG{PIPE} = 'IGNORE';

my $echo = Lbd::Echo->new;
my $a = $echo->address;
my $lbd;

# limit: of the server; ws: the location; more: in the server; listen: the second address
sub site {
	my ($n, %o) = @_;
	my $limit = $o{limit} // '';
	my $group = $o{group} // "upstream group { server $a $limit; }";
	my $ws = $o{ws} // 'location /ws/ { proxy_pass http://group; }';
	my $listen = ($o{listen} // 1) ? 'listen 127.0.0.1:%%PORT_1%%;' : '';
	my $workers = $o{workers} // 1;
	my $connections = $o{connections} // 512;

	return <<"EOT";
worker_processes $workers;
events { %%USE%% worker_connections $connections; }
http {
	log_format main "\$request|\$status|\$upstream_addr|\$upstream_name|\$bytes_sent|\$proxy_host|\$uri|\$args|$n|\$remote_addr";
	access_log logs/access.log main;
	proxy_read_timeout 1h;
	$group
	server {
		listen 127.0.0.1:%%PORT_0%%;
		$listen
		location / { return 200 "generation $n"; }
		$ws
	}
	@{[ $o{more} // '' ]}
}
EOT
}

my $n = 1;
$lbd = Lbd->new(conf => site(1, limit => 'max_conns=1'), allow => [qr/exited on signal 9/]);
my $port = $lbd->port;

sub tunnel {
	my ($target, $to) = @_;
	my $c = Lbd::Client->new($to // $port);

	$c->send("GET $target HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
	my $r = $c->response;
	is $r->{status}, 101, "$target: 101" or diag explain $r;
	return $c;
}

sub echo {
	my ($c, $text) = @_;

	$c->send($text);
	return ($c->read_bytes(length $text) // '') eq $text;
}

sub reloaded {
	my (%o) = @_;

	$lbd->configure(site(++$n, %o));
	is $lbd->reload, 1, "reload to $n";
}

sub drained { ok wait_for(sub { $lbd->is_drained }), $_[0] }
sub status { return http_get($port, '/ws/plain')->{status} }

sub lines {
	my ($target, $n) = @_;
	my @l;

	wait_for(sub { @l = grep { /^GET \Q$target\E / } split /\n/, $lbd->log('access.log'); @l >= $n });
	return map { [split /\|/, $_] } @l;
}

{ # in flight
	my $c = tunnel('/ws/echo?count');

	is status(), 503, 'the one place of the server is taken';
	for (1 .. 3) {
		reloaded(limit => 'max_conns=1');
		drained('the tunnel has moved');
		is status(), 503, 'it is still taken';
	}
	reloaded(limit => 'max_conns=2');
	drained('the tunnel has moved');
	is status(), 200, 'a place more';
	my $second = tunnel('/ws/echo?second');
	is status(), 503, 'two are two';
	reloaded(limit => 'max_conns=1');
	drained('both have moved, although there is one place');
	is status(), 503, 'two of one place are taken';
	$second->close;
	lines('/ws/echo?second', 1);
	is status(), 503, 'one is left';
	reloaded(limit => 'max_conns=1 down');
	drained('to a generation where the server is down');
	reloaded(limit => 'max_conns=1');
	drained('and back');
	ok echo($c, 'all this time'), 'it works';
	is status(), 503, 'and counts';
	$c->close;
	is scalar(my @l = lines('/ws/echo?count', 1)), 1, 'one line';
	is status(), 200, 'the place is free again';
}

{ # a worker that has taken one is killed
	my $c = tunnel('/ws/echo?killed');

	reloaded(limit => 'max_conns=1');
	drained('the tunnel has moved');
	my ($worker) = $lbd->workers;
	$lbd->signal('KILL', $worker);
	ok $c->until(sub { $c->{ended} }), 'it ends with its worker';
	ok wait_for(sub { my @w = $lbd->workers; @w == 1 && $w[0] != $worker }), 'there is another worker';
	is status(), 200, 'what was in flight is taken back';
	is status(), 200, 'all of it';
}

{ # the limit of silence goes along
	reloaded(ws => 'location /ws/ { proxy_pass http://group; proxy_read_timeout 500ms; }');
	my $c = tunnel('/ws/echo?short');
	reloaded();
	drained('the tunnel has moved');
	ok $c->is_ended, 'its time is over where silence may be longer';
	is scalar(my @l = lines('/ws/echo?short', 1)), 1, 'one line';
}

{ # the new configuration knows nothing of it
	my @c = map { tunnel("/ws/echo?strange$_") } 1 .. 3;

	reloaded(group => '', ws => 'location /ws/ { return 404; }');
	drained('no group');
	ok echo($c[0], 'without a group'), 'it works';
	$c[0]->close;
	my ($l) = lines('/ws/echo?strange1', 1);
	is "@$l[0 .. 3]", "GET /ws/echo?strange1 HTTP/1.1 101 $a group", 'a line with what was so';
	reloaded(group => '', ws => '', more => 'server { listen 127.0.0.1:%%PORT_2%%; server_name a; }');
	drained('no location');
	ok echo($c[1], 'without a location'), 'it works';
	$c[1]->close;
	($l) = lines('/ws/echo?strange2', 1);
	is "@$l[6 .. 8]", "/ws/echo strange2 $n", 'a line';
	reloaded();
	drained('and all is there again');
	ok echo($c[2], 'again'), 'it works';
	$c[2]->close;
	($l) = lines('/ws/echo?strange3', 1);
	is "@$l[2 .. 3] $l->[5]", "$a group group", 'with the group';
}

{ # paths that the request did not say
	my %ws = (ws => <<'EOT');
location /ws/ { proxy_pass http://group; }
location /old/ { rewrite ^/old/(.*) /ws/$1?was=old; }
location /rest/ { rewrite ^/rest/(.*) /ws/$1 break; proxy_pass http://group; access_log logs/rest.log; }
location /named/ { error_page 404 = @named; }
location @named { rewrite ^ /ws/echo break; proxy_pass http://group; access_log logs/named.log; }
EOT
	reloaded(%ws);
	my @c = map { tunnel($_) } qw(/old/echo /rest/echo /named/echo);
	for (1 .. 2) {
		reloaded(%ws);
		drained('they move');
	}
	is scalar(grep { echo($_, 'word') } @c), 3, 'and work';
	$_->close for @c;
	my ($l) = lines('/old/echo', 1);
	is "@$l[6 .. 7]", '/ws/echo was=old', 'the path after rewriting';
	ok wait_for(sub { $lbd->log('rest.log') =~ m{^.*"GET /rest/echo HTTP/1.1" 101 .*\n\z} }), 'the log of its location';
	ok wait_for(sub { $lbd->log('named.log') =~ m{^.*"GET /named/echo HTTP/1.1" 101 .*\n\z} }), 'of a named one';
}

{ # an address that is there no more, and then is again
	my $c = tunnel('/ws/echo?address', $lbd->port(1));

	reloaded(listen => 0);
	ok echo($c, 'still here'), 'a tunnel whose address is gone stays';
	reloaded(listen => 0);
	ok !$lbd->is_drained, 'in its worker';
	reloaded();
	drained('and moves when the address is there again');
	ok echo($c, 'moved'), 'it works';
	$c->close;
	is scalar(my @l = lines('/ws/echo?address', 1)), 1, 'one line';
}

{ # no room: above the limit, rather than to wait for it
	my @c = map { tunnel("/ws/echo?room") } 1 .. 20;

	reloaded(connections => 24);
	is scalar(grep { echo($_, 'room') } @c), 20, 'tunnels that find no room work';
	drained('and move nevertheless');
	is scalar(grep { echo($_, 'room') } @c), 20, 'and work';
	reloaded(connections => 512);
	drained('to where there is room');
	is scalar(grep { echo($_, 'room') } @c), 20, 'and work';
	$_->close for @c;
	is scalar(my @l = lines('/ws/echo?room', 20)), 20, 'one line each';
}

{ # reset, some of them on their way
	my @c = map { tunnel("/ws/echo?reset") } 1 .. 20;

	reloaded(connections => 24);
	$_->reset for @c;
	my @l = lines('/ws/echo?reset', 20);
	is scalar @l, 20, 'one line each';
	is scalar(grep { $_->[9] eq '127.0.0.1' } @l), 20, 'with the address';
	reloaded();
}

drained('nothing is left over');
{ # the end of all
	my $c = tunnel('/ws/echo?end');

	reloaded();
	drained('the tunnel has moved');
	ok echo($c, 'last words'), 'it works';
	$lbd->signal('TERM');
	is $lbd->wait_exit, 0, 'TERM';
	ok $c->until(sub { $c->{ended} }), 'ends it';
	my @l = lines('/ws/echo?end', 1);
	is scalar @l, 1, 'one line';
	is $l[0][1], 101, 'with its status';
}
$lbd->stop;
$echo->stop;
done_testing;
