/* SPDX-License-Identifier: MIT */
/* What the files of this part share and nobody else sees. */
#ifndef CONFIG_CONFIG_PRIV_H
#define CONFIG_CONFIG_PRIV_H

#include <json-c/json.h>

#include "core/config/config.h"
#include "core/config/live.h"

struct conf {
	unsigned		 n_refs;
	struct conf_schema	*schema;
	char			*path;
	char			*text;		/* NULL: no file */
	size_t			 len;
	struct json_object	*parsed;
	struct json_object	*resolved;
	struct json_object	*config;
	char			 hash[CONF_HASH_MAX];
	char			 revision[CONF_HASH_MAX];
	struct conf_issues	 warnings;
};

#define CONF_DEPTH_MAX	64	/* of a document or a schema that is walked */
#define CONF_PATH_MAX	1024	/* bytes of a path as text */

/* The path of a value while a document is walked: "agents.list[0].id". */
struct conf_trail {
	char	 text[CONF_PATH_MAX];
	size_t	 len;
};

/* All return the length before, for conf_trail_cut(). */
size_t	 conf_trail_key(struct conf_trail *t, const char *key);
size_t	 conf_trail_index(struct conf_trail *t, size_t index);
size_t	 conf_trail_add(struct conf_trail *t, const char *text);
void	 conf_trail_cut(struct conf_trail *t, size_t len);

/* A file as it was read. text NULL: there is none. */
struct conf_text {
	char	*text;
	size_t	 len;
	bool	 is_open;	/* every user may read it */
};

/* Blocks; any thread. Gives ret. issues says why not. */
int	 conf_read(const char *path, struct conf_text *ret_text,
	    struct conf_issues *issues) must_use;
void	 conf_text_fini(struct conf_text *t);
int	 conf_from_text(const char *path, const struct conf_text *t,
	    struct conf_schema *schema, const uint8_t *key,
	    struct conf **ret_conf, struct conf_issues *issues) must_use;

/* The text of a snapshot from its text: strict JSON, parsed. */
int	 conf_text_parse(const char *text, size_t len,
	    struct json_object **ret_doc, struct conf_issues *issues) must_use;
/*
 * A deep copy of doc with ${NAME} replaced, and with {source: "env", id: NAME}
 * where a secret may stand. -EINVAL with issues.
 */
int	 conf_env_resolve(const struct conf_schema *s, struct json_object *doc,
	    struct json_object **ret_doc, struct conf_issues *issues) must_use;
/* Fills in defaults, in place. */
int	 conf_defaults_fill(const struct conf_schema *s,
	    struct json_object *doc) must_use;
/* Checks against the schema. -EINVAL with issues. */
int	 conf_schema_check(struct conf_schema *s,
	    struct json_object *doc, struct conf_issues *issues) must_use;
/* Names keys that are known and do nothing here. */
int	 conf_schema_warn(const struct conf_schema *s,
	    struct json_object *doc, struct conf_issues *warnings) must_use;
/* What a change of the path asks for: the nearest node that says so. */
enum conf_reload conf_reload_kind(const struct conf_schema *s,
	    const char *path);
/* "hmac-sha256:v1:<base64url>" into ret_text; key NULL: "". */
int	 conf_hash_text(const uint8_t *key, const void *p, size_t len,
	    char ret_text[CONF_HASH_MAX]) must_use;
int	 conf_hash_doc(const uint8_t *key, struct json_object *doc,
	    char ret_text[CONF_HASH_MAX]) must_use;
/* Puts lines and columns into issues whose path the text has. */
void	 conf_issues_locate(struct conf_issues *is, const char *text,
	    size_t len);

/* Nodes of the schema. All are lent; NULL: none. */
struct json_object *conf_node_root(const struct conf_schema *s);
/* Follows $ref. */
struct json_object *conf_node_real(const struct conf_schema *s,
	    struct json_object *node);
/* The node of a member (key), or of an element (key NULL). */
struct json_object *conf_node_step(const struct conf_schema *s,
	    struct json_object *node, const char *key);
bool	 conf_node_flag(struct json_object *node, const char *name);
/* True if the node says so or the key's name does. */
bool	 conf_is_sensitive(const struct conf_schema *s,
	    struct json_object *node, const char *key);

/* Walks text to the end of a step: gives false at the end of the path. */
bool	 conf_path_step(const char **path, char ret_key[CONF_PATH_MAX],
	    long *ret_index);

#endif
