/* SPDX-License-Identifier: MIT */

/*
 * The reader looks at the records of the answer in as many rounds as there are aliases: each round
 * takes what belongs to one name.  What is in the additional section is not believed: what it says
 * can be asked for.
 */

#include <errno.h>
#include <string.h>

#include "core/base/ascii.h"
#include "core/net/dns_message.h"

#define HEADER 12
#define CLASS_IN 1
#define TYPE_OPT 41
#define FLAG_RESPONSE 0x8000
#define FLAG_TRUNCATED 0x0200
#define FLAG_RECURSE 0x0100
#define OPCODE 0x7800
#define RCODE 0x000f
#define RCODE_NXDOMAIN 3
#define LABEL_MAX 63
#define HOPS_MAX 64

/* --- writing --- */

static bool
label_is_good(struct lbd_str label)
{
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_is(label.p[i], CLASS_ALPHA) && !ascii_is_digit(label.p[i]) &&
			label.p[i] != '-' && label.p[i] != '_')
			return false;
	return label.n > 0 && label.n <= LABEL_MAX;
}

bool
dns_name_set(struct dns_wire_name *w, struct lbd_str text)
{
	size_t n = 0;

	w->n = 0;
	if (text.n > 1 && text.p[text.n - 1] == '.')
		text.n--;
	while (text.n > 0) {
		ptrdiff_t dot = lbd_str_find(text, '.', 0);
		struct lbd_str label = dot < 0 ? text : lbd_str_head(text, (size_t)dot);

		if (!label_is_good(label) || n + 1 + label.n + 1 > DNS_NAME_MAX)
			return false;
		w->p[n++] = (uint8_t)label.n;
		for (size_t i = 0; i < label.n; i++)
			w->p[n++] = (uint8_t)ascii_lower(label.p[i]);
		text = lbd_str_skip(text, label.n);
		if (text.n > 0) {
			text = lbd_str_skip(text, 1);
			if (text.n == 0)
				return false;
		}
	}
	if (n == 0)
		return false;
	w->p[n++] = 0;
	w->n = (uint8_t)n;
	return true;
}

