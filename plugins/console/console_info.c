/* SPDX-License-Identifier: MIT */
/*
 * What an application of ours asks for after it is loaded: its settings, and the
 * pictures of agents. For who may read; the core sees to that.
 */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/path.h"

#define NAME_CHARS	50u		/* of an agent's name */
#define EMOJI_CHARS	16u
#define SOURCE_CHARS	256u		/* of a path that is told */
#define DATA_URL_MAX	((AVATAR_MAX + 2) / 3 * 4 + 26)
#define DATA_HEAD	64		/* bytes of a data URL that are told */
#define NOBODY		"A"		/* without a picture */

/* Who an agent is; strings are lent by the configuration. */
struct face {
	char			 id[CHELA_AGENT_ID_MAX + 1];
	char			 name[NAME_CHARS * 4 + 1];
	char			 emoji[EMOJI_CHARS * 4 + 1];
	const char		*avatar;	/* never NULL */
	const char		*kind;		/* "remote", "data", "local", NULL */
	const char		*reason;	/* "none": why */
	char			 workspace[4096];
};

/* --- who --- */

/* Without white space around it, and not longer than max characters. */
static void
cut(const char *s, size_t max, char *ret, size_t size)
{
	size_t	 n, i;

	ret[0] = '\0';
	if (s == NULL)
		return;
	s += strspn(s, " \t\r\n");
	for (i = 0; s[i] != '\0' && max > 0; max--) {
		for (n = 1; ((unsigned char)s[i + n] & 0xc0) == 0x80; n++)
			;
		if (i + n >= size)
			break;
		i += n;
	}
	while (i > 0 && strchr(" \t\r\n", s[i - 1]) != NULL)
		i--;
	memcpy(ret, s, i);
	ret[i] = '\0';
}

static bool
has_scheme(const char *s)
{
	size_t	 n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	return (n > 0 && s[n] == ':');
}

static bool
is_remote(const char *s)
{
	return (strncasecmp(s, "http://", 7) == 0 ||
	    strncasecmp(s, "https://", 8) == 0);
}

/* The kinds of files that may be a picture. */
static bool
is_picture(const char *path)
{
	const char	*type = type_of(path);

	return (strncmp(type, "image/", 6) == 0 &&
	    strcmp(type, "image/x-icon") != 0);
}

static bool
is_pathlike(const char *s)
{
	return (strpbrk(s, "/\\") != NULL ||
	    strncmp(type_of(s), "image/", 6) == 0);
}

static size_t
chars(const char *s)
{
	size_t	 n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return (n);
}

/* Whether it can stand for an agent at all. */
static bool
is_avatar(const char *s)
{
	if (s == NULL || strlen(s) > DATA_URL_MAX)
		return (false);
	if (is_remote(s) || strncasecmp(s, "data:image/", 11) == 0)
		return (true);
	if (has_scheme(s))
		return (false);
	return (is_pathlike(s) || (strpbrk(s, " \t\r\n") == NULL &&
	    chars(s) <= 4));
}

/* -ENOENT: there is no such agent. */
static int
face_read(const char *id, struct face *ret)
{
	struct chela_agent_info	 info = { .struct_size = sizeof info };
	struct json_object	*who;
	const char		*s;
	size_t			 i;

	memset(ret, 0, sizeof *ret);
	(void)snprintf(ret->name, sizeof ret->name, "Assistant");
	ret->avatar = NOBODY;
	if (console.agents == NULL)
		return (-ENOENT);
	if (id == NULL)
		id = console.agents->default_id();
	if (console.agents->info(id, &info) < 0)
		return (-ENOENT);
	(void)snprintf(ret->id, sizeof ret->id, "%s", info.id);
	(void)snprintf(ret->workspace, sizeof ret->workspace, "%s",
	    info.workspace);
	who = get_any(console.agents->conf(info.id), "identity");
	s = get_text(who, "name");
	if (s == NULL)
		s = info.name;
	if (*s != '\0')
		cut(s, NAME_CHARS, ret->name, sizeof ret->name);
	s = get_text(who, "emoji");
	cut(s, EMOJI_CHARS, ret->emoji, sizeof ret->emoji);
	/* One of letters is no emoji. */
	for (i = 0; ret->emoji[i] != '\0'; i++) {
		if ((unsigned char)ret->emoji[i] >= 0x80)
			break;
	}
	if (ret->emoji[i] == '\0')
		ret->emoji[0] = '\0';
	if (is_avatar(get_text(who, "avatar")))
		ret->avatar = get_text(who, "avatar");
	else if (is_avatar(get_text(who, "emoji")))
		ret->avatar = get_text(who, "emoji");
	if (is_remote(ret->avatar))
		ret->kind = "remote";
	else if (strncasecmp(ret->avatar, "data:", 5) == 0)
		ret->kind = "data";
	else if (is_pathlike(ret->avatar))
		ret->kind = "local";
	return (0);
}

/* --- its file, on the pool --- */

