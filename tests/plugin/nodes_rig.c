/* SPDX-License-Identifier: MIT */
/* The devices, approvals and clients of nodes_rig.h. */
#include "tests/plugin/nodes_rig.h"

#include <errno.h>

/* --- the core's side: devices, as far as the plugin can tell --- */

struct fake			*f;
static struct device		 devices[DEVICES_MAX];
static size_t			 n_devices;
static chela_access_event_fn	*on_event_fn;
static struct chela_ctx		*on_event_ctx;
static void			*on_event_arg;
int				 put_fails;	/* the next surface_put() */

struct device *
device_of(const char *id)
{
	size_t	 i;

	for (i = 0; i < n_devices; i++) {
		if (strcmp(devices[i].id, id) == 0)
			return (&devices[i]);
	}
	return (NULL);
}

static struct json_object *
device_row(const struct device *d)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*roles = json_object_new_array();

	json_object_object_add(o, "deviceId", json_object_new_string(d->id));
	json_object_array_add(roles, json_object_new_string("node"));
	if (d->is_operator_too)
		json_object_array_add(roles,
		    json_object_new_string("operator"));
	json_object_object_add(o, "roles", roles);
	json_object_object_add(o, "platform", json_object_new_string("linux"));
	if (*d->label != '\0')
		json_object_object_add(o, "operatorLabel",
		    json_object_new_string(d->label));
	return (o);
}

static int
acc_list(struct chela_conn *caller, struct json_object **ret)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*paired = json_object_new_array();
	size_t			 i;

	(void)caller;
	for (i = 0; i < n_devices; i++)
		json_object_array_add(paired, device_row(&devices[i]));
	json_object_object_add(o, "pending", json_object_new_array());
	json_object_object_add(o, "paired", paired);
	*ret = o;
	return (0);
}

static int
acc_device(const char *id, struct json_object **ret)
{
	struct device	*d = device_of(id);

	if (d == NULL)
		return (-ENOENT);
	*ret = device_row(d);
	return (0);
}

/* What is durable comes later, as it does there. */
struct later {
	struct chela_ctx	*ctx;
	chela_access_done_fn	*done;
	void			*arg;
	int			 r;
	char			 id[64];
	struct json_object	*approved, *pending;
	bool			 is_put;
};

static void
later_run(void *arg)
{
	struct later	*l = arg;
	struct device	*d = device_of(l->id);

	if (l->r == 0 && l->is_put && d != NULL) {
		json_object_put(d->approved);
		json_object_put(d->pending);
		d->approved = l->approved;
		d->pending = l->pending;
	} else {
		json_object_put(l->approved);
		json_object_put(l->pending);
	}
	l->done(l->ctx, l->r, NULL, l->arg);
	free(l);
}

static struct later *
later_new(struct chela_ctx *ctx, const char *id, int r,
    chela_access_done_fn *done, void *arg)
{
	struct later	*l = calloc(1, sizeof *l);

	CU_ASSERT_FATAL(l != NULL);
	l->ctx = ctx;
	l->done = done;
	l->arg = arg;
	l->r = r;
	(void)snprintf(l->id, sizeof l->id, "%s", id);
	CU_ASSERT_EQUAL_FATAL(loop_defer(fake_loop(f), later_run, l), 0);
	return (l);
}

static int
acc_surface_get(const char *id, struct json_object **a, struct json_object **p)
{
	struct device	*d = device_of(id);

	if (d == NULL)
		return (-ENOENT);
	*a = d->approved;
	*p = d->pending;
	return (0);
}

static int
acc_surface_put(struct chela_ctx *ctx, const char *id, struct json_object *a,
    struct json_object *p, chela_access_done_fn *done, void *arg)
{
	struct later	*l = later_new(ctx, id, put_fails, done, arg);

	put_fails = 0;
	l->is_put = true;
	l->approved = a;
	l->pending = p;
	return (0);
}

static int
acc_rename(struct chela_ctx *ctx, struct chela_conn *caller, const char *id,
    const char *label, chela_access_done_fn *done, void *arg)
{
	struct device	*d = device_of(id);

	(void)caller;
	if (d != NULL)
		(void)snprintf(d->label, sizeof d->label, "%s", label);
	(void)later_new(ctx, id, d == NULL ? -ENOENT : 0, done, arg);
	return (0);
}

void
tell(uint32_t what, const char *id, struct chela_conn *conn)
{
	struct chela_access_event ev = { .struct_size = sizeof ev,
	    .what = what, .device_id = id, .conn = conn };

	if (on_event_fn != NULL)
		on_event_fn(on_event_ctx, &ev, on_event_arg);
}

