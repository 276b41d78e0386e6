/* SPDX-License-Identifier: MIT */

/*
 * Fuzz target: the state of a master.
 *
 * Whatever the bytes, fields lie within entries, and what was read and is written again is read the
 * same.  Descriptors are not claimed.
 */

#include <stdlib.h>

#include "core/proc/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_entry(struct state *s, const char *key)
{
	for (struct state_entry *e = NULL; (e = state_next(s, key, e)) != NULL;) {
		char *copy = state_get_copy(e, "text");
		struct lbd_str text = state_get(e, "text");

		lbd_assert(copy == NULL || memcmp(copy, text.p, text.n) == 0);
		lbd_assert(copy == NULL || copy[text.n] == '\0');
		lbd_assert(state_get_fd(e) == -1 || state_get_fd(e) > 2);
		(void)state_get_num(e, "pid", 0);
		free(copy);
	}
}

static void
check_again(struct state *s, const char *key)
{
	struct state *again = state_create(), *read;
	struct state_entry *e = NULL, *f = NULL;
	int fd;

	while (again != NULL && (e = state_next(s, key, e)) != NULL)
		state_copy(again, e);
	fd = again == NULL ? -1 : state_save(again);
	read = fd < 0 ? NULL : state_load(fd);
	while (read != NULL && (e = state_next(s, key, e)) != NULL) {
		f = state_next(read, key, f);
		lbd_assert(f != NULL && lbd_str_eq(state_get(e, "text"), state_get(f, "text")));
		lbd_assert(state_get_fd(e) == state_get_fd(f));
	}
	state_free(&read);
	state_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { "master", "listener", "zone", "child", "file", "module",
		"asker", "dead" };
	struct state *s = state_parse(lbd_str((const char *)data, size));

	for (size_t i = 0; s != NULL && i < LBD_ARRAY_LEN(keys); i++) {
		check_entry(s, keys[i]);
		check_again(s, keys[i]);
	}
	state_free(&s);
	return 0;
}
