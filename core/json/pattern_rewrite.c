/* SPDX-License-Identifier: MIT */
/*
 * ECMA-262 patterns (the u flag, no other) in PCRE2's words. Whatever PCRE2
 * would take and ECMA does not mean is refused or escaped: verbs, possessive
 * and atomic groups, recursion, options, POSIX classes, \Q..\E.
 */
#include "core/json/pattern.h"

#include <errno.h>
#include <string.h>

/* Members of a class. ECMA-262 WhiteSpace and LineTerminator. */
#define SET_DIGIT	"0-9"
#define SET_NOT_DIGIT	"\\x00-/:-\\u{10ffff}"
#define SET_WORD	"A-Za-z0-9_"
#define SET_NOT_WORD	"\\x00-/:-@\\[-\\^`{-\\u{10ffff}"
#define SET_SPACE	"\\x09-\\x0d \\u00a0\\u1680\\u2000-\\u200a\\u2028" \
	"\\u2029\\u202f\\u205f\\u3000\\ufeff"
#define SET_NOT_SPACE	"\\x00-\\x08\\x0e-\\x1f!-\\u009f\\u00a1-\\u167f" \
	"\\u1681-\\u1fff\\u200b-\\u2027\\u202a-\\u202e\\u2030-\\u205e" \
	"\\u2060-\\u2fff\\u3001-\\ufefe\\uff00-\\u{10ffff}"
#define SET_DOT		"[^\\n\\r\\u2028\\u2029]"

struct rewrite {
	const char	*p;
	const char	*end;
	struct buf	*out;
	struct buf	*why;
};

static int
refuse(struct rewrite *w, const char *why)
{
	if (w->why != NULL)
		(void)buf_puts(w->why, why);
	return (-EINVAL);
}

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

static bool
is_alpha(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
}

static int
hex_value(char c)
{
	if (is_digit(c))
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

/* n hexadecimal digits at p, or -1. */
static int
hex_at(const char *p, const char *end, int n)
{
	int	 v = 0, d;

	if (end - p < n)
		return (-1);
	for (; n > 0; n--, p++) {
		d = hex_value(*p);
		if (d < 0)
			return (-1);
		v = v << 4 | d;
	}
	return (v);
}

/* PCRE2 knows the short names of general categories only. */
static const char *
category_short(const char *name, size_t len)
{
	static const struct {
		const char	*name;
		const char	*brief;
	} names[] = {
		{ "Letter", "L" }, { "Cased_Letter", "L&" },
		{ "Uppercase_Letter", "Lu" }, { "Lowercase_Letter", "Ll" },
		{ "Titlecase_Letter", "Lt" }, { "Modifier_Letter", "Lm" },
		{ "Other_Letter", "Lo" }, { "LC", "L&" },
		{ "Mark", "M" }, { "Combining_Mark", "M" },
		{ "Nonspacing_Mark", "Mn" }, { "Spacing_Mark", "Mc" },
		{ "Enclosing_Mark", "Me" },
		{ "Number", "N" }, { "Decimal_Number", "Nd" },
		{ "digit", "Nd" },
		{ "Letter_Number", "Nl" }, { "Other_Number", "No" },
		{ "Symbol", "S" }, { "Math_Symbol", "Sm" },
		{ "Currency_Symbol", "Sc" }, { "Modifier_Symbol", "Sk" },
		{ "Other_Symbol", "So" },
		{ "Punctuation", "P" }, { "punct", "P" },
		{ "Connector_Punctuation", "Pc" }, { "Dash_Punctuation", "Pd" },
		{ "Open_Punctuation", "Ps" }, { "Close_Punctuation", "Pe" },
		{ "Initial_Punctuation", "Pi" }, { "Final_Punctuation", "Pf" },
		{ "Other_Punctuation", "Po" },
		{ "Separator", "Z" }, { "Space_Separator", "Zs" },
		{ "Line_Separator", "Zl" }, { "Paragraph_Separator", "Zp" },
		{ "Other", "C" }, { "Control", "Cc" }, { "cntrl", "Cc" },
		{ "Format", "Cf" }, { "Surrogate", "Cs" },
		{ "Private_Use", "Co" }, { "Unassigned", "Cn" },
	};
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		if (strlen(names[i].name) == len &&
		    memcmp(names[i].name, name, len) == 0)
			return (names[i].brief);
	}
	return (NULL);
}

