/* SPDX-License-Identifier: MIT */
/*
 * Service "approvals/1": a plan, the answer to it, and the one run that the
 * answer is good for. Bindings are in memory: what was allowed before a restart
 * is not after.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/conns.h>

#include "exec_priv.h"

#define BUCKETS		256u
#define CLAIM_US	60000000u /* to begin a run that nobody was asked about */

enum binding_state {
	BINDING_JUDGED,		/* the policy is being read */
	BINDING_ASKED,		/* the record knows how it stands */
	BINDING_ALLOWED,	/* by the policy, until until_us */
	BINDING_REFUSED,
	BINDING_SPENT,
};

struct binding {
	struct binding		*next;		/* of its bucket */
	unsigned		 refs;
	enum binding_state	 state;
	bool			 is_linked;
	bool			 is_kept;	/* "always" has been seen to */
	bool			 is_client;	/* of exec.approval.request */
	bool			 fallback;
	uint64_t		 until_us;	/* ALLOWED; by now_us() */
	uint64_t		 made_us;
	uint32_t		 timeout_ms;
	uint32_t		 decision;	/* to tell */
	char			 reason[32];
	char			 id[CHELA_APPROVAL_ID_MAX + 1];
	char			 digest[DIGEST_SIZE];
	char			 conn_id[40];	/* of who asked, "" the gateway */
	char			 device_id[129];
	struct json_object	*plan;
	struct json_object	*extra;		/* runId, warningText */
	bool			 waits_record;	/* holds a reference */
	struct chela_ctx	*ctx;
	chela_approval_done_fn	*done;		/* NULL: was called */
	void			*arg;
};

static struct binding	*buckets[BUCKETS];
static size_t		 n_bindings;

static struct binding **
bucket(const char *id)
{
	uint32_t	h = 2166136261u;

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * 16777619u;
	return (&buckets[h % BUCKETS]);
}

static struct binding *
bind_find(const char *id)
{
	struct binding	*b;

	for (b = *bucket(id); b != NULL; b = b->next) {
		if (strcmp(b->id, id) == 0)
			return (b);
	}
	return (NULL);
}

static void
bind_put(struct binding *b)
{
	if (--b->refs > 0)
		return;
	json_object_put(b->plan);
	json_object_put(b->extra);
	free(b);
}

static void
bind_unlink(struct binding *b)
{
	struct binding	**p;

	if (!b->is_linked)
		return;
	for (p = bucket(b->id); *p != b; p = &(*p)->next)
		;
	*p = b->next;
	b->is_linked = false;
	n_bindings--;
	bind_put(b);
}

static bool
is_over(struct binding *b)
{
	struct chela_record_info	info = { .struct_size = sizeof info };

	if (b->done != NULL || b->state == BINDING_JUDGED)
		return (false);
	if (b->state == BINDING_ALLOWED)
		return (b->until_us <= ex.host->now_us());
	if (b->state == BINDING_ASKED)
		return (ex.records->info(b->id, NULL, &info) < 0 ||
		    info.until_us <= ex.host->now_us() ||
		    (info.status != CHELA_RECORD_PENDING &&
		    info.status != CHELA_RECORD_ALLOWED));
	return (true);
}

/*
 * Room for one more: what can not be claimed any more goes, the oldest first.
 */
static int
bind_room(void)
{
	struct binding	*b, *old = NULL;
	size_t		 i;

	if (n_bindings < BINDINGS_MAX)
		return (0);
	for (i = 0; i < BUCKETS; i++) {
		for (b = buckets[i]; b != NULL; b = b->next) {
			if ((old == NULL || b->made_us < old->made_us) &&
			    is_over(b))
				old = b;
		}
	}
	if (old == NULL)
		return (-EDQUOT);
	bind_unlink(old);
	return (0);
}

/* Takes a reference to plan of its own. */
static int
bind_new(const char *id, struct json_object *plan, struct chela_conn *caller,
    struct binding **ret)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct binding		*b, **p;
	int			 r;

	r = bind_room();
	if (r < 0)
		return (r);
	b = calloc(1, sizeof *b);
	if (b == NULL)
		return (-ENOMEM);
	b->refs = 1;
	b->made_us = ex.host->now_us();
	r = plan_digest(plan, b->digest);
	if (r < 0) {
		free(b);
		return (r);
	}
	b->plan = json_object_get(plan);
	(void)snprintf(b->id, sizeof b->id, "%s", id);
	if (caller != NULL && ex.host->conn_info(caller, &info) == 0) {
		(void)snprintf(b->conn_id, sizeof b->conn_id, "%s", info.id);
		(void)snprintf(b->device_id, sizeof b->device_id, "%s",
		    info.device_id);
	}
	p = bucket(id);
	b->next = *p;
	*p = b;
	b->is_linked = true;
	n_bindings++;
	*ret = b;
	return (0);
}

