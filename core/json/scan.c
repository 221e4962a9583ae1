/* SPDX-License-Identifier: MIT */
#include "core/json/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "core/base/map.h"

#define LOW_BITS	UINT64_C(0x0101010101010101)
#define HIGH_BITS	UINT64_C(0x8080808080808080)

/* Big arrays on the stack that are written before they are read. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define not_zeroed	__attribute__((uninitialized))
#endif
#endif
#ifndef not_zeroed
#define not_zeroed
#endif

/*
 * Keys of open objects. An object starts on this stack, where a new key is
 * compared with the signatures of the others. It moves to the set with its key
 * number SCAN_SMALL + 1, when the stack is full, or when a key has an escape.
 */
#define SCAN_SMALL	32u
#define SCAN_KEYS	128u

struct key {
	uint32_t	 off;		/* of the byte after the quote */
	uint32_t	 len;
};

/* One slot of the set; id 0 is empty. An object's keys stay when it closes. */
struct slot {
	uint32_t	 hash;
	uint32_t	 off;
	uint32_t	 id;		/* of the object */
};

struct level {
	uint32_t	 id;		/* in the set; 0: on the stack */
	uint16_t	 base;		/* its first key on that stack */
	uint16_t	 limit;		/* of keys: then to the set */
	char		 close;		/* '}', ']', or 0 around the root */
};

struct scan {
	const char	*text;
	const char	*end;
	size_t		 heap;
	size_t		 heap_max;
	uint32_t	 depth_max;
	uint32_t	 last_id;
	bool		 is_utf8_known;
	bool		 is_escaped;	/* the string just scanned */
	enum scan_err	 err;
	const char	*err_at;

	struct slot	*set;
	uint32_t	 set_cap;	/* power of two, or 0 */
	uint32_t	 set_len;

	uint64_t	 sig[SCAN_KEYS];
	struct key	 key[SCAN_KEYS];
	struct level	 level[SCAN_DEPTH_CAP + 1];
};

static const char *
scan_fail(struct scan *s, enum scan_err err, const char *at)
{
	s->err = err;
	s->err_at = at;
	return (NULL);
}

static uint64_t
load64(const char *p)
{
	uint64_t	 v;

	memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return (v);
}

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

/* Four hexadecimal digits, or -1. */
static int32_t
scan_hex4(const char *p, const char *end)
{
	int32_t	 v = 0;
	int	 i;

	if (end - p < 4)
		return (-1);
	for (i = 0; i < 4; i++) {
		char c = p[i];

		if (is_digit(c))
			v = v << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v = v << 4 | (c - 'A' + 10);
		else
			return (-1);
	}
	return (v);
}

static bool
is_cont(char c)
{
	return (((unsigned char)c & 0xc0) == 0x80);
}