/* w->p is after \p or \P. */
static int
rewrite_property(struct rewrite *w, char which)
{
	static const char *const prefix[] = { "General_Category=", "gc=" };
	const char	*name, *brief;
	size_t		 len, i;

	if (w->p == w->end || *w->p != '{')
		return (refuse(w, "\\p without a name"));
	name = w->p + 1;
	for (len = 0; name + len < w->end && name[len] != '}'; len++) {
		if (!is_alpha(name[len]) && !is_digit(name[len]) &&
		    name[len] != '_' && name[len] != '=')
			return (refuse(w, "a bad name after \\p"));
	}
	if (len == 0 || name + len == w->end)
		return (refuse(w, "\\p without a name"));
	w->p = name + len + 1;
	for (i = 0; i < ARRAY_LEN(prefix); i++) {
		size_t n = strlen(prefix[i]);

		if (len > n && memcmp(name, prefix[i], n) == 0) {
			name += n;
			len -= n;
			break;
		}
	}
	brief = category_short(name, len);
	if (brief != NULL)
		return (buf_printf(w->out, "\\%c{%s}", which, brief));
	return (buf_printf(w->out, "\\%c{%.*s}", which, (int)len, name));
}

/* w->p is after \u. */
static int
rewrite_unicode(struct rewrite *w)
{
	int	 c, low, n = 0;

	if (w->p < w->end && *w->p == '{') {
		for (c = 0, n = 1; w->p + n < w->end && w->p[n] != '}'; n++) {
			low = hex_value(w->p[n]);
			if (low < 0 || c > 0x10ffff)
				return (refuse(w, "a bad \\u{}"));
			c = c << 4 | low;
		}
		if (w->p + n >= w->end || n == 1 || c > 0x10ffff)
			return (refuse(w, "a bad \\u{}"));
		w->p += n + 1;
		return (buf_printf(w->out, "\\u{%x}", (unsigned)c));
	}
	c = hex_at(w->p, w->end, 4);
	if (c < 0)
		return (refuse(w, "\\u without four digits"));
	w->p += 4;
	/* A pair is one character under the u flag. */
	if (c >= 0xd800 && c <= 0xdbff && w->end - w->p >= 6 &&
	    w->p[0] == '\\' && w->p[1] == 'u') {
		low = hex_at(w->p + 2, w->end, 4);
		if (low >= 0xdc00 && low <= 0xdfff) {
			w->p += 6;
			return (buf_printf(w->out, "\\u{%x}", 0x10000u +
			    ((unsigned)(c - 0xd800) << 10) +
			    (unsigned)(low - 0xdc00)));
		}
	}
	return (buf_printf(w->out, "\\u%04x", (unsigned)c));
}

/*
 * An escape that is one character; w->p is after the backslash. The same in a
 * class and outside.
 */
static int
rewrite_char_escape(struct rewrite *w)
{
	char	 c = *w->p++;

	switch (c) {
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return (buf_printf(w->out, "\\%c", c));
	case 'v':
		return (buf_puts(w->out, "\\x0b"));
	case '0':
		if (w->p < w->end && is_digit(*w->p))
			return (refuse(w, "an octal escape"));
		return (buf_puts(w->out, "\\x00"));
	case 'c':
		if (w->p == w->end || !is_alpha(*w->p))
			return (refuse(w, "\\c without a letter"));
		return (buf_printf(w->out, "\\x%02x",
		    (unsigned)(*w->p++ & 0x1f)));
	case 'x':
		if (hex_at(w->p, w->end, 2) < 0)
			return (refuse(w, "\\x without two digits"));
		(void)buf_puts(w->out, "\\x");
		(void)buf_add(w->out, w->p, 2);
		w->p += 2;
		return (0);
	case 'u':
		return (rewrite_unicode(w));
	default:
		/* Letters are reserved; the rest stands for itself. */
		if (is_alpha(c) || is_digit(c) || (unsigned char)c >= 0x80)
			return (refuse(w, "an unknown escape"));
		if ((unsigned char)c <= ' ' || c == 0x7f)
			return (buf_printf(w->out, "\\x%02x", (unsigned)c));
		return (buf_printf(w->out, "\\%c", c));
	}
}

