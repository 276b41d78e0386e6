#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Access logs: formats and their escapes, conditions, several logs, inheritance, buffers, syslog, USR1, what
# is written for requests that went wrong, and destinations that take nothing.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Select ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use JSON::PP ();
use Lbd;
use POSIX ();
use Socket qw(SOCK_DGRAM);
use Test::More;

# The text of a log once it has that many lines.
sub log_of {
	my ($lbd, $name, $lines) = @_;

	wait_for(sub { (() = $lbd->log($name) =~ /\n/g) >= $lines });
	return $lbd->log($name);
}

# ---- the predefined formats, conditions, levels ----------------------------------------------

# takes requests and answers none; before the sockets, so that it does not hold them
my $never = backend(sub { my ($c, $n, $b) = @_; $c->request; $b->note('asked'); $c->is_ended });
my $syslog_path = File::Temp::tempdir('lbd-syslog-XXXXXX', TMPDIR => 1, CLEANUP => 1) . '/log';
chmod 0755, $syslog_path =~ s{/log$}{}r;
my $unix = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $syslog_path) or die "$syslog_path: $!";
chmod 0777, $syslog_path;
my $udp = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => 0) or die "udp: $!";

my $conf = <<"EOT";
http {
	log_format short '\$status ' '\$request_uri';
	log_format none escape=none '{\$arg_x|\$http_none}';
	log_format default escape=default '{\$uri|\$http_x|\$http_none}';
	log_format strings escape=json '{"uri":"\$uri","x":"\$http_x","y":"\$http_x","none":"\$http_none"}';
	log_format late '\$status \$sent_http_x_end \$request_completion \$request_length \$bytes_sent';
	access_log logs/http.log short;
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location / { return 200 "ok"; }
		location /default { access_log logs/combined.log; return 200 "ok"; }
		location /json { access_log logs/json.log json; return 200 "ok"; }
		location /lb { access_log logs/lb.log lb; return 200 "ok"; }
		location /wait { access_log logs/json.log json; proxy_pass http://@{[ $never->address ]}; }
		location /two {
			access_log logs/one.log short;
			access_log logs/two.log combined;
			return 200 "ok";
		}
		location /if { access_log logs/if.log short if=\$arg_log; return 200 "ok"; }
		location /bytes {
			access_log logs/escape.default default;
			access_log logs/escape.json strings;
			access_log logs/escape.none none;
			return 200 "ok";
		}
		location /late { access_log logs/late.log late; add_header X-End "e\$status"; return 200 "ok"; }
		location /off { access_log off; return 200 "ok"; }
		location /outer {
			access_log logs/outer.log short;
			location /outer/inner { return 200 "ok"; }
			location /outer/off { access_log off; return 200 "ok"; }
			return 200 "ok";
		}
		location /buffer { access_log logs/buffer.log short buffer=64k; return 200 "ok"; }
		location /full { access_log logs/buffer1k.log short buffer=1k; return 200 "ok"; }
		location /flush { access_log logs/flush.log short buffer=64k flush=50ms; return 200 "ok"; }
		location /unix { access_log syslog:server=unix:$syslog_path,tag=mine,severity=warn short; return 200 "ok"; }
		location /udp {
			access_log syslog:server=127.0.0.1:@{[ $udp->sockport ]},facility=local3,nohostname short;
			return 200 "ok";
		}
	}
	server {
		listen 127.0.0.1:%%PORT_1%%;
		access_log logs/server.log short;
		location / { return 200 "ok"; }
	}
	server {
		listen 127.0.0.1:%%PORT_2%%;
		access_log off;
		location / { return 200 "ok"; }
		location /on { access_log logs/on.log short; return 200 "ok"; }
	}
}
EOT
my $lbd = Lbd->new(workers => 1, conf => $conf);
my $port = $lbd->port(0);
my $json = JSON::PP->new->utf8;

http_request($port, '/default?a=%22b"', headers => ['Referer', "http://r/\"\\\xe9", 'User-Agent' => 'ua/1',
	'Authorization' => 'Basic dXNlcjpwYXNz'], version => '1.1');
like(log_of($lbd, 'combined.log', 1), qr{^127\.0\.0\.1\ -\ user\ \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d\ [+-]\d{4}\]\ 
	"GET\ /default\?a=%22b\\x22\ HTTP/1\.1"\ 200\ 2\ "http://r/\\x22\\x5C\\xE9"\ "ua/1"\n\z}x, 'combined');
