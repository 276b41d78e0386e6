/* SPDX-License-Identifier: MIT */

/*
 * SipHash-2-4 as its authors describe it (Aumasson, Bernstein, 2012).
 */

#include <endian.h>
#include <sys/auxv.h>

#include "core/base/ascii.h"
#include "core/base/siphash.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotl(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline void
sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static inline void
sip_word(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

static inline uint64_t
load_word(const uint8_t *p, size_t n, bool nocase)
{
	uint64_t m = 0;
	size_t i;

	if (n == 8 && !nocase) {
		memcpy(&m, p, 8);
		return le64toh(m);
	}
	for (i = 0; i < n; i++)
		m |= (uint64_t)(nocase ? ascii_lowers[p[i]] : p[i]) << (8 * i);
	return m;
}

static inline uint64_t
sip_hash(const struct siphash_key *key, const uint8_t *p, size_t n, bool nocase)
{
	struct sip s = {
		key->k[0] ^ 0x736f6d6570736575ull, key->k[1] ^ 0x646f72616e646f6dull,
		key->k[0] ^ 0x6c7967656e657261ull, key->k[1] ^ 0x7465646279746573ull,
	};
	uint64_t last = (uint64_t)n << 56;
	int i;

	for (; n >= 8; p += 8, n -= 8)
		sip_word(&s, load_word(p, 8, nocase));
	if (n > 0)
		last |= load_word(p, n, nocase);
	sip_word(&s, last);

	s.v2 ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t
siphash(const struct siphash_key *key, const void *p, size_t n)
{
	return sip_hash(key, p, n, false);
}

uint64_t
siphash_nocase(const struct siphash_key *key, const char *p, size_t n)
{
	return sip_hash(key, (const uint8_t *)p, n, true);
}

struct siphash_key
siphash_process_key(void)
{
	/* AT_RANDOM seeds the C library's stack guard too, so only a hash of it is used */
	const void *seed = (const void *)getauxval(AT_RANDOM);
	struct siphash_key raw = { { 0, 0 } };
	struct siphash_key key;

	if (seed != NULL)
		memcpy(&raw, seed, sizeof(raw));
	key.k[0] = siphash(&raw, "lbd map key 0", 13);
	key.k[1] = siphash(&raw, "lbd map key 1", 13);
	return key;
}