/* One character that is not ASCII; RFC 3629 section 4. NULL: malformed. */
static const char *
scan_utf8(const char *p, const char *end)
{
	const unsigned char	*u = (const unsigned char *)p;
	ptrdiff_t		 room = end - p;

	if (u[0] < 0xc2 || u[0] > 0xf4)
		return (NULL);
	if (u[0] < 0xe0)
		return (room >= 2 && is_cont(p[1]) ? p + 2 : NULL);
	if (u[0] < 0xf0) {
		if (room < 3 || !is_cont(p[1]) || !is_cont(p[2]))
			return (NULL);
		if ((u[0] == 0xe0 && u[1] < 0xa0) ||
		    (u[0] == 0xed && u[1] > 0x9f))
			return (NULL);
		return (p + 3);
	}
	if (room < 4 || !is_cont(p[1]) || !is_cont(p[2]) || !is_cont(p[3]))
		return (NULL);
	if ((u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return (NULL);
	return (p + 4);
}

/* p is after a backslash. */
static const char *
scan_escape(struct scan *s, const char *p, bool is_key)
{
	int32_t	 c, low;

	if (p == s->end)
		return (scan_fail(s, SCAN_SYNTAX, p));
	switch (*p) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return (p + 1);
	case 'u':
		break;
	default:
		return (scan_fail(s, SCAN_SYNTAX, p));
	}
	c = scan_hex4(p + 1, s->end);
	if (c < 0)
		return (scan_fail(s, SCAN_SYNTAX, p));
	if (c == 0 && is_key)
		return (scan_fail(s, SCAN_NUL_KEY, p));
	if (c < 0xd800 || c > 0xdfff)
		return (p + 5);
	if (c > 0xdbff || s->end - p < 11 || p[5] != '\\' || p[6] != 'u')
		return (scan_fail(s, SCAN_SURROGATE, p));
	low = scan_hex4(p + 7, s->end);
	if (low < 0xdc00 || low > 0xdfff)
		return (scan_fail(s, SCAN_SURROGATE, p));
	return (p + 11);
}

/* scan_plain() without vectors, and for what is left at the end of the text. */
static __attribute__((noinline)) const char *
scan_plain_words(const char *p, const char *end, bool is_utf8_known)
{
	const uint64_t	 non_ascii = is_utf8_known ? 0 : HIGH_BITS;
	uint64_t	 x, hit;

	/*
	 * Subtracting may borrow from the next byte, but only below a byte that
	 * is of interest itself, so the lowest bit found is exact.
	 */
	while (end - p >= 8) {
		x = load64(p);
		hit = (((x ^ LOW_BITS * '"') - LOW_BITS) |
		    ((x ^ LOW_BITS * '\\') - LOW_BITS) |
		    (x - LOW_BITS * ' ')) & ~x;
		hit = (hit | (x & non_ascii)) & HIGH_BITS;
		if (hit != 0)
			return (p + (__builtin_ctzll(hit) >> 3));
		p += 8;
	}
	for (; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\' || c < ' ' ||
		    (c >= 0x80 && !is_utf8_known))
			break;
	}
	return (p);
}

/*
 * The first byte of a string that is of interest: a quote, a backslash, a
 * control character, or one that is not ASCII while UTF-8 is to be checked. end
 * when there is none.
 */
static inline const char *
scan_plain(const char *p, const char *end, bool is_utf8_known)
{
#ifdef __SSE2__
	const unsigned	 high = is_utf8_known ? 0 : 0xffff;
	__m128i		 v, m;
	unsigned	 bits;

	while (likely(end - p >= 16)) {
		v = _mm_loadu_si128((const __m128i *)(const void *)p);
		m = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
		    _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
		m = _mm_or_si128(m, _mm_cmpeq_epi8(v,
		    _mm_min_epu8(v, _mm_set1_epi8(0x1f))));
		bits = (unsigned)_mm_movemask_epi8(m) |
		    ((unsigned)_mm_movemask_epi8(v) & high);
		if (bits != 0)
			return (p + __builtin_ctz(bits));
		p += 16;
	}
#endif
	return (scan_plain_words(p, end, is_utf8_known));
}

/*
 * Goes on where the plain part of a string ended, which is no quote. Returns
 * the closing quote, with s->is_escaped, or NULL with the error set.
 */
static __attribute__((noinline)) const char *
scan_string_rest(struct scan *s, const char *p, bool is_key)
{
	const char	*end = s->end, *next;

	s->is_escaped = false;
	while (p < end && *p != '"') {
		if (*p == '\\') {
			s->is_escaped = true;
			p = scan_escape(s, p + 1, is_key);
			if (p == NULL)
				return (NULL);
		} else if ((unsigned char)*p < ' ') {
			return (scan_fail(s, SCAN_SYNTAX, p));
		} else {
			/* Foreign scripts come in runs. */
			do {
				next = scan_utf8(p, end);
				if (next == NULL)
					return (scan_fail(s, SCAN_UTF8, p));
				p = next;
			} while (p < end && (unsigned char)*p >= 0x80);
		}
		p = scan_plain(p, end, s->is_utf8_known);
	}
	return (p == end ? scan_fail(s, SCAN_SYNTAX, p) : p);
}

/*
 * Whether a number stays finite as a double; p..end is a number with the
 * grammar already checked. Compares decimal digits, so neither the locale nor
 * rounding can matter.
 */
