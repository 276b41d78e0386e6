/* SPDX-License-Identifier: MIT */

/*
 * Between the files of the clients.
 */

#ifndef LBD_CONTRIB_STORM_STORM_DRIVE_H
#define LBD_CONTRIB_STORM_STORM_DRIVE_H

#include "storm.h"

#include <stdio.h>

enum { ASKS_MAX = 8, CLIENT_PART_MAX = 8192, PORTS_MAX = 512 };

/* How a request, or an idle connection, can be lost. */
enum lost {
	LOST_FAILED,  /* another status, body, field than there must be */
	LOST_RESET,
	LOST_CLOSED,  /* without "Connection: close" before */
	LOST_CUT,     /* asked in one go, and told to close before all of it was answered */
	LOST_REFUSED, /* connect() */
	LOST_SILENT,  /* nothing came for too long */
	LOST_STALE,   /* a new connection served by an older generation */
	LOST_KINDS,
};

/* What happened to the clients of one kind. */
struct account {
	uint64_t requests, answered, messages, bytes_in, bytes_out, connections;
	uint64_t told;      /* "Connection: close" that was not asked for */
	uint64_t told_gone; /* the same, its listener is being removed */
	uint64_t refused_gone; /* connect() refused, its listener is being removed */
	uint64_t old;       /* a kept connection answered by a generation older than it could */
	uint64_t excused;   /* lost with a worker that was killed */
	uint64_t lost[LOST_KINDS];
	uint64_t worst_ns;  /* from the last byte of a request to the head of its answer */
};

/* A request that waits for its answer. */
struct ask {
	uint64_t id, size, upload;
	uint64_t sent_ns; /* 0: not whole yet */
	uint64_t generation, module; /* announced when it began */
	unsigned status;
	char what;        /* letter of its path */
	bool head, close;
	const char *method, *fields; /* constant texts */
};

enum client_state { CLOSED, CONNECTING, OPEN, ENDING, OVER };

struct client {
	struct wire wire;
	const struct kind *kind;
	struct account *account;
	enum client_state state;
	unsigned number, port;     /* index into ports */
	uint64_t due_ns;           /* when there is something to do; UINT64_MAX: nothing */
	uint64_t progress_ns;      /* when something happened last */
	uint64_t generation;       /* announced when it was opened */
	uint64_t answered_by;      /* generation of the answer that comes */
	uint64_t pid;              /* worker that answered last; 0: none */
	uint64_t requests_left;    /* then the client leaves */

	struct ask asks[ASKS_MAX];
	unsigned asks_first, asks_n;

	/* an upload: the last of asks */
	uint64_t up_id, up_size, up_at, up_start, up_span;
	bool up_chunked, up_waits; /* for 100 */

	/* the answer to the first of asks */
	char part[CLIENT_PART_MAX];
	size_t part_n;
	bool in_body, told;
	struct incoming in;
	uint64_t slow_start, slow_span; /* of reading; span 0: at once */

	/* a tunnel */
	bool tunnel, tunnel_ends;
	struct frames frames;
	uint64_t tunnel_until, said, echoed, own;
};

struct kind {
	const char *name;
	unsigned share; /* of a hundred clients */
	bool small_window;
	void (*ask)(struct client *c); /* queues requests on a connection with nothing to do */
	void (*pause)(struct client *c); /* sets due_ns after an answer */
};

struct storm_options {
	uint64_t clients, body_ms, idle_min_ms, idle_max_ms, tunnel_ms, silence_ms;
	uint64_t told_max; /* how many complaints are printed */
	const char *kinds; /* names, separated by commas; NULL: all */
};

extern struct storm_options options;
extern bool stopping;

/* storm_kinds.c */
extern const struct kind kinds[];
extern const unsigned kinds_n;

/* storm_client.c */
void client_init(struct client *c, unsigned number, unsigned kind);
void client_due(struct client *c, uint64_t now);
void client_look(struct client *c, uint64_t now); /* from time to time: is it silent? */
void client_stop(struct client *c); /* finishes, as soon as what it asked is answered */
/* Queues a request: it is put when the kind has said all it asks. */
struct ask *client_ask(struct client *c, const char *method, char what, uint64_t size,
	unsigned status, const char *fields);
void client_upload(struct client *c, struct ask *a, uint64_t span_ns, bool chunked, bool waits);
/* The connection is over, with what was asked on it. */
void client_lost(struct client *c, enum lost how, const char *why);
void client_answered(struct client *c); /* the first of asks */
void client_upgraded(struct client *c);
void client_continue(struct client *c); /* 100 came */

/* storm_answer.c */
/* Takes what came; the connection may be lost afterwards. */
void answer_take(struct client *c, const char *p, size_t n);

/* storm_account.c */
struct account *account_of(unsigned kind);
uint64_t id_next(bool to_server);
void id_answered(uint64_t id);
void id_lost(uint64_t id);
bool ids_write(const char *path);
void accounts_print(FILE *to, uint64_t running, uint64_t clients);

/* What may be answered now: from the one announced as done up to the one that is coming. */
struct announced {
	uint64_t generation, module;
	uint64_t generation_coming, module_coming;
};
extern struct announced announced;

enum port_state { PORT_FREE, PORT_OPEN, PORT_GOING, PORT_GONE };
struct port {
	uint16_t number;
	enum port_state state;
};
extern struct port ports[PORTS_MAX];
unsigned port_choose(void);
bool pid_was_killed(uint64_t pid);

#endif
