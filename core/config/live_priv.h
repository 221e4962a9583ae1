/* SPDX-License-Identifier: MIT */
/*
 * The inside of struct conf_live, for live.c, op.c, service.c and their
 * tests.
 */
#ifndef CONFIG_LIVE_PRIV_H
#define CONFIG_LIVE_PRIV_H

#include <json-c/json.h>

#include <chela/services/config.h>

#include "core/config/config_priv.h"
#include "core/config/live.h"

#define CONF_WHY_MAX	1024	/* bytes of a refusal */

struct conf_listener {
	conf_check_fn	*check;		/* one of both */
	conf_change_fn	*change;
	void		*arg;
};

/*
 * All on the loop thread. Work on the pool goes through the queue of
 * operations, one at a time, so that a file that was read is never older than
 * one written. Counted: the owner and each job under way.
 */
struct conf_live {
	unsigned		 n_refs;
	bool			 is_closed;
	struct loop		*loop;
	char			*path;
	char			*state_dir;
	char			*version;
	uint8_t			 key[CONF_KEY_LEN];
	struct conf_schema	*schema;

	struct conf		*current;	/* in force */
	/* What the disk holds, also when that is no good. */
	struct conf_text	 disk;
	struct conf_issues	 disk_issues;	/* why it is not in force */
	int			 disk_error;	/* it cannot even be read */
	char			 disk_hash[CONF_HASH_MAX];
	char			 applied[CONF_HASH_MAX];
	bool			 is_restart_due;

	struct conf_listener	 listeners[2 * CONF_LISTENERS_MAX];
	size_t			 n_checks;
	size_t			 n_changes;
	conf_restart_fn		*restart;
	void			*restart_arg;

	int			 inotify_fd;	/* -1: none */
	int			 wd;		/* -1: no such folder */
	struct loop_watch	*watch;
	struct loop_timer	*debounce;

	struct list		 ops;	/* if busy the first is under way */
	size_t			 n_ops;
	bool			 is_busy;
};

enum conf_op_kind {
	CONF_OP_RELOAD,
	CONF_OP_SET = CHELA_CONFIG_SET,
	CONF_OP_PATCH = CHELA_CONFIG_PATCH,
	CONF_OP_APPLY = CHELA_CONFIG_APPLY,
};

/* One operation: read the file, decide, write. */
struct conf_op {
	struct list		 link;
	struct conf_live	*live;		/* counted */
	enum conf_op_kind	 kind;

	/* What was asked for; owned. */
	char			*raw;
	size_t			 raw_len;
	char			*base_hash;
	char			*session_key;
	char			*note;
	struct json_object	*replace_paths;
	struct json_object	*delivery_context;
	uint64_t		 restart_delay_ms;
	void	(*done)(const struct chela_config_outcome *outcome, void *arg);
	void			*arg;

	/* The pool's. */
	char			*path;
	char			*state_dir;
	int			 r;
	struct conf_text	 base;		/* as read */
	struct conf_issues	 issues;
	struct buf		 text;		/* to be written */
	struct buf		 sentinel;	/* too, for a restart */
	bool			 is_sentinel_kept;

	struct conf		*next;		/* what text says */
	struct json_object	*changed;	/* array of leaf paths */
	enum conf_reload	 change_kind;
};

struct conf_live *conf_live_ref(struct conf_live *live);
struct conf_live *conf_live_unref(struct conf_live *live);
/* All listeners that check agree; else negative, with issues. */
int	 conf_live_ask(struct conf_live *live, const struct conf *next,
	    struct conf_issues *issues) must_use;
/* What they agreed to does not come after all: they get what is in force. */
void	 conf_live_unask(struct conf_live *live);
/* Puts next in force; takes it. Tells the listeners. */
void	 conf_live_install(struct conf_live *live, struct conf *next);
/* Takes note of what the disk holds; takes text. True if that was new. */
bool	 conf_live_set_disk(struct conf_live *live, struct conf_text *text);
/* The text on the disk, made current if it is good; false: nothing was new. */
bool	 conf_live_adopt(struct conf_live *live, struct conf_text *text);
void	 conf_live_watch(struct conf_live *live);

/* Queues; takes op, also on failure. */
int	 conf_op_start(struct conf_op *op) must_use;
struct conf_op *conf_op_new(struct conf_live *live, enum conf_op_kind kind)
    must_use;
struct conf_op *conf_op_free(struct conf_op *op);
/* Decides what is written: 0; 1: nothing is; negative with issues. */
int	 conf_op_decide(struct conf_op *op, struct conf_issues *issues,
	    char why[CONF_WHY_MAX]) must_use;

/* Gives [{path, message}], or NULL. */
struct json_object *conf_issues_json(const struct conf_issues *is);

/* The service loses the object it stands on. */
void	 conf_service_forget(struct conf_live *live);

/* What config.schema and config.schema.lookup say; both give. */
int	 conf_describe(const struct conf_schema *s, const char *version,
	    struct json_object **ret) must_use;
int	 conf_describe_path(const struct conf_schema *s, const char *path,
	    struct json_object **ret) must_use;

/* The changed paths of two configurations, and what they ask for. */
int	 conf_changes(const struct conf_schema *s, struct json_object *before,
	    struct json_object *after, struct json_object **ret_paths,
	    enum conf_reload *ret_kind) must_use;

#endif
