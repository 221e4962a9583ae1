/* SPDX-License-Identifier: MIT */
/* The fake host keeps the promises that tests of plugins rely on. */
#include <errno.h>
#include <string.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

static const struct chela_host	*host;
static struct chela_ctx		*the_ctx;
static struct chela_req		*held;
static struct chela_timer	*timer;
static unsigned			 n_fired;
static int			 last_r;
static uint64_t			 last_rev;
static char			 seen[256];

static int
t_echo(struct chela_ctx *ctx, struct chela_req *req, struct json_object *p)
{
	(void)ctx;
	return (host->req_reply(req, json_object_get(p)));
}

static int
t_hold(struct chela_ctx *ctx, struct chela_req *req, struct json_object *p)
{
	(void)ctx;
	(void)p;
	held = host->req_ref(req);
	(void)host->req_interim(req, json_object_new_int(1));
	return (0);
}

static int
t_forget(struct chela_ctx *ctx, struct chela_req *req, struct json_object *p)
{
	(void)ctx;
	(void)req;
	(void)p;
	return (0);
}

static int
t_sub(struct chela_ctx *ctx, struct chela_req *req, struct json_object *p)
{
	(void)p;
	(void)host->conn_subscribe(ctx, host->req_conn(req), "topic");
	return (host->req_reply(req, NULL));
}

static const char *
t_scope(struct chela_ctx *ctx, struct json_object *p)
{
	(void)ctx;
	return (json_object_object_length(p) > 0 ? "admin" : NULL);
}

static const struct chela_method methods[] = {
	{ .name = "t.echo", .handler = t_echo, .scope = "read",
	    .dynamic_scope = t_scope, .roles = CHELA_ROLE_OPERATOR },
	{ .name = "t.hold", .handler = t_hold, .scope = "write",
	    .roles = CHELA_ROLE_OPERATOR },
	{ .name = "t.forget", .handler = t_forget,
	    .roles = CHELA_ROLE_OPERATOR },
	{ .name = "t.sub", .handler = t_sub, .roles = CHELA_ROLE_OPERATOR },
};

static const struct chela_event events[] = {
	{ .name = "t", .scope = "read" },
};

static void
t_fire(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	n_fired++;
	(void)host->timer_set(timer, SEC_US(10));
}

static int
t_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	host = h;
	the_ctx = ctx;
	timer = h->timer_new(ctx, t_fire, NULL);
	return (0);
}

static int
t_start(struct chela_ctx *ctx)
{
	(void)ctx;
	return (host->timer_set(timer, SEC_US(10)));
}

/* No schema file of that name: fake_add() refuses it. */
static const struct chela_plugin plugin = {
	CHELA_HEAD("t"),
	.version = CHELA_VERSION(1, 0, 0),
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	.init = t_init,
	.start = t_start,
};

static struct fake *
begin(void)
{
	struct fake	*f = fake_new();

	CU_ASSERT_EQUAL(fake_add(f, &plugin), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_log_text(f), "no schema file"));
	fake_clock(f, 1000000);
	CU_ASSERT_EQUAL(fake_start(f), 0);
	return (f);
}

