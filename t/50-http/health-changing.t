#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Checks of servers that come and go while lbd runs.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Control;
use Test::More;

my $dir = File::Temp::tempdir('lbd-servers-XXXXXX', TMPDIR => 1, CLEANUP => 1);

chmod 0755, $dir;

sub put {
	my ($name, $text) = @_;

	spew("$dir/.$name", $text);
	rename "$dir/.$name", "$dir/$name" or die "$dir/$name: $!";
}

my %b;
for my $name (qw(a b c)) {
	put($name, 200);
	$b{$name} = http_backend(sub {
		my ($q, $n, $b) = @_;

		$b->note('check') if $q->{target} eq '/check';
		return [$q->{target} eq '/check' ? slurp("$dir/$name") : 200, [], $name];
	});
}

sub list {
	put('list.json', '[' . join(', ', map { qq({"address": "127.0.0.1", "port": @{[$b{$_}->port]}) . ($_[1]{$_} // '') . '}' } @{ $_[0] }) . ']');
}

list(['a']);
my $lbd = Lbd->new(workers => 3, conf => <<"EOT");
http {
	upstream list {
		discover file $dir/list.json;
		discover_policy remove_delay=0 min_ratio=0;
		health_check uri=/check interval=50ms mandatory;
	}
	server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://list; } }
}
EOT

sub server_of { return control_server($lbd, 'list', $b{ $_[0] }->address) }
sub becomes { return wait_server($lbd, 'list', $b{ $_[0] }->address, $_[1])->{state} // 'none' }
sub answers {
	my %got;

	for (1 .. 12) {
		my $r = http_get($lbd->port, '/');

		$got{ $r->{status} == 200 ? $r->{body} : '-' }++;
	}
	return join ' ', sort keys %got;
}

is becomes('a', 'up'), 'up', 'a server of the file passes';
put('b', 500);
list(['a', 'b']);
is becomes('b', 'unhealthy'), 'unhealthy', 'one that is added, and fails';
is answers(), 'a', 'gets no request before or after that';
put('b', 200);
is becomes('b', 'up'), 'up', 'it passes';
ok wait_for(sub { answers() eq 'a b' }), 'and gets requests';

list(['b', 'c']);
is becomes('c', 'up'), 'up', 'another one';
ok wait_for(sub { !server_of('a') }), 'the first one has left';
ok wait_for(sub { answers() eq 'b c' }), 'the others serve';
my ($seen, $others) = map { scalar(() = $b{$_}->notes) } qw(a c);
wait_for(sub { (() = $b{c}->notes) > $others + 30 }); # which takes longer than it takes to notice
cmp_ok scalar(() = $b{a}->notes) - $seen, '<', 25, 'who left is not checked';
put('a', 500);
list(['a', 'b', 'c']);
is becomes('a', 'unhealthy'), 'unhealthy', 'who comes back is';
list(['b', 'c'], { c => ', "state": "down"' });
is becomes('c', 'down'), 'down', 'taken down';
ok wait_for(sub { answers() eq 'b' }), 'no requests';
put('b', 503);
is becomes('b', 'unhealthy'), 'unhealthy', 'the last one fails';
is answers(), '-', 'nobody is left';
list(['b', 'c']);
is becomes('c', 'up'), 'up', 'who was down is back';
ok wait_for(sub { answers() eq 'c' }), 'and serves';

$lbd->stop;
done_testing;
