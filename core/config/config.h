/* SPDX-License-Identifier: MIT */
/*
 * The configuration: finding, reading and checking the file, and an immutable
 * snapshot of what it says. What blocks says so; the rest may run on the loop.
 * The running daemon's copy, with watching and writing, is in live.h.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdio.h>

#include "core/base/buf.h"

struct json_object;
struct conf;
struct conf_schema;

#define CONF_TEXT_MAX	MIB(1)		/* bytes of the file */
#define CONF_ISSUE_MAX	64		/* issues kept of one check */
#define CONF_KEY_LEN	32		/* of the key for hashes */
#define CONF_HASH_MAX	64		/* a hash as text, with its NUL */
#define CONF_REDACTED	"__OPENCLAW_REDACTED__"

/* What is wrong, where. line is 0 when the place in the file is not known. */
struct conf_issue {
	char		*path;		/* "gateway.port"; "" for the whole */
	char		*message;
	unsigned	 line;
	unsigned	 col;
};

struct conf_issues {
	struct conf_issue	*items;
	size_t			 n;
	size_t			 n_more;	/* beyond CONF_ISSUE_MAX */
};

#define CONF_ISSUES_INIT { NULL, 0, 0 }

void	 conf_issues_fini(struct conf_issues *is);
int	 conf_issues_add(struct conf_issues *is, const char *path,
	    unsigned line, unsigned col, const char *fmt, ...)
	    printf_like(5, 6);
/* "FILE:12:3: gateway.port: must be integer", one line an issue. */
void	 conf_issues_print(const struct conf_issues *is, const char *file,
	    FILE *out);

/*
 * Where things are. arg is what the command line said, or NULL. Gives a
 * string, NULL: no memory. conf_path_find() looks at arg, $CHELA_CONFIG,
 * ~/.config/chela/chela.json, /etc/chela/chela.json; where no file exists, it
 * is the one that a first write would create.
 */
char	*conf_path_find(const char *arg) must_use;
char	*conf_state_dir_find(const char *arg) must_use;

/*
 * The schema of the whole file: member "configuration" of config.json in the
 * directory. Blocks. Counted.
 * A plugin's own part is added under plugins.entries.<name>.config; takes part.
 */
int	 conf_schema_load(const char *schema_dir,
	    struct conf_schema **ret_schema, struct conf_issues *issues)
	    must_use;
struct conf_schema *conf_schema_ref(struct conf_schema *s);
struct conf_schema *conf_schema_unref(struct conf_schema *s);
int	 conf_schema_add_plugin(struct conf_schema *s, const char *name,
	    struct json_object *part) must_use;
/* The whole as JSON Schema; lent. */
struct json_object *conf_schema_json(const struct conf_schema *s);

/* Reads or makes the key that hashes are made with. Blocks. */
int	 conf_key_load(const char *state_dir, uint8_t ret_key[CONF_KEY_LEN])
	    must_use;

/*
 * Reads path and checks it; no file is an empty configuration. Blocks. key may
 * be NULL: no hashes. -EINVAL with issues when the file is wrong; another
 * errno (one issue says it in words) when it cannot be read.
 */
int	 conf_load(const char *path, struct conf_schema *schema,
	    const uint8_t *key, struct conf **ret_conf,
	    struct conf_issues *issues) must_use;
/* The same for a text in memory; text NULL: there is no file. */
int	 conf_parse(const char *path, const char *text, size_t len,
	    struct conf_schema *schema, const uint8_t *key,
	    struct conf **ret_conf, struct conf_issues *issues) must_use;
/*
 * For "chelad --check" and "chela config check": prints what is wrong, line by
 * line, or "PATH: ok". Blocks. 0 or the negative errno.
 */
int	 conf_check_file(const char *path, const char *schema_dir, FILE *out)
	    must_use;

/* Counted, not from other threads. */
struct conf *conf_ref(struct conf *c);
struct conf *conf_unref(struct conf *c);	/* returns NULL */

/*
 * Values, defaults filled in and ${NAME} replaced; lent as long as the
 * snapshot. path is "gateway.port", "agents.list[0].id", "" for the whole.
 */
struct json_object *conf_get(const struct conf *c, const char *path);
const char *conf_get_str(const struct conf *c, const char *path,
	    const char *otherwise);
int64_t	 conf_get_int(const struct conf *c, const char *path,
	    int64_t otherwise);
bool	 conf_get_bool(const struct conf *c, const char *path, bool otherwise);

const char *conf_path(const struct conf *c);
bool	 conf_exists(const struct conf *c);	/* there is a file */
const char *conf_text(const struct conf *c, size_t *ret_len);	/* or NULL */
/*
 * As written, before ${NAME} and defaults. Holds secrets, as conf_get() does.
 */
struct json_object *conf_parsed(const struct conf *c);
/* With ${NAME} replaced and without defaults. */
struct json_object *conf_resolved(const struct conf *c);
/* What is not an error: keys without effect, an open file; lent. */
const struct conf_issues *conf_warnings(const struct conf *c);
const char *conf_hash(const struct conf *c);		/* of the text */
const char *conf_revision(const struct conf *c);	/* of its meaning */

#endif
