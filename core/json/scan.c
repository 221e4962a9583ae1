/* SPDX-License-Identifier: MIT */
#include "core/json/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

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
 * compared with the hashes of the others. It moves to the set with its key number
 * SCAN_SMALL + 1, when the stack is full, or when a key has an escape.
 */
#define SCAN_SMALL	32u
#define SCAN_KEYS	128u

struct key {
	uint32_t	 off;		/* of the byte after the opening quote */
	uint32_t	 len;
};

/* One slot of the set; id 0 is empty. An object's keys stay when it closes. */
struct slot {
	uint32_t	 hash;
	uint32_t	 off;
	uint32_t	 id;		/* of the object */
};

struct level {
	uint32_t	 id;		/* in the set; 0: on the stack of keys */
	uint16_t	 base;		/* its first key on that stack */
	bool		 is_object;
};

struct scan {
	const char	*text;
	const char	*end;
	size_t		 heap;
	size_t		 heap_max;
	uint64_t	 non_ascii;	/* bits that make a byte need checking */
	uint32_t	 depth;
	uint32_t	 depth_max;
	uint32_t	 n_keys;
	uint32_t	 last_id;
	enum scan_err	 err;
	const char	*err_at;

	struct slot	*set;
	uint32_t	 set_cap;	/* power of two, or 0 */
	uint32_t	 set_len;

	uint32_t	 hash[SCAN_KEYS];
	struct key	 key[SCAN_KEYS];
	struct level	 level[SCAN_DEPTH_CAP];
};

static const char *
scan_fail(struct scan *s, enum scan_err err, const char *at)
{
	s->err = err;
	s->err_at = at;
	return (NULL);
}

