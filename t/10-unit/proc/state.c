/* SPDX-License-Identifier: MIT */

/*
 * The state that goes from one image of the master to the next: written and read, by other
 * versions, damaged, with descriptors that are not what they were.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/proc/state.h"
#include "tap.h"

static void
is_field(const struct state_entry *e, const char *name, const char *want, const char *what)
{
	struct lbd_str s = e == NULL ? LBD_STR("(none)") : state_get(e, name);

	ok(lbd_str_eq(s, lbd_str_c(want)), "%s: \"%.*s\"", what, LBD_FMT(s));
}

/* An open descriptor with a number of its own. */
static int
some_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		bail_out("/dev/null");
	return fd;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void
goes_through_a_memfd(void)
{
	struct state *s = state_create();
	struct state_entry *e;
	int fd = some_fd(), memfd;

	state_begin(s, "listener");
	state_str(s, "name", LBD_STR("unix:/a b%\n\t=\xff"));
	state_num(s, "index", UINT64_MAX);
	state_fd(s, fd);
	state_begin(s, "empty");
	state_begin(s, "listener");
	state_str(s, "name", LBD_STR(""));
	is_int(state_cloexec(s, "listener", false), 0, "inherited");
	ok((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0, "is left open by exec");
	is_int(state_cloexec(s, NULL, true), 0, "not inherited");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "is closed by exec");
	memfd = state_save(s);
	ok(memfd >= 0, "saved");
	state_free(&s);
	ok(s == NULL && is_open(fd), "a writer owns no descriptor");

	s = state_load(memfd);
	ok(s != NULL && !is_open(memfd), "loaded, and the memfd is closed");
	if (s == NULL)
		bail_out("no state");
	state_claim(s);
	e = state_next(s, "listener", NULL);
	is_field(e, "name", "unix:/a b%\n\t=\xff", "any bytes");
	ok(state_get_num(e, "index", 0) == UINT64_MAX, "the largest number");
	is_int(state_get_fd(e), fd, "the descriptor");
	is_field(e, "other", "", "a field that is missing");
	ok(state_get_num(e, "other", 7) == 7, "has a default");
	is_int(state_take_fd(e), fd, "taken");
	is_int(state_take_fd(e), -1, "once");
	ok(state_next(s, "empty", NULL) != NULL, "an entry without fields");
	e = state_next(s, "listener", e);
	is_field(e, "name", "", "an empty value");
	ok(state_get_copy(e, "name") == NULL, "has no copy");
	ok(state_next(s, "listener", e) == NULL, "no more");
	ok(state_next(s, "liste", NULL) == NULL, "a key is a whole word");
	state_free(&s);
	ok(is_open(fd), "what was taken stays open");
	close(fd);
}

static struct state *
parse(const char *text)
{
	return state_parse(lbd_str_c(text));
}

static void
reads_other_versions(void)
{
	struct state *s = parse("lbd-state 7 more\n"
				"new_thing of another kind fd=x\n"
				"\n"
				"child pid=12 flavour=sweet  row=3 =odd lone bad=%zz "
				"cut=%4 pid=13\n");
	struct state_entry *e = s == NULL ? NULL : state_next(s, "child", NULL);

	ok(e != NULL, "a later version with other entries");
	ok(e != NULL && state_get_num(e, "pid", 0) == 12, "the first of two equal fields");
	ok(e != NULL && state_get_num(e, "row", 0) == 3, "two blanks");
	ok(e != NULL && state_get_num(e, "bad", 5) == 5, "a value that is not encoded is none");
	ok(e != NULL && state_get_num(e, "cut", 5) == 5, "nor one that is cut");
	ok(e != NULL && state_get_num(e, "flavour", 4) == 4, "a word is no number");
	state_free(&s);
}

static void
refuses_what_is_none(void)
{
	static const char *const bad[] = { "", "lbd-stat", "lbd-state 1", "x\nlbd-state 1\n",
		"lbd-state 1\nchild pid=1" };

	for (size_t i = 0; i < LBD_ARRAY_LEN(bad); i++)
		ok(parse(bad[i]) == NULL, "no state: %zu", i);
	ok(state_load(open("/dev/null", O_RDONLY)) == NULL, "an empty file");
	ok(state_load(-1) == NULL, "no file");
}

static void
claims_only_what_is_there(void)
{
	int fd = some_fd(), gone = some_fd();
	struct state_entry *e;
	struct state *s;
	char text[300];

	close(gone);
	snprintf(text, sizeof(text),
		"lbd-state 1\na fd=%d\nb fd=%d\nc fd=%d\nd fd=2\ne fd=-1\nf fd=99999999999\n", fd,
		gone, fd);
	s = parse(text);
	if (s == NULL)
		bail_out("no state");
	state_claim(s);
	is_int(state_get_fd(state_next(s, "a", NULL)), fd, "one that is open");
	is_int(state_get_fd(state_next(s, "b", NULL)), -1, "one that is not");
	is_int(state_get_fd(state_next(s, "c", NULL)), -1, "each has one owner");
	is_int(state_get_fd(state_next(s, "d", NULL)), -1, "never the standard ones");
	is_int(state_get_fd(state_next(s, "e", NULL)), -1, "no number");
	is_int(state_get_fd(state_next(s, "f", NULL)), -1, "too large a number");
	e = state_next(s, "a", NULL);
	ok(e != NULL && (fcntl(fd, F_GETFD) & FD_CLOEXEC), "claimed ones are closed by exec");
	state_free(&s);
	ok(!is_open(fd), "and by the end of the state, when nobody took them");
}

static void
passes_entries_on(void)
{
	struct state *old = parse("lbd-state 1\nfile path=/a%20b text=x%0ay fd=1000\n");
	struct state *s = state_create();

	state_copy(s, state_next(old, "file", NULL));
	is_int(state_cloexec(s, "file", true), -EBADF, "the copy names the same descriptor");
	state_free(&old);
	ok(state_save(s) >= 0, "and is saved after the other is gone");
	state_free(&s);
}

static void
survives_without_memory(void)
{
	for (uint64_t n = 1; n < 12; n++) {
		struct state *s;
		int fd;

		fail_alloc_at(n);
		s = state_create();
		if (s == NULL)
			continue;
		for (int i = 0; i < 300; i++) {
			state_begin(s, "child");
			state_str(s, "role", LBD_STR("a worker with a long name"));
			state_num(s, "pid", 1);
		}
		fd = state_save(s);
		state_free(&s);
		if (fd >= 0 && (s = state_load(fd)) == NULL && errno == ENOMEM)
			close(fd);
		state_free(&s);
	}
	fail_alloc_at(0);
	ok(1, "no allocation is missed");
}

int
main(void)
{
	goes_through_a_memfd();
	reads_other_versions();
	refuses_what_is_none();
	claims_only_what_is_there();
	passes_entries_on();
	survives_without_memory();
	return done_testing();
}
