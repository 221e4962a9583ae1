/* SPDX-License-Identifier: MIT */
#include "core/json/pattern.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/base/map.h"
#include "core/json/schema.h"

#define JIT_STACK_MIN	KIB(32)
#define JIT_STACK_MAX	MIB(1)
#define HEAP_LIMIT_KIB	1024u	/* of the interpreter */

/* Common patterns whose answer often needs no engine. */
enum pattern_kind {
	PATTERN_OTHER,
	PATTERN_NON_SPACE,	/* \S */
	PATTERN_LINE,		/* ^.*$ */
};

struct pattern {
	unsigned		 refs;		/* under the lock */
	enum pattern_kind	 kind;
	pcre2_code		*code;
	size_t			 len;
	char			 text[];
};

/* All patterns alive, by text. Schemas are compiled and freed on any thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map *cache;

/* What a match needs, one a thread. */
struct matcher {
	pcre2_match_data	*data;
	pcre2_match_context	*ctx;
	pcre2_jit_stack		*stack;
};

static _Thread_local struct matcher *matcher;
static pthread_key_t matcher_key;
static pthread_once_t matcher_once = PTHREAD_ONCE_INIT;
static bool has_matcher_key;

static void
matcher_free(void *p)
{
	struct matcher	*m = p;

	if (m == NULL)
		return;
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->ctx);
	pcre2_jit_stack_free(m->stack);
	free(m);
}

static void
matcher_key_init(void)
{
	has_matcher_key = pthread_key_create(&matcher_key, matcher_free) == 0;
}

static struct matcher *
matcher_get(void)
{
	struct matcher	*m;

	if (likely(matcher != NULL))
		return (matcher);
	m = calloc(1, sizeof *m);
	if (m == NULL)
		return (NULL);
	/* One pair: a back reference works without it being reported. */
	m->data = pcre2_match_data_create(1, NULL);
	m->ctx = pcre2_match_context_create(NULL);
	if (m->data == NULL || m->ctx == NULL) {
		matcher_free(m);
		return (NULL);
	}
	/*
	 * Without the stack the matcher has 32 KiB, and hits its limit earlier.
	 */
	m->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
	if (m->stack != NULL)
		pcre2_jit_stack_assign(m->ctx, NULL, m->stack);
	(void)pcre2_set_match_limit(m->ctx, SCHEMA_MATCH_LIMIT);
	(void)pcre2_set_depth_limit(m->ctx, SCHEMA_MATCH_LIMIT);
	(void)pcre2_set_heap_limit(m->ctx, HEAP_LIMIT_KIB);
	(void)pthread_once(&matcher_once, matcher_key_init);
	if (has_matcher_key)
		(void)pthread_setspecific(matcher_key, m);
	matcher = m;
	return (m);
}