static bool
scan_is_finite(const char *p, const char *end)
{
	static const char	 max[] = "17976931348623157";
	const char		*q;
	char			 digit[sizeof max - 1];
	size_t			 n = 0;
	int64_t			 exp = 0, point = 0;
	bool			 is_frac = false, is_neg = false;

	memset(digit, '0', sizeof digit);
	if (*p == '-')
		p++;
	/* The value is 0.d1d2d3... times 10 to the power of point + exp. */
	for (q = p; q < end && *q != 'e' && *q != 'E'; q++) {
		if (*q == '.') {
			is_frac = true;
			continue;
		}
		if (n == 0 && *q == '0') {
			point -= is_frac;
			continue;
		}
		if (n < sizeof digit)
			digit[n] = *q;
		n++;
		point += !is_frac;
	}
	if (n == 0)
		return (true);
	if (q < end) {
		q++;
		is_neg = *q == '-';
		if (*q == '-' || *q == '+')
			q++;
		for (; q < end; q++) {
			if (exp < INT64_C(1) << 40)
				exp = exp * 10 + (*q - '0');
		}
	}
	point += is_neg ? -exp : exp;
	if (point != 309)
		return (point < 309);
	return (memcmp(digit, max, sizeof digit) <= 0);
}

static inline const char *
scan_number(struct scan *s, const char *p)
{
	const char	*from = p, *end = s->end, *digits;
	int64_t		 v;

	if (*p == '-')
		p++;
	digits = p;
	if (p == end || !is_digit(*p))
		return (scan_fail(s, SCAN_SYNTAX, p));
	if (*p == '0')
		p++;
	else
		while (p < end && is_digit(*p))
			p++;
	if (p < end && is_digit(*p))
		return (scan_fail(s, SCAN_SYNTAX, p));
	if (p == end || (*p != '.' && *p != 'e' && *p != 'E')) {
		if (likely(p - digits <= 15))
			return (p);
		if (p - digits > 16)
			return (scan_fail(s, SCAN_NUMBER, from));
		for (v = 0; digits < p; digits++)
			v = v * 10 + (*digits - '0');
		if (v > SCAN_INT_MAX)
			return (scan_fail(s, SCAN_NUMBER, from));
		return (p);
	}
	if (*p == '.') {
		p++;
		if (p == end || !is_digit(*p))
			return (scan_fail(s, SCAN_SYNTAX, p));
		while (p < end && is_digit(*p))
			p++;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		if (p == end || !is_digit(*p))
			return (scan_fail(s, SCAN_SYNTAX, p));
		while (p < end && is_digit(*p))
			p++;
	}
	if (!scan_is_finite(from, p))
		return (scan_fail(s, SCAN_NUMBER, from));
	return (p);
}

/*
 * The next byte of an unescaped string, *p being before its closing quote; -1
 * at the end. todo holds what is left of an escape that makes several bytes.
 */
