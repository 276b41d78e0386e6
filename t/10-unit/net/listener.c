/* SPDX-License-Identifier: MIT */

/*
 * Listeners: the words of listen, opening, accepting, pausing; exact words for what is wrong.
 */

#include "net_test.h"
#include "t/10-unit/config/conf_test.h"

#include <sys/resource.h>

#include "core/net/listener.h"
#include "core/os/log.h"

static struct listen_spec last; /* what the last listen said */
static int accepted[64];
static unsigned accepted_n;

static void
take(struct listener *l, struct loop *on, int fd)
{
	(void)l;
	(void)on;
	accepted[accepted_n++] = fd;
}

static int
other(struct lbd_conf *cf, unsigned arg, struct lbd_str word, void *data)
{
	(void)cf;
	(void)arg;
	*(int *)data += 1;
	return lbd_str_eq(word, LBD_STR("default_server")) ? 0 : 1;
}

static int
set_listen(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct listener *l;
	int others = 0;
	unsigned i;

	(void)d;
	(void)conf;
	if (listen_parse(cf, &last, other, &others) < 0)
		return -1;
	for (i = 0; i < last.n; i++) {
		l = listener_get(cf, &last.addr[i], &last.o);
		if (l == NULL)
			return -1;
		l->accepted = take;
	}
	return 0;
}

static const struct lbd_directive directives[] = { { .name = "listen",
						     .where = LBD_MAIN,
						     .type = LBD_T_CUSTOM,
						     .flags = LBD_D_REPEAT,
						     .min_args = 1,
						     .max_args = LBD_ARGS_ANY,
						     .set = set_listen },
						   { 0 } };

static struct lbd_module module = { LBD_MODULE_HEADER, .name = "test", .directives = directives };
static struct lbd_module *const builtin[] = { &module, NULL };
static const struct config_loader loader = { .builtin = builtin };

static struct config *
load(const char *text)
{
	struct config *c = load_text(text, &loader);

	if (config_errors(c) > 0)
		bail_out("%s", report_text(c));
	return c;
}

/* Names of all listeners, with blanks between. */
static const char *
names(struct config *c)
{
	static char text[1024];
	struct lbd_list *p, *tmp;
	size_t n = 0;

	text[0] = '\0';
	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s", n ? " " : "",
				      LBD_FMT(l->name));
	}
	return text;
}

static void
names_are(const char *conf, const char *want)
{
	struct config *c = load(conf);

	is_cstr(names(c), want, "%s", conf);
	config_destroy(&c);
}

static void
reads_addresses(void)
{
	names_are("listen 8080;", "0.0.0.0:8080");
	names_are("listen *:8080;", "0.0.0.0:8080");
	names_are("listen 127.0.0.1;", "127.0.0.1:80");
	names_are("listen [::1]:8080;", "[::1]:8080");
	names_are("listen [::]:8080 ipv6only=off;", "[::]:8080");
	names_are("listen unix:/tmp/a.sock;", "unix:/tmp/a.sock");
	names_are("listen 127.0.0.1:8000-8002;", "127.0.0.1:8000 127.0.0.1:8001 127.0.0.1:8002");
	names_are("listen 127.0.0.1:80; listen 127.0.0.1:80 default_server; listen 80;",
		  "127.0.0.1:80 0.0.0.0:80");
}

static void
reads_options(void)
{
	struct config *c =
		load("listen 80 backlog=7 rcvbuf=8k sndbuf=1m fastopen=3 deferred reuseport "
		     "so_keepalive=30m::10 bind;");
	const struct listen_options *o = &last.o;

	is_int(o->backlog, 7, "backlog");
	is_int(o->rcvbuf, 8192, "rcvbuf");
	is_int(o->sndbuf, 1 << 20, "sndbuf");
	is_int(o->fastopen, 3, "fastopen");
	ok(o->deferred && o->reuseport && o->bind && o->given, "flags");
	ok(o->keepalive == 1 && o->keepidle == 1800 && o->keepintvl == 0 && o->keepcnt == 10,
	   "so_keepalive");
	config_destroy(&c);
	c = load("listen 80;");
	ok(o->backlog == 511 && o->keepalive == -1 && o->ipv6only && !o->given, "defaults");
	config_destroy(&c);
}

