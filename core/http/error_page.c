/* SPDX-License-Identifier: MIT */

/*
 * Answers of lbd's own: the configured error_page of a status, or a small built-in page.
 *
 * Some codes never reach a client: 444 closes without a word, 494 to 497 are sent as 400, 499 is
 * only for logs.  Which status a failure has is decided where it happens.
 */

#include "core/http/exchange.h"

static int
shown_status(int status)
{
	return status >= 494 && status <= 497 ? 400 : status;
}

static const struct error_page *
page_find(const struct http_conf *c, int status)
{
	for (const struct error_page *p = c->error_pages; p != NULL; p = p->next) {
		if (p->code == status)
			return p;
	}
	return NULL;
}

bool
lbd_http_has_error_page(const struct lbd_http *h, int status)
{
	const struct exchange *x = (const struct exchange *)(const void *)h;

	if (x->in_error_page && !x->c->recursive_error_pages)
		return false;
	return page_find(x->c, status) != NULL;
}

struct lbd_str
server_token(const struct exchange *x)
{
	struct exchange *w = X((void *)(uintptr_t)x); /* its pool holds a custom text */
	struct lbd_str s;

	switch ((enum server_tokens)x->c->server_tokens) {
	case TOKENS_ON:
		return LBD_STR("lbd/" LBD_VERSION);
	case TOKENS_BUILD:
		if (sizeof(LBD_BUILD_NAME) > 1)
			return LBD_STR("lbd/" LBD_VERSION " (" LBD_BUILD_NAME ")");
		return LBD_STR("lbd/" LBD_VERSION);
	case TOKENS_CUSTOM:
		if (!lbd_http_eval(&w->pub, x->c->server_header, &s) || !lbd_field_value_ok(s))
			return LBD_STR("");
		return s;
	case TOKENS_OFF:
		break;
	}
	return LBD_STR("lbd");
}

/* ---- the built-in page ---------------------------------------------------------------------- */

static bool
has_page(int status)
{
	return status >= 300 && status != 304;
}

static bool
is_html_safe(struct lbd_str s)
{
	return lbd_str_find(s, '<', 0) < 0 && lbd_str_find(s, '&', 0) < 0;
}

static struct lbd_str
page_text(struct exchange *x, int status)
{
	struct lbd_str reason = lbd_http_reason(status), server = server_token(x);

	if (!is_html_safe(server))
		server = LBD_STR("");
	return lbd_pool_printf(x->pub.pool,
		"<!DOCTYPE html>\n"
		"<html lang=\"en\">\n"
		"<head><meta charset=\"utf-8\"><title>%d%s%.*s</title></head>\n"
		"<body>\n"
		"<h1>%d%s%.*s</h1>\n"
		"%s%.*s%s"
		"</body>\n"
		"</html>\n",
		status, reason.n > 0 ? " " : "", LBD_FMT(reason), status, reason.n > 0 ? " " : "",
		LBD_FMT(reason), server.n > 0 ? "<p>" : "", LBD_FMT(server),
		server.n > 0 ? "</p>\n" : "");
}

static void
page_send(struct exchange *x, int status)
{
	if (has_page(status))
		lbd_http_reply_text(&x->pub, status, LBD_STR("text/html"), page_text(x, status));
	else
		lbd_http_reply_text(&x->pub, status, LBD_STR(""), LBD_STR(""));
}

/* ---- the configured page -------------------------------------------------------------------- */

/* A URL elsewhere: the client is sent there.  */
static void
page_redirect(struct exchange *x, int response, struct lbd_str url)
{
	bool asked = response == 301 || response == 303 || response == 307 || response == 308;
	int status = asked ? response : 302;

	x->override_status = status;
	lbd_fields_remove(&x->pub.reply, LBD_FIELD_LOCATION);
	if (!lbd_field_value_ok(url)) {
		lbd_log(&x->log, LBD_LOG_ERROR, 0, "error page's URL holds a line break");
		url = LBD_STR("");
	}
	if (url.n > 0)
		(void)lbd_fields_add(&x->pub.reply, x->pub.pool, LBD_STR("Location"), url);
	page_send(x, status);
}

/* A path of this server is asked for with GET; a named location gets the request as it is.  */
static void
page_internal(struct exchange *x, struct lbd_str uri)
{
	if (uri.p[0] == '/') {
		if (x->pub.method != LBD_METHOD_HEAD) {
			x->pub.method = LBD_METHOD_GET;
			x->pub.method_name = LBD_STR("GET");
		}
		x->pub.args = LBD_STR("");
		x->pub.has_args = false;
	}
	lbd_http_redirect(&x->pub, uri);
}

/* True: the page configured for status answers.  */
static bool
page_configured(struct exchange *x, int status)
{
	const struct error_page *p;
	struct lbd_str uri;

	if ((x->in_error_page && !x->c->recursive_error_pages) || x->redirects > REDIRECTS_MAX)
		return false;
	p = page_find(x->c, status);
	if (p == NULL || !lbd_http_eval(&x->pub, p->uri, &uri) || uri.n == 0)
		return false;
	x->in_error_page = true;
	x->error_status = shown_status(status);
	x->override_status = p->response;
	if (uri.p[0] == '/' || uri.p[0] == '@')
		page_internal(x, uri);
	else
		page_redirect(x, p->response, uri);
	return true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/*
 * What was said about a body that is not sent now.  Other fields (WWW-Authenticate, Retry-After)
 * stay.
 */
static void
forget_body(struct exchange *x)
{
	static const uint16_t ids[] = {
		LBD_FIELD_CONTENT_TYPE, LBD_FIELD_CONTENT_LENGTH, LBD_FIELD_CONTENT_ENCODING,
		LBD_FIELD_CONTENT_RANGE, LBD_FIELD_LAST_MODIFIED, LBD_FIELD_ETAG,
	};

	for (size_t i = 0; i < LBD_ARRAY_LEN(ids); i++)
		lbd_fields_remove(&x->pub.reply, (enum lbd_field_id)ids[i]);
	lbd_fields_remove_name(&x->pub.reply, LBD_STR("Accept-Ranges"));
	x->pub.reply_trailers.n = 0;
	x->pub.reply_length = -1;
	x->pub.reason = LBD_STR("");
	x->pub.reply_no_date = false;
	x->pub.reply_no_server = false;
}

/* No answer at all: the connection is closed.  */
static void
close_silently(struct exchange *x, int status)
{
	x->pub.status = (uint16_t)status;
	x->keep_alive = false;
	x->cut = true;
	if (x->end_cause == NULL)
		x->end_cause = status == 444 ? "PR" : "CD";
	if (x->c->reset_timedout_connection && status == 444)
		conn_reset(&x->client->conn);
	steps_to_end(x);
}

void
error_page_send(struct exchange *x, int status)
{
	if (x->reply_done)
		return;
	if (x->pub.head_sent) {
		lbd_http_cut(&x->pub, "failed after its head was sent");
		return;
	}
	if (status == 444 || status == 499) {
		close_silently(x, status);
		return;
	}
	forget_body(x);
	if (page_configured(x, status))
		return;
	x->override_status = 0;
	x->error_status = 0; /* an error of an error page is what the client sees */
	page_send(x, shown_status(status));
}
