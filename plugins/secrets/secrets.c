/* SPDX-License-Identifier: MIT */
/*
 * Plugin secrets: the methods, the snapshot of what references mean, service
 * secrets/1. Values leave this plugin by secrets.resolve and the service alone;
 * no log line and no error text has one.
 */
#include "secrets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/gnutls.h>

#include <chela/services/audit.h>
#include <chela/services/secrets.h>

#define REDACTED	"__OPENCLAW_REDACTED__"

struct secrets	secrets;

/* Places whose values the command may ask for; the same words name them. */
static const char *const targets[] = {
	"models.providers.*.apiKey",
	"models.providers.*.headers.*",
	"channels.*.*",
	"channels.*.accounts.*.*",
	"cron.webhookToken",
	"gateway.remote.token",
	"gateway.remote.password",
	"gateway.controlUi.github.token",
	"hooks.token",
	"messages.tts.providers.*.apiKey",
	"plugins.entries.*.config.*",
	"plugins.entries.*.config.*.*",
	"skills.entries.*.apiKey",
	"talk.apiKey",
	"talk.providers.*.apiKey",
	"tools.web.fetch.*.apiKey",
	"tools.web.search.apiKey",
	"tools.web.search.*.apiKey",
};

/* --- small things --- */

static void
wipe_strings(struct json_object *o)
{
	size_t	 i;

	switch (json_object_get_type(o)) {
	case json_type_string:
		vault_wipe((void *)(uintptr_t)json_object_get_string(o),
		    (size_t)json_object_get_string_len(o));
		break;
	case json_type_array:
		for (i = 0; i < json_object_array_length(o); i++)
			wipe_strings(json_object_array_get_idx(o, i));
		break;
	case json_type_object: {
		json_object_object_foreach(o, key, v) {
			(void)key;
			wipe_strings(v);
		}
		break;
	}
	default:
		break;
	}
}

void
obj_wipe(struct json_object *o)
{
	if (o == NULL)
		return;
	wipe_strings(o);
	json_object_put(o);
}

/* Answers with o as text, and leaves nothing of it behind here. Takes o. */
static int
reply_wiped(struct chela_req *req, struct json_object *o)
{
	const char	*text;
	char		*copy;
	size_t		 len;

	text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	copy = text == NULL ? NULL : strndup(text, len);
	if (text != NULL)
		vault_wipe((void *)(uintptr_t)text, len);
	obj_wipe(o);
	if (copy == NULL)
		return (secrets.host->req_fail(req, "UNAVAILABLE",
		    "no memory"));
	return (secrets.host->req_reply_text(req, copy, len));
}

/* --- the snapshot --- */

typedef void reload_done_fn(int r, size_t n_warnings, void *arg);

struct reload {
	struct reload	*next;
	reload_done_fn	*done;
	void		*arg;
};

static struct {
	bool		 is_running, is_again;
	struct reload	*waiting;	/* for the run after the running one */
	struct reload	*now;
} reload;

static void	reload_run(void);

static void
reload_end(int r, size_t n_warnings)
{
	struct reload	*l = reload.now, *next;

	reload.now = NULL;
	reload.is_running = false;
	for (; l != NULL; l = next) {
		next = l->next;
		l->done(r, n_warnings, l->arg);
		free(l);
	}
	if (reload.is_again) {
		reload.is_again = false;
		reload_run();
	}
}

/*
 * All or nothing: a strict reference without a value keeps the old snapshot. Another
 * one keeps its old value where it had one, and is a warning.
 */
static void
reload_done(struct job *job, struct refs *refs, void *arg)
{
	struct ref	*ref, *old;
	size_t		 i, n_bad = 0;
	struct refs	 gone;
	bool		 is_refused = false;

	(void)arg;
	for (i = 0; i < refs->n; i++) {
		ref = &refs->items[i];
		if (ref->r == 0)
			continue;
		n_bad++;
		is_refused |= ref->is_strict;
		secrets.host->log(secrets.ctx, CHELA_LOG_WARNING,
		    "secret of '%s': no value (%s, provider '%s')", ref->path,
		    ref->r == -ENOENT ? "not there" : ref->r == -EPERM ?
		    "its file is not private" : ref->r == -ETIMEDOUT ?
		    "no answer in time" : "failed", ref->provider);
		old = refs_find(&secrets.active, ref);
		if (old != NULL && old->value != NULL) {
			ref->value = strdup(old->value);
			ref->len = ref->value != NULL ? old->len : 0;
		}
	}
	if (is_refused) {
		reload_end(-EINVAL, n_bad);
		return;
	}
	gone = secrets.active;
	secrets.active = job_take(job);
	refs_fini(&gone);
	reload_end(0, n_bad);
}