static void
avatar_look(struct visit *v)
{
	struct stat	 st;
	int		 root;

	if (v->reason != NULL)
		return;
	root = dir_open(v->root);
	if (root >= 0) {
		v->fd = path_open_file(root, v->path, NULL);
		(void)close(root);
	}
	if (v->fd < 0)
		v->reason = v->fd == -ELOOP || v->fd == -ENXIO || v->fd ==
		    -EACCES ? "unreadable" : "missing";
	else if (fstat(v->fd, &st) < 0)
		v->reason = "unreadable";
	else if (st.st_size > (off_t)AVATAR_MAX)
		v->reason = "too_large";
	else {
		v->size = (uint64_t)st.st_size;
		v->type = type_of(v->path);
		(void)snprintf(v->etag, sizeof v->etag, "W/\"%llx-%llx-%llx.%lx\"",
		    (unsigned long long)st.st_ino, (unsigned long long)v->size,
		    (unsigned long long)st.st_mtim.tv_sec,
		    (unsigned long)st.st_mtim.tv_nsec);
	}
}

/* Prepares v for avatar_look(); the path is one below the workspace. */
static int
avatar_find(struct visit *v, const struct face *face)
{
	const char	*path = face->avatar;
	size_t		 n = strlen(face->workspace);

	if (strncmp(path, face->workspace, n) == 0 && path[n] == '/')
		path += n + 1;
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	if (path_check(path, strlen(path)) < 0)
		v->reason = "outside_workspace";
	else if (!is_picture(path))
		v->reason = "unsupported_extension";
	v->root = strdup(face->workspace);
	v->path = strdup(path);
	return (v->root == NULL || v->path == NULL ? -ENOMEM : 0);
}

/* --- what is told --- */

static void
put_or_null(struct json_object *o, const char *name, const char *s)
{
	json_object_object_add(o, name,
	    s == NULL ? NULL : json_object_new_string(s));
}

/* Where a picture comes from, without what is nobody's business. */
static void
put_source(struct json_object *o, const char *name, const struct face *face)
{
	char		 head[DATA_HEAD + 8];
	const char	*s = face->avatar;

	if (face->kind == NULL)
		s = NULL;
	else if (strcmp(face->kind, "remote") == 0)
		s = "remote URL";
	else if (strcmp(face->kind, "data") == 0) {
		(void)snprintf(head, sizeof head, "%.*s,...",
		    (int)(strcspn(s, ",") < DATA_HEAD ? strcspn(s, ",") :
		    DATA_HEAD), s);
		s = head;
	} else if (path_check(s, strlen(s)) < 0 || chars(s) > SOURCE_CHARS)
		s = NULL;
	put_or_null(o, name, s);
}

/* Status, reason and source, with the names that both answers have. */
static void
put_state(struct json_object *o, const char *names[3],
    const struct face *face, const char *reason)
{
	put_source(o, names[0], face);
	put_or_null(o, names[1], reason != NULL ? "none" : face->kind);
	put_or_null(o, names[2], reason);
}

