#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Session affinity: by a cookie of lbd's, by a name the request brings, by sessions that servers make; servers that
# are drained, down or full, several workers, reloads.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

# Each answers its name, and makes the session it is asked for.
my @servers = map {
	my $name = $_;

	http_backend(sub {
		my ($q, $n, $b) = @_;

		sleep 30 if $q->{target} =~ /hang/;
		return [200, [$q->{target} =~ /make=(\w+)/ ? ('Set-Cookie' => "session=$1; Path=/") : ()], $name];
	});
} qw(a b c);
my ($a, $b, $c) = map { $_->address } @servers;
my $dead = '127.0.0.1:' . free_port();

sub conf {
	my (%o) = @_;
	my $drain = $o{drain} // '';

	return <<"EOT";
worker_processes 2;
http {
	upstream cookie { server $a; server $b$drain; server $c; sticky cookie srv expires=1h domain=.example.com path=/ httponly secure
		samesite=Lax; }
	upstream plain { server $a; server $b; sticky cookie srv; }
	upstream secret { server $a; server $b; sticky cookie srv; sticky_secret pepper; }
	upstream secrets { server $a; server $b; sticky cookie srv; sticky_secret \$arg_salt; }
	upstream route { server $a route=one; server $b route=two; server $c sid=three; sticky route \$arg_r \$cookie_r; }
	upstream learn { server $a; server $b; server $c;
		sticky learn create=\$upstream_cookie_session lookup=\$cookie_session lookup=\$arg_session zone=sessions:64k; }
	upstream learnhead { server $a; server $b; server $c;
		sticky learn create=\$upstream_cookie_session lookup=\$cookie_session zone=heads:64k header timeout=1h; }
	upstream down { server $a; server $b down; sticky cookie srv; }
	upstream strict { server $a route=a; server $b route=b down; server $c route=c; sticky route \$arg_r; sticky_strict on; }
	upstream full { server $a route=a max_conns=1; server $b route=b; sticky route \$arg_r; }
	upstream gone { server $dead route=dead; server $b route=b; sticky route \$arg_r; }
	upstream zero { server $a route=a weight=0; server $b route=b; sticky route \$arg_r; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		@{[map { "location /$_/ { proxy_pass http://$_; }\n" } qw(cookie plain secret secrets route learn learnhead down strict
			full gone zero)]}
	}
}
EOT
}

my $lbd = Lbd->new(conf => conf());
my $port = $lbd->port(0);

sub get {
	my ($path, $cookie) = @_;

	return http_get($port, $path, defined $cookie ? (Cookie => $cookie) : ());
}

