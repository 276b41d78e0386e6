/* SPDX-License-Identifier: MIT */

/*
 * The list of those who wait.  What they are told is decided in reload.c, how, by the hook that
 * brought them.
 */

#include <errno.h>
#include <stdio.h>

#include "core/base/fail.h"
#include "core/os/file.h"
#include "core/proc/askers.h"

#include <stdlib.h>

struct asker {
	struct asker *next;
	int fd;     /* owned */
	bool later;
	char note[REPORT_NOTE_MAX + 1];
};

static struct asker *first;

int
askers_add(int fd, const char *note, bool later)
{
	struct asker *a = base_zalloc(sizeof(*a)), **p = &first;

	if (a == NULL)
		return -ENOMEM;
	a->fd = fd;
	a->later = later;
	snprintf(a->note, sizeof(a->note), "%s", note == NULL ? "" : note);
	while (*p != NULL)
		p = &(*p)->next;
	*p = a;
	return 0;
}

void
askers_begin(void)
{
	for (struct asker *a = first; a != NULL; a = a->next)
		a->later = false;
}

void
askers_answer(const struct reload_report *r, bool all,
	void (*fn)(int fd, const char *note, const struct reload_report *r))
{
	struct asker **p = &first, *a;

	while ((a = *p) != NULL) {
		if (a->later && !all) {
			p = &a->next;
			continue;
		}
		*p = a->next;
		if (fn != NULL)
			fn(a->fd, a->note, r);
		else
			fd_close(&a->fd);
		free(a);
	}
}

void
askers_save(struct state *s)
{
	for (struct asker *a = first; a != NULL; a = a->next) {
		state_begin(s, "asker");
		state_str(s, "note", lbd_str_c(a->note));
		state_num(s, "later", a->later);
		state_fd(s, a->fd);
	}
}

void
askers_restore(struct state *s)
{
	for (struct state_entry *e = NULL; (e = state_next(s, "asker", e)) != NULL;) {
		int fd = state_take_fd(e);

		if (fd >= 0 && askers_add(fd, state_get(e, "note").p,
			state_get_num(e, "later", 0) != 0) < 0)
			fd_close(&fd);
	}
}

void
askers_forget(void)
{
	struct asker *a;

	while ((a = first) != NULL) {
		first = a->next;
		fd_close(&a->fd);
		free(a);
	}
}
