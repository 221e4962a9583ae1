/* SPDX-License-Identifier: MIT */
/* Where the gateway's own secret comes from, and which pages may connect. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "core/access/access.h"
#include "core/access/scope.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/config/config.h"
#include "core/daemon/daemon.h"
#include "core/daemon/refs.h"
#include "core/json/json.h"
#include "core/protocol/proto.h"

static int
set_secret(struct auth *a, const char *text, const char *source)
{
	struct secret	*s = a->mode == AUTH_TOKEN ? &a->token : &a->password;
	struct buf	 why = BUF_INIT;
	int		 r;

	r = secret_set(s, text, &why);
	if (r == 0)
		r = auth_set_generation(a, text, strlen(text));
	if (r < 0) {
		(void)buf_putc(&why, '\0');
		log_err("auth", "the secret from %s cannot be used (%s)", source,
		    why.data != NULL ? why.data : "");
	}
	buf_fini(&why);
	return (r);
}

/* The first line of a file, without its end. */
static int
set_secret_file(struct auth *a, const char *path)
{
	char	*text;
	size_t	 len;
	int	 r;

	r = file_read(path, SECRET_MAX + 1, &text, &len);
	if (r < 0) {
		log_err("auth", "token file '%s': %s", path, strerror(-r));
		return (r);
	}
	text[strcspn(text, "\r\n")] = '\0';
	r = set_secret(a, text, path);
	secret_wipe(text, len);
	free(text);
	return (r);
}

/* A first start makes a token and says where it is, not what it is. */
static int
make_token(struct daemon *d, struct auth *a)
{
	char	 token[45];
	char	*path;
	int	 r;

	path = file_join(d->state_dir, DAEMON_TOKEN_FILE);
	if (path == NULL)
		return (-ENOMEM);
	r = access(path, F_OK) < 0 ? -errno : set_secret_file(a, path);
	if (r == -ENOENT) {
		r = secret_random(token);
		if (r == 0) {
			token[43] = '\n';
			r = file_write_atomic(path, token, 44, 0600);
			token[43] = '\0';
		}
		if (r == 0)
			r = set_secret(a, token, path);
		if (r == 0)
			log_notice("auth", "a new token was written to '%s'",
			    path);
		else
			log_err("auth", "no token could be made in '%s': %s",
			    path, strerror(-r));
		secret_wipe(token, sizeof token);
	}
	free(path);
	return (r);
}

static bool
is_loopback_bind(const char *bind)
{
	return (strncmp(bind, "127.", 4) == 0 || strcmp(bind, "::1") == 0);
}

/*
 * A reference that is still one: the store is asked when plugins are there, and
 * not before. A token of our own in its place would lock everybody out who has
 * theirs.
 */
static bool
is_elsewhere(struct conf *conf, const char *path)
{
	if (!json_object_is_type(conf_get(conf, path), json_type_object))
		return (false);
	log_err("auth", "%s cannot be read from that source (give it with "
	    "source \"env\", \"file\" or \"exec\", $CHELA_TOKEN, "
	    "$CHELA_PASSWORD or --token-file)",
	    path);
	return (true);
}

/* Text of a secret in a file: 1, 0 without one, or why not is in the log. */
static int
from_file(const struct ref *ref, const char *path, const char **ret_text)
{
	if (!ref->is_set)
		return (0);
	if (ref->r < 0) {
		log_err("auth", "%s cannot be had (%s)", path,
		    ref_problem(ref));
		return (-EINVAL);
	}
	*ret_text = ref->text;
	return (1);
}

static int
load_token(struct daemon *d, struct conf *conf, const struct refs *refs,
    struct auth *a)
{
	const char	*env = getenv("CHELA_TOKEN");
	const char	*text = conf_get_str(conf, "gateway.auth.token", NULL);
	int		 r;

	if (d->opt.token_file != NULL)
		return (set_secret_file(a, d->opt.token_file));
	if (env != NULL)
		return (set_secret(a, env, "$CHELA_TOKEN"));
	r = from_file(&refs->refs[REF_TOKEN], "gateway.auth.token", &text);
	if (r < 0)
		return (r);
	if (text != NULL)
		return (set_secret(a, text, "gateway.auth.token"));
	if (is_elsewhere(conf, "gateway.auth.token"))
		return (-EINVAL);
	return (make_token(d, a));
}

