/* SPDX-License-Identifier: MIT */
/* Records of paired devices: their tokens, and how they are written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <json-c/json.h>

#include "core/access/pairing_priv.h"
#include "core/access/scope.h"
#include "core/access/secret.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/base/utf8.h"
#include "core/json/json.h"
#include "core/store/store.h"

#define REDO_US		SEC_US(5)	/* until a failed write is tried again */
#define SEEN_US		SEC_US(60)	/* until "last seen" is written */
#define KEY_SIZE	(sizeof DEVICE_PREFIX + DEVICE_ID_SIZE)

/* A write under way. */
struct write {
	struct pairing	*p;
	pairing_done_fn	*done;
	void		*arg;
	/* What is given is undone when it cannot be stored; what is taken away
	 * stays so and is written again. */
	bool		 is_taking;
	char		 id[DEVICE_ID_SIZE];
};

void
about_free(struct device_about *a)
{
	/* All are in the allocation that begins with the first. */
	free((void *)(uintptr_t)a->display_name);
	memset(a, 0, sizeof *a);
}

int
about_copy(struct device_about *to, const struct device_about *from)
{
	const char *const from_texts[] = { from->display_name, from->platform,
	    from->device_family, from->client_id, from->client_mode,
	    from->origin, from->remote };
	const char	**to_texts[] = { &to->display_name, &to->platform,
	    &to->device_family, &to->client_id, &to->client_mode, &to->origin,
	    &to->remote };
	size_t		 lens[ARRAY_LEN(from_texts)], i, size = 0;
	char		*pos;

	for (i = 0; i < ARRAY_LEN(from_texts); i++) {
		lens[i] = from_texts[i] == NULL ? 0 : utf8_cut(from_texts[i],
		    strlen(from_texts[i]), PAIRING_TEXT_MAX);
		size += lens[i] + 1;
	}
	pos = malloc(size);
	if (pos == NULL)
		return (-ENOMEM);
	for (i = 0; i < ARRAY_LEN(from_texts); i++) {
		if (lens[i] > 0)
			memcpy(pos, from_texts[i], lens[i]);
		pos[lens[i]] = '\0';
		*to_texts[i] = pos;
		pos += lens[i] + 1;
	}
	return (0);
}

void
device_fini(struct device *d)
{
	unsigned	 i;

	for (i = 0; i < TOKEN_COUNT; i++) {
		if (d->tokens[i] != NULL)
			secret_wipe(d->tokens[i], sizeof *d->tokens[i]);
		free(d->tokens[i]);
	}
	about_free(&d->about);
	free(d->label);
	json_object_put(d->surface);
	json_object_put(d->pending_surface);
}

void
pairing_emit(struct pairing *p, unsigned what, const char *device_id,
    struct json_object *data)
{
	if (p->on_event != NULL && data != NULL)
		p->on_event(p->event_arg, what, device_id, data);
	json_object_put(data);
}

static void
emit_changed(struct pairing *p, const char *id, const char *reason)
{
	struct json_object	*o = json_object_new_object();

	(void)json_add_str(o, "deviceId", id);
	(void)json_add_str(o, "reason", reason);
	(void)json_add_int(o, "ts", (int64_t)clock_wall_ms());
	pairing_emit(p, PAIRING_CHANGED, id, o);
}

struct device *
pairing_get(struct pairing *p, const char *device_id)
{
	return (map_getz(p->devices, device_id));
}

size_t
pairing_len(const struct pairing *p)
{
	return (map_len(p->devices));
}

static struct device *
device_add(struct pairing *p, const char *id)
{
	struct device	*d;

	if (map_len(p->devices) >= PAIRING_DEVICES_MAX)
		return (NULL);
	d = calloc(1, sizeof *d);
	if (d == NULL)
		return (NULL);
	list_init(&d->link);
	(void)snprintf(d->id, sizeof d->id, "%s", id);
	if (map_putz(p->devices, id, d) < 0) {
		free(d);
		return (NULL);
	}
	list_append(&p->order, &d->link);
	d->generation = ++p->generation;
	return (d);
}

static void
device_drop(struct pairing *p, struct device *d)
{
	(void)map_delz(p->devices, d->id);
	list_remove(&d->link);
	device_fini(d);
	free(d);
}

static void
device_key(char key[KEY_SIZE], const char *id)
{
	(void)snprintf(key, KEY_SIZE, DEVICE_PREFIX "%s", id);
}

