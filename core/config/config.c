/* SPDX-License-Identifier: MIT */
/* Snapshots: from a file or a text to values. */
#include "core/config/config_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/config/json5.h"
#include "core/config/redact.h"
#include "core/json/json.h"

#define CONF_HEAP_MAX	MIB(64)		/* of the tree of one text */

struct conf *
conf_ref(struct conf *c)
{
	c->n_refs++;
	return (c);
}

struct conf *
conf_unref(struct conf *c)
{
	if (c == NULL || --c->n_refs > 0)
		return (NULL);
	json_object_put(c->config);
	json_object_put(c->resolved);
	json_object_put(c->parsed);
	conf_issues_fini(&c->warnings);
	(void)conf_schema_unref(c->schema);
	if (c->text != NULL)
		explicit_bzero(c->text, c->len);
	free(c->text);
	free(c->path);
	free(c);
	return (NULL);
}

int
conf_text_parse(const char *text, size_t len, struct json_object **ret_doc,
    struct conf_issues *issues)
{
	struct buf		 strict = BUF_INIT;
	struct json5_error	 error;
	struct scan_limits	 lim = { .depth_max = JSON5_DEPTH_MAX,
		.heap_max = CONF_HEAP_MAX };
	struct scan_result	 res;
	struct json_object	*doc = NULL;
	int			 r;

	r = json5_to_json(text, len, &strict, &error);
	if (r == -EINVAL || r == -E2BIG) {
		(void)conf_issues_add(issues, "", error.line, error.col, "%s",
		    error.why);
		r = -EINVAL;
	}
	if (r < 0)
		goto out;
	r = json_parse_scanned(strict.data, strict.len, &lim, &res, &doc);
	if (r == -EBADMSG) {
		(void)conf_issues_add(issues, "", 0, 0, "%s",
		    scan_err_text(res.err));
		r = -EINVAL;
	}
	if (r < 0)
		goto out;
	if (!json_object_is_type(doc, json_type_object)) {
		(void)conf_issues_add(issues, "", 0, 0, "must be an object");
		r = -EINVAL;
		goto out;
	}
	*ret_doc = doc;
	doc = NULL;
	r = 0;
out:
	json_object_put(doc);
	if (strict.data != NULL)
		explicit_bzero(strict.data, strict.len);
	buf_fini(&strict);
	return (r);
}

/* Everything after the text is known; c is thrown away when it fails. */
static int
conf_build(struct conf *c, const uint8_t *key, struct conf_issues *issues)
{
	int	 r;

	if (c->text == NULL) {
		c->parsed = json_object_new_object();
		r = c->parsed == NULL ? -ENOMEM : 0;
	} else
		r = conf_text_parse(c->text, c->len, &c->parsed, issues);
	if (r < 0)
		return (r);
	r = conf_env_resolve(c->schema, c->parsed, &c->resolved, issues);
	if (r < 0)
		return (r);
	r = conf_schema_check(c->schema, c->resolved, issues);
	if (r < 0)
		return (r);
	r = conf_schema_warn(c->schema, c->parsed, &c->warnings);
	if (r < 0)
		return (r);
	if (json_object_deep_copy(c->resolved, &c->config, NULL) < 0)
		return (-ENOMEM);
	r = conf_defaults_fill(c->schema, c->config);
	if (r < 0)
		return (r);
	r = conf_hash_text(key, c->text == NULL ? "" : c->text, c->len,
	    c->hash);
	if (r < 0)
		return (r);
	return (conf_hash_doc(key, c->resolved, c->revision));
}

int
conf_parse(const char *path, const char *text, size_t len,
    struct conf_schema *schema, const uint8_t *key, struct conf **ret_conf,
    struct conf_issues *issues)
{
	struct conf	*c;
	int		 r = -ENOMEM;

