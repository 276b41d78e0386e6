/* SPDX-License-Identifier: MIT */

/*
 * Bytes that can be told apart, and the little of HTTP that both sides read.
 */

#define _GNU_SOURCE
#include "storm.h"

#include <string.h>
#include <strings.h>

/* A prime long, so that a body which is off by a round number of bytes is seen to be. */
enum { BLOCK = 65521, STRIDE = 7919 };

static char block[BLOCK];

void
body_init(void)
{
	static const char of[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY";
	const size_t n = sizeof(of) - 1;

	for (size_t i = 0; i < BLOCK; i++)
		block[i] = of[(i + i / n) % n];
}

static size_t
place(uint64_t id, uint64_t from)
{
	return (size_t)((id % BLOCK * STRIDE + from) % BLOCK);
}

void
body_fill(char *to, size_t n, uint64_t id, uint64_t from)
{
	for (size_t at = place(id, from), take; n > 0; to += take, n -= take, at = 0) {
		take = BLOCK - at < n ? BLOCK - at : n;
		memcpy(to, block + at, take);
	}
}

bool
body_is(const char *p, size_t n, uint64_t id, uint64_t from)
{
	for (size_t at = place(id, from), take; n > 0; p += take, n -= take, at = 0) {
		take = BLOCK - at < n ? BLOCK - at : n;
		if (memcmp(p, block + at, take) != 0)
			return false;
	}
	return true;
}

uint64_t
sum_add(uint64_t sum, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum = (sum ^ (uint8_t)p[i]) * 1099511628211ULL;
	return sum;
}

uint64_t
body_sum(uint64_t id, uint64_t size)
{
	uint64_t sum = SUM_START;

	for (uint64_t from = 0, take; from < size; from += take) {
		size_t at = place(id, from);

		take = BLOCK - at < size - from ? BLOCK - at : size - from;
		sum = sum_add(sum, block + at, (size_t)take);
	}
	return sum;
}

/* ---- heads ----------------------------------------------------------------------------------- */

size_t
head_length(const char *p, size_t n)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4);

	return end == NULL ? 0 : (size_t)(end - p) + 4;
}

const char *
head_field(const char *head, size_t n, const char *name, char *to, size_t size)
{
	const char *end = head + n, *line = memmem(head, n, "\r\n", 2);
	size_t length = strlen(name);

	to[0] = '\0';
	while (line != NULL && (line += 2) < end) {
		const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);

		if (stop != NULL && (size_t)(stop - line) > length && line[length] == ':' &&
			strncasecmp(line, name, length) == 0) {
			line += length + 1;
			while (line < stop && *line == ' ')
				line++;
			length = (size_t)(stop - line);
			length = length < size - 1 ? length : size - 1;
			memcpy(to, line, length);
			to[length] = '\0';
			break;
		}
		line = stop;
	}
	return to;
}

bool
number_of(const char *text, uint64_t *number)
{
	uint64_t n = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' || n > UINT64_MAX / 10 - 1)
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	*number = n;
	return true;
}

/* ---- bodies that come in --------------------------------------------------------------------- */

void
incoming_start(struct incoming *b, bool chunked, uint64_t length)
{
	*b = (struct incoming){ .chunked = chunked, .sum = SUM_START };
	b->left = chunked ? 0 : length;
	b->done = !chunked && length == 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of what frames the data. */
static void
chunk_byte(struct incoming *b, char c)
{
	int digit;

	switch (b->state) {
	case CHUNK_SIZE:
		digit = hex_digit(c);
		if (digit >= 0 && b->left < UINT64_MAX >> 8)
			b->left = b->left << 4 | (uint64_t)digit;
		else if (c == '\r' || c == ';')
			b->state = CHUNK_REST;
		else
			b->broken = true;
		break;
	case CHUNK_REST:
		if (c == '\n')
			b->state = b->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
		b->line_has_more = false;
		break;
	case CHUNK_END:
		if (c == '\n')
			b->state = CHUNK_SIZE;
		else if (c != '\r')
			b->broken = true;
		break;
	case CHUNK_TRAILER:
		if (c == '\n') {
			b->done = !b->line_has_more;
			b->line_has_more = false;
		} else if (c != '\r') {
			b->line_has_more = true;
		}
		break;
	case CHUNK_DATA:
		break;
	}
}

size_t
incoming_take(struct incoming *b, const char *p, size_t n, const char **data, size_t *size)
{
	size_t used = 0;

	*size = 0;
	while (used < n && b->chunked && b->state != CHUNK_DATA && !b->done && !b->broken)
		chunk_byte(b, p[used++]);
	if (b->done || b->broken || used == n)
		return used;
	*data = p + used;
	*size = n - used < b->left ? n - used : (size_t)b->left;
	b->sum = sum_add(b->sum, *data, *size);
	b->taken += *size;
	b->left -= *size;
	if (b->left == 0 && b->chunked)
		b->state = CHUNK_END;
	else if (b->left == 0)
		b->done = true;
	return used + *size;
}
