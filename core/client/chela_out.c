/* SPDX-License-Identifier: MIT */
/* Output of the chela command: safe text, tables, JSON. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/utf8.h"
#include "core/client/chela.h"
#include "core/json/json.h"

#define PAIR_WIDTH	20
#define COLUMN_MIN	8u	/* no column is cut below this */
#define GAP		2u	/* between columns */

/* The character at s (len > 0) and its length; 0xfffd, 1 when it is none. */
static uint32_t
decode(const char *s, size_t len, size_t *ret_len)
{
	unsigned char	 c = (unsigned char)*s;
	size_t		 n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	uint32_t	 u;
	size_t		 i;

	*ret_len = 1;
	if (n == 1)
		return (c);
	if (n > len || !utf8_is_valid(s, n))
		return (0xfffd);
	*ret_len = n;
	u = c & (0xffu >> (n + 1));
	for (i = 1; i < n; i++)
		u = u << 6 | ((unsigned char)s[i] & 0x3f);
	return (u);
}

static bool
is_dangerous(uint32_t u)
{
	return (u < 0x20 || (u >= 0x7f && u < 0xa0) ||
	    (u >= 0x200e && u <= 0x200f) || (u >= 0x202a && u <= 0x202e) ||
	    (u >= 0x2066 && u <= 0x2069) || u == 0xfeff ||
	    u == 0x2028 || u == 0x2029);
}

/* Columns on a terminal: enough of Unicode to line up names of people. */
static unsigned
width_of(uint32_t u)
{
	if ((u >= 0x300 && u <= 0x36f) || (u >= 0x200b && u <= 0x200d) ||
	    (u >= 0xfe00 && u <= 0xfe0f))
		return (0);
	if ((u >= 0x1100 && u <= 0x115f) || (u >= 0x2e80 && u <= 0xa4cf) ||
	    (u >= 0xac00 && u <= 0xd7a3) || (u >= 0xf900 && u <= 0xfaff) ||
	    (u >= 0xfe30 && u <= 0xfe6f) || (u >= 0xff00 && u <= 0xff60) ||
	    (u >= 0xffe0 && u <= 0xffe6) || (u >= 0x1f300 && u <= 0x1faff) ||
	    (u >= 0x20000 && u <= 0x3fffd))
		return (2);
	return (1);
}

/* Appends s made safe; returns the columns that it takes. */
static unsigned
make_safe(struct buf *b, const char *s, size_t len, const char *keep)
{
	unsigned	 width = 0;
	uint32_t	 u;
	size_t		 n;

	for (; len > 0; s += n, len -= n) {
		u = decode(s, len, &n);
		if (u == 0xfffd && n == 1) {
			(void)buf_printf(b, "\\x%02x", (unsigned char)*s);
			width += 4;
		} else if (u < 0x80 && u != 0 && strchr(keep, (int)u) != NULL) {
			(void)buf_add(b, s, n);
		} else if (u == '\n') {
			(void)buf_puts(b, "\\n");
			width += 2;
		} else if (u == '\t') {
			(void)buf_putc(b, ' ');
			width++;
		} else if (is_dangerous(u)) {
			(void)buf_printf(b, "\\u%04x", (unsigned)u);
			width += 6;
		} else {
			(void)buf_add(b, s, n);
			width += width_of(u);
		}
	}
	return (width);
}

void
out_text(FILE *f, const char *s, size_t len, const char *keep)
{
	struct buf	 b = BUF_INIT;

	(void)make_safe(&b, s, len, keep);
	if (b.len > 0)
		(void)fwrite(b.data, 1, b.len, f);
	buf_fini(&b);
}

void
out_str(FILE *f, const char *s)
{
	if (s == NULL)
		s = "-";
	out_text(f, s, strlen(s), "");
}

/*
 * json-c escapes what JSON demands; what a terminal obeys beyond that is escaped
 * here. Such characters stand in strings only, so the document stays the same.
 */
static void
out_json_as(struct json_object *v, int flags)
{
	const char	*s;

	s = json_object_to_json_string_ext(v, flags |
	    JSON_C_TO_STRING_NOSLASHESCAPE);
	out_text(stdout, s, strlen(s), "\n");
	(void)putchar('\n');
}

