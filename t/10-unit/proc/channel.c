/* SPDX-License-Identifier: MIT */

/*
 * Messages between child and master, and signals as data.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "core/proc/channel.h"
#include "core/proc/signals.h"
#include "tap.h"

static void
check_channel(void)
{
	struct channel_msg msg;
	char longest[1000];
	int ends[2];

	is_int(channel_open(ends), 0, "opens");
	ok(fcntl(ends[0], F_GETFD) & FD_CLOEXEC, "closed by exec");
	is_int(channel_recv(ends[0], &msg, NULL), -EAGAIN, "nothing yet");
	is_int(channel_send(ends[1], CHANNEL_READY, "epoll"), 0, "sent");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	is_int(channel_send(ends[1], CHANNEL_FAILED, longest), 0, "sent, too long");
	is_int(channel_recv(ends[0], &msg, NULL), 1, "the first");
	ok(msg.type == CHANNEL_READY && strcmp(msg.text, "epoll") == 0, "is whole");
	is_int(channel_recv(ends[0], &msg, NULL), 1, "the second");
	is_int(strlen(msg.text), sizeof(msg.text) - 1, "is cut");
	is_int(write(ends[1], "x", 1), 1, "something else");
	is_int(channel_recv(ends[0], &msg, NULL), -EBADMSG, "is no message");
	close(ends[1]);
	is_int(channel_recv(ends[0], &msg, NULL), 0, "the end");
	is_int(channel_send(ends[0], CHANNEL_READY, ""), -EPIPE, "nobody is told");
	close(ends[0]);
	is_int(channel_send(-1, CHANNEL_READY, ""), 0, "no channel is no error");
}

static void
check_descriptors(void)
{
	struct channel_msg msg;
	int ends[2], pair[2], fds[CHANNEL_FDS], next = dup(0);

	close(next);
	is_int(channel_open(ends), 0, "opens");
	is_int(pipe(pair), 0, "two descriptors");
	is_int(channel_send_fds(ends[0], CHANNEL_HANDOVER, "", pair), 0, "are sent");
	is_int(channel_send(ends[0], CHANNEL_DRAIN, ""), 0, "and none");
	is_int(channel_recv(ends[1], &msg, fds), 1, "a message");
	is_int(msg.type, CHANNEL_HANDOVER, "the first");
	ok(fds[0] >= 0 && fds[1] >= 0, "has two");
	ok(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, "closed by exec");
	is_int(write(fds[1], "x", 1), 1, "which are those");
	is_int(read(pair[0], &msg, 1), 1, "that were sent");
	close(fds[0]);
	close(fds[1]);
	is_int(channel_recv(ends[1], &msg, fds), 1, "the second");
	ok(msg.type == CHANNEL_DRAIN && fds[0] == -1 && fds[1] == -1, "has none");
	is_int(channel_send_fds(ends[0], CHANNEL_HANDOVER, "", pair), 0, "to who wants none");
	is_int(channel_recv(ends[1], &msg, NULL), 1, "comes");
	is_int(channel_recv(ends[1], &msg, fds), -EAGAIN, "that was all");
	close(pair[0]);
	close(pair[1]);
	close(ends[0]);
	close(ends[1]);
	is_int(dup(0), next, "none is left open");
	close(next);
}

static void
check_signals(void)
{
	struct signal_event ev;
	int fd;

	is_int(signals_block(), 0, "blocked");
	fd = signals_open();
	ok(fd >= 0, "a descriptor");
	ok(!signals_next(fd, &ev), "nothing came");
	kill(getpid(), SIGHUP);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	ok(signals_next(fd, &ev), "a signal");
	is_int(ev.number, SIGHUP, "HUP");
	is_cstr(signals_name(ev.number), "HUP", "has a name");
	is_int(ev.sender, getpid(), "and a sender");
	ok(!ev.from_kernel, "which is not the kernel");
	ok(signals_next(fd, &ev) && ev.number == SIGUSR1, "USR1");
	ok(!signals_next(fd, &ev), "two of a kind are one");
	is_cstr(signals_name(SIGSEGV), "?", "others have no name");
	close(fd);
}

int
main(void)
{
	check_channel();
	check_descriptors();
	check_signals();
	return done_testing();
}
