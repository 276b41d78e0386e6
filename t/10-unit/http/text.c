/* SPDX-License-Identifier: MIT */

/*
 * The end of a run of text: every length, every place of the byte that ends it, every byte.
 */

#include <stdlib.h>

#include "core/http/text.h"
#include "t/lib/tap.h"

enum { LENGTH_MAX = 70 };

static bool
ends(uint8_t c, uint8_t limit)
{
	return c < limit || c == 0x7f;
}

/* In memory of exactly that size, so that AddressSanitizer sees a byte too much. */
static unsigned
wrong_places(size_t n, uint8_t c)
{
	char *p = malloc(n + 1);
	unsigned wrong = 0;

	for (size_t at = 0; p != NULL && at <= n; at++) {
		const char *end;

		memset(p, 'x', n);
		if (at < n)
			p[at] = (char)c;
		end = p + n;
		wrong += text_control(p, end) != p + (ends(c, 0x20) ? at : n);
		wrong += text_blank(p, end) != p + (ends(c, 0x21) ? at : n);
	}
	free(p);
	return wrong;
}

/* Names of letters, digits and "-": where the vectors give up, and what they never take. */
static unsigned
wrong_names(void)
{
	unsigned wrong = 0;

	for (unsigned c = 0; c < 256; c++) {
		bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			(c >= 'A' && c <= 'Z') || c == '-';

		for (size_t at = 0; at < TEXT_BLOCK; at++) {
			char p[TEXT_BLOCK];
			size_t n;

			memset(p, 'x', sizeof(p));
			p[at] = (char)c;
			n = text_plain_name(p);
			wrong += n > (plain ? TEXT_BLOCK : at);
		}
	}
	return wrong;
}

int
main(void)
{
	unsigned wrong = 0;

	for (size_t n = 0; n <= LENGTH_MAX; n++)
		wrong += wrong_places(n, '\r') + wrong_places(n, 0x7f);
	is_int(wrong, 0, "every length and place");
	wrong = 0;
	for (unsigned c = 0; c < 256; c++)
		wrong += wrong_places(7, (uint8_t)c) + wrong_places(13, (uint8_t)c) +
			wrong_places(33, (uint8_t)c);
	is_int(wrong, 0, "every byte");
	is_int(wrong_names(), 0, "a name holds nothing else");
	return done_testing();
}
