/* SPDX-License-Identifier: MIT */
/* Service "core.plugins/1", exported by the core: what is loaded. */
#ifndef CHELA_SERVICES_PLUGINS_H
#define CHELA_SERVICES_PLUGINS_H

#include <chela/plugin.h>

#define CHELA_PLUGINS_SERVICE "core.plugins/1"

/* state of a plugin */
#define CHELA_PLUGIN_ENABLED	1u
#define CHELA_PLUGIN_DISABLED	2u
#define CHELA_PLUGIN_FAILED	3u	/* refused; error says why */

struct chela_plugin_info {
	uint32_t	 struct_size;	/* set by the caller */
	uint32_t	 state;
	const char	*id;
	const char	*summary;
	const char	*version;	/* "1.4.0" */
	const char	*path;		/* of the file */
	const char	*error;		/* "" when there is none */
	uint32_t	 n_methods;
	uint32_t	 n_events;
	uint64_t	 n_calls;	/* handled, all methods */
	uint64_t	 n_failures;	/* answered with an error */
	uint64_t	 n_slow;	/* over their time budget */
	uint64_t	 max_us;	/* the longest stay in one call */
	uint64_t	 n_denied;	/* over a limit, or dropped */
	uint64_t	 n_timeouts;	/* calls that it did not answer in time */
	uint64_t	 n_late;	/* answers after that */
	uint64_t	 queued_bytes;	/* of writes under way */
	uint32_t	 n_open;	/* calls without an answer */
	uint32_t	 n_timers;
	uint32_t	 n_watches;
	uint32_t	 n_posts;	/* callbacks and jobs that wait */
	uint32_t	 n_writes;	/* to the store, under way */
	uint32_t	 n_crashes;	/* that still count */
};

struct chela_method_info {
	uint32_t	 struct_size;	/* set by the core */
	uint32_t	 flags;		/* CHELA_METHOD_* */
	const char	*name;
	const char	*plugin;
	const char	*scope;		/* "" when the role is enough */
	const char	*summary;
	uint32_t	 roles;
	uint32_t	 reserved;
	uint64_t	 n_calls;
};

struct chela_plugins_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/* Rises with every change of what is loaded. */
	uint64_t (*generation)(void);
	/* In name order; nonzero from cb stops. Everything is lent. */
	int	(*each)(int (*cb)(const struct chela_plugin_info *info,
		    void *arg), void *arg);
	int	(*find)(const char *id, struct chela_plugin_info *ret_info);
	int	(*each_method)(int (*cb)(const struct chela_method_info *info,
		    void *arg), void *arg);
	int	(*each_event)(int (*cb)(const char *name, const char *plugin,
		    const char *scope, void *arg), void *arg);
	int	(*each_dep)(const char *id, int (*cb)(const char *dep,
		    int is_optional, void *arg), void *arg);
	/* The schema document of a plugin: gives, or -ENOENT. */
	int	(*schema)(const char *id, struct json_object **ret_schema);

	/*
	 * Looks at the plugin directories and the configuration again: loads
	 * what is new, disables what is gone or switched off. Runs on a later
	 * turn; then the event "plugins.changed" is emitted and done is called.
	 */
	int	(*refresh)(struct chela_ctx *ctx, chela_done_fn *done, void *arg);

	/*
	 * The crashes of this plugin count no more: the next refresh() starts
	 * it again.
	 */
	int	(*forgive)(const char *id);
	/*
	 * fn after every refresh, whoever asked for it, until the plugin is
	 * stopped.
	 */
	int	(*on_change)(struct chela_ctx *ctx, chela_cb_fn *fn, void *arg);
};

#endif