static int
scan_unescape(const char **p, uint32_t *todo)
{
	const char	*q = *p;
	uint32_t	 c, low;
	int		 r;

	if (*todo != 0) {
		r = (int)(*todo & 0xff);
		*todo >>= 8;
		return (r);
	}
	if (*q == '"')
		return (-1);
	if (*q != '\\') {
		*p = q + 1;
		return ((unsigned char)*q);
	}
	*p = q + 2;
	switch (q[1]) {
	case 'b':
		return ('\b');
	case 'f':
		return ('\f');
	case 'n':
		return ('\n');
	case 'r':
		return ('\r');
	case 't':
		return ('\t');
	case 'u':
		break;
	default:
		return ((unsigned char)q[1]);
	}
	c = (uint32_t)scan_hex4(q + 2, q + 6);
	*p = q + 6;
	if (c >= 0xd800 && c <= 0xdbff) {
		low = (uint32_t)scan_hex4(q + 8, q + 12);
		*p = q + 12;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	if (c < 0x80)
		return ((int)c);
	if (c < 0x800) {
		*todo = 0x80 | (c & 0x3f);
		return ((int)(0xc0 | c >> 6));
	}
	if (c < 0x10000) {
		*todo = 0x80 | (c >> 6 & 0x3f) | (0x80 | (c & 0x3f)) << 8;
		return ((int)(0xe0 | c >> 12));
	}
	*todo = 0x80 | (c >> 12 & 0x3f) | (0x80 | (c >> 6 & 0x3f)) << 8 |
	    (0x80 | (c & 0x3f)) << 16;
	return ((int)(0xf0 | c >> 18));
}

/* Both after their opening quotes. */
static bool
scan_keys_equal(const char *a, const char *b)
{
	uint32_t	 todo_a = 0, todo_b = 0;
	int		 x, y;

	do {
		x = scan_unescape(&a, &todo_a);
		y = scan_unescape(&b, &todo_b);
		if (x != y)
			return (false);
	} while (x >= 0);
	return (true);
}

/*
 * The key of the set's hash. One for a thread's life: drawing it for each text
 * would cost more than most texts.
 */
static const uint64_t *
scan_seed(void)
{
	static _Thread_local uint64_t	 seed[2];
	static _Thread_local bool	 is_drawn;

	if (!is_drawn) {
		if (getrandom(seed, sizeof seed, 0) != sizeof seed)
			return (NULL);
		is_drawn = true;
	}
	return (seed);
}

static int
scan_key_hash(const char *p, uint32_t len, uint32_t *ret)
{
	const uint64_t	*seed = scan_seed();
	uint32_t	 todo = 0;
	char		 small[256], *tmp = small;
	size_t		 n = 0;
	int		 c;

	if (seed == NULL)
		return (-ENOMEM);
	if (memchr(p, '\\', len) == NULL) {
		*ret = (uint32_t)siphash(p, len, seed);
		return (0);
	}
	if (len > sizeof small) {
		tmp = malloc(len);
		if (tmp == NULL)
			return (-ENOMEM);
	}
	while ((c = scan_unescape(&p, &todo)) >= 0)
		tmp[n++] = (char)c;
	*ret = (uint32_t)siphash(tmp, n, seed);
	if (tmp != small)
		free(tmp);
	return (0);
}

static int
scan_set_grow(struct scan *s)
{
	struct slot	*set;
	uint32_t	 cap = s->set_cap == 0 ? 128 : s->set_cap * 2;
	uint32_t	 i, j;

	set = calloc(cap, sizeof *set);
	if (set == NULL)
		return (-ENOMEM);
	for (i = 0; i < s->set_cap; i++) {
		if (s->set[i].id == 0)
			continue;
		j = s->set[i].hash & (cap - 1);
		while (set[j].id != 0)
			j = (j + 1) & (cap - 1);
		set[j] = s->set[i];
	}
	free(s->set);
	s->set = set;
	s->set_cap = cap;
	return (0);
}

/* Returns 0, -EEXIST or -ENOMEM. */
static int
scan_set_add(struct scan *s, uint32_t id, uint32_t off, uint32_t len)
{
	uint32_t	 hash, i;
	int		 r;

	if (s->set_len >= s->set_cap / 4 * 3) {
		r = scan_set_grow(s);
		if (r < 0)
			return (r);
	}
	r = scan_key_hash(s->text + off, len, &hash);
	if (r < 0)
		return (r);
	/*
	 * Objects share the set: the same key in each must not make a cluster.
	 */
	hash ^= id * UINT32_C(0x9e3779b1);
	for (i = hash & (s->set_cap - 1); s->set[i].id != 0;
	    i = (i + 1) & (s->set_cap - 1)) {
		if (s->set[i].hash == hash && s->set[i].id == id &&
		    scan_keys_equal(s->text + s->set[i].off, s->text + off))
			return (-EEXIST);
	}
	s->set[i] = (struct slot){ hash, off, id };
	s->set_len++;
	return (0);
}

/* Moves the keys of an object to the set and adds one. Sets the error. */
static __attribute__((noinline)) bool
scan_key_spill(struct scan *s, struct level *l, uint32_t *n_keys, uint32_t off,
    uint32_t len)
{
	uint32_t	 i;
	int		 r = 0;

	if (l->id == 0) {
		l->id = ++s->last_id;
		for (i = l->base; r == 0 && i < *n_keys; i++)
			r = scan_set_add(s, l->id, s->key[i].off,
			    s->key[i].len);
		*n_keys = l->base;
		l->limit = 0;
	}
	if (r == 0)
		r = scan_set_add(s, l->id, off, len);
	if (r == 0)
		return (true);
	(void)scan_fail(s, r == -EEXIST ? SCAN_DUP_KEY : SCAN_NOMEM,
	    s->text + off);
	return (false);
}

/* Equal keys have equal signatures; up to 8 bytes the signature is the key. */
static inline uint64_t
key_signature(const char *p, size_t len, const char *end)
{
	uint64_t	 sig = 0;
	size_t		 i;

	if (len >= 8)
		return (load64(p) ^ load64(p + len - 8) << 1);
	if (likely(end - p >= 8))
		return (load64(p) & ((UINT64_C(1) << (8 * len)) - 1));
	for (i = 0; i < len; i++)
		sig |= (uint64_t)(unsigned char)p[i] << (8 * i);
	return (sig);
}

/* p..q is a key without its quotes. Sets the error. */
static inline bool
scan_key(struct scan *s, struct level *l, uint32_t *n_keys, const char *p,
    const char *q, bool is_escaped)
{
	uint64_t	 sig;
	uint32_t	 i, n = *n_keys;
	size_t		 len = (size_t)(q - p);

	if (unlikely(n >= l->limit || is_escaped))
		return (scan_key_spill(s, l, n_keys, (uint32_t)(p - s->text),
		    (uint32_t)len));
	sig = key_signature(p, len, s->end);
	for (i = l->base; i < n; i++) {
		if (unlikely(s->sig[i] == sig) && s->key[i].len == len &&
		    memcmp(s->text + s->key[i].off, p, len) == 0) {
			(void)scan_fail(s, SCAN_DUP_KEY, p);
			return (false);
		}
	}
	s->sig[n] = sig;
	s->key[n] = (struct key){ (uint32_t)(p - s->text), (uint32_t)len };
	*n_keys = n + 1;
	return (true);
}

static __attribute__((noinline)) const char *
scan_space(const char *p, const char *end)
{
	while (p < end &&
	    (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return (p);
}

/* The span for a name, by its length first: most names are none of ours. */
static inline struct scan_span *
scan_frame_find(struct scan_frame *f, const char *p, size_t len)
{
	switch (len) {
	case 2:
		return (memcmp(p, "id", 2) == 0 ? &f->id : NULL);
	case 4:
		return (memcmp(p, "type", 4) == 0 ? &f->type : NULL);
	case 6:
		if (memcmp(p, "method", 6) == 0)
			return (&f->method);
		return (memcmp(p, "params", 6) == 0 ? &f->params : NULL);
	case 11:
		return (memcmp(p, "traceparent", 11) == 0 ?
		    &f->traceparent : NULL);
	case 17:
		return (memcmp(p, "expectedProfileId", 17) == 0 ?
		    &f->profile : NULL);
	default:
		return (NULL);
	}
}

/* As above, for a name with its quotes that has an escape. */
static __attribute__((noinline)) struct scan_span *
scan_frame_find_escaped(struct scan_frame *f, const struct scan_span *name)
{
	struct scan_span	*span = NULL;
	struct buf		 b = BUF_INIT;

	/* A buffer that failed is empty, and so no name of ours. */
	if (scan_span_str(name, &b) == 0 && b.len > 0)
		span = scan_frame_find(f, b.data, b.len);
	buf_fini(&b);
	return (span);
}

/* p..q is the name of a member of the root. */
static inline struct scan_span *
scan_frame_member(struct scan_frame *f, const char *p, const char *q,
    bool is_escaped)
{
	const struct scan_span	 name = { p - 1, (size_t)(q - p) + 2, '"' };
	struct scan_span	*span;

	if (likely(!is_escaped))
		span = scan_frame_find(f, p, (size_t)(q - p));
	else
		span = scan_frame_find_escaped(f, &name);
	if (span == NULL && f->unknown.kind == 0)
		f->unknown = name;
	return (span);
}

static char
scan_kind(char first)
{
	return (first == '-' || is_digit(first) ? '0' : first);
}

/* In scan_run(): leaves with an error. */
#define STOP(why, at) do { \
	(void)scan_fail(s, (why), (at)); \
	goto out; \
} while (0)

/* In scan_run(): accounts for n bytes of heap of the value at p. */
#define CHARGE(n) do { \
	heap += (n); \
	if (unlikely(heap > heap_max)) \
		STOP(SCAN_BUDGET, p); \
} while (0)

/*
 * In scan_run(): goes to the next byte that is no white space; there must be
 * one.
 */
#define SKIP_SPACE() do { \
	if (unlikely(p == end)) \
		STOP(SCAN_SYNTAX, p); \
	if (unlikely((unsigned char)*p <= ' ')) { \
		p = scan_space(p, end); \
		if (p == end) \
			STOP(SCAN_SYNTAX, p); \
	} \
} while (0)

