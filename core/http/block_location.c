/* SPDX-License-Identifier: MIT */

/*
 * location blocks: which forms there are, and which may stand in which.  The rules of nesting are
 * nginx's.  How a location is found is decided in route_location.c.
 */

#include "core/http/block.h"
#include "core/var/var.h"

int
block_complain_twice(struct lbd_conf *cf, const struct http_location *twice,
	const struct http_location *first)
{
	if (twice == NULL)
		return 0;
	return bind_error_at(bind_config(cf), twice->node, twice->node->argc - 1,
		"location \"%.*s\" is given twice; first at %s:%u", LBD_FMT(twice->name),
		first->node->src->name, first->node->args[0].line);
}

/* ---- the name ------------------------------------------------------------------------------- */

struct form {
	const char *mark;
	enum location_kind kind;
	bool caseless;
};

/* Longer marks before those they begin with.  */
static const struct form forms[] = {
	{ "=", LOCATION_EXACT, false },
	{ "^~", LOCATION_PREFERRED, false },
	{ "~*", LOCATION_REGEX, true },
	{ "~", LOCATION_REGEX, false },
};

/* "~ pattern" in two words, or "~pattern" and "@name" in one.  */
static int
read_name(struct lbd_conf *cf, struct http_location *loc, bool *caseless)
{
	struct lbd_str word = lbd_conf_arg(cf, 1);
	bool two = lbd_conf_argc(cf) > 2;

	loc->kind = LOCATION_PREFIX;
	loc->name = two ? lbd_conf_arg(cf, 2) : word;
	for (size_t i = 0; i < LBD_ARRAY_LEN(forms); i++) {
		struct lbd_str mark = lbd_str_c(forms[i].mark);

		if (two ? !lbd_str_eq(word, mark) : !lbd_str_starts(word, mark))
			continue;
		loc->kind = forms[i].kind;
		*caseless = forms[i].caseless;
		if (!two)
			loc->name = lbd_str_skip(word, mark.n);
		return 0;
	}
	if (two)
		return lbd_conf_error(cf, 1,
			"\"%.*s\" is no location modifier; allowed are =, ~, ~*, ^~",
			LBD_FMT(word));
	if (word.n > 0 && word.p[0] == '@')
		loc->kind = LOCATION_NAMED;
	return 0;
}

static int
check_name(struct lbd_conf *cf, const struct http_location *loc)
{
	unsigned arg = lbd_conf_argc(cf) - 1;
	struct lbd_str name = loc->name;

	if (name.n == 0 || (loc->kind == LOCATION_NAMED && name.n == 1))
		return lbd_conf_error(cf, arg, "a location needs a name");
	if (loc->kind != LOCATION_REGEX && loc->kind != LOCATION_NAMED && name.p[0] != '/')
		lbd_conf_warn(cf, arg, "location \"%.*s\" matches nothing: paths begin with \"/\"",
			LBD_FMT(name));
	return 0;
}

/* What may stand in the location around it.  */
static int
check_nesting(struct lbd_conf *cf, const struct http_location *loc)
{
	const struct http_location *outer = loc->parent;
	unsigned arg = lbd_conf_argc(cf) - 1;

	if (outer == NULL)
		return 0;
	if (outer->kind == LOCATION_EXACT || outer->kind == LOCATION_NAMED)
		return lbd_conf_error(cf, arg,
			"location \"%.*s\" cannot be inside the %s location \"%.*s\"",
			LBD_FMT(loc->name), outer->kind == LOCATION_EXACT ? "exact" : "named",
			LBD_FMT(outer->name));
	if (loc->kind == LOCATION_NAMED)
		return lbd_conf_error(cf, arg,
			"named location \"%.*s\" can be on the server level only",
			LBD_FMT(loc->name));
	if (loc->kind != LOCATION_REGEX && !lbd_str_starts(loc->name, outer->name))
		return lbd_conf_error(cf, arg, "location \"%.*s\" is outside location \"%.*s\"",
			LBD_FMT(loc->name), LBD_FMT(outer->name));
	return 0;
}

/* ---- the block ------------------------------------------------------------------------------ */

int
regex_define_names(struct lbd_conf *cf, unsigned arg, const struct lbd_regex *re)
{
	for (unsigned k = 0; k < lbd_regex_names(re); k++) {
		unsigned group;

		if (var_define(cf, arg, lbd_regex_name(re, k, &group)) < 0)
			return -1;
	}
	return 0;
}

static int
add_named(struct lbd_conf *cf, struct server_block *s, struct http_location *loc)
{
	const struct http_location *first = map_get(&s->pub.named, loc->name);

	if (first != NULL)
		return block_complain_twice(cf, loc, first);
	if (map_put(&s->pub.named, loc->name, loc) < 0)
		return lbd_conf_error(cf, 0, "out of memory");
	return 0;
}

