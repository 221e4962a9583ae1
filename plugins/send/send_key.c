/* SPDX-License-Identifier: MIT */
/*
 * One idempotency key, one delivery. A record is written before the channel
 * gets anything and completed afterwards, so that after a crash between the two
 * it is known that nobody knows, and nothing is sent a second time.
 *
 * Records are kept for a day (those of failures five minutes), at most
 * RECORDS_MAX.
 */
#include "send.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_PREFIX	"key/"
#define RECORD_KEY_MAX	(KEY_TEXT_MAX + 32)
#define SWEEP_BATCH	64

struct begin {
	struct flight	*f;
	void		(*go)(struct flight *f);
};

static void
record_key(const char *family, const char *key, char *ret)
{
	(void)snprintf(ret, RECORD_KEY_MAX, RECORD_PREFIX "%s/%s", family, key);
}

static void
hash_add(uint64_t h[2], const char *text, size_t len)
{
	size_t	i;

	for (i = 0; i < len; i++) {
		h[0] = (h[0] ^ (unsigned char)text[i]) *
		    UINT64_C(1099511628211);
		h[1] = (h[1] + (unsigned char)text[i] + 1) *
		    UINT64_C(6364136223846793005) + (h[1] >> 29);
	}
}

static int
name_cmp(const void *a, const void *b)
{
	return (strcmp(*(const char *const *)a, *(const char *const *)b));
}

#define NAMES_MAX 64

/*
 * What the key stands for, whatever order the members came in. It tells a
 * caller's mistake from a repetition; it does not guard against anyone.
 */
static void
params_hash(struct json_object *params, char ret[33])
{
	const char		*names[NAMES_MAX];
	const char		*text;
	uint64_t		 h[2] = { UINT64_C(14695981039346656037), 7 };
	size_t			 i, n = 0;

	json_object_object_foreach(params, name, val) {
		(void)val;
		if (n < NAMES_MAX && strcmp(name, "idempotencyKey") != 0)
			names[n++] = name;
	}
	if (n > 1)
		qsort(names, n, sizeof names[0], name_cmp);
	for (i = 0; i < n; i++) {
		hash_add(h, names[i], strlen(names[i]) + 1);
		text = json_object_to_json_string_ext(get_any(params,
		    names[i]), JSON_C_TO_STRING_PLAIN);
		hash_add(h, text, strlen(text) + 1);
	}
	(void)snprintf(ret, 33, "%016" PRIx64 "%016" PRIx64, h[0], h[1]);
}

static void
answer_one(struct chela_req *req, const char *code, const char *message,
    const char *detail, struct json_object *payload)
{
	struct chela_error	extra;

	if (code == NULL) {
		(void)send.host->req_reply(req, json_object_get(payload));
		return;
	}
	memset(&extra, 0, sizeof extra);
	extra.struct_size = sizeof extra;
	if (detail != NULL) {
		extra.details = json_object_new_object();
		(void)json_object_object_add(extra.details, "code",
		    json_object_new_string(detail));
	}
	(void)send.host->req_fail_with(req, code, &extra, "%s", message);
}

static int
conflict(struct chela_req *req, const char *key)
{
	return (fail_bad(req,
	    "idempotencyKey \"%s\" was used for something else", key));
}

static uint64_t
record_ttl(struct json_object *rec)
{
	return (get_any(rec, "payload") == NULL &&
	    get_text(rec, "code") != NULL && get_text(rec, "detail") == NULL ?
	    FAILURE_TTL_MS : RECORD_TTL_MS);
}

/*
 * One of this process ages by the time that passes: a wall clock that is set
 * forward must not make a repetition a second delivery.
 */
static int
record_old(struct json_object *rec)
{
	const char	*run = get_text(rec, "run");
	uint64_t	 ttl = record_ttl(rec);

	if (run != NULL && strcmp(run, send.run) == 0)
		return (send.host->now_us() - (uint64_t)json_object_get_int64(
		    get_any(rec, "atUs")) >= ttl * 1000);
	return ((uint64_t)json_object_get_int64(get_any(rec, "at")) + ttl <=
	    send.host->wall_ms());
}

/*
 * Answers from a record. One that was never completed is of a process that
 * ended in between: the message may or may not be out.
 */
static int
replay(struct chela_req *req, const char *key, const char *hash,
    struct json_object *rec)
{
	const char	*was = get_text(rec, "hash");