/*
 * In scan_run(): from the opening quote at p to the closing one at q. Nearly
 * all strings are plain, and then is_escaped is a constant.
 */
#define SCAN_STRING(is_key) do { \
	q = scan_plain(p + 1, end, is_utf8_known); \
	is_escaped = false; \
	if (unlikely(q == end || *q != '"')) { \
		q = scan_string_rest(s, q, (is_key)); \
		if (q == NULL) \
			goto out; \
		is_escaped = s->is_escaped; \
	} \
} while (0)

/*
 * The whole text. What changes with every value is in locals: the struct is
 * reachable from elsewhere, so its members would be written back each time.
 */
static void
scan_run(struct scan *s, struct scan_frame *f)
{
	const char		*p = s->text, *q;
	const char *const	 end = s->end;
	const char		*member_at = NULL;	/* value of the root */
	const size_t		 heap_max = s->heap_max;
	struct scan_span	*member = NULL;
	struct level		*l = s->level;
	struct level *const	 l_max = s->level + s->depth_max;
	size_t			 heap = 0, n;
	uint32_t		 n_keys = 0;
	const bool		 is_utf8_known = s->is_utf8_known;
	bool			 is_escaped;

	*l = (struct level){ .id = 0 };
	p = scan_space(p, end);
	if (p == end)
		STOP(SCAN_EMPTY, p);
	if (f != NULL)
		f->root = scan_kind(*p);
value:
	SKIP_SPACE();
	if (l == s->level + 1)
		member_at = p;
	if (*p == '"') {
		SCAN_STRING(false);
		CHARGE(SCAN_COST_SCALAR + (size_t)(q - p));
		p = q + 1;
		goto done;
	}
	switch (*p) {
	case '{':
		CHARGE(SCAN_COST_OBJECT);
		if (unlikely(l == l_max))
			STOP(SCAN_DEPTH, p);
		*++l = (struct level){
			.base = (uint16_t)n_keys,
			.limit = (uint16_t)MIN_OF(n_keys + SCAN_SMALL,
			    SCAN_KEYS),
			.close = '}',
		};
		p++;
		SKIP_SPACE();
		if (*p == '}')
			goto close;
		goto key;
	case '[':
		CHARGE(SCAN_COST_ARRAY);
		if (unlikely(l == l_max))
			STOP(SCAN_DEPTH, p);
		*++l = (struct level){ .base = (uint16_t)n_keys, .close = ']' };
		p++;
		SKIP_SPACE();
		if (*p == ']')
			goto close;
		goto value;
	case '-':
	case '0': case '1': case '2': case '3': case '4':
	case '5': case '6': case '7': case '8': case '9':
		q = scan_number(s, p);
		if (unlikely(q == NULL))
			goto out;
		/* A double keeps its spelling. */
		n = (size_t)(q - p);
		CHARGE(SCAN_COST_SCALAR + (n > 16 ? n : 0));
		p = q;
		goto done;
	case 't':
		if (end - p < 4 || memcmp(p, "true", 4) != 0)
			STOP(SCAN_SYNTAX, p);
		n = 4;
		break;
	case 'f':
		if (end - p < 5 || memcmp(p, "false", 5) != 0)
			STOP(SCAN_SYNTAX, p);
		n = 5;
		break;
	case 'n':
		if (end - p < 4 || memcmp(p, "null", 4) != 0)
			STOP(SCAN_SYNTAX, p);
		n = 4;
		break;
	default:
		STOP(SCAN_SYNTAX, p);
	}
	CHARGE(SCAN_COST_SCALAR);
	p += n;
done:
	if (member != NULL && l == s->level + 1) {
		member->p = member_at;
		member->len = (size_t)(p - member_at);
		member->kind = scan_kind(*member_at);
	}
	if (unlikely(l == s->level)) {
		p = scan_space(p, end);
		if (p != end)
			STOP(SCAN_SYNTAX, p);
		goto out;
	}
	SKIP_SPACE();
	if (*p == ',') {
		p++;
		if (l->close == ']')
			goto value;
		SKIP_SPACE();
		goto key;
	}
	if (unlikely(*p != l->close))
		STOP(SCAN_SYNTAX, p);
close:
	p++;
	n_keys = l->base;
	l--;
	goto done;
key:
	if (unlikely(*p != '"'))
		STOP(SCAN_SYNTAX, p);
	SCAN_STRING(true);
	CHARGE(SCAN_COST_KEY + (size_t)(q - p));
	if (unlikely(!scan_key(s, l, &n_keys, p + 1, q, is_escaped)))
		goto out;
	if (f != NULL && l == s->level + 1)
		member = scan_frame_member(f, p + 1, q, is_escaped);
	p = q + 1;
	SKIP_SPACE();
	if (unlikely(*p != ':'))
		STOP(SCAN_SYNTAX, p);
	p++;
	goto value;
out:
	s->heap = heap;
}

