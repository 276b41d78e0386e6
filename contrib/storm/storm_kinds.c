/* SPDX-License-Identifier: MIT */

/*
 * What the kinds of clients ask, and how long they think.
 *
 *	/l/ID  answered by lbd     /m/ID  by a module     /n/ID  by lbd with 204
 *	/s/ID/SIZE  as /g of the servers, without buffering; the rest is in storm_serve.c
 */

#include "storm_drive.h"

#include <string.h>

enum { KB = 1024, MB = 1024 * 1024 };

static void
pause_ms(struct client *c, uint64_t low, uint64_t high)
{
	uint64_t ms = random_between(low, high);

	c->due_ns = now_ns() + ms * NS_PER_MS + (ms == 0 ? 0 : random_below(NS_PER_MS));
}

/* One in five at once, so that connections are busy and idle in turn. */
static void
pause_keep(struct client *c)
{
	pause_ms(c, 0, random_below(5) == 0 ? 0 : 300);
}

static void pause_short(struct client *c) { pause_ms(c, 5, 300); }
static void pause_body(struct client *c) { pause_ms(c, 0, 500); }
static void pause_idle(struct client *c) { pause_ms(c, options.idle_min_ms, options.idle_max_ms); }

/* A size of any order of magnitude. */
static uint64_t
some_size(uint64_t low, uint64_t high)
{
	while (low * 4 < high && random_below(2) == 0)
		low *= 4;
	return random_between(low, low * 4 < high ? low * 4 : high);
}

/* With or without buffering. */
static char
way(void)
{
	return random_below(2) == 0 ? 'g' : 's';
}

static void
ask_small(struct client *c, const char *fields)
{
	struct ask *a;

	switch (random_below(10)) {
	case 0: case 1: case 2:
		(void)client_ask(c, "GET", 'l', 0, 200, fields);
		break;
	case 3:
		(void)client_ask(c, "GET", 'm', 0, 200, fields);
		break;
	case 4: case 5: case 6:
		(void)client_ask(c, "GET", 'g', random_below(32 * KB), 200, fields);
		break;
	case 7:
		(void)client_ask(c, "GET", 'c', 1 + random_below(32 * KB), 200, fields);
		break;
	case 8:
		(void)client_ask(c, "GET", 's', random_below(8 * KB), 200, fields);
		break;
	default:
		a = client_ask(c, "POST", way(), random_below(200), 200, fields);
		a->upload = 1 + random_below(8 * KB);
		client_upload(c, a, 0, random_below(3) == 0, false);
	}
}

static void
ask_keep(struct client *c)
{
	ask_small(c, "");
}

static void
ask_short(struct client *c)
{
	ask_small(c, "Connection: close\r\n");
}

static void
ask_pipeline(struct client *c)
{
	static const char what[] = "lgcmls";
	uint64_t n = random_between(2, ASKS_MAX);

	while (n-- > 0)
		(void)client_ask(c, "GET", what[random_below(sizeof(what) - 1)],
			1 + random_below(4 * KB), 200, "");
}

static uint64_t
span_ns(void)
{
	return random_between(options.body_ms / 3, options.body_ms) * NS_PER_MS;
}

static void
ask_upload(struct client *c)
{
	struct ask *a = client_ask(c, "POST", way(), random_below(2 * KB), 200, "");

	a->upload = some_size(4 * KB, 4 * MB);
	client_upload(c, a, span_ns(), false, false);
}

static void
ask_chunked(struct client *c)
{
	struct ask *a = client_ask(c, "POST", way(), random_below(2 * KB), 200, "");

	a->upload = some_size(4 * KB, 4 * MB);
	client_upload(c, a, span_ns(), true, false);
}

/* Either the client reads slowly or the server is slow. */
static void
ask_download(struct client *c)
{
	uint64_t size = some_size(16 * KB, 8 * MB);

	if (random_below(4) == 0) {
		(void)client_ask(c, "GET", 'd', size / 4, 200, "");
		return;
	}
	(void)client_ask(c, "GET", "gsc"[random_below(3)], size, 200, "");
	c->slow_span = span_ns();
}

static void
ask_expect(struct client *c)
{
	struct ask *a = client_ask(c, "POST", way(), random_below(2 * KB), 200,
		"Expect: 100-continue\r\n");

	a->upload = some_size(1, 200 * KB);
	client_upload(c, a, random_below(2) ? 0 : random_below(2000) * NS_PER_MS,
		random_below(4) == 0, true);
}

static void
ask_empty(struct client *c)
{
	switch (random_below(5)) {
	case 0:
		(void)client_ask(c, "HEAD", 'g', random_below(100 * KB), 200, "");
		break;
	case 1:
		(void)client_ask(c, "HEAD", 'l', 0, 200, "");
		break;
	case 2:
		(void)client_ask(c, "GET", 'e', 204, 204, "");
		break;
	case 3:
		(void)client_ask(c, "GET", 'e', 304, 304, "");
		break;
	default:
		(void)client_ask(c, "GET", 'n', 0, 204, "");
	}
}

static void
ask_tunnel(struct client *c)
{
	(void)client_ask(c, "GET", 'w', 0, 101, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
}

/* Shares are rounded up, so that there is one of each at least. */
const struct kind kinds[] = {
	{ "keep", 30, false, ask_keep, pause_keep },
	{ "short", 8, false, ask_short, pause_short },
	{ "pipeline", 8, false, ask_pipeline, pause_keep },
	{ "upload", 8, false, ask_upload, pause_body },
	{ "chunked", 5, false, ask_chunked, pause_body },
	{ "download", 10, true, ask_download, pause_body },
	{ "expect", 5, false, ask_expect, pause_keep },
	{ "empty", 5, false, ask_empty, pause_keep },
	{ "idle", 11, false, ask_keep, pause_idle },
	{ "websocket", 10, false, ask_tunnel, pause_short },
};
const unsigned kinds_n = sizeof(kinds) / sizeof(kinds[0]);