/* The record as the disk has it, which is what counts now. */
static void
device_restore(struct pairing *p, const char *id)
{
	struct device	*d = pairing_get(p, id);
	struct device	 old;
	struct buf	 why = BUF_INIT;
	char		 key[KEY_SIZE];
	const char	*text;
	size_t		 len;

	if (d == NULL || p->store == NULL)
		return;
	device_key(key, id);
	if (store_get(p->store, PAIRING_NS, key, &text, &len, NULL) < 0) {
		device_drop(p, d);
		return;
	}
	old = *d;
	memset(d, 0, sizeof *d);
	/* The places in list and map stay. */
	d->link = old.link;
	d->n_open = old.n_open;
	d->generation = ++p->generation;
	memcpy(d->id, old.id, sizeof d->id);
	if (device_read(d, id, text, len, &why) < 0)
		device_drop(p, d);
	device_fini(&old);
	buf_fini(&why);
}

static void
redo_add(struct pairing *p, const char *id)
{
	struct redo	*e;

	e = malloc(sizeof *e);
	if (e == NULL)
		return;
	memcpy(e->id, id, sizeof e->id);
	list_append(&p->redos, &e->link);
	(void)loop_timer_set(p->timer, REDO_US);
}

static void
write_done(void *arg, int r, uint64_t rev)
{
	struct write	*w = arg;

	(void)rev;
	/* A record that was never stored is as gone as one can be. */
	if (r == -ENOENT && w->is_taking)
		r = 0;
	if (r < 0 && w->is_taking)
		redo_add(w->p, w->id);
	else if (r < 0)
		device_restore(w->p, w->id);
	if (w->done != NULL)
		w->done(w->arg, r);
	free(w);
}

/* d NULL: the record of id goes. */
static int
write_start(struct pairing *p, const struct device *d, const char *id,
    bool is_taking, pairing_done_fn *done, void *arg)
{
	struct buf	 text = BUF_INIT;
	struct write	*w;
	char		 key[KEY_SIZE];
	int		 r;

	if (p->store == NULL)
		return (-ECANCELED);
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return (-ENOMEM);
	*w = (struct write){ .p = p, .done = done, .arg = arg,
	    .is_taking = is_taking };
	(void)snprintf(w->id, sizeof w->id, "%s", id);
	device_key(key, id);
	if (d == NULL)
		r = store_del(p->store, PAIRING_NS, key, STORE_ANY_REV,
		    write_done, w);
	else {
		r = device_write(&text, d);
		if (r == 0)
			r = store_put(p->store, PAIRING_NS, key, text.data,
			    text.len, STORE_ANY_REV, write_done, w);
		if (text.data != NULL)
			secret_wipe(text.data, text.len);
	}
	buf_fini(&text);
	if (r < 0)
		free(w);
	return (r);
}

/* Stores what was given; on failure the record is as before. */
static int
device_give(struct pairing *p, struct device *d, pairing_done_fn *done,
    void *arg)
{
	int	 r;

	d->generation = ++p->generation;
	d->is_seen_dirty = false;
	r = write_start(p, d, d->id, false, done, arg);
	if (r < 0)
		device_restore(p, d->id);
	return (r);
}

/* Stores what was taken away; it is in force whether that works or not. */
static int
device_take(struct pairing *p, struct device *d, const char *id,
    pairing_done_fn *done, void *arg)
{
	int	 r;

	if (d != NULL)
		d->generation = ++p->generation;
	r = write_start(p, d, id, true, done, arg);
	if (r < 0)
		redo_add(p, id);
	return (r);
}

void
pairing_write_again(struct pairing *p)
{
	struct list	*l, *tmp, again;
	struct redo	*e;

	list_init(&again);
	while ((e = list_first(&p->redos, struct redo, link)) != NULL) {
		list_remove(&e->link);
		list_append(&again, &e->link);
	}
	list_each(l, tmp, &again) {
		e = container_of(l, struct redo, link);
		list_remove(&e->link);
		if (p->store != NULL)
			(void)device_take(p, pairing_get(p, e->id), e->id, NULL,
			    NULL);
		free(e);
	}
}

static unsigned
token_slot(uint32_t role)
{
	return (role == ROLE_NODE ? TOKEN_NODE : TOKEN_OPERATOR);
}

struct token *
device_token(const struct device *d, uint32_t role)
{
	return (d->tokens[token_slot(role)]);
}

bool
token_is(const struct token *t, const char *text)
{
	unsigned char	 digest[32];
	size_t		 len = strlen(text);

	if (len > SECRET_MAX ||
	    gnutls_hash_fast(GNUTLS_DIG_SHA256, text, len, digest) < 0)
		return (false);
	return (gnutls_memcmp(digest, t->digest, sizeof digest) == 0);
}

struct device *
pairing_by_token(struct pairing *p, uint32_t role, const char *text)
{
	unsigned char	 digest[32];
	struct list	*l, *tmp;
	struct device	*d, *found = NULL;
	struct token	*t;
	size_t		 len = strlen(text);

	/* Hashed once: what is compared says nothing about the token. */
	if (len != TOKEN_SIZE - 1 ||
	    gnutls_hash_fast(GNUTLS_DIG_SHA256, text, len, digest) < 0)
		return (NULL);
	list_each(l, tmp, &p->order) {
		d = container_of(l, struct device, link);
		t = (d->roles & role) == 0 ? NULL : device_token(d, role);
		if (t != NULL && t->revoked_ms == 0 &&
		    gnutls_memcmp(digest, t->digest, sizeof digest) == 0)
			found = d;
	}
	return (found);
}