static void
calls_are_checked_and_answered(void)
{
	static const struct fake_conn_opt	 reader = { .scopes = "read" };
	struct fake				*f = begin();
	struct chela_conn			*c = fake_conn_new(f, &reader);
	struct json_object			*r;

	r = fake_call(f, NULL, "t.echo", "{\"a\":{\"b\":[1,\"x\"]}}");
	CU_ASSERT_TRUE(fake_ok(r));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.a.b.1"), "x");
	json_object_put(r);
	r = fake_call(f, c, "t.echo", "{}");
	CU_ASSERT_TRUE(fake_ok(r));
	json_object_put(r);
	r = fake_call(f, c, "t.echo", "{\"a\":1}");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "missing scope: operator.admin");
	json_object_put(r);
	r = fake_call(f, c, "t.hold", "{}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "FORBIDDEN");
	json_object_put(r);
	r = fake_call(f, NULL, "t.none", "{}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "unknown method: t.none");
	json_object_put(r);
	r = fake_call(f, NULL, "t.forget", "{}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	json_object_put(r);
	fake_free(f);
}

static void
late_answers_and_leaving_clients(void)
{
	struct fake		*f = begin();
	struct chela_conn	*c = fake_conn_new(f, NULL);
	struct fake_req		*rq;

	rq = fake_send(f, c, "t.hold", "{}");
	CU_ASSERT_PTR_NULL(fake_reply_now(rq));
	CU_ASSERT_EQUAL(json_object_array_length(fake_interims(rq)), 1);
	CU_ASSERT_EQUAL(host->req_reply(held, json_object_new_int(2)), 0);
	CU_ASSERT_EQUAL(host->req_reply(held, NULL), -EALREADY);
	host->req_unref(held);
	CU_ASSERT_EQUAL(fake_int(fake_reply(rq), "result"), 2);
	fake_req_free(rq);

	rq = fake_send(f, c, "t.hold", "{}");
	fake_conn_close(c);
	CU_ASSERT_PTR_NULL(host->req_conn(held));
	CU_ASSERT_EQUAL(host->req_reply(held, NULL), -ECANCELED);
	host->req_unref(held);
	fake_req_free(rq);
	fake_free(f);
}

static void
events_go_to_those_who_may_see_them(void)
{
	static const struct fake_conn_opt	 none = { .scopes = "pairing" };
	static const struct chela_emit		 to_topic = {
		.struct_size = sizeof to_topic, .topic = "topic" };
	struct fake				*f = begin();
	struct chela_conn			*a = fake_conn_new(f, NULL);
	struct chela_conn			*b = fake_conn_new(f, &none);
	struct json_object			*r;

	r = fake_call(f, a, "t.sub", "{}");
	json_object_put(r);
	CU_ASSERT_EQUAL(host->emit(the_ctx, "u", NULL, NULL), -EINVAL);
	CU_ASSERT_EQUAL(host->emit(the_ctx, "t", json_object_new_int(1), NULL),
	    2);		/* a, and the host's own client */
	CU_ASSERT_EQUAL(host->emit(the_ctx, "t", json_object_new_int(2),
	    &to_topic), 1);
	CU_ASSERT_EQUAL(json_object_get_int(fake_wait_event(f, a, "t", 1)), 2);
	CU_ASSERT_EQUAL(fake_count(f, a, "t"), 2);
	CU_ASSERT_EQUAL(fake_count(f, b, "t"), 0);
	CU_ASSERT_EQUAL(fake_count(f, NULL, "t"), 2);
	fake_free(f);
}

static void
on_done(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	(void)ctx;
	(void)arg;
	last_r = r;
	last_rev = rev;
}

static int
add_key(const char *key, struct json_object *val, uint64_t rev, void *arg)
{
	(void)val;
	(void)rev;
	(void)arg;
	(void)strncat(seen, key, sizeof seen - strlen(seen) - 1);
	return (0);
}

static void
tables_have_revisions_and_outlive_a_restart(void)
{
	struct fake		*f = begin();
	struct json_object	*v;
	uint64_t		 rev;

	(void)host->kv_put(the_ctx, "kb", json_object_new_int(1),
	    CHELA_NEW_REV, on_done, NULL);
	(void)host->kv_put(the_ctx, "ka", json_object_new_int(2),
	    CHELA_ANY_REV, NULL, NULL);
	CU_ASSERT_EQUAL(host->kv_get(the_ctx, "kb", &v, &rev), 0);
	json_object_put(v);
	last_r = 1;
	(void)host->kv_put(the_ctx, "kb", json_object_new_int(1),
	    CHELA_NEW_REV, on_done, NULL);
	CU_ASSERT_EQUAL(last_r, 1);
	fake_settle(f);
	CU_ASSERT_EQUAL(last_r, -ESTALE);
	fake_fail_writes(f, 1, -ENOSPC);
	(void)host->kv_del(the_ctx, "kb", rev, on_done, NULL);
	fake_settle(f);
	CU_ASSERT_EQUAL(last_r, -ENOSPC);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	seen[0] = '\0';
	(void)host->kv_each(the_ctx, "k", add_key, NULL);
	CU_ASSERT_STRING_EQUAL(seen, "kakb");
	fake_free(f);
}

static void
on_rows(struct chela_ctx *ctx, int r, const struct chela_row *rows, size_t n,
    void *arg)
{
	size_t	 i;

	(void)ctx;
	(void)arg;
	last_r = r;
	seen[0] = '\0';
	for (i = 0; i < n; i++)
		(void)strncat(seen, rows[i].text, sizeof seen - strlen(seen) - 1);
}

static void
on_found(struct chela_ctx *ctx, int r, const char *const *logs,
    const struct chela_row *rows, size_t n, void *arg)
{
	(void)logs;
	on_rows(ctx, r, rows, n, arg);
}

static void
logs_are_read_from_both_ends(void)
{
	struct fake	*f = begin();
	int		 i;

	for (i = 1; i <= 5; i++)
		(void)host->log_append(the_ctx, i % 2 ? "l/a" : "l/b",
		    json_object_new_int(i), on_done, NULL);
	fake_settle(f);
	CU_ASSERT_EQUAL(last_rev, 3);
	(void)host->log_read(the_ctx, "l/a", 2, 9, 1000, 0, on_rows, NULL);
	fake_settle(f);
	CU_ASSERT_STRING_EQUAL(seen, "35");
	(void)host->log_read(the_ctx, "l/a", 3, 1, 1000, CHELA_READ_TAIL,
	    on_rows, NULL);
	fake_settle(f);
	CU_ASSERT_STRING_EQUAL(seen, "3");
	(void)host->log_trim(the_ctx, "l/a", 3, on_done, NULL);
	(void)host->log_find(the_ctx, "l/", "", 2, on_found, NULL);
	fake_settle(f);
	CU_ASSERT_STRING_EQUAL(seen, "54");
	CU_ASSERT_EQUAL(fake_log_len(f, "t", "l/a"), 1);
	fake_free(f);
}

static void
time_moves_by_hand(void)
{
	struct fake	*f = begin();

	n_fired = 0;
	fake_advance(f, SEC_US(9));
	CU_ASSERT_EQUAL(n_fired, 0);
	fake_advance(f, SEC_US(25));
	CU_ASSERT_EQUAL(n_fired, 3);
	CU_ASSERT_EQUAL(host->wall_ms(), 1034000);
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(calls_are_checked_and_answered),
	CU_CASE(late_answers_and_leaving_clients),
	CU_CASE(events_go_to_those_who_may_see_them),
	CU_CASE(tables_have_revisions_and_outlive_a_restart),
	CU_CASE(logs_are_read_from_both_ends),
	CU_CASE(time_moves_by_hand),
	CU_END
};

CU_MAIN("fakehost", cases)
