/* SPDX-License-Identifier: MIT */

/*
 * Socket options, one function each.
 */

#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>

#include "core/os/sock.h"

static int
set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

int
sock_reuseaddr(int fd, bool on)
{
	return set_int(fd, SOL_SOCKET, SO_REUSEADDR, on);
}

int
sock_reuseport(int fd, bool on)
{
	return set_int(fd, SOL_SOCKET, SO_REUSEPORT, on);
}

int
sock_nodelay(int fd, bool on)
{
	return set_int(fd, IPPROTO_TCP, TCP_NODELAY, on);
}

int
sock_cork(int fd, bool on)
{
	return set_int(fd, IPPROTO_TCP, TCP_CORK, on);
}

int
sock_keepalive(int fd, bool on, int idle, int interval, int count)
{
	const struct {
		int option, value;
	} rows[] = {
		{ TCP_KEEPIDLE, idle },
		{ TCP_KEEPINTVL, interval },
		{ TCP_KEEPCNT, count },
	};
	int rc = set_int(fd, SOL_SOCKET, SO_KEEPALIVE, on);
	size_t i;

	for (i = 0; rc == 0 && on && i < LBD_ARRAY_LEN(rows); i++) {
		if (rows[i].value > 0)
			rc = set_int(fd, IPPROTO_TCP, rows[i].option, rows[i].value);
	}
	return rc;
}

int
sock_v6only(int fd, bool on)
{
	return set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, on);
}

int
sock_get_v6only(int fd, bool *on)
{
	int value = 0;
	socklen_t n = sizeof(value);

	if (getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &n) < 0)
		return -errno;
	*on = value != 0;
	return 0;
}

int
sock_fastopen(int fd, int queue)
{
	return set_int(fd, IPPROTO_TCP, TCP_FASTOPEN, queue);
}

int
sock_defer_accept(int fd, int seconds)
{
	return set_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds);
}

/*
 * A filter sees a segment from the TCP header on.  Connections inherit it, and lose nothing: what
 * is dropped is a SYN without an ACK.
 */
int
sock_refuse_new(int fd, bool on)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* the flags */
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12), /* SYN, ACK */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	static const int off;
	struct sock_fprog program = { .len = LBD_ARRAY_LEN(code), .filter = code };

	if (on)
		return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0
			? -errno : 0;
	if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &off, sizeof(off)) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

bool
sock_refuses_new(int fd)
{
	socklen_t n = 0;

	/* the length counts instructions */
	return getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n) == 0 && n > 0;
}

int
sock_rcvbuf(int fd, int bytes)
{
	return set_int(fd, SOL_SOCKET, SO_RCVBUF, bytes);
}

int
sock_sndbuf(int fd, int bytes)
{
	return set_int(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

int
sock_linger0(int fd)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) < 0 ? -errno : 0;
}

int
sock_bind_no_port(int fd)
{
	return set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
}

int
sock_transparent(int fd, int family)
{
	if (family == AF_INET6)
		return set_int(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
	return set_int(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

int
sock_user_timeout(int fd, unsigned ms)
{
	return set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)ms);
}

int
sock_notsent_lowat(int fd, int bytes)
{
	return set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
}

int
sock_incoming_cpu(int fd, int cpu)
{
	return set_int(fd, SOL_SOCKET, SO_INCOMING_CPU, cpu);
}