static int
scan_text(const char *text, size_t len, const struct scan_limits *lim,
    struct scan_frame *f, struct scan_result *ret)
{
	not_zeroed struct scan	 s;

	if (text == NULL)
		text = "";
	s.text = text;
	s.end = text + len;
	s.heap = 0;
	s.heap_max = lim->heap_max;
	s.is_utf8_known = lim->is_utf8_known;
	s.depth_max = MIN_OF(lim->depth_max, SCAN_DEPTH_CAP);
	s.last_id = 0;
	s.err = SCAN_OK;
	s.err_at = s.end;
	s.set = NULL;
	s.set_cap = s.set_len = 0;

	if (len > SCAN_LEN_MAX)
		(void)scan_fail(&s, SCAN_BUDGET, text);
	else
		scan_run(&s, f);
	free(s.set);
	*ret = (struct scan_result){
		.err = s.err,
		.offset = (size_t)(s.err_at - text),
		.heap = s.heap,
	};
	if (s.err == SCAN_OK)
		return (0);
	return (s.err == SCAN_NOMEM ? -ENOMEM : -EBADMSG);
}

int
scan_json(const char *text, size_t len, const struct scan_limits *lim,
    struct scan_result *ret)
{
	return (scan_text(text, len, lim, NULL, ret));
}

