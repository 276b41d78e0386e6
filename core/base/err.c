/* SPDX-License-Identifier: MIT */

/*
 * The end of a process that found itself wrong.  Where the message goes is registered from above
 * (the error log); without that it goes to stderr.
 */

#include <stdio.h>
#include <stdlib.h>

#include "core/base/err.h"

static void
to_stderr(const char *what, const char *file, int line)
{
	fprintf(stderr, "lbd: assertion failed: %s (%s:%d)\n", what, file, line);
}

static void (*tell)(const char *what, const char *file, int line) = to_stderr;

void
err_on_assert(void (*fn)(const char *what, const char *file, int line))
{
	tell = fn == NULL ? to_stderr : fn;
}

void
lbd_assert_failed(const char *what, const char *file, int line)
{
	void (*fn)(const char *, const char *, int) = tell;

	tell = to_stderr; /* an assertion that fails in fn itself must not come back here */
	fn(what, file, line);
	abort();
}
