/* SPDX-License-Identifier: MIT */

/*
 * Fuzz target: a request head, from scan to framing.
 *
 * Beside not crashing: however the bytes are cut, the answer is the same; nothing understood
 * holds a byte that could end a line; and what is written for another reader is understood as
 * it was here.
 */

#include "core/http/framing.h"
#include "core/http/h1_write.h"
#include "core/http/uri.h"

#define FIELDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits limits = { 512, 512, 2048, FIELDS_MAX - 1 };

/* The scan in two pieces says what it says in one. */
static enum parse_rc
scan_twice(const char *p, size_t n, size_t cut, size_t *head)
{
	struct h1_scan whole = { .seen = 0 };
	struct h1_scan cuts = { .seen = 0 };
	struct h1_error e = { 0, NULL };
	struct h1_error e2 = { 0, NULL };
	size_t head2 = 0;
	enum parse_rc rc, rc2;

	*head = 0;
	rc = h1_scan(&whole, p, n, &limits, true, head, &e);
	rc2 = h1_scan(&cuts, p, cut, &limits, true, &head2, &e2);
	if (rc2 == PARSE_MORE)
		rc2 = h1_scan(&cuts, p, n, &limits, true, &head2, &e2);
	lbd_assert(rc == rc2 && e.status == e2.status && e.text == e2.text && *head == head2);
	lbd_assert(rc != PARSE_DONE || (*head <= n && whole.lines <= FIELDS_MAX));
	return rc;
}

static void
check_fields(const struct lbd_fields *f)
{
	uint32_t i;

	for (i = 0; i < f->n; i++) {
		lbd_assert(lbd_field_name_ok(f->v[i].name) && lbd_field_value_ok(f->v[i].value));
		lbd_assert(f->v[i].id == lbd_field_id_of(f->v[i].name));
	}
}

static void
check_target(const struct http_target *t)
{
	struct h1_error e;
	char out[512];
	bool simple;
	size_t n;

	lbd_assert(t->path.n <= sizeof(out));
	if (t->path.n > 0)
		(void)uri_normalise(t->path, true, out, &n, &simple, &e);
	lbd_assert(t->host.n <= t->host_port.n);
}

static bool
same_framing(const struct framing *a, const struct framing *b)
{
	return a->kind == b->kind && a->length == b->length && a->keep_alive == b->keep_alive &&
		a->upgrade == b->upgrade;
}

static void
check_round(const struct h1_request *r, const struct framing *f)
{
	const struct h1_head head = {
		.method = r->method_name, .target = r->target, .version = r->version,
		.fields = &r->fields,
	};
	struct lbd_chain c = LBD_CHAIN_INIT;
	struct lbd_field v[FIELDS_MAX];
	struct h1_request again = { .fields = { v, 0, FIELDS_MAX } };
	struct framing f2;
	struct h1_error e;
	struct lbd_str s;

	if (h1_write_request(&c, &head) == H1_WRITE_MEMORY)
		return;
	s = lbd_chain_first(&c);
	lbd_assert(h1_request(s.p, s.n, 0, &again, &e) == PARSE_DONE);
	lbd_assert(again.fields.n == r->fields.n && again.version == r->version);
	lbd_assert(framing_request(&again, &f2, &e) == PARSE_DONE && same_framing(f, &f2));
	lbd_chain_clear(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lbd_field v[FIELDS_MAX];
	struct h1_request r = { .fields = { v, 0, FIELDS_MAX } };
	struct http_target target;
	struct framing f;
	struct h1_error e;
	size_t head;
	const char *p;

	/* two bytes say where to cut and which options, the rest is the request */
	if (size < 3)
		return 0;
	p = (const char *)data + 2;
	size -= 2;
	(void)h1_request(p, size, data[1], &r, &e);
	if (scan_twice(p, size, data[0] % size, &head) != PARSE_DONE)
		return 0;
	if (h1_request(p, head, data[1], &r, &e) != PARSE_DONE)
		return 0;
	check_fields(&r.fields);
	if (target_parse(&r, &target, &e) == PARSE_DONE)
		check_target(&target);
	if (framing_request(&r, &f, &e) == PARSE_DONE)
		check_round(&r, &f);
	return 0;
}