	c = calloc(1, sizeof *c);
	if (c == NULL)
		return (-ENOMEM);
	c->n_refs = 1;
	c->schema = conf_schema_ref(schema);
	c->path = strdup(path);
	if (c->path == NULL)
		goto out;
	if (text != NULL) {
		c->text = malloc(len + 1);
		if (c->text == NULL)
			goto out;
		memcpy(c->text, text, len);
		c->text[len] = '\0';
		c->len = len;
	}
	r = conf_build(c, key, issues);
	if (r < 0) {
		if (text != NULL && issues != NULL)
			conf_issues_locate(issues, text, len);
		goto out;
	}
	*ret_conf = c;
	c = NULL;
out:
	(void)conf_unref(c);
	return (r);
}

/*
 * A file that others may write, or that belongs to another user, decides who
 * may do what here: it is refused. One that others may read only gives secrets
 * away: that is said, as long as there are secrets in it.
 */
static int
conf_check_mode(const char *path, struct conf_issues *issues, bool *ret_is_open)
{
	struct stat	 st;

	*ret_is_open = false;
	if (stat(path, &st) < 0)
		return (0);
	if (st.st_uid != geteuid() && st.st_uid != 0) {
		(void)conf_issues_add(issues, "", 0, 0,
		    "belongs to another user (uid %u)", (unsigned)st.st_uid);
		return (-EPERM);
	}
	if ((st.st_mode & S_IWOTH) != 0) {
		(void)conf_issues_add(issues, "", 0, 0,
		    "may be written by every user (mode %04o); chmod it 0600",
		    (unsigned)st.st_mode & 07777u);
		return (-EPERM);
	}
	*ret_is_open = (st.st_mode & S_IROTH) != 0;
	return (0);
}

static int
conf_is_secret(const char *path, struct json_object *v,
    struct json_object *parent, const char *key, size_t index, void *arg)
{
	(void)path;
	(void)v;
	(void)parent;
	(void)key;
	(void)index;
	(void)arg;
	return (1);
}

int
conf_read(const char *path, struct conf_text *ret_text,
    struct conf_issues *issues)
{
	int	 r;

	*ret_text = (struct conf_text){ NULL, 0, false };
	r = file_read(path, CONF_TEXT_MAX, &ret_text->text, &ret_text->len);
	if (r == -ENOENT)
		return (0);
	if (r < 0) {
		(void)conf_issues_add(issues, "", 0, 0, "cannot be read (%s)",
		    r == -EFBIG ? "more than 1 MiB" : strerror(-r));
		return (r);
	}
	r = conf_check_mode(path, issues, &ret_text->is_open);
	if (r < 0)
		conf_text_fini(ret_text);
	return (r);
}

void
conf_text_fini(struct conf_text *t)
{
	if (t->text != NULL)
		explicit_bzero(t->text, t->len);
	free(t->text);
	*t = (struct conf_text){ NULL, 0, false };
}

int
conf_from_text(const char *path, const struct conf_text *t,
    struct conf_schema *schema, const uint8_t *key, struct conf **ret_conf,
    struct conf_issues *issues)
{
	struct conf	*c;
	int		 r;

	r = conf_parse(path, t->text, t->len, schema, key, &c, issues);
	if (r < 0)
		return (r);
	if (t->is_open && conf_secrets_each(schema, c->parsed, conf_is_secret,
	    NULL) != 0)
		(void)conf_issues_add(&c->warnings, "", 0, 0,
		    "holds secrets and may be read by every user; chmod it 0600");
	*ret_conf = c;
	return (0);
}

int
conf_load(const char *path, struct conf_schema *schema, const uint8_t *key,
    struct conf **ret_conf, struct conf_issues *issues)
{
	struct conf_text	 t;
	int			 r;

	r = conf_read(path, &t, issues);
	if (r < 0)
		return (r);
	r = conf_from_text(path, &t, schema, key, ret_conf, issues);
	conf_text_fini(&t);
	return (r);
}

