#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Modules' hooks of requests to servers: a field for each attempt, an answer that is not good enough, and
# refusals, which leave no server counted as busy.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Module;
use Test::More;

my $probe = module_so('probe', slurp("$FindBin::Bin/probe.c"));

# Says what it was told; /again in the target makes its answer one that has to be better.
sub server {
	my ($name, $again) = @_;

	return http_backend(sub {
		my ($q, $n, $b) = @_;
		my @said = map { join '+', @{ $q->{headers}{$_} // ['-'] } } qw(x-attempt x-server);

		$b->note("$q->{method} $q->{target} @said $q->{body}");
		return [200, [$q->{target} =~ /again/ && $again || $q->{target} =~ /never/ ? ('X-Again' => 1) : ()],
			"$name $said[0] $said[1] $q->{body}"];
	});
}
my $first = server('first', 1);
my $second = server('second', 0);
my ($f, $s) = map { $_->address } $first, $second;
my $refused = '127.0.0.1:' . free_port();

my $lbd = Lbd->new(conf => <<"EOT");
load_module $probe;
http {
	log_format tries '\$request_uri \$upstream_addr \$upstream_status \$status';
	access_log logs/tries.log tries;
	upstream two { server $f max_fails=0; server $s backup; keepalive 0; }
	upstream kept { server $f max_fails=0; server $s backup; }
	upstream dead { server $refused max_fails=0; server $s backup; }
	upstream narrow { server $f max_fails=0 max_conns=1; keepalive 0; }
	error_page 403 /page;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /two { proxy_pass http://two; }
		location /kept { proxy_pass http://kept; }
		location /dead { proxy_pass http://dead; }
		location /narrow { proxy_pass http://narrow; }
		location /off { proxy_pass http://two; proxy_next_upstream off; }
		location /one { proxy_pass http://two; proxy_next_upstream_tries 1; }
		location /posts { proxy_pass http://two; proxy_next_upstream error non_idempotent; }
		location /pause { proxy_pass http://two; proxy_next_upstream_backoff 5ms jitter=0; }
		location /stream { proxy_pass http://two; proxy_request_buffering off; }
		location /set { proxy_pass http://two; proxy_set_header X-Attempt "\$upstream_addr"; }
		location /page { return 200 "page\n"; }
		location \@other { proxy_pass http://$s; }
	}
}
EOT
my $port = $lbd->port(0);

sub ask {
	my ($target, %o) = @_;
	my $r = http_request($port, $target, %o);

	return "$r->{status} $r->{body}";
}

# target, answer, more
my @cases = (
	['/two', "200 first 1 $f ", 'every server is told which attempt it is'],
	['/two', "200 first 1 $f body", 'with a body', method => 'POST', body => 'body'],
	['/two/again', "200 second 2 $s ", 'an answer that is not good enough: the next server, told anew'],
	['/kept/again', "200 second 2 $s ", 'on connections that are kept'],
	['/kept/again', "200 second 2 $s ", 'a second time'],
	['/two/again', "200 second 2 $s body", 'with its body', method => 'PUT', body => 'body'],
	['/two/again', "200 first 1 $f body", 'not for a POST', method => 'POST', body => 'body'],
	['/posts/again', "200 second 2 $s body", 'unless allowed', method => 'POST', body => 'body'],
	['/two/never', "200 second 2 $s ", 'the last answer is as good as it gets'],
	['/off/again', "200 first 1 $f ", 'not with proxy_next_upstream off'],
	['/one/again', "200 first 1 $f ", 'not with a single try'],
	['/pause/again', "200 second 2 $s ", 'after a pause'],
	['/stream/again', "200 second 2 $s body", 'a body that streams, while it is kept', method => 'PUT', body => 'body'],
	['/dead', "200 second 2 $s ", 'after a server that could not be reached'],
	['/set', "200 first $f $f ", 'what the configuration sets wins'],
	['/two?upstream_request=403', "403 page\n", 'refused before an attempt'],
	['/two/again?second=1', "403 page\n", 'refused before the second'],
	['/two?upstream_reply=403', "403 page\n", 'refused because of an answer'],
	['/two?upstream_reply=done', "200 second 2 $s ", 'the next server because of the query'],
	['/two?upstream_request=done', "200 first 1 $f ", 'before an attempt that changes nothing'],
	['/two?upstream_request=text', "200 said by a hook\n", 'a hook answers instead of a server'],
	['/two?upstream_reply=text', "200 said by a hook\n", 'or instead of what a server said'],
	['/two?upstream_request=@other', "200 second 2 $s ", 'redirected before an attempt'],
	['/two?upstream_reply=/page', "200 page\n", 'redirected after an answer'],
);
for (@cases) {
	my ($target, $want, $what, %o) = @$_;

	is ask($target, %o), $want, "$target: $what";
}
my $r = http_get($port, '/two?upstream_request=never');
is $r->{status}, 500, 'upstream phases cannot wait';
like $lbd->log, qr/\[error\].* a module waits in a phase that cannot wait/, 'which is logged';
is http_get($port, '/two?upstream_reply=wait')->{status}, 500, 'neither of them';
$r = http_get($port, '/two/again');
is header($r, 'X-Phases'), 'PRLACUVUVH', 'the phases of two attempts';
is header(http_get($port, '/two?upstream_request=409'), 'X-Phases'), 'PRLACUH', 'a refusal is the last';

# who was refused holds no server
for my $how (qw(upstream_request=409 upstream_reply=409 upstream_request=never)) {
	http_get($port, "/narrow?$how") for 1 .. 2;
	is ask('/narrow'), "200 first 1 $f ", "max_conns=1, after $how";
}

my @posts = grep { m{^POST /two/again } } $first->notes, $second->notes;
is @posts, 1, 'a POST that was not repeated was sent once';
ok wait_for(sub { $lbd->log('tries.log') =~ m{^/two/again \Q$f\E, \Q$s\E 200, 200 200$}m }),
	'both attempts are in $upstream_addr';
$lbd->stop;
done_testing();
