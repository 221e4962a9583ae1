/* SPDX-License-Identifier: MIT */
/* Plans: their digest, and how they are shown to who decides. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec_priv.h"

/* A text that grows; is_failed once there was no memory. */
struct text {
	char	*s;
	size_t	 len, cap;
	bool	 is_failed;
};

static void
text_add(struct text *t, const void *p, size_t len)
{
	char	*more;
	size_t	 cap = t->cap;

	while (cap < t->len + len + 1)
		cap = cap == 0 ? 256 : cap * 2;
	if (cap != t->cap) {
		more = realloc(t->s, cap);
		if (more == NULL) {
			t->is_failed = true;
			return;
		}
		t->s = more;
		t->cap = cap;
	}
	memcpy(t->s + t->len, p, len);
	t->len += len;
	t->s[t->len] = '\0';
}

static void
text_str(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

static char *
text_take(struct text *t)
{
	if (t->is_failed || t->s == NULL) {
		free(t->s);
		return (NULL);
	}
	return (t->s);
}

static bool
utf8_is_valid(const char *s)
{
	const unsigned char	*p = (const unsigned char *)s;
	unsigned		 n, i;
	uint32_t		 c;

	while (*p != '\0') {
		c = *p;
		n = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 :
		    c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 9;
		if (n == 9)
			return (false);
		c = n == 0 ? c : c & (0x3fu >> n);
		for (i = 1; i <= n; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return (false);
			c = c << 6 | (p[i] & 0x3fu);
		}
		if ((n == 2 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
		    (n == 3 && (c < 0x10000 || c > 0x10ffff)))
			return (false);
		p += n + 1;
	}
	return (true);
}

/* A text that a program can get: no NUL inside, and UTF-8. Counts its bytes. */
static int
check_text(struct json_object *v, size_t *total)
{
	size_t	len;

	if (v == NULL)
		return (0);
	if (!json_object_is_type(v, json_type_string))
		return (-EINVAL);
	len = (size_t)json_object_get_string_len(v);
	*total += len + 1;
	if (*total > CHELA_PLAN_BYTES_MAX)
		return (-E2BIG);
	if (strlen(json_object_get_string(v)) != len ||
	    !utf8_is_valid(json_object_get_string(v)))
		return (-EINVAL);
	return (0);
}

int
plan_check(struct json_object *plan)
{
	static const char *const names[] = { "cwd", "agentId", "sessionKey",
	    "nodeId" };
	struct json_object	*argv = get_any(plan, "argv");
	struct json_object	*env = get_any(plan, "env");
	size_t			 total = 0, i, n;
	int			 r = 0;

	if (!json_object_is_type(argv, json_type_array))
		return (-EINVAL);
	n = json_object_array_length(argv);
	if (n > CHELA_PLAN_ARGS_MAX)
		return (-E2BIG);
	if (n == 0 || json_object_array_get_idx(argv, 0) == NULL ||
	    json_object_get_string_len(json_object_array_get_idx(argv, 0)) == 0)
		return (-EINVAL);
	for (i = 0; r == 0 && i < n; i++)
		r = json_object_array_get_idx(argv, i) == NULL ? -EINVAL :
		    check_text(json_object_array_get_idx(argv, i), &total);
	for (i = 0; r == 0 && i < 4; i++)
		r = check_text(get_any(plan, names[i]), &total);
	if (r < 0 || env == NULL)
		return (r);
	if (!json_object_is_type(env, json_type_object))
		return (-EINVAL);
	json_object_object_foreach(env, name, value) {
		total += strlen(name) + 1;
		if (*name == '\0' || strchr(name, '=') != NULL ||
		    !utf8_is_valid(name) || value == NULL)
			return (-EINVAL);
		r = check_text(value, &total);
		if (r < 0)
			return (r);
	}
	return (0);
}

struct json_object *
plan_new(struct json_object *argv, const char *cwd, struct json_object *env,
    const char *agent_id, const char *session_key, const char *node_id)
{
	struct json_object	*o = json_object_new_object(), *copy = NULL;

	/* Copies: what the caller does with its own later is not in the plan. */
	if (o == NULL || json_object_deep_copy(argv, &copy, NULL) < 0) {
		json_object_put(o);
		return (NULL);
	}
	json_object_object_add(o, "argv", copy);
	set_str_or_null(o, "cwd", cwd);
	copy = NULL;
	if (env != NULL && json_object_object_length(env) > 0 &&
	    json_object_deep_copy(env, &copy, NULL) < 0) {
		json_object_put(o);
		return (NULL);
	}
	json_object_object_add(o, "env", copy != NULL ? copy :
	    json_object_new_object());
	set_str_or_null(o, "agentId", agent_id);
	set_str_or_null(o, "sessionKey", session_key);
	set_str_or_null(o, "nodeId", node_id);
	return (o);
}

int
plan_from(const struct chela_plan *p, struct json_object **ret)
{
	struct json_object	*argv = json_object_new_array(), *plan;
	uint32_t		 i;
	size_t			 total = 0;
	int			 r;

	if (p->argc == 0 || p->argc > CHELA_PLAN_ARGS_MAX) {
		json_object_put(argv);
		return (p->argc == 0 ? -EINVAL : -E2BIG);
	}
	for (i = 0; i < p->argc; i++) {
		total += strlen(p->argv[i]) + 1;
		if (total > CHELA_PLAN_BYTES_MAX) {
			json_object_put(argv);
			return (-E2BIG);
		}
		(void)json_object_array_add(argv,
		    json_object_new_string(p->argv[i]));
	}
	plan = plan_new(argv, p->cwd, p->env, p->agent_id, p->session_key,
	    p->node_id);
	json_object_put(argv);
	if (plan == NULL)
		return (-ENOMEM);
	r = plan_check(plan);
	if (r < 0) {
		json_object_put(plan);
		return (r);
	}
	*ret = plan;
	return (0);
}

/* Each part with its length before it: no two plans give the same bytes. */
static void
hash_part(struct text *t, const char *s)
{
	unsigned char	len[9];
	uint64_t	n = s == NULL ? 0 : strlen(s);
	unsigned	i;

	len[0] = s == NULL ? 0 : 1;
	for (i = 0; i < 8; i++)
		len[1 + i] = (unsigned char)(n >> (56 - 8 * i));
	text_add(t, len, sizeof len);
	if (s != NULL)
		text_add(t, s, n);
}

static int
name_cmp(const void *a, const void *b)
{
	return (strcmp(*(const char *const *)a, *(const char *const *)b));
}

static int
digest(struct json_object *plan, bool with_session, char ret[DIGEST_SIZE])
{
	struct json_object	*argv = get_any(plan, "argv");
	struct json_object	*env = get_any(plan, "env");
	struct text		 t = { NULL, 0, 0, false };
	const char		**names;
	char			 count[32];
	size_t			 i = 0, n = json_object_array_length(argv);
	size_t			 n_env = (size_t)json_object_object_length(env);
	int			 r = -ENOMEM;

	names = calloc(n_env + 1, sizeof(*names));
	if (names == NULL)
		return (-ENOMEM);
	(void)snprintf(count, sizeof count, "chela-plan-1 %zu %zu", n, n_env);
	hash_part(&t, count);
	for (i = 0; i < n; i++)
		hash_part(&t, json_object_get_string(
		    json_object_array_get_idx(argv, i)));
	i = 0;
	json_object_object_foreach(env, name, value) {
		(void)value;
		names[i++] = name;
	}
	qsort(names, n_env, sizeof(*names), name_cmp);
	for (i = 0; i < n_env; i++) {
		hash_part(&t, names[i]);
		hash_part(&t, get_str(env, names[i]));
	}
	hash_part(&t, get_str(plan, "cwd"));
	hash_part(&t, get_str(plan, "agentId"));
	if (with_session)
		hash_part(&t, get_str(plan, "sessionKey"));
	hash_part(&t, get_str(plan, "nodeId"));
	free(names);
	if (!t.is_failed)
		r = sha256_hex(t.s, t.len, ret);
	free(t.s);
	return (r);
}

int
plan_digest(struct json_object *plan, char ret[DIGEST_SIZE])
{
	return (digest(plan, true, ret));
}

int
plan_digest_any_session(struct json_object *plan, char ret[DIGEST_SIZE])
{
	return (digest(plan, false, ret));
}

/* --- how it is shown --- */

static const struct range unseen[] = {
	{ 0x0000, 0x001f }, { 0x007f, 0x00a0 }, { 0x00ad, 0x00ad },
	{ 0x034f, 0x034f }, { 0x061c, 0x061c }, { 0x115f, 0x1160 },
	{ 0x1680, 0x1680 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f },
	{ 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
	{ 0x2800, 0x2800 }, { 0x3000, 0x3000 }, { 0x3164, 0x3164 },
	{ 0xe000, 0xf8ff }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff },
	{ 0xffa0, 0xffa0 }, { 0xfff0, 0xffff }, { 0xe0000, 0x10ffff },
};

static bool
is_unseen(uint32_t c)
{
	return (range_has(unseen, sizeof unseen / sizeof unseen[0], c));
}

static void
escape_into(struct text *t, const char *s, size_t len, const char *also)
{
	const char	*end = s + len, *from;
	char		 buf[16];
	uint32_t	 c;

	while (s < end) {
		from = s;
		c = next_char(&s, end);
		if (c == '\n')
			text_str(t, "\\n");
		else if (c == '\t')
			text_str(t, "\\t");
		else if (c == '\r')
			text_str(t, "\\r");
		else if (is_unseen(c)) {
			(void)snprintf(buf, sizeof buf, c < 0x80 ? "\\x%02x" :
			    c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
			text_str(t, buf);
		} else {
			if (c < 0x80 && c != 0 && strchr(also, (int)c) != NULL)
				text_str(t, "\\");
			text_add(t, from, (size_t)(s - from));
		}
	}
}

char *
text_escape(const char *s, size_t len)
{
	struct text	t = { NULL, 0, 0, false };

	text_str(&t, "");
	escape_into(&t, s, len, "");
	return (text_take(&t));
}

static void
quote_into(struct text *t, const char *s, bool is_program)
{
	static const char	 plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
	const char		*p = s, *end = s + strlen(s);
	bool			 odd = false;

	/* A program "A=b" must not look like a variable. */
	if (*s != '\0' && strspn(s, plain) == strlen(s) &&
	    (!is_program || strchr(s, '=') == NULL)) {
		text_str(t, s);
		return;
	}
	while (p < end) {
		uint32_t	c = next_char(&p, end);

		odd = odd || is_unseen(c) || c == '\'' || c == '\\';
	}
	text_str(t, odd ? "$'" : "'");
	if (odd)
		escape_into(t, s, strlen(s), "'\\");
	else
		text_str(t, s);
	text_str(t, "'");
}

char *
plan_text(struct json_object *plan)
{
	struct json_object	*argv = get_any(plan, "argv");
	struct text		 t = { NULL, 0, 0, false };
	size_t			 i, n = json_object_array_length(argv);

	json_object_object_foreach(get_any(plan, "env"), name, value) {
		quote_into(&t, name, false);
		text_str(&t, "=");
		quote_into(&t, json_object_get_string(value), false);
		text_str(&t, " ");
	}
	for (i = 0; i < n; i++) {
		if (i > 0)
			text_str(&t, " ");
		quote_into(&t, json_object_get_string(
		    json_object_array_get_idx(argv, i)), i == 0);
	}
	return (text_take(&t));
}

bool
cron_job_of(const char *key, char *ret, size_t size)
{
	const char	*s = key == NULL ? NULL : strstr(key, ":cron:"), *end;
	size_t		 n;

	if (s == NULL || strncmp(key, "agent:", 6) != 0)
		return (false);
	s += 6;
	end = strchr(s, ':');
	n = end == NULL ? strlen(s) : (size_t)(end - s);
	if (n == 0 || n >= size)
		return (false);
	memcpy(ret, s, n);
	ret[n] = '\0';
	return (true);
}
