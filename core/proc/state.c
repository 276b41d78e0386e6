/* SPDX-License-Identifier: MIT */

/*
 * State as text: written, read, and its descriptors.  What the entries mean is decided by those who
 * write them.
 *
 * A value is percent-encoded, so that a line has no blanks and line feeds but its own.  A text may
 * come from another version, or be damaged: nothing in it is trusted but what was checked.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/os/file.h"
#include "core/proc/state.h"

#define HEAD "lbd-state 1\n"

enum { TEXT_MAX = 1 << 30, FIELDS_MAX = 32, FD_MAX = 1 << 24 };

struct state_field {
	struct lbd_str name, value; /* value decoded, NUL behind it */
};

struct state_entry {
	struct lbd_str key;
	const struct state *owner;  /* reading: whose fields from..from+n are this entry's */
	unsigned from, n;
	int fd;                     /* -1: none, or taken */
	bool owned;                 /* claimed */
};

struct state {
	char *text; /* owned; when reading, decoded in place */
	size_t n, size;
	int error;  /* -ENOMEM: something is missing */
	struct state_entry *entries; /* owned */
	unsigned entry_n, entry_size;
	struct state_field *fields; /* owned; reading only */
	unsigned field_n, field_size;
};

/* --- writing --- */

static void
put(struct state *s, const char *p, size_t n)
{
	size_t size = s->size == 0 ? 4096 : s->size;
	char *text;

	while (size - s->n < n)
		size *= 2;
	if (s->error < 0 || n > TEXT_MAX || size > TEXT_MAX) {
		s->error = -ENOMEM;
		return;
	}
	if (size > s->size) {
		text = base_realloc(s->text, size);
		if (text == NULL) {
			s->error = -ENOMEM;
			return;
		}
		s->text = text;
		s->size = size;
	}
	memcpy(s->text + s->n, p, n);
	s->n += n;
}

static void
put_text(struct state *s, const char *text)
{
	put(s, text, strlen(text));
}

struct state *
state_create(void)
{
	struct state *s = base_zalloc(sizeof(*s));

	if (s != NULL)
		put_text(s, HEAD);
	return s;
}

static struct state_entry *
entry_add(struct state *s)
{
	unsigned size = s->entry_size == 0 ? 64 : s->entry_size * 2;
	struct state_entry *v;

	if (s->entry_n == s->entry_size) {
		v = base_realloc(s->entries, size * sizeof(*v));
		if (v == NULL) {
			s->error = -ENOMEM;
			return NULL;
		}
		s->entries = v;
		s->entry_size = size;
	}
	v = &s->entries[s->entry_n++];
	*v = (struct state_entry){ .fd = -1 };
	return v;
}

void
state_begin(struct state *s, const char *key)
{
	struct state_entry *e = entry_add(s);

	if (e == NULL)
		return;
	e->key = lbd_str_c(key);
	/* every entry ends its line, so the next may always be opened */
	put_text(s, key);
	put_text(s, "\n");
}

static bool
is_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '%';
}

static void
put_encoded(struct state *s, struct lbd_str value)
{
	static const char hex[] = "0123456789abcdef";
	size_t from = 0;

	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (is_plain(c))
			continue;
		put(s, value.p + from, i - from);
		put(s, (char[]){ '%', hex[c >> 4], hex[c & 15] }, 3);
		from = i + 1;
	}
	if (from < value.n)
		put(s, value.p + from, value.n - from);
}

void
state_str(struct state *s, const char *name, struct lbd_str value)
{
	if (s->error < 0)
		return;
	s->n--; /* the line feed */
	put_text(s, " ");
	put_text(s, name);
	put_text(s, "=");
	put_encoded(s, value);
	put_text(s, "\n");
}

void
state_num(struct state *s, const char *name, uint64_t value)
{
	char buf[24];

	state_str(s, name, lbd_str(buf, lbd_u64_to_str(value, buf)));
}

void
state_fd(struct state *s, int fd)
{
	if (fd < 0 || s->error < 0)
		return;
	state_num(s, "fd", (uint64_t)fd);
	s->entries[s->entry_n - 1].fd = fd;
}

