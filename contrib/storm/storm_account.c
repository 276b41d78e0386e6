/* SPDX-License-Identifier: MIT */

/*
 * The accounts: what became of each id, counts by kind of client, and what has been announced by
 * whoever changes lbd meanwhile.
 */

#include "storm_drive.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ID_ASKED = 1, ID_ANSWERED = 2, ID_TO_SERVER = 4, ID_LOST = 8, KINDS_MAX = 16 };

struct announced announced;
struct port ports[PORTS_MAX];

static struct account accounts[KINDS_MAX];
static uint8_t *ids;
static uint64_t ids_n = 1, ids_room; /* 0 is nobody's */

struct account *
account_of(unsigned kind)
{
	return &accounts[kind];
}

uint64_t
id_next(bool to_server)
{
	if (ids_n >= ids_room) {
		ids_room = ids_n * 2 + 65536;
		ids = realloc(ids, ids_room);
		if (ids == NULL)
			fatal("realloc");
	}
	if (ids_n == 1)
		ids[0] = 0;
	ids[ids_n] = (uint8_t)(ID_ASKED | (to_server ? ID_TO_SERVER : 0));
	return ids_n++;
}

void
id_answered(uint64_t id)
{
	ids[id] |= ID_ANSWERED;
}

void
id_lost(uint64_t id)
{
	ids[id] |= ID_LOST;
}

bool
ids_write(const char *path)
{
	FILE *f = fopen(path, "w");

	return f != NULL && fwrite(ids, 1, ids_n, f) == ids_n && fclose(f) == 0;
}

unsigned
port_choose(void)
{
	unsigned usable[PORTS_MAX], n = 0;

	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (ports[i].state == PORT_OPEN || ports[i].state == PORT_GOING)
			usable[n++] = i;
	return n == 0 ? 0 : usable[random_below(n)];
}

void
accounts_print(FILE *to, uint64_t running, uint64_t clients)
{
	static const char *const words[LOST_KINDS] = {
		"failed", "reset", "closed", "cut", "refused", "silent", "stale",
	};

	for (unsigned k = 0; k < kinds_n; k++) {
		const struct account *a = &accounts[k];

		fprintf(to, "kind name=%s requests=%" PRIu64 " answered=%" PRIu64
			" messages=%" PRIu64 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64
			" connections=%" PRIu64
			" told=%" PRIu64 " told_gone=%" PRIu64 " refused_gone=%" PRIu64
			" old=%" PRIu64 " excused=%" PRIu64 " worst_us=%" PRIu64, kinds[k].name,
			a->requests, a->answered, a->messages, a->bytes_in, a->bytes_out,
			a->connections, a->told, a->told_gone, a->refused_gone, a->old,
			a->excused, a->worst_ns / 1000);
		for (unsigned i = 0; i < LOST_KINDS; i++)
			fprintf(to, " %s=%" PRIu64, words[i], a->lost[i]);
		fputc('\n', to);
	}
	fprintf(to, "all running=%" PRIu64 " clients=%" PRIu64 " ids=%" PRIu64 "\n", running,
		clients, ids_n - 1);
}
