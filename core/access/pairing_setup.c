/* SPDX-License-Identifier: MIT */
/* Setup codes: one device, once, for ten minutes. Only a hash of one is kept. */
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
#include "core/base/uuid.h"
#include "core/json/json.h"
#include "core/store/store.h"

#define KEY_SIZE	(sizeof SETUP_PREFIX + 37)

#define SCOPES_MOBILE	(SCOPE_APPROVALS | SCOPE_QUESTIONS | SCOPE_READ | \
	    SCOPE_TALK_SECRETS | SCOPE_WRITE)

static const struct {
	const char	*name;
	uint32_t	 roles, scopes;
	bool		 is_exact;
} profiles[] = {
	{ "mobile", ROLE_NODE | ROLE_OPERATOR, SCOPES_MOBILE, false },
	{ "mobile-full", ROLE_NODE | ROLE_OPERATOR,
	  SCOPES_MOBILE | SCOPE_ADMIN, false },
	{ "node", ROLE_NODE, 0, false },
	{ "cloud-worker", ROLE_NODE, 0, false },
	{ "voice-node", ROLE_NODE | ROLE_OPERATOR, SCOPE_READ | SCOPE_TALK,
	  false },
	{ "control-ui-owner", ROLE_OPERATOR,
	  SCOPES_MOBILE | SCOPE_ADMIN | SCOPE_PAIRING, true },
};

static int
setup_store(struct pairing *p, const struct setup *s, store_done_fn *done,
    void *arg)
{
	struct buf	 text = BUF_INIT;
	char		 key[KEY_SIZE];
	int		 r;

	if (p->store == NULL)
		return (-ECANCELED);
	(void)snprintf(key, sizeof key, SETUP_PREFIX "%s", s->id);
	r = setup_write(&text, s);
	if (r == 0)
		r = store_put(p->store, PAIRING_NS, key, text.data, text.len,
		    STORE_ANY_REV, done, arg);
	buf_fini(&text);
	return (r);
}

void
setup_drop(struct pairing *p, struct setup *s)
{
	char	 key[KEY_SIZE];

	(void)snprintf(key, sizeof key, SETUP_PREFIX "%s", s->id);
	/* A code that stays on the disk has its end with it. */
	if (p->store != NULL)
		(void)store_del(p->store, PAIRING_NS, key, STORE_ANY_REV, NULL,
		    NULL);
	list_remove(&s->link);
	p->n_setups--;
	free(s);
}

/*
 * Its end is further off than any code's: the clock was set back behind the moment
 * when it was made. It would be good for too long, so it is not good at all.
 */
static bool
is_from_later(const struct setup *s, uint64_t now)
{
	return (s->expires_ms > now + PAIRING_SETUP_MS);
}

void
setup_expire(struct pairing *p)
{
	uint64_t	 now = clock_wall_ms();
	struct list	*l, *tmp;
	struct setup	*s;

	list_each(l, tmp, &p->setups) {
		s = container_of(l, struct setup, link);
		/* Kept as long again, to say what came of it. */
		if (s->expires_ms + PAIRING_SETUP_MS < now ||
		    is_from_later(s, now))
			setup_drop(p, s);
	}
}

void
setup_drop_device(struct pairing *p, const char *device_id)
{
	struct list	*l, *tmp;
	struct setup	*s;

	list_each(l, tmp, &p->setups) {
		s = container_of(l, struct setup, link);
		if (strcmp(s->device_id, device_id) == 0)
			setup_drop(p, s);
	}
}

struct made {
	pairing_done_fn	*done;
	void		*arg;
};

static void
setup_made(void *arg, int r, uint64_t rev)
{
	struct made	*m = arg;

	(void)rev;
	m->done(m->arg, r);
	free(m);
}

