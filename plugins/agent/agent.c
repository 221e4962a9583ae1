/* SPDX-License-Identifier: MIT */
/*
 * Plugin agent: runs. A message becomes a call of a model, the answer a row of
 * the session, and what happens on the way is told to clients and to other
 * plugins. No tools are offered to the model in this release.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent_priv.h"

struct agent agent;

static int
svc_state(const char *run_id, struct chela_agent_run *ret_run)
{
	struct run *run = run_find(run_id);

	if (run == NULL)
		return (-ENOENT);
	run_describe(run, ret_run);
	return (0);
}

static int
svc_watch(const struct chela_agent_watcher *watcher, void *arg)
{
	if (agent.n_watches >= WATCHERS_MAX)
		return (-ENOSPC);
	agent.watches[agent.n_watches].watcher = watcher;
	agent.watches[agent.n_watches++].arg = arg;
	return (0);
}

static void
svc_unwatch(const struct chela_agent_watcher *watcher, void *arg)
{
	uint32_t i;

	for (i = 0; i < agent.n_watches; i++) {
		if (agent.watches[i].watcher != watcher ||
		    agent.watches[i].arg != arg)
			continue;
		agent.watches[i] = agent.watches[--agent.n_watches];
		return;
	}
}

const struct chela_agent_1 agent_service = {
	.struct_size = sizeof agent_service,
	.start = queue_start,
	.abort = queue_abort,
	.abort_session = queue_abort_session,
	.state = svc_state,
	.each = queue_each,
	.watch = svc_watch,
	.unwatch = svc_unwatch,
	.attachments = input_attachments,
	.send_policy = input_policy,
};

static void
swept(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	queue_sweep();
	(void)agent.host->timer_set(agent.sweep, SWEEP_US);
}

static int
agent_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&agent, 0, sizeof agent);
	agent.ctx = ctx;
	agent.host = host;
	return (host->svc_export(ctx, CHELA_AGENT_SERVICE, &agent_service));
}

static int
agent_start(struct chela_ctx *ctx)
{
	agent.sessions = agent.host->svc_import(ctx, CHELA_SESSIONS_SERVICE);
	if (agent.sessions == NULL)
		return (-ENOENT);
	agent.sweep = agent.host->timer_new(ctx, swept, NULL);
	if (agent.sweep == NULL)
		return (-ENOMEM);
	return (agent.host->timer_set(agent.sweep, SWEEP_US));
}

/*
 * The daemon is going: everybody is told that the runs end, what they said so
 * far is stored, and no callback of a model counts any more.
 */
static void
agent_stop(struct chela_ctx *ctx)
{
	struct run *run;

	(void)ctx;
	agent.is_stopping = true;
	run = agent.first;
	while (run != NULL) {
		if (run->step >= STEP_STORE) {
			run = run->next;	/* its answer is on its way */
			continue;
		}
		run->refs++;
		if (run->abort_reason == NULL)
			run_abort(run, "restart");
		if (run->step < STEP_STORE)
			run_settle(run);
		run_unref(run);
		run = agent.first;	/* the end of one may end others */
	}
}

static void
agent_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	waiters_free();
	queue_free();
}

static const struct chela_method methods[] = {
	{
		.name = "agent",
		.handler = agent_call,
		.roles = CHELA_ROLE_OPERATOR,
		.flags = CHELA_METHOD_IDEMPOTENT,
		.scope = "write",
		.dynamic_scope = agent_call_scope,
	},
	{
		.name = "agent.wait",
		.handler = agent_wait,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "write",
	},
	{
		.name = "agent.identity.get",
		.handler = agent_identity,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
};

static const struct chela_event events[] = {
	{
		.name = "agent",
		.scope = "read",
		.roles = CHELA_ROLE_OPERATOR | CHELA_ROLE_NODE,
		.flags = CHELA_EVENT_SCOPED,
	},
};

static const struct chela_dep deps[] = {
	{ .name = "sessions" },
};

CHELA_PLUGIN = {
	CHELA_HEAD("agent"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Runs: one turn of a model in a session",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	CHELA_DEPS(deps),
	.init = agent_init,
	.start = agent_start,
	.stop = agent_stop,
	.fini = agent_fini,
};
