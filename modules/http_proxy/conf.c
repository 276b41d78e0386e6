/* SPDX-License-Identifier: MIT */

/*
 * Directives that make lists or derive something, and what each level derives when it is complete.
 */

#include "proxy.h"

/* Appends row to the singly linked list whose first pointer is at list; next is each row's first member. */
void
proxy_list_append(void *list, void *row)
{
	void **at = list;

	while (*at != NULL)
		at = *at;
	*at = row;
}

static void *
row_new(struct lbd_conf *cf, size_t size)
{
	return lbd_pool_zalloc(lbd_conf_pool(cf), size);
}

/* --- names --- */

static uint64_t
id_bit(enum lbd_field_id id)
{
	_Static_assert(LBD_FIELD_COUNT <= 64, "known names fit a word");
	return (uint64_t)1 << id;
}

static bool
names_add(struct lbd_conf *cf, struct proxy_names *names, struct lbd_str name)
{
	enum lbd_field_id id = lbd_field_id_of(name);
	struct proxy_name *row;

	if (id != LBD_FIELD_OTHER) {
		names->ids |= id_bit(id);
		return true;
	}
	row = row_new(cf, sizeof(*row));
	if (row == NULL)
		return false;
	row->name = name;
	row->next = names->more;
	names->more = row;
	return true;
}

static bool
names_has(const struct proxy_names *names, enum lbd_field_id id, struct lbd_str name)
{
	const struct proxy_name *row;

	if (id != LBD_FIELD_OTHER)
		return (names->ids & id_bit(id)) != 0;
	for (row = names->more; row != NULL; row = row->next) {
		if (lbd_str_ieq(row->name, name))
			return true;
	}
	return false;
}

bool
proxy_names_has(const struct proxy_names *names, const struct lbd_field *f)
{
	return names_has(names, (enum lbd_field_id)f->id, f->name);
}

