/* SPDX-License-Identifier: MIT */

/*
 * Lending a direction of a connection to who moves its bytes by himself, see conn.h and relay.c.
 */

#include "core/net/conn.h"
#include "core/net/conn_private.h"
#include "core/os/sock.h"

void
conn_lend_in(struct conn *c)
{
	conn_flag(c, CONN_LENT_IN, 0);
	op_cancel(conn_loop, &c->rx);
}

void
conn_take_back_in(struct conn *c)
{
	conn_flag(c, 0, CONN_LENT_IN);
	conn_rearm(c);
}

bool
conn_lend_out(struct conn *c)
{
	if (!conn_attach(c)) /* stays attached: it knows how much was sent */
		return false;
	conn_flag(c, CONN_LENDING_OUT, CONN_LENT_OUT);
	if (conn_queued(c) > 0)
		conn_mark(c);
	else if (!conn_is_transmitting(c))
		conn_flag(c, CONN_LENT_OUT, 0);
	return true;
}

void
conn_take_back_out(struct conn *c)
{
	conn_flag(c, 0, CONN_LENDING_OUT | CONN_LENT_OUT);
	if (c->flags & CONN_CLOSING)
		return;
	conn_let_go(c);
	if (conn_queued(c) > 0 || c->flags & (CONN_SHUT | CONN_FINISHING))
		conn_mark(c); /* what was asked for meanwhile */
	else
		conn_settle(c);
}

void
conn_let_go(struct conn *c)
{
	if (c->output == NULL || !c->output->kept_back)
		return;
	c->output->kept_back = false;
	(void)!sock_nodelay(c->file.fd, true); /* tcp(7): it pushes; other sockets keep nothing */
}

void
conn_count_in(struct conn *c, size_t n)
{
	if (c->flags & CONN_COUNTED)
		conn_counts_of(c)->received += n;
}

void
conn_count_out(struct conn *c, size_t n)
{
	c->output->kept_back = false;
	conn_note_sent(c, n);
}

void
conn_send_lost(struct conn *c, int err)
{
	if (!(c->flags & (CONN_CLOSING | CONN_SEND_FAILED)))
		conn_send_fail(c, err);
}

bool
conn_borrower_ended(struct conn *c)
{
	if (!(c->flags & CONN_CLOSING))
		return false;
	conn_op_ended(c);
	return true;
}
