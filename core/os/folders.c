/* SPDX-License-Identifier: MIT */

/*
 * Ways through the file system, link by link.
 */

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/os/folders.h"

enum { LINKS_MAX = 40 }; /* as the kernel */

struct way {
	char path[PATH_MAX];   /* what is left of the links so far */
	char next[PATH_MAX];
	unsigned links;
	void (*fn)(void *arg, const char *folder);
	void *arg;
};

/* The folder of path[0..n), n at a slash. */
static void
tell_folder(struct way *w, size_t n)
{
	char folder[PATH_MAX];

	if (n == 0)
		n = 1;
	memcpy(folder, w->path, n);
	folder[n] = '\0';
	w->fn(w->arg, folder);
}

/* path[0..end) is a link in the folder path[0..slash): the way goes on through what it says. */
static int
follow(struct way *w, size_t slash, size_t end)
{
	char target[PATH_MAX], link[PATH_MAX];
	ssize_t n;
	int made;

	memcpy(link, w->path, end);
	link[end] = '\0';
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return -1;
	target[n] = '\0';
	made = snprintf(w->next, sizeof(w->next), "%.*s/%s%s",
		target[0] == '/' ? 0 : (int)slash, w->path, target, w->path + end);
	if (made < 0 || (size_t)made >= sizeof(w->next))
		return -1;
	memcpy(w->path, w->next, (size_t)made + 1);
	return 0;
}

/* 1: a link was followed, 0: the way is at its end. */
static int
walk(struct way *w)
{
	size_t slash = 0, end;
	struct stat st;

	for (;;) {
		while (w->path[slash + 1] == '/')
			slash++;
		end = slash + 1 + strcspn(w->path + slash + 1, "/");
		if (end == slash + 1)
			break;
		memcpy(w->next, w->path, end);
		w->next[end] = '\0';
		if (lstat(w->next, &st) < 0)
			break;
		if (S_ISLNK(st.st_mode)) {
			tell_folder(w, slash);
			return w->links++ < LINKS_MAX && follow(w, slash, end) == 0;
		}
		if (w->path[end] == '\0')
			break;
		slash = end;
	}
	tell_folder(w, slash);
	return 0;
}

void
folders_of_path(const char *path, void (*fn)(void *arg, const char *folder), void *arg)
{
	struct way w = { .links = 0, .fn = fn, .arg = arg };
	size_t n = strlen(path);

	if (path[0] != '/' || n >= sizeof(w.path))
		return;
	memcpy(w.path, path, n + 1);
	while (walk(&w) > 0)
		;
}

void
folders_of_mask(const char *mask, void (*fn)(void *arg, const char *folder), void *arg)
{
	size_t plain = strcspn(mask, "*?["), n = plain;
	const char *slash = strrchr(mask, '/');
	char folder[PATH_MAX];
	glob_t g;

	if (slash == NULL || strlen(mask) >= sizeof(folder))
		return;
	/* down to where the wildcards begin: a name that is not there ends in its folder */
	while (n > 0 && mask[n - 1] != '/')
		n--;
	snprintf(folder, sizeof(folder), "%.*s.", (int)n, mask);
	folders_of_path(folder, fn, arg);
	if (mask + plain > slash)
		return;
	/* wildcards in the folders' names */
	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - mask), mask);
	if (glob(folder, GLOB_ONLYDIR, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		snprintf(folder, sizeof(folder), "%s/.", g.gl_pathv[i]);
		folders_of_path(folder, fn, arg);
	}
	globfree(&g);
}