http_request($port, '/default', version => '1.0');
like((split /\n/, log_of($lbd, 'combined.log', 2))[1], qr{ - - \[.*\] "GET /default HTTP/1\.0" 200 2 "-" "-"$},
	'combined without what a request need not have');
http_get($port, '/lb');
like(log_of($lbd, 'lb.log', 1), qr{^127\.0\.0\.1:\d+ \[[^]]+\]  -/- -/-/-/-/\d+\.\d{3} 200 \d+ -- 0 "GET /lb HTTP/1\.1"$}m,
	'lb');

http_get($port, '/json?x=1', 'User-Agent', "a\"b\\c\t\xff");
my $j = eval { $json->decode((split /\n/, log_of($lbd, 'json.log', 1))[0]) };
is($@, '', 'json is JSON');
is($j->{user_agent}, "a\"b\\c\t\x{ff}", 'with what the client sent');
is($j->{uri}, '/json?x=1', 'the target as received');
is($j->{status}, 200, 'the status, a number');
is($j->{upstream_addr}, '', 'what is missing is empty');

# a client that goes away
my $c = Lbd::Client->new($port);
$c->send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
ok(wait_for(sub { scalar $never->notes }), 'the server is asked');
$c->close;
$j = eval { $json->decode((split /\n/, log_of($lbd, 'json.log', 2))[1]) };
is($j->{status}, 499, '499 when the client has gone');
like($j->{end_cause}, qr/^C/, 'and whose doing it was');
is($j->{upstream_addr}, $never->address, 'and who was asked');