static int
token_make(struct device *d, uint32_t role, uint32_t scopes,
    const char *issuer, bool is_rotation)
{
	struct token	**slot = &d->tokens[token_slot(role)];
	struct token	*t, *old = *slot;
	uint64_t	 now = clock_wall_ms();

	t = calloc(1, sizeof *t);
	if (t == NULL)
		return (-ENOMEM);
	if (secret_random(t->text) < 0 || gnutls_hash_fast(GNUTLS_DIG_SHA256,
	    t->text, TOKEN_SIZE - 1, t->digest) < 0) {
		free(t);
		return (-EIO);
	}
	t->scopes = scopes;
	t->created_ms = old != NULL && is_rotation ? old->created_ms : now;
	t->rotated_ms = old != NULL && is_rotation ? now : 0;
	(void)snprintf(t->issuer, sizeof t->issuer, "%s",
	    issuer != NULL ? issuer : "");
	if (old != NULL)
		secret_wipe(old, sizeof *old);
	free(old);
	*slot = t;
	return (0);
}

int
pairing_mint(struct pairing *p, struct device *d, uint32_t role,
    uint32_t scopes, const char *issuer, bool is_rotation,
    pairing_done_fn *done, void *arg)
{
	char	 id[DEVICE_ID_SIZE];
	int	 r;

	if ((d->roles & role) == 0 ||
	    !scope_covers(scope_closure(d->scopes), scopes))
		return (-EACCES);
	memcpy(id, d->id, sizeof id);
	r = token_make(d, role, scopes, issuer, is_rotation);
	if (r == 0)
		r = device_give(p, d, done, arg);
	if (r == 0 && is_rotation)
		emit_changed(p, id, "token-rotated");
	return (r);
}

int
pairing_revoke(struct pairing *p, struct device *d, uint32_t role,
    pairing_done_fn *done, void *arg)
{
	struct token	*t = device_token(d, role);
	int		 r;

	if (t == NULL)
		return (-ENOENT);
	if (t->revoked_ms == 0)
		t->revoked_ms = clock_wall_ms();
	r = device_take(p, d, d->id, done, arg);
	emit_changed(p, d->id, "token-revoked");
	return (r);
}

int
pairing_grant(struct pairing *p, const struct pairing_ask *ask,
    const char *via, pairing_done_fn *done, void *arg, struct device **ret)
{
	struct device		*d = pairing_get(p, ask->device_id);
	struct device_about	 about;
	struct token		*t;
	uint64_t		 now = clock_wall_ms();
	/* Scopes are for operators; a node has what its surface has. */
	uint32_t		 scopes = ask->role == ROLE_NODE ? 0 :
				    ask->scopes;
	int			 r;

	*ret = NULL;
	if (about_copy(&about, &ask->about) < 0)
		return (-ENOMEM);
	if (d == NULL) {
		d = device_add(p, ask->device_id);
		if (d == NULL) {
			about_free(&about);
			return (map_len(p->devices) >= PAIRING_DEVICES_MAX ?
			    -EDQUOT : -ENOMEM);
		}
		d->created_ms = now;
	}
	memcpy(d->key, ask->key, sizeof d->key);
	about_free(&d->about);
	d->about = about;
	d->roles |= ask->role;
	d->scopes |= scopes;
	d->approved_ms = now;
	(void)snprintf(d->via, sizeof d->via, "%s", via);
	list_remove(&d->link);
	list_append(&p->order, &d->link);
	t = device_token(d, ask->role);
	/*
	 * A token that is out there is widened: to replace it would lock out a
	 * device that has nothing else to show.
	 */
	r = 0;
	if (t != NULL && t->revoked_ms == 0)
		t->scopes |= scopes;
	else
		r = token_make(d, ask->role, scopes, ask->issuer,
		    t != NULL);
	if (r == 0)
		r = device_give(p, d, done, arg);
	else
		device_restore(p, ask->device_id);
	d = pairing_get(p, ask->device_id);
	if (r == 0 && d != NULL) {
		*ret = d;
		emit_changed(p, d->id, "approved");
	}
	return (r);
}

int
pairing_remove(struct pairing *p, struct device *d, pairing_done_fn *done,
    void *arg)
{
	char	 id[DEVICE_ID_SIZE];
	int	 r;

	memcpy(id, d->id, sizeof id);
	p->generation++;
	device_drop(p, d);
	setup_drop_device(p, id);
	r = device_take(p, NULL, id, done, arg);
	emit_changed(p, id, "removed");
	return (r);
}

