/* SPDX-License-Identifier: MIT */

/*
 * What a server is called towards clients: its route=, or the MD5 of its address, as nginx has it,
 * of secret and address where there is one, so that nobody can guess it.
 *
 * Names that do not depend on the request are kept in a sorted table, made anew when the servers
 * have changed.
 */

#include <openssl/evp.h>
#include <stdlib.h>

#include "sticky.h"

enum { MD5_BYTES = 16, HEX = 2 * MD5_BYTES };

struct sticky_name {
	struct lbd_str id;   /* a route, or in sticky_conf.hex */
	uint32_t index;
};

/* Lower case hexadecimal digits.  False without memory, or where MD5 is forbidden. */
static bool
md5_hex(struct lbd_str secret, struct lbd_str addr, char *hex)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned n = 0;
	bool done = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
		EVP_DigestUpdate(ctx, secret.p, secret.n) == 1 &&
		EVP_DigestUpdate(ctx, addr.p, addr.n) == 1 &&
		EVP_DigestFinal_ex(ctx, sum, &n) == 1 && n == MD5_BYTES;

	EVP_MD_CTX_free(ctx);
	for (unsigned i = 0; done && i < MD5_BYTES; i++) {
		hex[2 * i] = "0123456789abcdef"[sum[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[sum[i] & 15];
	}
	return done;
}

static bool
name_server(struct lbd_str secret, const struct lbd_server *s, struct sticky_id *out)
{
	out->text = lbd_server_route(s);
	if (out->text.n > 0)
		return true;
	out->text = lbd_str(out->hex, sizeof(out->hex));
	return md5_hex(secret, s->addr, out->hex);
}

bool
sticky_id(struct lbd_http *x, const struct sticky_conf *c, const struct lbd_server *s,
	struct sticky_id *out)
{
	struct lbd_str secret = LBD_STR("");

	return (c->secret == NULL || lbd_http_eval(x, c->secret, &secret)) &&
		name_server(secret, s, out);
}

/* --- those that do not depend on the request --- */

static int
compare(const void *a, const void *b)
{
	return lbd_str_cmp(((const struct sticky_name *)a)->id,
		((const struct sticky_name *)b)->id);
}

static bool
make_names(struct sticky_conf *c, struct lbd_upstream *up, struct lbd_str secret)
{
	unsigned n = lbd_upstream_servers(up), used = 0;
	struct sticky_name *v = malloc((n + 1) * sizeof(*v));
	char *hex = malloc((n + 1) * HEX);

	if (v == NULL || hex == NULL) {
		free(v);
		free(hex);
		return false;
	}
	for (unsigned i = 0; i < n; i++) {
		const struct lbd_server *s = lbd_upstream_server(up, i);
		char *p = hex + used * HEX;
		struct lbd_str route = lbd_server_route(s);

		if (s->addr.n == 0 || (route.n == 0 && !md5_hex(secret, s->addr, p)))
			continue;
		v[used].id = route.n > 0 ? route : lbd_str(p, HEX);
		v[used++].index = s->index;
	}
	qsort(v, used, sizeof(*v), compare);
	free(c->names);
	free(c->hex);
	c->names = v;
	c->hex = hex;
	c->names_n = used;
	c->names_old = false;
	return true;
}

static int64_t
find_name(const struct sticky_conf *c, struct lbd_str id)
{
	const struct sticky_name wanted = { .id = id };
	const struct sticky_name *found =
		bsearch(&wanted, c->names, c->names_n, sizeof(wanted), compare);

	return found == NULL ? -1 : (int64_t)found->index;
}

/* The secret depends on the request, and so do all names. */
static int64_t
find_each(struct lbd_http *x, const struct sticky_conf *c, struct lbd_upstream *up,
	struct lbd_str id)
{
	struct sticky_id name;

	for (unsigned i = 0; i < lbd_upstream_servers(up); i++) {
		const struct lbd_server *s = lbd_upstream_server(up, i);

		if (s->addr.n > 0 && sticky_id(x, c, s, &name) && lbd_str_eq(name.text, id))
			return s->index;
	}
	return -1;
}

int64_t
sticky_find(struct lbd_http *x, struct sticky_conf *c, struct lbd_upstream *up, struct lbd_str id)
{
	struct lbd_str secret = LBD_STR("");

	if (id.n == 0 || id.n > STICKY_ID_MAX)
		return -1;
	if (c->secret != NULL && !lbd_value_const(c->secret, &secret))
		return find_each(x, c, up, id);
	if ((c->names == NULL || c->names_old) && !make_names(c, up, secret))
		return -1;
	return find_name(c, id);
}