static void
reload_run(void)
{
	struct refs	 refs;
	int		 r;

	reload.is_running = true;
	reload.now = reload.waiting;
	reload.waiting = NULL;
	r = refs_collect(&refs);
	if (r == 0)
		r = job_start(&refs, reload_done, NULL);
	if (r < 0)
		reload_end(r, 0);
}

static void
reload_ask(reload_done_fn *done, void *arg)
{
	struct reload	*l = malloc(sizeof *l);

	if (l == NULL) {
		done(-ENOMEM, 0, arg);
		return;
	}
	*l = (struct reload){ reload.waiting, done, arg };
	reload.waiting = l;
	if (reload.is_running)
		reload.is_again = true;
	else
		reload_run();
}

static void
nobody(int r, size_t n_warnings, void *arg)
{
	(void)r;
	(void)n_warnings;
	(void)arg;
}

static void
on_config(const struct chela_config_change *change, void *arg)
{
	(void)change;
	(void)arg;
	reload_ask(nobody, NULL);
}

static void
reload_replied(int r, size_t n_warnings, void *arg)
{
	struct chela_req	*req = arg;
	struct json_object	*o;

	if (r < 0) {
		secrets.host->log(secrets.ctx, CHELA_LOG_WARNING,
		    "secrets: not reloaded (%zu without a value)", n_warnings);
		(void)secrets.host->req_fail(req, "UNAVAILABLE",
		    "secrets.reload failed");
	} else {
		o = json_object_new_object();
		json_object_object_add(o, "ok", json_object_new_boolean(1));
		json_object_object_add(o, "warningCount",
		    json_object_new_int64((int64_t)n_warnings));
		(void)secrets.host->req_reply(req, o);
	}
	secrets.host->req_unref(req);
}

static int
secrets_reload(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	reload_ask(reload_replied, secrets.host->req_ref(req));
	return (0);
}

/* --- secrets.resolve --- */

struct ask {
	struct chela_req	*req;
	struct json_object	*params;
};

static bool
has_string(struct json_object *list, const char *s)
{
	size_t	 i;

	for (i = 0; json_object_is_type(list, json_type_array) &&
	    i < json_object_array_length(list); i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(
		    list, i)), s) == 0)
			return (true);
	}
	return (false);
}

static bool
is_target(const char *id)
{
	size_t	 i;

	for (i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		if (strcmp(targets[i], id) == 0)
			return (true);
	}
	return (false);
}

static void
resolve_done(struct job *job, struct refs *refs, void *arg)
{
	struct ask		*a = arg;
	struct json_object	*o, *list, *inactive, *notes, *one;
	struct ref		*ref;
	char			 note[512];
	size_t			 i;
	bool			 is_bad = false;

	(void)job;
	o = json_object_new_object();
	list = json_object_new_array();
	inactive = json_object_new_array();
	notes = json_object_new_array();
	json_object_object_add(o, "ok", json_object_new_boolean(1));
	json_object_object_add(o, "assignments", list);
	json_object_object_add(o, "diagnostics", notes);
	json_object_object_add(o, "inactiveRefPaths", inactive);
	for (i = 0; i < refs->n; i++) {
		ref = &refs->items[i];
		if (ref->r == 0) {
			one = json_object_new_object();
			json_object_object_add(one, "path",
			    json_object_new_string(ref->path));
			json_object_object_add(one, "pathSegments",
			    json_object_get(ref->segments));
			json_object_object_add(one, "value",
			    json_object_new_string_len(ref->value,
			    (int)ref->len));
			json_object_array_add(list, one);
			continue;
		}
		if (!has_string(get_any(a->params, "optionalActivePaths"),
		    ref->path))
			is_bad = true;
		(void)snprintf(note, sizeof note, "%s: no value from provider "
		    "\"%s\"", ref->path, ref->provider);
		json_object_array_add(notes, json_object_new_string(note));
		json_object_array_add(inactive,
		    json_object_new_string(ref->path));
	}
	if (is_bad) {
		obj_wipe(o);
		(void)secrets.host->req_fail(a->req, "UNAVAILABLE",
		    "secrets.resolve failed");
	} else {
		(void)reply_wiped(a->req, o);
	}
	secrets.host->req_unref(a->req);
	json_object_put(a->params);
	free(a);
}

