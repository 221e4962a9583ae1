/* SPDX-License-Identifier: MIT */
/*
 * chela audit: the ledger, and whether it is whole. The chain is computed anew
 * here, from the rows as they are kept: the gateway's word is not taken for it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "core/base/clock.h"
#include "core/client/chela.h"
#include "core/json/json.h"

#define PAGE		500
#define LIST_LIMIT	50
#define HASH_HEX	64u

struct check {
	uint64_t	 n;		/* of the last row that was good */
	uint64_t	 seq;
	char		 hash[HASH_HEX + 1];
	char		 why[160];	/* what is wrong; "" while nothing is */
	uint64_t	 bad;		/* the sequence where that shows */
};

static int
ledger_page(struct app *a, const char *key, uint64_t at, long limit,
    struct json_object **ret)
{
	struct json_object	*p = json_object_new_object();

	if (key != NULL)
		(void)json_add_int(p, key, (int64_t)at);
	(void)json_add_int(p, "limit", limit);
	return (app_call(a, "audit.ledger.read", p, ret));
}

/* --- list --- */

static int
audit_list(struct app *a)
{
	struct json_object	*res, *rows, *row, *o, *e, *actor;
	struct table		 t;
	char			 age[32];
	int64_t			 now = (int64_t)clock_wall_ms();
	long			 limit = a->limit > 0 ? a->limit : LIST_LIMIT;
	size_t			 i;
	int			 r;

	if (limit > PAGE)
		return (app_usage(a, "audit list shows up to %d", PAGE));
	r = ledger_page(a, NULL, 0, limit, &res);
	if (r != 0)
		return (r);
	if (a->is_json) {
		out_json(res);
		json_object_put(res);
		return (EXIT_OK);
	}
	rows = json_get_arr(res, "rows");
	table_init(&t, "rllll", "ROW", "WHEN", "WHAT", "HOW", "WHO", NULL);
	for (i = rows == NULL ? 0 : json_object_array_length(rows); i-- > 0;) {
		row = json_object_array_get_idx(rows, i);
		o = json_tokener_parse(text_of(row, "text"));
		e = json_get_obj(o, "e");
		actor = json_get_obj(e, "actor");
		table_add(&t, "%" PRId64, json_get_int(row, "sequence", 0));
		table_add(&t, "%s", out_age(json_get_int(e, "occurredAt", 0),
		    now, age, sizeof age));
		if (*text_of(e, "toolName") != '\0')
			table_add(&t, "%s %s", text_of(e, "action"),
			    text_of(e, "toolName"));
		else
			table_add(&t, "%s%s%s", text_of(e, "action"),
			    *text_of(e, "detail") != '\0' ? " " : "",
			    text_of(e, "detail"));
		if (json_get_int(e, "count", 1) > 1)
			table_add(&t, "%s, %" PRId64 " times", text_of(e,
			    "status"), json_get_int(e, "count", 1));
		else
			table_add(&t, "%s", text_of(e, "status"));
		table_add(&t, "%s %s", text_of(actor, "type"), text_of(actor,
		    "id"));
		json_object_put(o);
	}
	table_print(&t);
	json_object_put(res);
	return (EXIT_OK);
}

/* --- verify --- */

