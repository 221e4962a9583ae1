/* SPDX-License-Identifier: MIT */
/*
 * The programs that a node lets be run without more questions: a small document
 * in its folder, exec-approvals.json, which an administrator reads and writes
 * through the gateway.
 */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "core/base/file.h"
#include "core/base/finger.h"
#include "core/client/chela_node.h"
#include "core/json/json.h"

#define POLICY_FILE	"exec-approvals.json"

static char *
policy_path(const struct node *n)
{
	return (file_join(n->state_dir, POLICY_FILE));
}

/* Gives the text, "" when there is none yet; or NULL. */
static char *
policy_text(const struct node *n, size_t *ret_len)
{
	char	*path = policy_path(n), *text = NULL;
	int	 r;

	if (path == NULL)
		return (NULL);
	r = file_read(path, NODE_POLICY_MAX, &text, ret_len);
	free(path);
	if (r == -ENOENT) {
		*ret_len = 0;
		return (strdup(""));
	}
	return (r < 0 ? NULL : text);
}

static struct json_object *
policy_load(const struct node *n)
{
	struct json_object	*o = NULL;
	size_t			 len;
	char			*text = policy_text(n, &len);

	if (text != NULL && len > 0 && json_parse(text, len, &o) < 0)
		o = NULL;
	free(text);
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return (NULL);
	}
	return (o);
}

/*
 * "*" is within one folder, "**" any; without a slash it is no path and says
 * nothing.
 */
static bool
is_match(const char *pattern, const char *path)
{
	if (strchr(pattern, '/') == NULL)
		return (false);
	return (fnmatch(pattern, path, strstr(pattern, "**") != NULL ? 0 :
	    FNM_PATHNAME | FNM_PERIOD) == 0);
}

/*
 * Programs that run what their arguments say: to allow one by its path would
 * allow everything, so the list cannot speak for them. Only people can.
 */
static bool
is_wrapper(const char *path)
{
	static const char *const names[] = {
		"awk", "bash", "busybox", "chroot", "dash", "doas", "env",
		"expect", "find", "flock", "gawk", "git", "ionice", "ld.so",
		"lua", "make", "mawk", "nice", "node", "nohup", "nsenter",
		"parallel", "perl", "php", "pkexec", "prlimit", "rsync",
		"ruby", "run-parts", "runuser", "script", "setarch", "setpriv",
		"setsid", "sh", "ssh", "stdbuf", "strace", "su", "sudo",
		"systemd-run", "tar", "taskset", "timeout", "toybox", "unshare",
		"vi", "vim", "watch", "xargs", "zsh",
	};
	const char	*name = strrchr(path, '/') + 1;
	size_t		 i;

	if (strncmp(name, "python", 6) == 0 || strncmp(name, "ld-linux", 8) ==
	    0 || strncmp(name, "perl", 4) == 0)
		return (true);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) == 0)
			return (true);
	}
	return (false);
}

static bool
list_allows(struct json_object *list, const char *path)
{
	const char	*pattern;
	size_t		 i;

	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		pattern = json_get_str(json_object_array_get_idx(list, i),
		    "pattern");
		if (pattern != NULL && is_match(pattern, path))
			return (true);
	}
	return (false);
}

static bool
document_allows(struct json_object *doc, const char *path)
{
	static const char *const names[] = { "*", "main" };
	struct json_object	*agents = json_get_obj(doc, "agents");
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		if (list_allows(json_get_arr(json_get_obj(agents, names[i]),
		    "allowlist"), path))
			return (true);
	}
	return (false);
}

/* A link is as good as what it leads to: both have to be harmless. */
static bool
program_allowed(struct json_object *doc, const char *path)
{
	char	 real[PATH_MAX];

	return (realpath(path, real) != NULL && !is_wrapper(path) &&
	    !is_wrapper(real) && document_allows(doc, path));
}

int
node_policy(const struct node *n, const char *path, bool is_approved,
    const char **ret_why)
{
	struct json_object	*doc;
	const char		*security;
	enum node_exec		 exec = n->exec;
	int			 r = 0;

	doc = policy_load(n);
	security = json_get_str(json_get_obj(doc, "defaults"), "security");
	/* The document may be stricter than the command line, not laxer. */
	if (security != NULL && strcmp(security, "deny") == 0)
		exec = NODE_EXEC_DENY;
	else if (security != NULL && strcmp(security, "allowlist") == 0 &&
	    exec == NODE_EXEC_FULL)
		exec = NODE_EXEC_ALLOWLIST;
	if (exec == NODE_EXEC_DENY) {
		*ret_why = "this node runs nothing";
		r = -EACCES;
	} else if (exec == NODE_EXEC_ALLOWLIST && !is_approved &&
	    !program_allowed(doc, path)) {
		*ret_why = "this program is not on the node's list, and nobody "
		    "approved a plan of it";
		r = -EACCES;
	}
	json_object_put(doc);
	return (r);
}

/* --- for an administrator --- */

static struct json_object *
snapshot(const struct node *n)
{
	struct json_object	*o = json_object_new_object(), *doc;
	unsigned char		 digest[FINGER_LEN];
	char			 hash[FINGER_TEXT] = "sha256:";
	char			*path = policy_path(n), *text;
	size_t			 len = 0;

	text = policy_text(n, &len);
	if (text != NULL && len > 0 && gnutls_hash_fast(GNUTLS_DIG_SHA256, text,
	    len, digest) == 0)
		finger_format(digest, hash);
	doc = policy_load(n);
	if (doc == NULL) {
		doc = json_object_new_object();
		(void)json_add_int(doc, "version", 1);
		(void)json_add(doc, "defaults", json_object_new_object());
		(void)json_add(doc, "agents", json_object_new_object());
	}
	(void)json_add_str(o, "path", path != NULL ? path : POLICY_FILE);
	(void)json_add_bool(o, "exists", len > 0);
	(void)json_add_str(o, "hash", hash + strlen("sha256:"));
	(void)json_add(o, "file", doc);
	free(path);
	free(text);
	return (o);
}

void
node_policy_get(const struct invoke *in)
{
	node_answer(in->node, in->id, snapshot(in->node));
}

void
node_policy_set(const struct invoke *in)
{
	struct json_object	*file = json_get_obj(in->params, "file"), *now;
	const char		*base = json_get_str(in->params, "baseHash");
	const char		*text;
	char			*path;
	size_t			 len;
	int			 r;

	if (file == NULL || json_get_int(file, "version", 0) != 1) {
		node_refuse(in->node, in->id, "INVALID_REQUEST",
		    "file has to be a document of version 1");
		return;
	}
	now = snapshot(in->node);
	if (json_get_bool(now, "exists", false) && (base == NULL ||
	    strcmp(base, json_get_str(now, "hash")) != 0)) {
		json_object_put(now);
		node_refuse(in->node, in->id, "INVALID_REQUEST",
		    "the document has changed; read it again");
		return;
	}
	json_object_put(now);
	text = json_object_to_json_string_length(file,
	    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	path = policy_path(in->node);
	r = text == NULL || path == NULL ? -ENOMEM : len > NODE_POLICY_MAX ?
	    -EFBIG : file_write_atomic(path, text, len, 0600);
	free(path);
	if (r < 0)
		node_refuse(in->node, in->id, "UNAVAILABLE",
		    "the document could not be written");
	else
		node_answer(in->node, in->id, snapshot(in->node));
}
