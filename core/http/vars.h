/* SPDX-License-Identifier: MIT */

/*
 * Between the files that find variables' texts.
 */

#ifndef LBD_CORE_HTTP_VARS_H
#define LBD_CORE_HTTP_VARS_H

#include "core/http/exchange.h"

typedef bool var_get(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out);

/* vars_request.c */
var_get var_request_str, var_request_number, var_arg, var_field, var_cookie, var_host;
var_get var_request_id, var_is_args, var_reply_field, var_args;
/* vars_conn.c */
var_get var_client, var_own, var_process, var_time, var_tcpinfo, var_connections;
/* vars_upstream.c */
var_get var_attempts, var_upstream_field, var_upstream_cookie, var_upstream_text;

/* Copies printed text; false without memory. */
bool var_print(struct lbd_pool *pool, struct lbd_str *out, const char *fmt, ...) LBD_PRINTF(3, 4);
bool var_u64(struct lbd_pool *pool, struct lbd_str *out, uint64_t n);
/* "0.123" */
bool var_seconds(struct lbd_pool *pool, struct lbd_str *out, uint64_t ms);
/* Value of a cookie in all Cookie fields; name in any case. */
bool var_find_cookie(const struct lbd_fields *f, struct lbd_str name, struct lbd_str *out);
/* The name of a field from a variable's: '_' stands for '-'. */
bool var_find_field(const struct lbd_fields *f, struct lbd_pool *pool, struct lbd_str rest,
	struct lbd_str *out);

#endif
