/* SPDX-License-Identifier: MIT */

/*
 * Opening module files: every refusal with its words, and the index.  Modules are compiled here,
 * by the machine's compiler.
 */

#include <errno.h>

#include "core/module/index.h"
#include "core/module/load.h"
#include "t/10-unit/config/conf_test.h"

static char include_dir[512];
static char err[512];

/* Compiles a module from a text; false when that cannot be done. */
static bool
compile(const char *name, const char *text)
{
	char command[1200];
	const char *cc = getenv("CC");

	scratch_file("module.c", text);
	snprintf(command, sizeof(command),
		 "%s -w -shared -fPIC -fvisibility=hidden -I'%s' -o '%s' module.c 2>&1",
		 cc != NULL && cc[0] != '\0' ? cc : "cc", include_dir, name);
	return system(command) == 0;
}

static struct lbd_module *
open_file(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	snprintf(err, sizeof(err), "nothing was said");
	return module_open(path, err, sizeof(err));
}

static void
refuses(const char *name, const char *want, const char *what)
{
	ok(open_file(name) == NULL, "%s is refused", what);
	is_cstr(err, want, "%s: the words", what);
}

static const char good[] =
	"#include <lbd/module.h>\n"
	"static const struct lbd_directive directives[] = {\n"
	"	{ .name = \"greet\", .where = LBD_LOCATION, .type = LBD_T_IGNORED },\n"
	"	{ .name = \"wave\", .where = LBD_HTTP | LBD_SERVER, .type = LBD_T_IGNORED },\n"
	"	{ .name = NULL } };\n"
	"LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .name = \"good\",\n"
	"	.version = \"1\", .summary = \"for a test\", .directives = directives };\n";

static void
test_versions(void)
{
	compile("major.so",
		"#include <lbd/module.h>\n"
		"LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .name = \"m\", "
		".abi_major = 7 };\n"
		"__attribute__((constructor)) static void run(void) { __builtin_abort(); }\n");
	refuses("major.so",
		"module \"major.so\" needs module API 7.0; this lbd offers 1.0: rebuild the module",
		"another major version, whose code would end the program");
	compile("minor.so",
		"#include <lbd/module.h>\nvoid lbd_not_yet(void);\n"
		"LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .name = \"m\", "
		".abi_minor = 6 };\n"
		"LBD_API void f(void) { lbd_not_yet(); }\n");
	refuses("minor.so",
		"module \"minor.so\" needs module API 1.6; this lbd offers 1.0: upgrade lbd, or "
		"rebuild the module",
		"a newer minor version, with a function we do not have");
	compile("size.so",
		"#include <lbd/module.h>\n"
		"LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .name = \"m\", "
		".size = 16 };\n");
	ok(open_file("size.so") == NULL, "a struct that is too small is refused");
	ok(strstr(err, "has 16 bytes in lbd_module, at least") != NULL, "with its size");
	compile("magic.so", "#include <lbd/module.h>\n"
		"LBD_API struct lbd_module lbd_module = { .name = \"m\", .magic = 5 };\n");
	refuses("magic.so", "\"magic.so\": its lbd_module has no valid magic; not an lbd module?",
		"no magic");
	compile("bss.so", "#include <lbd/module.h>\nLBD_API struct lbd_module lbd_module;\n");
	refuses("bss.so", "\"bss.so\": its lbd_module is empty; not an lbd module?",
		"only zero bytes");
	compile("name.so", "#include <lbd/module.h>\n"
		"LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .name = \"a b\" };\n");
	refuses("name.so",
		"module \"name.so\" has no usable name; allowed are letters, digits and _",
		"no name");
	compile("future.so", "#include <lbd/module.h>\nvoid lbd_not_yet(void);\n"
		"LBD_API struct lbd_module lbd_module = { LBD_MODULE_HEADER, .name = \"m\" };\n"
		"LBD_API void f(void) { lbd_not_yet(); }\n");
	refuses("future.so",
		"module \"future.so\" could not be loaded: undefined symbol: lbd_not_yet; this lbd "
		"does not offer it to modules",
		"a function lbd does not have");
}

