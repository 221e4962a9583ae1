/* SPDX-License-Identifier: MIT */
/*
 * What the daemon does with json-c values: parse, look up, compare, copy,
 * write. Any thread. JSON null is the NULL pointer, as in json-c.
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include <json-c/json.h>

#include "core/base/base.h"
#include "core/base/buf.h"
#include "core/json/scan.h"

/* A tree deeper than this is not written, copied or compared. */
#define JSON_DEPTH_MAX	SCAN_DEPTH_CAP

/*
 * Builds the value of a text or a member's span that scan_json() or scan_frame() has
 * accepted: it does not check again. Gives the value. 0, -ENOMEM, or -EBADMSG for what
 * cannot have been scanned.
 */
int	 json_parse(const char *text, size_t len, struct json_object **ret)
	    must_use;
/*
 * Scans, then parses; res may be NULL. 0, -EBADMSG (res->err says why),
 * -ENOMEM.
 */
int	 json_parse_scanned(const char *text, size_t len,
	    const struct scan_limits *lim, struct scan_result *res,
	    struct json_object **ret) must_use;
/*
 * Reads a file of at most max bytes that we or the operator wrote: depth and
 * UTF-8 are checked, heap is bounded by max. why, or NULL, gets one line on
 * failure: what and on which line of the file.
 */
int	 json_read_file(const char *path, size_t max, struct json_object **ret,
	    struct buf *why) must_use;

/*
 * Members of an object; obj may be NULL or no object. Absent and of another
 * type are one thing: NULL or the default. All borrowed.
 */
struct json_object *json_get(const struct json_object *obj, const char *key);
bool		 json_has(const struct json_object *obj, const char *key);
const char	*json_get_str(const struct json_object *obj, const char *key);
const char	*json_get_strn(const struct json_object *obj, const char *key,
		    size_t *ret_len);
struct json_object *json_get_obj(const struct json_object *obj,
		    const char *key);
struct json_object *json_get_arr(const struct json_object *obj,
		    const char *key);
bool		 json_get_bool(const struct json_object *obj, const char *key,
		    bool dflt);
/* 5 and 5.0, also 5e0; not 5.5, which is dflt. */
int64_t		 json_get_int(const struct json_object *obj, const char *key,
		    int64_t dflt);
double		 json_get_double(const struct json_object *obj, const char *key,
		    double dflt);
/* A number whose value is a whole one within +-(2^53-1). */
bool		 json_is_whole(const struct json_object *v, int64_t *ret);
/* The value at a path "a.b.c" of members, or NULL. */
struct json_object *json_get_path(const struct json_object *obj,
		    const char *path);

/*
 * Adds or replaces a member. Takes value, also on failure; -ENOMEM also when
 * value is NULL and was to be something, so that json_object_new_*() may stand
 * in the call: json_add_null() is for null.
 */
int	 json_add(struct json_object *obj, const char *key,
	    struct json_object *value);
int	 json_add_str(struct json_object *obj, const char *key, const char *s);
int	 json_add_int(struct json_object *obj, const char *key, int64_t n);
int	 json_add_bool(struct json_object *obj, const char *key, bool b);
int	 json_add_double(struct json_object *obj, const char *key, double d);
int	 json_add_null(struct json_object *obj, const char *key);
/* Appends to an array; takes value as above. */
int	 json_push(struct json_object *arr, struct json_object *value);

/* Gives a deep copy that shares nothing with v. */
int	 json_copy(const struct json_object *v, struct json_object **ret)
	    must_use;
/*
 * Equal as JSON Schema means it: numbers by value (1 and 1.0), objects whatever
 * the order of members.
 */
bool	 json_equal(const struct json_object *a, const struct json_object *b);
/* Equal for equal values, whatever their spelling; for tables. */
uint64_t json_hash(const struct json_object *v, const uint64_t seed[2]);

/*
 * Appends compact JSON. Numbers in the shortest form that reads back the same,
 * a number that JSON cannot say as null, strings must be UTF-8. 0, -ENOMEM, or
 * -ELOOP above JSON_DEPTH_MAX (out is then cut back).
 */
int	 json_write(struct buf *out, const struct json_object *v);
int	 json_write_double(struct buf *out, double d);

#endif
