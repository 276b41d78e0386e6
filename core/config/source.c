/* SPDX-License-Identifier: MIT */

/*
 * Opens and keeps the texts of a configuration.  Only regular files are read: a FIFO or a device
 * in an include mask must not make the master wait.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/ascii.h"
#include "core/base/fail.h"
#include "core/config/source.h"
#include "core/os/file.h"

enum { MAX_FILE = 64 << 20 };

/* Of a configuration that is remembered: 0 with a copy, -ENOENT, -ENOMEM. */
static int
read_remembered(const struct config_text *texts, const char *path, char **data, size_t *n)
{
	for (; texts != NULL; texts = texts->next) {
		if (strcmp(texts->path, path) != 0)
			continue;
		*data = base_malloc(texts->text.n + 1);
		if (*data == NULL)
			return -ENOMEM;
		if (texts->text.n > 0)
			memcpy(*data, texts->text.p, texts->text.n);
		*n = texts->text.n;
		return 0;
	}
	return -ENOENT;
}

/* 0 with the bytes (end with free()) or -errno; -EINVAL: not a regular file. */
static int
read_regular(const char *path, char **data, size_t *n)
{
	struct stat st;
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = -EINVAL;
	else
		rc = file_read_fd(fd, MAX_FILE, data, n);
	fd_close(&fd);
	return rc;
}

static void
source_refuse(struct tree *t, const char *path, const struct place *place, int err)
{
	char buf[128];
	const char *text = strerror_r(err, buf, sizeof(buf));

	if (err == EINVAL)
		diag_error(t->diag, place, "\"%s\" is not a regular file", path);
	else if (err == EFBIG)
		diag_error(t->diag, place, "\"%s\" is longer than 64m", path);
	else
		diag_error(t->diag, place, "could not open \"%s\": %c%s (%d)", path,
			ascii_lower(text[0]), text[0] == '\0' ? "" : text + 1, err);
}

static struct source *
source_add(struct tree *t, const char *name, struct lbd_str text)
{
	struct source *src = lbd_pool_zalloc(t->pool, sizeof(*src));

	if (src == NULL)
		return NULL;
	src->name = lbd_pool_cstr(t->pool, lbd_str_c(name));
	if (src->name == NULL)
		return NULL;
	src->text = text;
	src->bom = lbd_str_starts(text, LBD_STR("\xef\xbb\xbf"));
	if (src->bom)
		src->text = lbd_str_skip(text, 3);
	*t->last_source = src;
	t->last_source = &src->next;
	return src;
}

struct source *
source_text(struct tree *t, const char *name, struct lbd_str text)
{
	return source_add(t, name, text);
}

struct source *
source_open(struct tree *t, const char *path, const char *name, const struct place *place)
{
	struct source *src = map_get(&t->by_path, lbd_str_c(path));
	char *data = NULL;
	size_t n = 0;
	int rc;

	if (src != NULL)
		return src;
	rc = t->texts != NULL ? read_remembered(t->texts, path, &data, &n)
			      : read_regular(path, &data, &n);
	if (rc < 0) {
		source_refuse(t, path, place, -rc);
		return NULL;
	}
	if (!lbd_pool_defer(t->pool, free, data)) {
		free(data);
		goto no_memory;
	}
	src = source_add(t, name, lbd_str(data, n));
	if (src == NULL)
		goto no_memory;
	src->path = lbd_pool_cstr(t->pool, lbd_str_c(path));
	if (src->path == NULL || map_put(&t->by_path, lbd_str_c(src->path), src) < 0)
		goto no_memory;
	return src;

no_memory:
	diag_error(t->diag, place, "out of memory while reading \"%s\"", path);
	return NULL;
}

bool
source_check(struct tree *t, const struct source *src)
{
	struct lbd_str s = src->text;
	ptrdiff_t nul = lbd_str_find(s, '\0', 0);
	struct place place = { .src = src, .order = t->order, .line = 1, .col = 1 };
	const char *p;

	if (nul < 0)
		return true;
	if (lbd_str_starts(s, LBD_STR("\xff\xfe")) || lbd_str_starts(s, LBD_STR("\xfe\xff"))) {
		diag_error(t->diag, &place, "the file is UTF-16; allowed is UTF-8");
		return false;
	}
	for (p = s.p; p < s.p + nul; p++) {
		place.col++;
		if (*p == '\n') {
			place.line++;
			place.col = 1;
		}
	}
	diag_error(t->diag, &place, "a NUL byte is not allowed in a configuration");
	return false;
}