/* Names of scopes, with prefix or without, as bits. */
static uint32_t
scopes_of(struct json_object *list)
{
	struct json_object	*s;
	uint32_t		 bits = 0;
	size_t			 i;

	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		s = json_object_array_get_idx(list, i);
		bits |= scope_parse(json_object_get_string(s),
		    (size_t)json_object_get_string_len(s));
	}
	return (bits);
}

static char *
lowered(const char *s)
{
	char	*copy = strdup(s), *p;

	for (p = copy; p != NULL && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return (copy);
}

static void
load_list(struct conf *conf, const char *path, char **ret, size_t max,
    size_t *ret_n, bool is_lowered)
{
	struct json_object	*list = conf_get(conf, path);
	const char		*s;
	size_t			 i;

	*ret_n = 0;
	for (i = 0; list != NULL && i < json_object_array_length(list) &&
	    *ret_n < max; i++) {
		s = json_object_get_string(json_object_array_get_idx(list, i));
		ret[*ret_n] = is_lowered ? lowered(s) : strdup(s);
		if (ret[*ret_n] != NULL)
			(*ret_n)++;
	}
}

static int
load_nets(struct conf *conf, const char *path, struct proxy_nets *nets)
{
	struct json_object	*list = conf_get(conf, path);
	const char		*s;
	size_t			 i;
	int			 r;

	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		s = json_object_get_string(json_object_array_get_idx(list, i));
		r = proxy_net_add(nets, s);
		if (r < 0) {
			log_err("auth", "%s: '%s' %s", path,
			    log_quote(s, strlen(s)), r == -ENOSPC ?
			    "is one too many" : "is no address or network");
			return (r);
		}
	}
	return (0);
}

static int
check_nets(const struct conf *conf, const char *path,
    struct conf_issues *issues)
{
	struct json_object	*list = conf_get(conf, path);
	struct proxy_nets	 nets = { .n = 0 };
	size_t			 i;

	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		if (proxy_net_add(&nets, json_object_get_string(
		    json_object_array_get_idx(list, i))) == 0)
			continue;
		(void)conf_issues_add(issues, path, 0, 0, i == PROXY_NETS_MAX ?
		    "there are more than %d" : "element %d is no address or "
		    "network", i == PROXY_NETS_MAX ? PROXY_NETS_MAX :
		    (int)i + 1);
		return (-EINVAL);
	}
	return (0);
}

int
daemon_check_auth(const struct conf *conf, struct conf_issues *issues)
{
	int	 r;

	r = check_nets(conf, "gateway.trustedProxies", issues);
	if (r == 0)
		r = check_nets(conf, "gateway.nodes.pairing.autoApproveCidrs",
		    issues);
	return (r);
}

static int
load_identities(struct access *a, struct conf *conf)
{
	struct json_object	*o = conf_get(conf,
				    "gateway.auth.identityScopes");
	size_t			 n;

	n = o == NULL ? 0 : (size_t)json_object_object_length(o);
	if (n == 0)
		return (0);
	if (n > ACCESS_IDENTITIES_MAX) {
		log_err("auth", "gateway.auth.identityScopes names more than %d",
		    ACCESS_IDENTITIES_MAX);
		return (-EINVAL);
	}
	a->identities = calloc(n, sizeof *a->identities);
	if (a->identities == NULL)
		return (-ENOMEM);
	json_object_object_foreach(o, key, value) {
		a->identities[a->n_identities].name = strdup(key);
		if (a->identities[a->n_identities].name == NULL)
			return (-ENOMEM);
		a->identities[a->n_identities++].scopes = scopes_of(value);
	}
	return (0);
}

