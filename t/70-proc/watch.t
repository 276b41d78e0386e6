#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# "watch on": which changes of the configuration's files are a reload, and which are none.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Control;
use Test::More;

my $conf = <<'EOT';
watch on;
http {
	server {
		listen 127.0.0.1:%%PORT_0%%;
		include site.conf;
		include more/*.inc;
	}
}
EOT
my $lbd = Lbd->new(conf => $conf, files => {
	'conf/site.conf' => "location / { return 200 0; }\n",
	'conf/more/a.inc' => "# nothing\n",
}, allow => [qr/reload/]);
my $dir = $lbd->dir . '/conf';
my ($generation, $failed) = (1, 0);

sub site { return "location / { return 200 $_[0]; }\n" }
sub status { return control_ask($lbd, { verb => 'status' }) }

# A file that is whole from its first moment on.
sub put {
	my ($path, $text) = @_;

	spew("$path.new", $text);
	rename "$path.new", $path or die "rename: $!";
}

# A reload came of what was done, one at most for each change.  That body is served says that it is over.
sub reloaded {
	my ($what, $body, $changes) = @_;
	my $before = $generation;

	ok(wait_for(sub { (status()->{generation} // 0) > $before }), "$what: a reload");
	ok(wait_for(sub { (http_get($lbd->port, '/')->{body} // '') eq $body }), 'with the new file') if defined $body;
	my $now = status();
	$generation = $now->{generation};
	$failed = $now->{reloads_failed} if ($changes // 1) > 1;
	cmp_ok($generation, '<=', $before + ($changes // 1), 'no more than there were changes');
}

# It was none: the only thing there is to wait for is time.
sub nothing {
	my ($what) = @_;

	select undef, undef, undef, 0.8; # longer than it takes to be quiet
	is(status()->{generation} . '/' . status()->{reloads_failed}, "$generation/$failed", "$what: nothing");
}

spew("$dir/site.conf", site(1));
reloaded('written in place', 1);

put("$dir/site.conf", site(2));
reloaded('replaced by renaming', 2);

rename "$dir/site.conf", "$dir/site.conf~";
spew("$dir/site.conf", site(3));
reloaded('moved away and written anew', 3, 2);

put("$dir/site.conf", site(3));
utime undef, undef, "$dir/site.conf";
spew("$dir/.site.conf.swp", 'x');
unlink "$dir/.site.conf.swp", "$dir/site.conf~";
nothing('the same bytes, other files');

put("$dir/more/a.inc", "# more\n");
put("$dir/site.conf", site(4));
put("$dir/site.conf", site(5));
reloaded('several changes', 5, 3);

# masks
put("$dir/more/b.inc", "location /b { return 200 b; }\n");
reloaded('another file of a mask');
ok(wait_for(sub { (http_get($lbd->port, '/b')->{body} // '') eq 'b' }), 'is used');
unlink "$dir/more/b.inc";
reloaded('one file less');

# mistakes
put("$dir/site.conf", "location / { nonsense; }\n");
$failed++;
ok(wait_for(sub { status()->{reloads_failed} == $failed }), 'a mistake: the reload fails');
is(status()->{generation}, $generation, 'nothing has changed');
spew("$dir/more/a.txt", 'x');
nothing('what was refused is not tried again');
put("$dir/site.conf", site(5));
nothing('back to what runs');
put("$dir/site.conf", "include later.conf;\n");
$failed++;
ok(wait_for(sub { status()->{reloads_failed} == $failed }), 'a file that is not there');
put("$dir/later.conf", site(6));
reloaded('until it comes', 6);

# links, as Kubernetes swaps them
mkdir "$dir/..1" and mkdir "$dir/..2" or die "mkdir: $!";
spew("$dir/..1/k.conf", site(7));
spew("$dir/..2/k.conf", site(8));
symlink '..1', "$dir/..data";
symlink '..data/k.conf', "$dir/k.conf";
put("$dir/site.conf", "include k.conf;\n");
reloaded('a link to a link', 7);
symlink '..2', "$dir/..data_tmp";
rename "$dir/..data_tmp", "$dir/..data";
reloaded('a folder is swapped', 8);
unlink "$dir/..1/k.conf";
rmdir "$dir/..1";
nothing('the old one goes');
put("$dir/..2/k.conf", site(9));
reloaded('behind the links', 9);

# the folder itself
rename $dir, "$dir.old";
mkdir $dir;
symlink "$dir.old/more", "$dir/more";
spew("$dir/site.conf", site(10));
put("$dir/lbd.conf", slurp("$dir.old/lbd.conf"));
ok(wait_for(sub { (http_get($lbd->port, '/')->{body} // '') eq '10' }), 'another folder in its place');
$generation = status()->{generation};
$failed = status()->{reloads_failed};

# off again
put("$dir/lbd.conf", slurp("$dir/lbd.conf") =~ s/watch on/watch off/r);
reloaded('watch off', 10);
put("$dir/site.conf", site(11));
nothing('is not watched any more');
$lbd->stop;

done_testing;
