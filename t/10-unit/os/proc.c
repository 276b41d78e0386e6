/* SPDX-License-Identifier: MIT */

/*
 * The process: title, CPUs, pid file, limits, shared memory, randomness.
 */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/os/file.h"
#include "core/os/priv.h"
#include "core/os/proc.h"
#include "core/os/rand.h"
#include "core/os/shm.h"
#include "t/lib/tap.h"

static char **volatile args; /* reachable to the end, as main's are */

static void
titles(int argc, char **argv)
{
	char first[16] = "";
	char *data;
	size_t n;

	snprintf(first, sizeof(first), "%s", argv[0]);
	setenv("LBD_TEST_VALUE", "here", 1);
	is_int(proc_title_init(argc, &argv), 0, "titles can be set");
	args = argv;
	ok(strncmp(argv[0], first, strlen(first)) == 0, "the arguments stay readable");
	is_cstr(getenv("LBD_TEST_VALUE"), "here", "so does the environment");
	proc_title_set("lbd: worker 3");
	is_int(file_read("/proc/self/cmdline", 100000, &data, &n), 0, "ps sees");
	is_cstr(data, "lbd: worker 3", "the title");
	free(data);
	is_int(file_read("/proc/self/comm", 100, &data, &n), 0, "pidof sees");
	is_bytes(data, n, "proc\n", 5, "the program's name, as before");
	free(data);
	proc_title_set("");
	pass("an empty title is no problem");
}

static void
cpus(void)
{
	int all[PROC_CPUS_MAX];
	int n = proc_cpus(all, PROC_CPUS_MAX);
	int cpu = -1;
	int missing = PROC_CPUS_MAX;

	ok(n >= 1, "there is a CPU");
	ok(proc_cpu_count() >= 1 && proc_cpu_count() <= n, "some are worth using");
	is_int(proc_pin((unsigned)n, &cpu), 0, "pinned");
	is_int(cpu, all[0], "counted round, to the first");
	is_int(sched_getcpu(), all[0], "and runs there");
	is_int(proc_pin_set(all, n), 0, "back to all");
	is_int(proc_pin_set(&missing, 1), -EINVAL, "there is no such CPU");
}

static void
pid_files(void)
{
	char dir[] = "/tmp/lbd-proc-XXXXXX";
	char path[64];

	if (mkdtemp(dir) == NULL)
		bail_out("no folder");
	snprintf(path, sizeof(path), "%s/pid", dir);
	is_int(pidfile_read(path), -ENOENT, "no pid file");
	is_int(pidfile_remove(path, 1), 0, "removing it is no error");
	is_int(pidfile_write(path, 1234), 0, "written");
	is_int(pidfile_read(path), 1234, "read");
	is_int(pidfile_remove(path, 99), -EEXIST, "another's is not removed");
	is_int(file_write_atomic(path, LBD_STR("0\n"), 0600), 0, "zero");
	is_int(pidfile_read(path), -EINVAL, "is no pid");
	is_int(file_write_atomic(path, LBD_STR("99999999999999"), 0600), 0, "a giant");
	is_int(pidfile_read(path), -EINVAL, "is none");
	is_int(file_write_atomic(path, LBD_STR(""), 0600), 0, "an empty file");
	is_int(pidfile_read(path), -EINVAL, "has none");
	is_int(pidfile_write(path, 1234), 0, "written");
	is_int(pidfile_remove(path, 1234), 0, "and removed");
	ok(access(path, F_OK) < 0, "gone");
	rmdir(dir);
}

static void
shared(void)
{
	struct shm s, t;
	volatile char *p;
	int status = 0, fd;
	pid_t pid;

	is_int(shm_create(&s, "lbd-test", 5000), 0, "shared memory");
	ok(s.size >= 5000 && s.size % 4096 == 0, "in pages");
	p = s.p;
	ok(p[0] == 0 && p[s.size - 1] == 0, "zeroed");
	pid = fork();
	if (pid == 0) {
		_exit(shm_attach(&t, dup(s.fd)) == 0 && (((char *)t.p)[7] = 'x') ? 0 : 1);
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0, "another process attaches");
	is_int(p[7], 'x', "and its writing is seen");
	ok(ftruncate(s.fd, 0) < 0, "nobody can take the pages away");
	fd = memfd_create("other", 0);
	is_int(shm_attach(&t, fd), -EINVAL, "an unsealed file is refused");
	close(fd);
	is_int(shm_attach(&t, 0), -EINVAL, "so is what is no memory");
	is_int(shm_attach(&t, 9999), -EBADF, "and nothing");
	shm_close(&s);
	ok(s.p == NULL && s.fd == -1, "closed");
	shm_close(&s);
	is_int(shm_create(&s, "x", 0), -EINVAL, "no bytes");
	is_int(shm_create(&s, "x", SIZE_MAX), -EINVAL, "too many");
}

