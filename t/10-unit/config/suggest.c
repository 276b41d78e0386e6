/* SPDX-License-Identifier: MIT */

/*
 * Which word is near enough to be suggested.
 */

#include "core/config/suggest.h"
#include "t/lib/tap.h"

static const char *const words[] = { "listen",           "listing", "root", "proxy_pass",
				     "proxy_set_header", "on",      "off" };

static void
suggests(const char *word, const char *want)
{
	struct suggest s;
	size_t i;

	suggest_init(&s, lbd_str_c(word));
	for (i = 0; i < LBD_ARRAY_LEN(words); i++)
		suggest_try(&s, lbd_str_c(words[i]));
	if (want == NULL)
		ok(s.found.p == NULL, "nothing is near \"%s\"", word);
	else
		is_str(s.found, want, "near \"%s\"", word);
}

int
main(void)
{
	char long_word[300];

	suggests("lisen", "listen");
	suggests("lsiten", "listen");
	suggests("Listen", "listen");
	suggests("listin", "listing");
	suggests("roo", "root");
	suggests("rooot", "root");
	suggests("rt", NULL);
	suggests("toor", NULL);
	suggests("proxy_pas", "proxy_pass");
	suggests("prxoy_psas", "proxy_pass");
	suggests("proxysetheader", "proxy_set_header");
	suggests("of", "off");
	suggests("", NULL);
	suggests("o", NULL);
	suggests("upstream", NULL);
	memset(long_word, 'a', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	suggests(long_word, NULL);
	return done_testing();
}
