/* SPDX-License-Identifier: MIT */

/*
 * What is sent: requests, made once, and the bytes of all bodies.
 */

#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/*
 * The block is a prime long, so that a body which is off by a round number of bytes is seen to be;
 * and small enough to stay in the cache of the generator's CPU.
 */
enum { REQUEST_MAX = 1024, BLOCK = 65521, STRIDE = 7919, MASKED = 0x80 };

struct request_plan plan = {
	.conns = 64, .depth = 1, .many = 1, .path = "/1024", .host = "bench.example",
	.expect = 1024,
};
static char block[BLOCK];
static struct text *batches; /* one for each number */

void
pattern_make(void)
{
	static const char of[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY";
	const size_t n = sizeof(of) - 1;

	for (size_t i = 0; i < BLOCK; i++)
		block[i] = of[(i + i / n) % n];
}

int
pattern_pieces(struct iovec *iov, uint64_t from, uint64_t n)
{
	size_t at = from % BLOCK;
	int count = 0;

	while (n > 0 && count < PATTERN_IOV_MAX) {
		size_t take = BLOCK - at < n ? BLOCK - at : (size_t)n;

		iov[count].iov_base = block + at;
		iov[count++].iov_len = take;
		n -= take;
		at = 0;
	}
	return count;
}

void
pattern_copy(char *to, size_t n)
{
	for (size_t take; n > 0; to += take, n -= take) {
		take = n < BLOCK ? n : BLOCK;
		memcpy(to, block, take);
	}
}

bool
pattern_is(const char *p, size_t n, uint64_t from)
{
	size_t at = from % BLOCK;

	while (n > 0) {
		size_t take = BLOCK - at < n ? BLOCK - at : n;

		if (memcmp(p, block + at, take) != 0)
			return false;
		p += take;
		n -= take;
		at = 0;
	}
	return true;
}

/* Text with the number in the place of "%"; in a buffer of the caller. */
static const char *
numbered(char *to, size_t size, const char *text, unsigned number)
{
	const char *mark = strchr(text, '%');
	int n = mark == NULL ? snprintf(to, size, "%s", text) :
		snprintf(to, size, "%.*s%u%s", (int)(mark - text), text, number, mark + 1);

	if (n < 0 || (size_t)n >= size)
		wrong("load", "a path or host is too long");
	return to;
}

static size_t
request_make(char *to, unsigned number)
{
	char path[256], host[256], more[160] = "";
	int n;

	if (plan.websocket) {
		(void)snprintf(more, sizeof(more), "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			"Sec-WebSocket-Version: 13\r\n"
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
	} else if (plan.upload > 0) {
		(void)snprintf(more, sizeof(more), "Content-Length: %llu\r\n",
			(unsigned long long)plan.upload);
	}
	n = snprintf(to, REQUEST_MAX, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\n%s%s\r\n",
		plan.upload > 0 ? "POST" : "GET", numbered(path, sizeof(path), plan.path, number),
		numbered(host, sizeof(host), plan.host, number),
		plan.new_connection ? "Connection: close\r\n" : "", more);
	return (size_t)n;
}

static struct text
batch_make(unsigned number)
{
	char *p = malloc((size_t)plan.depth * REQUEST_MAX), *fit;
	size_t n = 0;

	if (p == NULL)
		fatal("malloc");
	for (unsigned i = 0; i < plan.depth; i++)
		n += request_make(p + n, number);
	fit = realloc(p, n);
	return (struct text){ .p = fit == NULL ? p : fit, .n = n };
}

void
plan_make(void)
{
	batches = calloc(plan.many, sizeof(*batches));
	if (batches == NULL)
		fatal("calloc");
	/* neighbours in time are not neighbours in the configuration */
	for (unsigned i = 0; i < plan.many; i++)
		batches[i] = batch_make((unsigned)((uint64_t)i * STRIDE % plan.many));
}

struct text
plan_batch(void)
{
	static unsigned next;

	if (plan.many == 1)
		return batches[0];
	next = next + 1 < plan.many ? next + 1 : 0;
	return batches[next];
}

/* A masked text frame with 32 characters. */
struct text
plan_message(void)
{
	static char frame[2 + 4 + 32];

	if (frame[0] == 0) {
		frame[0] = (char)0x81;
		frame[1] = (char)(MASKED | 32);
		pattern_copy(frame + 6, 32);
	}
	return (struct text){ .p = frame, .n = sizeof(frame) };
}