static uint8_t *
put16(uint8_t *p, unsigned v)
{
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

size_t
dns_query_write(const struct dns_question *q, uint8_t *buf)
{
	uint8_t *p = buf;

	p = put16(p, q->id);
	p = put16(p, FLAG_RECURSE);
	p = put16(p, 1);
	p = put16(p, 0);
	p = put16(p, 0);
	p = put16(p, 1);
	memcpy(p, q->name.p, q->name.n);
	p += q->name.n;
	p = put16(p, q->type);
	p = put16(p, CLASS_IN);
	/* EDNS0: how much we take, nothing else */
	*p++ = 0;
	p = put16(p, TYPE_OPT);
	p = put16(p, DNS_UDP_MAX);
	memset(p, 0, 6);
	return (size_t)(p + 6 - buf);
}

/* --- reading --- */

struct reader {
	const uint8_t *p;
	size_t n, at;
};

static bool
get16(struct reader *r, unsigned *v)
{
	if (r->n - r->at < 2)
		return false;
	*v = (unsigned)r->p[r->at] << 8 | r->p[r->at + 1];
	r->at += 2;
	return true;
}

static bool
get32(struct reader *r, uint32_t *v)
{
	unsigned high, low;

	if (!get16(r, &high) || !get16(r, &low))
		return false;
	*v = (uint32_t)high << 16 | low;
	return true;
}

/*
 * A name, which may end in what stands further in front: each pointer must lead before everything
 * that was read for this name so far, so there are no loops.
 */
static bool
get_name(struct reader *r, struct dns_wire_name *w)
{
	size_t at = r->at, first = r->at, n = 0;
	bool jumped = false;

	for (unsigned hops = 0;;) {
		unsigned len;

		if (at >= r->n)
			return false;
		len = r->p[at];
		if (len >= 0xc0) {
			if (r->n - at < 2 || ++hops > HOPS_MAX)
				return false;
			len = (len & 0x3f) << 8 | r->p[at + 1];
			if (!jumped)
				r->at = at + 2;
			jumped = true;
			if (len >= first)
				return false;
			at = first = len;
			continue;
		}
		if (len > LABEL_MAX || r->n - at < 1 + (size_t)len || n + 1 + len > DNS_NAME_MAX)
			return false;
		w->p[n++] = (uint8_t)len;
		for (unsigned i = 1; i <= len; i++)
			w->p[n++] = (uint8_t)ascii_lower((char)r->p[at + i]);
		at += 1 + len;
		if (len == 0)
			break;
	}
	if (!jumped)
		r->at = at;
	w->n = (uint8_t)n;
	return true;
}

static bool
name_eq(const struct dns_wire_name *a, const struct dns_wire_name *b)
{
	return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

struct record {
	struct dns_wire_name owner;
	unsigned type, class;
	uint32_t ttl;
	size_t at, n;            /* its data */
};

static bool
get_record(struct reader *r, struct record *out)
{
	unsigned n;

	if (!get_name(r, &out->owner) || !get16(r, &out->type) || !get16(r, &out->class) ||
		!get32(r, &out->ttl) || !get16(r, &n) || r->n - r->at < n)
		return false;
	out->at = r->at;
	out->n = n;
	r->at += n;
	if (out->ttl > INT32_MAX) /* RFC 2181: as 0 */
		out->ttl = 0;
	if (out->ttl > DNS_TTL_MAX)
		out->ttl = DNS_TTL_MAX;
	return true;
}

/* --- what a record says --- */

/* A host's name in text; -1: it cannot be one, or there is no room. */
static int
target_text(const struct dns_wire_name *w, struct dns_answer *out)
{
	size_t at = out->text_n;

	if (w->n <= 1 || sizeof(out->text) - at < w->n)
		return -1;
	for (size_t i = 0; w->p[i] != 0; i += 1 + w->p[i]) {
		struct lbd_str label = lbd_str((const char *)&w->p[i + 1], w->p[i]);

		if (!label_is_good(label))
			return -1;
		if (i > 0)
			out->text[at++] = '.';
		memcpy(out->text + at, label.p, label.n);
		at += label.n;
	}
	return (int)(at - out->text_n);
}

/* A record that makes no sense is left out. */
static void
add_srv(const struct reader *whole, const struct record *rec, struct dns_answer *out)
{
	struct reader r = { whole->p, rec->at + rec->n, rec->at };
	struct dns_record *v = &out->v[out->n];
	unsigned priority, weight, port;
	struct dns_wire_name target;
	int n;

	if (!get16(&r, &priority) || !get16(&r, &weight) || !get16(&r, &port) ||
		!get_name(&r, &target) || r.at != r.n || port == 0)
		return;
	n = target_text(&target, out);
	if (n <= 0)
		return;
	*v = (struct dns_record){ .priority = (uint16_t)priority, .weight = (uint16_t)weight,
		.port = (uint16_t)port, .target_n = (uint16_t)n,
		.target = out->text + out->text_n };
	out->text_n += (size_t)n;
	out->n++;
}

static void
add_record(const struct reader *whole, const struct record *rec, struct dns_answer *out)
{
	size_t want = rec->type == DNS_A ? 4 : 16;

	if (out->n == DNS_RECORDS_MAX)
		return;
	if (rec->type == DNS_SRV) {
		add_srv(whole, rec, out);
	} else if (rec->n == want) {
		out->v[out->n] = (struct dns_record){ .priority = 0 };
		memcpy(out->v[out->n].ip, whole->p + rec->at, want);
		out->n++;
	}
}

/* --- sections --- */

/*
 * All of one name.  1: it is an alias of *name from here on, 0: not, -1: the message is broken.
 */
static int
read_round(struct reader r, unsigned records, unsigned type, struct dns_wire_name *name,
	struct dns_answer *out)
{
	struct dns_wire_name alias = { .n = 0 };
	const struct reader whole = r;
	struct record rec;

	for (unsigned i = 0; i < records; i++) {
		if (!get_record(&r, &rec))
			return -1;
		if (rec.class != CLASS_IN || !name_eq(&rec.owner, name))
			continue;
		if (rec.type == type) {
			add_record(&whole, &rec, out);
		} else if (rec.type == DNS_CNAME && alias.n == 0) {
			struct reader data = { whole.p, rec.at + rec.n, rec.at };

			if (!get_name(&data, &alias) || data.at != data.n)
				return -1;
		} else {
			continue;
		}
		if (rec.ttl < out->ttl)
			out->ttl = rec.ttl;
	}
	if (out->n > 0 || alias.n == 0)
		return 0;
	*name = alias;
	return 1;
}

/* How long "none" is true: the lesser of the SOA's own time and what it says (RFC 2308). */
static uint32_t
negative_ttl(struct reader *r, unsigned records)
{
	struct record rec;

	while (records-- > 0 && get_record(r, &rec)) {
		struct reader data = { r->p, rec.at + rec.n, rec.at };
		struct dns_wire_name skip;
		uint32_t v = 0;

		if (rec.type != DNS_SOA || !get_name(&data, &skip) || !get_name(&data, &skip) ||
			data.n - data.at != 20)
			continue;
		data.at += 16;
		(void)get32(&data, &v);
		return v < rec.ttl ? v : rec.ttl;
	}
	return 0;
}

static void
skip_records(struct reader *r, unsigned records)
{
	struct record rec;

	while (records-- > 0 && get_record(r, &rec))
		;
}

static int
read_answers(const struct dns_question *q, struct reader r, const unsigned counts[3],
	struct dns_answer *out)
{
	struct dns_wire_name name = q->name;
	int more = 1;

	out->ttl = DNS_TTL_MAX;
	for (unsigned i = 0; i <= DNS_CHAIN_MAX && more > 0; i++)
		more = read_round(r, counts[0], q->type, &name, out);
	if (more < 0)
		return -EBADMSG;
	if (out->n > 0) {
		out->result = DNS_OK;
		return 0;
	}
	skip_records(&r, counts[0]);
	out->ttl = negative_ttl(&r, counts[1]);
	return 0;
}

/* Its own header and question, or somebody else's. */
static int
read_head(const struct dns_question *q, struct reader *r, unsigned *flags, unsigned counts[3])
{
	struct dns_wire_name name;
	unsigned id, questions, type, class;

	if (!get16(r, &id) || !get16(r, flags) || !get16(r, &questions) ||
		!get16(r, &counts[0]) || !get16(r, &counts[1]) || !get16(r, &counts[2]))
		return -EBADMSG;
	if (id != q->id || !(*flags & FLAG_RESPONSE) || (*flags & OPCODE) != 0 || questions != 1)
		return -ENOMSG;
	if (!get_name(r, &name) || !get16(r, &type) || !get16(r, &class))
		return -EBADMSG;
	return type == q->type && class == CLASS_IN && name_eq(&name, &q->name) ? 0 : -ENOMSG;
}

int
dns_answer_read(const struct dns_question *q, const uint8_t *p, size_t n, struct dns_answer *out)
{
	struct reader r = { p, n, 0 };
	unsigned flags, counts[3];
	int rc = read_head(q, &r, &flags, counts);

	out->n = 0;
	out->text_n = 0;
	out->ttl = 0;
	out->result = DNS_FAILED;
	out->rcode = 0;
	if (rc < 0)
		return rc;
	out->rcode = flags & RCODE;
	if (flags & FLAG_TRUNCATED) {
		out->result = DNS_TRUNCATED;
		return 0;
	}
	if (out->rcode != 0 && out->rcode != RCODE_NXDOMAIN)
		return 0;
	out->result = out->rcode == 0 ? DNS_NO_DATA : DNS_NO_NAME;
	rc = read_answers(q, r, counts, out);
	/* an alias may be there and what it is an alias of may not (RFC 6604) */
	if (rc == 0 && out->rcode != 0 && out->n > 0) {
		out->result = DNS_NO_NAME;
		out->n = 0;
	}
	return rc;
}