int
pairing_rename(struct pairing *p, struct device *d, const char *label,
    pairing_done_fn *done, void *arg)
{
	char	*copy = *label != '\0' ? strdup(label) : NULL;

	if (copy == NULL && *label != '\0')
		return (-ENOMEM);
	free(d->label);
	d->label = copy;
	return (write_start(p, d, d->id, false, done, arg));
}

int
pairing_surface(struct pairing *p, struct device *d,
    struct json_object *approved, struct json_object *pending,
    pairing_done_fn *done, void *arg)
{
	struct buf	 size = BUF_INIT;
	bool		 is_large;

	(void)json_write(&size, approved);
	(void)json_write(&size, pending);
	is_large = size.is_failed || size.len > PAIRING_SURFACE_MAX;
	buf_fini(&size);
	if (is_large) {
		json_object_put(approved);
		json_object_put(pending);
		return (-EMSGSIZE);
	}
	json_object_put(d->surface);
	json_object_put(d->pending_surface);
	d->surface = approved;
	d->pending_surface = pending;
	return (write_start(p, d, d->id, false, done, arg));
}

static bool
is_twin(const struct device *a, const struct device *b)
{
	return (strcmp(a->about.client_id, b->about.client_id) == 0 &&
	    strcmp(a->about.client_mode, b->about.client_mode) == 0 &&
	    strcmp(a->about.display_name, b->about.display_name) == 0);
}

void
pairing_prune(struct pairing *p, const struct device *keep)
{
	struct list	*l, *tmp;
	struct device	*d;
	uint64_t	 now = clock_wall_ms();

	list_each(l, tmp, &p->order) {
		d = container_of(l, struct device, link);
		if (d == keep || d->n_open > 0 || strcmp(d->via, "silent") != 0 ||
		    d->approved_ms + PAIRING_PRUNE_MS >= now ||
		    !is_twin(d, keep))
			continue;
		(void)pairing_remove(p, d, NULL, NULL);
	}
}

void
pairing_seen(struct pairing *p, struct device *d, struct token *t)
{
	d->seen_ms = clock_wall_ms();
	if (t != NULL)
		t->last_used_ms = d->seen_ms;
	if (d->is_seen_dirty)
		return;
	d->is_seen_dirty = true;
	if (list_is_empty(&p->redos))
		(void)loop_timer_set(p->timer, SEEN_US);
}

void
pairing_write_seen(struct pairing *p)
{
	struct list	*l, *tmp;
	struct device	*d;

	list_each(l, tmp, &p->order) {
		d = container_of(l, struct device, link);
		if (!d->is_seen_dirty)
			continue;
		/* What does not fit the store's queue is written next time. */
		if (write_start(p, d, d->id, true, NULL, NULL) < 0) {
			(void)loop_timer_set(p->timer, REDO_US);
			break;
		}
		d->is_seen_dirty = false;
	}
}

static int
load_one(void *arg, const char *key, const char *text, size_t len,
    uint64_t rev)
{
	struct pairing	*p = arg;
	const char	*id = key + strlen(DEVICE_PREFIX);
	struct device	*d;
	struct buf	 why = BUF_INIT;

	(void)rev;
	if (strlen(id) != DEVICE_ID_SIZE - 1) {
		log_warn("access", "device record '%s': not the id of a device "
		    "(it has no authority)", log_quote(id, strlen(id)));
		return (0);
	}
	d = device_add(p, id);
	if (d == NULL)
		return (-ENOMEM);
	if (device_read(d, id, text, len, &why) < 0) {
		(void)buf_putc(&why, '\0');
		log_warn("access", "device record '%s': %s (it has no "
		    "authority)", id, why.data != NULL ? why.data : "");
		device_drop(p, d);
	}
	buf_fini(&why);
	return (0);
}

static int
by_approval(const void *a, const void *b)
{
	const struct device	*x = *(struct device *const *)a;
	const struct device	*y = *(struct device *const *)b;

	return (x->approved_ms < y->approved_ms ? -1 :
	    x->approved_ms > y->approved_ms);
}

int
pairing_load_devices(struct pairing *p)
{
	struct device	**all;
	size_t		 i, n;
	int		 r;

	r = store_each(p->store, PAIRING_NS, DEVICE_PREFIX, load_one, p);
	n = map_len(p->devices);
	if (r < 0 || n == 0)
		return (r);
	all = calloc(n, sizeof *all);
	if (all == NULL)
		return (-ENOMEM);
	for (i = 0; i < n; i++) {
		all[i] = list_first(&p->order, struct device, link);
		list_remove(&all[i]->link);
	}
	qsort(all, n, sizeof *all, by_approval);
	for (i = 0; i < n; i++)
		list_append(&p->order, &all[i]->link);
	free(all);
	return (0);
}