/* Puts loc where it will be searched for.  */
static int
location_add(struct lbd_conf *cf, struct http_level *outer, struct http_location *loc,
	bool caseless)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	unsigned arg = lbd_conf_argc(cf) - 1;

	if (loc->kind == LOCATION_NAMED)
		return add_named(cf, outer->server, loc);
	if (loc->kind == LOCATION_REGEX) {
		loc->regex = lbd_regex_compile(cf, arg, loc->name, caseless);
		if (loc->regex == NULL || regex_define_names(cf, arg, loc->regex) < 0)
			return -1;
	}
	if (outer->tree == NULL)
		outer->tree = location_tree_create(pool);
	if (outer->tree == NULL || !location_tree_add(outer->tree, pool, loc))
		return lbd_conf_error(cf, 0, "out of memory");
	return 0;
}

static int
location_walk(struct lbd_conf *cf, struct level *level, struct http_level *l)
{
	struct http_location *twice = NULL, *first = NULL;
	int rc = bind_walk(cf, LBD_LOCATION, level);

	if (l->tree == NULL)
		return rc;
	if (!location_tree_finish(l->tree, lbd_conf_pool(cf), &twice, &first))
		return lbd_conf_error(cf, 0, "out of memory");
	l->conf.location->tree = l->tree;
	return block_complain_twice(cf, twice, first) < 0 ? -1 : rc;
}

int
set_location(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_level *outer = conf, *l;
	struct http_location *loc = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*loc));
	struct level *level = block_level(cf, bind_current(cf), &l);
	bool caseless = false;
	int rc;

	(void)d;
	if (level == NULL || loc == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	loc->node = bind_node(cf);
	loc->parent = outer->conf.location;
	loc->conf = &l->conf;
	l->conf.location = loc;
	if (read_name(cf, loc, &caseless) < 0)
		return -1;
	rc = check_name(cf, loc);
	if (rc == 0)
		rc = check_nesting(cf, loc);
	if (rc == 0)
		rc = location_add(cf, outer, loc, caseless);
	return location_walk(cf, level, l) < 0 ? -1 : rc;
}

/* The methods as requests name them; GET is HEAD, too. */
static int
read_methods(struct lbd_conf *cf, struct http_except *except)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	unsigned argc = lbd_conf_argc(cf);

	except->methods = lbd_pool_zalloc(pool, 2 * argc * sizeof(*except->methods));
	if (except->methods == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	for (unsigned i = 1; i < argc; i++) {
		struct lbd_str word = lbd_conf_arg(cf, i);
		char *upper = lbd_pool_bytes(pool, word.n);

		if (!lbd_field_name_ok(word))
			return lbd_conf_error(cf, i, "\"%.*s\" is no method", LBD_FMT(word));
		if (upper == NULL)
			return lbd_conf_error(cf, i, "out of memory");
		for (size_t k = 0; k < word.n; k++)
			upper[k] = word.p[k] >= 'a' && word.p[k] <= 'z' ? word.p[k] - 'a' + 'A' :
										word.p[k];
		except->methods[except->n++] = lbd_str(upper, word.n);
		if (lbd_str_ieq(word, LBD_STR("GET")))
			except->methods[except->n++] = LBD_STR("HEAD");
	}
	return 0;
}

int
set_limit_except(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct http_location *outer = ((struct http_level *)conf)->conf.location;
	struct http_location *loc = lbd_pool_zalloc(pool, sizeof(*loc));
	struct http_except *except = lbd_pool_zalloc(pool, sizeof(*except));
	struct http_level *l;
	struct level *level = block_level(cf, bind_current(cf), &l);
	int rc;

	(void)d;
	if (loc == NULL || except == NULL || level == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	*loc = (struct http_location){ .kind = LOCATION_IF, .name = outer->name, .parent = outer,
		.node = bind_node(cf), .conf = &l->conf };
	l->conf.location = loc;
	except->location = loc;
	outer->except = except;
	rc = read_methods(cf, except);
	return bind_walk(cf, LBD_LIMIT_EXCEPT, level) < 0 ? -1 : rc;
}

int
set_internal(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)cf, (void)d;
	((struct http_level *)conf)->conf.internal = true;
	return 0;
}

/* ---- for modules ---------------------------------------------------------------------------- */

int
lbd_http_set_content(struct lbd_conf *cf, const struct lbd_http_content *content)
{
	struct http_level *l = level_of(cf);

	if (l == NULL)
		return lbd_conf_error(cf, 0, "\"%s\" needs a location", content->name);
	if (l->conf.content != NULL)
		return lbd_conf_error(cf, 0, "\"%s\" is a duplicate: \"%s\" answers here already",
			content->name, l->conf.content->name);
	l->conf.content = content;
	return 0;
}

struct lbd_str
lbd_http_location_prefix(const struct lbd_conf *cf, bool *is_pattern)
{
	const struct http_level *l = level_of(cf);
	const struct http_location *loc = l == NULL ? NULL : l->conf.location;

	*is_pattern = loc != NULL && (loc->kind == LOCATION_REGEX || loc->kind == LOCATION_NAMED ||
					     loc->kind == LOCATION_IF);
	return loc == NULL ? LBD_STR("") : loc->name;
}
