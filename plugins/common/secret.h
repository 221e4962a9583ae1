/* SPDX-License-Identifier: MIT */
/*
 * Secrets of the configuration: each is a text, or a reference to where it is
 * kept, {source, provider?, id}. Who uses this depends on plugin secrets.
 */
#ifndef PLUGINS_COMMON_SECRET_H
#define PLUGINS_COMMON_SECRET_H

#include <stdlib.h>
#include <string.h>

#include <chela/plugin.h>
#include <chela/services/secrets.h>

#include "json.h"

static inline bool
secret_is_ref(struct json_object *v)
{
	return (get_text(v, "source") != NULL && get_text(v, "id") != NULL);
}

/*
 * What it is now, never empty; lent until this turn of the loop ends. NULL:
 * there is none, or a reference without a value. Those to the environment do
 * without the plugin secrets.
 */
static inline const char *
secret_text(const struct chela_host *host, struct chela_ctx *ctx,
    struct json_object *v)
{
	const struct chela_secrets_1	*secrets;
	const char			*text = NULL;

	if (json_object_is_type(v, json_type_string)) {
		text = json_object_get_string(v);
	} else if (secret_is_ref(v)) {
		secrets = host->svc_import(ctx, CHELA_SECRETS_SERVICE);
		if (strcmp(get_str(v, "source"), "env") == 0 &&
		    get_text(v, "provider") == NULL)
			text = getenv(get_str(v, "id"));
		else if (secrets == NULL || secrets->get(v, &text) < 0)
			text = NULL;
	}
	return (text != NULL && *text != '\0' ? text : NULL);
}

#endif
