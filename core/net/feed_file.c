/* SPDX-License-Identifier: MIT */

/*
 * Files of servers, watched.
 *
 * Folders are watched, not files, for a file that is replaced is another one, and so are the
 * folders of all links on the way, for a link may be made to lead elsewhere (as Kubernetes does
 * with "..data").  After a change there is a moment of quiet before the file is read; what cannot
 * be used changes nothing.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <lbd/log.h>

#include "core/base/siphash.h"
#include "core/net/discover.h"
#include "core/os/file.h"
#include "core/os/folders.h"

enum { QUIET_MS = 250, AGAIN_MS = 1000, POLL_MS = 5000, FILE_BYTES_MAX = 64 << 20 };

#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | \
	IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

static struct {
	struct loop *loop;
	struct file file;            /* inotify */
	struct op op;
	struct timer timer;
	struct lbd_pool *pool;       /* owned: strings of what was read */
	struct lbd_list feeds;     /* struct feed, by file_link */
	bool stopping;
} files;

static void
add_folder(void *arg, const char *folder)
{
	(void)arg;
	if (files.file.fd >= 0)
		(void)inotify_add_watch(files.file.fd, folder, EVENTS); /* it may come to be */
}

static void
tell_all(struct loop *loop, struct timer *t)
{
	struct lbd_list *p, *tmp;

	(void)loop;
	(void)t;
	LBD_LIST_EACH(p, tmp, &files.feeds) {
		struct feed *s = LBD_LIST_ITEM(p, struct feed, file_link);

		folders_of_path(s->name.p, add_folder, NULL);
		feed_tell(s);
	}
	timer_set(files.loop, &files.timer, POLL_MS);
}

static void
on_event(struct loop *loop, struct op *op)
{
	char events[4096];
	bool any = false;

	if (files.stopping) {
		file_close(loop, &files.file);
		return;
	}
	while (read(files.file.fd, events, sizeof(events)) > 0)
		any = true;
	if (any)
		timer_set(loop, &files.timer, QUIET_MS);
	op_poll(loop, op, &files.file, POLLIN);
}

static void
forget_text(void)
{
	if (files.pool != NULL)
		lbd_pool_destroy(&files.pool);
}

void
feed_file_done(struct feed *s)
{
	forget_text();
	if (s->refused > 0) /* it may say so again */
		timer_set(files.loop, &files.timer, AGAIN_MS);
}

bool
feed_files_start(struct loop *loop)
{
	files.loop = loop;
	lbd_list_init(&files.feeds);
	files.stopping = false;
	timer_init(&files.timer, tell_all);
	op_init(&files.op, on_event);
	file_init(&files.file, -1);
	return true;
}

bool
feed_file_start(struct feed *s)
{
	int fd;

	if (lbd_list_empty(&files.feeds)) {
		fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
		if (fd < 0) /* then by looking now and then */
			lbd_log(lbd_log_process(), LBD_LOG_WARN, errno,
				"could not watch files of servers");
		file_init(&files.file, fd);
		if (fd >= 0)
			op_poll(files.loop, &files.op, &files.file, POLLIN);
		timer_set(files.loop, &files.timer, 0);
	}
	lbd_list_add_tail(&files.feeds, &s->file_link);
	s->digest = 0;
	s->heard = true;
	return true;
}

void
feed_files_stop(void)
{
	if (files.loop == NULL)
		return;
	timer_fini(files.loop, &files.timer);
	files.stopping = true;
	if (op_in_flight(&files.op))
		op_cancel(files.loop, &files.op);
	else
		file_close(files.loop, &files.file);
	files.loop = NULL;
	forget_text();
}


/* --- reading --- */

/* No secret: who may write the file may do worse than making two of them look the same. */
static uint64_t
digest(struct lbd_str text)
{
	static const struct siphash_key key = { { 3, 4 } };

	return siphash(&key, text.p, text.n) | 1;
}

static enum feed_news
read_text(struct feed *s, struct lbd_str text, struct member_list *out)
{
	struct discover_error err = { .line = 0 };

	forget_text();
	files.pool = lbd_pool_create(16 * 1024);
	if (files.pool == NULL)
		return FEED_FAILS;
	if (discover_read(files.pool, text, s, out, &err) == 0)
		return FEED_BRINGS;
	lbd_log(lbd_log_process(), LBD_LOG_ERROR, 0,
		"upstream \"%.*s\": %.*s:%u:%u: %s; its servers stay as they were",
		LBD_FMT(s->up->name), LBD_FMT(s->name), err.line, err.column, err.text);
	return FEED_KEEP;
}

enum feed_news
feed_file_read(struct feed *s, struct member_list *out)
{
	enum feed_news news = FEED_KEEP;
	char *data = NULL;
	size_t n = 0;
	int rc = file_read_now(s->name.p, FILE_BYTES_MAX, &data, &n);
	uint64_t now = rc < 0 ? (uint64_t)-rc : digest(lbd_str(data, n));

	if (rc == -ENOMEM)
		return FEED_FAILS;
	/* what was doubted is looked at again until it is believed */
	if (now == s->digest && s->refused == 0) {
		free(data);
		return FEED_KEEP;
	}
	s->digest = now;
	if (rc < 0)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, -rc,
			"upstream \"%.*s\": could not read %.*s; its servers stay as they were",
			LBD_FMT(s->up->name), LBD_FMT(s->name));
	else
		news = read_text(s, lbd_str(data, n), out);
	free(data);
	return news;
}