void
out_json(struct json_object *v)
{
	out_json_as(v, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
}

void
out_json_line(struct json_object *v)
{
	out_json_as(v, JSON_C_TO_STRING_PLAIN);
}

void
out_pair(const char *name, const char *fmt, ...)
{
	va_list	 ap;
	char	*text;
	int	 n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	/* Without a name it is one more line of the pair above. */
	(void)printf("%s%c%*s", name, *name != '\0' ? ':' : ' ',
	    (int)MAX_OF(PAIR_WIDTH - (int)strlen(name), 1), "");
	out_str(stdout, text);
	(void)putchar('\n');
	free(text);
}

const char *
out_age(int64_t then_ms, int64_t now_ms, char *buf, size_t size)
{
	int64_t	 s = (now_ms - then_ms) / 1000;

	if (then_ms <= 0)
		(void)snprintf(buf, size, "never");
	else if (s < 60)
		(void)snprintf(buf, size, "just now");
	else if (s < 3600)
		(void)snprintf(buf, size, "%" PRId64 " min ago", s / 60);
	else if (s < 86400)
		(void)snprintf(buf, size, "%" PRId64 " h ago", s / 3600);
	else
		(void)snprintf(buf, size, "%" PRId64 " d ago", s / 86400);
	return (buf);
}

const char *
text_of(struct json_object *obj, const char *key)
{
	struct json_object	*v = json_get(obj, key);

	return (v == NULL ? "" : json_object_get_string(v));
}

struct json_object *
params_of(const char *name, ...)
{
	struct json_object	*o = json_object_new_object();
	const char		*value;
	va_list			 ap;

	va_start(ap, name);
	for (; name != NULL; name = va_arg(ap, const char *)) {
		value = va_arg(ap, const char *);
		if (value != NULL)
			(void)json_add_str(o, name, value);
	}
	va_end(ap);
	return (o);
}

/* --- tables --- */

void
table_init(struct table *t, const char *align, ...)
{
	va_list	 ap;

	memset(t, 0, sizeof *t);
	t->right = strdup(align);
	va_start(ap, align);
	while (t->n_columns < TABLE_COLUMNS_MAX &&
	    (t->names[t->n_columns] = va_arg(ap, const char *)) != NULL)
		t->n_columns++;
	va_end(ap);
}

void
table_add(struct table *t, const char *fmt, ...)
{
	va_list	 ap;
	char	*text, **p;
	int	 n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (t->n_cells == t->cap) {
		p = realloc(t->cells, (t->cap * 2 + 32) * sizeof *p);
		if (p == NULL) {
			free(text);
			return;
		}
		t->cells = p;
		t->cap = t->cap * 2 + 32;
	}
	t->cells[t->n_cells++] = text;
}

static unsigned
screen_width(void)
{
	struct winsize	 w;

	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 &&
	    w.ws_col >= 20)
		return (w.ws_col);
	return (UINT16_MAX);		/* a file is as wide as it must be */
}

/* Prints a safe text in so many columns, cut with an ellipsis. */
static void
print_cell(const struct buf *b, unsigned has, unsigned columns, bool is_right,
    bool is_last)
{
	size_t		 i, n;
	unsigned	 w, used = 0;

	if (has <= columns) {
		if (is_right)
			(void)printf("%*s", (int)(columns - has), "");
		if (b->len > 0)
			(void)fwrite(b->data, 1, b->len, stdout);
		if (!is_right && !is_last)
			(void)printf("%*s", (int)(columns - has), "");
		return;
	}
	for (i = 0; i < b->len; i += n, used += w) {
		w = width_of(decode(b->data + i, b->len - i, &n));
		if (used + w > columns - 1)
			break;
		(void)fwrite(b->data + i, 1, n, stdout);
	}
	(void)printf("\xe2\x80\xa6%*s", is_last ? 0 :
	    (int)(columns - 1 - used), "");
}

/* The widest columns give way first. */
static void
fit(unsigned *widths, unsigned n)
{
	unsigned	 i, sum, widest, screen = screen_width();

	for (;;) {
		sum = GAP * (n - 1);
		for (widest = 0, i = 0; i < n; i++) {
			sum += widths[i];
			if (widths[i] > widths[widest])
				widest = i;
		}
		if (sum <= screen || widths[widest] <= COLUMN_MIN)
			return;
		widths[widest]--;
	}
}

void
table_free(struct table *t)
{
	size_t	 i;

	for (i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t->right);
}

void
table_print(struct table *t)
{
	unsigned	 widths[TABLE_COLUMNS_MAX] = { 0 }, c, w;
	struct buf	 b = BUF_INIT;
	size_t		 i, n = t->n_columns;
	const char	*s;

	for (c = 0; c < n; c++)
		widths[c] = (unsigned)strlen(t->names[c]);
	for (i = 0; i < t->n_cells; i++) {
		buf_reset(&b);
		w = make_safe(&b, t->cells[i], strlen(t->cells[i]), "");
		widths[i % n] = MAX_OF(widths[i % n], w);
	}
	fit(widths, t->n_columns);
	for (i = 0; i < n + t->n_cells; i++) {
		c = (unsigned)(i % n);
		s = i < n ? t->names[i] : t->cells[i - n];
		buf_reset(&b);
		w = make_safe(&b, s, strlen(s), "");
		print_cell(&b, w, widths[c], t->right != NULL &&
		    t->right[c] == 'r', c + 1 == n);
		(void)printf("%s", c + 1 == n ? "\n" : "  ");
	}
	table_free(t);
	buf_fini(&b);
}
