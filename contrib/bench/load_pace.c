/* SPDX-License-Identifier: MIT */

/*
 * When the next request is due if they come by themselves: exponentially distributed, from a fixed
 * seed, so that every target meets the same crowd.
 */

#include "load.h"

#include <math.h>

double
pace_interval_ns(double rate)
{
	static uint64_t seed = 88172645463325252ULL;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return -log((double)(seed >> 11) / 9007199254740992.0 + 1e-16) * 1e9 / rate;
}