/* The members that \d and its like stand for, or NULL. */
static const char *
set_of(char c)
{
	switch (c) {
	case 'd':
		return (SET_DIGIT);
	case 'D':
		return (SET_NOT_DIGIT);
	case 'w':
		return (SET_WORD);
	case 'W':
		return (SET_NOT_WORD);
	case 's':
		return (SET_SPACE);
	case 'S':
		return (SET_NOT_SPACE);
	default:
		return (NULL);
	}
}

/*
 * One member of a class, w->p at it; *ret_set: it was a set, not a character.
 */
static int
rewrite_class_atom(struct rewrite *w, bool *ret_set)
{
	const char	*set;
	char		 c = *w->p++;

	*ret_set = false;
	if (c != '\\') {
		if ((unsigned char)c >= 0x80 || is_alpha(c) || is_digit(c)) {
			(void)buf_putc(w->out, c);
			while (w->p < w->end &&
			    ((unsigned char)*w->p & 0xc0) == 0x80)
				(void)buf_putc(w->out, *w->p++);
			return (0);
		}
		if ((unsigned char)c <= ' ' || c == 0x7f)
			return (buf_printf(w->out, "\\x%02x", (unsigned)c));
		return (buf_printf(w->out, "\\%c", c));
	}
	if (w->p == w->end)
		return (refuse(w, "a backslash at the end"));
	set = set_of(*w->p);
	if (set != NULL) {
		w->p++;
		*ret_set = true;
		return (buf_puts(w->out, set));
	}
	switch (*w->p) {
	case 'p':
	case 'P':
		*ret_set = true;
		w->p++;
		return (rewrite_property(w, w->p[-1]));
	case 'b':
		w->p++;
		return (buf_puts(w->out, "\\x08"));
	default:
		return (rewrite_char_escape(w));
	}
}

/* w->p is after the opening bracket. */
static int
rewrite_class(struct rewrite *w)
{
	bool	 is_set, is_set2;
	int	 r;

	(void)buf_putc(w->out, '[');
	if (w->p < w->end && *w->p == '^')
		(void)buf_putc(w->out, *w->p++);
	for (;;) {
		if (w->p == w->end)
			return (refuse(w, "a class without its end"));
		if (*w->p == ']') {
			w->p++;
			return (buf_putc(w->out, ']'));
		}
		r = rewrite_class_atom(w, &is_set);
		if (r < 0)
			return (r);
		if (w->end - w->p < 2 || w->p[0] != '-' || w->p[1] == ']')
			continue;
		w->p++;
		if (is_set)
			return (refuse(w, "a range that starts with a set"));
		(void)buf_putc(w->out, '-');
		r = rewrite_class_atom(w, &is_set2);
		if (r < 0)
			return (r);
		if (is_set2)
			return (refuse(w, "a range that ends in a set"));
	}
}