/* Rules beside the secret; a is a fresh one. */
static int
load_rules(struct daemon *d, struct conf *conf)
{
	struct access		*a = d->access;
	struct json_object	*enrol;
	const char		*user, *tailscale;
	struct limit_rules	 rules = { .keys_max = LIMIT_KEYS_MAX };
	int			 r;

	access_clear_rules(a);
	rules.max = (uint32_t)conf_get_int(conf,
	    "gateway.auth.rateLimit.maxAttempts", 10);
	rules.window_us = MS_US(conf_get_int(conf,
	    "gateway.auth.rateLimit.windowMs", 60000));
	rules.lockout_us = MS_US(conf_get_int(conf,
	    "gateway.auth.rateLimit.lockoutMs", 300000));
	access_set_limits(a, &rules, conf_get_bool(conf,
	    "gateway.auth.rateLimit.exemptLoopback", true));
	a->proxies.has_real_ip = conf_get_bool(conf,
	    "gateway.allowRealIpFallback", false);
	a->is_auto_local = conf_get_bool(conf,
	    "gateway.nodes.pairing.autoApproveLocal", true);
	a->is_loopback_only = is_loopback_bind(d->bind);
	r = load_nets(conf, "gateway.trustedProxies", &a->proxies.trusted);
	if (r == 0)
		r = load_nets(conf, "gateway.nodes.pairing.autoApproveCidrs",
		    &a->auto_nets);
	if (r == 0)
		r = load_identities(a, conf);
	if (r < 0)
		return (r);
	user = conf_get_str(conf, "gateway.auth.trustedProxy.userHeader", NULL);
	a->users.is_set = user != NULL;
	a->users.user_header = user != NULL ? lowered(user) : NULL;
	a->users.allows_loopback = conf_get_bool(conf,
	    "gateway.auth.trustedProxy.allowLoopback", false);
	load_list(conf, "gateway.auth.trustedProxy.requiredHeaders",
	    a->users.required, PROXY_HEADERS_MAX, &a->users.n_required, true);
	load_list(conf, "gateway.auth.trustedProxy.allowUsers",
	    a->users.allowed, PROXY_USERS_MAX, &a->users.n_allowed, false);
	a->has_proxy_enrol = conf_get_bool(conf,
	    "gateway.auth.trustedProxy.deviceAutoApprove.enabled", false);
	enrol = conf_get(conf,
	    "gateway.auth.trustedProxy.deviceAutoApprove.scopes");
	a->is_enrol_default = enrol == NULL;
	a->enrol_scopes = enrol != NULL ? scopes_of(enrol) : SCOPE_READ |
	    SCOPE_WRITE | SCOPE_APPROVALS | SCOPE_QUESTIONS;
	tailscale = conf_get_str(conf, "gateway.tailscale.mode", "off");
	a->has_tailscale = conf_get_bool(conf, "gateway.auth.allowTailscale",
	    strcmp(tailscale, "serve") == 0 &&
	    a->auth.mode != AUTH_PASSWORD && a->auth.mode != AUTH_TRUSTED_PROXY);
	if (a->has_tailscale && a->whois == NULL) {
		a->whois = whois_new(d->loop, conf_get_str(conf,
		    "gateway.tailscale.socket", WHOIS_SOCKET));
		if (a->whois == NULL)
			return (-ENOMEM);
	}
	return (0);
}

static int
load_secret(struct daemon *d, struct conf *conf, const struct refs *refs,
    struct auth *next)
{
	const char	*env = getenv("CHELA_PASSWORD");
	const char	*mode = conf_get_str(conf, "gateway.auth.mode", NULL);
	const char	*password = conf_get_str(conf, "gateway.auth.password",
	    NULL);

	if (env == NULL && from_file(&refs->refs[REF_PASSWORD],
	    "gateway.auth.password", &password) < 0)
		return (-EINVAL);
	if (env == NULL && password == NULL &&
	    is_elsewhere(conf, "gateway.auth.password"))
		return (-EINVAL);
	if (mode == NULL)
		mode = env != NULL || password != NULL ? "password" : "token";
	if (strcmp(mode, "none") == 0) {
		next->mode = AUTH_NONE;
		if (is_loopback_bind(d->bind))
			return (0);
		log_err("auth", "gateway.auth.mode is \"none\", and the gateway "
		    "listens on %s (set a token, or bind to loopback)", d->bind);
		return (-EINVAL);
	}
	if (strcmp(mode, "password") == 0) {
		next->mode = AUTH_PASSWORD;
		if (env != NULL)
			return (set_secret(next, env, "$CHELA_PASSWORD"));
		if (password != NULL)
			return (set_secret(next, password,
			    "gateway.auth.password"));
		log_err("auth", "gateway.auth.mode is \"password\", and no "
		    "password is set (gateway.auth.password or "
		    "$CHELA_PASSWORD)");
		return (-EINVAL);
	}
	if (strcmp(mode, "trusted-proxy") == 0) {
		next->mode = AUTH_TRUSTED_PROXY;
		if (getenv("CHELA_TOKEN") != NULL ||
		    d->opt.token_file != NULL ||
		    conf_get(conf, "gateway.auth.token") != NULL) {
			log_err("auth", "gateway.auth.mode is "
			    "\"trusted-proxy\", and a token is set (take one of "
			    "the two away)");
			return (-EINVAL);
		}
		if (password == NULL && env == NULL)
			return (0);
		return (set_secret(next, env != NULL ? env : password,
		    env != NULL ? "$CHELA_PASSWORD" : "gateway.auth.password"));
	}
	if (strcmp(mode, "token") == 0) {
		next->mode = AUTH_TOKEN;
		return (load_token(d, conf, refs, next));
	}
	log_err("auth", "gateway.auth.mode \"%s\" is not known", mode);
	return (-EINVAL);
}