int
bind_record(const char *id, struct json_object *plan, struct chela_conn *caller)
{
	struct binding	*b = bind_find(id);
	int		 r;

	/* An id that comes again: the record of before is gone from history. */
	if (b != NULL)
		bind_unlink(b);
	r = bind_new(id, plan, caller, &b);
	if (r == 0) {
		b->state = BINDING_ASKED;
		b->is_client = true;
	}
	return (r);
}

void
bind_drop(const char *id)
{
	struct binding	*b = bind_find(id);

	if (b != NULL)
		bind_unlink(b);
}

void
bind_end(const struct chela_record_info *info)
{
	struct binding	*b = bind_find(info->id);
	char		 job[128];

	if (b == NULL || b->is_kept ||
	    info->status != CHELA_RECORD_ALLOWED ||
	    info->decision != CHELA_ALLOW_ALWAYS)
		return;
	b->is_kept = true;
	if (cron_job_of(get_str(b->plan, "sessionKey"), job, sizeof job))
		grant_mint(b->plan, b->id, info->grant_days);
	else if (!b->is_client && get_str(b->plan, "nodeId") == NULL)
		job_start(JOB_ALLOW, b->plan, NULL, NULL, NULL);
}

/* --- requests --- */

static void
on_tell(struct chela_ctx *ctx, void *arg)
{
	struct binding		*b = arg;
	chela_approval_done_fn	*done = b->done;

	(void)ctx;
	b->done = NULL;
	if (done != NULL && !ex.is_stopping)
		done(b->ctx, b->id, b->decision, b->reason, b->arg);
	bind_put(b);
}

static void
tell(struct binding *b, uint32_t decision, const char *reason)
{
	b->decision = decision;
	(void)snprintf(b->reason, sizeof b->reason, "%s", reason);
	if (ex.is_stopping)
		return;
	b->refs++;
	if (ex.host->post(ex.ctx, on_tell, b) < 0)
		bind_put(b);
}

static void
allow(struct binding *b, uint32_t decision, const char *reason)
{
	b->state = BINDING_ALLOWED;
	b->until_us = ex.host->now_us() + CLAIM_US;
	tell(b, decision, reason);
}

static void
refuse(struct binding *b, uint32_t decision, const char *reason)
{
	b->state = BINDING_REFUSED;
	tell(b, decision, reason);
}

static void
on_end(struct chela_ctx *ctx, const struct chela_record_info *info, void *arg)
{
	struct binding	*b = arg;

	(void)ctx;
	b->waits_record = false;
	bind_end(info);
	if (b->state != BINDING_ASKED)
		;	/* cancelled, and told so */
	else if (info->status == CHELA_RECORD_ALLOWED)
		tell(b, info->decision, info->reason);
	else if (info->status == CHELA_RECORD_DENIED &&
	    strcmp(info->reason, "no-route") != 0)
		refuse(b, CHELA_DENY, info->reason);
	else if (b->fallback && info->status != CHELA_RECORD_CANCELLED)
		allow(b, CHELA_ALLOW_ONCE, "policy");
	else
		refuse(b, CHELA_DECISION_NONE, info->reason);
	bind_put(b);
}

struct conn_search {
	const char		*id;
	struct chela_conn	*found;
};

static int
on_conn(struct chela_conn *conn, void *arg)
{
	struct conn_search	*s = arg;
	struct chela_conn_info	 info = { .struct_size = sizeof info };

	if (ex.host->conn_info(conn, &info) < 0 || strcmp(info.id, s->id) != 0)
		return (0);
	s->found = conn;
	return (1);
}

/* It may have closed while the policy was read. */
static struct chela_conn *
conn_find(const char *id)
{
	const struct chela_conns_1	*conns;
	struct conn_search		 s = { id, NULL };

	conns = ex.host->svc_import(ex.ctx, CHELA_CONNS_SERVICE);
	if (conns != NULL && *id != '\0')
		(void)conns->each(CHELA_ROLE_OPERATOR, on_conn, &s);
	return (s.found);
}

