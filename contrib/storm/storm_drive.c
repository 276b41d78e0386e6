/* SPDX-License-Identifier: MIT */

/*
 * The clients: options, what whoever changes lbd tells on standard input, and time.
 *
 *	port add|going|gone N    a listener: there, about to be removed, removed
 *	coming G M               answers of generation G and module M may come from now on
 *	now G M                  who begins a request from now on is answered by these
 *	killing PID              what that worker has may be lost
 *	start, stop              begin; finish what is under way
 *	tell                     the accounts
 *	write PATH               a byte per id: 1 asked, 2 answered, 4 went to a server, 8 lost
 *
 * Each is answered by a line "ok", "tell" by lines that end with one that begins with "all".
 */

#include "storm_drive.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { KILLED_MAX = 4096 };

struct storm_options options = {
	.clients = 200, .body_ms = 30000, .idle_min_ms = 5000, .idle_max_ms = 20000,
	.tunnel_ms = 600000, .silence_ms = 60000, .told_max = 40,
};
bool stopping;

static struct client *clients;
static uint64_t clients_n, killed[KILLED_MAX];
static unsigned killed_n;

bool
pid_was_killed(uint64_t pid)
{
	if (pid == 0)
		return killed_n > 0; /* nobody knows who had it */
	for (unsigned i = 0; i < killed_n; i++)
		if (killed[i] == pid)
			return true;
	return false;
}

/* Is it one of those that were asked for? */
static bool
is_wanted(const struct kind *k)
{
	size_t n = strlen(k->name);

	for (const char *p = options.kinds; p != NULL; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, k->name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
			return true;
	}
	return options.kinds == NULL;
}

static void
start(void)
{
	uint64_t share = 0;

	for (unsigned k = 0; k < kinds_n; k++)
		share += is_wanted(&kinds[k]) ? kinds[k].share : 0;
	if (share == 0) {
		fprintf(stderr, "storm: no such kinds of clients: %s\n", options.kinds);
		exit(2);
	}
	clients = calloc(options.clients + kinds_n, sizeof(*clients));
	if (clients == NULL)
		fatal("calloc");
	for (unsigned k = 0; k < kinds_n; k++) {
		uint64_t n = (options.clients * kinds[k].share + share - 1) / share;

		n = is_wanted(&kinds[k]) ? n : 0;
		for (uint64_t i = 0; i < n && clients_n < options.clients + kinds_n; i++) {
			client_init(&clients[clients_n], (unsigned)clients_n, k);
			clients_n++;
		}
	}
}

static uint64_t
running(void)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < clients_n; i++)
		n += clients[i].state != OVER;
	return n;
}

static bool
set_port(const char *what, unsigned number)
{
	enum port_state state = strcmp(what, "add") == 0 ? PORT_OPEN :
		strcmp(what, "going") == 0 ? PORT_GOING : PORT_GONE;

	for (unsigned i = 0; i < PORTS_MAX; i++) {
		if (state == PORT_OPEN ? ports[i].state != PORT_FREE :
			ports[i].number != number || ports[i].state == PORT_GONE)
			continue;
		ports[i] = (struct port){ .number = (uint16_t)number, .state = state };
		return true;
	}
	return false;
}

static bool
obey(char *text)
{
	uint64_t a, b;
	unsigned port;
	char what[16];

	if (sscanf(text, "port %15s %u", what, &port) == 2)
		return set_port(what, port);
	if (sscanf(text, "coming %" SCNu64 " %" SCNu64, &a, &b) == 2) {
		announced.generation_coming = a;
		announced.module_coming = b;
		return true;
	}
	if (sscanf(text, "now %" SCNu64 " %" SCNu64, &a, &b) == 2) {
		announced.generation = a;
		announced.module = b;
		return true;
	}
	if (sscanf(text, "killing %" SCNu64, &a) == 1 && killed_n < KILLED_MAX) {
		killed[killed_n++] = a;
		return true;
	}
	if (strcmp(text, "start") == 0) {
		start();
		return true;
	}
	if (strcmp(text, "stop") == 0) {
		stopping = true;
		for (uint64_t i = 0; i < clients_n; i++)
			client_stop(&clients[i]);
		return true;
	}
	return strncmp(text, "write ", 6) == 0 && ids_write(text + 6);
}

static void
line(char *text)
{
	if (text == NULL)
		exit(0);
	if (strcmp(text, "tell") == 0)
		accounts_print(stdout, running(), clients_n);
	else
		printf("%s\n", obey(text) ? "ok" : "not understood");
	fflush(stdout);
}

static void
run(void)
{
	uint64_t looked = 0;

	for (;;) {
		uint64_t now = now_ns(), next = now + NS_PER_S;

		for (uint64_t i = 0; i < clients_n; i++) {
			if (clients[i].due_ns <= now)
				client_due(&clients[i], now);
			if (clients[i].due_ns < next)
				next = clients[i].due_ns;
		}
		if (now - looked > NS_PER_S) {
			for (uint64_t i = 0; i < clients_n; i++)
				client_look(&clients[i], now);
			looked = now;
		}
		loop_turn(next);
	}
}

static int
usage(void)
{
	fprintf(stderr, "usage: storm drive [--clients N] [--body-ms N] [--idle-min-ms N]"
		" [--idle-max-ms N] [--tunnel-ms N] [--silence-ms N] [--complaints N]"
		" [--seed N] [--kinds NAME,...]\n");
	return 2;
}

int
drive(int argc, char **argv)
{
	static const struct option known[] = {
		{ "clients", required_argument, NULL, 0 },
		{ "body-ms", required_argument, NULL, 1 },
		{ "idle-min-ms", required_argument, NULL, 2 },
		{ "idle-max-ms", required_argument, NULL, 3 },
		{ "tunnel-ms", required_argument, NULL, 4 },
		{ "silence-ms", required_argument, NULL, 5 },
		{ "complaints", required_argument, NULL, 6 },
		{ "seed", required_argument, NULL, 7 }, { "kinds", required_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t seed = 1, *const values[] = { &options.clients, &options.body_ms,
		&options.idle_min_ms, &options.idle_max_ms, &options.tunnel_ms, &options.silence_ms,
		&options.told_max, &seed };
	int o;

	while ((o = getopt_long(argc, argv, "", known, NULL)) != -1)
		if (o == 'k')
			options.kinds = optarg;
		else if (o < 0 || o > 7 || !number_of(optarg, values[o]))
			return usage();
	if (optind != argc || options.clients > 10000)
		return usage();
	signal(SIGPIPE, SIG_IGN);
	random_seed(seed);
	body_init();
	loop_init();
	lines_from_stdin(line);
	run();
	return 0;
}