int
pairing_setup_new(struct pairing *p, const char *profile,
    char ret_token[TOKEN_SIZE], struct setup **ret, pairing_done_fn *done,
    void *arg)
{
	struct setup	*s;
	struct made	*m;
	size_t		 i;
	int		 r;

	for (i = 0; i < ARRAY_LEN(profiles); i++) {
		if (strcmp(profiles[i].name, profile) == 0)
			break;
	}
	if (i == ARRAY_LEN(profiles))
		return (-EINVAL);
	setup_expire(p);
	if (p->n_setups >= PAIRING_SETUPS_MAX)
		return (-EDQUOT);
	s = calloc(1, sizeof *s);
	m = malloc(sizeof *m);
	if (s == NULL || m == NULL) {
		r = -ENOMEM;
		goto fail;
	}
	*m = (struct made){ done, arg };
	r = secret_random(ret_token);
	if (r < 0 || gnutls_hash_fast(GNUTLS_DIG_SHA256, ret_token,
	    TOKEN_SIZE - 1, s->digest) < 0) {
		r = -EIO;
		goto fail;
	}
	uuid_make(s->id);
	(void)snprintf(s->profile, sizeof s->profile, "%s", profiles[i].name);
	s->roles = profiles[i].roles;
	s->scopes = profiles[i].scopes;
	s->is_exact = profiles[i].is_exact;
	s->expires_ms = clock_wall_ms() + PAIRING_SETUP_MS;
	r = setup_store(p, s, setup_made, m);
	if (r < 0)
		goto fail;
	list_append(&p->setups, &s->link);
	p->n_setups++;
	*ret = s;
	return (0);
fail:
	free(m);
	free(s);
	return (r);
}

struct setup *
pairing_setup_find(struct pairing *p, const char *token, const char *device_id)
{
	unsigned char	 digest[32];
	uint64_t	 now = clock_wall_ms();
	struct list	*l, *tmp;
	struct setup	*s, *found = NULL;

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, token, strlen(token),
	    digest) < 0)
		return (NULL);
	list_each(l, tmp, &p->setups) {
		s = container_of(l, struct setup, link);
		if (gnutls_memcmp(s->digest, digest, sizeof digest) == 0)
			found = s;
	}
	if (found == NULL || found->is_used || found->expires_ms <= now ||
	    is_from_later(found, now) ||
	    (*found->device_id != '\0' &&
	    strcmp(found->device_id, device_id) != 0))
		return (NULL);
	return (found);
}

struct setup *
pairing_setup_get(struct pairing *p, const char *setup_id)
{
	struct list	*l, *tmp;

	list_each(l, tmp, &p->setups) {
		if (strcmp(container_of(l, struct setup, link)->id,
		    setup_id) == 0)
			return (container_of(l, struct setup, link));
	}
	return (NULL);
}

int
pairing_setup_bind(struct pairing *p, struct setup *s, const char *device_id)
{
	if (*s->device_id != '\0')
		return (0);
	(void)snprintf(s->device_id, sizeof s->device_id, "%s", device_id);
	return (setup_store(p, s, NULL, NULL));
}

int
pairing_setup_used(struct pairing *p, struct setup *s, uint32_t role)
{
	s->is_used = true;
	s->used_role = role;
	s->used_ms = clock_wall_ms();
	return (setup_store(p, s, NULL, NULL));
}

void
pairing_setup_end(struct pairing *p, const char *setup_id, bool is_delivered)
{
	struct setup		*s = pairing_setup_get(p, setup_id);
	struct json_object	*o;

	if (s == NULL || !s->is_used || s->is_delivered)
		return;
	s->is_delivered = is_delivered;
	o = json_object_new_object();
	(void)json_add_str(o, "setupId", s->id);
	(void)json_add_str(o, "deviceId", s->device_id);
	(void)json_add_str(o, "role", role_name(s->used_role));
	(void)json_add_int(o, "ts", (int64_t)s->used_ms);
	pairing_emit(p, is_delivered ? PAIRING_SETUP_DONE :
	    PAIRING_SETUP_UNCERTAIN, s->device_id, o);
	/* Not written is not known: what a crash leaves is uncertain, too. */
	if (is_delivered && p->store != NULL)
		(void)setup_store(p, s, NULL, NULL);
}

static int
load_one(void *arg, const char *key, const char *text, size_t len,
    uint64_t rev)
{
	struct pairing	*p = arg;
	struct setup	*s;

	(void)rev;
	if (p->n_setups >= PAIRING_SETUPS_MAX)
		return (0);
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return (-ENOMEM);
	if (setup_read(s, key + strlen(SETUP_PREFIX), text, len) < 0) {
		log_warn("access", "a stored setup code cannot be read (it is "
		    "not good for anything)");
		free(s);
		return (0);
	}
	list_append(&p->setups, &s->link);
	p->n_setups++;
	return (0);
}

int
pairing_load_setups(struct pairing *p)
{
	return (store_each(p->store, PAIRING_NS, SETUP_PREFIX, load_one, p));
}
