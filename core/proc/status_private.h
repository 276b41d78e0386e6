/* SPDX-License-Identifier: MIT */

/*
 * What the parts of the status share.
 */

#ifndef LBD_CORE_PROC_STATUS_PRIVATE_H
#define LBD_CORE_PROC_STATUS_PRIVATE_H

#include <stdio.h>

#include "core/base/json.h"

struct config;

/* "3d 4h", "5m 6s", in so many columns, right; 0 width: as long as it is. */
void status_print_time(FILE *f, int width, uint64_t ms);

/* status_upstreams.c: a member "upstreams" of an open object; lines.  c may be NULL. */
void status_upstreams_json(struct json_writer *w, struct config *c);
void status_upstreams_print(FILE *f, struct config *c);

#endif
