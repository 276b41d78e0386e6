/* SPDX-License-Identifier: MIT */

/*
 * What a message of a hand-over looks like.
 *
 *	"lbd-move", version (4 bytes), length of the whole (4), kind (32, NUL-padded)
 *	then fields: length of the name (1), length of the value (4), name, value
 *
 * Numbers are in the order of this machine, which both sides are on; a field that is one has eight
 * bytes.  The version tells this layout only: fields come and go without another one.
 */

#include <errno.h>
#include <string.h>

#include "core/net/handover_private.h"

#define MAGIC "lbd-move"

struct head {
	char magic[8];
	uint32_t version, length;
	char kind[HANDOVER_NAME_MAX + 1];
};

_Static_assert(sizeof(struct head) == 48, "the layout is known to other versions");

enum { VERSION = 1, FIELD_HEAD = 5 };

struct handover_out handover_out;

/* --- writing --- */

void
handover_begin(const char *kind)
{
	struct handover_out *o = &handover_out;
	struct head h = { .magic = MAGIC, .version = VERSION };
	size_t n = strlen(kind);

	o->fd_n = 0;
	o->failed = n == 0 || n > HANDOVER_NAME_MAX;
	if (!o->failed)
		memcpy(h.kind, kind, n);
	memcpy(o->bytes, &h, sizeof(h));
	o->n = sizeof(h);
}

/* Room for a field with a value of n bytes; NULL when there is none. */
static char *
field_room(const char *name, size_t n)
{
	struct handover_out *o = &handover_out;
	size_t name_n = strlen(name);
	uint32_t length = (uint32_t)n;
	char *p = o->bytes + o->n;

	if (o->failed || name_n == 0 || name_n > HANDOVER_NAME_MAX || n > HANDOVER_MAX ||
	    sizeof(o->bytes) - o->n < FIELD_HEAD + name_n + n) {
		o->failed = true;
		return NULL;
	}
	*p = (char)name_n;
	memcpy(p + 1, &length, sizeof(length));
	memcpy(p + FIELD_HEAD, name, name_n);
	o->n += FIELD_HEAD + name_n + n;
	return p + FIELD_HEAD + name_n;
}

void
handover_str(const char *name, struct lbd_str value)
{
	char *p = field_room(name, value.n);

	if (p != NULL && value.n > 0)
		memcpy(p, value.p, value.n);
}

void
handover_num(const char *name, uint64_t value)
{
	handover_str(name, lbd_str((const char *)&value, sizeof(value)));
}

void
handover_chain(const char *name, const struct lbd_chain *bytes)
{
	char *p = field_room(name, bytes->n);

	if (bytes->failed)
		handover_out.failed = true;
	else if (p != NULL)
		(void)lbd_chain_read(bytes, 0, p, bytes->n);
}

void
handover_fd(int fd)
{
	struct handover_out *o = &handover_out;

	if (fd < 0 || o->fd_n == HANDOVER_FDS)
		o->failed = true;
	else
		o->fds[o->fd_n++] = fd;
}

bool
handover_finish(void)
{
	struct handover_out *o = &handover_out;
	uint32_t length = (uint32_t)o->n;

	memcpy(o->bytes + offsetof(struct head, length), &length, sizeof(length));
	return !o->failed && o->fd_n > 0;
}

const char *
handover_out_kind(void)
{
	return handover_out.bytes + offsetof(struct head, kind);
}

/* --- reading --- */

/* Takes the first field off *rest; false: it is none, or there are no more. */
static bool
next_field(struct lbd_str *rest, struct lbd_str *name, struct lbd_str *value)
{
	uint32_t length;
	size_t name_n;

	if (rest->n < FIELD_HEAD)
		return false;
	name_n = (unsigned char)rest->p[0];
	memcpy(&length, rest->p + 1, sizeof(length));
	if (name_n == 0 || name_n > HANDOVER_NAME_MAX || rest->n - FIELD_HEAD < name_n ||
	    rest->n - FIELD_HEAD - name_n < length)
		return false;
	*name = lbd_str(rest->p + FIELD_HEAD, name_n);
	*value = lbd_str(rest->p + FIELD_HEAD + name_n, length);
	*rest = lbd_str_skip(*rest, FIELD_HEAD + name_n + length);
	return true;
}

int
handover_read(struct lbd_str message, struct handover_in *in)
{
	struct lbd_str rest, name, value;
	struct head h;

	if (message.n < sizeof(h))
		return -EBADMSG;
	memcpy(&h, message.p, sizeof(h));
	if (memcmp(h.magic, MAGIC, sizeof(h.magic)) != 0 || h.version != VERSION ||
	    h.length != message.n || h.kind[0] == '\0' || h.kind[HANDOVER_NAME_MAX] != '\0')
		return -EBADMSG;
	in->kind = lbd_str_c(message.p + offsetof(struct head, kind));
	in->fields = rest = lbd_str_skip(message, sizeof(h));
	while (next_field(&rest, &name, &value))
		;
	return rest.n == 0 ? 0 : -EBADMSG;
}

static bool
find(const struct handover_in *in, const char *wanted, unsigned i, struct lbd_str *value)
{
	struct lbd_str rest = in->fields, name;

	while (next_field(&rest, &name, value))
		if (lbd_str_eq(name, lbd_str_c(wanted)) && i-- == 0)
			return true;
	*value = LBD_STR("");
	return false;
}

struct lbd_str
handover_get_at(const struct handover_in *in, const char *name, unsigned i)
{
	struct lbd_str value;

	(void)find(in, name, i, &value);
	return value;
}

struct lbd_str
handover_get(const struct handover_in *in, const char *name)
{
	return handover_get_at(in, name, 0);
}

bool
handover_has(const struct handover_in *in, const char *name)
{
	struct lbd_str value;

	return find(in, name, 0, &value);
}

uint64_t
handover_get_num(const struct handover_in *in, const char *name, uint64_t def)
{
	struct lbd_str value;
	uint64_t n;

	if (!find(in, name, 0, &value) || value.n != sizeof(n))
		return def;
	memcpy(&n, value.p, sizeof(n));
	return n;
}

int
handover_take_fd(const struct handover_in *in, unsigned i)
{
	int fd = i < in->fd_n ? in->fds[i] : -1;

	if (fd >= 0)
		in->fds[i] = -1;
	return fd;
}
