/* SPDX-License-Identifier: MIT */
/*
 * Standing permissions: "always" for a plan of a scheduled job. It holds for
 * the same argv, cwd, environment, agent and node in later runs of that job
 * alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec_priv.h"

#define PREFIX		"grant/"
#define KEY_SIZE	(sizeof PREFIX + 36)
#define LIMIT_DEFAULT	100
#define SHOWN_MAX	512u	/* bytes of a command in the list */
#define DAY_MS		UINT64_C(86400000)
#define JOB_MAX		128u

static bool
is_live(struct json_object *g)
{
	int64_t	until = get_int(g, "expiresAtMs", 0);
	int64_t	now = (int64_t)ex.host->wall_ms();

	/*
	 * It lasts for days and over restarts: by the wall clock. One that was
	 * set back behind the day when it was made makes none last longer.
	 */
	return (get_any(g, "revokedAtMs") == NULL && (until == 0 ||
	    (until > now && get_int(g, "createdAtMs", 0) <= now)));
}

struct search {
	const char		*digest, *job;
	char			 key[KEY_SIZE];
	struct json_object	*found;
	size_t			 n;
	char			 oldest[KEY_SIZE];
	int64_t			 oldest_ms;
};

static int
on_match(const char *key, struct json_object *g, uint64_t rev, void *arg)
{
	struct search	*s = arg;
	const char	*digest = get_str(g, "digest");
	const char	*job = get_str(g, "cronJobId");

	(void)rev;
	if (digest == NULL || job == NULL || !is_live(g) ||
	    strcmp(digest, s->digest) != 0 || strcmp(job, s->job) != 0)
		return (0);
	(void)snprintf(s->key, sizeof s->key, "%s", key);
	s->found = NULL;
	return (json_object_deep_copy(g, &s->found, NULL) < 0 ? 0 : 1);
}

bool
grant_find(struct json_object *plan)
{
	struct search	s = { .found = NULL };
	char		digest[DIGEST_SIZE], job[JOB_MAX];

	if (!cron_job_of(get_str(plan, "sessionKey"), job, sizeof job) ||
	    plan_digest_any_session(plan, digest) < 0)
		return (false);
	s.digest = digest;
	s.job = job;
	(void)ex.host->kv_each(ex.ctx, PREFIX, on_match, &s);
	if (s.found == NULL)
		return (false);
	set_int(s.found, "useCount", get_int(s.found, "useCount", 0) + 1);
	set_int(s.found, "lastUsedAtMs", (int64_t)ex.host->wall_ms());
	(void)ex.host->kv_put(ex.ctx, s.key, s.found, CHELA_ANY_REV, NULL,
	    NULL);
	return (true);
}

static int
on_count(const char *key, struct json_object *g, uint64_t rev, void *arg)
{
	struct search	*s = arg;
	int64_t		 ms = get_int(g, "createdAtMs", 0);

	(void)rev;
	s->n++;
	/* One that is over goes first, the oldest of them. */
	if (is_live(g))
		ms += INT64_MAX / 2;
	if (s->oldest_ms < 0 || ms < s->oldest_ms) {
		s->oldest_ms = ms;
		(void)snprintf(s->oldest, sizeof s->oldest, "%s", key);
	}
	return (0);
}

static void
set_cut(struct json_object *o, const char *name, const char *s)
{
	char	*e = s == NULL ? NULL : text_escape(s, strlen(s));
	size_t	 n = SHOWN_MAX;

	if (e != NULL && strlen(e) > SHOWN_MAX) {
		while (n > 0 && ((unsigned char)e[n] & 0xc0) == 0x80)
			n--;
		e[n] = '\0';
	}
	set_str_or_null(o, name, e != NULL && *e != '\0' ? e : NULL);
	free(e);
}

void
grant_mint(struct json_object *plan, const char *approval_id, uint32_t days)
{
	struct search		 s = { .oldest_ms = -1 };
	struct json_object	*g;
	char			 digest[DIGEST_SIZE], job[JOB_MAX], key[KEY_SIZE];
	char			 uuid[37], *text;
	const char		*agent = get_str(plan, "agentId");
	uint64_t		 now = ex.host->wall_ms();

	if (!cron_job_of(get_str(plan, "sessionKey"), job, sizeof job) ||
	    plan_digest_any_session(plan, digest) < 0)
		return;
	(void)ex.host->kv_each(ex.ctx, PREFIX, on_count, &s);
	if (s.n >= GRANTS_MAX)
		(void)ex.host->kv_del(ex.ctx, s.oldest, CHELA_ANY_REV, NULL,
		    NULL);
	ex.host->uuid(uuid);
	(void)snprintf(key, sizeof key, PREFIX "%s", uuid);
	text = plan_text(plan);
	g = json_object_new_object();
	set_str(g, "grantId", uuid);
	set_str(g, "mintedByApprovalId", approval_id);
	set_str(g, "agentId", agent != NULL && *agent != '\0' ? agent : "main");
	set_str(g, "cronJobId", job);
	set_str_or_null(g, "cronJobName", NULL);
	set_cut(g, "command", text);
	set_cut(g, "cwd", get_str(plan, "cwd"));
	set_int(g, "createdAtMs", (int64_t)now);
	if (days > 0)
		set_int(g, "expiresAtMs", (int64_t)(now + days * DAY_MS));
	else
		set_str_or_null(g, "expiresAtMs", NULL);
	set_str_or_null(g, "revokedAtMs", NULL);
	set_str_or_null(g, "revokedBy", NULL);
	set_str_or_null(g, "lastUsedAtMs", NULL);
	set_int(g, "useCount", 0);
	set_str(g, "digest", digest);
	free(text);
	if (ex.host->kv_put(ex.ctx, key, g, CHELA_NEW_REV, NULL, NULL) < 0)
		ex.host->log(ex.ctx, CHELA_LOG_WARNING,
		    "approval '%s': the standing permission was not stored",
		    approval_id);
}