int
conf_check_file(const char *path, const char *schema_dir, FILE *out)
{
	struct conf_issues	 issues = CONF_ISSUES_INIT;
	struct conf_schema	*schema = NULL;
	struct conf		*c = NULL;
	int			 r;

	r = conf_schema_load(schema_dir, &schema, &issues);
	if (r >= 0)
		r = conf_load(path, schema, NULL, &c, &issues);
	conf_issues_print(&issues, path, out);
	if (r >= 0) {
		conf_issues_print(conf_warnings(c), path, out);
		(void)fprintf(out, "%s: %s\n", path, conf_exists(c) ? "ok" :
		    "no such file; the defaults are in force");
	}
	if (r < 0 && issues.n == 0)
		(void)fprintf(out, "%s: %s\n", path, strerror(-r));
	(void)conf_unref(c);
	(void)conf_schema_unref(schema);
	conf_issues_fini(&issues);
	return (r);
}

bool
conf_path_step(const char **path, char ret_key[CONF_PATH_MAX], long *ret_index)
{
	const char	*p = *path;
	char		*end;
	size_t		 n;

	if (*p == '\0')
		return (false);
	*ret_index = -1;
	if (*p == '[') {
		ret_key[0] = '\0';
		*ret_index = strtol(p + 1, &end, 10);
		if (*end == ']' && end > p + 1 && *ret_index >= 0) {
			*path = end + 1;
			return (true);
		}
		*ret_index = -1;
		end = strchr(p, ']');	/* "[]" and "[*]": any element */
		*path = end == NULL ? p + strlen(p) : end + 1;
		(void)snprintf(ret_key, CONF_PATH_MAX, "[]");
		return (true);
	}
	if (*p == '.')
		p++;
	n = MIN_OF(strcspn(p, ".["), (size_t)CONF_PATH_MAX - 1);
	memcpy(ret_key, p, n);
	ret_key[n] = '\0';
	*path = p + n;
	return (true);
}

struct json_object *
conf_get(const struct conf *c, const char *path)
{
	struct json_object	*v = c->config;
	char			 key[CONF_PATH_MAX];
	long			 index;

	while (v != NULL && conf_path_step(&path, key, &index)) {
		if (index >= 0) {
			v = json_object_is_type(v, json_type_array) ?
			    json_object_array_get_idx(v, (size_t)index) : NULL;
		} else if (!json_object_is_type(v, json_type_object) ||
		    !json_object_object_get_ex(v, key, &v))
			v = NULL;
	}
	return (v);
}

const char *
conf_get_str(const struct conf *c, const char *path, const char *otherwise)
{
	struct json_object	*v = conf_get(c, path);

	return (json_object_is_type(v, json_type_string) ?
	    json_object_get_string(v) : otherwise);
}

int64_t
conf_get_int(const struct conf *c, const char *path, int64_t otherwise)
{
	struct json_object	*v = conf_get(c, path);

	return (json_object_is_type(v, json_type_int) ?
	    json_object_get_int64(v) : otherwise);
}

bool
conf_get_bool(const struct conf *c, const char *path, bool otherwise)
{
	struct json_object	*v = conf_get(c, path);

	return (json_object_is_type(v, json_type_boolean) ?
	    json_object_get_boolean(v) : otherwise);
}

const char *
conf_path(const struct conf *c)
{
	return (c->path);
}

bool
conf_exists(const struct conf *c)
{
	return (c->text != NULL);
}

const char *
conf_text(const struct conf *c, size_t *ret_len)
{
	if (ret_len != NULL)
		*ret_len = c->len;
	return (c->text);
}

struct json_object *
conf_parsed(const struct conf *c)
{
	return (c->parsed);
}

struct json_object *
conf_resolved(const struct conf *c)
{
	return (c->resolved);
}

const struct conf_issues *
conf_warnings(const struct conf *c)
{
	return (&c->warnings);
}

const char *
conf_hash(const struct conf *c)
{
	return (c->hash);
}

const char *
conf_revision(const struct conf *c)
{
	return (c->revision);
}
