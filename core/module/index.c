/* SPDX-License-Identifier: MIT */

/*
 * The index of bundled modules, read from and written to a text file.  What it is used for is
 * decided in core/config.
 */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "core/base/ascii.h"
#include "core/base/fail.h"
#include "core/base/map.h"
#include "core/module/index.h"
#include "core/module/load.h"
#include "core/os/file.h"

enum { MAX_FILE = 4 << 20 };

struct line {
	struct line *same_name; /* the next line for this directive */
	const char *directive;  /* borrowed from text */
	const char *path;       /* owned, unless is_shared: the module's file */
	bool is_shared;
	uint32_t where;
};

static struct {
	char *text;         /* owned: the file, NULs in place of tabs and newlines */
	struct line *lines; /* owned */
	unsigned n;
	struct map by_name; /* directive to its first line */
} module_index;

void
module_index_free(void)
{
	unsigned i;

	for (i = 0; i < module_index.n; i++) {
		if (!module_index.lines[i].is_shared)
			free((void *)(uintptr_t)module_index.lines[i].path);
	}
	free(module_index.lines);
	free(module_index.text);
	map_free(&module_index.by_name);
	memset(&module_index, 0, sizeof(module_index));
}

/*
 * Takes the text up to the separator off *at and ends it with a NUL; NULL: there is no separator.
 */
static char *
take(char **at, char separator)
{
	char *begin = *at, *end = strchr(begin, separator);

	if (end == NULL || end == begin)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return begin;
}

static bool
read_where(const char *s, uint32_t *where)
{
	char *end;
	unsigned long v;

	if (ascii_hex(s[0]) < 0)
		return false;
	errno = 0;
	v = strtoul(s, &end, 16);
	*where = (uint32_t)v;
	return errno == 0 && *end == '\0' && v <= UINT32_MAX && v != 0;
}

/* lines of one module follow one another, so its path is made once */
static int
set_path(struct line *l, const char *folder, const char *module, const char **last_module)
{
	size_t size = strlen(folder) + strlen(module) + sizeof("/.so");
	char *path;

	if (*last_module != NULL && strcmp(*last_module, module) == 0) {
		l->path = (l - 1)->path;
		l->is_shared = true;
		return 0;
	}
	path = base_malloc(size);
	if (path == NULL)
		return -ENOMEM;
	snprintf(path, size, "%s/%s.so", folder, module);
	l->path = path;
	*last_module = module;
	return 0;
}

static int
add_line(const char *folder, char **at, const char **last_module)
{
	struct line *l = &module_index.lines[module_index.n], *first;
	char *directive = take(at, '\t'), *module, *where;

	module = directive == NULL ? NULL : take(at, '\t');
	where = module == NULL ? NULL : take(at, '\n');
	if (where == NULL || strchr(module, '/') != NULL || !read_where(where, &l->where))
		return -EINVAL;
	l->directive = directive;
	if (set_path(l, folder, module, last_module) < 0)
		return -ENOMEM;
	module_index.n++;

	first = map_get(&module_index.by_name, lbd_str_c(directive));
	if (first == NULL)
		return map_put(&module_index.by_name, lbd_str_c(directive), l);
	l->same_name = first->same_name;
	first->same_name = l;
	return 0;
}

static int
read_lines(const char *folder, size_t size)
{
	const char *last_module = NULL;
	char *at = module_index.text;
	size_t lines = 1, i;
	int rc = 0;

	for (i = 0; i < size; i++)
		lines += at[i] == '\n';
	module_index.lines = base_zalloc(lines * sizeof(struct line));
	if (module_index.lines == NULL)
		return -ENOMEM;
	map_init(&module_index.by_name, false);
	while (rc == 0 && at < module_index.text + size)
		rc = add_line(folder, &at, &last_module);
	return rc;
}

int
module_index_read(const char *folder)
{
	char path[PATH_MAX];
	size_t n = 0;
	int rc;

	module_index_free();
	if ((size_t)snprintf(path, sizeof(path), "%s/index.tsv", folder) >= sizeof(path))
		return -ENAMETOOLONG;
	rc = file_read(path, MAX_FILE, &module_index.text, &n);
	if (rc == 0)
		rc = memchr(module_index.text, '\0', n) != NULL ? -EINVAL : read_lines(folder, n);
	if (rc < 0)
		module_index_free();
	return rc;
}

const char *
module_of(const char *directive, uint32_t where)
{
	const struct line *l = NULL;

	if (module_index.n > 0)
		l = map_get(&module_index.by_name, lbd_str_c(directive));
	while (l != NULL && (l->where & where) == 0)
		l = l->same_name;
	return l == NULL ? NULL : l->path;
}

const char *
module_known(unsigned i, uint32_t *where)
{
	if (i >= module_index.n)
		return NULL;
	*where = module_index.lines[i].where;
	return module_index.lines[i].directive;
}

/* The name by which the file is found again: what it is called, not what it calls itself. */
static void
print_module(const struct lbd_module *m, const char *path, FILE *out)
{
	const char *base = strrchr(path, '/');
	const struct lbd_directive *d;
	size_t n;

	base = base == NULL ? path : base + 1;
	n = strlen(base);
	if (n > 3 && strcmp(base + n - 3, ".so") == 0)
		n -= 3;
	for (d = m->directives; d != NULL && d->name != NULL; d++)
		fprintf(out, "%s\t%.*s\t%x\n", d->name, (int)n, base, (unsigned)d->where);
}

int
module_print_index(char *const *files, unsigned n, FILE *out, char *err, size_t errsize)
{
	char path[PATH_MAX];
	struct lbd_module *m;
	unsigned i;

	for (i = 0; i < n; i++) {
		/* dlopen() would search for a name without a slash */
		if (snprintf(path, sizeof(path), "%s%s", strchr(files[i], '/') ? "" : "./",
			     files[i]) >= (int)sizeof(path)) {
			snprintf(err, errsize, "\"%s\" is too long", files[i]);
			return -1;
		}
		m = module_open(path, err, errsize);
		if (m == NULL)
			return -1;
		print_module(m, path, out);
	}
	if (fflush(out) != 0) {
		snprintf(err, errsize, "the index could not be written");
		return -1;
	}
	return 0;
}
