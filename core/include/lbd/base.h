/* SPDX-License-Identifier: MIT */

/*
 * Attributes and the few macros every file needs.
 *
 * Nothing here allocates, locks or calls anything.
 */

#ifndef LBD_BASE_H
#define LBD_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define LBD_BEGIN extern "C" {
#define LBD_END }
#else
#define LBD_BEGIN
#define LBD_END
#endif

/* Visible to modules.  Everything else has hidden visibility. */
#define LBD_API __attribute__((visibility("default")))

#define LBD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define LBD_USE_RESULT __attribute__((warn_unused_result))
#define LBD_LIKELY(e) __builtin_expect(!!(e), 1)
#define LBD_UNLIKELY(e) __builtin_expect(!!(e), 0)

/* The object of type that has ptr as its member. */
#define LBD_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define LBD_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Each argument is evaluated once; the names are unique so that calls may nest. */
#define LBD_GLUE_(a, b) a##b
#define LBD_GLUE(a, b) LBD_GLUE_(a, b)
#define LBD_PICK_(op, a, b, x, y)           \
	({                                  \
		__typeof__(a) x = (a);      \
		__typeof__(b) y = (b);      \
		x op y ? x : y;             \
	})
#define LBD_MIN(a, b) LBD_PICK_(<, a, b, LBD_GLUE(a_, __COUNTER__), LBD_GLUE(b_, __COUNTER__))
#define LBD_MAX(a, b) LBD_PICK_(>, a, b, LBD_GLUE(a_, __COUNTER__), LBD_GLUE(b_, __COUNTER__))

/* For structures in shared memory that C++ modules may include, too. */
#ifdef __cplusplus
#define LBD_ATOMIC(type) type
#else
#define LBD_ATOMIC(type) _Atomic(type)
#endif

LBD_BEGIN

/* Logs the place and ends the process.  Called by lbd_assert only. */
LBD_API void lbd_assert_failed(const char *what, const char *file, int line)
	__attribute__((noreturn, cold));

/*
 * States what only a bug in lbd could break; stays on in release builds.
 * Never used on anything a client, server, file or operator can cause.
 */
#define lbd_assert(e) (LBD_LIKELY(e) ? (void)0 : lbd_assert_failed(#e, __FILE__, __LINE__))

LBD_END

#endif
