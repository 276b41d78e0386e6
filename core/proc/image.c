/* SPDX-License-Identifier: MIT */

/*
 * Exec of lbd by lbd.
 *
 * The number of the memfd with the state is in the environment, for the command line is to stay
 * what the operator wrote; the variable is believed only when the state says that it is for this
 * process. A trial has an option more: an lbd that does not know of trials refuses it, and does not
 * start a second server.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/os/file.h"
#include "core/os/proc.h"
#include "core/proc/image.h"

#define VARIABLE "LBD_STATE"
#define TRIAL_OPTION "--trial"

extern char **environ;

static struct {
	char path[PATH_MAX];
	char **argv; /* borrowed */
	int argc;
	int state;   /* the number we were started with, -1: none */
} image = { .state = -1 };

/* --- where it is --- */

static bool
same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
		sa.st_ino == sb.st_ino;
}

/* By the name it was called: that may be a link which another version moves. */
static bool
path_by_name(const char *name)
{
	char here[PATH_MAX] = "";
	int n;

	if (strchr(name, '/') == NULL || (name[0] != '/' && getcwd(here, sizeof(here)) == NULL))
		return false;
	n = snprintf(image.path, sizeof(image.path), "%s%s%s", here, name[0] == '/' ? "" : "/",
		name);
	return n > 0 && (size_t)n < sizeof(image.path) &&
		same_file(image.path, "/proc/self/exe");
}

static void
path_by_kernel(void)
{
	static const char deleted[] = " (deleted)";
	ssize_t n = readlink("/proc/self/exe", image.path, sizeof(image.path) - 1);
	size_t tail = sizeof(deleted) - 1;

	image.path[n < 0 ? 0 : n] = '\0';
	if (n > (ssize_t)tail && strcmp(image.path + n - tail, deleted) == 0)
		image.path[(size_t)n - tail] = '\0';
}

static int
take_variable(void)
{
	char *text = getenv(VARIABLE);
	uint64_t fd = 0;
	bool ok = text != NULL && lbd_str_to_u64(lbd_str_c(text), 1 << 24, &fd) &&
		fd > STDERR_FILENO;

	/* emptied where it is: what environ no longer names would look like a leak */
	if (text != NULL)
		*text = '\0';
	return ok ? (int)fd : -1;
}

void
image_init(int argc, char **argv)
{
	image.argc = argc;
	image.argv = argv;
	if (argc < 1 || !path_by_name(argv[0]))
		path_by_kernel();
	image.state = take_variable();
}

void
image_path_set(struct lbd_str path)
{
	if (path.n > 0 && path.n < sizeof(image.path)) {
		memcpy(image.path, path.p, path.n);
		image.path[path.n] = '\0';
	}
}

const char *
image_path(void)
{
	return image.path;
}

struct state *
image_state(bool trial)
{
	int fd = image.state;
	struct state_entry *e;
	struct state *s;
	struct stat st;

	image.state = -1;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	/* whoever does not read it loses all there is, so this waits for memory */
	for (unsigned tries = 0; (s = state_load(fd)) == NULL && errno == ENOMEM; tries++)
		base_wait_for_memory(tries);
	e = s == NULL ? NULL : state_next(s, "master", NULL);
	if (e == NULL || state_get_num(e, "pid", 0) != (uint64_t)(trial ? getppid() : getpid())) {
		state_free(&s);
		return NULL;
	}
	state_claim(s);
	return s;
}

/* --- exec --- */

/* argv and environment of the next image.  False without memory; free_vectors() in any case. */
struct vectors {
	char **argv, **env;
	char variable[sizeof(VARIABLE) + 16];
};