static void
device_gone(struct device *d)
{
	json_object_put(d->claims);
	json_object_put(d->approved);
	json_object_put(d->pending);
	memmove(d, d + 1, (size_t)(&devices[n_devices] - d - 1) * sizeof *d);
	n_devices--;
}

static int
acc_remove(struct chela_ctx *ctx, struct chela_conn *caller, const char *id,
    chela_access_done_fn *done, void *arg)
{
	struct device	*d = device_of(id);
	struct chela_conn *conn;

	(void)caller;
	if (d != NULL) {
		conn = d->conn;
		d->conn = NULL;
		if (conn != NULL)
			tell(CHELA_ACCESS_NODE_CLOSE, id, conn);
		device_gone(device_of(id));
	}
	(void)later_new(ctx, id, d == NULL ? -ENOENT : 0, done, arg);
	return (0);
}

static int
acc_revoke(struct chela_ctx *ctx, struct chela_conn *caller, const char *id,
    const char *role, chela_access_done_fn *done, void *arg)
{
	(void)caller;
	CU_ASSERT_STRING_EQUAL(role, "node");
	(void)later_new(ctx, id, 0, done, arg);
	return (0);
}

static struct device *
device_by(struct chela_conn *conn)
{
	size_t	 i;

	for (i = 0; i < n_devices; i++) {
		if (devices[i].conn == conn)
			return (&devices[i]);
	}
	return (NULL);
}

static int
acc_claims(struct chela_conn *conn, struct json_object **ret)
{
	struct device	*d = device_by(conn);

	if (d == NULL)
		return (-ENOENT);
	*ret = d->claims;
	return (0);
}

static struct chela_conn *
acc_conn_of(const char *id, uint32_t role)
{
	struct device	*d = device_of(id);

	(void)role;
	return (d == NULL ? NULL : d->conn);
}

static uint64_t
acc_generation(const char *id)
{
	return (device_of(id) == NULL ? 0 : 1);
}

static int
acc_on_event(struct chela_ctx *ctx, chela_access_event_fn *fn, void *arg)
{
	on_event_fn = fn;
	on_event_ctx = ctx;
	on_event_arg = arg;
	return (0);
}

static const struct chela_access_1 access_vtable = {
	.struct_size = sizeof access_vtable,
	.list = acc_list,
	.device = acc_device,
	.remove = acc_remove,
	.rename = acc_rename,
	.revoke = acc_revoke,
	.claims = acc_claims,
	.conn_of = acc_conn_of,
	.surface_get = acc_surface_get,
	.surface_put = acc_surface_put,
	.generation = acc_generation,
	.on_event = acc_on_event,
};

/* --- approvals, when a case wants them --- */

struct approvals	 ap;

static int
ap_request(struct chela_ctx *ctx, const struct chela_plan *plan,
    const struct chela_approval_ask *ask, char *ret_id,
    chela_approval_done_fn *done, void *arg)
{
	uint32_t	 i;

	CU_ASSERT(ask->caller != NULL);
	ap.argv[0] = '\0';
	for (i = 0; i < plan->argc; i++) {
		strncat(ap.argv, plan->argv[i], 60);
		strncat(ap.argv, "|", 2);
	}
	ap.ctx = ctx;
	ap.done = done;
	ap.arg = arg;
	ap.is_waiting = true;
	(void)snprintf(ret_id, CHELA_APPROVAL_ID_MAX + 1, "ap-1");
	return (0);
}

static int
ap_claim(const char *id, struct chela_conn *caller,
    const struct chela_plan *plan, struct json_object **ret_plan)
{
	struct json_object	*o, *argv;
	uint32_t		 i;

	ap.n_claims++;
	CU_ASSERT(caller != NULL);
	CU_ASSERT(strcmp(id, "ap-1") == 0 || ap.claim_r < 0);
	CU_ASSERT_STRING_NOT_EQUAL(plan->node_id, "");
	if (ap.claim_r < 0)
		return (ap.claim_r);
	o = json_object_new_object();
	argv = json_object_new_array();
	for (i = 0; i < plan->argc; i++)
		json_object_array_add(argv,
		    json_object_new_string(plan->argv[i]));
	json_object_object_add(o, "argv", argv);
	*ret_plan = o;
	return (0);
}

static int
ap_cancel(const char *id)
{
	CU_ASSERT_STRING_EQUAL(id, "ap-1");
	ap.n_cancels++;
	return (0);
}

static void
ap_forget(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	ap.is_waiting = false;
}

