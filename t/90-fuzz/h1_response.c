/* SPDX-License-Identifier: MIT */

/*
 * Fuzz target: a response head, from scan to framing, and the head written again.
 */

#include "core/http/framing.h"
#include "core/http/h1_write.h"

#define FIELDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits limits = { 512, 512, 2048, FIELDS_MAX - 1 };

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
	rc = h1_scan(&whole, p, n, &limits, false, head, &e);
	rc2 = h1_scan(&cuts, p, cut, &limits, false, &head2, &e2);
	if (rc2 == PARSE_MORE)
		rc2 = h1_scan(&cuts, p, n, &limits, false, &head2, &e2);
	lbd_assert(rc == rc2 && e.status == e2.status && e.text == e2.text && *head == head2);
	return rc;
}

static void
check_round(const struct h1_response *a, enum lbd_http_method method, const struct framing *f)
{
	const struct h1_head head = {
		.status = a->status, .reason = a->reason, .version = a->version,
		.fields = &a->fields,
	};
	struct lbd_chain c = LBD_CHAIN_INIT;
	struct lbd_field v[FIELDS_MAX];
	struct h1_response again = { .fields = { v, 0, FIELDS_MAX } };
	struct framing f2;
	struct h1_error e;
	struct lbd_str s;

	if (h1_write_response(&c, &head) == H1_WRITE_MEMORY)
		return;
	s = lbd_chain_first(&c);
	lbd_assert(h1_response(s.p, s.n, &again, &e) == PARSE_DONE);
	lbd_assert(again.fields.n == a->fields.n && again.status == a->status);
	lbd_assert(framing_response(&again, method, &f2, &e) == PARSE_DONE);
	lbd_assert(f2.kind == f->kind && f2.length == f->length && f2.keep_alive == f->keep_alive);
	lbd_chain_clear(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lbd_field v[FIELDS_MAX];
	struct h1_response a = { .fields = { v, 0, FIELDS_MAX } };
	enum lbd_http_method method;
	struct framing f;
	struct h1_error e;
	size_t head;
	const char *p;

	/* two bytes say where to cut and what was asked, the rest is the response */
	if (size < 3)
		return 0;
	method = (enum lbd_http_method)(data[1] % (LBD_METHOD_LOCK + 1));
	p = (const char *)data + 2;
	size -= 2;
	(void)h1_response(p, size, &a, &e);
	if (scan_twice(p, size, data[0] % size, &head) != PARSE_DONE)
		return 0;
	if (h1_response(p, head, &a, &e) != PARSE_DONE)
		return 0;
	lbd_assert(a.status >= 100 && a.status <= 999);
	if (framing_response(&a, method, &f, &e) == PARSE_DONE)
		check_round(&a, method, &f);
	else
		lbd_assert(e.status == 502);
	return 0;
}
