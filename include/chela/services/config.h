/* SPDX-License-Identifier: MIT */
/*
 * Service "core.config/1", exported by the core: the configuration file. What
 * comes out is redacted and what goes in has the stored secrets put back, so
 * that no caller has to think of it. Loop thread only.
 */
#ifndef CHELA_SERVICES_CONFIG_H
#define CHELA_SERVICES_CONFIG_H

#include <chela/plugin.h>

#define CHELA_CONFIG_SERVICE "core.config/1"

/* struct chela_config_write.kind */
#define CHELA_CONFIG_SET	1u	/* raw is the whole file */
#define CHELA_CONFIG_PATCH	2u	/* raw is a merge patch, RFC 7396 */
#define CHELA_CONFIG_APPLY	3u	/* as set, restart when needed */

/* What a change of a path asks for. */
#define CHELA_CONFIG_NONE	0u	/* read on use */
#define CHELA_CONFIG_HOT	1u	/* parts are restarted in place */
#define CHELA_CONFIG_RESTART	2u	/* the daemon has to start anew */

/* Everything is lent; copied before write() returns. */
struct chela_config_write {
	uint32_t		 struct_size;
	uint32_t		 kind;
	const char		*raw;		/* JSON5 */
	size_t			 raw_len;
	const char		*base_hash;	/* of a snapshot, or NULL */
	struct json_object	*replace_paths;	/* array of strings, or NULL */
	const char		*session_key;	/* who asked; or NULL */
	const char		*note;		/* told there after a restart */
	struct json_object	*delivery_context;	/* or NULL */
	uint64_t		 restart_delay_ms;
};

/* Everything is lent until done() returns. */
struct chela_config_outcome {
	uint32_t		 struct_size;
	int32_t			 r;	/* -EINVAL, -ESTALE: refused */
	const char		*message;	/* a sentence, "" when r is 0 */
	struct json_object	*details;	/* {issues}, or NULL */
	struct json_object	*result;	/* the answer when r is 0 */
};

struct chela_config_change {
	uint32_t		 struct_size;
	uint32_t		 kind;		/* the strongest of the paths */
	const char		*path;		/* of the file */
	const char		*hash;		/* of its text now */
	const char *const	*changed;	/* leaf paths */
	size_t			 n_changed;
	uint64_t		 ts_ms;
};

struct chela_config_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/* What config.get answers; gives. 0 or -ENOMEM. */
	int	(*snapshot)(struct json_object **ret_snapshot);
	/*
	 * Writes the file; done comes on a later turn, exactly once. -EAGAIN:
	 * too many writes wait.
	 */
	int	(*write)(const struct chela_config_write *write,
		    void (*done)(const struct chela_config_outcome *outcome,
		    void *arg), void *arg);
	/* What config.schema answers; gives. */
	int	(*schema)(struct json_object **ret_schema);
	/* What config.schema.lookup answers; gives. -ENOENT: no such path. */
	int	(*lookup)(const char *path, struct json_object **ret_node);
	uint32_t (*reload_kind)(const char *path);	/* CHELA_CONFIG_* */
	/* After every change of the file that was accepted. */
	int	(*subscribe)(void (*cb)(
		    const struct chela_config_change *change, void *arg),
		    void *arg);
	void	(*unsubscribe)(void (*cb)(
		    const struct chela_config_change *change, void *arg),
		    void *arg);
	/* "ok", or why the file on disk is not what is in force; lent. */
	const char *(*reload_status)(void);
};

#endif