/* Two processes make it larger at once; what was there stays where it is. */
static void
grows(void)
{
	struct shm s, t;
	size_t size = 0;
	char *p;
	pid_t pid;
	int status = 0;

	is_int(shm_create_growing(&s, "lbd-test", 5000, 64u << 20), 0, "memory that grows");
	ok(s.size >= 64u << 20, "has room");
	p = s.p;
	p[4999] = 'a';
	pid = fork();
	for (size_t n = 1; n <= 200; n++)
		if (shm_grow(&s, n * 70000) < 0)
			status = 1;
	if (pid == 0) {
		p[200 * 70000 - 1] = 'b';
		_exit(status);
	}
	is_int(status, 0, "grows");
	ok(waitpid(pid, &status, 0) == pid && status == 0, "from two processes");
	is_int(p[200 * 70000 - 1], 'b', "for both");
	is_int(p[4999], 'a', "in its place");
	is_int(shm_grow(&s, 100), 0, "less changes nothing");
	is_int(shm_grow(&s, s.size + 1), -ENOSPC, "but not out of its room");
	is_int(shm_attach_growing(&t, dup(s.fd), 64u << 20, &size), 0, "another maps it");
	is_int(size, (200 * 70000 + 4095) / 4096 * 4096, "knows its size");
	is_int(((char *)t.p)[4999], 'a', "and reads");
	shm_close(&t);
	shm_close(&s);
}

static void
randomness(void)
{
	unsigned char a[300] = { 0 }, b[300] = { 0 };
	uint64_t mine, other = 0;
	int fds[2], i, bad = 0;
	pid_t pid;

	ok(rand_bytes(a, sizeof(a)) == 0 && rand_bytes(b, sizeof(b)) == 0, "bytes");
	ok(memcmp(a, b, sizeof(a)) != 0, "differ");
	ok(rand_u64() != rand_u64(), "numbers differ");
	for (i = 0; i < 1000; i++)
		bad += rand_below(7) >= 7;
	is_int(bad, 0, "all are below");
	is_int(rand_below(0) + rand_below(1), 0, "below one there is only zero");
	if (pipe(fds) < 0)
		bail_out("no pipe");
	pid = fork();
	if (pid == 0) {
		other = rand_u64();
		_exit(write(fds[1], &other, sizeof(other)) != sizeof(other));
	}
	mine = rand_u64();
	ok(read(fds[0], &other, sizeof(other)) == sizeof(other) && mine != other,
		"a child has numbers of its own");
	waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
}

static void
privileges(void)
{
	uint64_t now = 0;
	uid_t uid = 1;
	gid_t gid = 1;
	int status = 0;
	pid_t pid;

	ok(priv_user("root", &uid, &gid) == 0 && uid == 0, "root is known");
	is_int(priv_user("no-such-user-here", &uid, &gid), -ENOENT, "another is not");
	is_int(priv_group("no-such-group-here", &gid), -ENOENT, "nor is its group");
	is_int(priv_nofile_raise(&now), 0, "descriptors");
	ok(now >= 64, "are enough");
	is_int(priv_nofile_set(64, &now), 0, "or less");
	is_int(now, 64, "if wished");
	pid = fork();
	if (pid == 0) {
		if (geteuid() != 0)
			_exit(priv_drop("x", 65534, 65534) == -EPERM ? 0 : 1);
		if (priv_drop("nobody", 65534, 65534) != 0 || getuid() != 65534)
			_exit(2);
		_exit(setuid(0) == 0 || getegid() != 65534 ? 3 : 0);
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0, "another user for good, or refused");
}

int
main(int argc, char **argv)
{
	titles(argc, argv);
	cpus();
	pid_files();
	shared();
	grows();
	randomness();
	privileges();
	return done_testing();
}
