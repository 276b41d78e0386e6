/* SPDX-License-Identifier: MIT */

/*
 * Whether AddressSanitizer watches: caches of freed memory are then left out, for they would hide
 * from it what is used after its end.
 */

#ifndef LBD_CORE_BASE_SANITIZE_H
#define LBD_CORE_BASE_SANITIZE_H

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