static void
explains_mistakes(void)
{
	report_is(&loader, "listen 127.0.0.1:80 backlog=5;\nlisten 127.0.0.1:80 backlog=6;\n",
		"lbd.conf:2:8: options for 127.0.0.1:80 were already given at lbd.conf:1\n"
		"listen 127.0.0.1:80 backlog=6;\n"
		"       ^^^^^^^^^^^^\n", "options that disagree");
	report_is(&loader, "listen 127.0.0.1:80 backlog=5;\nlisten 127.0.0.1:80 backlog=5;\n", "",
		  "the same twice");
	report_is(&loader, "listen 80 defered;\n",
		"lbd.conf:1:11: unknown parameter \"defered\"\n"
		"listen 80 defered;\n"
		"          ^^^^^^^\n"
		"help: did you mean \"deferred\"?\n", "a parameter nobody knows");
	report_is(
		&loader, "listen 127.0.0.1:99999;\n",
		"lbd.conf:1:8: \"127.0.0.1:99999\" is not an address; allowed are address:port, "
		"port, [address]:port "
		"and unix:path\n"
		"listen 127.0.0.1:99999;\n"
		"       ^^^^^^^^^^^^^^^\n",
		"no port");
	report_is(
		&loader, "listen 127.0.0.1:90-80;\n",
		"lbd.conf:1:8: \"127.0.0.1:90-80\" is not an address; allowed are address:port, "
		"port, [address]:port "
		"and unix:path\n"
		"listen 127.0.0.1:90-80;\n"
		"       ^^^^^^^^^^^^^^^\n",
		"no range");
	report_is(&loader, "listen 127.0.0.1:1000-2000;\n",
		"lbd.conf:1:8: \"127.0.0.1:1000-2000\" stands for more than 64 addresses\n"
		"listen 127.0.0.1:1000-2000;\n"
		"       ^^^^^^^^^^^^^^^^^^^\n", "too long a range");
	report_is(&loader, "listen no-such-name.invalid:80;\n",
		"lbd.conf:1:8: could not find the address of \"no-such-name.invalid\"\n"
		"listen no-such-name.invalid:80;\n"
		"       ^^^^^^^^^^^^^^^^^^^^^^^\n", "a name without address");
	report_is(
		&loader, "listen 80 backlog=0 so_keepalive=maybe rcvbuf=0;\n",
		"lbd.conf:1:19: \"backlog\" is 0; allowed are 1 to 2147483647\n"
		"listen 80 backlog=0 so_keepalive=maybe rcvbuf=0;\n"
		"                  ^\n"
		"lbd.conf:1:21: \"maybe\" is not allowed here; allowed are \"on\", \"off\" and "
		"idle:interval:count, as 30m::10\n"
		"listen 80 backlog=0 so_keepalive=maybe rcvbuf=0;\n"
		"                    ^^^^^^^^^^^^^^^^^^\n"
		"lbd.conf:1:40: \"0\" is not allowed here; allowed are sizes from 1 to 2g\n"
		"listen 80 backlog=0 so_keepalive=maybe rcvbuf=0;\n"
		"                                       ^^^^^^^^\n",
		"all mistakes of a line");
	report_is(&loader, "listen 80 ipv6only=on;\n",
		"lbd.conf:1:11: \"ipv6only\" is for IPv6 addresses\n"
		"listen 80 ipv6only=on;\n"
		"          ^^^^^^^^^^^\n", "ipv6only for IPv4");
	report_is(&loader, "listen 80 setfib=1;\n",
		"lbd.conf:1:11: warning: \"setfib=1\" has no meaning on Linux; ignored\n"
		"listen 80 setfib=1;\n"
		"          ^^^^^^^^\n", "what other systems have");
	report_is(&loader, "listen 80 multipath;\n",
		"lbd.conf:1:11: \"multipath\" is not supported yet; it is planned\n"
		"listen 80 multipath;\n"
		"          ^^^^^^^^^\n", "what is to come");
}

/* A port nobody uses now. */
static unsigned
free_port(void)
{
	struct addr a;
	int fd = tcp_listener(&a, 1);

	close(fd);
	return addr_port(&a);
}

/* "listen HOST:PORT MORE;" */
static struct config *
load_port(const char *host, unsigned port, const char *more)
{
	char text[256];

	snprintf(text, sizeof(text), "listen %s:%u %s;", host, port, more);
	return load(text);
}

static int
client(unsigned port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	in.sin_port = htons((uint16_t)port);
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0)
		bail_out("no connection: %s", strerror(errno));
	return fd;
}

static int
option(int fd, int level, int name)
{
	int v = 0;
	socklen_t n = sizeof(v);

	getsockopt(fd, level, name, &v, &n);
	return v;
}

static void
drop_accepted(void)
{
	while (accepted_n > 0)
		close(accepted[--accepted_n]);
}

static void
accepts(void)
{
	unsigned port = free_port();
	struct config *c;
	char more[64];
	int fd;

	snprintf(more, sizeof(more), "so_keepalive=on; listen %u", port);
	c = load_port("127.0.0.1", port, more);
	is_int(listeners_open(c, 1, false), 0, "an address and the wildcard on one port");
	is_int(listeners_start(c, loop, 0, 1), 0, "starts");
	listeners_serve(c);
	fd = client(port);
	TURN_UNTIL(accepted_n == 1);
	ok(option(accepted[0], IPPROTO_TCP, 1) != 0, "without delay");
	ok(option(accepted[0], SOL_SOCKET, SO_KEEPALIVE) != 0, "with the listener's options");
	close(fd);
	drop_accepted();

	listeners_stop(c, loop);
	TURN_UNTIL(listeners_stopped(c));
	pass("stops");
	config_destroy(&c);
}

