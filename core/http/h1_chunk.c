/* SPDX-License-Identifier: MIT */

/*
 * Decoding the chunked transfer coding (RFC 9112 7.1), one event at a time.
 *
 * A byte that is not where the grammar has it ends the message: lax readers of chunk lines are how
 * requests were smuggled.  CRLF only, at most sixteen digits, extensions read over within a bound.
 * What becomes of data and trailers is decided by the caller.
 */

#include "core/http/h1_chunk.h"

#include "core/base/ascii.h"
#include "core/http/text.h"

enum { DIGITS_MAX = 16 };

enum chunk_state {
	SIZE,        /* hexadecimal digits; must be 0 */
	SIZE_BLANK,  /* blanks between size and ";" (RFC 9112 7.1.1: BWS) */
	SIZE_EXT,    /* an extension, up to CR */
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,     /* at the start of a line */
	TRAILER_LINE,
	TRAILER_LF,  /* of a field line */
	END_LF,
	END,
};

static enum h1_chunk_event
chunk_bad(struct h1_error *e, int status, const char *text)
{
	h1_bad(e, status, text);
	return CHUNK_BAD;
}

/* Each digit is checked before it is added; sizes of 2^63 and more are refused. */
static bool
add_digit(struct h1_chunk *c, char digit)
{
	int v = ascii_hex(digit);

	if (v < 0 || c->digits == DIGITS_MAX || c->left > (uint64_t)INT64_MAX >> 4)
		return false;
	c->left = c->left << 4 | (unsigned)v;
	c->digits++;
	return true;
}

static enum h1_chunk_event
size_byte(struct h1_chunk *c, char byte, struct h1_error *e)
{
	if (ascii_hex(byte) >= 0) {
		if (!add_digit(c, byte))
			return chunk_bad(e, 400, "chunk size too large (RFC 9112 7.1)");
		return CHUNK_MORE;
	}
	if (c->digits == 0)
		return chunk_bad(e, 400, "chunk without a size (RFC 9112 7.1)");
	if (byte == '\r')
		c->state = SIZE_LF;
	else if (byte == ';')
		c->state = SIZE_EXT;
	else if (byte == ' ' || byte == '\t')
		c->state = SIZE_BLANK;
	else
		return chunk_bad(e, 400, "malformed chunk size (RFC 9112 7.1)");
	return CHUNK_MORE;
}

static enum h1_chunk_event
count_ext(struct h1_chunk *c, size_t n, struct h1_error *e)
{
	if (n > H1_CHUNK_EXT_MAX - c->ext)
		return chunk_bad(e, 400, "chunk extensions too long (RFC 9112 7.1.1)");
	c->ext += (uint32_t)n;
	return CHUNK_MORE;
}

static enum h1_chunk_event
blank_byte(struct h1_chunk *c, char byte, struct h1_error *e)
{
	if (byte == ';')
		c->state = SIZE_EXT;
	else if (byte != ' ' && byte != '\t')
		return chunk_bad(e, 400, "blank after a chunk size (RFC 9112 7.1)");
	return count_ext(c, 1, e);
}

/* Text of an extension from p on; *used of it was read. */
static enum h1_chunk_event
ext_bytes(struct h1_chunk *c, const char *p, size_t n, size_t *used, struct h1_error *e)
{
	size_t room = H1_CHUNK_EXT_MAX - c->ext;
	size_t text = (size_t)(text_control(p, p + LBD_MIN(n, room + 1)) - p);

	*used = text;
	if (count_ext(c, text, e) == CHUNK_BAD)
		return CHUNK_BAD;
	if (text == n)
		return CHUNK_MORE;
	*used = text + 1;
	if (p[text] == '\t')
		return count_ext(c, 1, e);
	if (p[text] != '\r')
		return chunk_bad(e, 400, "control byte in a chunk extension (RFC 9112 7.1.1)");
	c->state = SIZE_LF;
	return CHUNK_MORE;
}

/* A size line is complete. */
static void
size_done(struct h1_chunk *c)
{
	c->state = c->left > 0 ? DATA : TRAILER;
	c->digits = 0;
}

