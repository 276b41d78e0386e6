#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Modules that cannot be loaded: each is an error of the configuration with its words, at its place, and
# lbd ends with 1.  How files are judged without running their code is in t/10-unit/module.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Lbd::Module;
use Test::More;

my $dir = module_folder();

# A module's text: C in front, fields of lbd_module.
sub text {
	my ($fields, $before) = @_;

	return "#include <lbd/http.h>\n" . ($before // '') .
		"LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .version = \"1\", $fields };\n";
}

# With a directive of that name everywhere in http.
sub with_directive {
	my ($module, $directive) = @_;

	return text(qq{.name = "$module", .directives = d},
		qq{static const struct lbd_directive d[] = {
			{ .name = "$directive", .where = LBD_ALL_HTTP, .type = LBD_T_IGNORED, .max_args = 1 }, { .name = NULL } };\n});
}

sub with_hook {
	my ($module, $hook) = @_;

	return text(qq{.name = "$module", .http_hooks = h}, <<"EOT");
static inline enum lbd_hook_rc run(struct lbd_http *x) { (void)x; return LBD_NEXT; }
static inline bool filter(struct lbd_http *x, struct lbd_chain *c, bool last) { (void)x, (void)c, (void)last; return true; }
static const struct lbd_http_hook h[] = { { $hook }, { .fn = NULL } };
EOT
}

my $plain = module_so('plain', text('.name = "plain"'));

# Another magic, and so on: fields said twice are what is asked for here.
my @twice = '-Wno-override-init';
module_so('magic', text('.name = "magic", .magic = 7'), @twice);
module_so('major', text('.name = "major", .abi_major = LBD_ABI_MAJOR + 1'), @twice);
module_so('minor', text('.name = "minor", .abi_minor = LBD_ABI_MINOR + 1'), @twice);
module_so('small', text('.name = "small", .size = 24'), @twice);
module_so('nobody', "#include <lbd/module.h>\nLBD_API int other = 1;\n");
module_so('nginx', "#include <lbd/module.h>\nLBD_API void *ngx_modules[1];\n");
module_so('unnamed', text('.name = "a b"'));
module_so('newer', text('.name = "newer", .configured = lbd_not_yet', "int lbd_not_yet(struct lbd_conf *cf);\n"));
spew("$dir/text.so", "int main(void) { return 0; }\n");
spew("$dir/empty.so", '');
my $bytes = slurp($plain);
spew("$dir/cut.so", substr $bytes, 0, 600);
spew("$dir/other.so", do { my $b = $bytes; substr($b, 18, 2) = pack 'S', 243; $b }); # e_machine: RISC-V
module_so('clash', with_directive('clash', 'server_name'));
module_so('greet1', with_directive('greet1', 'greet'));
module_so('greet2', with_directive('greet2', 'greet'));
module_so('namesake', text('.name = "plain"'));
module_so('proxy', with_directive('proxy', 'proxy_read_timeout'));
module_so('variable', text('.name = "variable", .http_variables = v', <<'EOT'));
static bool get(void *s, struct lbd_pool *p, const struct lbd_variable *v, struct lbd_str rest, struct lbd_str *out)
{
	(void)s, (void)p, (void)v, (void)rest;
	*out = LBD_STR("x");
	return true;
}
static const struct lbd_variable v[] = { { .name = "uri", .get = get }, { .name = NULL } };
EOT
module_so('default', text('.name = "default", .directives = d, .context_size = { .http = sizeof(struct c) }', <<'EOT'));
struct c { uint64_t ms; };
static const struct lbd_directive d[] = {
	{ .name = "pause", .where = LBD_ALL_HTTP, .type = LBD_T_MSEC, LBD_FIELD(struct c, ms), .def = "soon" },
	{ .name = NULL } };
EOT
module_so('field', text('.name = "field", .directives = d, .context_size = { .http = 4 }', <<'EOT'));
struct c { uint64_t ms; };
static const struct lbd_directive d[] = {
	{ .name = "pause", .where = LBD_ALL_HTTP, .type = LBD_T_MSEC, LBD_FIELD(struct c, ms) }, { .name = NULL } };
EOT
module_so('a', with_hook('a', '.phase = LBD_ACCESS, .fn = run, .before = "b"'));
module_so('b', with_hook('b', '.phase = LBD_ACCESS, .fn = run, .before = "c"'));
module_so('c', with_hook('c', '.phase = LBD_ACCESS, .fn = run, .before = "a"'));
module_so('self', with_hook('self', '.phase = LBD_LOG, .fn = run, .after = "self"'));
module_so('phase', with_hook('phase', '.phase = (enum lbd_http_phase)77, .fn = run'));
module_so('kind', with_hook('kind', '.phase = LBD_ACCESS, .filter = filter'));
module_so('bodyless', with_hook('bodyless', '.phase = LBD_REPLY_BODY, .fn = run'));
module_so('refuser', text('.name = "refuser", .configured = configured', <<'EOT'));
static int configured(struct lbd_conf *cf) { return lbd_conf_error(cf, 0, "there is no licence for this"); }
EOT

# [what, lines of load_module, the error]: the first error of the file, without its place
my $http = 'http { server { listen 127.0.0.1:%%PORT_0%%; } }';
my @cases = (
	['a wrong magic', "load_module $dir/magic.so;", '"magic.so": its lbd_module has no valid magic; not an lbd module?'],
	['another major', "load_module $dir/major.so;",
		'module "major.so" needs module API 2.0; this lbd offers 1.0: rebuild the module'],
	['a newer minor', "load_module $dir/minor.so;",
		'module "minor.so" needs module API 1.1; this lbd offers 1.0: upgrade lbd, or rebuild the module'],
	['a small struct', "load_module $dir/small.so;",
		qr/^module "small\.so" has 24 bytes in lbd_module, at least \d+ are expected: rebuild the module$/],
	['no symbol', "load_module $dir/nobody.so;", '"nobody.so": no symbol "lbd_module"; not an lbd module?'],
	['an nginx module', "load_module $dir/nginx.so;",
		'"nginx.so": no symbol "lbd_module"; it looks like an nginx module'],
	['a bad name', "load_module $dir/unnamed.so;",
		'module "unnamed.so" has no usable name; allowed are letters, digits and _'],
	['a function lbd does not have', "load_module $dir/newer.so;",
		'module "newer.so" could not be loaded: undefined symbol: lbd_not_yet; this lbd does not offer it to modules'],
	['a text', "load_module $dir/text.so;", '"text.so" is not a shared object'],
	['an empty file', "load_module $dir/empty.so;", '"empty.so" is not a shared object'],
	['a truncated file', "load_module $dir/cut.so;", '"cut.so" is damaged or has no table of symbols'],
	['another machine', "load_module $dir/other.so;", qr/^"other\.so" is for riscv; this is \w+$/],
	['a folder', "load_module $dir;", qq{"$dir" is not a regular file}],
	['a missing file', 'load_module gone.so;', 'module file "gone.so" does not exist'],
	['a missing file by its path', "load_module $dir/gone.so;",
		qq{could not open "$dir/gone.so": no such file or directory (2)}],
	['no file', 'load_module;', '"load_module" takes one argument, none given'],
	['the same twice', "load_module $plain;\nload_module $plain;", 'a module "plain" is already loaded', 2],
	['the same name twice', "load_module $plain;\nload_module $dir/namesake.so;",
		'a module "plain" is already loaded', 2],
	['a directive of lbd', "load_module $dir/clash.so;",
		'modules "http" and "clash" both have "server_name" for the same context'],
	['a directive of another module', "load_module $dir/greet1.so;\nload_module $dir/greet2.so;",
		'modules "greet1" and "greet2" both have "greet" for the same context', 2],
	['a variable that is there', "load_module $dir/variable.so;",
		'module "variable": a variable of this name is there already: "$uri"'],
	['a field outside its struct', "load_module $dir/field.so;",
		'module "field": directive "pause" has its field outside the module\'s struct'],
	['a default that cannot be read', "load_module $dir/default.so;", qr/default/, undef],
	['a circle of three', "load_module $dir/a.so;\nload_module $dir/b.so;\nload_module $dir/c.so;",
		qr/^modules cannot be put in order for the access phase: (?:a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c)$/, 4],
	['one before itself', "load_module $dir/self.so;",
		'modules cannot be put in order for the log phase: self -> self', 2],
	['a phase nobody knows', "load_module $dir/phase.so;",
		'module "phase" has a hook in a phase this lbd does not know: 77', 2],
	['a filter where a hook belongs', "load_module $dir/kind.so;",
		'module "kind" has a hook in the access phase with the wrong kind of function', 2],
	['a hook where a filter belongs', "load_module $dir/bodyless.so;",
		'module "bodyless" has a hook in the reply body phase with the wrong kind of function', 2],
	['a module that refuses', "load_module $dir/refuser.so;", qr/^there is no licence for this$/m, undef],
);

for (@cases) {
	my ($what, $load, $want, $line) = @$_;
	my $lbd = Lbd->new(conf => "$load\n$http\n", start => 0);
	my ($code, $out) = $lbd->run_test;
	my ($at, $said) = $out =~ /^lbd: (\S*lbd\.conf:\d+(?::\d+)?): (.*)$/m ? ($1, $2)
		: $out =~ /(\S*lbd\.conf:\d+(?::\d+)?): (.*)$/m ? ($1, $2) : ('', $out);

	is $code, 1, "$what: ends with 1";
	ref $want ? like($said, $want, "$what: the words") : is($said, $want, "$what: the words");
	$line = 1 if @$_ < 4;
	like $at, qr/lbd\.conf:$line\b/, "$what: where" if defined $line;
	($code, $out) = $lbd->run;
	is $code, 1, "$what: does not start";
	$lbd->clean;
}

# what is no error
sub is_fine {
	my ($what, $conf) = @_;
	my $lbd = Lbd->new(conf => $conf, start => 0);
	my ($code, $out) = $lbd->run_test;

	is $code, 0, $what or diag $out;
	$lbd->clean;
}

is_fine('a module that does nothing', "load_module $plain;\n$http\n");
is_fine('two of three in a row', "load_module $dir/a.so;\nload_module $dir/b.so;\n$http\n");
is_fine('before and after modules that are not there', "load_module $dir/b.so;\n$http\n");
is_fine('a module\'s directive wins over a bundled module that is not loaded',
	"load_module $dir/proxy.so;\nhttp { proxy_read_timeout x; server { listen 127.0.0.1:%%PORT_0%%; } }\n");

# the one that the manual shows
my $page = slurp(($ENV{LBD_SRC} // '.') . '/man/lbd-modules.7');
my ($example) = $page =~ m{^\.Bd -literal.*?\n(/\* hello\.c.*?)^\.Ed}ms;
my ($used) = $page =~ /^(load_module hello\.so;.*?)^\.Ed/ms;
for ($example, $used) {
	s/\\e/\\/g;
	s/\\&//g;
}
module_so('hello', $example);
$used =~ s/hello\.so/$dir\/hello.so/;
$used =~ s/8080/127.0.0.1:%%PORT_0%%/;
my $manual = Lbd->new(conf => $used);
is http_get($manual->port(0), '/')->{body}, "hello, 127.0.0.1\n", 'the module of the manual works';
$manual->stop;

SKIP: {
	skip 'no g++', 2 if !has_program('g++');
	spew("$dir/cxx.cc", <<'EOT');
#include <lbd/http.h>

extern struct lbd_module lbd_module;

struct cxx_conf {
	const struct lbd_value *text;
};

static enum lbd_hook_rc
start(struct lbd_http *x)
{
	const auto *c = lbd_http_conf(const cxx_conf, x, &lbd_module);
	struct lbd_str text;

	if (!lbd_http_eval(x, c->text, &text))
		return lbd_http_refuse_hook(x, 503);
	lbd_http_reply_text(x, 200, LBD_STR("text/plain"), text);
	return LBD_DONE;
}

static const struct lbd_http_content content = { .name = "cxx", .start = start };

static int
set(struct lbd_conf *cf, const struct lbd_directive *, void *)
{
	return lbd_http_set_content(cf, &content);
}

static const struct lbd_directive directives[] = {
	{ .name = "cxx", .where = LBD_LOCATION, .type = LBD_T_VALUE, .flags = LBD_D_NOINHERIT,
	  LBD_FIELD(cxx_conf, text), .set = set },
	{},
};

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "cxx",
	.version = "1",
	.directives = directives,
	.context_size = { .http = sizeof(cxx_conf) },
};
EOT
	my ($code, $out) = run_program('g++', qw(-std=c++20 -shared -fPIC -fvisibility=hidden), '-I' . include_folder(),
		'-o', "$dir/cxx.so", "$dir/cxx.cc");
	is "$code $out", '0 ', 'a module in C++';
	is_fine('is as good', "load_module $dir/cxx.so;\n" .
		"http { server { listen 127.0.0.1:%%PORT_0%%; location / { cxx \"\$uri\"; } } }\n");
}

my $lbd = Lbd->new(conf => "load_module $plain;\n$http\n", start => 0, engine => 'epoll');
my ($code, $out) = $lbd->run_test;
is $code, 0, 'a block in -g is in nobody\'s way' or diag $out;
$lbd->clean;

$lbd = Lbd->new(conf => "events { }\nload_module $plain;\n", start => 0, engine => '');
($code, $out) = $lbd->run_test;
is $code, 1, 'load_module behind a block';
like $out, qr/lbd\.conf:2:1: "load_module" must stand before all blocks\n/, 'the words';
like $out, qr/^help: "events" was opened at \S*lbd\.conf:1:1$/m, 'and which block';
$lbd->clean;

$lbd = Lbd->new(conf => "http { load_module $plain; }\n", start => 0);
($code, $out) = $lbd->run_test;
like "$code $out", qr/^1 .*"load_module" is not allowed in "http"; it belongs in: main\n/s, 'nor inside of one';
$lbd->clean;

$lbd = Lbd->new(conf => "load_module $dir/proxy.so;\nhttp { server { listen 127.0.0.1:%%PORT_0%%;\n" .
	"location / { proxy_pass http://127.0.0.1:9; } } }\n", start => 0);
($code, $out) = $lbd->run_test;
like "$code $out", qr/^1 .*lbd\.conf:3:14: "proxy_pass" needs the module \S*http_proxy\.so, which could not be loaded: /s,
	'a directive in the way of a bundled module';
like $out, qr/could not be loaded: modules "proxy" and "http_proxy" both have "proxy_read_timeout" for the same context\n/,
	'and which';
$lbd->clean;
done_testing();
