/* SPDX-License-Identifier: MIT */
/*
 * The configuration of a running daemon: the snapshot in force, the watch on
 * the file, writes to it. An invalid file never becomes the one in force.
 * After conf_live_open() the disk is touched on the worker pool only.
 */
#ifndef CONFIG_LIVE_H
#define CONFIG_LIVE_H

#include "core/base/loop.h"
#include "core/config/config.h"

struct chela_config_1;
struct conf_live;

#define CONF_LISTENERS_MAX	32	/* of each kind */
#define CONF_WRITES_MAX		32	/* writes that wait for their turn */
#define CONF_BACKUPS		5	/* .bak.1 ... .bak.5, beside .bak */
#define CONF_CHANGED_MAX	4096	/* paths of one change */

enum conf_reload {		/* as CHELA_CONFIG_* */
	CONF_RELOAD_NONE,
	CONF_RELOAD_HOT,
	CONF_RELOAD_RESTART,
};

struct conf_live_opts {
	const char	*path;		/* of the file */
	const char	*state_dir;	/* made if it is not there */
	const char	*schema_dir;
	const char	*version;	/* stamped into what is written */
};

/*
 * Loads the file and starts to watch it. Blocks. Gives ret. On failure issues
 * say why: the daemon prints them and does not start.
 */
int	 conf_live_open(struct loop *loop, const struct conf_live_opts *opts,
	    struct conf_live **ret_live, struct conf_issues *issues) must_use;
/* Before the loop is freed; work that is under way ends without a word. */
struct conf_live *conf_live_close(struct conf_live *live);

struct conf *conf_live_get(const struct conf_live *live);	/* lent */
struct conf_schema *conf_live_schema(const struct conf_live *live); /* lent */
/*
 * Adds the schema of a plugin's configuration; takes part. It counts from the next
 * conf_live_settle() on.
 */
int	 conf_live_add_plugin(struct conf_live *live, const char *name,
	    struct json_object *part) must_use;
/*
 * The snapshot in force gets the defaults of what was added and is checked by it:
 * -EINVAL with issues when it does not fit; the old one stays then.
 */
int	 conf_live_settle(struct conf_live *live, struct conf_issues *issues)
	    must_use;

/* Reads the file again now (SIGHUP). */
void	 conf_live_reload(struct conf_live *live);

/* One leaf that differs; an array is a leaf. */
struct conf_delta {
	const char		*path;
	enum conf_reload	 kind;
};

struct conf_change {
	const struct conf	*before;
	const struct conf	*after;		/* in force already */
	const struct conf_delta	*deltas;
	size_t			 n_deltas;
	enum conf_reload	 kind;		/* the strongest */
};

/*
 * A check may refuse a configuration before it is in force: negative, with an
 * issue that says why. All checks agree, or nothing changes. One that agreed may
 * be called again with the old one, when another refused or the file could not
 * be written: issues is NULL then.
 */
typedef int conf_check_fn(const struct conf *next, struct conf_issues *issues,
    void *arg);
typedef void conf_change_fn(const struct conf_change *change, void *arg);
/* A client asked for a restart, in delay_ms. False: it will not come. */
typedef bool conf_restart_fn(uint64_t delay_ms, void *arg);

int	 conf_live_on_check(struct conf_live *live, conf_check_fn *fn,
	    void *arg);
int	 conf_live_on_change(struct conf_live *live, conf_change_fn *fn,
	    void *arg);
void	 conf_live_forget(struct conf_live *live, void *arg); /* both kinds */
void	 conf_live_on_restart(struct conf_live *live, conf_restart_fn *fn,
	    void *arg);

/* True while a change waits for a restart of the daemon. */
bool	 conf_live_is_restart_due(const struct conf_live *live);

/* The vtable of "core.config/1" on this object; one for a process. */
const struct chela_config_1 *conf_live_service(struct conf_live *live);

#endif
