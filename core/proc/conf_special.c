/* SPDX-License-Identifier: MIT */

/*
 * Directives of the main level that take more than a few lines to read:
 * worker_cpu_affinity, env, control.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/config/bind.h"
#include "core/os/priv.h"
#include "core/os/proc.h"
#include "core/proc/conf.h"

/* "0101": the rightmost digit is CPU 0 */
static int
read_mask(struct lbd_conf *cf, unsigned arg, struct cpu_set_conf *set)
{
	struct lbd_str s = lbd_conf_arg(cf, arg);

	if (s.n == 0 || s.n > PROC_CPUS_MAX)
		return lbd_conf_error(cf, arg, "CPU mask has %zu digits; allowed are 1 to %d", s.n,
			PROC_CPUS_MAX);
	set->n = 0;
	set->cpus = lbd_pool_alloc(lbd_conf_pool(cf), s.n * sizeof(int));
	if (set->cpus == NULL)
		return lbd_conf_error(cf, arg, "out of memory");
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[s.n - 1 - i];

		if (c == '1')
			set->cpus[set->n++] = (int)i;
		else if (c != '0')
			return lbd_conf_error(cf, arg,
				"CPU mask \"%.*s\" has digits other than 0 and 1",
				LBD_FMT(s));
	}
	if (set->n == 0)
		return lbd_conf_error(cf, arg, "CPU mask \"%.*s\" has no CPU", LBD_FMT(s));
	return 0;
}

int
conf_set_affinity(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct affinity_conf *a = &((struct core_conf *)conf)->affinity;
	unsigned argc = lbd_conf_argc(cf), first = 1;

	(void)d;
	a->kind = AFFINITY_MASKS;
	if (lbd_str_eq(lbd_conf_arg(cf, 1), LBD_STR("auto"))) {
		a->kind = AFFINITY_AUTO;
		first = 2;
		if (argc > 3)
			return lbd_conf_error(cf, 3, "\"auto\" takes one CPU mask, %u given",
				argc - 2);
	}
	a->n = argc - first;
	a->sets = lbd_pool_zalloc(lbd_conf_pool(cf), a->n * sizeof(*a->sets));
	if (a->sets == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	for (unsigned i = 0; i < a->n; i++)
		if (read_mask(cf, first + i, &a->sets[i]) < 0)
			return -1;
	return 0;
}

/* "0660": rights to read and write are all a socket has */
static bool
read_mode(struct lbd_str s, mode_t *out)
{
	mode_t mode = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '7')
			return false;
		mode = mode * 8 + (mode_t)(s.p[i] - '0');
	}
	*out = mode;
	return s.n > 0 && s.n <= 4 && mode <= 0777;
}

int
conf_set_control(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct control_conf *control = &((struct core_conf *)conf)->control;
	struct lbd_str s = lbd_conf_arg(cf, 1), v;
	unsigned argc = lbd_conf_argc(cf);
	bool mode_given = false;

	(void)d;
	if (lbd_str_eq(s, LBD_STR("off"))) {
		control->off = true;
		return argc == 2 ? 0 : lbd_conf_error(cf, 2, "\"off\" takes no parameters");
	}
	if (!lbd_str_starts(s, LBD_STR("unix:")) || s.n == 5)
		return lbd_conf_error(cf, 1,
			"\"control\" is \"%.*s\"; allowed are unix:path and off", LBD_FMT(s));
	control->path = lbd_conf_prefix_path(cf, lbd_str_skip(s, 5));
	if (control->path.n >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return lbd_conf_error(cf, 1, "the path of a UNIX socket may have %zu bytes",
			sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	for (unsigned i = 2; i < argc; i++) {
		if (lbd_conf_param(cf, i, "group", &v)) {
			control->group = lbd_pool_cstr(lbd_conf_pool(cf), v);
			if (control->group == NULL)
				return lbd_conf_error(cf, i, "out of memory");
			if (priv_group(control->group, &control->gid) < 0)
				return lbd_conf_error(cf, i, "group \"%s\" does not exist",
					control->group);
		} else if (lbd_conf_param(cf, i, "mode", &v)) {
			if (!read_mode(v, &control->mode))
				return lbd_conf_error(cf, i, "\"%.*s\" is not an octal mode",
					LBD_FMT(v));
			mode_given = true;
		} else {
			return lbd_conf_error(cf, i,
				"unknown parameter \"%.*s\"; allowed are mode=octal and "
				"group=name", LBD_FMT(lbd_conf_arg(cf, i)));
		}
	}
	if (!mode_given)
		control->mode = control->group != NULL ? 0660 : 0600;
	return control->path.p != NULL ? 0 : lbd_conf_error(cf, 1, "out of memory");
}

int
conf_set_env(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct core_conf *core = conf;
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct lbd_str s = lbd_conf_arg(cf, 1);
	ptrdiff_t eq = lbd_str_find(s, '=', 0);
	struct env_conf *e = lbd_pool_zalloc(pool, sizeof(*e));

	(void)d;
	if (s.n == 0 || eq == 0)
		return lbd_conf_error(cf, 1, "\"env\" needs the name of a variable");
	if (e == NULL)
		return lbd_conf_error(cf, 1, "out of memory");
	e->name = lbd_pool_cstr(pool, eq < 0 ? s : lbd_str_head(s, (size_t)eq));
	if (eq > 0)
		e->value = lbd_pool_cstr(pool, lbd_str_skip(s, (size_t)eq + 1));
	if (lbd_pool_failed(pool))
		return lbd_conf_error(cf, 1, "out of memory");
	e->next = core->env;
	core->env = e;
	return 0;
}

static bool
is_kept(const struct core_conf *core, const char *entry)
{
	size_t n = strcspn(entry, "=");

	if (n == 2 && memcmp(entry, "TZ", 2) == 0)
		return true;
	for (const struct env_conf *e = core->env; e != NULL; e = e->next)
		if (e->value == NULL && strlen(e->name) == n && memcmp(e->name, entry, n) == 0)
			return true;
	return false;
}

int
conf_apply_env(const struct core_conf *core)
{
	/*
	 * What was there first stays, because who made it may go on owning it; volatile, or the
	 * compiler would see that nobody reads it, and leak checkers that nobody has it.
	 */
	static char **volatile first, **volatile reduced;
	char **from = environ, **to;
	size_t n = 0, kept = 0;

	while (from != NULL && from[n] != NULL)
		n++;
	to = calloc(n + 1, sizeof(*to));
	if (to == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (is_kept(core, from[i]))
			to[kept++] = from[i];
	environ = to;
	if (first == NULL)
		first = from;
	free(reduced);
	reduced = to;
	/* the list is in reverse order, so what was written last comes first */
	for (const struct env_conf *e = core->env; e != NULL; e = e->next)
		if (e->value != NULL && setenv(e->name, e->value, 0) < 0)
			return -errno;
	return 0;
}
