/* SPDX-License-Identifier: MIT */
/*
 * Small things: configuration, the channels that are there, what is known of
 * them.
 */
#include "channels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
put_str(struct json_object *obj, const char *key, const char *val)
{
	(void)json_object_object_add(obj, key, json_object_new_string(val));
}

void
put_int(struct json_object *obj, const char *key, uint64_t val)
{
	(void)json_object_object_add(obj, key,
	    json_object_new_int64((int64_t)val));
}

void
put_bool(struct json_object *obj, const char *key, int val)
{
	(void)json_object_object_add(obj, key, json_object_new_boolean(val));
}

static int
first_service(const char *plugin, const void *vtable, void *arg)
{
	const void	**ret = arg;

	(void)plugin;
	*ret = vtable;
	return (1);
}

/*
 * Those who send through a channel are asked here: a dependency would be a
 * ring.
 */
const void *
service(const char *name)
{
	const void	*vtable = NULL;

	(void)channels.host->svc_each(channels.ctx, name, first_service,
	    &vtable);
	return (vtable);
}

struct gather {
	const struct chela_channel_1	**list;
	uint32_t			  n;
	uint32_t			  max;
};

static int
gather_one(const char *plugin, const void *vtable, void *arg)
{
	struct gather	*g = arg;

	(void)plugin;
	if (g->n < g->max)
		g->list[g->n++] = vtable;
	return (0);
}

static int
channel_cmp(const void *a, const void *b)
{
	const struct chela_channel_1 *const	*x = a;
	const struct chela_channel_1 *const	*y = b;

	return (strcmp((*x)->id, (*y)->id));
}

uint32_t
channels_get(const struct chela_channel_1 **ret, uint32_t max)
{
	struct gather	g = { ret, 0, max };

	(void)channels.host->svc_each(channels.ctx, CHELA_CHANNEL_SERVICE,
	    gather_one, &g);
	if (g.n > 1)
		qsort(ret, g.n, sizeof ret[0], channel_cmp);
	return (g.n);
}

/*
 * NULL: the only configured one; those for own clients when there is no other.
 */
int
channel_find(const char *name, const struct chela_channel_1 **ret)
{
	const struct chela_channel_1	*all[CHANNELS_MAX];
	const struct chela_channel_1	*outside = NULL, *inside = NULL;
	uint32_t			 i, n = channels_get(all, CHANNELS_MAX);
	uint32_t			 n_outside = 0, n_inside = 0;

	for (i = 0; i < n; i++) {
		if (name != NULL) {
			if (strcasecmp(all[i]->id, name) != 0)
				continue;
			*ret = all[i];
			return (0);
		}
		if (!all[i]->configured())
			continue;
		if ((all[i]->flags & CHELA_CHANNEL_INTERNAL) != 0) {
			inside = all[i];
			n_inside++;
		} else {
			outside = all[i];
			n_outside++;
		}
	}
	if (name != NULL)
		return (-ENOENT);
	if (n_outside > 1 || (n_outside == 0 && n_inside > 1))
		return (-ENOTUNIQ);
	if (n_outside == 0 && n_inside == 0)
		return (-ENODATA);
	*ret = n_outside == 1 ? outside : inside;
	return (0);
}

struct json_object *
channel_conf(const char *channel)
{
	return (get_any(channels.host->conf_path(channels.ctx, "channels"),
	    channel));
}

struct json_object *
account_conf(const char *channel, const char *account_id, const char *key)
{
	struct json_object	*conf = channel_conf(channel), *own;

	own = get_any(get_any(get_any(conf, "accounts"), account_id), key);
	return (own != NULL ? own : get_any(conf, key));
}

/* Made at the first use; NULL when too many are remembered. */
struct account *
account_get(const char *channel, const char *account_id)
{
	struct account	*a;
	uint32_t	 i;

	for (i = 0; i < channels.n_accounts; i++) {
		a = channels.accounts[i];
		if (strcmp(a->channel, channel) == 0 &&
		    strcmp(a->id, account_id) == 0)
			return (a);
	}
	if (channels.n_accounts == ACCOUNTS_MAX || strlen(channel) > ID_MAX ||
	    strlen(account_id) > ID_MAX)
		return (NULL);
	a = calloc(1, sizeof *a);
	if (a == NULL)
		return (NULL);
	(void)snprintf(a->channel, sizeof a->channel, "%s", channel);
	(void)snprintf(a->id, sizeof a->id, "%s", account_id);
	channels.accounts[channels.n_accounts++] = a;
	return (a);
}

struct json_object *
account_snapshot(const struct chela_channel_1 *ch, const char *account_id)
{
	struct json_object	*list = NULL, *row = NULL;
	const char		*id;
	size_t			 i;

	if (ch->accounts(&list) < 0)
		return (NULL);
	for (i = 0; i < json_object_array_length(list); i++) {
		row = json_object_array_get_idx(list, i);
		id = get_text(row, "accountId");
		if (id != NULL && strcmp(id, account_id) == 0) {
			(void)json_object_get(row);
			json_object_put(list);
			return (row);
		}
	}
	json_object_put(list);
	return (NULL);
}

int
account_running(const struct chela_channel_1 *ch, const char *account_id)
{
	struct json_object	*row = account_snapshot(ch, account_id);
	int			 running;

	running = json_object_get_boolean(get_any(row, "running"));
	json_object_put(row);
	return (running);
}