int
scan_frame(const char *text, size_t len, const struct scan_limits *lim,
    struct scan_frame *ret)
{
	struct scan_result	 res;
	int			 r;

	*ret = (struct scan_frame){ .root = 0 };
	r = scan_text(text, len, lim, ret, &res);
	/* Half of a frame must not be taken for one. */
	if (r < 0)
		*ret = (struct scan_frame){ .root = 0 };
	ret->res = res;
	return (r);
}

const char *
scan_err_text(enum scan_err err)
{
	static const char *const text[] = {
		[SCAN_OK] = "valid",
		[SCAN_EMPTY] = "empty",
		[SCAN_SYNTAX] = "not JSON",
		[SCAN_UTF8] = "not UTF-8",
		[SCAN_DEPTH] = "nested too deep",
		[SCAN_BUDGET] = "too many values",
		[SCAN_DUP_KEY] = "a key twice in one object",
		[SCAN_NUL_KEY] = "a NUL in a key",
		[SCAN_NUMBER] = "a number out of range",
		[SCAN_SURROGATE] = "half of a surrogate pair",
		[SCAN_NOMEM] = "out of memory",
	};

	return ((size_t)err < ARRAY_LEN(text) ? text[err] : "unknown");
}

bool
scan_span_is(const struct scan_span *s, const char *text)
{
	const char	*p;
	uint32_t	 todo = 0;
	int		 c;

	if (s->kind != '"')
		return (false);
	for (p = s->p + 1;; text++) {
		c = scan_unescape(&p, &todo);
		if (c < 0)
			return (*text == '\0');
		if (*text == '\0' || (unsigned char)*text != c)
			return (false);
	}
}

int
scan_span_str(const struct scan_span *s, struct buf *out)
{
	const char	*p;
	uint32_t	 todo = 0;
	int		 c, r;

	if (s->kind != '"')
		return (-EINVAL);
	p = s->p + 1;
	if (memchr(p, '\\', s->len - 2) == NULL)
		return (buf_add(out, p, s->len - 2));
	r = buf_reserve(out, s->len);
	if (r < 0)
		return (r);
	while ((c = scan_unescape(&p, &todo)) >= 0)
		(void)buf_putc(out, (char)c);
	return (0);
}