static int
ask_people(struct binding *b, const struct verdict *v)
{
	struct chela_record_open spec = { .struct_size = sizeof spec };
	char			 job[128];
	int			 r;

	spec.allowed = 1u << CHELA_ALLOW_ONCE | 1u << CHELA_DENY;
	/* Offered where it can be kept. */
	if (*v->resolved != '\0' ||
	    cron_job_of(get_str(b->plan, "sessionKey"), job, sizeof job))
		spec.allowed |= 1u << CHELA_ALLOW_ALWAYS;
	set_str(b->extra, "host", get_str(b->plan, "nodeId") != NULL ? "node" :
	    "gateway");
	if (*v->resolved != '\0')
		set_str(b->extra, "resolvedPath", v->resolved);
	r = exec_shown(b->plan, NULL, b->extra, spec.allowed, &spec.request,
	    &spec.presentation);
	if (r < 0)
		return (r);
	spec.kind = KIND;
	spec.id = b->id;
	spec.agent_id = get_str(b->plan, "agentId");
	spec.session_key = get_str(b->plan, "sessionKey");
	spec.caller = conn_find(b->conn_id);
	spec.timeout_ms = b->timeout_ms;
	b->state = BINDING_ASKED;
	b->refs++;
	b->waits_record = true;
	r = ex.records->open(ex.ctx, &spec, NULL, NULL, on_end, b);
	if (r < 0) {
		b->waits_record = false;
		bind_put(b);
	}
	return (r);
}

static void
on_judged(struct job *job, void *arg)
{
	struct binding	*b = arg;

	b->fallback = job->verdict.fallback;
	if (b->state != BINDING_JUDGED)
		;	/* cancelled meanwhile */
	else if (job->r < 0 || job->verdict.policy == CHELA_POLICY_DENY)
		refuse(b, CHELA_DECISION_NONE, "policy");
	else if (job->verdict.policy == CHELA_POLICY_ALLOW)
		allow(b, CHELA_ALLOW_ONCE, "policy");
	else if (ask_people(b, &job->verdict) < 0)
		refuse(b, CHELA_DECISION_NONE, "unavailable");
	bind_put(b);
}

static int
svc_digest(const struct chela_plan *p, char ret_hex[DIGEST_SIZE])
{
	struct json_object	*plan = NULL;
	int			 r;

	r = plan_from(p, &plan);
	if (r == 0)
		r = plan_digest(plan, ret_hex);
	json_object_put(plan);
	return (r);
}

struct check {
	struct chela_ctx	*ctx;
	chela_policy_done_fn	*done;
	void			*arg;
	struct verdict		 verdict;
};

static void
on_check_told(struct chela_ctx *ctx, void *arg)
{
	struct check	*c = arg;

	(void)ctx;
	if (!ex.is_stopping)
		c->done(c->ctx, c->verdict.policy, c->verdict.why, c->arg);
	free(c);
}

static void
on_checked(struct job *job, void *arg)
{
	struct check	*c = arg;

	c->verdict = job->verdict;
	c->verdict.entry = NULL;
	if (ex.is_stopping || ex.host->post(ex.ctx, on_check_told, c) < 0)
		free(c);
}

static int
svc_check(struct chela_ctx *ctx, const struct chela_plan *p,
    chela_policy_done_fn *done, void *arg)
{
	struct json_object	*plan = NULL;
	struct check		*c;
	int			 r;

	r = plan_from(p, &plan);
	if (r < 0)
		return (r);
	c = calloc(1, sizeof *c);
	if (c != NULL) {
		c->ctx = ctx;
		c->done = done;
		c->arg = arg;
		job_start(JOB_JUDGE, plan, NULL, on_checked, c);
	}
	json_object_put(plan);
	return (c == NULL ? -ENOMEM : 0);
}

static int
svc_request(struct chela_ctx *ctx, const struct chela_plan *p,
    const struct chela_approval_ask *ask, char *ret_id,
    chela_approval_done_fn *done, void *arg)
{
	struct chela_record_info info = { .struct_size = sizeof info };
	struct json_object	*plan = NULL;
	struct binding		*b;
	char			 uuid[37];
	const char		*id = ask != NULL ? ask->id : NULL;
	int			 r;

	if (ex.records == NULL || ex.is_stopping)
		return (-ESHUTDOWN);
	if (id == NULL) {
		ex.host->uuid(uuid);
		id = uuid;
	} else if (strlen(id) > CHELA_APPROVAL_ID_MAX || *id == '\0') {
		return (-EINVAL);
	}
	if (bind_find(id) != NULL || ex.records->info(id, NULL, &info) == 0)
		return (-EEXIST);
	r = plan_from(p, &plan);
	if (r < 0)
		return (r);
	r = bind_new(id, plan, ask != NULL ? ask->caller : NULL, &b);
	if (r < 0) {
		json_object_put(plan);
		return (r);
	}
	b->ctx = ctx;
	b->done = done;
	b->arg = arg;
	b->extra = json_object_new_object();
	if (ask != NULL) {
		set_str(b->extra, "runId", ask->run_id);
		set_str(b->extra, "warningText", ask->warning);
		b->timeout_ms = ask->timeout_ms;
	}
	if (b->timeout_ms == 0)
		b->timeout_ms = TIMEOUT_DEFAULT_MS;
	if (ret_id != NULL)
		(void)snprintf(ret_id, CHELA_APPROVAL_ID_MAX + 1, "%s", id);
	b->refs++;
	if (grant_find(plan)) {
		allow(b, CHELA_ALLOW_ALWAYS, "policy");
		bind_put(b);
	} else {
		job_start(JOB_JUDGE, plan, NULL, on_judged, b);
	}
	json_object_put(plan);
	return (0);
}

