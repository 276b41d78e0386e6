/* SPDX-License-Identifier: MIT */

/*
 * Fuzz target: an answer of a name server.
 *
 * The first byte says what was asked for; the id and the question are taken from the message, so
 * that its other parts are reached.  Whatever it says, records and texts are within their bounds.
 */

#include <stdlib.h>
#include <string.h>

#include "core/net/dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct dns_question *q, const struct dns_answer *a)
{
	lbd_assert(a->n <= DNS_RECORDS_MAX && a->text_n <= sizeof(a->text));
	lbd_assert(a->ttl <= DNS_TTL_MAX);
	lbd_assert((a->result == DNS_OK) == (a->n > 0));
	for (unsigned i = 0; i < a->n && q->type == DNS_SRV; i++) {
		const struct dns_record *r = &a->v[i];
		struct dns_wire_name w;

		lbd_assert(r->target >= a->text &&
			r->target + r->target_n <= a->text + a->text_n);
		lbd_assert(r->port != 0);
		lbd_assert(dns_name_set(&w, lbd_str(r->target, r->target_n)));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA, DNS_SRV };
	static struct dns_answer answer;
	struct dns_question q;
	uint8_t *copy, query[DNS_QUERY_MAX];
	struct lbd_str name;

	if (size < 3)
		return 0;
	q.type = types[data[0] % 3];
	/* text may be a name, too */
	name = lbd_str((const char *)data + 1, size - 1);
	if (dns_name_set(&q.name, name))
		lbd_assert(q.name.n <= name.n + 2 && dns_query_write(&q, query) <= sizeof(query));
	(void)dns_name_set(&q.name, LBD_STR("a.b"));
	q.id = (uint16_t)(data[1] << 8 | data[2]);
	copy = malloc(size - 1); /* of its own, so that reading beyond it is seen */
	if (copy == NULL)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (dns_answer_read(&q, copy, size - 1, &answer) == 0)
		check(&q, &answer);
	free(copy);
	return 0;
}