static int
pattern_compile(struct pattern *p, struct buf *why)
{
	pcre2_compile_context	*ctx;
	struct buf		 out = BUF_INIT;
	unsigned char		 msg[128];
	PCRE2_SIZE		 at;
	int			 err, r;

	ctx = pcre2_compile_context_create(NULL);
	if (ctx == NULL)
		return (-ENOMEM);
	(void)pcre2_set_compile_extra_options(ctx,
	    PCRE2_EXTRA_ALLOW_SURROGATE_ESCAPES | PCRE2_EXTRA_ALT_BSUX);
	r = pattern_rewrite(p->text, p->len, &out, why);
	if (r < 0)
		goto out;
	/*
	 * Without UCP: after rewriting only \b would see it, and ECMA's \b
	 * knows ASCII words only.
	 */
	p->code = pcre2_compile((PCRE2_SPTR)(out.data == NULL ? "" : out.data),
	    out.len, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX |
	    PCRE2_MATCH_UNSET_BACKREF | PCRE2_ALLOW_EMPTY_CLASS |
	    PCRE2_NEVER_BACKSLASH_C, &err, &at, ctx);
	if (p->code == NULL) {
		r = err == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : -EINVAL;
		if (why != NULL) {
			(void)pcre2_get_error_message(err, msg, sizeof msg);
			(void)buf_printf(why, "%s", (const char *)msg);
		}
		goto out;
	}
	/* No JIT (memory that may not be executable) only makes it slower. */
	(void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
out:
	buf_fini(&out);
	pcre2_compile_context_free(ctx);
	return (r);
}

static void
pattern_free(struct pattern *p)
{
	pcre2_code_free(p->code);
	free(p);
}

int
pattern_get(const char *text, size_t len, struct pattern **ret, struct buf *why)
{
	struct pattern	*p;
	int		 r;

	if (len > SCHEMA_PATTERN_MAX) {
		if (why != NULL)
			(void)buf_puts(why, "the pattern is too long");
		return (-EINVAL);
	}
	(void)pthread_mutex_lock(&lock);
	if (cache == NULL && (cache = map_new()) == NULL) {
		r = -ENOMEM;
		goto out;
	}
	p = map_get(cache, text, len);
	if (p != NULL) {
		p->refs++;
		*ret = p;
		r = 0;
		goto out;
	}
	p = calloc(1, sizeof *p + len + 1);
	if (p == NULL) {
		r = -ENOMEM;
		goto out;
	}
	p->refs = 1;
	p->len = len;
	memcpy(p->text, text, len);
	if (len == 2 && memcmp(text, "\\S", 2) == 0)
		p->kind = PATTERN_NON_SPACE;
	else if (len == 4 && memcmp(text, "^.*$", 4) == 0)
		p->kind = PATTERN_LINE;
	r = pattern_compile(p, why);
	if (r == 0)
		r = map_put(cache, text, len, p, NULL);
	if (r < 0)
		pattern_free(p);
	else
		*ret = p;
out:
	if (cache != NULL && map_len(cache) == 0)
		cache = map_free(cache);
	(void)pthread_mutex_unlock(&lock);
	return (r);
}

struct pattern *
pattern_put(struct pattern *p)
{
	if (p == NULL)
		return (NULL);
	(void)pthread_mutex_lock(&lock);
	if (--p->refs == 0) {
		(void)map_del(cache, p->text, p->len);
		if (map_len(cache) == 0)
			cache = map_free(cache);
		pattern_free(p);
	}
	(void)pthread_mutex_unlock(&lock);
	return (NULL);
}

const char *
pattern_text(const struct pattern *p, size_t *ret_len)
{
	*ret_len = p->len;
	return (p->text);
}

int
pattern_match(const struct pattern *p, const char *s, size_t len)
{
	struct matcher	*m;
	size_t		 i;
	int		 r;

	switch (p->kind) {
	case PATTERN_NON_SPACE:
		if (len == 0)
			return (0);
		if (s[0] > ' ' && s[0] < 0x7f)
			return (1);
		break;
	case PATTERN_LINE:
		for (i = 0; i < len && s[i] >= ' ' && s[i] < 0x7f; i++)
			continue;
		if (i == len)
			return (1);
		break;
	case PATTERN_OTHER:
		break;
	}
	m = matcher_get();
	if (m == NULL)
		return (-ENOMEM);
	r = pcre2_match(p->code, (PCRE2_SPTR)s, len, 0, 0, m->data, m->ctx);
	if (r >= 0)
		return (1);
	switch (r) {
	case PCRE2_ERROR_NOMATCH:
		return (0);
	case PCRE2_ERROR_NOMEMORY:
		return (-ENOMEM);
	case PCRE2_ERROR_MATCHLIMIT:
	case PCRE2_ERROR_DEPTHLIMIT:
	case PCRE2_ERROR_HEAPLIMIT:
	case PCRE2_ERROR_JIT_STACKLIMIT:
		return (-E2BIG);
	default:
		return (-EBADMSG);
	}
}
