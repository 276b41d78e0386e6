/* SPDX-License-Identifier: MIT */

/*
 * SipHash-2-4: a keyed hash for keys that a client can choose.
 */

#ifndef LBD_CORE_BASE_SIPHASH_H
#define LBD_CORE_BASE_SIPHASH_H

#include <lbd/str.h>

struct siphash_key {
	uint64_t k[2];
};

/* A key no client knows: from the random bytes the kernel gives each program. Survives fork. */
struct siphash_key siphash_process_key(void);

uint64_t siphash(const struct siphash_key *key, const void *p, size_t n);

/* As siphash() of the bytes with ASCII letters in lower case. */
uint64_t siphash_nocase(const struct siphash_key *key, const char *p, size_t n);

#endif
