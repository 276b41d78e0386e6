/* SPDX-License-Identifier: MIT */

/*
 * Watches folders, waits for quiet, compares, asks.  What a reload is, and whether it succeeds, is
 * decided by those who are asked: to try what cannot be used is their work.
 *
 * A change is compared by reading all files as at a start: only the parser knows which they are.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/base/siphash.h"
#include "core/config/parse.h"
#include "core/os/clock.h"
#include "core/os/file.h"
#include "core/os/log.h"
#include "core/proc/watch.h"
#include "core/os/folders.h"

enum { QUIET_MS = 500, LONGEST_MS = 5000, FOLDERS_MAX = 1000, READS_MAX = 5 };

#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | \
	IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

static struct {
	const struct config *config;  /* borrowed */
	void (*request)(void);
	int fd;                       /* owned; -1: nothing is watched */
	int newest;                   /* the kernel counts watches up */
	bool failed;                  /* some folder could not be watched; that was logged */
	uint64_t first_ms, due_ms;    /* of what is being waited for; due_ms of 0: nothing */
	uint64_t runs, tried;         /* digests of the files */
} watch = { .fd = -1 };

/* --- what the files are --- */

/*
 * No secret is needed: who may write these files may do worse than making two of them look the
 * same.
 */
static uint64_t
digest(const struct tree *t)
{
	static const struct siphash_key key = { { 1, 2 } };
	uint64_t mix[3] = { 0 };

	for (const struct source *src = t->sources; src != NULL; src = src->next) {
		if (src->path == NULL)
			continue;
		mix[1] = siphash(&key, src->path, strlen(src->path));
		mix[2] = siphash(&key, src->text.p, src->text.n);
		mix[0] = siphash(&key, mix, sizeof(mix));
	}
	return mix[0];
}

/* --- where to look --- */

struct adding {
	unsigned n;   /* folders asked for */
	bool grown;   /* one of them is new */
};

static void
add_folder(void *arg, const char *folder)
{
	struct adding *a = arg;
	int wd;

	wd = ++a->n <= FOLDERS_MAX ? inotify_add_watch(watch.fd, folder, EVENTS) : -1;
	if (wd > watch.newest) {
		watch.newest = wd;
		a->grown = true;
	}
	if (wd >= 0 || errno == ENOENT || errno == ENOTDIR || watch.failed)
		return;
	watch.failed = true;
	lbd_log(lbd_log_process(), LBD_LOG_WARN, a->n > FOLDERS_MAX ? 0 : errno,
		"could not watch the folder \"%s\" for changes", folder);
}

/* True: there was one that was not watched before. */
static bool
add_folders(const struct tree *t)
{
	struct adding a = { 0 };

	folders_of_path(watch.config->file, add_folder, &a);
	for (const struct source *src = t->sources; src != NULL; src = src->next)
		if (src->path != NULL)
			folders_of_path(src->path, add_folder, &a);
	for (const struct included *inc = t->included; inc != NULL; inc = inc->next)
		folders_of_mask(inc->path, add_folder, &a);
	return a.grown;
}

/* --- when --- */

/*
 * Reads what is on disk.  Again when a folder was new: it may have changed between being read and
 * being watched.  false: no memory.
 */
static bool
look(uint64_t *out)
{
	bool grown = true, good = true;

	for (int i = 0; i < READS_MAX && grown && good; i++) {
		struct lbd_pool *pool = lbd_pool_create(16384);
		struct tree *t = pool != NULL ? config_reread(watch.config, pool) : NULL;

		good = t != NULL;
		if (good) {
			grown = add_folders(t);
			*out = digest(t);
		}
		if (pool != NULL)
			lbd_pool_destroy(&pool);
	}
	return good;
}

static void
compare(void)
{
	const struct lbd_log *log = lbd_log_process();
	uint64_t now = 0;

	if (!look(&now)) {
		lbd_log(log, LBD_LOG_ERROR, ENOMEM, "could not look at the configuration's files");
		return;
	}
	if (now == watch.runs || now == watch.tried) {
		/* back to what runs: what was refused before may be tried again */
		if (now == watch.runs)
			watch.tried = now;
		lbd_log(log, LBD_LOG_DEBUG, 0, "the configuration's files have not changed");
		return;
	}
	watch.tried = now;
	lbd_log(log, LBD_LOG_NOTICE, 0, "the configuration's files have changed, reloading");
	watch.request();
}

static void
schedule(uint64_t now)
{
	if (watch.due_ms == 0)
		watch.first_ms = now;
	watch.due_ms = LBD_MIN(now + QUIET_MS, watch.first_ms + LONGEST_MS);
}

void
watch_hear(uint64_t now)
{
	char events[4096];
	ssize_t n;

	if (watch.fd < 0)
		return;
	/* what it was does not matter: the files say it; not all at once, others wait, too */
	for (int i = 0; i < 16; i++) {
		n = read(watch.fd, events, sizeof(events));
		if (n <= 0)
			break;
		schedule(now);
	}
}

uint64_t
watch_tick(uint64_t now)
{
	if (watch.fd < 0 || watch.due_ms == 0)
		return UINT64_MAX;
	if (now < watch.due_ms)
		return watch.due_ms;
	watch.due_ms = 0;
	compare();
	return UINT64_MAX;
}

void
watch_open(const struct config *c, void (*request)(void))
{
	watch.config = c;
	watch.request = request;
	watch.runs = watch.tried = digest(c->tree);
	watch.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch.fd < 0) {
		lbd_log(lbd_log_process(), LBD_LOG_ERROR, errno, "\"watch\" does not work");
		watch.fd = -1;
		return;
	}
	(void)add_folders(c->tree);
	/* they may have changed since they were read */
	schedule(clock_read_ms());
}

int
watch_fd(void)
{
	return watch.fd;
}

void
watch_close(void)
{
	fd_close(&watch.fd);
}
