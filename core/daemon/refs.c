/* SPDX-License-Identifier: MIT */
/*
 * gateway.auth.token and .password that are kept in a private file: references
 * with source "file". What they mean is that of plugin secrets, which is not there
 * yet when the gateway has to know its own secret.
 */
#include "core/daemon/refs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>
#include <json-c/json_pointer.h>

#include "core/access/secret.h"
#include "core/base/file.h"
#include "core/config/config.h"
#include "core/json/json.h"

#define REF_FILE_MAX	((int64_t)MIB(1))	/* bytes of such a file, unless less is set */

static const char *const paths[REF_COUNT] = {
	[REF_TOKEN] = "gateway.auth.token",
	[REF_PASSWORD] = "gateway.auth.password",
};

/* Fills ref; -EINVAL when the configuration of it makes no sense. */
static int
ref_find(struct ref *ref, struct conf *conf, struct json_object *o)
{
	struct json_object	*p;
	const char		*alias = json_get_str(o, "provider");
	const char		*mode, *path, *source;
	int64_t			 max;

	if (alias == NULL)
		alias = conf_get_str(conf, "secrets.defaults.file", "default");
	p = json_get_obj(conf_get(conf, "secrets.providers"), alias);
	path = json_get_str(p, "path");
	mode = json_get_str(p, "mode");
	max = json_get_int(p, "maxBytes", REF_FILE_MAX);
	ref->is_json = mode == NULL || strcmp(mode, "json") == 0;
	ref->max = max > 0 && max < REF_FILE_MAX ? (size_t)max :
	    (size_t)REF_FILE_MAX;
	source = json_get_str(p, "source");
	if (path == NULL || *path != '/' || source == NULL ||
	    strcmp(source, "file") != 0)
		return (-EINVAL);
	ref->path = strdup(path);
	ref->id = strdup(json_get_str(o, "id"));
	return (ref->path == NULL || ref->id == NULL ? -ENOMEM : 0);
}

struct refs *
refs_new(struct conf *conf)
{
	struct json_object	*o;
	struct refs		*refs = calloc(1, sizeof *refs);
	const char		*source;
	size_t			 i;

	for (i = 0; refs != NULL && i < REF_COUNT; i++) {
		o = conf_get(conf, paths[i]);
		source = json_object_is_type(o, json_type_object) ?
		    json_get_str(o, "source") : NULL;
		if (source == NULL || strcmp(source, "file") != 0 ||
		    json_get_str(o, "id") == NULL)
			continue;
		refs->refs[i].is_set = true;
		refs->refs[i].r = ref_find(&refs->refs[i], conf, o);
		refs->n++;
	}
	return (refs);
}

/* Ours alone, and what it is itself: no link of any kind. */
static int
check_private(const char *path)
{
	struct stat	 st;

	if (lstat(path, &st) < 0)
		return (-errno);
	return (!S_ISREG(st.st_mode) || st.st_nlink != 1 ||
	    st.st_uid != geteuid() || (st.st_mode & 077) != 0 ? -EPERM : 0);
}

static int
ref_read(struct ref *ref)
{
	struct json_object	*doc = NULL, *v = NULL;
	char			*text;
	size_t			 len;
	int			 r;

	r = check_private(ref->path);
	if (r == 0)
		r = file_read(ref->path, ref->max, &text, &len);
	if (r < 0)
		return (r);
	if (!ref->is_json) {
		text[strcspn(text, "\r\n")] = '\0';
		r = strcmp(ref->id, "value") == 0 ? 0 : -ENOENT;
		ref->text = r == 0 ? strdup(text) : NULL;
	} else {
		r = json_parse(text, len, &doc);
		if (r < 0)
			r = -EBADMSG;
		else if (*ref->id != '/' ||
		    json_pointer_get(doc, ref->id, &v) < 0 ||
		    !json_object_is_type(v, json_type_string))
			r = -ENOENT;
		else
			ref->text = strdup(json_object_get_string(v));
		json_object_put(doc);
	}
	secret_wipe(text, len);
	free(text);
	return (r == 0 && ref->text == NULL ? -ENOMEM : r);
}

void
refs_read(void *arg)
{
	struct refs	*refs = arg;
	size_t		 i;

	for (i = 0; i < REF_COUNT; i++) {
		if (refs->refs[i].is_set && refs->refs[i].r == 0)
			refs->refs[i].r = ref_read(&refs->refs[i]);
	}
}

const char *
ref_problem(const struct ref *ref)
{
	switch (ref->r) {
	case -EINVAL:
		return ("secrets.providers has no such file");
	case -EPERM:
		return ("the file is not the gateway's alone (mode 0600, no "
		    "link)");
	case -ENOENT:
		return ("it is not there");
	case -EBADMSG:
		return ("the file is not JSON");
	default:
		return (strerror(-ref->r));
	}
}

struct refs *
refs_free(struct refs *refs)
{
	size_t	 i;

	for (i = 0; refs != NULL && i < REF_COUNT; i++) {
		if (refs->refs[i].text != NULL)
			secret_wipe(refs->refs[i].text,
			    strlen(refs->refs[i].text));
		free(refs->refs[i].text);
		free(refs->refs[i].path);
		free(refs->refs[i].id);
	}
	free(refs);
	return (NULL);
}