	if (was == NULL || strcmp(was, hash) != 0)
		return (conflict(req, key));
	if (get_any(rec, "payload") != NULL)
		answer_one(req, NULL, NULL, NULL, get_any(rec, "payload"));
	else if (get_text(rec, "code") != NULL)
		answer_one(req, get_text(rec, "code"), get_text(rec, "message"),
		    get_text(rec, "detail"), NULL);
	else
		answer_one(req, "UNAVAILABLE",
		    "it is not known whether the message was delivered: the gateway ended before the channel answered; it was not sent again",
		    "OUTBOUND_DELIVERY_UNCERTAIN", NULL);
	return (0);
}

static struct flight *
flight_find(const char *family, const char *key)
{
	struct flight	*f;

	for (f = send.flights; f != NULL; f = f->next) {
		if (strcmp(f->family, family) == 0 && strcmp(f->key, key) == 0)
			return (f);
	}
	return (NULL);
}

static void
flight_join(struct flight *f, struct chela_req *req, const char *hash)
{
	if (strcmp(f->hash, hash) != 0)
		(void)conflict(req, f->key);
	else if (f->n_reqs == JOINED_MAX)
		(void)send.host->req_fail(req, "UNAVAILABLE",
		    "too many calls wait for this delivery");
	else
		f->reqs[f->n_reqs++] = send.host->req_ref(req);
}

struct flight *
flight_new(struct chela_req *req, const char *family,
    struct json_object *params)
{
	struct json_object	*text = get_any(params, "idempotencyKey");
	struct json_object	*rec = NULL;
	struct flight		*f;
	const char		*key = json_object_get_string(text);
	char			 hash[33], at[RECORD_KEY_MAX];
	int			 old;

	if (json_object_get_string_len(text) > KEY_TEXT_MAX ||
	    strlen(key) != (size_t)json_object_get_string_len(text)) {
		(void)fail_bad(req, "invalid %s params: idempotencyKey must not have more than %d bytes, nor a NUL",
		    family, KEY_TEXT_MAX);
		return (NULL);
	}
	params_hash(params, hash);
	f = flight_find(family, key);
	if (f != NULL) {
		flight_join(f, req, hash);
		return (NULL);
	}
	record_key(family, key, at);
	if (send.host->kv_get(send.ctx, at, &rec, NULL) == 0) {
		old = record_old(rec);
		if (!old)
			(void)replay(req, key, hash, rec);
		json_object_put(rec);
		if (!old)
			return (NULL);
	}
	if (send.n_flights >= FLIGHTS_MAX ||
	    (f = calloc(1, sizeof *f)) == NULL) {
		(void)send.host->req_fail(req, "UNAVAILABLE",
		    "too many deliveries are under way");
		return (NULL);
	}
	f->family = family;
	f->params = json_object_get(params);
	(void)snprintf(f->key, sizeof f->key, "%s", key);
	memcpy(f->hash, hash, sizeof f->hash);
	f->reqs[f->n_reqs++] = send.host->req_ref(req);
	f->next = send.flights;
	send.flights = f;
	send.n_flights++;
	return (f);
}

/* Whether it is still wanted what a callback brings: not after the end. */
int
flight_alive(const struct flight *flight)
{
	const struct flight	*f;

	for (f = send.flights; f != NULL && f != flight; f = f->next)
		;
	return (f != NULL);
}

static void
flight_free(struct flight *f)
{
	struct flight	**p;
	uint32_t	  i;

	for (p = &send.flights; *p != NULL && *p != f; p = &(*p)->next)
		;
	if (*p == f) {
		*p = f->next;
		send.n_flights--;
	}
	for (i = 0; i < f->n_reqs; i++)
		send.host->req_unref(f->reqs[i]);
	json_object_put(f->params);
	json_object_put(f->payload);
	free(f->bytes);
	free(f->message);
	free(f);
}

void
flight_drop(struct flight *f)
{
	flight_free(f);
}

static void
begun(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct begin	*b = arg;
	struct flight	*f = b->f;
	void		(*go)(struct flight *f) = b->go;
	uint32_t	 i;

	(void)ctx;
	(void)rev;
	free(b);
	if (!flight_alive(f))
		return;
	if (r >= 0) {
		go(f);
		return;
	}
	/* Nothing is out, and nothing is noted: the key may be used again. */
	for (i = 0; i < f->n_reqs; i++)
		(void)send.host->req_fail(f->reqs[i], "UNAVAILABLE",
		    "the delivery could not be noted, so it was not begun");
	flight_free(f);
}

static struct json_object *
record_new(const struct flight *f)
{
	struct json_object	*rec = json_object_new_object();

	(void)json_object_object_add(rec, "at", json_object_new_int64(
	    (int64_t)send.host->wall_ms()));
	(void)json_object_object_add(rec, "atUs", json_object_new_int64(
	    (int64_t)send.host->now_us()));
	(void)json_object_object_add(rec, "run",
	    json_object_new_string(send.run));
	(void)json_object_object_add(rec, "hash",
	    json_object_new_string(f->hash));
	return (rec);
}

