/* SPDX-License-Identifier: MIT */

/*
 * Gives a fuzz target its stored inputs, one by one, as a TAP test: a crash or a sanitizer's report
 * ends the program before its plan.  The inputs of t/90-fuzz/NAME.c are the files of
 * t/90-fuzz/corpus/NAME; every target also gets the empty input.  Arguments, if any, are files and
 * folders to try instead.  Looking for new inputs is libFuzzer's work: make fuzz.
 */

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

#include "t/lib/tap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_file(const char *path)
{
	size_t cap = 1 << 20;
	uint8_t *buf;
	uint8_t *exact;
	size_t n;
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		fail("open %s", path);
		return;
	}
	buf = malloc(cap);
	if (buf == NULL)
		bail_out("out of memory");
	n = fread(buf, 1, cap, f);
	fclose(f);

	/* of exactly its size, so that reading one byte too far is seen */
	exact = malloc(n > 0 ? n : 1);
	if (exact == NULL)
		bail_out("out of memory");
	memcpy(exact, buf, n);
	free(buf);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	pass("%s", path);
}

static void
try_folder(const char *folder)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct dirent *e;
	DIR *d = opendir(folder);

	if (d == NULL) {
		diag("no %s", folder);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		try_file(path);
	}
	closedir(d);
}

int
main(int argc, char **argv)
{
	const char *src = getenv("LBD_SRC");
	const char *name = strrchr(argv[0], '/');
	char folder[PATH_MAX];
	struct stat st;
	int i;

	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	pass("the empty input");
	for (i = 1; i < argc; i++) {
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			try_folder(argv[i]);
		else
			try_file(argv[i]);
	}
	if (argc == 1) {
		snprintf(folder, sizeof(folder), "%s/t/90-fuzz/corpus/%s", src ? src : ".",
			 name ? name + 1 : argv[0]);
		try_folder(folder);
	}
	return done_testing();
}
