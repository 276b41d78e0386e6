#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# More checks than may run at once: those that wait have their turn when the servers of all that run have gone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Socket::INET;
use Lbd;
use Test::More;

use constant RUNNING => 1000; # at once

# takes connections and never answers
my $hangs = IO::Socket::INET->new(LocalAddr => '0.0.0.0', Listen => 2048) // die "listen: $!";
my $port = $hangs->sockport;
my $well = http_backend(sub { $_[2]->note('asked'); [200, [], 'well'] });
my $dir = File::Temp::tempdir('lbd-crowd-XXXXXX', TMPDIR => 1, CLEANUP => 1);

chmod 0755, $dir;

sub save {
	spew("$dir/.list", $_[0]);
	rename "$dir/.list", "$dir/list.json" or die "$dir/list.json: $!";
}

sub asked { return scalar(my @all = $well->notes) }

# Connections that hang.
sub hanging {
	my $at = sprintf ':%04X', $port;

	return scalar grep { my @f = split; ($f[1] // '') =~ /\Q$at\E$/ && $f[3] eq '01' } split /\n/, slurp('/proc/net/tcp');
}

save('[' . join(',', map { my $n = $_; map { "\"127.0.$n.$_:$port\"" } 1 .. 220 } 1 .. 5) . ']');
my $lbd = Lbd->new(conf => <<"EOT");
worker_processes 1;
events { worker_connections 2048; }
http {
	upstream crowd {
		discover file $dir/list.json;
		discover_policy remove_delay=0 on_empty=clear min_ratio=0;
		health_check interval=1s timeout=60s;
	}
	upstream one { server @{[$well->address]}; health_check interval=100ms timeout=90ms; }
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /crowd { proxy_pass http://crowd; }
		location / { proxy_pass http://one; }
	}
}
EOT

ok(wait_for(sub { hanging() >= RUNNING - 1 }), 'as many checks hang as may run') or diag(hanging());
is(http_get($lbd->port(0), '/')->{status}, 200, 'others go on');
save('[]');
ok(wait_for(sub { hanging() == 0 }), 'their servers go');
my $before = asked();
ok(wait_for(sub { asked() > $before + 3 }), 'who waited is checked again');
$lbd->stop;
done_testing();
