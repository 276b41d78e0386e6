/* SPDX-License-Identifier: MIT */

/*
 * What a connection has to send, until the kernel has it.
 */

#define _GNU_SOURCE
#include "storm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

char *
wire_room(struct wire *w, size_t n)
{
	if (w->out_at > 0) {
		memmove(w->out, w->out + w->out_at, w->out_n - w->out_at);
		w->out_n -= w->out_at;
		w->out_at = 0;
	}
	if (w->out_room - w->out_n < n) {
		w->out_room = w->out_n + n + 4096;
		w->out = realloc(w->out, w->out_room);
		if (w->out == NULL)
			fatal("realloc");
	}
	return w->out + w->out_n;
}

void
wire_took(struct wire *w, size_t n)
{
	w->out_n += n;
}

void
wire_put(struct wire *w, const void *p, size_t n)
{
	memcpy(wire_room(w, n), p, n);
	wire_took(w, n);
}

void
wire_printf(struct wire *w, const char *format, ...)
{
	char text[2048];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text))
		fatal("a head is too long");
	wire_put(w, text, (size_t)n);
}

bool
wire_is_empty(const struct wire *w)
{
	return w->out_at == w->out_n;
}

int
wire_flush(struct wire *w)
{
	while (w->out_at < w->out_n) {
		ssize_t n = send(w->source.fd, w->out + w->out_at, w->out_n - w->out_at,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		w->out_at += (size_t)n;
		w->sent += (uint64_t)n;
	}
	w->out_at = w->out_n = 0;
	return 1;
}

void
wire_forget(struct wire *w)
{
	w->out_at = w->out_n = 0;
}