static void
test_files(void)
{
	unsigned char head[64];
	FILE *f;
	char path[300], want[400];

	compile("none.so", "int nothing;\n");
	refuses("none.so", "\"none.so\": no symbol \"lbd_module\"; not an lbd module?",
		"another library");
	compile("nginx.so", "__attribute__((visibility(\"default\"))) void *ngx_modules[1];\n");
	refuses("nginx.so", "\"nginx.so\": no symbol \"lbd_module\"; it looks like an nginx module",
		"an nginx module");
	scratch_file("text.so", "not a program");
	refuses("text.so", "\"text.so\" is not a shared object", "a text");
	scratch_file("empty.so", "");
	refuses("empty.so", "\"empty.so\" is not a shared object", "an empty file");
	mkdir("folder.so", 0755);
	snprintf(want, sizeof(want), "\"%s/folder.so\" is not a regular file", scratch);
	refuses("folder.so", want, "a folder");
	snprintf(want, sizeof(want), "could not open \"%s/gone.so\": no such file or directory (2)",
		 scratch);
	refuses("gone.so", want, "a file that is not there");

	snprintf(path, sizeof(path), "%s/good.so", scratch);
	f = fopen(path, "rb");
	if (f == NULL || fread(head, 1, sizeof(head), f) != sizeof(head))
		bail_out("no good.so");
	fclose(f);
	head[18] = 243; /* e_machine: RISC-V */
	scratch_bytes("riscv.so", (const char *)head, sizeof(head));
	ok(open_file("riscv.so") == NULL, "a module for another machine is refused");
	ok(strstr(err, "\"riscv.so\" is for riscv; this is ") == err, "with both names");
	head[4] = head[4] == 1 ? 2 : 1; /* EI_CLASS */
	scratch_bytes("class.so", (const char *)head, sizeof(head));
	ok(open_file("class.so") == NULL, "another word size is refused");
}

/* A module cut anywhere, or with a byte changed anywhere in its head, must not hurt. */
static void
test_damage(void)
{
	static char bytes[1 << 20];
	size_t n, i;
	FILE *f = fopen("major.so", "rb");
	unsigned tried = 0, refused = 0;

	n = f == NULL ? 0 : fread(bytes, 1, sizeof(bytes), f);
	if (f != NULL)
		fclose(f);
	for (i = 0; i < n; i += 1 + n / 97) {
		scratch_bytes("cut.so", bytes, i);
		tried++;
		refused += open_file("cut.so") == NULL;
	}
	for (i = 0; i < 64; i++) {
		char was = bytes[i];

		bytes[i] = (char)(was ^ 0xff);
		scratch_bytes("cut.so", bytes, n);
		bytes[i] = was;
		tried++;
		refused += open_file("cut.so") == NULL;
	}
	is_int(refused, tried, "%u damaged files are refused", tried);
}

static void
test_good(void)
{
	struct lbd_module *m = open_file("good.so");

	if (!ok(m != NULL, "a good module is opened (%s)", err))
		return;
	is_cstr(m->name, "good", "its name");
	ok(open_file("good.so") == m, "the same file is the same module");
	if (geteuid() == 0) {
		chmod("good.so", 0777);
		refuses("good.so",
			"module \"good.so\" can be changed by everybody; not loaded as root",
			"a file everybody can change");
		chmod("good.so", 0755);
	}
}

static void
test_index(void)
{
	char good_so[] = "good.so", text_so[] = "text.so";
	char *files[] = { good_so, text_so };
	char path[300];
	uint32_t where = 0;
	FILE *f = fopen("index.tsv", "w");
	unsigned i;
	static const char *const bad[] = { "a\n",          "a\tb\n",   "a\tb\tx\n", "a\tb\t0\n",
					   "a\t../b\t1\n", "\tb\t1\n", "a\tb\t1" };

	is_int(module_print_index(files, 1, f, err, sizeof(err)), 0, "an index is made");
	is_int(module_print_index(files, 2, f, err, sizeof(err)), -1, "a file that is no module");
	is_cstr(err, "\"text.so\" is not a shared object", "is an error with a message");
	fclose(f);

	scratch_file("index.tsv",
		     "greet\tgood\t10\nwave\tgood\tc\nproxy_pass\tone\t10\nproxy_pass\ttwo\t400\n");
	is_int(module_index_read(scratch), 0, "it is read");
	snprintf(path, sizeof(path), "%s/good.so", scratch);
	is_cstr(module_of("greet", LBD_LOCATION), path, "the file of a directive");
	ok(module_of("greet", LBD_MAIN) == NULL, "not in every context");
	ok(module_of("gree", LBD_LOCATION) == NULL, "nor of another name");
	ok(strstr(module_of("proxy_pass", LBD_STREAM_SERVER), "/two.so") != NULL,
	   "a name of two modules");
	for (i = 0; module_known(i, &where) != NULL; i++)
		;
	is_int(i, 4, "the index as a list");
	is_int(where, 0x400, "with contexts");
	for (i = 0; i < LBD_ARRAY_LEN(bad); i++) {
		scratch_file("index.tsv", bad[i]);
		is_int(module_index_read(scratch), -EINVAL, "a broken index is refused (%u)", i);
	}
	ok(module_known(0, &where) == NULL, "and is empty then");
	is_int(module_index_read("/nowhere"), -ENOENT, "no index");
}