static const struct chela_approvals_1 approvals_vtable = {
	.struct_size = sizeof approvals_vtable,
	.request = ap_request,
	.claim = ap_claim,
	.cancel = ap_cancel,
	.forget = ap_forget,
};

void
ap_answer(uint32_t decision)
{
	CU_ASSERT_FATAL(ap.is_waiting);
	ap.is_waiting = false;
	ap.done(ap.ctx, "ap-1", decision, decision == CHELA_DECISION_NONE ?
	    "timeout" : "", ap.arg);
}

/* --- clients --- */

void
up_with(bool has_approvals)
{
	f = fake_new();
	CU_ASSERT_FATAL(f != NULL);
	n_devices = 0;
	put_fails = 0;
	memset(&ap, 0, sizeof ap);
	fake_clock(f, 1700000000000);
	CU_ASSERT_EQUAL_FATAL(fake_service(f, "core", CHELA_ACCESS_SERVICE,
	    &access_vtable), 0);
	if (has_approvals)
		CU_ASSERT_EQUAL_FATAL(fake_service(f, "exec-approvals",
		    CHELA_APPROVALS_SERVICE, &approvals_vtable), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "nodes"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
}

void
up(void)
{
	up_with(false);
}

void
down(void)
{
	fake_free(f);
	on_event_fn = NULL;
	while (n_devices > 0)
		device_gone(&devices[n_devices - 1]);
}

/* A node connects; commands is a JSON array. */
struct chela_conn *
node_up(const char *id, const char *commands)
{
	struct fake_conn_opt	 opt = { .role = CHELA_ROLE_NODE,
	    .client_id = "node-host", .client_mode = "node",
	    .platform = "linux", .version = "1.0", .display_name = "box",
	    .device_id = id };
	struct device		*d = device_of(id);
	struct json_object	*list;

	if (d == NULL) {
		CU_ASSERT_FATAL(n_devices < DEVICES_MAX);
		d = &devices[n_devices++];
		memset(d, 0, sizeof *d);
		(void)snprintf(d->id, sizeof d->id, "%s", id);
	}
	d->conn = fake_conn_new(f, &opt);
	json_object_put(d->claims);
	d->claims = json_object_new_object();
	list = json_tokener_parse(commands);
	CU_ASSERT_FATAL(list != NULL);
	json_object_object_add(d->claims, "commands", list);
	json_object_object_add(d->claims, "caps",
	    json_tokener_parse("[\"system\"]"));
	tell(CHELA_ACCESS_NODE_OPEN, d->id, d->conn);
	fake_settle(f);
	return (d->conn);
}

void
node_down(const char *id)
{
	struct device		*d = device_of(id);
	struct chela_conn	*conn = d->conn;

	d->conn = NULL;
	tell(CHELA_ACCESS_NODE_CLOSE, id, conn);
	fake_conn_close(conn);
	fake_settle(f);
}

struct chela_conn *
operator(const char *scopes)
{
	struct fake_conn_opt	 opt = { .role = CHELA_ROLE_OPERATOR,
	    .scopes = scopes };

	return (fake_conn_new(f, &opt));
}

/* The id of what this node asks, "" when it asks nothing. */
const char *
request_of(const char *id)
{
	static char	 text[64];
	struct device	*d = device_of(id);

	(void)snprintf(text, sizeof text, "%s", d->pending == NULL ? "" :
	    fake_str(d->pending, "requestId"));
	return (text);
}

void
approve(const char *id)
{
	struct json_object	*r;

	r = fake_callf(f, NULL, "node.pair.approve", "{\"requestId\":\"%s\"}",
	    request_of(id));
	CU_ASSERT(fake_ok(r));
	json_object_put(r);
}

struct fake_req *
invoke(struct chela_conn *conn, const char *node, const char *command,
    const char *params)
{
	char	 text[1024];

	(void)snprintf(text, sizeof text, "{\"nodeId\":\"%s\",\"command\":"
	    "\"%s\",\"params\":%s,\"timeoutMs\":5000,\"idempotencyKey\":"
	    "\"k1\"}", node, command, params);
	return (fake_send(f, conn, "node.invoke", text));
}

bool
answer(struct chela_conn *conn, const char *node, const char *id,
    const char *rest)
{
	struct json_object	*r;
	bool			 is_ignored;

	r = fake_callf(f, conn, "node.invoke.result",
	    "{\"id\":\"%s\",\"nodeId\":\"%s\",%s}", id, node, rest);
	CU_ASSERT(fake_ok(r));
	is_ignored = fake_get(r, "result.ignored") != NULL;
	json_object_put(r);
	return (!is_ignored);
}