static void
reply_json(struct chela_http_in *rq, struct json_object *o)
{
	const char	*text;
	size_t		 len = 0;

	text = json_object_to_json_string_length(o,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (text == NULL)
		reply_text(rq, 503, NULL, "The gateway is out of memory.");
	else
		(void)console.routes->reply(rq, 200,
		    "application/json; charset=utf-8", NO_CACHE NO_FRAME
		    "Content-Security-Policy: " NO_CONTENT_FROM "\r\n", text,
		    len);
	json_object_put(o);
}

/* --- control-ui-config.json --- */

static void
info_done(struct visit *v)
{
	static const char	*names[3] = { "assistantAvatarSource",
				    "assistantAvatarStatus",
				    "assistantAvatarReason" };
	struct json_object	*conf, *o = json_object_new_object();
	const char		*embed;
	struct chela_http_in	*rq;
	struct face		 face;
	char			*url = NULL;
	int			 r;

	r = face_read(NULL, &face);
	if (face.kind != NULL && strcmp(face.kind, "local") == 0 &&
	    v->reason == NULL &&
	    asprintf(&url, "%s/avatar/%s", console.set.base, face.id) < 0)
		url = NULL;
	conf = console.host->conf_path(console.ctx, "gateway.controlUi");
	embed = get_str(conf, "embedSandbox");
	set_str(o, "basePath", console.set.base);
	set_str(o, "assistantName", face.name);
	set_str(o, "assistantAvatar", url != NULL ? url : v->reason == NULL ?
	    face.avatar : *face.emoji != '\0' ? face.emoji : NOBODY);
	put_state(o, names, &face, v->reason);
	if (r == 0)
		set_str(o, "assistantAgentId", face.id);
	set_str(o, "serverVersion", console.state->version());
	set_str(o, "embedSandbox", embed != NULL ? embed : "scripts");
	set_bool(o, "allowExternalEmbedUrls",
	    get_bool(conf, "allowExternalEmbedUrls", false));
	set_bool(o, "communityInvite", get_bool(conf, "communityInvite", true));
	/* What there is not here. */
	set_bool(o, "automaticallyFetchFavicons", false);
	set_bool(o, "terminalEnabled", false);
	set_bool(o, "cliAgentsEnabled", false);
	set_bool(o, "pluginAssetsRequireAuth", true);
	json_object_object_add(o, "pluginFrameGrants",
	    json_object_new_array());
	free(url);
	rq = visit_leave(v);
	visit_free(v);
	reply_json(rq, o);
}

/* Either of the two: what is there of the picture, then the answer. */
static void
face_visit(struct visit *v, const struct face *face,
    void (*done)(struct visit *v))
{
	struct chela_http_in	*rq;

	if (face->kind == NULL || strcmp(face->kind, "local") != 0)
		done(v);
	else if (avatar_find(v, face) < 0) {
		rq = visit_leave(v);
		visit_free(v);
		reply_text(rq, 503, NULL, "The gateway is out of memory.");
	} else
		visit_run(v, avatar_look, done);
}

static void
info_allowed(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	struct visit	*v = console.routes->user(rq);
	struct face	 face;

	(void)ctx;
	(void)arg;
	(void)face_read(NULL, &face);
	face_visit(v, &face, info_done);
}

/* A refusal is the core's, and ends in on_gone(). */
static void
ask(struct visit *v, void (*done)(struct chela_ctx *ctx,
    struct chela_http_in *rq, void *arg))
{
	struct chela_http_in	*rq = v->rq;

	if (console.routes->authorize(rq, "read", done) < 0) {
		(void)visit_leave(v);
		visit_free(v);
		reply_text(rq, 503, NULL, "The gateway cannot tell who asks.");
	}
}

void
info_serve(struct chela_http_in *rq)
{
	struct visit	*v = visit_new(rq);

	if (v != NULL)
		ask(v, info_allowed);
}

/* --- avatar/<id> --- */

static void
meta_reply(struct visit *v, const struct face *face)
{
	static const char	*names[3] = { "avatarSource", "avatarStatus",
				    "avatarReason" };
	struct json_object	*o = json_object_new_object();
	const char		*kind = face->kind != NULL ? face->kind : "";
	struct chela_http_in	*rq;
	char			*url = NULL;

	if (strcmp(kind, "local") == 0 && v->reason == NULL &&
	    asprintf(&url, "%s/avatar/%s", console.set.base, face->id) < 0)
		url = NULL;
	put_or_null(o, "avatarUrl", url != NULL ? url :
	    strcmp(kind, "remote") == 0 || strcmp(kind, "data") == 0 ?
	    face->avatar : NULL);
	put_state(o, names, face, v->reason);
	free(url);
	rq = visit_leave(v);
	visit_free(v);
	reply_json(rq, o);
}

static void
avatar_done(struct visit *v)
{
	struct chela_http_in	*rq;
	struct face		 face;
	char			*headers = NULL;
	int			 fd = v->fd;

	if (face_read(v->id, &face) < 0)
		v->reason = "missing";
	if (v->is_meta) {
		meta_reply(v, &face);
		return;
	}
	rq = visit_leave(v);
	/* A picture that its agent wrote is shown, and runs nothing. */
	if (fd < 0 || v->reason != NULL)
		reply_not_found(rq);
	else if (asprintf(&headers, NO_CACHE NO_FRAME "Content-Security-Policy: "
	    NO_CONTENT_FROM "; style-src 'unsafe-inline'; sandbox\r\n"
	    "ETag: %s\r\n", v->etag) < 0)
		reply_text(rq, 503, NULL, "The gateway is out of memory.");
	else if (has_etag(rq, v->etag))
		(void)console.routes->reply(rq, 304, v->type, headers, NULL, 0);
	else {
		v->fd = -1;
		(void)console.routes->reply_fd(rq, 200, v->type, headers, fd,
		    0, v->size);
	}
	free(headers);
	visit_free(v);
}

static int
find_meta(const char *name, const char *value, void *arg)
{
	bool	*ret = arg;

	if (strcmp(name, "meta") != 0)
		return (0);
	*ret = strcmp(value, "1") == 0;
	return (1);
}

static void
avatar_allowed(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	struct visit	*v = console.routes->user(rq);
	struct face	 face;

	(void)ctx;
	(void)arg;
	if (face_read(v->id, &face) < 0) {
		(void)visit_leave(v);
		visit_free(v);
		reply_not_found(rq);
		return;
	}
	(void)console.routes->query_each(rq, find_meta, &v->is_meta);
	face_visit(v, &face, avatar_done);
}

void
avatar_serve(struct chela_http_in *rq, const char *id)
{
	char		 name[CHELA_AGENT_ID_MAX + 1] = "";
	struct visit	*v;
	size_t		 i, n = strlen(id);

	if (n == 0 || n >= sizeof name || strspn(id,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789_-") != n || *id == '-' || *id == '_') {
		reply_not_found(rq);
		return;
	}
	for (i = 0; i <= n; i++)
		name[i] = (char)(id[i] >= 'A' && id[i] <= 'Z' ?
		    id[i] - 'A' + 'a' : id[i]);
	v = visit_new(rq);
	if (v == NULL)
		return;
	memcpy(v->id, name, sizeof v->id);
	ask(v, avatar_allowed);
}
