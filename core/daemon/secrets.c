/* SPDX-License-Identifier: MIT */
/* Where the gateway's own secret comes from, and which pages may connect. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "core/access/auth.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/config/config.h"
#include "core/daemon/daemon.h"
#include "core/json/json.h"
#include "core/protocol/proto.h"

static int
set_secret(struct secret *s, const char *text, const char *source)
{
	struct buf	 why = BUF_INIT;
	int		 r;

	r = secret_set(s, text, &why);
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
set_secret_file(struct secret *s, const char *path)
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
	r = set_secret(s, text, path);
	secret_wipe(text, len);
	free(text);
	return (r);
}

/* A first start makes a token and says where it is, not what it is. */
static int
make_token(struct daemon *d, struct secret *s)
{
	char	 token[45];
	char	*path;
	int	 r;

	path = file_join(d->state_dir, DAEMON_TOKEN_FILE);
	if (path == NULL)
		return (-ENOMEM);
	r = access(path, F_OK) < 0 ? -errno : set_secret_file(s, path);
	if (r == -ENOENT) {
		r = secret_random(token);
		if (r == 0) {
			token[43] = '\n';
			r = file_write_atomic(path, token, 44, 0600);
			token[43] = '\0';
		}
		if (r == 0)
			r = secret_set(s, token, NULL);
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

static int
load_token(struct daemon *d, struct conf *conf, struct secret *s)
{
	const char	*env = getenv("CHELA_TOKEN");
	const char	*text = conf_get_str(conf, "gateway.auth.token", NULL);

	if (d->opt.token_file != NULL)
		return (set_secret_file(s, d->opt.token_file));
	if (env != NULL)
		return (set_secret(s, env, "$CHELA_TOKEN"));
	if (text != NULL)
		return (set_secret(s, text, "gateway.auth.token"));
	return (make_token(d, s));
}

int
daemon_load_auth(struct daemon *d, struct conf *conf)
{
	struct auth	*auth = &proto_settings(d->proto)->auth;
	struct auth	 next = { .mode = AUTH_TOKEN };
	const char	*env = getenv("CHELA_PASSWORD");
	const char	*mode = conf_get_str(conf, "gateway.auth.mode", NULL);
	const char	*password = conf_get_str(conf, "gateway.auth.password",
	    NULL);
	int		 r;

	if (mode == NULL)
		mode = env != NULL || password != NULL ? "password" : "token";
	if (strcmp(mode, "none") == 0) {
		next.mode = AUTH_NONE;
		if (!is_loopback_bind(d->bind)) {
			log_err("auth", "gateway.auth.mode is \"none\", and the "
			    "gateway listens on %s (set a token, or bind to "
			    "loopback)", d->bind);
			return (-EINVAL);
		}
		r = 0;
	} else if (strcmp(mode, "password") == 0) {
		next.mode = AUTH_PASSWORD;
		if (env != NULL)
			r = set_secret(&next.password, env, "$CHELA_PASSWORD");
		else if (password != NULL)
			r = set_secret(&next.password, password,
			    "gateway.auth.password");
		else {
			log_err("auth", "gateway.auth.mode is \"password\", and "
			    "no password is set (gateway.auth.password or "
			    "$CHELA_PASSWORD)");
			r = -EINVAL;
		}
	} else if (strcmp(mode, "token") == 0)
		r = load_token(d, conf, &next.token);
	else {
		log_err("auth", "gateway.auth.mode \"%s\" is not served by this "
		    "build (token, password and none are)", mode);
		r = -ENOTSUP;
	}
	if (r == 0)
		*auth = next;
	secret_wipe(&next, sizeof next);
	return (r);
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