void
flight_begin(struct flight *f, void (*go)(struct flight *f))
{
	struct begin	*b = malloc(sizeof *b);
	char		 at[RECORD_KEY_MAX];
	int		 r;

	if (b == NULL) {
		(void)send.host->req_fail(f->reqs[0], "UNAVAILABLE",
		    "out of memory");
		flight_free(f);
		return;
	}
	if (++send.n_new >= SWEEP_BATCH)
		records_sweep();
	b->f = f;
	b->go = go;
	record_key(f->family, f->key, at);
	r = send.host->kv_put(send.ctx, at, record_new(f), CHELA_ANY_REV,
	    begun, b);
	if (r < 0)
		begun(send.ctx, r, 0, b);
}

void
flight_fail(struct flight *f, const char *code, const char *detail,
    const char *fmt, ...)
{
	va_list	 ap;
	char	*text = NULL;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	f->code = code;
	f->detail = detail;
	free(f->message);
	f->message = text;
}

static void
ended(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct flight	*f = arg;
	uint32_t	 i;

	(void)ctx;
	(void)rev;
	if (!flight_alive(f))
		return;
	if (r < 0)
		send.host->log(send.ctx, CHELA_LOG_ERR,
		    "delivery: outcome not stored (%s); after a restart it counts as uncertain",
		    strerror(-r));
	for (i = 0; i < f->n_reqs; i++)
		answer_one(f->reqs[i], f->code, f->message != NULL ?
		    f->message : "out of memory", f->detail, f->payload);
	flight_free(f);
}

void
flight_end(struct flight *f)
{
	struct json_object	*rec = record_new(f);
	char			 at[RECORD_KEY_MAX];
	int			 r;

	if (f->code == NULL) {
		(void)json_object_object_add(rec, "payload",
		    json_object_get(f->payload));
	} else {
		(void)json_object_object_add(rec, "code",
		    json_object_new_string(f->code));
		(void)json_object_object_add(rec, "message",
		    json_object_new_string(f->message != NULL ? f->message :
		    ""));
		if (f->detail != NULL)
			(void)json_object_object_add(rec, "detail",
			    json_object_new_string(f->detail));
	}
	record_key(f->family, f->key, at);
	r = send.host->kv_put(send.ctx, at, rec, CHELA_ANY_REV, ended, f);
	if (r < 0)
		ended(send.ctx, r, 0, f);
}

struct sweep {
	uint64_t	oldest;		/* records from before this one go */
	uint32_t	n;		/* of all records */
	uint32_t	n_keys;
	char		keys[SWEEP_BATCH][RECORD_KEY_MAX];
	char		oldest_key[RECORD_KEY_MAX];
};

static int
sweep_one(const char *key, struct json_object *rec, uint64_t rev, void *arg)
{
	struct sweep	*s = arg;
	uint64_t	 at = (uint64_t)json_object_get_int64(get_any(rec,
			    "at"));
	const char	*slash;

	(void)rev;
	s->n++;
	if (strlen(key) >= RECORD_KEY_MAX)
		return (0);
	if (record_old(rec)) {
		if (s->n_keys < SWEEP_BATCH)
			(void)snprintf(s->keys[s->n_keys++], RECORD_KEY_MAX,
			    "%s", key);
		return (0);
	}
	/* What is under way is not the oldest, however long it takes. */
	slash = strchr(key + strlen(RECORD_PREFIX), '/');
	if (at < s->oldest && slash != NULL && (get_any(rec, "payload") != NULL ||
	    get_text(rec, "code") != NULL)) {
		s->oldest = at;
		(void)snprintf(s->oldest_key, RECORD_KEY_MAX, "%s", key);
	}
	return (0);
}

/* Takes away what is too old, and the oldest while there are too many. */
void
records_sweep(void)
{
	struct sweep	*s = malloc(sizeof *s);
	uint32_t	 i, n;

	if (s == NULL)
		return;
	do {
		memset(s, 0, sizeof *s);
		s->oldest = UINT64_MAX;
		(void)send.host->kv_each(send.ctx, RECORD_PREFIX, sweep_one, s);
		n = s->n_keys;
		if (n == 0 && s->n > RECORDS_MAX && s->oldest_key[0] != '\0')
			(void)snprintf(s->keys[n++], RECORD_KEY_MAX, "%s",
			    s->oldest_key);
		for (i = 0; i < n; i++) {
			if (send.host->kv_del(send.ctx, s->keys[i],
			    CHELA_ANY_REV, NULL, NULL) < 0)
				n = 0;	/* another time */
		}
	} while (n > 0);
	send.n_new = 0;
	free(s);
}
