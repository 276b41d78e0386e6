#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What an operator can get wrong: each start ends with 1 and the reason, at once, and leaves nothing behind.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $site = 'http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 200 x; } }';
my $lbd = Lbd->new(start => 0, conf => $site, files => { 'conf/d/one.conf' => "include d/two.conf;\n",
	'conf/d/two.conf' => "include d/one.conf;\n", 'conf/self.conf' => "include self.conf;\n", 'conf/secret.conf' => "events { }\n" });
my $dir = $lbd->dir;
my $not_started = qr/^lbd: configuration file \S+ is not usable; not started$/m;

# Files there are, but for logs.
sub files { return join ' ', sort grep { !m{\.log$} } map { glob } "$dir/*", "$dir/*/*", "$dir/*/*/*" }

sub start {
	my ($conf, @args) = @_;

	$lbd->configure($conf);
	push @{ $lbd->{args} = [] }, @args;
	return $lbd->run;
}

# name, configuration (a sub: makes it), what is said, more arguments
my $wide = 'x' x 1_000_000;
my @cases = (
	['a file that is not there', '', qr{^could not open "/nowhere/lbd\.conf": no such file or directory \(2\)$}m, '-c', '/nowhere/lbd.conf'],
	['a folder', '', qr{^"\Q$dir\E/logs" is not a regular file$}m, '-c', "$dir/logs"],
	['a device', '', qr{^"/dev/null" is not a regular file$}m, '-c', '/dev/null'],
	['a folder that is not there', '', qr{^could not open "/nowhere/conf/lbd\.conf": no such file}m, '-p', '/nowhere'],
	['-g that ends too early', $site, qr{^-g:1:\d+: unexpected end of file; ";" or "\{" must end "daemon"$}m, '-g', 'daemon off'],
	['-g that is no directive', $site, qr{^-g:1:1: unknown directive "demon"\n.*^help: did you mean "daemon"\?$}ms, '-g', 'demon off;'],
	['an included file that is not there', 'include none.conf;', qr{:1:9: could not open ".*/conf/none\.conf": no such file}],
	['a file that includes itself', 'include self.conf;', qr{self\.conf:1:9: ".*/conf/self\.conf" includes itself$}m],
	['files that include each other', 'include d/*.conf;', qr{d/\w+\.conf:1:9: ".*/conf/d/\w+\.conf" includes itself$}m],
	['a program', "\x7fELF\x02\x01\x01\0\0\0", qr{lbd\.conf:1:8: a NUL byte is not allowed in a configuration$}m],
	['a word of a megabyte', "$wide;", qr{lbd\.conf:1:1: unknown directive "x{200,500} \.\.\. x{100,300}"$}m],
	['a line of a megabyte', "events { } $wide", qr{unexpected end of file; ";" or "\{" must end "x+ \.\.\. x+"$}m],
	['blocks in blocks', 'http { ' . 'location / { ' x 100_000, qr{: blocks are nested too deep$}m],
	['too many workers', "worker_processes 1000000;\n$site", qr{:1:18: "worker_processes" is "1000000"; allowed are auto and 1 to 255$}m],
	['no workers', "worker_processes 0;\n$site", qr{:1:18: "worker_processes" is "0"; allowed are auto and 1 to 255$}m],
	['more connections than a number holds', "events { worker_connections 99999999999999999999; }\n$site",
		qr{: "worker_connections": "99999999999999999999" is not a number; allowed are 16 to}],
	['an error log that is a folder', "error_log logs;\n$site",
		qr{:1:11: "error_log": could not open "\Q$dir\E/logs" \(21: Is a directory\)$}m],
	['an error log without a folder', "error_log none/x.log;\n$site", qr{:1:11: "error_log": could not open ".*/none/x\.log" \(2: No such file}m],
	['an access log without a folder', $site =~ s/off/none\/x.log/r, qr{: "access_log": could not open ".*/none/x\.log" \(2: No such file}m],
	['a working directory that is not there', "working_directory none;\n$site", qr{:1:19: "working_directory": ".*/none" is no folder$}m],
	['a module that is not there', "load_module none.so;\n$site", qr{:1:13: module file "none\.so" does not exist$}m],
	['a module that is none', "load_module conf/lbd.conf;\n$site", qr{:1:13: .*lbd\.conf}],
	['an address of somebody else', $site =~ s/127\.0\.0\.1/192.0.2.1/r,
		qr{: could not bind to 192\.0\.2\.1:\d+: cannot assign requested address \(99\)$}m],
);
for (@cases) {
	my ($name, $conf, $why, @args) = @$_;

	$lbd->configure($conf);
	my $before = files();
	my ($code, $out) = start($conf, @args);
	is($code, 1, "$name: is refused");
	ok($out =~ $why, 'the reason is said') or diag substr $out, 0, 2000;
	like($out, $not_started, 'and that nothing runs');
	cmp_ok(length $out, '<', 100_000, 'in a few words') if length $conf > 100_000;
	is(files(), $before, 'nothing is left behind');
}

# the pid file is written last
for (["pid logs;\n$site", qr{\[emerg\] .*could not write pid file "\Q$dir\E/logs" \(21: Is a directory\)}],
	["pid none/x.pid;\n$site", qr{\[emerg\] .*could not write pid file "\Q$dir\E/none/x\.pid" \(2: No such file or directory\)}]) {
	my ($conf, $why) = @$_;
	my ($code, $out) = start($conf);

	is($code, 1, 'a pid file that cannot be written');
	like($out, $why, 'is named');
	ok(!connect_to($lbd->port), 'nobody listens');
	push @{ $lbd->{allow} }, $why;
}

# the command line
$lbd->configure($site);
for (['-x', qr/^lbd: unknown option "-x"; "lbd -h" lists what there is$/], ['word', qr/^lbd: unknown option "word"/],
	['-c', qr/^lbd: option "-c" needs a value$/], ['--nothing', qr/^lbd: unknown option "--nothing"/],
	['-s', 'hup', qr/^lbd: unknown signal "-s hup"; allowed are stop, quit, reopen, reload, upgrade, status and workers$/],
	['-s', 'quit', qr{^lbd: no pid file ".*/logs/lbd\.pid"; is lbd running\?$}]) {
	my ($why, @args) = (pop @$_, @$_);
	my ($code, $out) = lbd_run('-p', $dir, @args);

	is($code, 1, "@args: is refused");
	like($out, $why, 'and why');
}

SKIP: {
	skip 'not root', 6 unless is_root();
	my $as = { %{ $lbd->environment }, run_as => nobody() };
	my @rest = ('-p', $dir, '-g', 'daemon off;');
	my ($code, $out);

	$lbd->configure($site);
	chmod 0600, $lbd->conf_path;
	($code, $out) = Lbd::Util::run_program($as, lbd_program(), @rest);
	is($code, 1, 'a configuration of somebody else');
	like($out, qr{^could not open "\Q$dir\E/conf/lbd\.conf": permission denied \(13\)$}m, 'cannot be read');
	chmod 0644, $lbd->conf_path;
	chmod 0755, "$dir/logs";
	($code, $out) = Lbd::Util::run_program($as, lbd_program(), @rest);
	is($code, 1, 'a log of somebody else');
	like($out, qr{^error log: could not open "\Q$dir\E/logs/error\.log" \(13: Permission denied\)\nhelp: "error_log" or the option -e}m,
		'cannot be written');
	($code, $out) = Lbd::Util::run_program($as, lbd_program(), @rest, '-e', 'stderr');
	is($code, 1, 'a folder of somebody else');
	like($out, qr{could not write pid file "\Q$dir\E/logs/lbd\.pid" \(13: Permission denied\)}, 'takes no pid file');
}
$lbd->stop;

done_testing;
