/* SPDX-License-Identifier: MIT */

/*
 * The master as a state: what is written before exec and read after it.
 *
 *	master    pid, version, program, generation, workers, retired, pid_file, ...
 *	listener  name, index, close, fd   one per socket; close: it is kept until then (inherit.h)
 *	zone      name, fd                 one per group of servers
 *	handover  fd                       where the generation that serves receives connections
 *	handover  fd                       where the generation that serves gets connections
 *	child     role, generation, slot, row, pid, fd (its channel), ready, ceased, started,
 *	          drained, delay, unsent (messages to it)
 *	dead      fd                       channel of a worker whose ring may be there (lookout.h)
 *	file      path, text               the configuration that serves
 *	module    name, version, path, device, inode, changed
 *	asker     note, fd, later          who waits for an answer (reload.c)
 *
 * Descriptors are the master's own and go on being so; nothing is closed here.
 */

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/net/inherit.h"
#include "core/net/listener.h"
#include "core/net/upstream.h"
#include "core/os/sock.h"
#include "core/proc/image.h"
#include "core/proc/lookout.h"
#include "core/proc/master_private.h"
#include "core/proc/start.h"
#include "core/proc/succession.h"

/* --- writing --- */

static void
save_master(struct state *s, const struct reload_facts *facts)
{
	state_begin(s, "master");
	state_num(s, "pid", (uint64_t)getpid());
	state_str(s, "version", LBD_STR(LBD_VERSION));
	state_str(s, "program", lbd_str_c(image_path()));
	state_num(s, "generation", master.generation);
	state_num(s, "workers", master.workers);
	state_num(s, "retired", master.retired);
	state_str(s, "pid_file", lbd_str_c(start_pid_path()));
	state_num(s, "reload_started", facts->started_ms);
	state_num(s, "pending", facts->pending);
	state_num(s, "fallback", facts->fallback);
	if (facts->why != NULL)
		state_str(s, "why", lbd_str_c(facts->why));
}

static void
save_socket(struct state *s, struct lbd_str name, unsigned index, int fd, uint64_t close_ms)
{
	if (fd < 0)
		return;
	state_begin(s, "listener");
	state_str(s, "name", name);
	state_num(s, "index", index);
	if (close_ms != 0)
		state_num(s, "close", close_ms);
	state_fd(s, fd);
}

static void
save_zone(void *s, struct lbd_str name, int fd)
{
	state_begin(s, "zone");
	state_str(s, "name", name);
	state_fd(s, fd);
}

/* What the image before had, whether we have taken it or not. */
static void
save_inherited(struct state *s, bool taken)
{
	for (struct inherited *p = inherit_next(NULL); p != NULL; p = inherit_next(p)) {
		if (p->taken && !taken)
			continue;
		if (p->kind == INHERIT_SOCKET)
			save_socket(s, p->name, p->index, p->fd, p->close_ms);
		else
			save_zone(s, p->name, p->fd);
	}
}

static void
save_listeners(struct state *s, struct config *c)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		const struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		for (unsigned i = 0; i < l->fd_count; i++)
			save_socket(s, l->name, i, l->fds[i], 0);
	}
}

static void
save_child(struct state *s, const struct child *c)
{
	state_begin(s, "child");
	state_str(s, "role", c->role == ROLE_WORKER ? LBD_STR("worker") : LBD_STR("control"));
	state_num(s, "generation", c->generation);
	state_num(s, "slot", c->slot);
	state_num(s, "row", c->row);
	state_num(s, "pid", (uint64_t)c->pid);
	state_num(s, "ready", c->ready);
	state_num(s, "ceased", c->ceased);
	state_num(s, "started", c->started_ms);
	state_num(s, "drained", c->drain_ms);
	state_num(s, "delay", c->delay_ms);
	if (c->unsent_n > 0)
		state_str(s, "unsent", lbd_str((const char *)c->unsent,
			c->unsent_n * sizeof(*c->unsent)));
	state_fd(s, c->channel);
}

static void
save_file(void *s, const char *path, struct lbd_str text)
{
	state_begin(s, "file");
	state_str(s, "path", lbd_str_c(path));
	state_str(s, "text", text);
}

