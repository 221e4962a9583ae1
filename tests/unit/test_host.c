/* SPDX-License-Identifier: MIT */
/*
 * core/plugin: requests, timers and looks at the plugins, when what they belong to
 * goes first. The plugin is a table in this file; its client a socket pair.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

#include "core/access/access.h"
#include "core/access/scope.h"
#include "core/base/clock.h"
#include "core/json/schema.h"
#include "core/net/net_priv.h"
#include "core/plugin/host_priv.h"
#include "core/protocol/proto_priv.h"
#include "core/state/state.h"
#include "tests/unit/cu.h"

#define CLIENTS	4
#define KEPT	8
#define ROUNDS	1000	/* of the loop, for what should come at once */

static struct loop	*loop;
static struct net	*net;
static struct proto	*proto;
static struct state	*state;
static struct host	*host;
static struct chela_ctx	*plug;
static struct access	 access_rules;
static struct conn	*conns[CLIENTS];
static struct peer	*peers[CLIENTS];
static int		 fds[CLIENTS];
static char		 dir[] = "/nonexistent";

static struct chela_req	*kept[KEPT];
static unsigned		 n_kept, n_run, n_cancelled;
static void		(*on_cancel)(struct chela_req *req, void *arg);

static int
keep(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	(void)params;
	n_run++;
	if (n_kept == KEPT)
		return (-ENOSPC);
	kept[n_kept++] = ctx->host->table.req_ref(req);
	ctx->host->table.req_on_cancel(req, on_cancel, ctx);
	return (0);
}

static void
count(struct chela_req *req, void *arg)
{
	(void)req;
	(void)arg;
	n_cancelled++;
}

/* As one who gives up all that it does when one client goes. */
static void
drop_all(struct chela_req *req, void *arg)
{
	struct chela_ctx	*ctx = arg;
	struct chela_req	*r;

	(void)req;
	n_cancelled++;
	while (n_kept > 0) {
		r = kept[--n_kept];
		(void)ctx->host->table.req_fail(r, "UNAVAILABLE", "given up");
		ctx->host->table.req_unref(r);
	}
}

static const struct chela_method methods[] = {
	{ .name = "t.keep", .handler = keep, .roles = CHELA_ROLE_OPERATOR },
};

static const struct chela_plugin desc = {
	.name = "t",
	.methods = methods,
	.n_methods = 1,
	.method_size = sizeof methods[0],
};

static void
on_peer_closed(void *arg, struct peer *p)
{
	(void)arg;
	host_on_close(host, p);
	state_peer_closed(state, p);
}

static void
open_client(unsigned i)
{
	int	 pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0 ||
	    conn_open(net, pair[0], "192.0.2.1", false, false, NULL) < 0)
		abort();
	fds[i] = pair[1];
	conns[i] = container_of(net->fresh.prev, struct conn, link);
	conns[i]->state = CONN_OPEN;
	conns[i]->is_opened = true;
	conn_authenticated(conns[i]);
	peers[i] = peer_new(proto, conns[i]);
	conn_set_user(conns[i], peers[i]);
	peers[i]->dialect = &dialect_native;
	peers[i]->role = ROLE_OPERATOR;
	peers[i]->closure = scope_closure(SCOPE_ADMIN);
	peers[i]->state = PEER_OPEN;
	list_append(&proto->peers, &peers[i]->link);
	proto->n_peers++;
}

static void
rig_up(unsigned n)
{
	static const char	 schema[] = "{\"type\":\"object\"}";
	struct proto_hooks	 hooks = { .on_close = on_peer_closed };
	struct host_env		 env = { .state_dir = dir, .schema_dir = dir };
	struct net_handler	 handler;
	struct net_limits	 lim;
	struct json_object	*o;
	struct buf		 why = BUF_INIT;
	unsigned		 i;

	n_kept = n_run = n_cancelled = 0;
	on_cancel = count;
	loop = loop_new();
	proto = proto_new(loop, &hooks, NULL, NULL, "1", "boot");
	if (loop == NULL || proto == NULL)
		abort();
	proto_settings(proto)->access = &access_rules;
	state = state_new(loop, proto, "1");
	net_limits_default(&lim);
	proto_net_handler(proto, &handler);
	net = net_new(loop, &lim, &handler);
	env.loop = loop;
	env.proto = proto;
	env.state = state;
	host = host_new(&env);
	if (state == NULL || net == NULL || host == NULL)
		abort();
	plug = ctx_new(host, "t", dir);
	if (plug == NULL)
		abort();
	plug->desc = &desc;
	plug->state = PLUGIN_READY;
	CU_ASSERT_EQUAL_FATAL(host_start(host, &why), 0);
	CU_ASSERT_EQUAL_FATAL(plug->state, PLUGIN_ACTIVE);
	o = json_tokener_parse(schema);
	CU_ASSERT_EQUAL_FATAL(schema_compile(o, "",
	    &plug->methods->all[0].params, &why), 0);
	plug->methods->all[0].is_compiled = true;
	json_object_put(o);
	buf_fini(&why);
	for (i = 0; i < n; i++)
		open_client(i);
}

