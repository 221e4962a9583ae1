/* SPDX-License-Identifier: MIT */
/* What the files of plugin secrets share. */
#ifndef PLUGIN_SECRETS_SECRETS_H
#define PLUGIN_SECRETS_SECRETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/config.h>
#include <chela/services/process.h>

#include "../common/json.h"
#include "vault.h"

#define NAME_MAX_LEN	128u
#define VALUE_MAX	65536u		/* bytes of one value */
#define ENTRIES_MAX	1024u		/* of the store, deleted ones too */
#define HOSTS_MAX	128u
#define HOST_MAX_LEN	253u
#define REFS_MAX	1024u		/* references of one configuration */
#define REF_DEPTH_MAX	24u
#define PROVIDER_BYTES	(1024u * 1024u)	/* of a file or an answer */
#define PROVIDER_MS	5000u
#define DELETED_KEEP_MS	(UINT64_C(30) * 24 * 3600 * 1000)

/* A reference of the configuration and what came of it. */
struct ref {
	char			*source;	/* env, file, exec, store */
	char			*provider;
	char			*id;
	char			*path;		/* "hooks.token" */
	struct json_object	*segments;	/* the path as an array */
	char			*value;		/* wiped with the ref */
	size_t			 len;
	int			 r;		/* 1: not yet, 0, -errno */
	bool			 is_strict;
};

struct refs {
	struct ref	*items;
	size_t		 n, cap;
};

struct job;
typedef void job_done_fn(struct job *job, struct refs *refs, void *arg);

struct secrets {
	const struct chela_host		*host;
	struct chela_ctx		*ctx;
	const struct chela_config_1	*config;	/* or NULL */
	const struct chela_process_1	*process;	/* or NULL */
	struct refs			 active;	/* the snapshot in force */
	struct job			*jobs;
};

extern struct secrets	secrets;

/*
 * What a worker has is freed by whoever leaves last: the worker at its end, or the
 * plugin when it is stopped meanwhile and done() will not come. True: the last.
 */
static inline bool
worker_leave(int *left)
{
	return (__atomic_exchange_n(left, 1, __ATOMIC_ACQ_REL) == 1);
}

/* --- store.c: what is sealed in the tables --- */

/* r: 0, or why there is no key. */
typedef void key_done_fn(int r, void *arg);

/*
 * Has the key ready, making it if create says so. done comes now or later.
 * -ENOENT: there is none and create is false.
 */
void	 store_key(bool create, key_done_fn *done, void *arg);
void	 store_close(void);
/* A sentence for a failure of store_key(). */
const char *store_error(int r);
/* Only after store_key() said 0. Gives; end it with vault_drop(). */
int	 store_value(const char *name, char **ret_value, size_t *ret_len);
int	 store_list(struct json_object **ret_entries);
bool	 store_has_env(void);		/* entries of kind env */
/* Takes hosts (NULL: as they are). The value is sealed before it returns. */
int	 store_set(const char *name, const char *value, size_t len,
	    const char *kind, struct json_object *hosts, const char *by,
	    chela_done_fn *done, void *arg);
int	 store_del(const char *name, chela_done_fn *done, void *arg);
void	 store_purge(void);
/* Entries of kind env; nonzero from cb stops. */
int	 store_each_env(int (*cb)(const char *name, const char *value,
	    void *arg), void *arg);

/* --- refs.c: references, providers --- */

void	 refs_fini(struct refs *refs);
/* All references of the configuration; 0 or -errno. */
int	 refs_collect(struct refs *ret);
/* Adds one; ref is {source, provider?, id} or "${NAME}". -EINVAL: it is none. */
int	 refs_add(struct refs *refs, struct json_object *ref, const char *path,
	    struct json_object *segments);
bool	 refs_match(const char *pattern, struct json_object *segments);
struct ref *refs_find(struct refs *refs, const struct ref *like);

/* --- resolve.c --- */

/*
 * Asks the providers, one after the other. Takes the refs; done lends them, and
 * comes on this turn or a later one. Not called any more after job_cancel_all().
 */
int	 job_start(struct refs *refs, job_done_fn *done, void *arg);
void	 job_cancel_all(void);
/* What done() wants to keep. */
struct refs job_take(struct job *job);

/* --- secrets.c --- */

/* Overwrites every string in o and drops the reference. */
void	 obj_wipe(struct json_object *o);

#endif