/* Only what was asked for stays in refs. */
static void
refs_select(struct refs *refs, struct json_object *ids,
    struct json_object *allowed)
{
	struct refs	 rest = { .items = NULL };
	struct ref	*ref;
	size_t		 i, k, n = 0;
	bool		 is_wanted;

	rest.items = calloc(refs->n + 1, sizeof *rest.items);
	for (i = 0; rest.items != NULL && i < refs->n; i++) {
		ref = &refs->items[i];
		is_wanted = false;
		for (k = 0; k < json_object_array_length(ids); k++)
			is_wanted |= refs_match(json_object_get_string(
			    json_object_array_get_idx(ids, k)), ref->segments);
		if (is_wanted && allowed != NULL)
			is_wanted = has_string(allowed, ref->path);
		if (is_wanted)
			refs->items[n++] = *ref;
		else
			rest.items[rest.n++] = *ref;
	}
	if (rest.items != NULL)
		refs->n = n;
	refs_fini(&rest);
}

static int
secrets_resolve(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*ids = get_any(params, "targetIds");
	struct refs		 refs;
	struct ask		*a;
	const char		*id;
	size_t			 i;

	(void)ctx;
	for (i = 0; i < json_object_array_length(ids); i++) {
		id = json_object_get_string(json_object_array_get_idx(ids, i));
		if (!is_target(id))
			return (secrets.host->req_fail(req, "INVALID_REQUEST",
			    "invalid secrets.resolve params: unknown target id "
			    "\"%.128s\"", id));
	}
	if (refs_collect(&refs) < 0)
		return (secrets.host->req_fail(req, "UNAVAILABLE",
		    "secrets.resolve failed"));
	refs_select(&refs, ids, get_any(params, "allowedPaths"));
	a = malloc(sizeof *a);
	if (a == NULL) {
		refs_fini(&refs);
		return (-ENOMEM);
	}
	*a = (struct ask){ secrets.host->req_ref(req),
	    json_object_get(params) };
	if (job_start(&refs, resolve_done, a) < 0) {
		secrets.host->req_unref(a->req);
		json_object_put(a->params);
		free(a);
		return (-ENOMEM);
	}
	return (0);
}

/* --- the store --- */

static void
list_ready(int r, void *arg)
{
	struct chela_req	*req = arg;
	struct json_object	*list, *o;

	if (r == 0)
		r = store_list(&list);
	if (r < 0) {
		(void)secrets.host->req_fail(req, "UNAVAILABLE", "%s",
		    store_error(r));
	} else {
		o = json_object_new_object();
		json_object_object_add(o, "entries", list);
		(void)reply_wiped(req, o);
	}
	secrets.host->req_unref(req);
}

static int
store_list_method(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	(void)secrets.host->req_ref(req);
	if (store_has_env())
		store_key(false, list_ready, req);
	else
		list_ready(0, req);	/* names need no key */
	return (0);
}

/* A change under way: its values are wiped when it ends. */
struct change {
	struct chela_req	*req;
	struct json_object	*hosts;
	char			*name;
	char			*value;
	size_t			 len;
	char			*by;
	const char		*kind;
};

static void
change_free(struct change *c)
{
	secrets.host->req_unref(c->req);
	json_object_put(c->hosts);
	free(c->name);
	vault_drop(c->value, c->len);
	free(c->by);
	free(c);
}

static void
change_reply(struct change *c, bool is_reloaded, size_t n_warnings)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "ok", json_object_new_boolean(1));
	json_object_object_add(o, "reloaded",
	    json_object_new_boolean(is_reloaded));
	if (is_reloaded)
		json_object_object_add(o, "warningCount",
		    json_object_new_int64((int64_t)n_warnings));
	(void)secrets.host->req_reply(c->req, o);
	change_free(c);
}

static void
change_reloaded(int r, size_t n_warnings, void *arg)
{
	struct change	*c = arg;

	if (r == 0) {
		change_reply(c, true, n_warnings);
		return;
	}
	(void)secrets.host->req_fail(c->req, "UNAVAILABLE", "the change of %s "
	    "was saved, but references to it could not be refreshed", c->name);
	change_free(c);
}

