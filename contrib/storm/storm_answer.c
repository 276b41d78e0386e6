/* SPDX-License-Identifier: MIT */

/*
 * What comes back: is it the answer to what was asked, byte for byte, and by a generation that may
 * answer?
 */

#include "storm_drive.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct ask *
first(struct client *c)
{
	return &c->asks[c->asks_first];
}

static bool
goes_to_server(char what)
{
	return strchr("lmn", what) == NULL;
}

/* ---- fields ---------------------------------------------------------------------------------- */

/* A generation neither older than what was announced before nor newer than what is coming. */
static bool
age_is_right(struct client *c, const struct ask *a, uint64_t generation)
{
	if (generation > announced.generation_coming) {
		client_lost(c, LOST_FAILED, "a generation from the future");
		return false;
	}
	if (generation < c->generation) {
		client_lost(c, LOST_STALE, "a new connection was given to an old generation");
		return false;
	}
	/* of a listener that is removed, only the older generation knows */
	if (generation < a->generation && ports[c->port].state == PORT_OPEN)
		c->account->old++;
	return true;
}

static const char *
fields_are_wrong(struct client *c, const struct ask *a, size_t n)
{
	char text[128], wanted[128];
	uint64_t number;

	(void)snprintf(wanted, sizeof(wanted), "/%c/%" PRIu64, a->what, a->id);
	(void)head_field(c->part, n, "X-Uri", text, sizeof(text));
	if (strncmp(text, wanted, strlen(wanted)) != 0 ||
		(text[strlen(wanted)] != '\0' && text[strlen(wanted)] != '/'))
		return "the answer to another request (X-Uri)";
	if (!goes_to_server(a->what))
		return NULL;
	(void)head_field(c->part, n, "X-Id", text, sizeof(text));
	if (!number_of(text, &number) || number != a->id)
		return "the answer to another request (X-Id)";
	if (a->upload > 0) {
		(void)snprintf(wanted, sizeof(wanted), "%" PRIu64 " %" PRIx64, a->upload,
			body_sum(a->id, a->upload));
		if (strcmp(head_field(c->part, n, "X-Got", text, sizeof(text)), wanted) != 0)
			return "the server got another body";
	}
	if (a->status == 200) {
		(void)snprintf(wanted, sizeof(wanted), "%" PRIx64, body_sum(a->id, a->size));
		if (strcmp(head_field(c->part, n, "X-Sum", text, sizeof(text)), wanted) != 0)
			return "another checksum";
	}
	return NULL;
}

/* How long the body is; false: the connection is lost. */
static bool
framing_start(struct client *c, const struct ask *a, size_t n)
{
	char text[64];
	uint64_t length = 0;
	bool chunked = head_field(c->part, n, "Transfer-Encoding", text, sizeof(text))[0] != '\0';

	if (a->head || a->status == 204 || a->status == 304) {
		incoming_start(&c->in, false, 0);
		return true;
	}
	if (!chunked && !number_of(head_field(c->part, n, "Content-Length", text, sizeof(text)),
		&length)) {
		client_lost(c, LOST_FAILED, "neither length nor chunks");
		return false;
	}
	incoming_start(&c->in, chunked, length);
	return true;
}

