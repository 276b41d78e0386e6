# SPDX-License-Identifier: MIT
#
# lbd and what is done to it: configurations, modules, workers, listeners, signals.
#
# Every configuration has a number, which its answers bear.  The clients are told which may come before
# anything is changed, and which must come when lbd has said that it is done.

package Storm::Changes;

use strict;
use warnings;

use File::Temp ();
use JSON::PP ();
use Lbd;
use List::Util qw(max sum0);
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

my $top = __FILE__ =~ s{[^/]*$}{../../..}r;

sub new {
	my ($class, %o) = @_;
	my $self = bless {
		%o, generation => 1, module => 0, now => { workers => $o{workers}, listeners => [0, 1] },
		listeners_made => 2, done => {}, wrong => [], taken_over => [], reload_ms => [], workers_max => $o{workers},
	}, $class;

	$self->{modules} = File::Temp::tempdir('lbd-storm-module-XXXXXX', TMPDIR => 1, CLEANUP => 1);
	chmod 0755, $self->{modules};
	$self->new_module;
	$self->{lbd} = Lbd->new(conf => $self->site, allow => [qr/exited on signal 9\b/, qr/\[emerg\]/],
		env => { ASAN_OPTIONS => 'exitcode=99:quarantine_size_mb=16' }, deadline => 120);
	$self->{pid} = $self->{lbd}->pid;
	$self->{peers}->drive("coming 1 $self->{module}");
	$self->{peers}->drive("now 1 $self->{module}");
	$self->{peers}->drive('port add ' . $self->{lbd}->port($_)) for 0, 1;
	return $self;
}

sub lbd { return $_[0]{lbd} }

sub wrong {
	my ($self, $text) = @_;

	push @{ $self->{wrong} }, $text;
}