static void
rig_down(unsigned n)
{
	unsigned	 i;

	host_stop(host);
	while (n_kept > 0)
		(void)req_unref(kept[--n_kept]);
	host_fini(host);
	net = net_free(net);
	loop = loop_free(loop);
	host = host_free(host);
	state = state_free(state);
	proto = proto_free(proto);
	for (i = 0; i < n; i++)
		(void)close(fds[i]);
}

/* One request; large: its params are read by a worker. */
static void
call(unsigned client, const char *params, bool is_large)
{
	struct proto_call	 c = {
		.id = "\"1\"", .id_len = 3, .method = "t.keep",
		.method_len = 6, .params = params,
		.params_len = strlen(params), .params_kind = '{',
	};

	if (is_large) {
		c.large = strdup(params);
		c.params = c.large;
		proto->n_larges++;
	}
	host_on_call(host, peers[client], &c);
}

static void
turn_until(const unsigned *what, unsigned is)
{
	uint64_t	 end = clock_now_us() + SEC_US(20);

	while (*what != is && clock_now_us() < end)
		loop_poke(loop);
}

static void
answered(void *arg, int r)
{
	*(int *)arg = r;
}

/* Who waits for a look at the plugins is told when there will be none. */
static void
a_refresh_is_answered_at_the_end(void)
{
	int	 before = 1, after = 1;

	rig_up(0);
	host_refresh(host, answered, &before);
	CU_ASSERT_EQUAL(before, 1);
	host_stop(host);
	CU_ASSERT_EQUAL(before, -ECANCELED);
	host_refresh(host, answered, &after);
	CU_ASSERT_EQUAL(after, -ECANCELED);
	rig_down(0);
}

/* AB-144: a cancel callback ends the request that would have been next. */
static void
cutting_requests_that_end_one_another(void)
{
	unsigned	 i;

	rig_up(2);
	on_cancel = drop_all;
	for (i = 0; i < 6; i++)
		call(i % 2, "{}", false);
	CU_ASSERT_EQUAL(plug->n_reqs, 6);
	ctx_cut_requests(plug, true, "was disabled");
	CU_ASSERT_EQUAL(n_cancelled, 1);
	CU_ASSERT_EQUAL(plug->n_reqs, 0);
	CU_ASSERT_EQUAL(host->n_reqs, 0);
	CU_ASSERT_TRUE(list_is_empty(&peers[0]->reqs));
	rig_down(2);
}

/* AB-144: the same when the client goes. */
static void
a_client_that_goes_cancels_once(void)
{
	unsigned	 i;

	rig_up(2);
	on_cancel = drop_all;
	for (i = 0; i < 4; i++)
		call(0, "{}", false);
	call(1, "{}", false);
	conn_kill(conns[0]);
	CU_ASSERT_EQUAL(n_cancelled, 1);
	CU_ASSERT_EQUAL(host->n_reqs, 0);
	rig_down(2);
}

/* AB-144: an answer for a client that has gone, and one more for it. */
static void
late_and_second_answers_are_refused(void)
{
	rig_up(1);
	call(0, "{}", false);
	call(0, "{}", false);
	CU_ASSERT_EQUAL(host->table.req_reply(kept[1],
	    json_object_new_object()), 0);
	CU_ASSERT_EQUAL(host->table.req_reply(kept[1],
	    json_object_new_object()), -EALREADY);
	conn_kill(conns[0]);
	loop_poke(loop);
	CU_ASSERT_EQUAL(n_cancelled, 1);
	CU_ASSERT_EQUAL(host->table.req_reply(kept[0],
	    json_object_new_object()), -ECANCELED);
	rig_down(1);
}

/* AB-144: the plugin has gone, a worker still reads what came for it. */
static void
a_schema_outlives_its_plugin_while_it_is_used(void)
{
	rig_up(1);
	call(0, "{\"a\":1}", true);
	CU_ASSERT_EQUAL(plug->n_reqs, 1);
	ctx_cut_requests(plug, true, "was disabled");
	plugin_down(plug);
	CU_ASSERT_PTR_NULL(plug->methods);
	turn_until(&plug->n_reqs, 0);
	CU_ASSERT_EQUAL(plug->n_reqs, 0);
	CU_ASSERT_EQUAL(n_run, 0);
	rig_down(1);
}

