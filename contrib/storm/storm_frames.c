/* SPDX-License-Identifier: MIT */

/*
 * Messages of a WebSocket.  Length and bytes of each follow from the tunnel's id, who says it and
 * its number, so that either side knows what must come: what is lost, doubled, moved or changed is
 * seen.
 */

#include "storm.h"

#include <string.h>

enum { FINAL = 0x80, MASKED = 0x80, LONG_16 = 126, LONG_64 = 127, NORMAL_CLOSE = 1000 };

static uint64_t
mixed(uint64_t id, char who, uint64_t number)
{
	uint64_t x = id * 0x9E3779B97F4A7C15ULL + number * 0xC2B2AE3D27D4EB4FULL + (uint8_t)who;

	x ^= x >> 29;
	x *= 0xBF58476D1CE4E5B9ULL;
	return x ^ x >> 32;
}

/* Most are short, some take several reads, a few need the longest form of the length. */
static uint64_t
message_size(uint64_t id, char who, uint64_t number)
{
	uint64_t x = mixed(id, who, number);
	uint64_t most = x % 64 == 0 ? 100000 : x % 8 == 0 ? 20000 : 400;

	return MESSAGE_HEAD + (x >> 8) % most;
}

bool
frame_is_answered_twice(uint64_t id, uint64_t number)
{
	return mixed(id, '2', number) % 3 == 0;
}

static void
put_number(uint8_t *to, uint64_t number, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(number >> 8 * (bytes - 1 - i));
}

static uint64_t
get_number(const uint8_t *from, unsigned bytes)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < bytes; i++)
		number = number << 8 | from[i];
	return number;
}

static unsigned
put_head(uint8_t *to, uint8_t opcode, uint64_t length, const uint8_t *key)
{
	unsigned n = 2;

	to[0] = (uint8_t)(FINAL | opcode);
	if (length < LONG_16) {
		to[1] = (uint8_t)length;
	} else if (length <= UINT16_MAX) {
		to[1] = LONG_16;
		put_number(to + 2, length, 2);
		n += 2;
	} else {
		to[1] = LONG_64;
		put_number(to + 2, length, 8);
		n += 8;
	}
	if (key != NULL) {
		to[1] |= MASKED;
		memcpy(to + n, key, 4);
		n += 4;
	}
	return n;
}

static size_t
put_frame(struct wire *w, uint8_t opcode, const uint8_t *start, size_t start_n, uint64_t length,
	uint64_t pattern, bool masked)
{
	uint8_t key[4], *to = (uint8_t *)wire_room(w, FRAME_HEAD_MAX + length), *payload;
	unsigned head;

	put_number(key, random_below(UINT32_MAX), 4);
	head = put_head(to, opcode, length, masked ? key : NULL);
	payload = to + head;
	memcpy(payload, start, start_n);
	body_fill((char *)payload + start_n, length - start_n, pattern, 0);
	for (uint64_t i = 0; masked && i < length; i++)
		payload[i] ^= key[i % 4];
	wire_took(w, head + length);
	return head + length;
}

size_t
frame_put_message(struct wire *w, uint64_t id, char who, uint64_t number, bool masked)
{
	uint8_t start[MESSAGE_HEAD] = { (uint8_t)who };

	put_number(start + 1, number, 8);
	return put_frame(w, FRAME_DATA, start, sizeof(start), message_size(id, who, number),
		mixed(id, who, number), masked);
}

void
frame_put_close(struct wire *w, uint64_t count, bool masked)
{
	uint8_t start[10];

	put_number(start, NORMAL_CLOSE, 2);
	put_number(start + 2, count, 8);
	(void)put_frame(w, FRAME_CLOSE, start, sizeof(start), sizeof(start), 0, masked);
}

/* ---- receiving ------------------------------------------------------------------------------- */

void
frames_start(struct frames *f, uint64_t id)
{
	*f = (struct frames){ .id = id };
}

/* Bytes the head has, as far as it is known. */
static unsigned
head_needs(const struct frames *f)
{
	unsigned length = f->head_n < 2 ? 0 : f->head[1] & 0x7f;

	return 2U + (length == LONG_16 ? 2U : length == LONG_64 ? 8U : 0U) +
		(f->head_n >= 2 && (f->head[1] & MASKED) != 0 ? 4U : 0U);
}

static bool
head_read(struct frames *f)
{
	unsigned length = f->head[1] & 0x7f, n = head_needs(f);

	f->opcode = f->head[0] & 0x0f;
	f->length = length == LONG_16 ? get_number(f->head + 2, 2) :
		length == LONG_64 ? get_number(f->head + 2, 8) : length;
	memset(f->key, 0, sizeof(f->key));
	if ((f->head[1] & MASKED) != 0)
		memcpy(f->key, f->head + n - 4, 4);
	f->at = 0;
	if ((f->head[0] & 0xf0) != FINAL || (f->opcode != FRAME_DATA && f->opcode != FRAME_CLOSE))
		f->wrong = "a frame of no kind that is sent here";
	else if (f->opcode == FRAME_CLOSE ? f->length != 10 : f->length < MESSAGE_HEAD)
		f->wrong = "a frame of a wrong length";
	return f->wrong == NULL;
}

static bool
start_read(struct frames *f)
{
	f->who = (char)f->start[0];
	f->number = get_number(f->start + (f->opcode == FRAME_CLOSE ? 2 : 1), 8);
	if (f->opcode == FRAME_CLOSE)
		return true;
	if ((f->who != 'c' && f->who != 's') ||
		f->length != message_size(f->id, f->who, f->number))
		f->wrong = "a message of another tunnel or length";
	return f->wrong == NULL;
}

/* A piece of the payload. */
static bool
payload_take(struct frames *f, const char *p, size_t n)
{
	const unsigned start = f->opcode == FRAME_CLOSE ? 10 : MESSAGE_HEAD;
	char clear[16384];

	for (size_t i = 0; i < n; i++)
		clear[i] = (char)((uint8_t)p[i] ^ f->key[(f->at + i) % 4]);
	for (size_t i = 0; i < n; i++, f->at++) {
		if (f->at >= start) {
			if (!body_is(clear + i, n - i, mixed(f->id, f->who, f->number),
				f->at - start)) {
				f->wrong = "a message with other bytes";
				return false;
			}
			f->at += n - i;
			return true;
		}
		f->start[f->at] = (uint8_t)clear[i];
		if (f->at + 1 == start && !start_read(f))
			return false;
	}
	return true;
}

int
frames_take(struct frames *f, const char *p, size_t n, size_t *used)
{
	size_t at = 0;

	while (at < n) {
		if (f->head_n < head_needs(f)) {
			f->head[f->head_n++] = (uint8_t)p[at++];
			if (f->head_n == head_needs(f) && !head_read(f))
				return -1;
			continue;
		}
		size_t take = n - at < 16384 ? n - at : 16384;

		take = take < f->length - f->at ? take : (size_t)(f->length - f->at);
		if (!payload_take(f, p + at, take))
			return -1;
		at += take;
		if (f->at == f->length) {
			f->head_n = 0;
			*used = at;
			return 1;
		}
	}
	*used = at;
	return 0;
}
