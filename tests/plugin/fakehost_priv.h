/* SPDX-License-Identifier: MIT */
/* What the files of the fake host share. */
#ifndef TESTS_PLUGIN_FAKEHOST_PRIV_H
#define TESTS_PLUGIN_FAKEHOST_PRIV_H

#include "tests/plugin/fakehost.h"

#include <chela/services/conns.h>

#include "core/base/buf.h"
#include "core/base/map.h"

struct fake_kv {
	struct list		 link;		/* by key */
	char			*key;
	struct json_object	*val;
	uint64_t		 rev;
};

struct fake_row {
	uint64_t	 seq;
	uint64_t	 order;		/* over all logs of the host */
	char		*text;
	size_t		 len;
};

struct fake_log {
	struct list	 link;
	char		*name;
	struct fake_row	*rows;
	size_t		 n_rows;
	uint64_t	 last_seq;
};

/* Tables and logs of one plugin's name; they outlive its context. */
struct fake_store {
	struct list	 link;
	char		*plugin;
	struct list	 kvs;
	struct list	 logs;
};

struct chela_ctx {
	struct list			 link;
	struct fake			*f;
	char				*name;
	const struct chela_plugin	*plugin;	/* NULL: the test */
	struct fake_store		*store;
	struct json_object		*schema;
	struct map			*schemas;	/* compiled */
	struct json_object		*conf;
	void				*priv;
	bool				 is_up;		/* init() went well */
	bool				 is_started;
	unsigned			 generation;	/* lives before this */
	int				 mark;		/* of the sorting */
	struct list			 timers;
	struct list			 watches;
	struct list			 hooks;		/* conn_on_close() */
};

struct fake {
	struct chela_host	 host;
	struct loop		*loop;
	struct list		 ctxs;		/* in start order, once started */
	struct chela_ctx	*own;		/* of the test */
	struct list		 stores;
	struct list		 services;
	struct list		 conns;
	struct list		 reqs;
	struct json_object	*conf;
	struct json_object	*events;
	struct chela_conn	*all;		/* stands in for conn NULL */
	bool			 is_started;
	bool			 is_frozen;	/* fake_clock() */
	uint64_t		 now_us;
	uint64_t		 wall_ms;
	size_t			 n_open;	/* calls on the way back */
	unsigned		 n_fail;
	int			 fail_r;
	uint64_t		 rev;
	uint64_t		 order;
	struct buf		 log;
	unsigned		 n_ids;
};

struct fake_store *fake_store_get(struct fake *f, const char *plugin);
void		 fake_store_free(struct fake_store *s);
void		 fake_loop_table(struct chela_host *h);
void		 fake_loop_sweep(struct chela_ctx *ctx);
void		 fake_store_table(struct chela_host *h);
void		 fake_call_table(struct chela_host *h);
/*
 * part.name.kind of the plugin's schema file against a value; true without a
 * schema. why gets a sentence.
 */
bool		 fake_schema_ok(struct chela_ctx *ctx, const char *part,
		    const char *name, const char *kind, struct json_object *o,
		    char *why, size_t why_size);
/* Checks a plugin's part of the configuration and fills in its defaults. */
int		 fake_schema_conf(struct chela_ctx *ctx,
		    struct json_object *conf);
void		 fake_schema_free(struct chela_ctx *ctx);
void		 fake_hooks_free(struct chela_ctx *ctx);
void		 fake_conns_close(struct fake *f);
extern const struct chela_conns_1 fake_conns;
struct fake	*fake_the(void);	/* the one there is */
/* Later, on the loop, and counted while it is on its way. */
int		 fake_later(struct fake *f, loop_fn *fn, void *arg);
void		 fake_later_done(struct fake *f);

#endif