/* proxy_hide_header, proxy_pass_header: d->offset is the list. */
int
proxy_set_name(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_name *row = row_new(cf, sizeof(*row));

	if (!lbd_field_name_ok(lbd_conf_arg(cf, 1)))
		return lbd_conf_error(cf, 1, "\"%.*s\" is not a field name", LBD_FMT(lbd_conf_arg(cf, 1)));
	if (row == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	row->name = lbd_conf_arg(cf, 1);
	proxy_list_append((char *)conf + d->offset, row);
	return 0;
}

/* --- proxy_set_header --- */

/* What lbd writes itself whatever is said. */
static bool
is_framing(enum lbd_field_id id)
{
	return id == LBD_FIELD_CONTENT_LENGTH || id == LBD_FIELD_TRANSFER_ENCODING ||
		id == LBD_FIELD_EXPECT || id == LBD_FIELD_KEEP_ALIVE || id == LBD_FIELD_PROXY_CONNECTION ||
		id == LBD_FIELD_TRAILER;
}

int
proxy_set_header(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_conf *c = conf;
	struct proxy_header *h = row_new(cf, sizeof(*h));
	struct lbd_str text;

	(void)d;
	if (h == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	h->name = lbd_conf_arg(cf, 1);
	h->id = lbd_field_id_of(h->name);
	if (!lbd_field_name_ok(h->name))
		return lbd_conf_error(cf, 1, "\"%.*s\" is not a field name", LBD_FMT(h->name));
	h->value = lbd_value_arg(cf, 2);
	if (h->value == NULL)
		return -1;
	if (lbd_value_const(h->value, &text)) {
		if (!lbd_field_value_ok(text))
			return lbd_conf_error(cf, 2, "a field value cannot hold CR, LF or NUL");
		if (is_framing(h->id) && text.n > 0)
			lbd_conf_warn(cf, 1, "\"%.*s\" is made by lbd for each message; this value is not used",
				LBD_FMT(h->name));
	}
	proxy_list_append(&c->set_headers, h);
	return 0;
}

static unsigned
headers_count(const struct proxy_header *h)
{
	unsigned n = 0;

	for (; h != NULL; h = h->next)
		n++;
	return n;
}

/* The plan of a level: its own lines, then those of outer that it does not name. */
static const struct proxy_plan *
plan_make(struct lbd_conf *cf, const struct proxy_header *own, const struct proxy_plan *outer)
{
	struct proxy_plan *plan = row_new(cf, sizeof(*plan));
	unsigned room = headers_count(own) + (outer == NULL ? 0 : outer->n);

	if (plan == NULL || (plan->v = row_new(cf, sizeof(*plan->v) * room)) == NULL)
		return NULL;
	for (; own != NULL; own = own->next) {
		plan->v[plan->n++] = own;
		if (!names_add(cf, &plan->names, own->name))
			return NULL;
	}
	for (unsigned i = 0; outer != NULL && i < outer->n; i++) {
		const struct proxy_header *h = outer->v[i];

		if (names_has(&plan->names, h->id, h->name))
			continue;
		plan->v[plan->n++] = h;
	}
	for (unsigned i = 0; i < plan->n; i++) {
		if (!names_has(&plan->names, plan->v[i]->id, plan->v[i]->name) &&
			!names_add(cf, &plan->names, plan->v[i]->name))
			return NULL;
	}
	return plan;
}

static bool
ready_plan(struct lbd_conf *cf, struct proxy_conf *c, const struct proxy_conf *outer)
{
	const struct proxy_plan *outer_plan = outer == NULL ? NULL : outer->plan;
	bool given = c->set_headers != NULL && (outer == NULL || c->set_headers != outer->set_headers);

	if (!given && outer_plan != NULL && c->set_header_inherit != 0) {
		c->plan = outer_plan;
		return true;
	}
	c->plan = plan_make(cf, given ? c->set_headers : NULL,
		given && c->set_header_inherit == 2 ? outer_plan : NULL);
	return c->plan != NULL;
}

/* --- what is hidden of responses --- */

static const char *const hidden_always[] = {
	"Date", "Server", "X-Pad", "X-Accel-Expires", "X-Accel-Redirect", "X-Accel-Limit-Rate",
	"X-Accel-Buffering", "X-Accel-Charset",
};

static bool
list_has(const struct proxy_name *list, struct lbd_str name)
{
	for (; list != NULL; list = list->next) {
		if (lbd_str_ieq(list->name, name))
			return true;
	}
	return false;
}

static bool
ready_hidden(struct lbd_conf *cf, struct proxy_conf *c, const struct proxy_conf *outer)
{
	const struct proxy_name *row;

	if (outer != NULL && c->hide == outer->hide && c->pass == outer->pass) {
		c->hidden = outer->hidden;
		return true;
	}
	c->hidden = (struct proxy_names){ 0, NULL };
	for (size_t i = 0; i < LBD_ARRAY_LEN(hidden_always); i++) {
		struct lbd_str name = lbd_str_c(hidden_always[i]);

		if (!list_has(c->pass, name) && !names_add(cf, &c->hidden, name))
			return false;
	}
	for (row = c->hide; row != NULL; row = row->next) {
		if (!names_add(cf, &c->hidden, row->name))
			return false;
	}
	return true;
}

int
proxy_ready(struct lbd_conf *cf, enum lbd_level_kind kind, void *conf, const void *outer)
{
	struct proxy_conf *c = conf;

	if (kind != LBD_LEVEL_HTTP)
		return 0;
	if (!ready_plan(cf, c, outer) || !ready_hidden(cf, c, outer))
		return lbd_conf_error(cf, 0, "out of memory");
	c->queue_max = c->buffer_size + (size_t)c->buffers.n * c->buffers.size;
	if (c->queue_max < PROXY_QUEUE_MIN)
		c->queue_max = PROXY_QUEUE_MIN;
	return 0;
}

/* --- proxy_next_upstream and its backoff --- */

static const struct {
	const char *word;
	uint32_t when;
} next_words[] = {
	{ "error", NEXT_ERROR | NEXT_REUSED }, { "timeout", NEXT_TIMEOUT },
	{ "invalid_header", NEXT_INVALID }, { "denied", NEXT_DENIED },
	{ "non_idempotent", NEXT_NON_IDEMPOTENT }, { "no_live", NEXT_NO_LIVE },
	{ "reused", NEXT_REUSED }, { "off", NEXT_OFF },
};

/* "http_503": marks the status. */
static bool
next_status(struct proxy_next *n, struct lbd_str word)
{
	uint64_t code;

	if (!lbd_str_starts(word, LBD_STR("http_")) ||
		!lbd_str_to_u64(lbd_str_skip(word, 5), NEXT_CODE_MAX, &code) || code < NEXT_CODE_MIN)
		return false;
	code -= NEXT_CODE_MIN;
	n->codes[code / 64] |= (uint64_t)1 << code % 64;
	n->when |= NEXT_STATUS;
	return true;
}

static bool
next_word(struct proxy_next *n, struct lbd_str word)
{
	for (size_t i = 0; i < LBD_ARRAY_LEN(next_words); i++) {
		if (lbd_str_eq(word, lbd_str_c(next_words[i].word))) {
			n->when |= next_words[i].when;
			return true;
		}
	}
	return next_status(n, word);
}

int
proxy_set_next(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	static const char *const names[] = { "error", "timeout", "invalid_header", "denied", "non_idempotent",
		"no_live", "reused", "off", "http_500", "http_502", "http_503", "http_504", "http_403", "http_404",
		"http_429", NULL };
	struct proxy_conf *c = conf;
	struct proxy_next *n = row_new(cf, sizeof(*n));

	(void)d;
	if (n == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	for (unsigned i = 1; i < lbd_conf_argc(cf); i++) {
		if (next_word(n, lbd_conf_arg(cf, i)))
			continue;
		lbd_conf_error(cf, i, "\"%.*s\" is no condition for the next server",
			LBD_FMT(lbd_conf_arg(cf, i)));
		lbd_conf_suggest(cf, lbd_conf_arg(cf, i), names);
		return -1;
	}
	c->next = n;
	return 0;
}

int
proxy_set_backoff(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_conf *c = conf;
	struct proxy_backoff *b = row_new(cf, sizeof(*b));
	struct lbd_str v;

	(void)d;
	if (b == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	if (lbd_conf_msec(cf, 1, lbd_conf_arg(cf, 1), &b->base_ms) != 0)
		return -1;
	b->max_ms = b->base_ms * 10;
	b->jitter = 50;
	for (unsigned i = 2; i < lbd_conf_argc(cf); i++) {
		if (lbd_conf_param(cf, i, "max", &v)) {
			if (lbd_conf_msec(cf, i, v, &b->max_ms) != 0)
				return -1;
		} else if (lbd_conf_param(cf, i, "jitter", &v)) {
			if (v.n > 0 && v.p[v.n - 1] == '%')
				v.n--;
			if (lbd_conf_int(cf, i, v, 0, 100, &b->jitter) != 0)
				return -1;
		} else {
			lbd_conf_error(cf, i, "unknown parameter \"%.*s\"", LBD_FMT(lbd_conf_arg(cf, i)));
			lbd_conf_help(cf, "syntax: proxy_next_upstream_backoff time [max=time] [jitter=percent];");
			return -1;
		}
	}
	c->backoff = b;
	return 0;
}

/* --- single values with rules of their own --- */

int
proxy_set_bind(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_conf *c = conf;
	struct proxy_bind *b = row_new(cf, sizeof(*b));

	(void)d;
	if (b == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	if (lbd_conf_argc(cf) == 3) {
		if (!lbd_str_eq(lbd_conf_arg(cf, 2), LBD_STR("transparent")))
			return lbd_conf_error(cf, 2, "\"%.*s\": only \"transparent\" may stand here",
				LBD_FMT(lbd_conf_arg(cf, 2)));
		b->transparent = true;
	}
	if (!lbd_str_eq(lbd_conf_arg(cf, 1), LBD_STR("off"))) {
		b->address = lbd_value_arg(cf, 1);
		if (b->address == NULL)
			return -1;
	}
	c->bind = b;
	return 0;
}

int
proxy_set_buffers(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_conf *c = conf;

	(void)d;
	if (lbd_conf_int(cf, 1, lbd_conf_arg(cf, 1), 1, 100000, &c->buffers.n) != 0 ||
		lbd_conf_size(cf, 2, lbd_conf_arg(cf, 2), &c->buffers.size) != 0)
		return -1;
	if (c->buffers.n < 2)
		return lbd_conf_error(cf, 1, "there must be at least 2 \"proxy_buffers\"");
	return c->buffers.size > 0 ? 0 : lbd_conf_error(cf, 2, "a buffer cannot be empty");
}

/* h2c and the like hand a connection to a protocol lbd does not read: a way around it. */
int
proxy_set_upgrade(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_conf *c = conf;
	struct lbd_str word = lbd_conf_arg(cf, 1);

	(void)d;
	if (lbd_str_eq(word, LBD_STR("off")) && lbd_conf_argc(cf) == 2) {
		c->upgrade = false;
		return 0;
	}
	for (unsigned i = 1; i < lbd_conf_argc(cf); i++) {
		word = lbd_conf_arg(cf, i);
		if (lbd_str_ieq(word, LBD_STR("websocket")) || lbd_str_eq(word, LBD_STR("on")))
			continue;
		return lbd_conf_error(cf, i, "\"%.*s\" is not forwarded; allowed are on, off, websocket",
			LBD_FMT(word));
	}
	c->upgrade = true;
	return 0;
}

int
proxy_check_version(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	const struct proxy_conf *c = conf;

	(void)d;
	if (c->http_version > 11)
		return lbd_conf_error(cf, 1, "HTTP/2 to servers is planned and not built into this lbd");
	return 0;
}