# what could not be read is logged where the server says
http_raw($port, "GET /\x01bad HTTP/1.1\r\n\r\n");
http_raw($port, "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
like(log_of($lbd, 'http.log', 2), qr/\A400 .*\n400 .*\n\z/, '400 for requests that are none');
http_get($port, '/');
like(log_of($lbd, 'http.log', 3), qr{^200 /$}m, 'a log of the http level');

# ---- which logs ------------------------------------------------------------------------------

http_get($port, '/two');
is(log_of($lbd, 'one.log', 1), "200 /two\n", 'the first of two logs');
like(log_of($lbd, 'two.log', 1), qr/"GET \/two /, 'and the second');
http_get($port, "/if?$_") for 'log=0', 'a', 'log=', 'log=00', 'log=yes';
is(log_of($lbd, 'if.log', 2), "200 /if?log=00\n200 /if?log=yes\n", 'if= takes what is neither empty nor 0');
http_get($port, $_) for '/off', '/outer', '/outer/inner', '/outer/off', '/outer/x';
is(log_of($lbd, 'outer.log', 3), "200 /outer\n200 /outer/inner\n200 /outer/x\n", 'inherited, replaced, off');
http_get($lbd->port(1), '/s');
is(log_of($lbd, 'server.log', 1), "200 /s\n", 'the log of a server');
http_get($lbd->port(2), $_) for '/s', '/on';
is(log_of($lbd, 'on.log', 1), "200 /on\n", 'on again below an off');
unlike($lbd->log('http.log'), qr{/(?:two|off|outer|s|on|if)}, 'none of these in the log of http');
my $answer = http_get($port, '/late');
my ($sent) = length($answer->{head}) + 2;
like(log_of($lbd, 'late.log', 1), qr/^200 e200 OK \d+ $sent$/, 'the line is made at the end');

# ---- escapes ---------------------------------------------------------------------------------

# every byte that can come: in the path decoded, in a field as it is
my @path = grep { $_ != ord('/') && $_ != ord('.') } 1 .. 255;
my @field = (9, 32 .. 126, 128 .. 255);
my $path = join '', map { sprintf '%%%02x', $_ } @path;
my $field = 'a' . join('', map { chr } @field) . 'z';
$answer = http_get($port, "/bytes$path?x=%41\"\\", 'X', $field);
is($answer->{status}, 200, 'a request of all bytes');
my $line = log_of($lbd, 'escape.json', 1);
$j = eval { $json->decode($line) };
is($@, '', 'escape=json: JSON');
is($j->{uri}, '/bytes' . join('', map { chr } @path), 'with every byte of the path');
is($j->{x}, $field, 'and of the field');
is($j->{none}, '', 'a missing value is empty');
my $escaped = sub { join '', map { my $o = ord; $o < 32 || $o > 126 || /["\\]/ ? sprintf('\\x%02X', $o) : $_ } split //, $_[0] };
is(log_of($lbd, 'escape.default', 1), '{/bytes' . $escaped->(join '', map { chr } @path) . '|' . $escaped->($field) . "|-}\n",
	'escape=default');
is(log_of($lbd, 'escape.none', 1), "{%41\"\\|}\n", 'escape=none');
http_get($port, "/bytes", 'X', "\xc3\xa9\xf0\x9f\x98\x80 \xc3 \xed\xa0\x80 \xf4\x90\x80\x80 \xc0\x80 \xe2\x82");
$j = eval { $json->decode((split /\n/, log_of($lbd, 'escape.json', 2))[1]) };
is($@, '', 'escape=json: JSON of broken UTF-8');
like($j->{x}, qr/^\x{e9}\x{1f600} \x{c3} \x{ed}\x{a0}/, 'what is UTF-8 stays, the rest is bytes');
srand 7;
for my $n (3 .. 22) {
	my $x = join '', map { chr $field[ rand @field ] } 1 .. 40;
	http_get($port, '/bytes/' . join('', map { sprintf '%%%02x', 1 + rand 255 } 1 .. 30), 'X', "a${x}z");
}
my @bad = grep { !eval { $json->decode($_); 1 } } split /\n/, log_of($lbd, 'escape.json', 22);
is("@bad", '', 'JSON for bytes by chance');
$field = "\xff" x 8000;
http_get($port, '/bytes', 'X', $field);
$j = eval { $json->decode((split /\n/, log_of($lbd, 'escape.json', 23))[22]) };
is(length($j->{x} // '') + length($j->{y} // ''), 16000, 'a line of 96 KB is whole');

# ---- buffers ---------------------------------------------------------------------------------

http_get($port, '/buffer');
http_get($port, '/flush');
is(log_of($lbd, 'flush.log', 1), "200 /flush\n", 'flush= bounds the age of a buffer');
is($lbd->log('buffer.log'), '', 'without it lines wait');
http_get($port, '/full' . 'x' x 90) for 1 .. 12;
like(log_of($lbd, 'buffer1k.log', 5), qr{\A(?:200 /fullx{90}\n)+\z}, 'a full buffer is written, in whole lines');

# ---- syslog ----------------------------------------------------------------------------------

sub datagram {
	my ($socket) = @_;
	my $text;

	return '' if !IO::Select->new($socket)->can_read(10);
	recv $socket, $text, 65536, 0;
	return $text;
}

http_get($port, '/unix');
like(datagram($unix), qr{^<188>\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ mine: 200 /unix$}, 'syslog by unix socket');
http_get($port, '/udp');
like(datagram($udp), qr{^<158>\w{3} [ \d]\d \d\d:\d\d:\d\d lbd: 200 /udp$}, 'syslog by UDP');
close $unix;
unlink $syslog_path;
is(http_get($port, '/unix')->{status}, 200, 'nobody listens there: the answer comes');
$unix = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $syslog_path) or die "$syslog_path: $!";
chmod 0777, $syslog_path;
ok(wait_for(sub {
	http_get($port, '/unix');
	IO::Select->new($unix)->can_read(0.05);
}), 'it is found again');

# ---- USR1 ------------------------------------------------------------------------------------

rename $lbd->dir . '/logs/one.log', $lbd->dir . '/logs/one.old' or die;
rename $lbd->dir . '/logs/buffer.log', $lbd->dir . '/logs/buffer.old' or die;
http_get($port, '/two?old');
like(log_of($lbd, 'one.old', 2), qr{/two\?old$}, 'a renamed file is still written to');
$lbd->signal('USR1');
ok(wait_for(sub {
	http_get($port, '/two?new');
	$lbd->log('one.log') =~ /new/;
}), 'USR1: a new file');
is(log_of($lbd, 'buffer.old', 1), "200 /buffer\n", 'what was buffered goes to the old file');
http_get($port, '/buffer?2');
$lbd->signal('QUIT');
is($lbd->wait_exit, 0, 'ends');
is($lbd->log('buffer.log'), "200 /buffer?2\n", 'the end of a worker writes its buffers');
$lbd->stop;

# ---- destinations that take nothing ----------------------------------------------------------

my $fifo_dir = File::Temp::tempdir('lbd-fifo-XXXXXX', TMPDIR => 1, CLEANUP => 1);
POSIX::mkfifo("$fifo_dir/fifo", 0666) or die "mkfifo: $!";
chmod 0777, $fifo_dir, "$fifo_dir/fifo";
$lbd = Lbd->new(workers => 1, conf => <<"EOT");
http {
	log_format long '\$request_uri\$request_uri\$request_uri\$request_uri';
	server {
		listen 127.0.0.1:%%PORT_0%%;
		location /disk { access_log /dev/full long; return 200 "ok"; }
		location /fifo { access_log $fifo_dir/fifo long; return 200 "ok"; }
		location / { access_log logs/good.log long; return 200 "ok"; }
	}
}
EOT
$port = $lbd->port(0);
my $long = 'x' x 3000;
$c = Lbd::Client->new($port);
my $good = 0;
for my $n (1 .. 200) {
	my $where = $n % 2 ? 'disk' : 'fifo';
	$c->send("GET /$where/$long HTTP/1.1\r\nHost: a\r\n\r\n");
	$good++ if $c->response->{status} == 200;
}
is($good, 200, 'a full disk and a pipe nobody reads: all are answered');
ok($lbd->wait_log(qr{\[(?:error|warn|crit)\].*/dev/full.*No space left}), 'a full disk is told of')
	or diag $lbd->log;
http_get($port, '/good');
like(log_of($lbd, 'good.log', 1), qr{^/good}, 'other logs go on');
# more than the pipe and the queue hold: 12 KB a line
for my $n (1 .. 200) {
	$c->send("GET /fifo/$long HTTP/1.1\r\nHost: a\r\n\r\n");
	$good++ if $c->response->{status} == 200;
}
is($good, 400, 'and more than any queue holds');
ok($lbd->wait_log(qr{\[warn\].*\d+ lines for the log ".*fifo" dropped}), 'what is lost is counted') or diag $lbd->log;
sysopen my $reader, "$fifo_dir/fifo", POSIX::O_RDONLY() | POSIX::O_NONBLOCK() or die "fifo: $!";
my $text = '';
wait_for(sub { sysread $reader, $text, 65536, length $text; $text =~ /\n.*\n/s });
like($text, qr{\A(?:/fifo/x{3000}){4}\n}, 'a reader that comes late gets whole lines');
is($lbd->stop, 0, 'it ends all the same');

# ---- what is refused -------------------------------------------------------------------------

for my $case (
	['access_log logs/a.log nosuch;', qr/log format "nosuch" is not defined/],
	['log_format combined "x";', qr/defined twice/],
	['log_format a "x"; log_format a "y";', qr/defined twice/],
	['log_format a escape=html "x";', qr/allowed are default, json, none/],
	['log_format a escape=json;', qr/needs the text/],
	['log_format a "$nosuch"; access_log logs/a.log a;', qr/unknown variable "\$nosuch"/],
	['access_log logs/a.log combined bufer=1k;', qr/did you mean.*buffer/s],
	['access_log logs/a.log combined buffer=0;', qr/above 0/],
	['access_log logs/a.log combined flush=1s;', qr/"flush" needs "buffer"/],
	['access_log logs/a.log combined buffer=1k; access_log logs/a.log combined buffer=2k;', qr/another buffer/],
	['access_log off combined;', qr/takes nothing more/],
	['access_log none/a.log;', qr/none\/a\.log.*No such file/],
	['access_log syslog:server=unix:/x,tag=a-b;', qr/tag/],
	['access_log syslog:facility=local1;', qr/no syslog server/],
	['access_log syslog:server=unix:/x combined buffer=1k;', qr/cannot be buffered/]) {
	my ($text, $want) = @$case;
	my $bad = Lbd->new(start => 0, conf => "http { $text server { listen 127.0.0.1:%%PORT_0%%; } }\n");
	my ($code, $out) = $bad->run_test;

	is($code, 1, "refused: $text");
	like($out, $want, 'and said so');
	$bad->stop;
}
done_testing;