int
state_save(const struct state *s)
{
	int fd, rc = s->error;

	if (rc < 0)
		return rc;
	fd = memfd_create("lbd-state", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = file_write_all(fd, s->text, s->n, NULL);
	if (rc == 0 && lseek(fd, 0, SEEK_SET) < 0)
		rc = -errno;
	if (rc < 0)
		fd_close(&fd);
	return rc < 0 ? rc : fd;
}

int
state_cloexec(const struct state *s, const char *key, bool on)
{
	int rc = 0, one;

	for (unsigned i = 0; i < s->entry_n; i++) {
		const struct state_entry *e = &s->entries[i];

		if (e->fd < 0 || (key != NULL && !lbd_str_eq(e->key, lbd_str_c(key))))
			continue;
		one = file_set_cloexec(e->fd, on);
		if (rc == 0)
			rc = one;
	}
	return rc;
}

int
state_text(const struct state *s, struct lbd_str *text)
{
	*text = lbd_str(s->text, s->n);
	return s->error;
}

unsigned
state_fds(const struct state *s, int *fds, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->entry_n; i++) {
		if (s->entries[i].fd < 0)
			continue;
		if (n < max)
			fds[n] = s->entries[i].fd;
		n++;
	}
	return n;
}

/* --- reading --- */

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; false: not encoded by us. */
static bool
decode(char *p, size_t n, size_t *out)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (c == '%') {
			int high = n - i > 2 ? hex_value(p[i + 1]) : -1;
			int low = n - i > 2 ? hex_value(p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		p[to++] = c;
	}
	*out = to;
	return true;
}

static bool
field_add(struct state *s, struct state_entry *e, struct lbd_str name, struct lbd_str value)
{
	unsigned size = s->field_size == 0 ? 256 : s->field_size * 2;
	struct state_field *v;

	if (s->field_n == s->field_size) {
		v = base_realloc(s->fields, size * sizeof(*v));
		if (v == NULL) {
			s->error = -ENOMEM;
			return false;
		}
		s->fields = v;
		s->field_size = size;
	}
	s->fields[s->field_n++] = (struct state_field){ name, value };
	e->n++;
	return true;
}

/* "name=value" at p.  What is none is skipped: another version may know it.  False: no memory. */
static bool
read_field(struct state *s, struct state_entry *e, char *p, size_t n)
{
	char *eq = memchr(p, '=', n);
	size_t value_n;

	if (eq == NULL || eq == p || e->n == FIELDS_MAX)
		return true;
	if (!decode(eq + 1, n - (size_t)(eq + 1 - p), &value_n))
		return true;
	eq[1 + value_n] = '\0'; /* at the latest where the blank or the line feed was */
	return field_add(s, e, lbd_str(p, (size_t)(eq - p)), lbd_str(eq + 1, value_n));
}

/* n does not count the line feed. */
static bool
read_line(struct state *s, char *p, size_t n)
{
	char *end = p + n, *blank = memchr(p, ' ', n);
	struct state_entry *e;
	uint64_t fd;

	if (n == 0)
		return true;
	e = entry_add(s);
	if (e == NULL)
		return false;
	e->key = lbd_str(p, blank == NULL ? n : (size_t)(blank - p));
	e->from = s->field_n;
	while (blank != NULL) {
		char *word = blank + 1;

		blank = memchr(word, ' ', (size_t)(end - word));
		if (!read_field(s, e, word, (size_t)((blank == NULL ? end : blank) - word)))
			return false;
	}
	e->owner = s;
	fd = state_get_num(e, "fd", UINT64_MAX);
	if (fd > STDERR_FILENO && fd < FD_MAX)
		e->fd = (int)fd;
	return true;
}

static bool
read_lines(struct state *s)
{
	char *p = s->text, *end = s->text + s->n, *eol;

	if (!lbd_str_starts(lbd_str(s->text, s->n), LBD_STR("lbd-state ")))
		return false;
	for (p = memchr(p, '\n', s->n); p != NULL && ++p < end; p = eol) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (eol == NULL) /* cut */
			return false;
		if (!read_line(s, p, (size_t)(eol - p)))
			return false;
	}
	return p != NULL;
}

/* text is the state's, with room for a NUL behind its n bytes. */
static struct state *
read_text(char *text, size_t n)
{
	struct state *s = base_zalloc(sizeof(*s));
	int err = ENOMEM;

	if (s == NULL) {
		free(text);
		errno = err;
		return NULL;
	}
	s->text = text;
	s->n = n;
	if (read_lines(s))
		return s;
	err = s->error < 0 ? -s->error : EINVAL;
	state_free(&s);
	errno = err;
	return NULL;
}

struct state *
state_parse(struct lbd_str text)
{
	char *copy = base_malloc(text.n + 1);

	if (copy == NULL)
		return NULL;
	if (text.n > 0)
		memcpy(copy, text.p, text.n);
	return read_text(copy, text.n);
}