static int
load_auth(struct daemon *d, struct conf *conf, const struct refs *refs)
{
	struct auth	*auth = &d->access->auth;
	struct auth	 next;
	int		 r;

	memset(&next, 0, sizeof next);
	r = load_secret(d, conf, refs, &next);
	if (r == 0) {
		*auth = next;
		r = load_rules(d, conf);
	}
	secret_wipe(&next, sizeof next);
	return (r);
}

int
daemon_load_auth(struct daemon *d, struct conf *conf)
{
	struct refs	*refs = refs_new(conf);
	int		 r;

	if (refs == NULL)
		return (-ENOMEM);
	refs_read(refs);
	r = load_auth(d, conf, refs);
	(void)refs_free(refs);
	return (r);
}

/* Whoever came in by the old secret has to come again. */
static void
close_by_secret(struct daemon *d)
{
	struct list	*l, *tmp;
	struct peer	*p;

	list_each(l, tmp, proto_peers(d->proto)) {
		p = container_of(l, struct peer, link);
		if (!p->is_by_secret || p->conn == NULL)
			continue;
		conn_cut(p->conn);
		conn_close(p->conn, 4001, "gateway auth changed");
	}
}

static void
reload_auth(struct daemon *d, struct conf *conf, const struct refs *refs)
{
	struct auth	 before = d->access->auth;

	if (load_auth(d, conf, refs) < 0) {
		/* What was in force stays so; why is in the log. */
		d->access->auth = before;
	} else if (before.mode != d->access->auth.mode ||
	    strcmp(before.generation, d->access->auth.generation) != 0) {
		log_notice("auth", "the secret has changed");
		close_by_secret(d);
	}
	secret_wipe(&before, sizeof before);
}

/* A reload that waits for its files. */
struct reload {
	struct daemon	*d;
	struct conf	*conf;		/* counted */
	struct refs	*refs;
	uint64_t	 number;
};

static void
reload_read(void *arg)
{
	struct reload	*rl = arg;

	refs_read(rl->refs);
}

static void
reload_free(struct reload *rl)
{
	(void)conf_unref(rl->conf);
	(void)refs_free(rl->refs);
	free(rl);
}

static void
reload_done(void *arg)
{
	struct reload	*rl = arg;

	/* One that came later has the last word. */
	if (!rl->d->is_stopping && rl->number == rl->d->n_reloads)
		reload_auth(rl->d, rl->conf, rl->refs);
	reload_free(rl);
}

void
daemon_reload_auth(struct daemon *d, struct conf *conf)
{
	struct reload	*rl = calloc(1, sizeof *rl);

	if (rl != NULL) {
		rl->d = d;
		rl->conf = conf_ref(conf);
		rl->refs = refs_new(conf);
		rl->number = ++d->n_reloads;
	}
	if (rl != NULL && rl->refs != NULL && rl->refs->n == 0) {
		reload_done(rl);
		return;
	}
	if (rl != NULL && rl->refs != NULL &&
	    loop_work(d->loop, reload_read, reload_done, rl) == 0)
		return;
	log_err("auth", "the configuration's secrets cannot be read now; those "
	    "before stay in force");
	if (rl != NULL)
		reload_free(rl);
}

void
daemon_load_origins(struct daemon *d, struct conf *conf)
{
	struct origin_rules	*rules = &proto_settings(d->proto)->origins;
	struct json_object	*list;
	size_t			 i, n = 0;

	list = conf_get(conf, "gateway.controlUi.allowedOrigins");
	for (i = 0; list != NULL && i < json_object_array_length(list) &&
	    n < DAEMON_ORIGINS_MAX; i++)
		d->origins[n++] = json_object_get_string(
		    json_object_array_get_idx(list, i));
	rules->allowed = d->origins;
	rules->n_allowed = n;
	rules->has_host_fallback = conf_get_bool(conf,
	    "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback", false);
	(void)conf_unref(d->origins_conf);
	d->origins_conf = conf_ref(conf);
}
