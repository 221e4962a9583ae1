/* SPDX-License-Identifier: MIT */
/*
 * The ledger: rows {n, p, h, e} in a log, where e is the event, n counts from 1, p is
 * the hash of the row before (zeros before the first) and
 *
 *	h = SHA-256(p as 32 bytes, n as 8 bytes big endian, the text of e)
 *
 * A row is written when the one before is durable, so that a write that fails leaves
 * no gap. The key "head" says how long the chain has been; "anchor" is the last row
 * that was cut off for its age.
 */
#include "audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define PRUNE_US	UINT64_C(3600000000)
#define TEXT_FLAGS	(JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

struct pending {
	struct pending		*next;
	struct json_object	*event;
};

static struct {
	struct pending		*first, **last;
	unsigned		 n;
	bool			 is_ready, is_closed;
	bool			 is_writing;
	struct link		 next;		/* the row being written */
	struct link		 head, anchor;
	bool			 is_saving, is_dirty;	/* head */
	bool			 is_pruning;
	struct chela_timer	*timer;
	uint64_t		 n_dropped;
} ledger;

static void	write_next(void);

static int
hash_row(const char *prev, uint64_t n, const char *text, char ret[HASH_HEX + 1])
{
	gnutls_hash_hd_t	 h;
	unsigned char		 out[32], num[8], p[32];
	unsigned		 b;
	size_t			 i;

	for (i = 0; i < 32; i++) {
		if (sscanf(prev + 2 * i, "%2x", &b) != 1)
			return (-EINVAL);
		p[i] = (unsigned char)b;
	}
	for (i = 0; i < 8; i++)
		num[i] = (unsigned char)(n >> (56 - 8 * i));
	if (gnutls_hash_init(&h, GNUTLS_DIG_SHA256) < 0)
		return (-ENOMEM);
	(void)gnutls_hash(h, p, sizeof p);
	(void)gnutls_hash(h, num, sizeof num);
	(void)gnutls_hash(h, text, strlen(text));
	gnutls_hash_deinit(h, out);
	for (i = 0; i < 32; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", out[i]);
	return (0);
}

const struct link *
ledger_head(void)
{
	return (&ledger.head);
}

const struct link *
ledger_anchor(void)
{
	return (&ledger.anchor);
}

static struct json_object *
link_json(const struct link *l)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "n", json_object_new_int64((int64_t)l->n));
	json_object_object_add(o, "seq", json_object_new_int64((int64_t)l->seq));
	json_object_object_add(o, "hash", json_object_new_string(l->hash));
	return (o);
}

static void
link_load(const char *key, struct link *ret)
{
	struct json_object	*o;
	const char		*hash;

	*ret = (struct link){ .n = 0, .hash = ZEROS };
	if (audit.host->kv_get(audit.ctx, key, &o, NULL) < 0)
		return;
	hash = get_str(o, "hash");
	if (hash != NULL && strlen(hash) == HASH_HEX) {
		memcpy(ret->hash, hash, HASH_HEX + 1);
		ret->n = (uint64_t)get_int(o, "n", 0);
		ret->seq = (uint64_t)get_int(o, "seq", 0);
	}
	json_object_put(o);
}

/* --- the head, behind the rows --- */

static void	head_save(void);

static void
head_saved(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	(void)ctx;
	(void)r;
	(void)rev;
	(void)arg;
	ledger.is_saving = false;
	if (ledger.is_dirty)
		head_save();
}

static void
head_save(void)
{
	if (ledger.is_saving) {
		ledger.is_dirty = true;
		return;
	}
	ledger.is_dirty = false;
	ledger.is_saving = audit.host->kv_put(audit.ctx, "head",
	    link_json(&ledger.head), CHELA_ANY_REV, head_saved, NULL) == 0;
}

/* --- writing --- */