static bool
make_vectors(struct vectors *v, int fd, bool trial)
{
	size_t n = 0, to = 0;

	while (environ[n] != NULL)
		n++;
	v->argv = base_zalloc(((size_t)image.argc + 2) * sizeof(*v->argv));
	v->env = base_zalloc((n + 2) * sizeof(*v->env));
	if (v->argv == NULL || v->env == NULL)
		return false;
	memcpy(v->argv, image.argv, (size_t)image.argc * sizeof(*v->argv));
	if (trial)
		v->argv[image.argc] = (char *)(uintptr_t)TRIAL_OPTION;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], VARIABLE "=", sizeof(VARIABLE)) != 0)
			v->env[to++] = environ[i];
	snprintf(v->variable, sizeof(v->variable), VARIABLE "=%d", fd);
	v->env[to] = v->variable;
	return true;
}

static void
free_vectors(struct vectors *v)
{
	free(v->argv);
	free(v->env);
}

int
image_exec(const struct state *s)
{
	struct vectors v = { 0 };
	int fd = state_save(s);
	int rc = fd < 0 ? fd : 0;

	if (rc == 0 && !make_vectors(&v, fd, false))
		rc = -ENOMEM;
	if (rc == 0)
		rc = state_cloexec(s, NULL, false);
	if (rc == 0)
		rc = file_set_cloexec(fd, false);
	if (rc == 0) {
		(void)execve(image.path, v.argv, v.env);
		rc = -errno;
	}
	/* as it was: these are not for other programs that are run */
	(void)!state_cloexec(s, NULL, true);
	fd_close(&fd);
	free_vectors(&v);
	return rc;
}

/* --- a trial --- */

void
trial_init(struct trial *t)
{
	*t = (struct trial){ .fd = -1 };
}

/* In the child.  Only what is listed is inherited, sockets; nothing of it may live on with us. */
static void
trial_run(const struct state *s, struct vectors *v, int fd, int out)
{
	sigset_t none;
	int err;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (proc_die_with_parent(SIGKILL) < 0)
		_exit(1);
	if (proc_null_stdio(false) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
		dup2(out, STDERR_FILENO) < 0 || state_cloexec(s, "listener", false) < 0 ||
		file_set_cloexec(fd, false) < 0)
		err = errno;
	else
		err = execve(image.path, v->argv, v->env) < 0 ? errno : 0;
	dprintf(STDERR_FILENO, "could not run \"%s\": %s (%d)\n", image.path, strerror(err), err);
	_exit(1);
}

int
trial_start(struct trial *t, const struct state *s)
{
	struct vectors v = { 0 };
	int fd = state_save(s), ends[2] = { -1, -1 };
	int rc = fd < 0 ? fd : 0;

	if (rc == 0 && !make_vectors(&v, fd, true))
		rc = -ENOMEM;
	if (rc == 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		rc = -errno;
	if (rc == 0) {
		(void)!file_set_nonblock(ends[1], false);
		t->pid = fork();
		if (t->pid < 0)
			rc = -errno;
		if (t->pid == 0)
			trial_run(s, &v, fd, ends[1]);
	}
	free_vectors(&v);
	fd_close(&fd);
	fd_close(&ends[1]);
	if (rc < 0) {
		t->pid = 0;
		fd_close(&ends[0]);
	}
	t->fd = ends[0];
	return rc;
}

/* What fits of it is kept. */
static void
trial_keep(struct trial *t, const char *p, size_t n)
{
	size_t room = TRIAL_TEXT_MAX - t->n;
	char *text;

	t->cut |= n > room;
	n = LBD_MIN(n, room);
	text = n == 0 ? NULL : base_realloc(t->text, t->n + n + 1);
	if (text == NULL)
		return;
	memcpy(text + t->n, p, n);
	t->text = text;
	t->n += n;
	text[t->n] = '\0';
}

bool
trial_read(struct trial *t)
{
	char buf[4096];
	ssize_t n;

	if (t->fd < 0)
		return false;
	while ((n = read(t->fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			trial_keep(t, buf, (size_t)n);
	if (n < 0 && errno == EAGAIN)
		return true;
	fd_close(&t->fd);
	return false;
}

void
trial_end(struct trial *t)
{
	if (t->pid > 0)
		(void)kill(t->pid, SIGKILL);
	fd_close(&t->fd);
	free(t->text);
	trial_init(t);
}
