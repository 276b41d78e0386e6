/* SPDX-License-Identifier: MIT */

/*
 * What a master tells the image that takes its place: text lines in a memfd, which another version
 * of lbd can read.
 *
 *	lbd-state 1
 *	listener name=127.0.0.1:80 index=0 fd=7
 *	child role=worker slot=0 pid=4711 fd=9
 *
 * A line is an entry: a key and fields.  A reader ignores keys and fields it does not know, and
 * has a default for those that are missing.  At most one field of an entry is a descriptor, called
 * fd: it is inherited through exec, and whoever reads the entry takes it; what nobody took is
 * closed by state_free().
 */

#ifndef LBD_CORE_PROC_STATE_H
#define LBD_CORE_PROC_STATE_H

#include <lbd/str.h>

struct state;
struct state_entry;

/* --- writing --- */

/* NULL without memory. */
struct state *state_create(void);

/*
 * state_begin() opens an entry, the others add fields to the one opened last.  Failures for lack of
 * memory are kept and told by state_save().  A descriptor stays the caller's.  Keys and names are
 * letters and underscores.
 */
void state_begin(struct state *s, const char *key);
void state_str(struct state *s, const char *name, struct lbd_str value);
void state_num(struct state *s, const char *name, uint64_t value);
void state_fd(struct state *s, int fd);

/* The entry again, as it was read, with the number of its descriptor. */
void state_copy(struct state *s, const struct state_entry *e);

/* A memfd (close-on-exec) with all of it, or -errno. */
int state_save(const struct state *s) LBD_USE_RESULT;

/* Whether exec closes the descriptors of the entries with this key (NULL: of all).  0 or -errno. */
int state_cloexec(const struct state *s, const char *key, bool on) LBD_USE_RESULT;

/* All of it, borrowed until something is added; 0 or -ENOMEM when something is missing. */
int state_text(const struct state *s, struct lbd_str *text) LBD_USE_RESULT;
/* Descriptors in the order of their entries: how many there are; at most max are written to fds. */
unsigned state_fds(const struct state *s, int *fds, unsigned max);

/* --- reading --- */

/*
 * From a text, or from a memfd of state_save() (which is closed, but for want of memory).  NULL
 * when it is no state, and with errno ENOMEM when there is no memory.  Descriptors are only numbers
 * until state_claim().
 */
struct state *state_parse(struct lbd_str text);
struct state *state_load(int fd);

/*
 * The descriptors are this process's from now on: close-on-exec, each number once, and none that is
 * not open; what fails loses its fd.
 */
void state_claim(struct state *s);

/*
 * In place of state_claim(), for a text that came without exec and its descriptors beside it, in
 * the order of state_fds(): the entries own them.  All of fds are taken in any case.  -EBADMSG:
 * there are not as many as entries for them.
 */
int state_adopt(struct state *s, const int *fds, unsigned n) LBD_USE_RESULT;

/* The next entry with this key, the first when e is NULL.  NULL: no more. */
struct state_entry *state_next(struct state *s, const char *key, struct state_entry *e);

/* Borrowed from the state; empty (or def) when there is none. */
struct lbd_str state_get(const struct state_entry *e, const char *name);
uint64_t state_get_num(const struct state_entry *e, const char *name, uint64_t def);
/* A copy for the caller to free; NULL when there is none, or no memory. */
char *state_get_copy(const struct state_entry *e, const char *name);

/* The descriptor, -1: none.  Borrowed until it is taken. */
int state_get_fd(const struct state_entry *e);
int state_take_fd(struct state_entry *e);

/* Closes what was claimed and not taken. */
void state_free(struct state **s);

#endif
