/* SPDX-License-Identifier: MIT */

/*
 * Request bodies kept for another attempt: in memory up to a bound, after it in a temporary
 * file without a name.
 *
 * What is in memory are the received buffers themselves, but small pieces are copied together,
 * so that a body sent byte by byte does not hold a buffer for each.  Writing and reading the
 * file may wait for the disk.
 */

#include <lbd/http_client.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/os/file.h"

enum {
	SMALL_PIECE = 1024,
	TAIL_SIZE = 4096, /* a buffer for small pieces */
	READ_SIZE = 64 * 1024,
};

struct slice {
	struct lbd_buf *b; /* owned reference; NULL: static bytes */
	const char *p;
	size_t n;
};

struct lbd_spool {
	size_t max_memory;
	struct lbd_str dir;   /* borrowed */
	struct slice *slices; /* owned */
	size_t n, cap;
	struct lbd_buf *tail; /* owned: small pieces are copied to it, or NULL */
	size_t tail_n;
	uint64_t memory;      /* bytes in slices */
	uint64_t file;        /* bytes in the file */
	int fd;               /* owned; -1: none */
};

static void
spool_free(void *arg)
{
	struct lbd_spool *s = arg;

	for (size_t i = 0; i < s->n; i++)
		lbd_buf_unref(&s->slices[i].b);
	free(s->slices);
	lbd_buf_unref(&s->tail);
	fd_close(&s->fd);
}

struct lbd_spool *
lbd_spool_create(struct lbd_pool *pool, size_t max_memory, struct lbd_str temp_dir)
{
	struct lbd_spool *s = lbd_pool_zalloc(pool, sizeof(*s));

	if (s == NULL || !lbd_pool_defer(pool, spool_free, s))
		return NULL;
	s->max_memory = max_memory;
	s->dir = temp_dir;
	s->fd = -1;
	return s;
}

uint64_t
lbd_spool_size(const struct lbd_spool *s)
{
	return s->memory + s->file;
}

/* --- memory --- */

static int
slice_add(struct lbd_spool *s, struct lbd_buf *b, const char *p, size_t n)
{
	struct slice *last = s->n > 0 ? &s->slices[s->n - 1] : NULL;

	if (last != NULL && b != NULL && last->b == b && last->p + last->n == p) {
		last->n += n;
		s->memory += n;
		return 0;
	}
	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 8 : s->cap * 2;
		struct slice *v = base_realloc(s->slices, cap * sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		s->slices = v;
		s->cap = cap;
	}
	s->slices[s->n++] = (struct slice){ b == NULL ? NULL : lbd_buf_ref(b), p, n };
	s->memory += n;
	return 0;
}

static int
small_add(struct lbd_spool *s, struct lbd_str piece)
{
	int rc;

	if (s->tail == NULL || s->tail->size - s->tail_n < piece.n) {
		lbd_buf_unref(&s->tail);
		s->tail = lbd_buf_create(TAIL_SIZE);
		s->tail_n = 0;
		if (s->tail == NULL)
			return -ENOMEM;
	}
	memcpy(s->tail->data + s->tail_n, piece.p, piece.n);
	rc = slice_add(s, s->tail, s->tail->data + s->tail_n, piece.n);
	s->tail_n += piece.n;
	return rc;
}

/* --- the file --- */

static int
file_create(struct lbd_spool *s)
{
	char path[4096];
	int fd;

	if (s->dir.n == 0 || s->dir.n > sizeof(path) - sizeof("/body.XXXXXX"))
		return s->dir.n == 0 ? -ENOENT : -ENAMETOOLONG;
	memcpy(path, s->dir.p, s->dir.n);
	path[s->dir.n] = '\0';
	fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		/* a file system without O_TMPFILE */
		memcpy(path + s->dir.n, "/body.XXXXXX", sizeof("/body.XXXXXX"));
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			(void)unlink(path);
	}
	if (fd < 0)
		return -errno;
	s->fd = fd;
	return 0;
}

static int
file_add(struct lbd_spool *s, struct lbd_str piece)
{
	size_t done = 0;
	int rc = s->fd < 0 ? file_create(s) : 0;

	if (rc == 0)
		rc = file_write_all(s->fd, piece.p, piece.n, &done);
	s->file += done;
	return rc;
}

int
lbd_spool_write(struct lbd_spool *s, struct lbd_chain *chain)
{
	int rc = chain->failed ? -ENOMEM : 0;

	while (rc == 0 && !lbd_chain_empty(chain)) {
		struct lbd_str piece = lbd_chain_first(chain);

		if (s->fd < 0 && s->memory < s->max_memory)
			piece = lbd_str_head(piece, (size_t)(s->max_memory - s->memory));
		if (s->fd >= 0 || s->memory >= s->max_memory)
			rc = file_add(s, piece);
		else if (piece.n < SMALL_PIECE)
			rc = small_add(s, piece);
		else
			rc = slice_add(s, lbd_chain_first_buf(chain), piece.p, piece.n);
		lbd_chain_consume(chain, piece.n);
	}
	lbd_chain_clear(chain);
	return rc;
}

/* --- reading --- */

/* Bytes [from, from + n) of memory. */
static bool
memory_read(const struct lbd_spool *s, uint64_t from, size_t n, struct lbd_chain *out)
{
	for (size_t i = 0; i < s->n && n > 0; i++) {
		const struct slice *l = &s->slices[i];
		size_t part;

		if (from >= l->n) {
			from -= l->n;
			continue;
		}
		part = LBD_MIN(l->n - (size_t)from, n);
		if (!lbd_chain_add_buf(out, l->b, l->p + from, part))
			return false;
		n -= part;
		from = 0;
	}
	return true;
}

/* Up to one buffer of the file.  Bytes, or -errno. */
static int64_t
file_read_at(const struct lbd_spool *s, uint64_t from, size_t n, struct lbd_chain *out)
{
	struct lbd_buf *b;
	ssize_t got;
	bool ok;

	n = LBD_MIN(n, (size_t)READ_SIZE);
	b = lbd_buf_create(n);
	if (b == NULL)
		return -ENOMEM;
	do
		got = pread(s->fd, b->data, n, (off_t)from);
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		int err = got < 0 ? errno : EIO; /* shorter than what was written */

		lbd_buf_unref(&b);
		return -err;
	}
	ok = lbd_chain_add_buf(out, b, b->data, (size_t)got);
	lbd_buf_unref(&b);
	return ok ? got : -ENOMEM;
}

int64_t
lbd_spool_read(struct lbd_spool *s, uint64_t offset, size_t n, struct lbd_chain *out)
{
	uint64_t size = lbd_spool_size(s);
	size_t done = 0;

	if (offset >= size)
		return 0;
	n = (size_t)LBD_MIN((uint64_t)n, size - offset);
	if (offset < s->memory) {
		done = (size_t)LBD_MIN((uint64_t)n, s->memory - offset);
		if (!memory_read(s, offset, done, out))
			return -ENOMEM;
	}
	while (done < n) {
		int64_t got = file_read_at(s, offset + done - s->memory, n - done, out);

		if (got < 0)
			return got;
		done += (size_t)got;
	}
	return (int64_t)done;
}