/* AB-144: a plugin that forgets a request does not hear of it any more. */
static void
what_a_stopped_plugin_forgot_is_ended(void)
{
	rig_up(1);
	call(0, "{}", false);
	host_stop(host);
	host_fini(host);
	CU_ASSERT_EQUAL(n_cancelled, 0);
	CU_ASSERT_TRUE(list_is_empty(&peers[0]->reqs));
	CU_ASSERT_EQUAL(host->table.req_reply(kept[0],
	    json_object_new_object()), -EALREADY);
	rig_down(1);
}

/* AB-061: sent before the end, run after it: not with that credential. */
static void
a_large_request_of_who_was_turned_out_is_not_run(void)
{
	rig_up(2);
	call(0, "{\"a\":1}", true);
	call(1, "{\"a\":1}", true);
	conn_close(conns[0], 4001, "device removed");
	turn_until(&n_run, 1);
	turn_until(&host->n_reqs, 1);
	CU_ASSERT_EQUAL(n_run, 1);
	CU_ASSERT_EQUAL(host->n_reqs, 1);
	CU_ASSERT_TRUE(list_is_empty(&peers[0]->reqs));
	rig_down(2);
}

static unsigned	 n_ticks;
static struct chela_timer *timers[2];

static void
tick(struct chela_ctx *ctx, void *arg)
{
	(void)arg;
	n_ticks++;
	/* Itself, and the one that is due in the same turn. */
	ctx->host->table.timer_free(timers[0]);
	ctx->host->table.timer_free(timers[1]);
}

static void
tick_end(struct chela_ctx *ctx, void *arg)
{
	(void)arg;
	n_ticks++;
	plugin_down(ctx);
}

/* AB-144: timers that free each other, and timers of a plugin that went. */
static void
timers_end_with_their_owner(void)
{
	unsigned	 i;

	rig_up(0);
	n_ticks = 0;
	for (i = 0; i < 2; i++) {
		timers[i] = host->table.timer_new(plug, tick, NULL);
		CU_ASSERT_EQUAL(host->table.timer_set(timers[i], 0), 0);
	}
	turn_until(&n_ticks, 1);
	for (i = 0; i < ROUNDS; i++)
		loop_poke(loop);
	CU_ASSERT_EQUAL(n_ticks, 1);
	CU_ASSERT_TRUE(list_is_empty(&plug->timers));
	for (i = 0; i < 2; i++) {
		timers[i] = host->table.timer_new(plug, tick_end, NULL);
		CU_ASSERT_EQUAL(host->table.timer_set(timers[i], 0), 0);
	}
	CU_ASSERT_EQUAL(host->table.post(plug, tick_end, NULL), 0);
	turn_until(&n_ticks, 2);
	for (i = 0; i < ROUNDS; i++)
		loop_poke(loop);
	CU_ASSERT_EQUAL(n_ticks, 2);
	CU_ASSERT_TRUE(list_is_empty(&plug->timers));
	rig_down(0);
}

/* AB-023: one less, the last one, one too many; of requests, of their bytes. */
static void
requests_of_all_are_bounded(void)
{
	size_t	 others;

	rig_up(1);
	host->n_reqs += HOST_REQS_MAX - 1;
	call(0, "{}", false);
	CU_ASSERT_EQUAL(n_run, 1);
	call(0, "{}", false);
	CU_ASSERT_EQUAL(n_run, 1);
	CU_ASSERT_EQUAL(host->n_busy, 1);
	host->n_reqs -= HOST_REQS_MAX - 1;
	call(0, "{}", false);
	CU_ASSERT_EQUAL(n_run, 2);

	others = HOST_PARAMS_MAX - host->params_len - 2;
	host->params_len += others;
	call(0, "{}", false);
	CU_ASSERT_EQUAL(n_run, 3);
	call(0, "{}", false);
	CU_ASSERT_EQUAL(n_run, 3);
	CU_ASSERT_EQUAL(host->n_busy, 2);
	host->params_len -= others;
	call(0, "{}", false);
	CU_ASSERT_EQUAL(n_run, 4);
	rig_down(1);
}

static const struct cu_case cases[] = {
	CU_CASE(a_refresh_is_answered_at_the_end),
	CU_CASE(cutting_requests_that_end_one_another),
	CU_CASE(a_client_that_goes_cancels_once),
	CU_CASE(late_and_second_answers_are_refused),
	CU_CASE(a_schema_outlives_its_plugin_while_it_is_used),
	CU_CASE(what_a_stopped_plugin_forgot_is_ended),
	CU_CASE(a_large_request_of_who_was_turned_out_is_not_run),
	CU_CASE(timers_end_with_their_owner),
	CU_CASE(requests_of_all_are_bounded),
	CU_END
};
CU_MAIN("host", cases)