/* That it changed and who did it; never to what. */
static void
change_audit(const struct change *c)
{
	const struct chela_audit_1	*svc;
	struct chela_conn_info		 info = { .struct_size = sizeof info };
	struct chela_conn		*conn = secrets.host->req_conn(c->req);
	struct chela_audit_security	 s = {
		.struct_size = sizeof s,
		.flags = CHELA_AUDIT_EACH,
		.action = c->value != NULL ? "secret.set" : "secret.deleted",
		.status = "succeeded",
		.detail = c->name,
	};

	svc = secrets.host->svc_import(secrets.ctx, CHELA_AUDIT_SERVICE);
	if (svc == NULL)
		return;
	if (conn != NULL && secrets.host->conn_info(conn, &info) == 0) {
		s.actor_type = *info.device_id != '\0' ? "device" : "client";
		s.actor_id = *info.device_id != '\0' ? info.device_id :
		    info.client_id;
	}
	(void)svc->security(secrets.ctx, &s);
}

static void
change_stored(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct change	*c = arg;
	struct refs	 refs = { .items = NULL };
	size_t		 i;
	bool		 is_used = false;

	(void)ctx;
	(void)rev;
	if (r < 0) {
		(void)secrets.host->req_fail(c->req, "UNAVAILABLE", "%s",
		    store_error(r));
		change_free(c);
		return;
	}
	secrets.host->log(secrets.ctx, CHELA_LOG_NOTICE, "secret '%s': %s",
	    c->name, c->value != NULL ? "set" : "deleted");
	change_audit(c);
	(void)refs_collect(&refs);
	for (i = 0; i < refs.n; i++)
		is_used |= strcmp(refs.items[i].source, "store") == 0 &&
		    strcmp(refs.items[i].id, c->name) == 0;
	refs_fini(&refs);
	if (is_used)
		reload_ask(change_reloaded, c);
	else
		change_reply(c, false, 0);
}

static void
set_ready(int r, void *arg)
{
	struct change		*c = arg;
	struct json_object	*hosts = c->hosts;

	c->hosts = NULL;
	if (r < 0)
		json_object_put(hosts);
	else
		r = store_set(c->name, c->value, c->len, c->kind, hosts, c->by,
		    change_stored, c);
	if (r < 0) {
		(void)secrets.host->req_fail(c->req, "UNAVAILABLE", "%s",
		    store_error(r));
		change_free(c);
	}
}

/* Lower case, punycode; no port, no wildcard, no address in brackets. */
static int
host_clean(const char *s, char ret[HOST_MAX_LEN + 1])
{
	gnutls_datum_t	 out = { NULL, 0 };
	size_t		 i, n, label = 0;

	if (gnutls_idna_map(s, (unsigned)strlen(s), &out, 0) < 0)
		return (-EINVAL);
	n = out.size;
	if (n == 0 || n > HOST_MAX_LEN) {
		gnutls_free(out.data);
		return (-EINVAL);
	}
	memcpy(ret, out.data, n);
	ret[n] = '\0';
	gnutls_free(out.data);
	for (i = 0; i < n; i++) {
		if (ret[i] >= 'A' && ret[i] <= 'Z')
			ret[i] = (char)(ret[i] - 'A' + 'a');
		if (ret[i] == '.') {
			if (label == 0 || ret[i - 1] == '-')
				return (-EINVAL);
			label = 0;
			continue;
		}
		if (!((ret[i] >= 'a' && ret[i] <= 'z') ||
		    (ret[i] >= '0' && ret[i] <= '9') ||
		    (ret[i] == '-' && label > 0)) || ++label > 63)
			return (-EINVAL);
	}
	return (label == 0 || ret[n - 1] == '-' ? -EINVAL : 0);
}

static int
compare_text(const void *a, const void *b)
{
	return (strcmp(
	    json_object_get_string(*(struct json_object *const *)a),
	    json_object_get_string(*(struct json_object *const *)b)));
}

