/* SPDX-License-Identifier: MIT */

/*
 * Randomness: the kernel's for secrets, a small generator (xoshiro256**, Blackman and Vigna) for
 * spreading load.
 */

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/os/rand.h"

static struct {
	uint64_t s[4];
	bool seeded;
	bool watches_fork;
} state;

int
rand_bytes(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0) {
			at += got;
			n -= (size_t)got;
		}
	}
	return 0;
}

static void
forget_seed(void)
{
	state.seeded = false; /* in a child: it must not repeat its parent's numbers */
}

static uint64_t
splitmix(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void
rand_seed(uint64_t x)
{
	for (int i = 0; i < 4; i++)
		state.s[i] = splitmix(&x);
	state.seeded = true;
}

static void
seed(void)
{
	struct timespec ts = { 0, 0 };
	uint64_t x;

	if (!state.watches_fork)
		state.watches_fork = pthread_atfork(NULL, NULL, forget_seed) == 0;
	if (rand_bytes(&x, sizeof(x)) < 0) {
		/* no getrandom (a seccomp filter): load is spread all the same */
		(void)clock_gettime(CLOCK_REALTIME, &ts);
		x = (uint64_t)ts.tv_nsec << 32 ^ (uint64_t)ts.tv_sec ^ (uint64_t)getpid() << 16;
	}
	rand_seed(x);
}

static uint64_t
rotl(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

uint64_t
rand_u64(void)
{
	uint64_t *s = state.s;
	uint64_t result, t;

	if (LBD_UNLIKELY(!state.seeded))
		seed();
	result = rotl(s[1] * 5, 7) * 9;
	t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

uint32_t
rand_below(uint32_t n)
{
	/* the high half of a product is even but for 1 in 2^32 */
	return (uint32_t)((rand_u64() >> 32) * n >> 32);
}