/*
 * Trailer text from p on, up to and with the end of its line.  The empty line that ends the
 * section is not among the bytes handed out, so the end of the body is never told late.
 */
static enum h1_chunk_event
trailer_bytes(struct h1_chunk *c, const char *p, size_t n, size_t *used, struct h1_error *e)
{
	size_t room = LBD_MIN(n, (size_t)(H1_CHUNK_TRAILER_MAX - c->trailer));
	size_t i = 0;

	if (c->state != TRAILER_LF) {
		c->state = TRAILER_LINE;
		while ((i = (size_t)(text_control(p + i, p + room) - p)) < room && p[i] == '\t')
			i++;
		if (i < room && p[i] != '\r')
			return chunk_bad(e, 400, "control byte in a trailer (RFC 9110 5.5)");
		if (i < room) {
			c->state = TRAILER_LF;
			i++;
		}
	}
	if (c->state == TRAILER_LF && i < room) {
		if (p[i++] != '\n')
			return chunk_bad(e, 400, "CR without LF in a trailer (RFC 9112 2.2)");
		c->state = TRAILER;
	}
	c->trailer += (uint32_t)i;
	*used = i;
	if (c->state != TRAILER && i < n)
		return chunk_bad(e, 431, "trailer section too large (RFC 6585 5)");
	return CHUNK_TRAILER;
}

/* One byte in a state in which bytes count singly. */
static enum h1_chunk_event
single_byte(struct h1_chunk *c, char byte, struct h1_error *e)
{
	switch ((enum chunk_state)c->state) {
	case SIZE:
		return size_byte(c, byte, e);
	case SIZE_BLANK:
		return blank_byte(c, byte, e);
	case SIZE_LF:
		if (byte != '\n')
			return chunk_bad(e, 400, "CR without LF after a chunk size (RFC 9112 7.1)");
		size_done(c);
		return CHUNK_MORE;
	case DATA_CR:
		if (byte != '\r')
			return chunk_bad(e, 400, "chunk longer than its size (RFC 9112 7.1)");
		c->state = DATA_LF;
		return CHUNK_MORE;
	case DATA_LF:
		if (byte != '\n')
			return chunk_bad(e, 400, "CR without LF after a chunk (RFC 9112 7.1)");
		c->state = SIZE;
		return CHUNK_MORE;
	default: /* END_LF */
		if (byte != '\n')
			return chunk_bad(e, 400, "CR without LF at the end (RFC 9112 7.1)");
		c->state = END;
		return CHUNK_END;
	}
}

static enum h1_chunk_event
data_bytes(struct h1_chunk *c, size_t n, size_t *used)
{
	*used = c->left < n ? (size_t)c->left : n;
	c->left -= *used;
	if (c->left == 0)
		c->state = DATA_CR;
	return CHUNK_DATA;
}

enum h1_chunk_event
h1_chunk_next(struct h1_chunk *c, const char *p, size_t n, size_t *used, const char **data,
	size_t *data_n, struct h1_error *e)
{
	enum h1_chunk_event event = c->state == END ? CHUNK_END : CHUNK_MORE;
	size_t i = 0;
	size_t k;

	*data = NULL;
	*data_n = 0;
	while (event == CHUNK_MORE && i < n) {
		k = 1;
		if (c->state == TRAILER && p[i] == '\r') {
			c->state = END_LF;
			i++;
			continue;
		}
		switch ((enum chunk_state)c->state) {
		case DATA:
			event = data_bytes(c, n - i, &k);
			break;
		case SIZE_EXT:
			event = ext_bytes(c, p + i, n - i, &k, e);
			break;
		case TRAILER:
		case TRAILER_LINE:
		case TRAILER_LF:
			event = trailer_bytes(c, p + i, n - i, &k, e);
			break;
		default:
			event = single_byte(c, p[i], e);
		}
		if (event == CHUNK_DATA || event == CHUNK_TRAILER) {
			*data = p + i;
			*data_n = k;
		}
		i += k;
	}
	*used = i;
	return event;
}