/* Gives the clean list, sorted, each once. */
static int
hosts_clean(struct json_object *list, struct json_object **ret)
{
	struct json_object	*out = json_object_new_array();
	char			 host[HOST_MAX_LEN + 1];
	size_t			 i;

	for (i = 0; i < json_object_array_length(list); i++) {
		if (i >= HOSTS_MAX || host_clean(json_object_get_string(
		    json_object_array_get_idx(list, i)), host) < 0) {
			json_object_put(out);
			return (-EINVAL);
		}
		if (!has_string(out, host))
			json_object_array_add(out,
			    json_object_new_string(host));
	}
	json_object_array_sort(out, compare_text);
	*ret = out;
	return (0);
}

static char *
caller_name(struct chela_req *req)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct chela_conn	*conn = secrets.host->req_conn(req);
	const char		*s = "gateway";

	if (conn != NULL && secrets.host->conn_info(conn, &info) == 0) {
		if (*info.display_name != '\0')
			s = info.display_name;
		else if (*info.client_id != '\0')
			s = info.client_id;
	}
	return (strndup(s, 128));
}

/* NULL when the values are good, else what is wrong with them. */
static const char *
set_check(struct json_object *params, struct json_object **ret_hosts)
{
	struct json_object	*hosts = get_any(params, "allowedHosts");
	struct json_object	*v = get_any(params, "value");
	const char		*value = json_object_get_string(v);
	size_t			 len = (size_t)json_object_get_string_len(v);
	bool			 is_env;

	is_env = strcmp(get_str(params, "kind"), "env") == 0;
	if (is_env && hosts != NULL)
		return ("Allowed hosts apply only to secret entries.");
	if (!is_env && len == 0)
		return ("A secret value must not be empty.");
	if (len > VALUE_MAX)
		return ("The value is longer than 65536 bytes.");
	if (strlen(value) != len)
		return ("The value must not contain a NUL character.");
	if (strcmp(value, REDACTED) == 0)
		return ("The value is the mark of a hidden value, not a "
		    "value.");
	if (hosts != NULL && hosts_clean(hosts, ret_hosts) < 0)
		return ("An allowed host is not a plain host name.");
	return (NULL);
}

static int
store_set_method(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*v = get_any(params, "value"), *hosts = NULL;
	const char		*why;
	struct change		*c;

	(void)ctx;
	why = set_check(params, &hosts);
	if (why != NULL) {
		wipe_strings(v);
		return (secrets.host->req_fail(req, "INVALID_REQUEST",
		    "invalid secrets.store.set params: %s", why));
	}
	c = calloc(1, sizeof *c);
	if (c == NULL) {
		json_object_put(hosts);
		return (-ENOMEM);
	}
	c->req = secrets.host->req_ref(req);
	c->hosts = hosts;
	c->len = (size_t)json_object_get_string_len(v);
	c->value = strndup(json_object_get_string(v), c->len);
	c->name = strdup(get_str(params, "name"));
	c->by = caller_name(req);
	c->kind = strcmp(get_str(params, "kind"), "env") == 0 ? "env" :
	    "secret";
	/* The parameters live until the host is done with them. */
	wipe_strings(v);
	if (c->value == NULL || c->name == NULL || c->by == NULL) {
		change_free(c);
		return (-ENOMEM);
	}
	store_key(true, set_ready, c);
	return (0);
}

static int
store_delete_method(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct change	*c = calloc(1, sizeof *c);
	int		 r;

	(void)ctx;
	if (c == NULL)
		return (-ENOMEM);
	c->req = secrets.host->req_ref(req);
	c->name = strdup(get_str(params, "name"));
	r = c->name == NULL ? -ENOMEM : store_del(c->name, change_stored, c);
	store_purge();
	if (r == -ENOENT) {
		change_reply(c, false, 0);	/* as it should be already */
		return (0);
	}
	if (r < 0) {
		(void)secrets.host->req_fail(req, "UNAVAILABLE", "%s",
		    store_error(r));
		change_free(c);
	}
	return (0);
}

/* --- service --- */

static int
service_get(struct json_object *ref, const char **ret_value)
{
	struct refs	 one = { .items = NULL };
	struct ref	*found;
	int		 r;

	r = refs_add(&one, ref, "", NULL);
	if (r < 0)
		return (r);
	found = refs_find(&secrets.active, &one.items[0]);
	refs_fini(&one);
	if (found == NULL || found->value == NULL)
		return (-ENOENT);
	*ret_value = found->value;
	return (0);
}

