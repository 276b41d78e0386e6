/* SPDX-License-Identifier: MIT */

/*
 * Sockets: UNIX paths left behind, live ones, options, and descriptors handed over.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/os/fdpass.h"
#include "core/os/file.h"
#include "core/os/sock.h"
#include "t/lib/tap.h"

static char dir[] = "/tmp/lbd-sock-XXXXXX";

static void
unix_paths(void)
{
	struct addr a, b;
	struct stat st;
	char text[128];
	int fd, other;

	snprintf(text, sizeof(text), "unix:%s/s", dir);
	is_int(addr_parse(lbd_str_c(text), 0, &a), 0, "a path");
	fd = sock_open(AF_UNIX, SOCK_STREAM);
	is_int(sock_bind(fd, &a, 0600), 0, "bound");
	ok(stat(a.u.un.sun_path, &st) == 0 && (st.st_mode & 0777) == 0600, "with its mode");
	is_int(sock_listen(fd, 5), 0, "listening");
	ok(sock_is_listening(fd), "it knows");
	is_int(sock_type(fd), SOCK_STREAM, "a stream");
	is_int(sock_local(fd, &b), 0, "asked for its name");
	ok(addr_eq(&a, &b), "which is the path");

	other = sock_open(AF_UNIX, SOCK_STREAM);
	is_int(sock_bind(other, &a, 0), -EADDRINUSE, "a live socket is not replaced");
	is_int(sock_connect(other, &a), 0, "it still accepts");
	sock_close(&other);
	sock_close(&fd);
	ok(stat(a.u.un.sun_path, &st) == 0, "the file stays behind");
	fd = sock_open(AF_UNIX, SOCK_STREAM);
	is_int(sock_bind(fd, &a, 0), 0, "and is replaced");
	sock_close(&fd);

	unlink(a.u.un.sun_path);
	fd = open(a.u.un.sun_path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	fd = sock_open(AF_UNIX, SOCK_STREAM);
	is_int(sock_bind(fd, &a, 0), -EADDRINUSE, "an ordinary file is not replaced");
	ok(stat(a.u.un.sun_path, &st) == 0 && S_ISREG(st.st_mode), "and stays");
	sock_close(&fd);
	unlink(a.u.un.sun_path);
}

static void
options(void)
{
	struct addr a, b;
	int fd = sock_open(AF_INET, SOCK_STREAM);
	int other = sock_open(AF_INET, SOCK_STREAM);
	int rc;

	ok(fcntl(fd, F_GETFL) & O_NONBLOCK, "non-blocking");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "close-on-exec");
	is_int(sock_reuseaddr(fd, true) | sock_reuseport(fd, true) | sock_nodelay(fd, true) |
			sock_keepalive(fd, true, 30, 5, 3) | sock_keepalive(fd, true, 0, 0, 0) |
			sock_rcvbuf(fd, 65536) | sock_sndbuf(fd, 65536) | sock_linger0(fd) |
			sock_bind_no_port(fd) | sock_user_timeout(fd, 1000) |
			sock_notsent_lowat(fd, 16384) | sock_defer_accept(fd, 1), 0, "options");
	is_int(addr_parse(LBD_STR("127.0.0.1"), 0, &a), 0, "any port");
	is_int(sock_bind(other, &a, 0), 0, "bound");
	is_int(sock_local(other, &b), 0, "to");
	ok(addr_port(&b) != 0, "a port");
	rc = sock_connect(fd, &b);
	ok(rc == -ECONNREFUSED || (rc == -EINPROGRESS && sock_error(fd) == -ECONNREFUSED),
		"nobody listens there");
	is_int(sock_listen(other, 1), 0, "now somebody does");
	sock_close(&fd);
	fd = sock_open(AF_INET, SOCK_STREAM);
	rc = sock_connect(fd, &b);
	ok(rc == 0 || rc == -EINPROGRESS, "connected");
	ok(sock_peer(fd, &a) == 0 && addr_eq(&a, &b), "to it");
	sock_close(&other);
	sock_close(&fd);
	is_int(sock_nodelay(-1, true), -EBADF, "no socket");
	is_int(sock_local(-1, &a), -EBADF, "no socket");
	is_int(a.len, 0, "no address");
}

static void
handing_over(void)
{
	struct fdpass_peer peer;
	int pair[2], pipes[2], fds[FDPASS_MAX], n, i, before;
	char p[16];

	if (sock_pair(SOCK_SEQPACKET, pair) < 0 || pipe(pipes) < 0)
		bail_out("no sockets");
	is_int(fdpass_send(pair[0], "name", 4, pipes, 2), 4, "two descriptors are sent");
	n = FDPASS_MAX;
	is_int(fdpass_recv(pair[1], p, sizeof(p), fds, &n), 4, "and their name comes");
	is_int(n, 2, "with both");
	ok(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, "closed on exec");
	ok(write(fds[1], "x", 1) == 1 && read(pipes[0], p, 1) == 1, "and the same pipe");
	fd_close(&fds[0]);
	fd_close(&fds[1]);

	before = dup(0);
	close(before);
	is_int(fdpass_send(pair[0], "m", 1, pipes, 2), 1, "two are sent");
	n = 1;
	is_int(fdpass_recv(pair[1], p, sizeof(p), fds, &n), -EMSGSIZE, "room for one");
	is_int(n, 0, "none is given");
	is_int(fdpass_send(pair[0], "0123456789", 10, pipes, 1), 10, "ten bytes");
	n = 1;
	is_int(fdpass_recv(pair[1], p, 5, fds, &n), -EMSGSIZE, "room for five");
	is_int(i = dup(0), before, "no descriptor is left open");
	close(i);
	is_int(fdpass_send(pair[0], "", 0, NULL, 0), -EINVAL, "an empty message");
	is_int(fdpass_send(pair[0], "a", 1, fds, FDPASS_MAX + 1), -EINVAL, "too many");
	n = 1;
	is_int(fdpass_recv(pair[1], p, sizeof(p), fds, &n), -EAGAIN, "nothing there");
	is_int(fdpass_send(pair[0], "b", 1, NULL, 0), 1, "bytes alone");
	n = 1;
	is_int(fdpass_recv(pair[1], p, sizeof(p), fds, &n), 1, "come");
	is_int(n, 0, "alone");
	ok(fdpass_peer(pair[0], &peer) == 0 && peer.uid == geteuid(), "the peer is this process");
	ok(fdpass_peer_trusted(pair[0]), "which is trusted");
	ok(!fdpass_peer_trusted(pipes[0]), "a pipe is not");
	sock_close(&pair[0]);
	n = 1;
	is_int(fdpass_recv(pair[1], p, sizeof(p), fds, &n), 0, "the end");
	sock_close(&pair[1]);
	close(pipes[0]);
	close(pipes[1]);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		bail_out("no folder");
	unix_paths();
	options();
	handing_over();
	rmdir(dir);
	return done_testing();
}