/* The configuration's side: what is loaded when, and what is said when it is not. */
static int
block_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)conf;
	return bind_walk(cf, (uint32_t)d->data, bind_level(cf, LBD_LEVEL_HTTP, NULL));
}

static const struct lbd_directive blocks[] = { { .name = "http",
						 .where = LBD_MAIN,
						 .type = LBD_T_BLOCK,
						 .set = block_set,
						 .data = LBD_LOCATION },
					       { .name = NULL } };
static struct lbd_module core = { LBD_MODULE_HEADER, .name = "core", .directives = blocks };
static struct lbd_module *const builtin[] = { &core, NULL };
static struct config_loader loader = {
	.builtin = builtin, .modules_path = scratch, .open = module_open, .module_of = module_of,
	.known = module_known,
};

static void
test_config(void)
{
	static const char *const required[] = { "good", NULL };
	char want[600];
	struct config *c;

	scratch_file("index.tsv", "greet\tgood\t10\nssl_key\ttls\t10\nssl_cert\ttls\t10\n");
	module_index_read(scratch);
	c = load_text("http { }", &loader);
	is_int(c->module_count, 1, "what is not used is not loaded");
	config_destroy(&c);
	c = load_text("http { greet world; }", &loader);
	is_cstr(report_text(c), "", "a bundled module is loaded for its directive");
	is_int(c->module_count, 2, "it has a slot");
	config_destroy(&c);
	c = load_text("load_module good.so; http { greet world; }", &loader);
	is_cstr(report_text(c), "", "or is named, relative to the file");
	config_destroy(&c);
	c = load_text("load_module modules/good.so;", &loader);
	is_cstr(report_text(c), "", "or to the folder of the bundled ones");
	config_destroy(&c);
	loader.required = required;
	c = load_text("http { }", &loader);
	is_int(c->module_count, 2, "or is required");
	config_destroy(&c);
	loader.required = NULL;

	snprintf(want, sizeof(want),
		"lbd.conf:1:8: \"ssl_key\" needs the module %s/tls.so, which could not be loaded: "
		"could not open \"%s/tls.so\": no such file or directory (2)\n"
		"http { ssl_key x; ssl_cert y; }\n       ^^^^^^^\n", scratch, scratch);
	report_is(&loader, "http { ssl_key x; ssl_cert y; }\n", want,
		  "a bundled module that is missing, once");
	report_is(
		&loader, "http { gret x; }\n",
		"lbd.conf:1:8: unknown directive \"gret\" in \"http\"\nhttp { gret x; }\n"
		"       ^^^^\n"
		"help: did you mean \"greet\"?\n",
		"a directive of a module that is not loaded is suggested");
	report_is(
		&loader, "greet x;\n",
		"lbd.conf:1:1: \"greet\" is not allowed outside all blocks; it belongs in: "
		"location\n"
		"greet x;\n^^^^^\n",
		"and its place known");
	report_is(
		&loader, "http { }\nload_module good.so;\n",
		"lbd.conf:2:1: \"load_module\" must stand before all blocks\n"
		"load_module good.so;\n^^^^^^^^^^^\n"
		"help: \"http\" was opened at lbd.conf:1:1\n",
		"load_module too late");
	report_is(&loader, "http { load_module good.so; }\n",
		"lbd.conf:1:8: \"load_module\" is not allowed in \"http\"; it belongs in: main\n"
		"http { load_module good.so; }\n       ^^^^^^^^^^^\n"
		"help: \"http\" was opened at lbd.conf:1:1\n", "load_module in a block");
	report_is(
		&loader, "load_module good.so;\nload_module good.so;\n",
		"lbd.conf:2:13: a module \"good\" is already loaded\nload_module good.so;\n"
		"            ^^^^^^^\n",
		"a module loaded twice");
	report_is(
		&loader, "load_module magic.so;\n",
		"lbd.conf:1:13: \"magic.so\": its lbd_module has no valid magic; not an lbd "
		"module?\n"
		"load_module magic.so;\n            ^^^^^^^^\n",
		"a module that is refused");
	snprintf(
		want, sizeof(want),
		"lbd.conf:1:13: module file \"gone.so\" does not exist\nload_module gone.so;\n"
		"            ^^^^^^^\n"
		"help: looked for it in %s/ and %s\n",
		scratch, scratch);
	report_is(&loader, "load_module gone.so;\n", want, "a module that is not there");
	module_index_free();
}

int
main(void)
{
	const char *src = getenv("LBD_SRC");
	char *here = realpath(src != NULL ? src : ".", NULL);

	snprintf(include_dir, sizeof(include_dir), "%s/core/include", here != NULL ? here : ".");
	free(here);
	scratch_make();
	if (!compile("good.so", good))
		skip_all("no compiler");
	test_good();
	test_versions();
	test_files();
	test_damage();
	test_index();
	test_config();
	return done_testing();
}