static void
pauses(void)
{
	unsigned port = free_port();
	struct config *c = load_port("127.0.0.1", port, "");
	int fd[3];
	unsigned i;

	is_int(listeners_open(c, 1, false), 0, "opens");
	is_int(listeners_start(c, loop, 0, 1), 0, "starts");
	listeners_serve(c);
	settle();
	fd[0] = client(port); /* accepted by the kernel's side already when we pause */
	listeners_pause(c, loop);
	settle();
	fd[1] = client(port);
	settle();
	is_int(accepted_n, 0, "no connection comes during a pause");
	listeners_resume(c, loop);
	TURN_UNTIL(accepted_n == 2);
	fd[2] = client(port);
	TURN_UNTIL(accepted_n == 3);
	pass("all come afterwards");
	listeners_pause(c, loop);
	listeners_resume(c, loop);
	listeners_pause(c, loop);
	settle();
	for (i = 0; i < 3; i++)
		close(fd[i]);
	drop_accepted();
	fd[0] = client(port);
	listeners_stop(c, loop);
	TURN_UNTIL(listeners_stopped(c));
	close(fd[0]);
	drop_accepted();
	config_destroy(&c);
}

static void
minds_who_has_the_port(void)
{
	struct addr a;
	int taken = tcp_listener(&a, 1);
	unsigned port = addr_port(&a);
	struct config *c = load_port("127.0.0.1", port, "");
	struct config *d;
	char want[256];

	is_int(listeners_open(c, 2, true), 0, "a port in use is no error in a test");
	is_int(config_warnings(c), 1, "... but a warning");
	config_destroy(&c);

	c = load_port("*", port, "");
	is_int(listeners_open(c, 2, false), -1, "a port in use is an error");
	snprintf(want, sizeof(want), "could not bind to 0.0.0.0:%u: address already in use (98)",
		 port);
	ok(strstr(report_text(c), want) != NULL, "which says so");
	config_destroy(&c);
	close(taken);

	port = free_port();
	c = load_port("127.0.0.1", port, "");
	d = load_port("127.0.0.1", port, "reuseport");
	is_int(listeners_open(c, 2, false), 0, "two workers share a port");
	is_int(listeners_open(d, 2, false), 0, "\"reuseport\" shares with another lbd");
	listeners_close(c);
	listeners_close(d);
	listeners_close(d);
	config_destroy(&c);
	config_destroy(&d);

	c = load("listen 192.0.2.1:80;");
	is_int(listeners_open(c, 1, true), -1, "an address that is not ours");
	ok(strstr(report_text(c), "cannot assign requested address (99)") != NULL, "... is said");
	config_destroy(&c);
}

static void
makes_and_removes_paths(void)
{
	struct config *c = load("listen unix:test.sock;");
	struct config *d = load("listen unix:test.sock;");
	struct stat st;

	is_int(listeners_open(c, 3, true), 0, "tested");
	ok(stat("test.sock", &st) < 0, "a test makes no file");
	is_int(listeners_open(c, 3, false), 0, "opens a path");
	ok(stat("test.sock", &st) == 0 && (st.st_mode & 0777) == 0666, "everybody may connect");
	is_int(listeners_open(d, 3, false), -1, "a path in use is refused");
	listeners_close(d);
	ok(stat("test.sock", &st) == 0, "... and stays");
	listeners_drop(c);
	ok(stat("test.sock", &st) == 0, "a process that drops it leaves the file");
	config_destroy(&d);
	d = load("listen unix:test.sock;");
	is_int(listeners_open(d, 3, false), 0, "a path nobody listens on is taken over");
	listeners_close(d);
	ok(stat("test.sock", &st) < 0, "the file goes with the listener");
	config_destroy(&c);
	config_destroy(&d);
}

/* Quiet: the failure is logged. */
static void
survives_want_of_descriptors(void)
{
	struct lbd_log_target *none[] = { NULL };
	unsigned port = free_port();
	struct config *c = load_port("127.0.0.1", port, "");
	struct rlimit old, few;
	int a, b;

	log_process_set(none);
	is_int(listeners_open(c, 1, false), 0, "opens");
	is_int(listeners_start(c, loop, 0, 1), 0, "starts");
	listeners_serve(c);
	settle();
	a = client(port);
	b = client(port);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = (rlim_t)b + 1; /* lower ones are in use, more or less */
	setrlimit(RLIMIT_NOFILE, &few);
	loop_turn(loop, 100);
	settle();
	setrlimit(RLIMIT_NOFILE, &old);
	TURN_UNTIL(accepted_n == 2);
	pass("connections come when there are descriptors again");
	log_process_set(NULL);
	close(a);
	close(b);
	drop_accepted();
	listeners_stop(c, loop);
	TURN_UNTIL(listeners_stopped(c));
	config_destroy(&c);
}

int
main(void)
{
	static void (*const tests[])(void) = {
		accepts,
		pauses,
		survives_want_of_descriptors,
		NULL,
	};

	scratch_make();
	reads_addresses();
	reads_options();
	explains_mistakes();
	minds_who_has_the_port();
	makes_and_removes_paths();
	run_engines(tests);
	return done_testing();
}
