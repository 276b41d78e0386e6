#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# When another server is asked, and when not: proxy_next_upstream and its limits, requests that must not be
# sent twice, connections that died while they were idle.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $refused = free_port();
my %do = (
	close => sub { return '' },
	head => sub { return "HTTP/1.1 200 OK\r\nX" },
	garbage => sub { return "hello\r\n\r\n" },
	half => sub { return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf" },
);
for my $status (403, 404, 429, 500, 502, 503, 504) {
	$do{$status} = sub { return [$status, [], "bad $status"] };
}
my $bad = http_backend(sub {
	my ($q, $n, $b) = @_;
	my ($what) = $q->{target} =~ m{^/\w+/(\w+)};

	$b->note("$q->{method} $q->{target} $q->{body}");
	if ($what eq 'hang') {
		$b->note('waits');
		sleep 30;
		return undef;
	}
	return $do{$what}->();
});
my $good = http_backend(sub {
	my ($q, $n, $b) = @_;

	$b->note("$q->{method} $q->{target} $q->{body}");
	return [200, [], "good $q->{method} $q->{body}"];
});
my $b = $bad->address;
my $g = $good->address;

# A first server that misbehaves, and one that is asked next.
sub group {
	my ($name, $first) = @_;

	return "upstream $name { server $first max_fails=0; server $g backup; }";
}

my $lbd = Lbd->new(conf => <<"EOT");
http {
	log_format tries '\$uri \$upstream_addr \$upstream_status';
	access_log logs/tries.log tries;
	@{[group('bad', $b)]}
	@{[group('refused', "127.0.0.1:$refused")]}
	upstream many { server $b max_fails=0; server $b max_fails=0 weight=1; server 127.0.0.1:$refused max_fails=0;
		server $g backup; }
	upstream alone { server $b max_fails=0; }
	upstream once { server $b max_fails=1 fail_timeout=60s; server $g backup; }
	proxy_read_timeout 500ms;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /default/ { proxy_pass http://bad; }
		location /refused/ { proxy_pass http://refused; }
		location /off/ { proxy_pass http://bad; proxy_next_upstream off; }
		location /offrefused/ { proxy_pass http://refused; proxy_next_upstream off; }
		location /invalid/ { proxy_pass http://bad; proxy_next_upstream invalid_header; }
		location /status/ { proxy_pass http://bad; proxy_next_upstream http_403 http_404 http_429 http_500 http_503; }
		location /posts/ { proxy_pass http://bad; proxy_next_upstream error http_503 non_idempotent; }
		location /one/ { proxy_pass http://bad; proxy_next_upstream_tries 1; }
		location /alone/ { proxy_pass http://alone; proxy_next_upstream error http_503; }
		location /two/ { proxy_pass http://many; proxy_next_upstream_tries 2; }
		location /all/ { proxy_pass http://many; proxy_next_upstream_tries 0; }
		location /late/ { proxy_pass http://bad; proxy_next_upstream_timeout 100ms; }
		location /pause/ { proxy_pass http://bad; proxy_next_upstream_backoff 20ms jitter=0; }
		location /once/ { proxy_pass http://once; }
		location /stream/ { proxy_pass http://bad; proxy_request_buffering off; }
		location /page/ { proxy_pass http://bad; proxy_next_upstream off; error_page 502 = \@next; }
		location /pagestream/ { proxy_pass http://bad; proxy_next_upstream off; proxy_request_buffering off;
			error_page 502 = \@next; }
		location \@next { proxy_pass http://$g; }
		location /header/ { proxy_pass http://bad; proxy_read_timeout 20s; proxy_header_timeout 300ms; }
		location /whole/ { proxy_pass http://alone; proxy_read_timeout 20s; proxy_request_timeout 300ms; }
	}
}
EOT
my $port = $lbd->port(0);

# target, method, status, body
my @cases = (
	['/default/close', 'GET', 200, 'good GET '],
	['/default/head', 'GET', 200, 'good GET '],
	['/default/hang', 'GET', 200, 'good GET '],
	['/default/garbage', 'GET', 502],
	['/default/500', 'GET', 500, 'bad 500'],
	['/default/close', 'PUT', 200, 'good PUT b'],
	['/default/close', 'DELETE', 200, 'good DELETE '],
	['/default/close', 'POST', 502],
	['/default/hang', 'POST', 504],
	['/default/close', 'PATCH', 502],
	['/default/close', 'FROBNICATE', 502],
	['/refused/x', 'GET', 200, 'good GET '],
	['/refused/x', 'POST', 200, 'good POST b'],
	['/off/close', 'GET', 502],
	['/offrefused/x', 'GET', 502],
	['/invalid/garbage', 'GET', 200, 'good GET '],
	['/invalid/close', 'GET', 502],
	['/status/403', 'GET', 200, 'good GET '],
	['/status/404', 'GET', 200, 'good GET '],
	['/status/429', 'GET', 200, 'good GET '],
	['/status/500', 'GET', 200, 'good GET '],
	['/status/502', 'GET', 502, 'bad 502'],
	['/status/503', 'GET', 200, 'good GET '],
	['/status/503', 'POST', 503, 'bad 503'],
	['/posts/503', 'POST', 200, 'good POST b'],
	['/posts/close', 'POST', 200, 'good POST b'],
	['/one/close', 'GET', 502],
	['/alone/close', 'GET', 502],
	['/alone/503', 'GET', 503, 'bad 503'],
	['/two/close', 'GET', 502],
	['/all/close', 'GET', 200, 'good GET '],
	['/late/hang', 'GET', 504],
	['/pause/close', 'GET', 200, 'good GET '],
	['/stream/close', 'PUT', 200, 'good PUT b'],
	['/page/close', 'PUT', 200, 'good PUT b'],
	['/pagestream/close', 'PUT', 200, 'good PUT b'],
	['/header/hang', 'GET', 200, 'good GET '],
	['/whole/hang', 'GET', 504],
);
for (@cases) {
	my ($target, $method, $status, $body) = @$_;
	my $r = http_request($port, $target, method => $method, $method =~ /^(?:POST|PUT|PATCH)$/ ? (body => 'b') : ());

	is $r->{status}, $status, "$method $target: $status";
	is $r->{body}, $body, "$method $target: $body" if defined $body;
}

my @posts = grep { /^POST/ } $bad->notes, $good->notes;
is scalar(grep { $_ eq 'POST /default/close b' } @posts), 1, 'a POST whose connection broke was sent once';
is scalar(grep { $_ eq 'POST /default/hang b' } @posts), 1, 'a POST that timed out was sent once';
is scalar(grep { $_ eq 'POST /status/503 b' } @posts), 1, 'a POST with a listed status was sent once';

# a connection kept from before dies first, and is not counted
my $tries = qr{^/posts/close \Q$b\E, (\Q$b\E, )?\Q$g\E (502, )?502, 200$}m;
ok wait_for(sub { $lbd->log('tries.log') =~ $tries }), '$upstream_addr and $upstream_status list the attempts';
ok $lbd->wait_log(qr/server "\Q$b\E" of "bad" timed out while reading the response head/), 'a timeout is logged';
ok $lbd->wait_log(qr/took longer than proxy_request_timeout/), 'and the whole exchange\'s';

my $r = http_get($port, '/default/half');
is "$r->{status} $r->{body}", '200 half', 'what was begun is not begun again';
ok !$r->{complete}, 'but cut';

is http_get($port, '/once/close')->{status}, 200, 'max_fails=1: the first request finds out';
my $before = () = $bad->notes;
is http_get($port, '/once/close')->{status}, 200, 'and the next ones, on any worker' for 1 .. 4;
my $after = () = $bad->notes;
is $after, $before, 'do not ask that server';

$lbd->stop;
done_testing;
