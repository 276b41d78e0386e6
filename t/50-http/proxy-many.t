#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Groups of many equal servers take turns; who is down is passed over, and nobody else pays for it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

use constant MANY => 80;

sub servers {
	my (%more) = @_;

	return join "\n", map { "server 127.0.1.$_:%%PORT_1%%" . ($more{$_} // '') . ';' } 1 .. MANY;
}

my $lbd = Lbd->new(conf => <<"EOT");
%%EVENTS%%
http {
	access_log off;
	upstream even { @{[ servers() ]} }
	upstream uneven { @{[ servers(7 => ' weight=2') ]} }
	upstream holes { @{[ servers(3 => ' down', 4 => ' down', 80 => ' down') ]} server 127.0.2.1:%%PORT_1%% backup; }
	server { listen 0.0.0.0:%%PORT_1%%; location / { return 200 \$server_addr; } }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /even { proxy_pass http://even; }
		location /uneven { proxy_pass http://uneven; }
		location /holes { proxy_pass http://holes; }
	}
}
EOT

sub rounds {
	my ($path, $n) = @_;
	my %seen;
	my $c = Lbd::Client->new($lbd->port(0));

	for (1 .. $n) {
		$c->send("GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
		$seen{$c->response->{body}}++;
	}
	$c->close;
	return \%seen;
}

is_deeply(rounds('/even', 2 * MANY), { map { ("127.0.1.$_" => 2) } 1 .. MANY }, 'each has its turn, twice');
is_deeply(rounds('/uneven', MANY + 1), { (map { ("127.0.1.$_" => 1) } 1 .. MANY), '127.0.1.7' => 2 },
	'with weights each has its share');

my $seen = rounds('/holes', 3 * MANY);
my @down = grep { $seen->{"127.0.1.$_"} } 3, 4, 80;
is("@down", '', 'who is down is not asked');
is($seen->{'127.0.2.1'}, undef, 'nor a backup');
is((grep { $seen->{"127.0.1.$_"} >= 3 && $seen->{"127.0.1.$_"} <= 4 } 1 .. 2, 5 .. 79), MANY - 3,
	'all others share what would have been theirs');

$lbd->stop;
done_testing;
