/* SPDX-License-Identifier: MIT */

/*
 * The request body on its way: read whole before a server is chosen, or handed on while it comes.
 *
 * What was sent is kept, so that another server can get it too: all of a buffered body, of a
 * streamed one as long as it fits client_body_buffer_size.  Reading from the client stops while
 * the server does not take what was read.
 */

#include "proxy.h"

#include <errno.h>

static bool
has_body(const struct proxy *p)
{
	return p->conf->pass_body && p->x->content_length != 0;
}

static struct lbd_spool *
spool_new(struct proxy *p)
{
	return lbd_spool_create(p->x->pool, lbd_http_body_buffer_size(p->x),
				lbd_http_body_temp_path(p->x));
}

/* proxy_set_body: the client's body is not looked at. */
static bool
body_replace(struct proxy *p)
{
	struct lbd_chain chain = LBD_CHAIN_INIT;
	struct lbd_str text;

	p->spool = lbd_spool_create(p->x->pool, SIZE_MAX, LBD_STR(""));
	if (p->spool == NULL || !lbd_http_eval(p->x, p->conf->set_body, &text) ||
	    !lbd_chain_add_copy(&chain, text) || lbd_spool_write(p->spool, &chain) != 0) {
		lbd_chain_clear(&chain);
		proxy_refuse(p, 503, 0, "out of memory for proxy_set_body");
		return false;
	}
	p->body_length = (int64_t)lbd_spool_size(p->spool);
	return true;
}

/* Asks for the client's body, or the rest of it.  As proxy_body_begin(). */
static bool
body_read(struct proxy *p)
{
	bool unknown = p->x->content_length < 0;

	/* HTTP/1.0 knows no chunks, so the length must be found out first */
	p->streaming = !p->conf->request_buffering && !(unknown && p->conf->http_version == 10);
	p->body_length = p->x->content_length;
	lbd_http_body_start(p->x, PROXY_SEND_LOW);
	return p->streaming;
}

bool
proxy_body_begin(struct proxy *p)
{
	struct proxy_ctx *ctx = proxy_ctx(p->x);

	p->keep_body = true;
	if (p->conf->set_body != NULL)
		return body_replace(p);
	if (!has_body(p))
		return true;
	if (ctx->spool_lost) {
		proxy_refuse(p, 502, 0, "the request body is gone: it went to another server");
		return false;
	}
	if (ctx->spool == NULL)
		ctx->spool = spool_new(p);
	p->spool = ctx->spool;
	if (p->spool == NULL) {
		proxy_refuse(p, 503, 0, "out of memory for a request body");
		return false;
	}
	if (!p->x->body_done || !lbd_chain_empty(&p->x->body) || p->x->body_received == 0)
		return body_read(p);
	p->body_length = (int64_t)lbd_spool_size(p->spool); /* read before an internal redirect */
	return true;
}

/* Buffered: keeps what came, and begins when that is all. */
static void
body_collect(struct proxy *p)
{
	int rc = lbd_spool_write(p->spool, &p->x->body);

	if (rc != 0) {
		proxy_refuse(p, rc == -ENOMEM ? 503 : 500, -rc,
			     "could not keep the request body in \"%.*s\"",
			     LBD_FMT(lbd_http_body_temp_path(p->x)));
		return;
	}
	if (!p->x->body_done) {
		lbd_http_body_taken(p->x);
		return;
	}
	p->body_length = (int64_t)lbd_spool_size(p->spool);
	proxy_begin(p);
}

void
proxy_body_arrived(struct lbd_http *x)
{
	struct proxy *p = proxy_ctx(x)->p;

	if (p == NULL || p->over)
		return;
	if (p->streaming)
		proxy_body_send(p);
	else if (p->head.p == NULL)
		body_collect(p);
}

/* --- to the server --- */

/* Queues body bytes (taken) in the framing the head announced. */
static void
call_give(struct proxy *p, struct lbd_chain *chain, bool last)
{
	struct lbd_chain out = LBD_CHAIN_INIT;

	if (p->body_length >= 0) {
		lbd_call_send(p->call, chain, last);
		return;
	}
	if (chain->n > 0) {
		char size[20];
		size_t n = sizeof(size), left = chain->n;

		size[--n] = '\n';
		size[--n] = '\r';
		for (; left > 0; left >>= 4)
			size[--n] = "0123456789abcdef"[left & 15];
		(void)lbd_chain_add_copy(&out, lbd_str(size + n, sizeof(size) - n));
		lbd_chain_move(&out, chain);
		(void)lbd_chain_add_static(&out, LBD_STR("\r\n"));
	}
	if (last)
		(void)lbd_chain_add_static(&out, LBD_STR("0\r\n\r\n"));
	lbd_call_send(p->call, &out, last);
}

/* From what is kept.  False after the exchange was refused. */
static bool
send_kept(struct proxy *p, bool whole)
{
	struct lbd_spool *spool = p->spool;
	uint64_t size = lbd_spool_size(spool);

	while (p->body_at < size && lbd_call_queued(p->call) <= PROXY_SEND_LOW) {
		struct lbd_chain chain = LBD_CHAIN_INIT;
		int64_t n = lbd_spool_read(spool, p->body_at, PROXY_PIECE, &chain);

		if (n <= 0) {
			int err = n < 0 ? (int)-n : EIO;

			lbd_chain_clear(&chain);
			proxy_refuse(p, err == ENOMEM ? 503 : 500, err,
				     "could not read the kept request body");
			return false;
		}
		p->body_at += (uint64_t)n;
		p->body_sent = whole && p->body_at == size;
		call_give(p, &chain, p->body_sent);
	}
	return true;
}

/* The next server must get these bytes too, as long as they are few. */
static void
keep_copy(struct proxy *p, const struct lbd_chain *chain)
{
	struct lbd_spool *spool = p->spool;
	struct lbd_chain copy = LBD_CHAIN_INIT;

	if (!p->keep_body)
		return;
	if (lbd_spool_size(spool) + chain->n > lbd_http_body_buffer_size(p->x) ||
	    !lbd_chain_share(&copy, chain) || lbd_spool_write(spool, &copy) != 0)
		p->keep_body = false;
	proxy_ctx(p->x)->spool_lost = !p->keep_body;
	lbd_chain_clear(&copy);
}

/* From the client: what came since. */
static void
send_streamed(struct proxy *p)
{
	struct lbd_http *x = p->x;
	struct lbd_chain chain = LBD_CHAIN_INIT;

	if (p->keep_body && p->body_at < lbd_spool_size(p->spool))
		return; /* the kept part goes first and is not through yet */
	if (lbd_call_queued(p->call) > PROXY_SEND_LOW ||
	    (lbd_chain_empty(&x->body) && !x->body_done))
		return;
	keep_copy(p, &x->body);
	lbd_chain_move(&chain, &x->body);
	p->body_at += chain.n;
	p->body_sent = x->body_done;
	call_give(p, &chain, p->body_sent);
	if (p->body_sent)
		return;
	/* what is too much to be kept need not be seen */
	if (!p->keep_body && p->body_length >= 0)
		(void)lbd_call_relay_request(p->call, x);
	lbd_http_body_taken(x);
}

void
proxy_body_send(struct proxy *p)
{
	if (p->call == NULL || p->body_sent || p->body_length == 0)
		return;
	if (p->streaming) {
		if (!p->keep_body || send_kept(p, false))
			send_streamed(p);
		return;
	}
	(void)send_kept(p, true);
}

bool
proxy_body_is_kept(const struct proxy *p)
{
	return p->body_length == 0 || p->keep_body;
}
