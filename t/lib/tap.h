/* SPDX-License-Identifier: MIT */

/*
 * TAP for the unit tests in C: one header, one program per file, no registration.
 *
 *	int
 *	main(void)
 *	{
 *		ok(1 + 1 == 2, "addition");
 *		is_int(f("8k"), 8192, "8k is %d bytes", 8192);
 *		is_str(method, "GET", "method");
 *		return done_testing();
 *	}
 *
 * Each check returns whether it held, so that a test may stop where going on makes no sense.
 * Failures print what was found and what was expected, with bytes from outside escaped.
 * The plan comes last, so a program that dies half way fails.
 */

#ifndef T_LIB_TAP_H
#define T_LIB_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* not every test uses every check */
#define TAP_FN static __attribute__((unused))
#define TAP_FORMAT(fmt, args) __attribute__((format(printf, fmt, args)))

static int tap_count;
static int tap_failed;

/* A line for the reader, with each of its lines behind a "#". */
TAP_FN TAP_FORMAT(1, 2) void
diag(const char *fmt, ...)
{
	va_list ap;

	fputs("# ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

TAP_FN TAP_FORMAT(4, 0) bool
tap_result(bool held, const char *file, int line, const char *fmt, va_list ap)
{
	printf("%sok %d - ", held ? "" : "not ", ++tap_count);
	vprintf(fmt, ap);
	putchar('\n');
	if (!held) {
		tap_failed++;
		printf("#   failed at %s line %d\n", file, line);
	}
	fflush(stdout);
	return held;
}

TAP_FN TAP_FORMAT(4, 5) bool
tap_ok(bool held, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_result(held, file, line, fmt, ap);
	va_end(ap);
	return held;
}

TAP_FN TAP_FORMAT(5, 6) bool
tap_is_int(long long got, long long want, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_result(got == want, file, line, fmt, ap);
	va_end(ap);
	if (got != want)
		printf("#        got: %lld\n#   expected: %lld\n", got, want);
	return got == want;
}

TAP_FN void
tap_bytes(const char *label, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	size_t i;

	printf("#%s ", label);
	if (bytes == NULL) {
		puts("NULL");
		return;
	}
	putchar('"');
	for (i = 0; i < n; i++) {
		if (p[i] == '"' || p[i] == '\\')
			printf("\\%c", p[i]);
		else if (p[i] >= 0x20 && p[i] < 0x7f)
			putchar(p[i]);
		else
			printf("\\x%02x", p[i]);
	}
	printf("\" (%zu bytes)\n", n);
}

TAP_FN TAP_FORMAT(7, 8) bool
tap_is_bytes(const void *got, size_t got_n, const void *want, size_t want_n, const char *file,
	     int line, const char *fmt, ...)
{
	bool same = got_n == want_n && (got == NULL) == (want == NULL) &&
		    (got_n == 0 || (got != NULL && memcmp(got, want, got_n) == 0));
	va_list ap;

	va_start(ap, fmt);
	tap_result(same, file, line, fmt, ap);
	va_end(ap);
	if (!same) {
		tap_bytes("        got:", got, got_n);
		tap_bytes("   expected:", want, want_n);
	}
	return same;
}

/* Ends the program: nothing here can be tested on this machine, and why. */
TAP_FN TAP_FORMAT(1, 2) __attribute__((noreturn)) void
skip_all(const char *fmt, ...)
{
	va_list ap;

	fputs("1..0 # SKIP ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	exit(0);
}

/* Ends the program: going on makes no sense. */
TAP_FN TAP_FORMAT(1, 2) __attribute__((noreturn)) void
bail_out(const char *fmt, ...)
{
	va_list ap;

	fputs("Bail out! ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	exit(255);
}

/* Prints the plan; its value is what main() returns. */
TAP_FN int
done_testing(void)
{
	printf("1..%d\n", tap_count);
	if (tap_failed > 0)
		printf("# %d of %d failed\n", tap_failed, tap_count);
	fflush(stdout);
	return tap_failed > 0;
}

/* The last arguments of each are a format and its values: the words of what is expected. */
#define ok(held, ...) tap_ok((held), __FILE__, __LINE__, __VA_ARGS__)
#define pass(...) tap_ok(true, __FILE__, __LINE__, __VA_ARGS__)
#define fail(...) tap_ok(false, __FILE__, __LINE__, __VA_ARGS__)
#define is_int(got, want, ...)                                                                     \
	tap_is_int((long long)(got), (long long)(want), __FILE__, __LINE__, __VA_ARGS__)
#define is_bytes(got, got_n, want, want_n, ...)                                                    \
	tap_is_bytes((got), (got_n), (want), (want_n), __FILE__, __LINE__, __VA_ARGS__)
/* a struct lbd_str against a C string */
#define is_str(got, want, ...)                                                                     \
	tap_is_bytes((got).p, (got).n, (want), strlen(want), __FILE__, __LINE__, __VA_ARGS__)
/* two C strings */
#define is_cstr(got, want, ...)                                                                    \
	tap_is_bytes((got), strlen(got), (want), strlen(want), __FILE__, __LINE__, __VA_ARGS__)

#endif