static bool
scan_charge(struct scan *s, size_t n)
{
	s->heap += n;
	return (likely(s->heap <= s->heap_max));
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

static uint32_t
load32(const char *p)
{
	uint32_t	 v;

	memcpy(&v, p, sizeof v);
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

/*
 * p is after the opening quote; returns the closing one.
 *
 * Eight bytes at a time: a byte is of interest when it is a quote, a backslash or
 * a control character, or not ASCII while UTF-8 is to be checked. Subtracting may
 * borrow from the next byte, but only below a byte that is of interest itself, so
 * the lowest bit found is exact.
 */
static inline const char *
scan_string(struct scan *s, const char *p, bool is_key, bool *ret_escaped)
{
	const char	*end = s->end;
	uint64_t	 x, hit;

	for (;;) {
		while (likely(end - p >= 8)) {
			x = load64(p);
			hit = (((x ^ LOW_BITS * '"') - LOW_BITS) |
			    ((x ^ LOW_BITS * '\\') - LOW_BITS) |
			    (x - LOW_BITS * ' ')) & ~x;
			hit = (hit | (x & s->non_ascii)) & HIGH_BITS;
			if (hit != 0) {
				p += __builtin_ctzll(hit) >> 3;
				goto found;
			}
			p += 8;
		}
		for (; p < end; p++) {
			unsigned char c = (unsigned char)*p;

			if (c == '"' || c == '\\' || c < ' ' ||
			    (c >= 0x80 && s->non_ascii != 0))
				goto found;
		}
		return (scan_fail(s, SCAN_SYNTAX, p));
found:
		if (likely(*p == '"'))
			return (p);
		if (*p == '\\') {
			*ret_escaped = true;
			p = scan_escape(s, p + 1, is_key);
			if (p == NULL)
				return (NULL);
			continue;
		}
		if ((unsigned char)*p < ' ')
			return (scan_fail(s, SCAN_SYNTAX, p));
		/* Foreign scripts come in runs. */
		do {
			const char *next = scan_utf8(p, end);

			if (next == NULL)
				return (scan_fail(s, SCAN_UTF8, p));
			p = next;
		} while (p < end && (unsigned char)*p >= 0x80);
	}
}

/*
 * Whether a number stays finite as a double; p..end is a number with the grammar
 * already checked. Compares decimal digits, so neither the locale nor rounding
 * can matter.
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
 * The next byte of an unescaped string, *p being before its closing quote; -1 at
 * the end. todo holds what is left of an escape that makes several bytes.
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
	/* Objects share the set: the same key in each must not make a cluster. */
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

/* Moves the keys of an object to the set and adds one. */
static int
scan_key_spill(struct scan *s, struct level *l, uint32_t off, uint32_t len)
{
	uint32_t	 i;
	int		 r;

	if (l->id == 0) {
		l->id = ++s->last_id;
		for (i = l->base; i < s->n_keys; i++) {
			r = scan_set_add(s, l->id, s->key[i].off,
			    s->key[i].len);
			if (r < 0)
				return (r);
		}
		s->n_keys = l->base;
	}
	return (scan_set_add(s, l->id, off, len));
}

/* Equal keys have equal hashes; no more is asked of it. */
static uint32_t
scan_quick_hash(const char *p, size_t len)
{
	uint64_t	 a, b;

	if (len >= 8) {
		a = load64(p);
		b = load64(p + len - 8);
	} else if (len >= 4) {
		a = load32(p);
		b = load32(p + len - 4);
	} else {
		a = len == 0 ? 0 : (unsigned char)p[0];
		b = len == 0 ? 0 : (uint64_t)(unsigned char)p[len / 2] << 8 |
		    (unsigned char)p[len - 1];
	}
	a = (a ^ len) * UINT64_C(0x9e3779b97f4a7c15) ^
	    b * UINT64_C(0xc2b2ae3d27d4eb4f);
	return ((uint32_t)(a >> 32));
}

/* p..q is a key without its quotes. Sets the error. */
static inline bool
scan_key(struct scan *s, const char *p, const char *q, bool is_escaped)
{
	struct level	*l = &s->level[s->depth - 1];
	uint32_t	 hash, i, off = (uint32_t)(p - s->text);
	uint32_t	 len = (uint32_t)(q - p);
	int		 r;

	if (unlikely(l->id != 0 || is_escaped || s->n_keys == SCAN_KEYS ||
	    s->n_keys - l->base == SCAN_SMALL)) {
		r = scan_key_spill(s, l, off, len);
		if (r == 0)
			return (true);
		(void)scan_fail(s, r == -EEXIST ? SCAN_DUP_KEY : SCAN_NOMEM, p);
		return (false);
	}
	hash = scan_quick_hash(p, len);
	for (i = l->base; i < s->n_keys; i++) {
		if (unlikely(s->hash[i] == hash) && s->key[i].len == len &&
		    memcmp(s->text + s->key[i].off, p, len) == 0) {
			(void)scan_fail(s, SCAN_DUP_KEY, p);
			return (false);
		}
	}
	s->hash[i] = hash;
	s->key[i] = (struct key){ off, len };
	s->n_keys++;
	return (true);
}

static inline const char *
scan_space(const char *p, const char *end)
{
	while (p < end && unlikely((unsigned char)*p <= ' ') &&
	    (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return (p);
}

static struct scan_span *
scan_frame_member(struct scan_frame *f, const char *p, const char *q,
    bool is_escaped)
{
	static const struct {
		const char	*name;
		size_t		 len;
		size_t		 offset;
	} known[] = {
		{ "type", 4, offsetof(struct scan_frame, type) },
		{ "id", 2, offsetof(struct scan_frame, id) },
		{ "method", 6, offsetof(struct scan_frame, method) },
		{ "params", 6, offsetof(struct scan_frame, params) },
		{ "traceparent", 11, offsetof(struct scan_frame, traceparent) },
		{ "expectedProfileId", 17,
		    offsetof(struct scan_frame, profile) },
	};
	const struct scan_span	 name = { p - 1, (size_t)(q - p) + 2, '"' };
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(known); i++) {
		if (is_escaped ? scan_span_is(&name, known[i].name) :
		    name.len - 2 == known[i].len &&
		    memcmp(p, known[i].name, known[i].len) == 0)
			return ((struct scan_span *)(void *)
			    ((char *)f + known[i].offset));
	}
	if (f->unknown.kind == 0)
		f->unknown = name;
	return (NULL);
}

static bool
scan_push(struct scan *s, bool is_object)
{
	if (s->depth >= s->depth_max)
		return (false);
	s->level[s->depth++] = (struct level){
		.base = (uint16_t)s->n_keys,
		.is_object = is_object,
	};
	return (true);
}

static void
scan_pop(struct scan *s)
{
	s->depth--;
	s->n_keys = s->level[s->depth].base;
}

static char
scan_kind(char first)
{
	return (first == '-' || is_digit(first) ? '0' : first);
}

/* The whole text; returns its end, or NULL with the error set. */
static const char *
scan_run(struct scan *s, struct scan_frame *f)
{
	const char		*p = s->text, *end = s->end, *q;
	const char		*member_at = NULL;	/* value at depth 1 */
	struct scan_span	*member = NULL;
	size_t			 n;
	bool			 is_escaped;

	p = scan_space(p, end);
	if (p == end)
		return (scan_fail(s, SCAN_EMPTY, p));
	if (f != NULL)
		f->root = scan_kind(*p);
value:
	p = scan_space(p, end);
	if (unlikely(p == end))
		return (scan_fail(s, SCAN_SYNTAX, p));
	if (s->depth == 1)
		member_at = p;
	switch (*p) {
	case '{':
		if (!scan_charge(s, SCAN_COST_OBJECT))
			return (scan_fail(s, SCAN_BUDGET, p));
		if (!scan_push(s, true))
			return (scan_fail(s, SCAN_DEPTH, p));
		p = scan_space(p + 1, end);
		if (p < end && *p == '}') {
			scan_pop(s);
			p++;
			goto done;
		}
		goto key;
	case '[':
		if (!scan_charge(s, SCAN_COST_ARRAY))
			return (scan_fail(s, SCAN_BUDGET, p));
		if (!scan_push(s, false))
			return (scan_fail(s, SCAN_DEPTH, p));
		p = scan_space(p + 1, end);
		if (p < end && *p == ']') {
			scan_pop(s);
			p++;
			goto done;
		}
		goto value;
	case '"':
		is_escaped = false;
		q = scan_string(s, p + 1, false, &is_escaped);
		if (q == NULL)
			return (NULL);
		if (!scan_charge(s, SCAN_COST_SCALAR + (size_t)(q - p)))
			return (scan_fail(s, SCAN_BUDGET, p));
		p = q + 1;
		goto done;
	case '-':
	case '0': case '1': case '2': case '3': case '4':
	case '5': case '6': case '7': case '8': case '9':
		q = scan_number(s, p);
		if (q == NULL)
			return (NULL);
		/* A double keeps its spelling. */
		n = (size_t)(q - p);
		if (!scan_charge(s, SCAN_COST_SCALAR + (n > 16 ? n : 0)))
			return (scan_fail(s, SCAN_BUDGET, p));
		p = q;
		goto done;
	case 't':
		if (end - p < 4 || memcmp(p, "true", 4) != 0)
			return (scan_fail(s, SCAN_SYNTAX, p));
		n = 4;
		break;
	case 'f':
		if (end - p < 5 || memcmp(p, "false", 5) != 0)
			return (scan_fail(s, SCAN_SYNTAX, p));
		n = 5;
		break;
	case 'n':
		if (end - p < 4 || memcmp(p, "null", 4) != 0)
			return (scan_fail(s, SCAN_SYNTAX, p));
		n = 4;
		break;
	default:
		return (scan_fail(s, SCAN_SYNTAX, p));
	}
	if (!scan_charge(s, SCAN_COST_SCALAR))
		return (scan_fail(s, SCAN_BUDGET, p));
	p += n;
done:
	if (s->depth <= 1) {
		if (s->depth == 0) {
			p = scan_space(p, end);
			if (p != end)
				return (scan_fail(s, SCAN_SYNTAX, p));
			return (p);
		}
		if (member != NULL) {
			member->p = member_at;
			member->len = (size_t)(p - member_at);
			member->kind = scan_kind(*member_at);
		}
	}
	p = scan_space(p, end);
	if (unlikely(p == end))
		return (scan_fail(s, SCAN_SYNTAX, p));
	if (*p == ',') {
		p++;
		if (!s->level[s->depth - 1].is_object)
			goto value;
		p = scan_space(p, end);
		goto key;
	}
	if (*p != (s->level[s->depth - 1].is_object ? '}' : ']'))
		return (scan_fail(s, SCAN_SYNTAX, p));
	p++;
	scan_pop(s);
	goto done;
key:
	if (unlikely(p == end || *p != '"'))
		return (scan_fail(s, SCAN_SYNTAX, p));
	is_escaped = false;
	q = scan_string(s, p + 1, true, &is_escaped);
	if (q == NULL)
		return (NULL);
	if (!scan_charge(s, SCAN_COST_KEY + (size_t)(q - p)))
		return (scan_fail(s, SCAN_BUDGET, p));
	if (!scan_key(s, p + 1, q, is_escaped))
		return (NULL);
	if (f != NULL && s->depth == 1)
		member = scan_frame_member(f, p + 1, q, is_escaped);
	p = scan_space(q + 1, end);
	if (unlikely(p == end || *p != ':'))
		return (scan_fail(s, SCAN_SYNTAX, p));
	p++;
	goto value;
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
	s.non_ascii = lim->is_utf8_known ? 0 : HIGH_BITS;
	s.depth = 0;
	s.depth_max = MIN_OF(lim->depth_max, SCAN_DEPTH_CAP);
	s.n_keys = 0;
	s.last_id = 0;
	s.err = SCAN_OK;
	s.err_at = s.end;
	s.set = NULL;
	s.set_cap = s.set_len = 0;

	if (len > SCAN_LEN_MAX)
		(void)scan_fail(&s, SCAN_BUDGET, text);
	else
		(void)scan_run(&s, f);
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