/* Which file a module's code came from; false: none of its own. */
static bool
module_file(const struct lbd_module *m, Dl_info *info, struct stat *st)
{
	return dladdr(m, info) != 0 && info->dli_fname != NULL && info->dli_fname[0] == '/' &&
		strcmp(info->dli_fname, image_path()) != 0 && stat(info->dli_fname, st) == 0;
}

/* As they were when they were loaded: the files may be others by the time of a reload. */
static struct module_note {
	const struct lbd_module *module; /* borrowed from the configuration */
	char *path;                      /* owned; NULL: without a file */
	uint64_t device, inode, changed;
} *notes;                                /* owned; one per module of the configuration */
static unsigned notes_n;

int
snapshot_note_modules(const struct config *c)
{
	struct stat st;
	Dl_info info;

	notes = base_zalloc(LBD_MAX(c->module_count, 1U) * sizeof(*notes));
	if (notes == NULL)
		return -ENOMEM;
	notes_n = c->module_count;
	for (unsigned i = 0; i < notes_n; i++) {
		struct module_note *note = &notes[i];

		note->module = c->modules[i];
		if (!module_file(note->module, &info, &st))
			continue;
		note->path = strdup(info.dli_fname);
		note->device = st.st_dev;
		note->inode = st.st_ino;
		note->changed = (uint64_t)st.st_ctim.tv_sec * 1000000000U +
			(uint64_t)st.st_ctim.tv_nsec;
	}
	return 0;
}

static const char *
version_of(const struct lbd_module *m)
{
	return m->version != NULL ? m->version : "";
}

static void
save_modules(struct state *s)
{
	for (unsigned i = 0; i < notes_n; i++) {
		const struct module_note *note = &notes[i];

		if (note->path == NULL)
			continue;
		state_begin(s, "module");
		state_str(s, "name", lbd_str_c(note->module->name));
		state_str(s, "version", lbd_str_c(version_of(note->module)));
		state_str(s, "path", lbd_str_c(note->path));
		state_num(s, "device", note->device);
		state_num(s, "inode", note->inode);
		state_num(s, "changed", note->changed);
	}
}

static void
save_again(struct state *s, struct state *before, const char *key)
{
	for (struct state_entry *e = NULL; (e = state_next(before, key, e)) != NULL;)
		state_copy(s, e);
}

void
snapshot_shared(struct state *s)
{
	save_listeners(s, master.plan->config);
	upstreams_each_zone(master.plan->config, save_zone, s);
}

struct state *
snapshot_make(const struct reload_facts *facts, struct state *before)
{
	const struct config *c = master.plan != NULL ? master.plan->config : NULL;
	struct state *s = state_create();

	if (s == NULL)
		return NULL;
	save_master(s, facts);
	save_inherited(s, before != NULL);
	succession_save(s);
	for (unsigned i = 0; i < master.children.n; i++)
		if (master.children.v[i].pid > 0 &&
			master.children.v[i].generation <= master.generation)
			save_child(s, &master.children.v[i]);
	lookout_save(s);
	if (before != NULL) {
		save_again(s, before, "file");
		save_again(s, before, "module");
	} else if (c != NULL) {
		snapshot_shared(s);
		config_each_file(c, save_file, s);
		save_modules(s);
	}
	return s;
}

/* --- reading --- */

/*
 * Nobody else knows of these descriptors and processes, so want of memory must not cost them; it is
 * waited for.
 */
static void
restore_fd(struct state_entry *e, enum inherit_kind kind, unsigned index)
{
	struct lbd_str name = state_get(e, "name");

	for (unsigned tries = 0; inherit_add(kind, name, index, state_get_fd(e)) < 0; tries++)
		base_wait_for_memory(tries);
	(void)state_take_fd(e);
}

void
snapshot_sockets(struct state *s)
{
	for (struct state_entry *e = NULL; (e = state_next(s, "listener", e)) != NULL;) {
		uint64_t index = state_get_num(e, "index", 0);

		if (state_get_fd(e) < 0 || index > CORE_WORKERS_MAX)
			continue;
		restore_fd(e, INHERIT_SOCKET, (unsigned)index);
		inherit_latest()->close_ms = state_get_num(e, "close", 0);
	}
}

