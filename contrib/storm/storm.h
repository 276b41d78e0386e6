/* SPDX-License-Identifier: MIT */

/*
 * Between the files of the storm: what its clients and its server share.  Both are one thread, one
 * epoll, and memory that is never given back before the end.
 */

#ifndef LBD_CONTRIB_STORM_STORM_H
#define LBD_CONTRIB_STORM_STORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

/* ---- storm_loop.c --------------------------------------------------------------------------- */

/* What epoll tells about one descriptor.  First member of whatever owns it. */
struct source {
	int fd; /* -1: closed; events that were on their way are ignored */
	uint32_t events;
	void (*ready)(struct source *s, uint32_t events);
};

void loop_init(void);
void loop_add(struct source *s, uint32_t events);
void loop_change(struct source *s, uint32_t events);
void loop_close(struct source *s);
void loop_turn(uint64_t until_ns); /* ends at that time or after some events */
uint64_t now_ns(void);
_Noreturn void fatal(const char *what); /* with errno */

void random_seed(uint64_t seed);
uint64_t random_below(uint64_t n);                   /* 0 .. n-1 */
uint64_t random_between(uint64_t low, uint64_t high); /* both included */

/* A line at a time from standard input; the last one is NULL. */
void lines_from_stdin(void (*line)(char *text));

/* ---- storm_wire.c: a connection that has something to send ----------------------------------- */

struct wire {
	struct source source;
	char *out; /* owned, kept for the next one */
	size_t out_at, out_n, out_room;
	uint64_t sent; /* bytes, over the life of the struct */
};

void wire_put(struct wire *w, const void *p, size_t n);
void wire_printf(struct wire *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for n bytes, which become part of it with wire_took(). */
char *wire_room(struct wire *w, size_t n);
void wire_took(struct wire *w, size_t n);
bool wire_is_empty(const struct wire *w);
/* 1: all is sent; 0: wait for EPOLLOUT; -errno */
int wire_flush(struct wire *w);
void wire_forget(struct wire *w); /* what is not sent yet */

/* ---- storm_body.c: bytes that can be told apart, heads, chunks ------------------------------- */

#define SUM_START 14695981039346656037ULL

void body_init(void);
/* The body of a message has bytes that follow from its id and the place in it. */
void body_fill(char *to, size_t n, uint64_t id, uint64_t from);
bool body_is(const char *p, size_t n, uint64_t id, uint64_t from);
uint64_t sum_add(uint64_t sum, const char *p, size_t n);
uint64_t body_sum(uint64_t id, uint64_t size);

/* Length of a head with its empty line, 0 while it is not whole. */
size_t head_length(const char *p, size_t n);
/* A field's value in a buffer of the caller, "" when there is none. */
const char *head_field(const char *head, size_t n, const char *name, char *to, size_t size);
/* Decimal digits and nothing else. */
bool number_of(const char *text, uint64_t *number);

/* A body that comes in: with a length or in chunks. */
struct incoming {
	bool chunked, done, broken;
	enum { CHUNK_SIZE, CHUNK_REST, CHUNK_DATA, CHUNK_END, CHUNK_TRAILER } state;
	bool line_has_more; /* of a trailer */
	uint64_t left;      /* of the body, or of the chunk */
	uint64_t taken;     /* bytes of the body so far */
	uint64_t sum;       /* of these */
};

void incoming_start(struct incoming *b, bool chunked, uint64_t length);
/* How many of the bytes belong to it up to the end of the next piece of data, which is told. */
size_t incoming_take(struct incoming *b, const char *p, size_t n, const char **data, size_t *size);

/* ---- storm_frames.c: messages of a WebSocket ------------------------------------------------- */

enum { FRAME_DATA = 2, FRAME_CLOSE = 8, FRAME_HEAD_MAX = 14, MESSAGE_HEAD = 9 };

/* One direction of one tunnel, as it is received; all that follows from id is verified. */
struct frames {
	uint64_t id;
	uint8_t head[FRAME_HEAD_MAX];
	unsigned head_n;
	uint8_t key[4];
	uint64_t length, at;
	uint8_t start[MESSAGE_HEAD + 1]; /* who sent it and its number; of a close: its payload */
	uint8_t opcode;                  /* of the frame that is whole */
	char who;                        /* 'c' of the client, or its echo; 's' of the server */
	uint64_t number;
	const char *wrong; /* why frames_take() said -1 */
};

void frames_start(struct frames *f, uint64_t id);
/* 1: a frame is whole; 0: all was used and it is not; -1: what came is wrong. */
int frames_take(struct frames *f, const char *p, size_t n, size_t *used);
/* Queues message number of a tunnel, or the end with how many there were. */
size_t frame_put_message(struct wire *w, uint64_t id, char who, uint64_t number, bool masked);
void frame_put_close(struct wire *w, uint64_t count, bool masked);
/* Does the server say something by itself after this message? */
bool frame_is_answered_twice(uint64_t id, uint64_t number);

/* ---- storm_serve.c, storm_drive.c ------------------------------------------------------------ */

int serve(int argc, char **argv);
int drive(int argc, char **argv);

#endif