static void
row_written(struct chela_ctx *ctx, int r, uint64_t seq, void *arg)
{
	(void)ctx;
	(void)arg;
	ledger.is_writing = false;
	if (r < 0) {
		if (ledger.n_dropped++ == 0)
			audit.host->log(audit.ctx, CHELA_LOG_WARNING,
			    "audit: an event could not be written");
	} else {
		ledger.head = ledger.next;
		ledger.head.seq = seq;
		head_save();
	}
	write_next();
}

/* Gives the row for an event behind l, and makes l that row. Takes event. */
static struct json_object *
row_new(struct link *l, struct json_object *event)
{
	struct json_object	*row;
	struct link		 next = { .n = l->n + 1 };
	const char		*text;

	text = json_object_to_json_string_ext(event, TEXT_FLAGS);
	if (text == NULL || hash_row(l->hash, next.n, text, next.hash) < 0) {
		json_object_put(event);
		return (NULL);
	}
	row = json_object_new_object();
	json_object_object_add(row, "n", json_object_new_int64(
	    (int64_t)next.n));
	json_object_object_add(row, "p", json_object_new_string(l->hash));
	json_object_object_add(row, "h", json_object_new_string(next.hash));
	json_object_object_add(row, "e", event);
	*l = next;
	return (row);
}

static struct json_object *
pending_take(void)
{
	struct pending		*p = ledger.first;
	struct json_object	*event = p->event;

	ledger.first = p->next;
	if (ledger.first == NULL)
		ledger.last = &ledger.first;
	ledger.n--;
	free(p);
	return (event);
}

static void
write_next(void)
{
	struct json_object	*row;

	while (ledger.is_ready && !ledger.is_closed && !ledger.is_writing &&
	    ledger.first != NULL) {
		ledger.next = ledger.head;
		row = row_new(&ledger.next, pending_take());
		if (row == NULL)
			continue;
		ledger.is_writing = true;
		if (audit.host->log_append(audit.ctx, LEDGER, row, row_written,
		    NULL) < 0)
			ledger.is_writing = false;
	}
}

int
ledger_add(struct json_object *event)
{
	struct pending	*p;

	if (ledger.is_closed || ledger.n >= CHELA_AUDIT_PENDING_MAX ||
	    (p = malloc(sizeof *p)) == NULL) {
		json_object_put(event);
		if (!ledger.is_closed && ledger.n_dropped++ == 0)
			audit.host->log(audit.ctx, CHELA_LOG_WARNING,
			    "audit: events are lost (too many wait)");
		return (-EAGAIN);
	}
	*p = (struct pending){ NULL, event };
	*ledger.last = p;
	ledger.last = &p->next;
	ledger.n++;
	write_next();
	return (0);
}

/* --- reading --- */

struct json_object *
ledger_event(const struct chela_row *row)
{
	struct json_object	*o = json_tokener_parse(row->text), *e;

	e = json_object_get(get_any(o, "e"));
	json_object_put(o);
	return (e);
}

/* --- cutting off --- */

static void	prune_next(void);

static void
pruned(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	(void)ctx;
	(void)rev;
	ledger.is_pruning = false;
	if (r == 0 && arg != NULL)
		prune_next();
}

static void
prune_page(struct chela_ctx *ctx, int r, const struct chela_row *rows, size_t n,
    void *arg)
{
	uint64_t		 limit, last = 0;
	struct json_object	*o;
	const char		*hash;
	int64_t			 at;
	size_t			 i;
	static int		 again;

	(void)arg;
	ledger.is_pruning = false;
	if (r < 0 || ledger.is_closed)
		return;
	limit = ledger.head.n > ROWS_MAX ? ledger.head.n - ROWS_MAX : 0;
	for (i = 0; i < n; i++) {
		o = json_tokener_parse(rows[i].text);
		hash = get_str(o, "h");
		at = get_int(get_any(o, "e"), "occurredAt", -1);
		/* What is damaged stays: it is evidence. */
		if (hash == NULL || strlen(hash) != HASH_HEX || at < 0 ||
		    ((uint64_t)get_int(o, "n", 0) > limit &&
		    (uint64_t)at + KEEP_MS > audit.host->wall_ms())) {
			json_object_put(o);
			break;
		}
		ledger.anchor.n = (uint64_t)get_int(o, "n", 0);
		ledger.anchor.seq = last = rows[i].seq;
		memcpy(ledger.anchor.hash, hash, HASH_HEX + 1);
		json_object_put(o);
	}
	if (last == 0)
		return;
	/* The anchor first: rows without it would look removed. */
	(void)audit.host->kv_put(ctx, "anchor", link_json(&ledger.anchor),
	    CHELA_ANY_REV, NULL, NULL);
	ledger.is_pruning = audit.host->log_trim(ctx, LEDGER, last + 1, pruned,
	    i == PAGE_ROWS ? &again : NULL) == 0;
}

