/* SPDX-License-Identifier: MIT */
/*
 * Secrets of the configuration: which they are, hiding them, putting them
 * back.
 */
#ifndef CONFIG_REDACT_H
#define CONFIG_REDACT_H

#include "core/base/buf.h"
#include "core/config/config.h"

/*
 * One secret of a document; parent holds it under key, or (key NULL) at index.
 * Nonzero ends the walk. v may be replaced in parent.
 */
typedef int conf_secret_fn(const char *path, struct json_object *v,
    struct json_object *parent, const char *key, size_t index, void *arg);

int	 conf_secrets_each(const struct conf_schema *s, struct json_object *doc,
	    conf_secret_fn *fn, void *arg);
/* Gives a copy with CONF_REDACTED in place of each secret. */
int	 conf_redact(const struct conf_schema *s, struct json_object *doc,
	    struct json_object **ret_doc) must_use;
/*
 * The same for a valid text, appended to out; all else stays as it is, save
 * comments that repeat or name a secret.
 */
int	 conf_redact_text(const struct conf_schema *s, const char *text,
	    size_t len, struct buf *out) must_use;
/*
 * Puts the stored secret where doc, which is changed in place, has the mark.
 * -EINVAL with issues where there is none.
 */
int	 conf_restore(const struct conf_schema *s, struct json_object *doc,
	    struct json_object *stored, struct conf_issues *issues) must_use;

#endif
