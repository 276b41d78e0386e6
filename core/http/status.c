/* SPDX-License-Identifier: MIT */

/*
 * Reason phrases, from status.tbl.  Which status answers what is decided where it happens.
 */

#include <lbd/http.h>

struct lbd_str
lbd_http_reason(int status)
{
	switch (status) {
#define STATUS(code, text) case code: return LBD_STR(text);
#include "core/http/status.tbl"
#undef STATUS
	default:
		return LBD_STR("");
	}
}