/* --- the run --- */

static bool
is_callers(const struct binding *b, struct chela_conn *caller)
{
	struct chela_conn_info	info = { .struct_size = sizeof info };

	if (caller == NULL)
		return (true);
	if (ex.host->conn_info(caller, &info) < 0)
		return (false);
	return ((*b->conn_id != '\0' && strcmp(b->conn_id, info.id) == 0) ||
	    (*b->device_id != '\0' &&
	    strcmp(b->device_id, info.device_id) == 0));
}

/* 0, or why it may not run now. */
static int
standing(const struct binding *b)
{
	struct chela_record_info	info = { .struct_size = sizeof info };
	uint64_t			now = ex.host->now_us();

	switch (b->state) {
	case BINDING_JUDGED:
		return (-EAGAIN);
	case BINDING_REFUSED:
		return (-EACCES);
	case BINDING_SPENT:
		return (-EALREADY);
	case BINDING_ALLOWED:
		return (b->until_us <= now ? -ENOENT : 0);
	case BINDING_ASKED:
		break;
	}
	if (ex.records->info(b->id, NULL, &info) < 0 || !info.is_mine ||
	    info.until_us <= now)
		return (-ENOENT);
	switch (info.status) {
	case CHELA_RECORD_PENDING:
		return (-EAGAIN);
	case CHELA_RECORD_ALLOWED:
		return (0);
	case CHELA_RECORD_DENIED:
		return (-EACCES);
	default:
		return (-ENOENT);
	}
}

static int
svc_claim(const char *id, struct chela_conn *caller, const struct chela_plan *p,
    struct json_object **ret_plan)
{
	struct json_object	*plan = NULL, *copy = NULL;
	struct binding		*b = bind_find(id);
	char			 digest[DIGEST_SIZE];
	int			 r;

	if (b == NULL)
		return (-ENOENT);
	if (!is_callers(b, caller))
		return (-EPERM);
	r = standing(b);
	if (r < 0)
		return (r);
	r = plan_from(p, &plan);
	if (r == 0)
		r = plan_digest(plan, digest);
	json_object_put(plan);
	/* Who tries another plan has shown that the yes is in wrong hands. */
	b->state = BINDING_SPENT;
	if (r == -E2BIG || r == -EINVAL ||
	    (r == 0 && strcmp(digest, b->digest) != 0)) {
		ex.host->log(ex.ctx, CHELA_LOG_WARNING, "approval '%s': "
		    "refused, another plan than the approved one", b->id);
		return (-EBADMSG);
	}
	if (r == 0 && ret_plan != NULL) {
		if (json_object_deep_copy(b->plan, &copy, NULL) < 0)
			return (-ENOMEM);
		*ret_plan = copy;
	}
	return (r);
}

static int
svc_cancel(const char *id)
{
	struct binding	*b = bind_find(id);

	if (b == NULL)
		return (-ENOENT);
	switch (b->state) {
	case BINDING_JUDGED:
		refuse(b, CHELA_DECISION_NONE, "run-aborted");
		return (0);
	case BINDING_ASKED:
		/*
		 * If it is pending its end comes back to on_end(); an answer
		 * that is on its way comes too late for who gave up.
		 */
		if (ex.records->cancel(id) < 0) {
			if (b->done != NULL)
				refuse(b, CHELA_DECISION_NONE, "run-aborted");
			else
				b->state = BINDING_SPENT;
		}
		return (0);
	default:
		b->state = BINDING_SPENT;
		return (0);
	}
}

static void
svc_forget(struct chela_ctx *ctx, void *arg)
{
	struct binding	*b, *next;
	size_t		 i;

	for (i = 0; i < BUCKETS; i++) {
		for (b = buckets[i]; b != NULL; b = next) {
			next = b->next;
			if (b->ctx != ctx || (arg != NULL && b->arg != arg))
				continue;
			b->done = NULL;
			b->ctx = NULL;
			(void)svc_cancel(b->id);
		}
	}
}

void
service_stop(void)
{
	struct binding	*b;
	size_t		 i;

	for (i = 0; i < BUCKETS; i++) {
		while ((b = buckets[i]) != NULL) {
			b->done = NULL;
			/* Its record will not call any more. */
			if (b->waits_record)
				b->refs--;
			bind_unlink(b);
		}
	}
}

const struct chela_approvals_1 approvals_service = {
	.struct_size = sizeof approvals_service,
	.digest = svc_digest,
	.check = svc_check,
	.request = svc_request,
	.claim = svc_claim,
	.cancel = svc_cancel,
	.forget = svc_forget,
};