/* --- methods --- */

struct listing {
	struct json_object	**all;
	size_t			 n;
};

static int
on_list(const char *key, struct json_object *g, uint64_t rev, void *arg)
{
	struct listing		*l = arg;
	struct json_object	*copy = NULL;

	(void)key;
	(void)rev;
	if (l->n >= GRANTS_MAX || json_object_deep_copy(g, &copy, NULL) < 0)
		return (1);
	json_object_object_del(copy, "digest");
	l->all[l->n++] = copy;
	return (0);
}

static int
newer(const void *a, const void *b)
{
	int64_t	x = get_int(*(struct json_object *const *)a, "createdAtMs", 0);
	int64_t	y = get_int(*(struct json_object *const *)b, "createdAtMs", 0);

	if (x != y)
		return (x > y ? -1 : 1);
	return (strcmp(get_str(*(struct json_object *const *)a, "grantId"),
	    get_str(*(struct json_object *const *)b, "grantId")));
}

int
grants_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct listing		 l = { NULL, 0 };
	struct json_object	*o, *list;
	size_t			 i;
	int64_t			 limit = get_int(params, "limit",
	    LIMIT_DEFAULT);

	l.all = calloc(GRANTS_MAX, sizeof(*l.all));
	if (l.all == NULL)
		return (-ENOMEM);
	(void)ex.host->kv_each(ctx, PREFIX, on_list, &l);
	qsort(l.all, l.n, sizeof(*l.all), newer);
	list = json_object_new_array();
	for (i = 0; i < l.n; i++) {
		if ((int64_t)i < limit)
			(void)json_object_array_add(list, l.all[i]);
		else
			json_object_put(l.all[i]);
	}
	free(l.all);
	o = json_object_new_object();
	json_object_object_add(o, "grants", list);
	return (ex.host->req_reply(req, o));
}

static void
on_revoked(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct chela_req	*req = arg;
	struct json_object	*o;

	(void)ctx;
	(void)rev;
	if (r < 0) {
		(void)ex.host->req_fail(req, ERR_DOWN,
		    "the revocation could not be stored");
	} else {
		o = json_object_new_object();
		set_str(o, "outcome", "revoked");
		(void)ex.host->req_reply(req, o);
	}
	ex.host->req_unref(req);
}

int
grants_revoke(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct chela_conn	*conn = ex.host->req_conn(req);
	struct json_object	*g = NULL, *o;
	const char		*id = get_str(params, "grantId"), *state = NULL;
	char			 key[KEY_SIZE];
	int			 r;

	if (strlen(id) != 36)
		state = "not-found";
	(void)snprintf(key, sizeof key, PREFIX "%s", id);
	if (state == NULL && ex.host->kv_get(ctx, key, &g, NULL) < 0)
		state = "not-found";
	if (state == NULL && get_any(g, "revokedAtMs") != NULL)
		state = "already-revoked";
	if (state != NULL) {
		json_object_put(g);
		o = json_object_new_object();
		set_str(o, "outcome", state);
		return (ex.host->req_reply(req, o));
	}
	set_int(g, "revokedAtMs", (int64_t)ex.host->wall_ms());
	if (conn != NULL && ex.host->conn_info(conn, &info) == 0) {
		char	by[201];

		(void)snprintf(by, sizeof by, "%.200s",
		    *info.display_name != '\0' ? info.display_name :
		    info.client_id);
		/* Cut between characters, not within one. */
		for (r = (int)strlen(by); r == 200 && r > 0 &&
		    ((unsigned char)by[r - 1] & 0x80) != 0; r--)
			by[r - 1] = '\0';
		set_str_or_null(g, "revokedBy", *by != '\0' ? by : NULL);
	}
	/* From here on it counts no more; durable when the answer comes. */
	r = ex.host->kv_put(ctx, key, g, CHELA_ANY_REV, on_revoked,
	    ex.host->req_ref(req));
	if (r < 0)
		ex.host->req_unref(req);
	return (r);
}