/* w->p is after the backslash, outside of a class. */
static int
rewrite_escape(struct rewrite *w)
{
	const char	*set;
	size_t		 n;

	if (w->p == w->end)
		return (refuse(w, "a backslash at the end"));
	set = set_of(*w->p);
	if (set != NULL) {
		w->p++;
		(void)buf_putc(w->out, '[');
		(void)buf_puts(w->out, set);
		return (buf_putc(w->out, ']'));
	}
	switch (*w->p) {
	case 'b':
	case 'B':
		return (buf_printf(w->out, "\\%c", *w->p++));
	case 'p':
	case 'P':
		w->p++;
		return (rewrite_property(w, w->p[-1]));
	case 'k':
		for (n = 1; w->p + n < w->end && w->p[n] != '>'; n++)
			continue;
		if (n < 3 || w->p[1] != '<' || w->p + n == w->end)
			return (refuse(w, "\\k without a name"));
		(void)buf_putc(w->out, '\\');
		(void)buf_add(w->out, w->p, n + 1);
		w->p += n + 1;
		return (0);
	case '1': case '2': case '3': case '4': case '5':
	case '6': case '7': case '8': case '9':
		for (n = 1; w->p + n < w->end && is_digit(w->p[n]); n++)
			continue;
		(void)buf_puts(w->out, "\\g{");
		(void)buf_add(w->out, w->p, n);
		w->p += n;
		return (buf_putc(w->out, '}'));
	default:
		return (rewrite_char_escape(w));
	}
}

/* w->p is at an opening parenthesis. */
static int
rewrite_group(struct rewrite *w)
{
	static const char *const known[] = {
		"(?:", "(?=", "(?!", "(?<=", "(?<!",
	};
	size_t	 i, n, left = (size_t)(w->end - w->p);

	for (i = 0; i < ARRAY_LEN(known); i++) {
		n = strlen(known[i]);
		if (left >= n && memcmp(w->p, known[i], n) == 0) {
			w->p += n;
			return (buf_puts(w->out, known[i]));
		}
	}
	if (left >= 4 && memcmp(w->p, "(?<", 3) == 0 &&
	    (is_alpha(w->p[3]) || w->p[3] == '_')) {
		w->p += 3;
		return (buf_puts(w->out, "(?<"));
	}
	if (left >= 2 && (w->p[1] == '?' || w->p[1] == '*'))
		return (refuse(w, "an unknown kind of group"));
	w->p++;
	return (buf_putc(w->out, '('));
}

/* The length of {n}, {n,} or {n,m} at p, or 0. */
static size_t
braces_len(const char *p, const char *end)
{
	const char	*from = p++;

	if (p == end || !is_digit(*p))
		return (0);
	while (p < end && is_digit(*p))
		p++;
	if (p < end && *p == ',') {
		p++;
		while (p < end && is_digit(*p))
			p++;
	}
	return (p < end && *p == '}' ? (size_t)(p - from) + 1 : 0);
}

/* w->p is at * + ? or an opening brace. */
static int
rewrite_quantifier(struct rewrite *w)
{
	size_t	 n = 1;

	if (*w->p == '{') {
		n = braces_len(w->p, w->end);
		if (n == 0)
			return (refuse(w, "a brace that is no quantifier"));
	}
	(void)buf_add(w->out, w->p, n);
	w->p += n;
	if (w->p < w->end && *w->p == '?')
		(void)buf_putc(w->out, *w->p++);
	if (w->p < w->end && (*w->p == '*' || *w->p == '+' || *w->p == '?' ||
	    *w->p == '{'))
		return (refuse(w, "a quantifier after a quantifier"));
	return (0);
}

int
pattern_rewrite(const char *text, size_t len, struct buf *out, struct buf *why)
{
	struct rewrite	 w = { text, text + len, out, why };
	int		 r;

	while (w.p < w.end) {
		r = 0;
		switch (*w.p) {
		case '\\':
			w.p++;
			r = rewrite_escape(&w);
			break;
		case '[':
			w.p++;
			r = rewrite_class(&w);
			break;
		case '(':
			r = rewrite_group(&w);
			break;
		case '*':
		case '+':
		case '?':
		case '{':
			r = rewrite_quantifier(&w);
			break;
		case '.':
			w.p++;
			r = buf_puts(out, SET_DOT);
			break;
		case ']':
		case '}':
			r = refuse(&w, "a bracket that closes nothing");
			break;
		case '\0':
			w.p++;
			r = buf_puts(out, "\\x00");
			break;
		default:
			r = buf_putc(out, *w.p++);
			break;
		}
		if (r < 0)
			return (r);
	}
	return (out->is_failed ? -ENOMEM : 0);
}