/* A whole head of n bytes; false: the connection is lost. */
static bool
head_read(struct client *c, size_t n)
{
	struct ask *a = first(c);
	char text[64], why[96];
	const char *wrong;
	uint64_t generation = 0, pid = 0, took;

	if (strncmp(c->part, "HTTP/1.1 100", 12) == 0) {
		c->part_n = 0;
		client_continue(c);
		return c->state == OPEN;
	}
	(void)snprintf(text, sizeof(text), "HTTP/1.1 %u", a->status);
	if (strncmp(c->part, text, 12) != 0) {
		(void)snprintf(why, sizeof(why), "\"%.12s\" for /%c/, not %u", c->part, a->what,
			a->status);
		client_lost(c, LOST_FAILED, why);
		return false;
	}
	if (number_of(head_field(c->part, n, "X-Pid", text, sizeof(text)), &pid))
		c->pid = pid;
	if (!number_of(head_field(c->part, n, "X-Generation", text, sizeof(text)), &generation)) {
		client_lost(c, LOST_FAILED, "no generation");
		return false;
	}
	c->answered_by = generation;
	if (!age_is_right(c, a, generation))
		return false;
	wrong = fields_are_wrong(c, a, n);
	if (wrong == NULL && a->sent_ns == 0)
		wrong = "an answer before the request was sent";
	if (wrong != NULL) {
		client_lost(c, LOST_FAILED, wrong);
		return false;
	}
	took = now_ns() - a->sent_ns;
	if (a->what != 'd' && took > c->account->worst_ns)
		c->account->worst_ns = took;
	if (!a->close && strcasecmp(head_field(c->part, n, "Connection", text, sizeof(text)),
		"close") == 0)
		c->told = true;
	c->part_n = 0;
	if (a->status == 101) {
		client_upgraded(c);
		return true;
	}
	c->in_body = true;
	return framing_start(c, a, n);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

/* Bodies of lbd itself are short: they are kept in part until they are whole. */
static bool
short_body_is_right(struct client *c, const struct ask *a)
{
	char wanted[64];
	uint64_t module = 0;

	if (a->what == 'm') {
		c->part[c->part_n] = '\0';
		if (sscanf(c->part, "module %" SCNu64, &module) != 1)
			return false;
		if (module < a->module && c->answered_by >= a->generation)
			return false;
		return module <= announced.module_coming;
	}
	(void)snprintf(wanted, sizeof(wanted), "/%c/%" PRIu64, a->what, a->id);
	return c->part_n == strlen(wanted) && memcmp(c->part, wanted, c->part_n) == 0;
}

static bool
piece_is_right(struct client *c, const struct ask *a, const char *data, size_t size)
{
	if (goes_to_server(a->what))
		return body_is(data, size, a->id, c->in.taken - size);
	if (c->part_n + size >= sizeof(c->part))
		return false;
	memcpy(c->part + c->part_n, data, size);
	c->part_n += size;
	return true;
}

static bool
body_is_right(struct client *c, const struct ask *a)
{
	if (a->head || a->status != 200)
		return true;
	if (goes_to_server(a->what))
		return c->in.taken == a->size;
	return short_body_is_right(c, a);
}

/* ---- tunnels --------------------------------------------------------------------------------- */

static bool
frame_came(struct client *c)
{
	struct frames *f = &c->frames;

	if (f->opcode == FRAME_CLOSE) {
		if (!c->tunnel_ends || f->number != c->own || c->echoed != c->said) {
			client_lost(c, LOST_FAILED, "a tunnel ended without all of its messages");
			return false;
		}
		c->state = ENDING;
		c->asks_n = 0;
		return true;
	}
	c->account->messages++;
	c->account->bytes_in += f->length;
	if (f->who == 'c' && f->number == c->echoed + 1 && f->number <= c->said)
		c->echoed++;
	else if (f->who == 's' && f->number == c->own + 1)
		c->own++;
	else {
		client_lost(c, LOST_FAILED, "a message is not the next one");
		return false;
	}
	if (c->echoed == c->said)
		c->kind->pause(c);
	return true;
}

static void
tunnel_take(struct client *c, const char *p, size_t n)
{
	for (size_t used = 0; n > 0; p += used, n -= used) {
		int rc = frames_take(&c->frames, p, n, &used);

		if (rc < 0) {
			client_lost(c, LOST_FAILED, c->frames.wrong);
			return;
		}
		if (rc == 1 && !frame_came(c))
			return;
	}
}

/* ---- what came ------------------------------------------------------------------------------- */

/* More of a head: how many bytes belong to it; 0: the connection is lost. */
static size_t
head_take(struct client *c, const char *p, size_t n)
{
	size_t room = sizeof(c->part) - 1 - c->part_n, before = c->part_n, length;

	room = n < room ? n : room;
	memcpy(c->part + c->part_n, p, room);
	c->part_n += room;
	c->part[c->part_n] = '\0';
	length = head_length(c->part, c->part_n);
	if (length == 0) {
		if (c->part_n < sizeof(c->part) - 1)
			return n;
		client_lost(c, LOST_FAILED, "a head is too long");
		return 0;
	}
	return head_read(c, length) ? length - before : 0;
}

void
answer_take(struct client *c, const char *p, size_t n)
{
	const char *data = p;
	size_t used, size;

	for (; n > 0; p += used, n -= used) {
		struct ask *a = first(c);

		if (c->state == ENDING || c->asks_n == 0) {
			client_lost(c, LOST_FAILED, "bytes that nobody asked for");
			return;
		}
		if (c->tunnel) {
			tunnel_take(c, p, n);
			return;
		}
		if (!c->in_body) {
			used = head_take(c, p, n);
			if (used == 0)
				return;
		} else {
			used = incoming_take(&c->in, p, n, &data, &size);
			c->account->bytes_in += size;
			if (c->in.broken || !piece_is_right(c, a, data, size)) {
				client_lost(c, LOST_FAILED, "a body with other bytes");
				return;
			}
		}
		if (c->in_body && c->in.done) {
			if (!body_is_right(c, a)) {
				client_lost(c, LOST_FAILED, "another body");
				return;
			}
			c->in_body = false;
			c->part_n = 0;
			client_answered(c);
		}
	}
}
