/* SPDX-License-Identifier: MIT */

/*
 * DNS messages: what is asked, and what of an answer is believed.
 */

#include <errno.h>

#include "core/net/dns_message.h"
#include "t/lib/tap.h"

/* A message that is being built. */
static struct {
	uint8_t p[70000];
	size_t n;
} msg;

static struct dns_question q;
static struct dns_answer answer;

static void
u16(unsigned v)
{
	msg.p[msg.n++] = (uint8_t)(v >> 8);
	msg.p[msg.n++] = (uint8_t)v;
}

static void
name(const char *text)
{
	struct dns_wire_name w;

	if (!dns_name_set(&w, lbd_str_c(text)))
		bail_out("%s is no name", text);
	memcpy(msg.p + msg.n, w.p, w.n);
	msg.n += w.n;
}

/* An answer to the question, of so many records. */
static void
begin(unsigned type, unsigned flags, unsigned answers, unsigned authority)
{
	q.id = 0x1234;
	q.type = (uint16_t)type;
	(void)dns_name_set(&q.name, LBD_STR("a.B"));
	msg.n = 0;
	u16(q.id);
	u16(0x8180 | flags);
	u16(1);
	u16(answers);
	u16(authority);
	u16(0);
	name("a.b");
	u16(type);
	u16(1);
}

/* The head of a record; its data follows. */
static void
record(const char *owner, unsigned type, unsigned ttl, unsigned n)
{
	name(owner);
	u16(type);
	u16(1);
	u16(ttl >> 16);
	u16(ttl & 0xffff);
	u16(n);
}

static void
address(const char *owner, unsigned ttl, unsigned last)
{
	record(owner, DNS_A, ttl, 4);
	u16(0x0a00);
	u16(last);
}

static void
alias(const char *owner, unsigned ttl, const char *to)
{
	record(owner, DNS_CNAME, ttl, (unsigned)strlen(to) + 2);
	name(to);
}

static int
reads(void)
{
	return dns_answer_read(&q, msg.p, msg.n, &answer);
}