static void
restore_zones(struct state *s)
{
	for (struct state_entry *e = NULL; (e = state_next(s, "zone", e)) != NULL;)
		if (state_get_fd(e) >= 0)
			restore_fd(e, INHERIT_ZONE, 0);
}

void
snapshot_take(struct state *s)
{
	/* it came from somebody else: what it is not is not used */
	for (struct state_entry *e = NULL; (e = state_next(s, "listener", e)) != NULL;) {
		int fd = state_get_fd(e);

		if (fd < 0 || (sock_type(fd) == SOCK_STREAM && sock_is_listening(fd) &&
				state_get(e, "name").n > 0))
			continue;
		fd = state_take_fd(e);
		sock_close(&fd);
	}
	snapshot_sockets(s);
	restore_zones(s);
}

static void
restore_child(struct state_entry *e)
{
	struct child c = {
		.role = lbd_str_eq(state_get(e, "role"), LBD_STR("control")) ? ROLE_CONTROL
			: ROLE_WORKER,
		.generation = (unsigned)state_get_num(e, "generation", 0),
		.slot = (unsigned)state_get_num(e, "slot", 0),
		.row = (unsigned)state_get_num(e, "row", UPSTREAM_PROCESSES),
		.pid = (pid_t)state_get_num(e, "pid", 0),
		.ready = state_get_num(e, "ready", 1) != 0,
		.started_ms = state_get_num(e, "started", 0),
		.drain_ms = state_get_num(e, "drained", 0),
		.delay_ms = state_get_num(e, "delay", 0),
	};

	/* a version that does not say was not told, either */
	c.ceased = state_get_num(e, "ceased", c.drain_ms != 0) != 0;
	child_keep(&c, state_get(e, "unsent"));
	c.channel = state_take_fd(e);
	for (unsigned tries = 0; c.pid > 0 && children_adopt(&master.children, &c) < 0; tries++)
		base_wait_for_memory(tries);
}

void
snapshot_restore(struct state *s, struct reload_facts *facts)
{
	struct state_entry *m = state_next(s, "master", NULL), *e = NULL;

	snapshot_sockets(s);
	image_path_set(state_get(m, "program"));
	start_pid_path_set(state_get(m, "pid_file"));
	master.generation = (unsigned)state_get_num(m, "generation", 1);
	master.workers = (unsigned)state_get_num(m, "workers", 1);
	master.retired = state_get_num(m, "retired", 0) != 0;
	*facts = (struct reload_facts){
		.started_ms = state_get_num(m, "reload_started", 0),
		.pending = state_get_num(m, "pending", 0) != 0,
		.fallback = state_get_num(m, "fallback", 0) != 0,
		.why = state_get_copy(m, "why"),
	};
	restore_zones(s);
	succession_load(s);
	while ((e = state_next(s, "child", e)) != NULL)
		restore_child(e);
	lookout_restore(s);
}

/* The entry of this module; NULL: it was not there. */
static struct state_entry *
module_before(struct state *s, const char *name)
{
	struct state_entry *e = NULL;

	while ((e = state_next(s, "module", e)) != NULL)
		if (lbd_str_eq(state_get(e, "name"), lbd_str_c(name)))
			break;
	return e;
}

static bool
is_same_file(const struct module_note *note, const struct state_entry *e)
{
	return state_get_num(e, "device", 0) == note->device &&
		state_get_num(e, "inode", 0) == note->inode &&
		state_get_num(e, "changed", 0) == note->changed;
}

void
snapshot_changed(struct state *before, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; before != NULL && i < notes_n && n < size; i++) {
		const struct module_note *note = &notes[i];
		const char *version = version_of(note->module);
		struct state_entry *e = module_before(before, note->module->name);
		struct lbd_str old;

		if (e == NULL || note->path == NULL || is_same_file(note, e))
			continue;
		old = state_get(e, "version");
		n += (size_t)snprintf(buf + n, size - n, "%s%s %s", n > 0 ? ", " : "",
			note->module->name, version);
		if (n < size && !lbd_str_eq(old, lbd_str_c(version)))
			n += (size_t)snprintf(buf + n, size - n, " was %.*s", LBD_FMT(old));
	}
}