# The same module with another version and text, put in place as make install does.
sub new_module {
	my ($self) = @_;
	my $n = ++$self->{module};
	my $text = slurp("$top/contrib/module-skeleton/hello.c") // die "no module-skeleton\n";
	my $base = "$self->{modules}/hello";

	$text =~ s/hello, world\\n/module $n\\n/ or die "hello.c says something else\n";
	$text =~ s/"1\.0"/"1.$n"/ or die "hello.c has another version\n";
	spew("$base.c", $text);
	my ($code, $out) = run_program(split(' ', $ENV{CC} // 'cc'), qw(-std=gnu11 -O1 -shared -fPIC -fvisibility=hidden),
		"-I$top/core/include", '-o', "$base.new", "$base.c");
	die "the module does not compile:\n$out" if $code != 0;
	rename "$base.new", "$base.so" or die "rename: $!\n";
}

sub site {
	my ($self) = @_;
	my $now = $self->{now};
	my $long = int($self->{'idle-max'} + 15);

	return <<"EOT";
worker_processes $now->{workers};
worker_generations_max off;
load_module $self->{modules}/hello.so;
events { %%USE%% worker_connections $self->{'worker-connections'}; }
http {
	log_format storm "\$status \$request_uri";
	access_log logs/access.log storm;
	client_max_body_size 100m;
	keepalive_requests 100000000;
	keepalive_timeout @{[ $long + 60 ]}s;
	keepalive_min_timeout ${long}s;
	proxy_tunnel_timeout 1h;
	add_header X-Generation $self->{generation} always;
	add_header X-Uri \$request_uri always;
	add_header X-Pid \$pid always;
	upstream servers {
		@{[ map { "server 127.0.0.1:$_;" } @{ $self->{servers} } ]}
		keepalive @{[ 8 + $self->{generation} % 40 ]};
	}
	server {
		@{[ map { "listen 127.0.0.1:%%PORT_$_%%;" } @{ $now->{listeners} } ]}
		location / { proxy_pass http://servers; }
		location /s/ { proxy_pass http://servers; proxy_buffering off; proxy_request_buffering off; }
		location /l/ { return 200 "\$request_uri"; }
		location /n/ { return 204; }
		location /m/ { hello_answer; }
	}
}
EOT
}

# --- what happens ---

my @rota = qw(same module grow add hup shrink bad remove same hup module);

# The order of things: the same for the same seed.
sub plan {
	my ($self) = @_;
	my $n = $self->{reloads};

	die "this lbd has no --takeover\n" if $self->{takeovers} && (lbd_run('-h'))[1] !~ /--takeover/;

	return ('kill') x $n if $self->{kill};
	my @extra = (('storm') x $self->{storms}, ('takeover') x $self->{takeovers});
	my @names = defined $self->{changes} ? split(/,/, $self->{changes}) : @rota;
	die "no such change: $_\n" for grep { !$self->can("do_$_") } @names;
	my @plan = map { $names[$_ % @names] } 0 .. $n - @extra - 1;
	for my $i (0 .. $#extra) {
		splice @plan, int(($i + 1) * @plan / (@extra + 1)), 0, $extra[$i];
	}
	return @plan;
}

sub do {
	my ($self, $what) = @_;
	my $method = "do_$what";

	$self->{done}{$what}++;
	$self->$method;
}

sub coming { $_[0]{peers}->drive("coming $_[0]{generation} $_[0]{module}") }
sub is_now { $_[0]{peers}->drive("now $_[0]{generation} $_[0]{module}") }

# In one step: a reload that is on its way must not read a half of it.
sub write_site {
	my ($self, $text) = @_;
	my $path = $self->{lbd}->conf_path;

	spew("$path.new", $self->{lbd}->expand($text));
	rename "$path.new", $path or die "rename: $!\n";
}

# The next configuration is written, and the clients know.
sub next_one {
	my ($self) = @_;

	$self->{generation}++;
	$self->{workers_max} = max($self->{workers_max}, $self->{now}{workers});
	$self->coming;
	$self->write_site($self->site);
}

sub note_time {
	my ($self, $text) = @_;

	push @{ $self->{reload_ms} }, $1 if $text =~ /, (\d+) ms/;
}

# Over the control socket, answered when it is done.
sub reload {
	my ($self) = @_;

	$self->next_one;
	my ($code, $out) = $self->{lbd}->run('-s', 'reload');
	$self->note_time($out);
	$self->wrong("reload to $self->{generation}: exit $code: $out") if $code != 0;
	$self->is_now;
}

sub do_same { $_[0]->reload }

sub do_hup {
	my ($self) = @_;

	$self->next_one;
	my $is = $self->{lbd}->reload;
	$self->wrong("HUP to $self->{generation}: " . (defined $is ? 'failed' : 'no result')) if !$is;
	$self->is_now;
}

sub do_module {
	my ($self) = @_;

	$self->new_module;
	$self->reload;
}

sub do_grow {
	my ($self) = @_;

	$self->{now}{workers} = $self->{now}{workers} + 1 + int rand 2;
	$self->reload;
}

sub do_shrink {
	my ($self) = @_;

	$self->{now}{workers} = max(1, $self->{now}{workers} - 2);
	$self->reload;
	$self->{now}{workers} = $self->{workers} if $self->{now}{workers} == 1;
}

sub do_add {
	my ($self) = @_;
	my $i = $self->{listeners_made}++;

	push @{ $self->{now}{listeners} }, $i;
	$self->reload;
	$self->{peers}->drive('port add ' . $self->{lbd}->port($i));
}

# The oldest of those that were added.  Its clients come until it is gone.
sub do_remove {
	my ($self) = @_;
	my $l = $self->{now}{listeners};

	return $self->do_add if @$l <= 2;
	my $port = $self->{lbd}->port(splice @$l, 2, 1);
	$self->{peers}->drive("port going $port");
	$self->reload;
	$self->{peers}->drive("port gone $port");
}

my @bad = (
	'a directive that does not exist' => sub { $_[0] . "nonsense;\n" },
	'a brace too few' => sub { $_[0] =~ s/\}\s*\z//r },
	'a module that is not there' => sub { $_[0] =~ s/hello\.so/goodbye.so/r },
	'a port that is taken' => sub { $_[0] =~ s/server \{/server { listen 127.0.0.1:$_[1]{servers}[0];/r },
	'a half of it' => sub { substr $_[0], 0, length($_[0]) / 2 },
);

sub do_bad {
	my ($self) = @_;
	my $i = $self->{bads}++ % (@bad / 2) * 2;
	my $before = $self->status;

	# a number that must never be seen
	$self->{generation}++;
	$self->write_site($bad[$i + 1]->($self->site, $self));
	$self->{generation}--;
	my ($code, $out) = $self->{lbd}->run('-s', 'reload');
	$self->wrong("reload with $bad[$i]: exit $code: $out") if $code == 0;
	my $after = $self->status;
	for my $what (qw(generation pid)) {
		$self->wrong("$what was $before->{$what}, is $after->{$what} after a reload that failed")
			if $before->{$what} ne $after->{$what};
	}
	$self->write_site($self->site);
}

# Signals that come while a reload is going on; the last configuration must be the one in the end.
sub do_storm {
	my ($self) = @_;
	my $lbd = $self->{lbd};

	for (1 .. 3) {
		$self->next_one;
		for (1 .. 10) {
			$lbd->signal('HUP');
			sleep 0.002;
		}
	}
	my $quiet = wait_for(sub {
		my @ended = $lbd->reloads;
		my @begun = $lbd->log =~ /reload: trying/g;

		return 0 if $ended[0] + $ended[1] != @begun;
		sleep 0.2; # a signal that is on its way
		@begun = $lbd->log =~ /reload: trying/g;
		return $ended[0] + $ended[1] == @begun;
	}, 120);
	$self->wrong('a storm of signals does not come to an end') if !$quiet;
	my $r = http_get($lbd->port, '/n/0');
	my $is = header($r, 'X-Generation') // 'nothing';
	$self->{own_requests}++;
	$self->wrong("after a storm of signals generation $self->{generation} does not serve but $is")
		if $is ne $self->{generation};
	$self->is_now;
}

# Another lbd, with the next configuration; the one before must end by itself.
sub do_takeover {
	my ($self) = @_;

	require Lbd::Takeover;
	$self->next_one;
	my $old = eval { Lbd::Takeover::take_over($self->{lbd}) };
	if (defined $old) {
		push @{ $self->{taken_over} }, $old;
		$self->{pid} = $self->{lbd}->pid;
	} else {
		$self->wrong("takeover to $self->{generation}: $@");
	}
	$self->is_now;
}

# Those that were taken over from, and still run.
sub masters_left {
	my ($self) = @_;
	my @left;

	for my $pid (@{ $self->{taken_over} }) {
		my $is = waitpid $pid, WNOHANG;

		push @left, $pid if $is == 0;
		$self->wrong("process $pid, which was taken over from, ended with status $?") if $is == $pid && $? != 0;
	}
	return @{ $self->{taken_over} = \@left };
}

sub do_kill {
	my ($self) = @_;
	my @workers = $self->{lbd}->workers;
	my $pid = $workers[rand @workers];

	$self->{peers}->drive("killing $pid");
	$self->{lbd}->signal('KILL', $pid);
	wait_for(sub { @workers == grep { $_ != $pid && is_alive($_) } $self->{lbd}->workers }, 30)
		or $self->wrong("worker $pid was not replaced");
}

# --- what can be seen of it ---

sub status {
	my ($self) = @_;
	my ($code, $out) = $self->{lbd}->run('-s', 'status', '--json');

	return eval { JSON::PP->new->decode($out) } // { generation => "none ($out)", pid => 0, workers => [] };
}

sub resident_kb {
	my ($pid) = @_;

	return (slurp("/proc/$pid/status") // '') =~ /^VmRSS:\s+(\d+)/m ? $1 : 0;
}

sub descriptors { return scalar(() = glob "/proc/$_[0]/fd/*") }

# Of the master, and of its workers in sum.
sub usage {
	my ($self) = @_;
	my $lbd = $self->{lbd};
	my @workers = $lbd->workers;

	return {
		master_fds => descriptors($lbd->pid), master_kb => resident_kb($lbd->pid),
		workers => scalar @workers,
		worker_fds => sum0(map { descriptors($_) } @workers), worker_kb => sum0(map { resident_kb($_) } @workers),
	};
}

# As at the start, in a generation that nobody has used.
sub last_reload {
	my ($self) = @_;

	$self->{now} = { workers => $self->{workers}, listeners => [0, 1] };
	$self->reload;
}

1;
