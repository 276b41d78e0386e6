#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The language of the configuration as the program reads it: what lbd -t says about good and bad files,
# word by word, and what -T prints.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp ();
use Lbd;
use Test::More;

my $dir = File::Temp::tempdir('lbd-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
mkdir "$dir/$_" or die "$dir/$_: $!" for qw(logs d);

sub check {
	my ($conf, @args) = @_;

	spew("$dir/lbd.conf", $conf);
	my ($code, $out) = lbd_run('-t', '-p', $dir, '-c', 'lbd.conf', '-e', 'stderr', @args);
	$out =~ s/\Q$dir\E\///g;
	return ($code, $out);
}

sub good {
	my ($what, $conf, @args) = @_;
	my ($code, $out) = check($conf, @args);

	is($code, 0, "$what: is good") or diag($out);
	unlike($out, qr/error/, "$what: nothing is complained about");
}

# The messages before the count, exactly.
sub bad {
	my ($what, $conf, $want, @args) = @_;
	my ($code, $out) = check($conf, @args);

	isnt($code, 0, "$what: is refused");
	is($out =~ s/^\d+ errors?(, .*)?\nlbd: .*//msr, $want, "$what: what is said");
}

good('blanks and comments', "events{}# c\n\t http\r\n{#}\n}\n");
good('quotes', qq{events { "worker_connections" '100'; }\nhttp { server { return 200 "a \\"b\\" {;}"; } }\n});
good('braces of variables', 'events {} http { server { set $a 1; return 200 ${a}b$a; } }');
good('a byte order mark', "\xef\xbb\xbfevents { }\n");
good('-g', "events { }\n", '-g', 'worker_processes 2;');

bad('a typing error', "events {\n\tworker_conections 5;\n}\n", <<'EOT');
lbd.conf:2:2: unknown directive "worker_conections" in "events"
	worker_conections 5;
	^^^^^^^^^^^^^^^^^
help: did you mean "worker_connections"?
EOT

bad('all errors of a file', "events { }\nzzzzz 1;\nhttp {\n    upstream { }\n    listen 80;\n}\n", <<'EOT');
lbd.conf:2:1: unknown directive "zzzzz"
zzzzz 1;
^^^^^
lbd.conf:4:5: "upstream" takes one argument, none given
    upstream { }
    ^^^^^^^^
help: syntax: upstream name { ... }
lbd.conf:5:5: "listen" is not allowed in "http"; it belongs in: server
    listen 80;
    ^^^^^^
help: "http" was opened at lbd.conf:3:1
EOT

bad('a directive given twice', "worker_processes 1;\nworker_processes 2;\nevents { }\n", <<'EOT');
lbd.conf:2:1: "worker_processes" is given twice; first at lbd.conf:1:1
worker_processes 2;
^^^^^^^^^^^^^^^^
EOT

bad('a directive given with -g, too', "worker_processes 1;\nevents { }\n", <<'EOT', '-g', 'worker_processes 2;');
lbd.conf:1:1: "worker_processes" is given twice; first at -g:1:1
worker_processes 1;
^^^^^^^^^^^^^^^^
EOT

bad('an unknown variable', qq{events { }\nhttp { server { return 200 "\$urii\\n"; } }\n}, <<'EOT');
lbd.conf:2:30: unknown variable "$urii"
http { server { return 200 "$urii\n"; } }
                             ^^^^
help: did you mean "$uri"?
EOT

bad('a missing semicolon', "events {\n    worker_connections 5\n}\n", <<'EOT');
lbd.conf:3:1: unexpected "}"; ";" or "{" must end "worker_connections"
}
^
help: is ";" missing after "5" in line 2?
EOT

bad('a missing brace', "events {\n", <<'EOT');
lbd.conf:2:1: unexpected end of file: a "}" is missing
help: "events" was opened at lbd.conf:1:1
EOT

bad('a quote that is not closed', "events { }\nhttp {\n    server { return 200 \"x; }\n}\n", <<'EOT');
lbd.conf:3:25: the quote is never closed; a " is missing
    server { return 200 "x; }
                        ^^^^^
lbd.conf:5:1: unexpected end of file: a "}" is missing
help: "http" was opened at lbd.conf:2:1
EOT

bad('a reserved name', "events { }\nhttp { proxy_cache_path x; }\n", <<'EOT');
lbd.conf:2:8: "proxy_cache_path" belongs to the module cache, which is planned and not built into this lbd
http { proxy_cache_path x; }
       ^^^^^^^^^^^^^^^^
EOT

bad('a name lbd refuses', "mail { }\n", <<'EOT');
lbd.conf:1:1: "mail" is not supported: lbd does not proxy mail
mail { }
^^^^
EOT

bad('a module that is not there', "load_module nowhere.so;\nevents { }\n",
	"lbd.conf:1:13: module file \"nowhere.so\" does not exist\nload_module nowhere.so;\n"
	. ' ' x 12 . '^' x 10 . "\nhelp: looked for it in  and " . modules_folder() . "\n");

# includes
spew("$dir/d/2.conf", "worker_processes 2;\n");
spew("$dir/d/1.conf", "# one\nevents { }\n");
good('masks', "include d/*.conf;\ninclude none/*.conf;\n");
bad('an error in an included file', "include d/[2].conf;\ninclude d/2.conf;\nevents { }\n", <<'EOT');
d/2.conf:1:1: "worker_processes" is given twice; first at d/2.conf:1:1
worker_processes 2;
^^^^^^^^^^^^^^^^
EOT
bad('an included file that is missing', "include none.conf;\nevents { }\n", <<'EOT');
lbd.conf:1:9: could not open "none.conf": no such file or directory (2)
include none.conf;
        ^^^^^^^^^
EOT

# -T
spew("$dir/lbd.conf", "include d/*.conf;\n");
my ($code, $out) = lbd_run('-T', '-q', '-p', $dir, '-c', 'lbd.conf', '-e', 'stderr');
is($code, 0, '-T ends well');
is($out, <<EOT, '-T prints every file with its name');
# configuration file $dir/lbd.conf:
include d/*.conf;

# configuration file $dir/d/1.conf:
# one
events { }

# configuration file $dir/d/2.conf:
worker_processes 2;

EOT

done_testing;
