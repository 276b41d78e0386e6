/* SPDX-License-Identifier: MIT */

/*
 * What "env" leaves of the environment.
 */

#include <unistd.h>

#include "core/proc/conf.h"
#include "tap.h"

int
main(void)
{
	/* env A; env B=1; env C=old; env C=new; env TZ=UTC;  in reverse order, as they are kept */
	struct env_conf a = { .name = "T_A" };
	struct env_conf b = { .name = "T_B", .value = "1", .next = &a };
	struct env_conf c1 = { .name = "T_C", .value = "old", .next = &b };
	struct env_conf c2 = { .name = "T_C", .value = "new=er", .next = &c1 };
	struct core_conf core = { .env = &c2 };
	unsigned n = 0;

	setenv("TZ", "Europe/Berlin", 1);
	setenv("T_A", "kept", 1);
	setenv("T_AB", "longer name", 1);
	setenv("T_B", "inherited", 1);
	unsetenv("T_C");
	setenv("T_D", "dropped", 1);
	is_int(conf_apply_env(&core), 0, "applied");
	is_cstr(getenv("TZ"), "Europe/Berlin", "TZ stays by itself");
	is_cstr(getenv("T_A"), "kept", "what is named stays");
	is_cstr(getenv("T_B"), "1", "a value replaces what was inherited");
	is_cstr(getenv("T_C"), "new=er", "the last value counts");
	ok(getenv("T_AB") == NULL, "a name that begins like a kept one goes");
	ok(getenv("T_D") == NULL, "everything else goes");
	ok(getenv("PATH") == NULL, "even PATH");
	for (char **e = environ; *e != NULL; e++)
		n++;
	is_int(n, 4, "that is all");

	core.env = NULL;
	is_int(conf_apply_env(&core), 0, "without \"env\"");
	is_cstr(getenv("TZ"), "Europe/Berlin", "TZ stays");
	ok(getenv("T_A") == NULL, "nothing else does");
	environ = NULL;
	is_int(conf_apply_env(&core), 0, "no environment at all");
	ok(getenv("TZ") == NULL, "stays none");
	return done_testing();
}
