/* SPDX-License-Identifier: MIT */

/*
 * Fields that are set, hidden and passed: the directives that list them, and what each level
 * derives from the lists when it is complete.
 */

#include "proxy.h"

/*
 * Appends row to the singly linked list whose first pointer is at list; next is each row's
 * first member.
 */
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
		return lbd_conf_error(cf, 1, "\"%.*s\" is not a field name",
				      LBD_FMT(lbd_conf_arg(cf, 1)));
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
	       id == LBD_FIELD_EXPECT || id == LBD_FIELD_KEEP_ALIVE ||
	       id == LBD_FIELD_PROXY_CONNECTION || id == LBD_FIELD_TRAILER;
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
			lbd_conf_warn(
				cf, 1,
				"\"%.*s\" is made by lbd for each message; this value is not used",
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

/* Fields of proxy_forwarded, where no line sets them. */
static bool
plan_forward(struct lbd_conf *cf, struct proxy_plan *plan, uint32_t forwarded)
{
	const struct lbd_str *names = proxy_forwarded_names;

	for (unsigned i = 0; names[i].n > 0; i++) {
		if ((forwarded & 1U << i) == 0 ||
		    names_has(&plan->names, lbd_field_id_of(names[i]), names[i]))
			continue;
		plan->forwarded |= 1U << i;
		if (!names_add(cf, &plan->names, names[i]))
			return false;
	}
	return true;
}

/* The plan of a level: its own lines, then those of outer that it does not name. */
static const struct proxy_plan *
plan_make(struct lbd_conf *cf, const struct proxy_header *own, const struct proxy_plan *outer,
	  uint32_t forwarded)
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
	return plan_forward(cf, plan, forwarded) ? plan : NULL;
}

static bool
ready_plan(struct lbd_conf *cf, struct proxy_conf *c, const struct proxy_conf *outer)
{
	const struct proxy_plan *outer_plan = outer == NULL ? NULL : outer->plan;
	bool given =
		c->set_headers != NULL && (outer == NULL || c->set_headers != outer->set_headers);
	bool keeps = !given && outer_plan != NULL && c->set_header_inherit != INHERIT_OFF;

	if (keeps && c->forwarded == outer->forwarded) {
		c->plan = outer_plan;
		return true;
	}
	if (!keeps && !(given && c->set_header_inherit == INHERIT_MERGE))
		outer_plan = NULL;
	c->plan = plan_make(cf, given ? c->set_headers : NULL, outer_plan, c->forwarded);
	return c->plan != NULL;
}

/* --- what is hidden of responses --- */

static const char *const hidden_always[] = {
	"Date",
	"Server",
	"X-Pad",
	"X-Accel-Expires",
	"X-Accel-Redirect",
	"X-Accel-Limit-Rate",
	"X-Accel-Buffering",
	"X-Accel-Charset",
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