static void
prune_next(void)
{
	if (ledger.is_pruning || ledger.is_closed)
		return;
	ledger.is_pruning = audit.host->log_read(audit.ctx, LEDGER, 1,
	    PAGE_ROWS, PAGE_BYTES, 0, prune_page, NULL) == 0;
}

static void
on_timer(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	prune_next();
	(void)audit.host->timer_set(ledger.timer, PRUNE_US);
}

/* --- life --- */

/*
 * The log may be ahead of the head by what was under way at the end. Where it is
 * behind, rows were removed: the chain goes on from the head, so that this stays
 * to be seen.
 */
static void
tail_read(struct chela_ctx *ctx, int r, const struct chela_row *rows, size_t n,
    void *arg)
{
	struct json_object	*o;
	const char		*hash;
	struct link		 last = { .n = 0, .hash = ZEROS };

	(void)ctx;
	(void)arg;
	if (r < 0)
		audit.host->log(audit.ctx, CHELA_LOG_ERR,
		    "audit: the ledger cannot be read");
	if (r == 0 && n > 0) {
		o = json_tokener_parse(rows[n - 1].text);
		hash = get_str(o, "h");
		if (hash != NULL && strlen(hash) == HASH_HEX) {
			last.n = (uint64_t)get_int(o, "n", 0);
			last.seq = rows[n - 1].seq;
			memcpy(last.hash, hash, HASH_HEX + 1);
		}
		json_object_put(o);
	}
	if (last.n > ledger.head.n)
		ledger.head = last;
	else if (last.n < ledger.head.n && ledger.head.n > ledger.anchor.n)
		audit.host->log(audit.ctx, CHELA_LOG_ERR, "audit: the ledger "
		    "ends at row %" PRIu64 ", and had %" PRIu64, last.n,
		    ledger.head.n);
	ledger.is_ready = true;
	write_next();
	prune_next();
}

int
ledger_open(void)
{
	memset(&ledger, 0, sizeof ledger);
	ledger.last = &ledger.first;
	link_load("head", &ledger.head);
	link_load("anchor", &ledger.anchor);
	ledger.timer = audit.host->timer_new(audit.ctx, on_timer, NULL);
	if (ledger.timer == NULL)
		return (-ENOMEM);
	(void)audit.host->timer_set(ledger.timer, PRUNE_US);
	return (audit.host->log_read(audit.ctx, LEDGER, 0, 1, PAGE_BYTES,
	    CHELA_READ_TAIL, tail_read, NULL));
}

/* In one go: there is no later turn. What fails now is the end of the chain. */
void
ledger_close(void)
{
	struct link		 l;
	struct json_object	*row;

	ledger.is_closed = true;
	if (ledger.is_ready && ledger.first != NULL) {
		l = ledger.is_writing ? ledger.next : ledger.head;
		while (ledger.first != NULL) {
			row = row_new(&l, pending_take());
			if (row != NULL)
				(void)audit.host->log_append(audit.ctx, LEDGER,
				    row, NULL, NULL);
		}
	}
	if (ledger.timer != NULL)
		audit.host->timer_free(ledger.timer);
	ledger.timer = NULL;
}

void
ledger_free(void)
{
	while (ledger.first != NULL)
		json_object_put(pending_take());
}
