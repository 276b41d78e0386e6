/* SPDX-License-Identifier: MIT */

/*
 * Asking a running lbd for what it has: see takeover.h.  There is nothing else to do meanwhile, so
 * this waits, each time for as long as one who runs may need to answer.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/os/clock.h"
#include "core/os/fdpass.h"
#include "core/os/file.h"
#include "core/os/sock.h"
#include "core/proc/command.h"
#include "core/proc/takeover.h"
#include "core/proc/transfer.h"

enum {
	ANSWER_MS = 10 * 1000,
	MARGIN_MS = 5000,      /* beyond our own limit for the start */
	REPLY_MAX = 4096,
};

static int
wait_for(int fd, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t now;

	while ((now = clock_read_ms()) < until) {
		int rc = poll(&p, 1, (int)LBD_MIN(until - now, (uint64_t)60000));

		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return -errno;
	}
	return -ETIMEDOUT;
}

/* Its words, when it refuses. */
static void
read_reply(const char *line, size_t n, char *err, size_t errsize)
{
	char room[REPLY_MAX];
	struct json_reader r;
	struct json_value v;
	struct lbd_str name;

	snprintf(err, errsize, "what answers there is no lbd");
	json_open(&r, lbd_str(line, n), room);
	while (json_next(&r, &name, &v) > 0)
		if (lbd_str_eq(name, LBD_STR("text")) && v.type == JSON_STRING)
			snprintf(err, errsize, "%.*s",
				LBD_FMT(lbd_str_head(v.text, errsize - 1)));
}

/* The line that answers, and our end of the connection, which comes with its beginning. */
static int
receive_link(int sock, int *link, char *err, size_t errsize)
{
	uint64_t until = clock_read_ms() + ANSWER_MS;
	char line[REPLY_MAX];
	size_t n = 0;
	ssize_t got;
	int rc, fd, fds;

	while (n == 0 || line[n - 1] != '\n') {
		rc = n < sizeof(line) ? wait_for(sock, until) : -EBADMSG;
		fds = 1;
		got = rc < 0 ? rc : fdpass_recv(sock, line + n, sizeof(line) - n, &fd, &fds);
		if (got == -EAGAIN)
			continue;
		if (got <= 0) {
			snprintf(err, errsize, "no answer: %s",
				got == 0 ? "it has ended" : strerror((int)-got));
			return -1;
		}
		if (fds > 0) {
			sock_close(link);
			*link = fd;
		}
		n += (size_t)got;
	}
	if (*link >= 0 && lbd_str_starts(lbd_str(line, n), LBD_STR("{\"ok\":true")))
		return file_set_nonblock(*link, true);
	read_reply(line, n - 1, err, errsize);
	return -1;
}

static int
connect_to(const char *path, struct transfer *t, pid_t *from, char *err, size_t errsize)
{
	struct fdpass_peer peer = { 0, (uid_t)-1, (gid_t)-1 };
	int link = -1, rc;
	struct ask a;

	rc = ask_open(&a, path);
	if (rc < 0) {
		snprintf(err, errsize, "nobody answers there: %s", strerror(-rc));
		return -1;
	}
	*from = a.pid;
	/* what we get from it is memory that it may write to */
	if (!fdpass_peer_trusted(a.fd)) {
		(void)!fdpass_peer(a.fd, &peer);
		snprintf(err, errsize, "it is run by user %d; take over as that user",
			(int)peer.uid);
		rc = -1;
	}
	if (rc == 0) {
		rc = ask_send(&a, LBD_STR("{\"verb\":\"takeover\"}\n"));
		/* whom it does not let in it answers before that */
		rc = rc == -EPIPE ? 0 : rc;
		if (rc < 0)
			snprintf(err, errsize, "could not ask: %s", strerror(-rc));
	}
	if (rc == 0)
		rc = receive_link(a.fd, &link, err, errsize);
	ask_close(&a);
	if (rc < 0)
		sock_close(&link);
	transfer_init(t, link);
	return rc;
}

static struct state *
hello(uint64_t ready_ms)
{
	struct state *s = state_create();

	if (s == NULL)
		return NULL;
	state_begin(s, "takeover");
	state_num(s, "protocol", TAKEOVER_PROTOCOL);
	state_str(s, "version", LBD_STR(LBD_VERSION));
	state_num(s, "pid", (uint64_t)getpid());
	state_num(s, "timeout", ready_ms + MARGIN_MS);
	return s;
}

/* NULL, and why. */
static struct state *
receive_state(struct transfer *t, char *err, size_t errsize)
{
	uint64_t until = clock_read_ms() + ANSWER_MS;
	struct state *s = NULL;
	uint32_t type = 0;
	int rc = 0;

	while (rc == 0) {
		rc = wait_for(t->fd, until);
		if (rc == 0)
			rc = transfer_recv(t, &type, &s);
		if (rc > 0 && type > TRANSFER_REOPEN) {
			state_free(&s);
			rc = 0;
		}
	}
	if (rc > 0 && type == TRANSFER_STATE)
		return s;
	if (rc > 0 && type == TRANSFER_REFUSED)
		transfer_words(s, err, errsize);
	else if (rc == -EMSGSIZE)
		snprintf(err, errsize, "it has more sockets than this process may open files");
	else
		snprintf(err, errsize, "it did not say what it has: %s",
			rc == -ECONNRESET ? "it has ended" : strerror(rc > 0 ? EBADMSG : -rc));
	state_free(&s);
	return NULL;
}

static int
say_hello(struct transfer *t, uint64_t ready_ms)
{
	struct state *s = hello(ready_ms);
	int rc = s == NULL ? -ENOMEM : transfer_put(t, TRANSFER_HELLO, s);

	state_free(&s);
	if (rc == 0)
		rc = transfer_send(t);
	return rc < 0 ? rc : 0;
}

struct state *
taker_ask(struct transfer *t, pid_t *from, const char *path, uint64_t ready_ms, char *err,
	size_t errsize)
{
	struct state *s;
	int rc;

	if (connect_to(path, t, from, err, errsize) < 0)
		return NULL;
	rc = say_hello(t, ready_ms);
	if (rc < 0) {
		snprintf(err, errsize, "could not ask: %s", strerror(-rc));
		return NULL;
	}
	s = receive_state(t, err, errsize);
	if (s == NULL)
		transfer_refuse(t, err);
	return s;
}
