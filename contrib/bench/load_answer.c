/* SPDX-License-Identifier: MIT */

/*
 * What comes back: heads, and bodies, which are compared with what they must be; in measured slices
 * the long ones are counted and thrown away in the kernel.
 */

#define _GNU_SOURCE
#include "load_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	SHORT_MAX = 4096,  /* what is compared in every slice */
	FIRST_READ = 2048, /* of an answer with a long body */
};

static char room[PART_MAX + DISCARD_SIZE]; /* a part of a head is put in front of what is read */

/* -1: no length. */
static long long
body_length(const char *head, size_t n)
{
	const char *p = head, *end = head + n, *value = NULL;

	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p++;
		if (end - p > 15 && strncasecmp(p, "content-length:", 15) == 0)
			value = p + 15;
	}
	return value == NULL ? -1 : strtoll(value, NULL, 10);
}

/* A head of n bytes; false: the connection has failed. */
static bool
take_head(struct client *c, const char *head, size_t n)
{
	char status[] = "status ...";
	long long length;

	if (n < 13 || memcmp(head, "HTTP/1.", 7) != 0)
		wrong(c->target->name, "that is no answer");
	memcpy(status + 7, head + 9, 3);
	if (memcmp(head + 9, plan.websocket ? "101" : "200", 3) != 0) {
		client_fail(c, status);
		return false;
	}
	if (plan.websocket) {
		client_upgraded(c);
		return true;
	}
	if (c->out_body > 0) {
		client_fail(c, "answered before the whole request was there");
		return false;
	}
	length = body_length(head, n);
	if (length < 0 || (uint64_t)length != plan.expect)
		wrong(c->target->name, "an answer is not as long as it must be");
	c->body_left = (uint64_t)length;
	return true;
}

static void
take_body(struct client *c, const char *p, size_t n)
{
	if (!pattern_is(p, n, plan.expect - c->body_left))
		wrong(c->target->name, "the body of an answer is not what was sent");
	c->body_left -= n;
}

/* Heads that are whole, and bodies. */
static void
take_answers(struct client *c, char *p, size_t n)
{
	while (n > 0 && c->state == BUSY && !c->tunnel) {
		size_t take;
		char *end;

		if (c->body_left == 0) {
			end = memmem(p, n, "\r\n\r\n", 4);
			if (end == NULL && n < PART_MAX) {
				memcpy(c->part, p, n);
				c->part_n = n;
				return;
			}
			if (end == NULL)
				wrong(c->target->name, "a head without an end");
			if (!take_head(c, p, (size_t)(end + 2 - p)))
				return;
			n -= (size_t)(end + 4 - p);
			p = end + 4;
		}
		take = n < c->body_left ? n : (size_t)c->body_left;
		take_body(c, p, take);
		p += take;
		n -= take;
		if (c->body_left == 0 && !c->tunnel)
			client_answered(c);
	}
	if (n > 0)
		wrong(c->target->name, "more than was asked for");
}

/* The echo of a message. */
static void
take_echo(struct client *c, const char *p, size_t n)
{
	struct text m = plan_message();
	size_t at = m.n - (size_t)c->body_left;

	if (c->state != BUSY || n > c->body_left || memcmp(m.p + at, p, n) != 0)
		wrong(c->target->name, "an echo is not what was sent");
	c->body_left -= n;
	if (c->body_left == 0)
		client_answered(c);
}

static void
read_failed(struct client *c, ssize_t n)
{
	if (n < 0)
		client_fail(c, strerror(errno));
	else if (c->state == ENDING)
		client_ended(c);
	else
		client_fail(c, "closed");
}

/* The middle of a long body. */
static void
discard(struct client *c)
{
	size_t most = c->body_left < DISCARD_SIZE ? (size_t)c->body_left : DISCARD_SIZE;
	ssize_t n = recv(c->source.fd, room, most, MSG_DONTWAIT | (check_all ? 0 : MSG_TRUNC));

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		read_failed(c, n);
		return;
	}
	client_bytes_came((size_t)n);
	if (check_all)
		take_body(c, room, (size_t)n);
	else
		c->body_left -= (uint64_t)n;
	if (c->body_left == 0)
		client_answered(c);
}

void
answer_read(struct client *c)
{
	size_t had = c->part_n;
	char *p = room + PART_MAX - had;
	ssize_t n;

	if (c->body_left > SHORT_MAX && !c->tunnel) {
		discard(c);
		return;
	}
	n = recv(c->source.fd, room + PART_MAX,
		plan.expect > READ_SIZE / 4 ? FIRST_READ : READ_SIZE, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		read_failed(c, n);
		return;
	}
	client_bytes_came((size_t)n);
	if (c->tunnel) {
		take_echo(c, room + PART_MAX, (size_t)n);
		return;
	}
	memcpy(p, c->part, had);
	c->part_n = 0;
	take_answers(c, p, had + (size_t)n);
}