struct state *
state_load(int fd)
{
	struct state *s = NULL;
	char *text;
	size_t n;
	int rc;

	/* the one who wrote it has left the position at the end, or another reader has */
	rc = lseek(fd, 0, SEEK_SET) < 0 ? -errno : file_read_fd(fd, TEXT_MAX, &text, &n);
	if (rc == 0)
		s = read_text(text, n);
	else
		errno = -rc;
	if (s != NULL || errno != ENOMEM) {
		rc = errno;
		fd_close(&fd);
		errno = rc;
	}
	return s;
}

static bool
is_claimed(const struct state *s, unsigned before, int fd)
{
	for (unsigned i = 0; i < before; i++)
		if (s->entries[i].fd == fd)
			return true;
	return false;
}

void
state_claim(struct state *s)
{
	for (unsigned i = 0; i < s->entry_n; i++) {
		struct state_entry *e = &s->entries[i];

		if (e->fd < 0)
			continue;
		if (is_claimed(s, i, e->fd) || file_set_cloexec(e->fd, true) < 0)
			e->fd = -1;
		else
			e->owned = true;
	}
}

int
state_adopt(struct state *s, const int *fds, unsigned n)
{
	unsigned at = 0;

	if (state_fds(s, NULL, 0) != n) {
		for (unsigned i = 0; i < s->entry_n; i++)
			s->entries[i].fd = -1;
		for (at = 0; at < n; at++)
			fd_close(&(int){ fds[at] });
		return -EBADMSG;
	}
	for (unsigned i = 0; i < s->entry_n; i++) {
		struct state_entry *e = &s->entries[i];

		if (e->fd < 0)
			continue;
		e->fd = fds[at++];
		e->owned = true;
	}
	return 0;
}

struct state_entry *
state_next(struct state *s, const char *key, struct state_entry *e)
{
	unsigned i = e == NULL ? 0 : (unsigned)(e - s->entries) + 1;

	for (; i < s->entry_n; i++)
		if (lbd_str_eq(s->entries[i].key, lbd_str_c(key)))
			return &s->entries[i];
	return NULL;
}

struct lbd_str
state_get(const struct state_entry *e, const char *name)
{
	for (unsigned i = 0; i < e->n; i++) {
		const struct state_field *f = &e->owner->fields[e->from + i];

		if (lbd_str_eq(f->name, lbd_str_c(name)))
			return f->value;
	}
	return LBD_STR("");
}

uint64_t
state_get_num(const struct state_entry *e, const char *name, uint64_t def)
{
	uint64_t n;

	return lbd_str_to_u64(state_get(e, name), UINT64_MAX, &n) ? n : def;
}

char *
state_get_copy(const struct state_entry *e, const char *name)
{
	struct lbd_str s = state_get(e, name);
	char *copy = s.n == 0 ? NULL : base_malloc(s.n + 1);

	if (copy != NULL)
		memcpy(copy, s.p, s.n + 1);
	return copy;
}

int
state_get_fd(const struct state_entry *e)
{
	return e->fd;
}

int
state_take_fd(struct state_entry *e)
{
	int fd = e->fd;

	e->fd = -1;
	e->owned = false;
	return fd;
}

void
state_free(struct state **state)
{
	struct state *s = *state;

	*state = NULL;
	if (s == NULL)
		return;
	for (unsigned i = 0; i < s->entry_n; i++)
		if (s->entries[i].owned)
			fd_close(&s->entries[i].fd);
	free(s->text);
	free(s->entries);
	free(s->fields);
	free(s);
}

void
state_copy(struct state *s, const struct state_entry *e)
{
	char key[64];

	if (e->key.n >= sizeof(key))
		return;
	memcpy(key, e->key.p, e->key.n);
	key[e->key.n] = '\0';
	state_begin(s, key);
	if (s->error < 0)
		return;
	s->entries[s->entry_n - 1].key = e->key; /* lives as long as the one that was read */
	for (unsigned i = 0; i < e->n; i++) {
		const struct state_field *f = &e->owner->fields[e->from + i];
		char name[64];

		if (f->name.n >= sizeof(name) || lbd_str_eq(f->name, LBD_STR("fd")))
			continue;
		memcpy(name, f->name.p, f->name.n);
		name[f->name.n] = '\0';
		state_str(s, name, f->value);
	}
	state_fd(s, e->fd);
}
