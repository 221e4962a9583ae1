/* SPDX-License-Identifier: MIT */
/* deliver: the answer also goes to a channel, by default the last one used. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent_priv.h"

struct find {
	const char			*id;
	const struct chela_channel_1	*channel;
};

static int
find_one(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_channel_1	*c = vtable;
	struct find			*f = arg;

	(void)plugin;
	if (strcmp(c->id, f->id) != 0)
		return (0);
	f->channel = c;
	return (1);
}

static const struct chela_channel_1 *
find_channel(const char *id)
{
	struct find f = { .id = id };

	if (id != NULL)
		(void)agent.host->svc_each(agent.ctx, CHELA_CHANNEL_SERVICE,
		    find_one, &f);
	return (f.channel);
}

/*
 * Completes the route from the session's last one. Without a route a strict run
 * is refused; one that does its best goes on without delivery.
 */
int
deliver_check(struct run *run, const char **ret_why)
{
	const struct chela_channel_1	*c;
	struct json_object		*entry = NULL;
	int				 r = 0;

	(void)agent.sessions->get(run->key, &entry);
	if (run->channel == NULL || strcmp(run->channel, "last") == 0) {
		free(run->channel);
		run->channel = dup_or_null(get_str(entry, "lastChannel"));
	}
	if (run->to == NULL)
		run->to = dup_or_null(get_str(entry, "lastTo"));
	if (run->account_id == NULL)
		run->account_id =
		    dup_or_null(get_str(entry, "lastAccountId"));
	json_object_put(entry);
	c = find_channel(run->channel);
	if (c != NULL && (c->flags & CHELA_CHANNEL_INTERNAL) == 0 &&
	    run->to != NULL)
		return (0);
	if ((run->flags & CHELA_AGENT_BEST_EFFORT) == 0) {
		*ret_why = run->channel == NULL ?
		    "delivery needs a channel: the session has no last one" :
		    c == NULL ? "delivery needs a channel that is loaded" :
		    "delivery needs a channel to people outside and a target";
		r = -EINVAL;
	}
	run->flags &= ~CHELA_AGENT_DELIVER;
	return (r);
}

static void
delivered(const struct chela_channel_result *res, void *arg)
{
	struct run *run = arg;

	if (run->step == STEP_DELIVER) {
		run->delivery = res->status == CHELA_CHANNEL_OK ||
		    res->status == CHELA_CHANNEL_QUEUED ? "sent" : "failed";
		if (strcmp(run->delivery, "failed") == 0)
			agent.host->log(agent.ctx, CHELA_LOG_WARNING,
			    "answer: not delivered to channel '%s'",
			    run->channel);
		run_end(run);
	}
	run_unref(run);
}

void
deliver_answer(struct run *run)
{
	const struct chela_channel_1	*c = find_channel(run->channel);
	struct chela_channel_message	 msg = { .struct_size = sizeof msg };
	int				 r = -ENOENT;

	if (run->text.len == 0 || strcmp(run->text.s, SILENT) == 0) {
		run->delivery = "suppressed";
		run_end(run);
		return;
	}
	msg.flags = CHELA_SEND_REPLY;
	msg.account_id = run->account_id;
	msg.to = run->to;
	msg.text = run->text.s;
	msg.thread_id = run->thread_id;
	msg.key = run->id;
	msg.agent_id = run->agent;
	run->refs++;
	if (c != NULL)
		r = c->send(&msg, delivered, run);
	if (r >= 0)
		return;
	run->delivery = "failed";
	run_end(run);
	run_unref(run);
}