struct service_ask {
	struct chela_ctx	*ctx;
	chela_secret_fn		*done;
	void			*arg;
};

static void
service_resolved(struct job *job, struct refs *refs, void *arg)
{
	struct service_ask	*a = arg;
	struct ref		*ref = &refs->items[0];

	(void)job;
	a->done(a->ctx, ref->r == 1 ? -EIO : ref->r, ref->r == 0 ? ref->value :
	    NULL, a->arg);
	free(a);
}

struct service_job {
	struct service_ask	*a;
	struct refs		 refs;
};

static void
service_run(struct chela_ctx *ctx, void *arg)
{
	struct service_job	*j = arg;

	(void)ctx;
	if (job_start(&j->refs, service_resolved, j->a) < 0) {
		j->a->done(j->a->ctx, -ENOMEM, NULL, j->a->arg);
		free(j->a);
	}
	free(j);
}

static int
service_resolve(struct chela_ctx *ctx, struct json_object *ref,
    chela_secret_fn *done, void *arg)
{
	struct service_job	*j = calloc(1, sizeof *j);
	int			 r;

	if (j == NULL)
		return (-ENOMEM);
	r = refs_add(&j->refs, ref, "", NULL);
	if (r == 0) {
		j->a = malloc(sizeof *j->a);
		r = j->a == NULL ? -ENOMEM : 0;
	}
	if (r == 0) {
		*j->a = (struct service_ask){ ctx, done, arg };
		r = secrets.host->post(secrets.ctx, service_run, j);
	}
	if (r < 0) {
		free(j->a);
		refs_fini(&j->refs);
		free(j);
	}
	return (r);
}

static const struct chela_secrets_1 service = {
	.struct_size = sizeof service,
	.get = service_get,
	.resolve = service_resolve,
	.each_env = store_each_env,
};

/* --- life --- */

static int
secrets_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	secrets = (struct secrets){ .host = h, .ctx = ctx };
	return (h->svc_export(ctx, CHELA_SECRETS_SERVICE, &service));
}

static void
start_ready(int r, void *arg)
{
	(void)arg;
	if (r < 0 && r != -ENOENT)
		secrets.host->log(secrets.ctx, CHELA_LOG_ERR,
		    "secrets: %s", store_error(r));
}

static int
secrets_start(struct chela_ctx *ctx)
{
	secrets.config = secrets.host->svc_import(ctx, CHELA_CONFIG_SERVICE);
	secrets.process = secrets.host->svc_import(ctx, CHELA_PROCESS_SERVICE);
	if (secrets.config != NULL)
		(void)secrets.config->subscribe(on_config, NULL);
	store_purge();
	store_key(false, start_ready, NULL);
	reload_ask(nobody, NULL);
	return (0);
}

static void
secrets_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	if (secrets.config != NULL)
		secrets.config->unsubscribe(on_config, NULL);
}

static void
secrets_fini(struct chela_ctx *ctx)
{
	struct reload	*l;

	(void)ctx;
	store_close();
	job_cancel_all();
	while ((l = reload.now != NULL ? reload.now : reload.waiting) != NULL) {
		if (l == reload.now)
			reload.now = l->next;
		else
			reload.waiting = l->next;
		free(l);
	}
	reload.is_running = reload.is_again = false;
	refs_fini(&secrets.active);
}

static const struct chela_method methods[] = {
	{ .name = "secrets.reload", .handler = secrets_reload,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin",
	    .flags = CHELA_METHOD_WRITE },
	{ .name = "secrets.resolve", .handler = secrets_resolve,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin" },
	{ .name = "secrets.store.list", .handler = store_list_method,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin" },
	{ .name = "secrets.store.set", .handler = store_set_method,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin",
	    .flags = CHELA_METHOD_WRITE },
	{ .name = "secrets.store.delete", .handler = store_delete_method,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin",
	    .flags = CHELA_METHOD_WRITE },
};

static const struct chela_dep deps[] = {
	{ .name = "process", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "audit", .flags = CHELA_DEP_OPTIONAL },
};

CHELA_PLUGIN = {
	CHELA_HEAD("secrets"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "Secrets: references, providers, an encrypted store",
	CHELA_METHODS(methods),
	CHELA_DEPS(deps),
	.init = secrets_init,
	.start = secrets_start,
	.stop = secrets_stop,
	.fini = secrets_fini,
};
