/* SPDX-License-Identifier: MIT */

/*
 * States between two masters that have nothing to do with one another but a connection (a pair of
 * SOCK_SEQPACKET sockets): messages of any size with any number of descriptors.
 *
 * A message goes in pieces, as many bytes and descriptors in each as the kernel takes.  Nothing
 * waits.  The other side may be another version of lbd: the head of a piece never changes, and what
 * a message says is a state (state.h), of which what is not known is ignored.  What comes is
 * bounded and checked before it is believed.
 */

#ifndef LBD_CORE_PROC_TRANSFER_H
#define LBD_CORE_PROC_TRANSFER_H

#include "core/proc/state.h"

/* Numbers never change; a type that is not known is ignored by those who get it. */
enum transfer_type {
	TRANSFER_HELLO = 1, /* taker: I want to take over; my version, how long I may need */
	TRANSFER_STATE,     /* giver: what there is */
	TRANSFER_REFUSED,   /* either side: it comes to nothing, for this reason */
	TRANSFER_READY,     /* taker: my workers could serve */
	TRANSFER_GO,        /* giver: do; I shall not go back on it unless you end */
	TRANSFER_SERVING,   /* taker: they do; what nobody wants any more */
	TRANSFER_GIVEN,     /* giver: mine accept no more; who they are */
	TRANSFER_FOLLOW,    /* taker: where connections can go on, from now on */
	TRANSFER_REOPEN,    /* taker: the logs were renamed */
};

enum {
	TRANSFER_PIECE_TEXT = 16 * 1024,
	TRANSFER_PIECE_FDS = 64,
	TRANSFER_TEXT_MAX = 64 << 20,
	TRANSFER_FDS_MAX = 1 << 16,
};

struct transfer {
	int fd;                 /* owned; -1: closed */
	unsigned piece_fds;     /* descriptors in one, TRANSFER_PIECE_FDS; tests lower it */
	struct {
		uint32_t type;  /* 0: nothing is to be sent */
		char *text;     /* owned */
		size_t n, at;
		int *fds;       /* owned, the descriptors are the sender's */
		unsigned fd_n, fd_at;
		bool starved;   /* too many are under way, which poll() does not show */
	} out;
	struct {
		uint32_t type;  /* 0: no message has begun */
		char *text;     /* owned */
		size_t n, size;
		int *fds;       /* owned, as are the descriptors */
		unsigned fd_n, fd_size;
	} in;
};

/* fd is taken. */
void transfer_init(struct transfer *t, int fd);
/* Closes, with everything that came and was not handed out. */
void transfer_close(struct transfer *t);

/*
 * The message to be sent next.  The text is copied; the descriptors of s stay the caller's and must
 * stay open until transfer_send() says that all is sent.  What was not sent yet of the message
 * before is forgotten, on the other side too.  0, -ENOMEM, or -E2BIG: more than may be sent.
 */
int transfer_put(struct transfer *t, enum transfer_type type, const struct state *s) LBD_USE_RESULT;

/*
 * A short message at once, without memory: text is a state's, of TRANSFER_PIECE_TEXT bytes at most.
 * What was not sent yet is forgotten.  0 or -errno.
 */
int transfer_say(struct transfer *t, enum transfer_type type, const char *text) LBD_USE_RESULT;

/* Says that it comes to nothing, and why, if there is room for it; and what the other side said. */
void transfer_refuse(struct transfer *t, const char *why);
void transfer_words(struct state *s, char *buf, size_t size);

/* What was not sent is not sent any more. */
void transfer_forget(struct transfer *t);

/* Sends what can be sent: 1: nothing is left, 0: not all, or -errno. */
int transfer_send(struct transfer *t) LBD_USE_RESULT;

/*
 * 1: a message, whose state (with its descriptors) is the caller's now; 0: not yet; -ECONNRESET:
 * the end; -EBADMSG: no message of ours, or more than may come; -EMSGSIZE: this process may not
 * have that many descriptors; another -errno.
 */
int transfer_recv(struct transfer *t, uint32_t *type, struct state **s) LBD_USE_RESULT;

#endif
