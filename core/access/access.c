/* SPDX-License-Identifier: MIT */
#include "core/access/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/access/device.h"
#include "core/base/loop.h"

static const struct limit_rules default_rules = {
	.max = 10,
	.window_us = SEC_US(60),
	.lockout_us = SEC_US(300),
	.keys_max = LIMIT_KEYS_MAX,
};

struct access *
access_new(struct loop *l)
{
	struct limit_rules	 slow = default_rules;
	struct access		*a;

	a = calloc(1, sizeof *a);
	if (a == NULL)
		return (NULL);
	a->loop = l;
	a->is_auto_local = true;
	a->is_loopback_exempt = true;
	list_init(&a->delayed);
	/* Never locked out: what counts is how slowly it is answered. */
	slow.max = UINT32_MAX;
	a->failed = limit_new(&default_rules);
	a->pages = limit_new(&default_rules);
	a->local = limit_new(&slow);
	if (a->failed == NULL || a->pages == NULL || a->local == NULL)
		return (access_free(a));
	return (a);
}

void
access_stop(struct access *a)
{
	if (a != NULL)
		(void)pairing_close(a->pairing);
}

void
access_clear_rules(struct access *a)
{
	size_t	 i;

	for (i = 0; i < a->n_identities; i++)
		free(a->identities[i].name);
	free(a->identities);
	a->identities = NULL;
	a->n_identities = 0;
	proxy_users_fini(&a->users);
	memset(&a->proxies, 0, sizeof a->proxies);
	memset(&a->auto_nets, 0, sizeof a->auto_nets);
	a->has_tailscale = false;
	a->has_proxy_enrol = false;
	a->is_auto_local = true;
}

struct access *
access_free(struct access *a)
{
	if (a == NULL)
		return (NULL);
	access_clear_rules(a);
	pairing_free(a->pairing);
	(void)whois_free(a->whois);
	(void)identity_free(a->identity);
	(void)limit_free(a->failed);
	(void)limit_free(a->local);
	(void)limit_free(a->pages);
	(void)loop_timer_free(a->delay_timer);
	secret_clear(&a->auth.token);
	secret_clear(&a->auth.password);
	free(a);
	return (NULL);
}

int
access_open(struct access *a, struct store *s, const char *state_dir,
    struct buf *why)
{
	int	 r;

	r = identity_load(state_dir, &a->identity, why);
	if (r == 0)
		r = pairing_open(a->loop, s, &a->pairing);
	if (r < 0 && why != NULL && why->len == 0)
		(void)buf_printf(why, "the records of devices: %s",
		    strerror(-r));
	return (r);
}

void
access_set_limits(struct access *a, const struct limit_rules *rules,
    bool is_loopback_exempt)
{
	struct limit_rules	 slow = *rules;

	slow.max = UINT32_MAX;
	limit_set(a->failed, rules);
	limit_set(a->pages, rules);
	limit_set(a->local, &slow);
	a->is_loopback_exempt = is_loopback_exempt;
}
