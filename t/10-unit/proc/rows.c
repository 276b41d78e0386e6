/* SPDX-License-Identifier: MIT */

/*
 * Rows of other masters' processes: kept while these live, told of when they end, in whatever
 * order; over a state; and what is no row is none.
 */

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/os/proc.h"
#include "core/proc/rows.h"
#include "tap.h"

static unsigned ended[8], n_ended;

static void
note(unsigned row)
{
	if (n_ended < 8)
		ended[n_ended] = row;
	n_ended++;
}

static pid_t
sleeper(void)
{
	pid_t pid = fork();

	if (pid < 0)
		bail_out("fork");
	if (pid == 0) {
		for (;;)
			pause();
	}
	return pid;
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool
is_marked(unsigned row)
{
	bool used[64] = { false };

	rows_mark(used, 64);
	return used[row];
}

/* Something is to be heard, within that time. */
static bool
is_told(int ms)
{
	struct pollfd p = { .fd = rows_fd(), .events = POLLIN };

	return p.fd >= 0 && poll(&p, 1, ms) > 0;
}

static void
check_ends(void)
{
	pid_t a = sleeper(), b = sleeper();

	is_int(rows_fd(), -1, "nothing to be polled");
	rows_add(7, proc_pidfd(a));
	rows_add(9, proc_pidfd(b));
	rows_add(11, -1);
	rows_add(1 << 20, -1);
	is_int(rows_count(), 3, "three rows; what is none is not counted");
	ok(is_marked(7) && is_marked(9) && is_marked(11) && !is_marked(8), "they are marked");
	ok(!is_told(0), "nobody has ended");
	rows_hold(true);
	end(a);
	is_int(rows_fd(), -1, "held: that is not heard");
	rows_hear(note);
	is_int(n_ended, 0, "nor told");
	rows_hold(false);
	ok(is_told(5000), "then it is");
	rows_hear(note);
	ok(n_ended == 1 && ended[0] == 7 && !is_marked(7), "the row is free");
	ok(!is_told(0), "once");
	rows_lost(note);
	ok(n_ended == 2 && ended[1] == 11 && is_marked(9), "one without a handle, when it is lost");
	end(b);
	ok(is_told(5000), "the other one");
	rows_hear(note);
	ok(n_ended == 3 && ended[2] == 9 && rows_count() == 0, "ends, too");
	is_int(rows_fd(), -1, "nothing is left to be polled");
}

static void
check_state(void)
{
	struct state *s = state_create(), *got;
	pid_t a = sleeper(), b = sleeper();
	struct lbd_str text;
	int fds[4], copy[4];
	unsigned n;

	n_ended = 0;
	rows_add(3, proc_pidfd(a));
	rows_add(4, proc_pidfd(b));
	rows_add(3, proc_pidfd(b));
	rows_add(5, -1);
	is_int(rows_count(), 3, "a row is there once");
	rows_save(s);
	n = state_fds(s, fds, 4);
	is_int(n, 2, "two descriptors");
	for (unsigned i = 0; i < n; i++)
		copy[i] = dup(fds[i]);
	is_int(state_text(s, &text), 0, "as a text");
	got = state_parse(text);
	state_free(&s);
	rows_forget();
	is_int(rows_count(), 0, "forgotten");
	is_int(state_adopt(got, copy, n), 0, "from another process");
	rows_load(got);
	state_free(&got);
	is_int(rows_count(), 3, "they are there again");
	end(a);
	ok(!is_told(0), "the row has changed hands");
	end(b);
	ok(is_told(5000), "the last one ends");
	rows_hear(note);
	ok(n_ended == 2 && is_marked(5), "with both rows");
	rows_forget();
}

int
main(void)
{
	check_ends();
	check_state();
	return done_testing();
}
