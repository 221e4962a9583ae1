/* SPDX-License-Identifier: MIT */
/*
 * Service "secrets/1", exported by plugin secrets: what references to secrets mean.
 *
 * A reference is what a configuration has in place of a secret: an object
 * {source: "env"|"file"|"exec"|"store", provider?, id}, or the text "${NAME}".
 */
#ifndef CHELA_SERVICES_SECRETS_H
#define CHELA_SERVICES_SECRETS_H

#include <chela/plugin.h>

#define CHELA_SECRETS_SERVICE "secrets/1"

/* r: 0, -ENOENT (not there), -EPERM (a file that others may read), -ETIMEDOUT,
 * -EBADMSG, ... value is lent until the callback returns, then wiped. */
typedef void chela_secret_fn(struct chela_ctx *ctx, int r, const char *value,
    void *arg);

struct chela_secrets_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/*
	 * The value that a reference of the configuration has had since the last
	 * (re)load; lent until this turn of the loop ends. -ENOENT: no reference
	 * of the configuration, or it has no value; -EINVAL: it is none.
	 */
	int	(*get)(struct json_object *ref, const char **ret_value);
	/*
	 * Asks the provider now, also for a reference that is not in the
	 * configuration. done comes once, never from within.
	 */
	int	(*resolve)(struct chela_ctx *ctx, struct json_object *ref,
		    chela_secret_fn *done, void *arg);
	/*
	 * Variables of the store for the environment of commands; nonzero from
	 * cb stops. value is lent. -ENOKEY: the store is not open yet.
	 */
	int	(*each_env)(int (*cb)(const char *name, const char *value,
		    void *arg), void *arg);
};

#endif
