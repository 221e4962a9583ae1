/* SPDX-License-Identifier: MIT */
/* The pairing store as a whole: opening, its timer, closing. */
#include "core/access/pairing.h"

#include <errno.h>
#include <stdlib.h>

#include "core/access/budget.h"
#include "core/access/pairing_priv.h"
#include "core/base/loop.h"

#define ASK_KEYS_MAX	4096	/* sources whose requests are counted */

static void
pairing_tick(void *arg)
{
	struct pairing	*p = arg;

	pairing_expire(p);
	setup_expire(p);
	pairing_write_again(p);
	pairing_write_seen(p);
}

int
pairing_open(struct loop *l, struct store *s, struct pairing **ret)
{
	struct pairing	*p;
	int		 r = -ENOMEM;

	p = calloc(1, sizeof *p);
	if (p == NULL)
		return (-ENOMEM);
	p->loop = l;
	p->store = s;
	list_init(&p->order);
	list_init(&p->waiting);
	list_init(&p->setups);
	list_init(&p->redos);
	p->devices = map_new();
	p->pendings = map_new();
	p->by_device = map_new();
	p->asked = budget_new(PAIRING_NEW_MAX, SEC_US(60), ASK_KEYS_MAX);
	p->timer = loop_timer_new(l, pairing_tick, p);
	if (p->devices != NULL && p->pendings != NULL &&
	    p->by_device != NULL && p->asked != NULL && p->timer != NULL)
		r = pairing_load_devices(p);
	if (r == 0)
		r = pairing_load_setups(p);
	if (r < 0) {
		p->store = NULL;
		pairing_free(p);
		return (r);
	}
	*ret = p;
	return (0);
}

struct pairing *
pairing_close(struct pairing *p)
{
	if (p == NULL)
		return (NULL);
	pairing_write_again(p);
	pairing_write_seen(p);
	p->store = NULL;
	p->on_event = NULL;
	return (p);
}

void
pairing_free(struct pairing *p)
{
	struct redo		*e;
	struct pending		*q;
	struct device		*d;
	struct setup		*s;

	if (p == NULL)
		return;
	p->store = NULL;
	while ((q = list_first(&p->waiting, struct pending, link)) != NULL)
		pending_drop(p, q);
	while ((s = list_first(&p->setups, struct setup, link)) != NULL)
		setup_drop(p, s);
	while ((d = list_first(&p->order, struct device, link)) != NULL) {
		list_remove(&d->link);
		device_fini(d);
		free(d);
	}
	while ((e = list_first(&p->redos, struct redo, link)) != NULL) {
		list_remove(&e->link);
		free(e);
	}
	(void)map_free(p->devices);
	(void)map_free(p->pendings);
	(void)map_free(p->by_device);
	(void)budget_free(p->asked);
	(void)loop_timer_free(p->timer);
	free(p);
}

void
pairing_on_event(struct pairing *p, pairing_event_fn *fn, void *arg)
{
	p->on_event = fn;
	p->event_arg = arg;
}