static void
hash_row(const char *prev, uint64_t n, const char *text, size_t len,
    char ret[HASH_HEX + 1])
{
	gnutls_hash_hd_t	 h;
	unsigned char		 out[32] = { 0 }, p[40];
	unsigned		 b;
	size_t			 i;

	for (i = 0; i < 32; i++)
		p[i] = sscanf(prev + 2 * i, "%2x", &b) == 1 ?
		    (unsigned char)b : 0;
	for (i = 0; i < 8; i++)
		p[32 + i] = (unsigned char)(n >> (56 - 8 * i));
	if (gnutls_hash_init(&h, GNUTLS_DIG_SHA256) == 0) {
		(void)gnutls_hash(h, p, sizeof p);
		(void)gnutls_hash(h, text, len);
		gnutls_hash_deinit(h, out);
	}
	for (i = 0; i < 32; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", out[i]);
}

static void
check_fail(struct check *c, uint64_t seq, const char *why)
{
	c->bad = seq;
	(void)snprintf(c->why, sizeof c->why, "%s", why);
}

/*
 * A row has to be {"n":N,"p":"P","h":"H","e":E} byte by byte, with what the rows
 * before ask for: nothing that was changed can hide between the members.
 */
static void
check_row(struct check *c, uint64_t seq, const char *text)
{
	char	 head[2 * HASH_HEX + 64], hash[HASH_HEX + 1];
	size_t	 n, len = strlen(text);

	n = (size_t)snprintf(head, sizeof head, "{\"n\":%" PRIu64 ",\"p\":\"%s"
	    "\",\"h\":\"", c->n + 1, c->hash);
	if (len < n + HASH_HEX + 8 || strncmp(text, head, n) != 0) {
		uint64_t	 has = 0;

		/* Which of the two: gone, or changed? */
		if (sscanf(text, "{\"n\":%" SCNu64 ",", &has) == 1 &&
		    has > c->n + 1) {
			(void)snprintf(c->why, sizeof c->why, "%" PRIu64
			    " row(s) before it are gone", has - c->n - 1);
			c->bad = c->seq + 1;
		} else {
			check_fail(c, seq, "it does not follow the row before");
		}
		return;
	}
	if (strncmp(text + n + HASH_HEX, "\",\"e\":", 6) != 0 ||
	    text[len - 1] != '}') {
		check_fail(c, seq, "it is no row");
		return;
	}
	hash_row(c->hash, c->n + 1, text + n + HASH_HEX + 6,
	    len - (n + HASH_HEX + 6) - 1, hash);
	if (strncmp(text + n, hash, HASH_HEX) != 0) {
		check_fail(c, seq, "it was changed");
		return;
	}
	c->n++;
	c->seq = seq;
	memcpy(c->hash, hash, sizeof hash);
}

static int
check_ledger(struct app *a, struct check *c)
{
	struct json_object	*res, *rows, *row, *anchor, *head;
	uint64_t		 seq = 0, head_n;
	char			 head_hash[HASH_HEX + 1] = "";
	bool			 is_first = true;
	size_t			 i, n;
	int			 r;

	for (;;) {
		r = ledger_page(a, "after", seq, PAGE, &res);
		if (r != 0)
			return (r);
		rows = json_get_arr(res, "rows");
		anchor = json_get_obj(res, "anchor");
		head = json_get_obj(res, "head");
		if (is_first) {
			c->n = (uint64_t)json_get_int(anchor, "n", 0);
			(void)snprintf(c->hash, sizeof c->hash, "%s",
			    text_of(anchor, "hash"));
			is_first = false;
		}
		head_n = (uint64_t)json_get_int(head, "n", 0);
		(void)snprintf(head_hash, sizeof head_hash, "%s",
		    text_of(head, "hash"));
		n = rows == NULL ? 0 : json_object_array_length(rows);
		for (i = 0; i < n && c->why[0] == '\0'; i++) {
			row = json_object_array_get_idx(rows, i);
			seq = (uint64_t)json_get_int(row, "sequence", 0);
			check_row(c, seq, text_of(row, "text"));
		}
		json_object_put(res);
		if (n == 0 || c->why[0] != '\0')
			break;
	}
	if (c->why[0] == '\0' && c->n < head_n) {
		(void)snprintf(c->why, sizeof c->why, "%" PRIu64 " row(s) at "
		    "the end are gone", head_n - c->n);
		c->bad = c->seq + 1;
	} else if (c->why[0] == '\0' && c->n == head_n &&
	    strcmp(c->hash, head_hash) != 0) {
		check_fail(c, c->seq, "the end is not the one that was kept");
	}
	return (0);
}

static int
audit_verify(struct app *a)
{
	struct check		 c = { .n = 0 };
	struct json_object	*o;
	int			 r;

	r = check_ledger(a, &c);
	if (r != 0)
		return (r);
	if (a->is_json) {
		o = json_object_new_object();
		(void)json_add_bool(o, "ok", c.why[0] == '\0');
		(void)json_add_int(o, "rows", (int64_t)c.n);
		(void)json_add_str(o, "hash", c.hash);
		if (c.why[0] != '\0') {
			(void)json_add_int(o, "badSequence", (int64_t)c.bad);
			(void)json_add_str(o, "reason", c.why);
		}
		out_json(o);
		json_object_put(o);
	} else if (c.why[0] != '\0') {
		app_say("the ledger is damaged at row %" PRIu64 ": %s", c.bad,
		    c.why);
	} else if (!a->is_quiet) {
		(void)printf("%" PRIu64 " rows, whole; %s\n", c.n, c.hash);
	}
	return (c.why[0] == '\0' ? EXIT_OK : EXIT_REFUSED);
}

int
cmd_audit(struct app *a, int argc, char **argv)
{
	const char	*verb = argc > 0 ? argv[0] : "list";
	int		 r;

	if (argc > 1 || (strcmp(verb, "list") != 0 &&
	    strcmp(verb, "verify") != 0))
		return (app_usage(a, "audit knows 'list' and 'verify'"));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	return (strcmp(verb, "list") == 0 ? audit_list(a) : audit_verify(a));
}