sub who { return get(@_)->{body} }
sub set_cookie { return header($_[0], 'Set-Cookie') // '' }

# Who answers n such requests: "a", or "abc" when it is several.
sub all {
	my ($path, $cookie, $n) = @_;
	my %seen = map { (who($path, $cookie) => 1) } 1 .. $n // 8;

	return join '', sort keys %seen;
}

subtest 'a cookie' => sub {
	my $r = get('/cookie/');
	my ($id) = set_cookie($r) =~ /^srv=([0-9a-f]{32}); Expires=\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT; Max-Age=3600; Domain=.example.com; Path=\/; HttpOnly; Secure; SameSite=Lax$/;
	my %addr = (a => $a, b => $b, c => $c);

	ok(defined $id, 'is set with all its attributes') or diag(set_cookie($r));
	is($id, md5_hex($addr{$r->{body}}), 'its value is the MD5 of the address');
	is(all('/cookie/', "x=y; srv=$id; z=1"), $r->{body}, 'whoever brings it gets to the same server');
	is(set_cookie(get('/cookie/', "srv=$id")), '', 'and no other cookie');
	is(all('/cookie/', undef, 30), 'abc', 'who does not is balanced');
	like(set_cookie(get('/cookie/', 'srv=nonsense')), qr/^srv=[0-9a-f]{32}/, 'a wrong one is replaced');
	like(set_cookie(get('/cookie/', 'srv=' . 'x' x 5000)), qr/^srv=[0-9a-f]{32}/, 'a very long one, too');
	like(set_cookie(get('/plain/')), qr/^srv=[0-9a-f]{32}$/, 'without attributes');
};

subtest 'a secret' => sub {
	my $r = get('/secret/');
	my %addr = (a => $a, b => $b);

	like(set_cookie($r), qr/^srv=@{[md5_hex("pepper$addr{$r->{body}}")]}$/, 'goes into the value');
	is(all('/secret/', set_cookie($r)), $r->{body}, 'which works');
	$r = get('/secrets/?salt=one');
	like(set_cookie($r), qr/^srv=@{[md5_hex("one$addr{$r->{body}}")]}$/, 'it may depend on the request');
	is(all('/secrets/?salt=one', set_cookie($r)), $r->{body}, 'which works');
	isnt(set_cookie(get('/secrets/?salt=two', set_cookie($r))), '', 'and with another one does not');
};

subtest 'a route' => sub {
	is(all('/route/?r=one'), 'a', 'the first');
	is(all('/route/?r=two'), 'b', 'the second');
	is(all('/route/?r=three'), 'c', 'the third');
	is(all('/route/', 'r=two'), 'b', 'from the second variable');
	is(all('/route/?r=one', 'r=two'), 'a', 'the first one wins');
	is(all('/route/?r=four', undef, 30), 'abc', 'an unknown one is balanced');
	is(set_cookie(get('/route/')), '', 'there is no cookie');
};

for my $path ('/learn/', '/learnhead/') {
	subtest "a session of the server: $path" => sub {
		my %has;

		for my $n (1 .. 12) {
			$has{"s$n"} = who("$path?make=s$n");
		}
		is(join('', sort keys %{ { reverse %has } }), 'abc', 'all servers make some');
		is(all($path, "session=$_", 3), $has{$_}, "session $_ stays where it was made") for sort keys %has;
		is(all($path, 'session=unknown', 30), 'abc', 'an unknown one is balanced');
	};
}
is(all('/learn/?session=s1', undef, 3), who('/learn/', 'session=s1'), 'looked up in another place');

subtest 'servers that cannot be had' => sub {
	is(all('/down/', 'srv=' . md5_hex($b)), 'a', 'one that is down: another serves');
	like(set_cookie(get('/down/', 'srv=' . md5_hex($b))), qr/^srv=@{[md5_hex($a)]}/, 'and the client belongs to that one');
	is(get('/strict/?r=b')->{status}, 502, 'strict: that one or nobody');
	is(who('/strict/?r=c'), 'c', 'strict: one that is there');
	is(all('/strict/', undef, 20), 'ac', 'strict: who belongs to nobody is balanced');
	is(who('/gone/?r=dead'), 'b', 'one that refuses: another is asked');
	is(all('/zero/?r=a'), 'a', 'weight 0: only those who belong there');
	is(all('/zero/', undef, 10), 'b', 'and nobody else');
	my $hang = Lbd::Client->new($port);
	$hang->send("GET /full/hang?r=a HTTP/1.1\r\nHost: x\r\n\r\n");
	ok(wait_for(sub { who('/full/?r=a') eq 'b' }), 'one without room: another serves');
	$hang->close;
	ok(wait_for(sub { who('/full/?r=a') eq 'a' }), 'until there is room');
};

subtest 'a reload' => sub {
	my $bound = 'srv=' . md5_hex($b);
	my $at = who('/learn/', 'session=s5');

	$lbd->configure(conf(drain => ' drain'));
	is($lbd->reload, 1, 'with a server that drains');
	is(all('/cookie/', $bound), 'b', 'who belongs to it gets there');
	is(all('/cookie/', undef, 20), 'ac', 'others do not');
	is(who('/learn/', 'session=s5'), $at, 'sessions outlive it');
};

$lbd->stop;
done_testing();
