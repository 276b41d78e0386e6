/* SPDX-License-Identifier: MIT */

/*
 * Access logs: formats, where lines go, when.
 */

#ifndef LBD_CORE_HTTP_ACCESS_LOG_H
#define LBD_CORE_HTTP_ACCESS_LOG_H

#include "core/base/logfmt.h"
#include "core/http/http.h"

/* set() functions of log_format, access_log and open_log_file_cache; conf is struct http_conf. */
int log_format_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int access_log_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int open_log_file_cache_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);

/* log_format.c: a format by name, NULL after an error at argument i. */
struct log_format *log_format_find(struct lbd_conf *cf, unsigned i, struct lbd_str name);
/* Appends one line (without its end) for x. */
void log_format_write(struct log_format *fmt, struct exchange *x, struct logfmt *out);

#endif