static void
asks(void)
{
	static const char want[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
				   "\x01" "a\x01" "b\x00\x00\x1c\x00\x01"
				   "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
	static const char *const bad[] = { "", ".", "a..b", ".a", "a b", "a.b..", "\xff", "a/b" };
	struct dns_wire_name w;
	uint8_t buf[DNS_QUERY_MAX];
	char text[300];
	size_t n;

	q = (struct dns_question){ .id = 0x1234, .type = DNS_AAAA };
	ok(dns_name_set(&q.name, LBD_STR("A.b.")), "a name");
	n = dns_query_write(&q, buf);
	is_bytes(buf, n, want, sizeof(want) - 1, "the query, with EDNS0");
	for (size_t i = 0; i < LBD_ARRAY_LEN(bad); i++)
		ok(!dns_name_set(&w, lbd_str_c(bad[i])), "\"%s\" is no name", bad[i]);
	memset(text, 'x', sizeof(text));
	ok(dns_name_set(&w, lbd_str(text, 63)), "63 bytes are a label");
	ok(!dns_name_set(&w, lbd_str(text, 64)), "64 are none");
	for (size_t i = 1; i < sizeof(text); i += 2)
		text[i] = '.';
	ok(dns_name_set(&w, lbd_str(text, 253)), "253 bytes are a name");
	is_int(w.n, 255, "of 255 as sent");
	ok(!dns_name_set(&w, lbd_str(text, 255)), "more are none");
}

static void
believes(void)
{
	begin(DNS_A, 0, 3, 0);
	address("a.b", 60, 1);
	address("A.B", 30, 2);
	address("c.d", 5, 3);
	is_int(reads(), 0, "an answer");
	is_int(answer.result, DNS_OK, "with addresses");
	is_int(answer.n, 2, "of the name that was asked for, in any case, and of no other");
	is_int(answer.ttl, 30, "for the least of their times");
	is_bytes(answer.v[1].ip, 4, "\x0a\0\0\2", 4, "as they are");

	begin(DNS_A, 0, 4, 0);
	address("e.f", 90, 7);
	alias("c.d", 20, "e.f");
	alias("a.b", 50, "c.d");
	address("x.y", 1, 8);
	is_int(reads(), 0, "aliases");
	is_int(answer.n, 1, "are followed in any order");
	is_int(answer.ttl, 20, "for the least time on the way");

	begin(DNS_A, 0, 2, 0);
	alias("a.b", 50, "c.d");
	alias("c.d", 50, "a.b");
	is_int(reads(), 0, "aliases in a circle");
	is_int(answer.result, DNS_NO_DATA, "lead nowhere");

	begin(DNS_A, 0, 12, 0);
	for (char i = 'b'; i < 'b' + 11; i++) {
		char from[] = { 'a', '.', i, '\0' }, to[] = { 'a', '.', (char)(i + 1), '\0' };

		alias(from, 9, to);
	}
	address("a.m", 9, 1);
	is_int(reads(), 0, "eleven aliases");
	is_int(answer.n, 0, "are too many");

	begin(DNS_AAAA, 0, 1, 0);
	address("a.b", 9, 1);
	is_int(reads(), 0, "another type");
	is_int(answer.result, DNS_NO_DATA, "is not what was asked for");
	begin(DNS_A, 0, 1, 0);
	record("a.b", DNS_A, 0xffffffff, 3);
	u16(1);
	msg.n++;
	is_int(reads(), 0, "an address of three bytes");
	is_int(answer.n, 0, "is none");
}

static void
reads_services(void)
{
	begin(DNS_SRV, 0, 3, 0);
	record("a.b", DNS_SRV, 60, 6 + 5);
	u16(1);
	u16(20);
	u16(8080);
	name("x.y");
	record("a.b", DNS_SRV, 60, 6 + 4);
	u16(2);
	u16(0);
	u16(81);
	msg.p[msg.n++] = 1;
	msg.p[msg.n++] = 'Z';
	u16(0xc00c);
	record("a.b", DNS_SRV, 60, 7);
	u16(0);
	u16(0);
	u16(80);
	msg.p[msg.n++] = 0;
	is_int(reads(), 0, "services");
	is_int(answer.n, 2, "the one that says there is none is left out");
	is_bytes(answer.v[0].target, answer.v[0].target_n, "x.y", 3, "target");
	is_int(answer.v[0].port * 1000 + answer.v[0].weight * 10 + answer.v[0].priority, 8080201,
		"port, weight, priority");
	is_bytes(answer.v[1].target, answer.v[1].target_n, "z.a.b", 5, "a compressed target");
}

static void
says_none(void)
{
	static const struct {
		unsigned flags;
		enum dns_result want;
		const char *what;
	} t[] = {
		{ 0, DNS_NO_DATA, "no data" },
		{ 3, DNS_NO_NAME, "no name" },
		{ 2, DNS_FAILED, "SERVFAIL" },
		{ 5, DNS_FAILED, "REFUSED" },
		{ 0x200, DNS_TRUNCATED, "truncated" },
	};

	for (size_t i = 0; i < LBD_ARRAY_LEN(t); i++) {
		begin(DNS_A, t[i].flags, 0, 1);
		record("b", DNS_SOA, 60, 4 + 3 + 20);
		name("ns");
		name("r");
		for (unsigned k = 0; k < 5; k++) {
			u16(0);
			u16(17);
		}
		is_int(reads(), 0, "%s", t[i].what);
		is_int(answer.result, t[i].want, "... is what it says");
		if (i < 2)
			is_int(answer.ttl, 17, "... for as long as the zone has it");
	}
	begin(DNS_A, 3, 1, 0);
	address("a.b", 9, 1);
	is_int(reads(), 0, "no name, and an address");
	ok(answer.result == DNS_NO_NAME && answer.n == 0, "is no name");
}

static void
ignores_others(void)
{
	begin(DNS_A, 0, 1, 0);
	address("a.b", 60, 1);
	q.id ^= 1;
	is_int(reads(), -ENOMSG, "another id");
	q.id ^= 1;
	q.type = DNS_AAAA;
	is_int(reads(), -ENOMSG, "another type");
	q.type = DNS_A;
	(void)dns_name_set(&q.name, LBD_STR("a.c"));
	is_int(reads(), -ENOMSG, "another name");
	(void)dns_name_set(&q.name, LBD_STR("a.b"));
	is_int(reads(), 0, "its own");
	msg.p[2] &= 0x7f;
	is_int(reads(), -ENOMSG, "a question is no answer");
	msg.p[2] |= 0x80;
	msg.p[5] = 2;
	is_int(reads(), -ENOMSG, "two questions");
	msg.p[5] = 1;
	for (size_t n = msg.n; n-- > 0;)
		if (dns_answer_read(&q, msg.p, n, &answer) == 0)
			fail("%zu of %zu bytes are believed", n, msg.n);
	pass("what is cut is refused");
}

/* Names that lead to themselves, forwards, or out. */
static void
refuses_loops(void)
{
	static const unsigned pointers[] = { 0xc015, 0xc017, 0xc0ff, 0xffff, 0xc016 };

	for (size_t i = 0; i < LBD_ARRAY_LEN(pointers); i++) {
		begin(DNS_A, 0, 1, 0);
		u16(pointers[i]); /* at 21 = 0x15 */
		u16(0xc015);
		for (unsigned k = 0; k < 20; k++)
			u16(0);
		is_int(reads(), -EBADMSG, "a name at %x", pointers[i]);
	}
	begin(DNS_A, 0, 1, 0);
	msg.p[msg.n++] = 0x80;
	for (unsigned k = 0; k < 200; k++)
		u16(0);
	is_int(reads(), -EBADMSG, "a label of an unknown kind");
}

static void
bounds(void)
{
	begin(DNS_A, 0, 3000, 0);
	for (unsigned i = 0; i < 3000; i++)
		address("a.b", 60, i);
	is_int(reads(), 0, "three thousand addresses");
	is_int(answer.n, DNS_RECORDS_MAX, "are as many as we take");
	begin(DNS_A, 0, 100, 0);
	for (unsigned i = 0; i < 100; i++)
		address("a.b", 0, i);
	is_int(reads(), 0, "a hundred");
	ok(answer.n == 100 && answer.ttl == 0, "are all taken, for no time at all");
}

int
main(void)
{
	asks();
	believes();
	reads_services();
	says_none();
	ignores_others();
	refuses_loops();
	bounds();
	return done_testing();
}
