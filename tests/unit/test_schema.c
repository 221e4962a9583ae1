/* SPDX-License-Identifier: MIT */
/*
 * The validator's own promises: what it tells a sender, patterns, references,
 * limits, defaults. What draft-07 says in general is test_schema_suite's.
 */
#include "core/json/schema.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/json/json.h"
#include "core/json/pattern.h"
#include "core/json/schema_priv.h"
#include "tests/unit/cu.h"

/* A JSON text; ours may use ' for ", which no test needs inside a string. */
static struct json_object *
parse(const char *text)
{
	const struct scan_limits lim = { SCAN_DEPTH_CAP, SIZE_MAX, false };
	struct json_object	*v = NULL;
	char			*copy = strdup(text), *p;

	if (copy == NULL)
		abort();
	for (p = copy; *p != '\0'; p++) {
		if (*p == '\'')
			*p = '"';
	}
	if (json_parse_scanned(copy, strlen(copy), &lim, NULL, &v) < 0) {
		(void)fprintf(stderr, "no JSON: %s\n", copy);
		abort();
	}
	free(copy);
	return (v);
}

static struct schema *
compile(const char *text)
{
	struct json_object	*doc = parse(text);
	struct schema		*s = NULL;
	struct buf		 why = BUF_INIT;
	int			 r;

	r = schema_compile(doc, "", &s, &why);
	if (r < 0)
		(void)printf("%s: %.*s\n", text, (int)why.len, why.data);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	json_object_put(doc);
	buf_fini(&why);
	return (s);
}

static bool
is_valid(const char *schema, const char *value)
{
	struct schema		*s = compile(schema);
	struct json_object	*v = parse(value);
	struct schema_report	 rep;
	int			 r;

	r = schema_check(s, v, &rep);
	CU_ASSERT(r == 0 || r == -EBADMSG);
	CU_ASSERT_EQUAL(schema_check(s, v, NULL), r);
	json_object_put(v);
	(void)schema_free(s);
	return (r == 0);
}

/* Whether the report is want; ' stands for itself here. */
static void
tells(const char *schema, const char *value, const char *want)
{
	struct schema		*s = compile(schema);
	struct json_object	*v = parse(value);
	struct schema_report	 rep;

	CU_ASSERT_EQUAL(schema_check(s, v, &rep), -EBADMSG);
	if (strcmp(rep.text, want) != 0)
		(void)printf("want: %s\nhave: %s\n", want, rep.text);
	CU_ASSERT_STRING_EQUAL(rep.text, want);
	CU_ASSERT_EQUAL(rep.len, strlen(want));
	json_object_put(v);
	(void)schema_free(s);
}

static void
refuses(const char *schema, int err, const char *why_part)
{
	struct json_object	*doc = parse(schema);
	struct schema		*s = NULL;
	struct buf		 why = BUF_INIT;

	CU_ASSERT_EQUAL(schema_compile(doc, "", &s, &why), err);
	(void)buf_putc(&why, '\0');
	if (strstr(why.data, why_part) == NULL)
		(void)printf("'%s' not in: %s\n", why_part, why.data);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.data, why_part));
	/* And nobody has to ask why. */
	CU_ASSERT_EQUAL(schema_compile(doc, "", &s, NULL), err);
	CU_ASSERT_PTR_NULL(s);
	json_object_put(doc);
	buf_fini(&why);
}

#define CLIENT \
	"{'type':'object','required':['min','client'],'properties':{" \
	"'min':{'type':'integer','minimum':1,'maximum':1000}," \
	"'client':{'type':'object','required':['id','mode'],'properties':{" \
	"'id':{'enum':['cli','ui']},'mode':{'type':'string','minLength':1," \
	"'maxLength':3}},'additionalProperties':false}," \
	"'caps':{'type':'array','minItems':1,'maxItems':2,'items':" \
	"{'type':'string'}},'kind':{'const':'req'}," \
	"'mix':{'anyOf':[{'type':'string'},{'type':'number'}]}}," \
	"'additionalProperties':false}"

static void
report_has_the_documented_clauses(void)
{
	static const char	 client[] = "'client':{'id':'cli','mode':'x'}";
	char			 v[256];

	tells(CLIENT, "{}", "must have required property 'min'");
	tells(CLIENT, "[]", "must be object");
	tells(CLIENT, "{'min':1,'client':{}}",
	    "at /client: must have required property 'id'");
	tells(CLIENT, "{'min':1,'client':{'id':'x','mode':''}}",
	    "at /client/id: must be equal to one of the allowed values; "
	    "at /client/mode: must not have fewer than 1 characters");
	tells(CLIENT, "{'min':1,'client':{'id':'ui','mode':'abcd','x':1}}",
	    "at /client: unexpected property 'x'; "
	    "at /client/mode: must not have more than 3 characters");
#define WITH(member) \
	((void)snprintf(v, sizeof v, "{'min':1,%s,%s}", client, member), v)
	tells(CLIENT, WITH("'foo':1"), "at root: unexpected property 'foo'");
	tells(CLIENT, WITH("'caps':[]"),
	    "at /caps: must not have fewer than 1 items");
	tells(CLIENT, WITH("'caps':['a',1,'b']"),
	    "at /caps/1: must be string; "
	    "at /caps: must not have more than 2 items");
	tells(CLIENT, WITH("'kind':'res'"),
	    "at /kind: must be equal to constant");
	tells(CLIENT, WITH("'mix':null"),
	    "at /mix: must be string; at /mix: must be number; "
	    "at /mix: must match a schema in anyOf");
#undef WITH
	(void)snprintf(v, sizeof v, "{'min':0,%s}", client);
	tells(CLIENT, v, "at /min: must be >= 1");
	(void)snprintf(v, sizeof v, "{'min':1001,%s}", client);
	tells(CLIENT, v, "at /min: must be <= 1000");
	(void)snprintf(v, sizeof v, "{'min':1.5,%s}", client);
	tells(CLIENT, v, "at /min: must be integer");
	tells(CLIENT, "{'min':'a','foo':1}",
	    "must have required property 'client'; "
	    "at root: unexpected property 'foo'; at /min: must be integer");
}

static void
report_has_a_clause_for_every_keyword(void)
{
	tells("{'type':['string','null']}", "1",
	    "must be either string or null");
	tells("{'anyOf':[{'const':'a'},{'const':'b'}]}", "'c'",
	    "must be equal to constant; must match a schema in anyOf");
	tells("{'oneOf':[{'type':'string'},{'minLength':2}]}", "'abc'",
	    "must match exactly one schema in oneOf");
	tells("{'not':{'type':'string'}}", "'a'", "must not be valid");
	tells("{'if':{'type':'string'},'else':{'type':'number'}}", "null",
	    "must be number; must match \"else\" schema");
	tells("{'contains':{'const':1}}", "[2]",
	    "must contain at least 1 valid item");
	tells("{'uniqueItems':true}", "[1,1.0]",
	    "must not have duplicate items");
	tells("{'items':[true],'additionalItems':false}", "[1,2]",
	    "at /1: schema is false");
	tells("{'minProperties':2}", "{'a':1}",
	    "must not have fewer than 2 properties");
	tells("{'maxProperties':0}", "{'a':1}",
	    "must not have more than 0 properties");
	tells("{'propertyNames':{'maxLength':1}}", "{'ab':1}",
	    "must not have a property named 'ab'");
	tells("{'dependencies':{'a':['b']}}", "{'a':1}",
	    "must have property 'b' when property 'a' is present");
	tells("{'exclusiveMinimum':5,'multipleOf':2}", "5",
	    "must be > 5; must be multiple of 2");
	tells("{'exclusiveMaximum':0.5}", "0.5", "must be < 0.5");
	tells("{'pattern':'^a$'}", "'b'", "must match pattern \"^a$\"");
	tells("{'patternProperties':{'^a':{'type':'null'}},"
	    "'additionalProperties':false}", "{'ab':1,'b':1}",
	    "at root: unexpected property 'b'; at /ab: must be null");
	tells("false", "1", "schema is false");
	tells("{'allOf':[{'type':'string'},{'type':'string'}]}", "1",
	    "must be string");
}

static void
report_tells_the_paths(void)
{
	struct schema		*s = compile(CLIENT);
	struct json_object	*v;
	struct schema_report	 rep;

	v = parse("{'min':0,'client':{'id':1,'mode':'x'},'caps':[1],'z':1}");
	CU_ASSERT_EQUAL(schema_check(s, v, &rep), -EBADMSG);
	CU_ASSERT_EQUAL(rep.n_clauses, 4);
	CU_ASSERT_STRING_EQUAL(rep.paths[0], "");
	CU_ASSERT_STRING_EQUAL(rep.paths[1], "/min");
	CU_ASSERT_STRING_EQUAL(rep.paths[2], "/client/id");
	CU_ASSERT_STRING_EQUAL(rep.paths[3], "/caps/0");
	json_object_put(v);
	/* A report that is used again forgets. */
	v = parse("{'min':1,'client':{'id':'ui','mode':'x'}}");
	CU_ASSERT_EQUAL(schema_check(s, v, &rep), 0);
	CU_ASSERT(rep.n_clauses == 0 && rep.len == 0 && rep.text[0] == '\0');
	json_object_put(v);
	(void)schema_free(s);
}

/* AB-018: names from a peer come back bounded and harmless. */
static void
report_is_bounded_and_escaped(void)
{
	struct schema		*s;
	struct json_object	*v;
	struct schema_report	 rep;
	struct buf		 b = BUF_INIT;
	unsigned		 i;

	tells("{'additionalProperties':false}", "{'a\\n\\u0007b\\u0085':1}",
	    "at root: unexpected property 'a\\u000a\\u0007b\\u0085'");
	tells("{'additionalProperties':{'type':'null'}}", "{'a/b~c':1}",
	    "at /a~1b~0c: must be null");

	(void)buf_puts(&b, "{'");
	for (i = 0; i < 70; i++)
		(void)buf_puts(&b, "\xe2\x82\xac");
	(void)buf_puts(&b, "':1}");
	(void)buf_putc(&b, '\0');
	s = compile("{'additionalProperties':false}");
	v = parse(b.data);
	CU_ASSERT_EQUAL(schema_check(s, v, &rep), -EBADMSG);
	CU_ASSERT(rep.len < 128 && strstr(rep.text, "...'") != NULL);
	json_object_put(v);
	(void)schema_free(s);

	s = compile("{'items':{'type':'string'}}");
	v = parse("[1,2,3,4,5,6,7,8,9,10]");
	CU_ASSERT_EQUAL(schema_check(s, v, &rep), -EBADMSG);
	CU_ASSERT_EQUAL(rep.n_clauses, SCHEMA_CLAUSES_MAX);
	CU_ASSERT_PTR_NOT_NULL(strstr(rep.text, "/7: must be string"));
	CU_ASSERT_PTR_NULL(strstr(rep.text, "/8: must be string"));
	json_object_put(v);
	(void)schema_free(s);

	/* Eight long clauses meet the limit of bytes. */
	buf_reset(&b);
	(void)buf_puts(&b, "{");
	for (i = 0; i < 8; i++)
		(void)buf_printf(&b, "%s'%u%.*s':{'%.*s':{'%.*s':1}}",
		    i ? "," : "", i, 60, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaa", 60, "bbbbbbbbbbbbbbbbbbbbbbb"
		    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 60, "cccccccc"
		    "cccccccccccccccccccccccccccccccccccccccccccccccccccccccc");
	(void)buf_puts(&b, "}");
	(void)buf_putc(&b, '\0');
	s = compile("{'additionalProperties':{'additionalProperties':"
	    "{'additionalProperties':{'type':'null'}}}}");
	v = parse(b.data);
	CU_ASSERT_EQUAL(schema_check(s, v, &rep), -EBADMSG);
	CU_ASSERT(rep.len < SCHEMA_REPORT_MAX && rep.len > 900);
	CU_ASSERT_EQUAL(rep.len, strlen(rep.text));
	json_object_put(v);
	(void)schema_free(s);
	buf_fini(&b);
}

static void
lengths_are_code_points(void)
{
	CU_ASSERT(is_valid("{'maxLength':1}", "'\xf0\x9f\x98\x80'"));
	CU_ASSERT(!is_valid("{'maxLength':1}", "'\xf0\x9f\x98\x80x'"));
	CU_ASSERT(!is_valid("{'minLength':2}", "'\xf0\x9f\x98\x80'"));
	CU_ASSERT(is_valid("{'minLength':2}", "'\xc3\xa9\xc3\xa9'"));
	CU_ASSERT(!is_valid("{'minLength':3}", "'\xc3\xa9\xc3\xa9'"));
	CU_ASSERT(is_valid("{'minLength':1}", "'\xe2\x82\xac'"));
	CU_ASSERT(!is_valid("{'minLength':1}", "''"));
	CU_ASSERT(is_valid("{'minLength':4,'maxLength':4}", "'abcd'"));
	CU_ASSERT(!is_valid("{'minLength':4}", "'abc'"));
	CU_ASSERT(!is_valid("{'maxLength':4}", "'abcde'"));
}

static void
format_is_an_annotation(void)
{
	CU_ASSERT(is_valid("{'type':'string','format':'uuid'}", "'no uuid'"));
	CU_ASSERT(is_valid("{'format':'date-time'}", "'never'"));
	CU_ASSERT(is_valid("{'contentEncoding':'base64'}", "'%'"));
}

static void
any_of_strings_becomes_one_set(void)
{
	static const char	 schema[] = "{'anyOf':[{'const':'a'},{'type':"
	    "'string','const':'bb','description':'x'},{'enum':['c','dd']}]}";
	struct schema		*s = compile(schema);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s->root->enums);
	CU_ASSERT_EQUAL(s->root->enums->words.n, 4);
	CU_ASSERT_PTR_NULL(s->root->logic);
	(void)schema_free(s);
	CU_ASSERT(is_valid(schema, "'bb'") && is_valid(schema, "'dd'"));
	CU_ASSERT(!is_valid(schema, "'b'") && !is_valid(schema, "1"));
	/* With another keyword in a branch it stays what it was. */
	CU_ASSERT(!is_valid("{'anyOf':[{'const':'a','minLength':2},"
	    "{'const':'b'}]}", "'a'"));
	CU_ASSERT(!is_valid("{'type':'number','anyOf':[{'const':'a'}]}",
	    "'a'"));
	CU_ASSERT(!is_valid("{'const':'x','anyOf':[{'const':'a'}]}", "'a'"));
	CU_ASSERT(is_valid("{'enum':['a','b'],'const':'a'}", "'a'"));
	CU_ASSERT(!is_valid("{'enum':['a','b'],'const':'a'}", "'b'"));
	CU_ASSERT(!is_valid("{'enum':['b'],'const':'a'}", "'b'"));
}

static void
more_than_64_required_and_many_properties(void)
{
	struct buf		 b = BUF_INIT, v = BUF_INIT;
	struct schema		*s;
	struct json_object	*obj;
	struct schema_report	 rep;
	unsigned		 i, n = 200;
	char			 key[16];

	(void)buf_puts(&b, "{'additionalProperties':false,'required':[");
	for (i = 0; i < n; i++)
		(void)buf_printf(&b, "%s'k%u'", i ? "," : "", i);
	(void)buf_puts(&b, "],'properties':{");
	for (i = 0; i < n; i++)
		(void)buf_printf(&b, "%s'k%u':{'type':'integer'}",
		    i ? "," : "", i);
	(void)buf_puts(&b, "}}");
	(void)buf_putc(&b, '\0');
	(void)buf_puts(&v, "{");
	for (i = 0; i < n; i++)
		(void)buf_printf(&v, "%s'k%u':%u", i ? "," : "", i, i);
	(void)buf_puts(&v, "}");
	(void)buf_putc(&v, '\0');
	s = compile(b.data);
	obj = parse(v.data);
	CU_ASSERT_EQUAL(schema_check(s, obj, NULL), 0);
	for (i = 0; i < n; i++) {
		(void)snprintf(key, sizeof key, "k%u", i);
		json_object_object_del(obj, key);
		CU_ASSERT_EQUAL(schema_check(s, obj, NULL), -EBADMSG);
		CU_ASSERT_EQUAL(schema_check(s, obj, &rep), -EBADMSG);
		CU_ASSERT_EQUAL(rep.n_clauses, 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(rep.text, key));
		CU_ASSERT_EQUAL(json_add_int(obj, key, 1), 0);
	}
	CU_ASSERT_EQUAL(schema_check(s, obj, NULL), 0);
	json_object_put(obj);
	(void)schema_free(s);
	buf_fini(&b);
	buf_fini(&v);
}

static void
unique_items_of_every_size(void)
{
	struct schema		*s = compile("{'uniqueItems':true}");
	struct json_object	*arr, *item;
	int			 i, n;

	for (n = 2; n < 40; n++) {
		arr = json_object_new_array();
		for (i = 0; i < n; i++) {
			item = json_object_new_object();
			CU_ASSERT_EQUAL(json_add_int(item, "a", i), 0);
			CU_ASSERT_EQUAL(json_add_str(item, "b", "x"), 0);
			CU_ASSERT_EQUAL(json_push(arr, item), 0);
		}
		CU_ASSERT_EQUAL(schema_check(s, arr, NULL), 0);
		/*
		 * The same as the first: members in another order, 0.0 for 0.
		 */
		item = json_object_new_object();
		CU_ASSERT_EQUAL(json_add_str(item, "b", "x"), 0);
		CU_ASSERT_EQUAL(json_add_double(item, "a", 0.0), 0);
		CU_ASSERT_EQUAL(json_push(arr, item), 0);
		CU_ASSERT_EQUAL(schema_check(s, arr, NULL), -EBADMSG);
		json_object_put(arr);
	}
	(void)schema_free(s);
}

static void
bad_schemas_are_refused_with_their_place(void)
{
	refuses("{'properties':{'a':{'type':'strin'}}}", -EINVAL,
	    "/properties/a: an unknown type");
	refuses("{'minLength':-1}", -EINVAL, "minLength");
	refuses("{'maxItems':1.5}", -EINVAL, "maxItems");
	refuses("{'required':[1]}", -EINVAL, "required");
	refuses("{'enum':{}}", -EINVAL, "enum");
	refuses("{'multipleOf':0}", -EINVAL, "multipleOf");
	refuses("{'pattern':'('}", -EINVAL, "pattern");
	refuses("{'items':[{'anyOf':[{},{'not':1}]}]}", -EINVAL,
	    "/items/0/anyOf/1/not: no schema");
	refuses("{'allOf':[]}", -EINVAL, "allOf");
	refuses("{'properties':[]}", -EINVAL, "properties");
	refuses("{'uniqueItems':'yes'}", -EINVAL, "uniqueItems");
	refuses("{'$ref':'http://elsewhere.example/x'}", -EINVAL,
	    "is not in this document");
	refuses("{'$ref':'#/definitions/none'}", -EINVAL,
	    "is not in this document");
	refuses("{'$ref':'#none'}", -EINVAL, "is not in this document");
	refuses("{'$ref':5}", -EINVAL, "$ref");
	refuses("5", -EINVAL, "no schema");
}

static void
schemas_without_end_are_refused(void)
{
	struct buf	 b = BUF_INIT;
	unsigned	 i;

	refuses("{'$ref':'#'}", -EINVAL, "$ref");
	refuses("{'definitions':{'a':{'$ref':'#/definitions/b'},'b':"
	    "{'$ref':'#/definitions/a'}},'$ref':'#/definitions/a'}", -EINVAL,
	    "$ref");
	refuses("{'allOf':[{'$ref':'#'}]}", -EINVAL, "without end");
	refuses("{'anyOf':[{'not':{'$ref':'#'}},true]}", -EINVAL,
	    "without end");
	refuses("{'dependencies':{'a':{'$ref':'#'}}}", -EINVAL, "without end");
	/* Through a part of the value it is a list or a tree. */
	CU_ASSERT(is_valid("{'items':{'$ref':'#'},'type':'array'}",
	    "[[],[[]]]"));
	CU_ASSERT(!is_valid("{'items':{'$ref':'#'},'type':'array'}",
	    "[[],[1]]"));
	/* AB-014: depth of a document, and a long chain of references. */
	for (i = 0; i < SCHEMA_DEPTH_MAX + 1; i++)
		(void)buf_puts(&b, "{'not':");
	(void)buf_puts(&b, "true");
	for (i = 0; i < SCHEMA_DEPTH_MAX + 1; i++)
		(void)buf_puts(&b, "}");
	(void)buf_putc(&b, '\0');
	refuses(b.data, -EINVAL, "nested too deep");
	buf_reset(&b);
	(void)buf_puts(&b, "{'items':{'$ref':'#/definitions/0'},"
	    "'definitions':{");
	for (i = 0; i < 5000; i++)
		(void)buf_printf(&b, "'%u':{'items':{'$ref':'#/definitions/%u'}"
		    "},", i, i + 1);
	(void)buf_printf(&b, "'%u':{'type':'null'}}}", i);
	(void)buf_putc(&b, '\0');
	CU_ASSERT(is_valid(b.data, "[[[]]]"));
	buf_fini(&b);
}

static void
pointer_selects_a_part(void)
{
	struct json_object	*doc, *v;
	struct schema		*s = NULL;

	doc = parse("{'definitions':{'a/b':{'$ref':'#/definitions/n'},"
	    "'n':{'type':'null'}}}");
	CU_ASSERT_EQUAL(schema_compile(doc, "/definitions/a~1b", &s, NULL), 0);
	v = parse("1");
	CU_ASSERT_EQUAL(schema_check(s, NULL, NULL), 0);
	CU_ASSERT_EQUAL(schema_check(s, v, NULL), -EBADMSG);
	json_object_put(v);
	s = schema_free(s);
	CU_ASSERT_EQUAL(schema_compile(doc, "/definitions/x", &s, NULL),
	    -ENOENT);
	CU_ASSERT_EQUAL(schema_compile(doc, "definitions", &s, NULL), -ENOENT);
	CU_ASSERT_EQUAL(schema_compile(doc, NULL, &s, NULL), 0);
	(void)schema_free(s);
	json_object_put(doc);
}

/* A pattern of C text against a value; -1: not compiled. */
static int
matches(const char *pattern, const char *s, size_t len)
{
	struct pattern	*p;
	int		 r;

	if (pattern_get(pattern, strlen(pattern), &p, NULL) < 0)
		return (-1);
	r = pattern_match(p, s, len);
	(void)pattern_put(p);
	return (r);
}

#define MATCHES(p, s)	matches((p), (s), sizeof(s) - 1)

static void
patterns_mean_what_ecma_says(void)
{
	CU_ASSERT_EQUAL(MATCHES("^[a-z]+$", "abc\n"), 0);
	CU_ASSERT_EQUAL(MATCHES("^[a-z]+$", "abc"), 1);
	CU_ASSERT_EQUAL(MATCHES("b", "abc"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\d$", "\xd9\xa1"), 0);
	CU_ASSERT_EQUAL(MATCHES("^\\D$", "\xd9\xa1"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\w$", "\xc3\xa9"), 0);
	CU_ASSERT_EQUAL(MATCHES("^\\W$", "\xc3\xa9"), 1);
	CU_ASSERT_EQUAL(MATCHES("^[\\W]$", "["), 1);
	CU_ASSERT_EQUAL(MATCHES("^[\\W]$", "_"), 0);
	CU_ASSERT_EQUAL(MATCHES("^\\s$", "\xc2\xa0"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\s$", "\xef\xbb\xbf"), 1);
	CU_ASSERT_EQUAL(MATCHES("^[\\s]$", "\xe2\x80\xa8"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\s$", "\xc2\x85"), 0);
	CU_ASSERT_EQUAL(MATCHES("^[^\\S]$", "\t"), 1);
	CU_ASSERT_EQUAL(MATCHES("\\S", " \xc2\xa0\t"), 0);
	CU_ASSERT_EQUAL(MATCHES("\\S", " \xc2\xa0x"), 1);
	CU_ASSERT_EQUAL(MATCHES("\\S", "x"), 1);
	CU_ASSERT_EQUAL(MATCHES("\\S", ""), 0);
	CU_ASSERT_EQUAL(MATCHES("^.$", "\n"), 0);
	CU_ASSERT_EQUAL(MATCHES("^.$", "\xe2\x80\xa9"), 0);
	CU_ASSERT_EQUAL(MATCHES("^.$", "\xf0\x9f\x98\x80"), 1);
	CU_ASSERT_EQUAL(MATCHES("^.*$", "any thing"), 1);
	CU_ASSERT_EQUAL(MATCHES("^.*$", "two\nlines"), 0);
	CU_ASSERT_EQUAL(MATCHES("^.*$", "caf\xc3\xa9"), 1);
	CU_ASSERT_EQUAL(MATCHES("^.*$", ""), 1);
	CU_ASSERT_EQUAL(MATCHES("", "x"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\cA$", "\x01"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\v$", "\v"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\v$", "\n"), 0);
	CU_ASSERT_EQUAL(MATCHES("^\\0$", "\0"), 1);
	CU_ASSERT_EQUAL(MATCHES("^[\\b]$", "\b"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\x41\\u0042\\u{43}$", "ABC"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\ud83d\\ude00$", "\xf0\x9f\x98\x80"), 1);
	CU_ASSERT_EQUAL(MATCHES("^(?:[^\\uD800-\\uDFFF]|[\\uD800-\\uDBFF]"
	    "[\\uDC00-\\uDFFF])+$", "a\xf0\x9f\x98\x80z"), 1);
	CU_ASSERT_EQUAL(MATCHES("^[[:alpha:]]$", "a"), -1);	/* a bare ] */
	CU_ASSERT_EQUAL(MATCHES("^[[:alp]$", "["), 1);
	CU_ASSERT_EQUAL(MATCHES("^[\\w.-]+$", "a-b.c_d"), 1);
	CU_ASSERT_EQUAL(MATCHES("[]", "a"), 0);
	CU_ASSERT_EQUAL(MATCHES("[^]", "\n"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\p{Letter}\\p{Lu}\\P{L}$",
	    "\xc3\xa9\xc3\x89" "1"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\p{Script=Greek}$", "\xce\xb1"), 1);
	CU_ASSERT_EQUAL(MATCHES("^(a)?\\1$", ""), 1);
	CU_ASSERT_EQUAL(MATCHES("^(?<x>a)\\k<x>$", "aa"), 1);
	CU_ASSERT_EQUAL(MATCHES("^(?!x)(?=a)a(?<=a)(?<!b)$", "a"), 1);
	CU_ASSERT_EQUAL(MATCHES("caf\\b", "caf\xc3\xa9"), 1);
	CU_ASSERT_EQUAL(MATCHES("^a{2}b{1,}?c{0,3}$", "aabbc"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\xe2\x82\xac+[\xc3\xa9\xf0\x9f\x98\x80]$",
	    "\xe2\x82\xac\xe2\x82\xac\xf0\x9f\x98\x80"), 1);
	CU_ASSERT_EQUAL(MATCHES("^\\/\\-\\.\\$$", "/-.$"), 1);
}

static void
patterns_that_only_pcre_knows_are_refused(void)
{
	static const char *const bad[] = {
		"(*UTF)a", "(*ACCEPT)", "(?i)a", "(?#x)", "(?>a)", "(?R)", "(?1)",
		"(?|a|b)", "(?P<n>a)", "(?'n'a)", "a++", "a*+", "a?+", "a{2}+",
		"a**", "\\Aa", "a\\Z", "a\\z", "\\Ga", "\\Qa\\E", "\\K", "\\R",
		"\\X", "\\h", "\\H", "\\N", "\\e", "\\a", "\\g1", "\\C", "\\x4",
		"\\u00", "\\u{110000}", "\\u{}", "\\u{", "\\01", "\\c1", "\\p",
		"\\p{", "\\p{}", "\\p{No_Such}", "\\k", "\\k<", "[a", "[z-a]",
		"[\\d-z]", "[a-\\d]", "a{", "a{,2}", "{1}", "}", "]", "*", "(", ")",
		"\\", "[\\", "\xff", "(?<=a+)b", "[\\Qa]", "\\2(a)",
	};
	size_t	 i;
	int	 r;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		r = matches(bad[i], "a", 1);
		if (r != -1)
			(void)printf("taken: %s\n", bad[i]);
		CU_ASSERT_EQUAL(r, -1);
	}
}

static void
pattern_limits_end_in_invalid(void)
{
	static const char	 evil[] =
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
	char			 text[SCHEMA_PATTERN_MAX + 2];
	struct pattern		*p;
	struct schema		*s;
	struct json_object	*v;
	struct schema_report	 rep;

	CU_ASSERT_EQUAL(MATCHES("^(a+)+$", evil), -E2BIG);
	CU_ASSERT_EQUAL(matches("^a$", "\xff", 1), -EBADMSG);
	s = compile("{'pattern':'^(a+)+$'}");
	v = json_object_new_string(evil);
	CU_ASSERT_EQUAL(schema_check(s, v, &rep), -EBADMSG);
	CU_ASSERT(rep.is_limit);
	CU_ASSERT_STRING_EQUAL(rep.text, "must match pattern \"^(a+)+$\"");
	(void)schema_free(s);
	/* A limit is no way around a `not`. */
	s = compile("{'not':{'pattern':'^(a+)+$'}}");
	CU_ASSERT_EQUAL(schema_check(s, v, NULL), -EBADMSG);
	CU_ASSERT_EQUAL(schema_check(s, v, &rep), -EBADMSG);
	CU_ASSERT(rep.is_limit && rep.n_clauses == 1);
	(void)schema_free(s);
	json_object_put(v);

	memset(text, 'a', sizeof text);
	CU_ASSERT_EQUAL(pattern_get(text, SCHEMA_PATTERN_MAX, &p, NULL), 0);
	(void)pattern_put(p);
	CU_ASSERT_EQUAL(pattern_get(text, SCHEMA_PATTERN_MAX + 1, &p, NULL),
	    -EINVAL);
}

static void
equal_patterns_are_one(void)
{
	struct pattern	*a, *b;

	CU_ASSERT_EQUAL(pattern_get("^x$", 3, &a, NULL), 0);
	CU_ASSERT_EQUAL(pattern_get("^x$", 3, &b, NULL), 0);
	CU_ASSERT_PTR_EQUAL(a, b);
	a = pattern_put(a);
	CU_ASSERT_EQUAL(pattern_match(b, "x", 1), 1);
	b = pattern_put(b);
	CU_ASSERT(a == NULL && b == NULL && pattern_put(NULL) == NULL);
}

static void
defaults_are_filled_in_depth(void)
{
	struct schema		*s;
	struct json_object	*v, *want;

	s = compile("{'properties':{'port':{'default':18789},"
	    "'bind':{'type':'string','default':'loopback'},"
	    "'tls':{'default':{},'properties':{'on':{'default':false},"
	    "'list':{'default':[1,{'a':null}]}}},"
	    "'none':{'properties':{'x':{'default':1}}},"
	    "'nil':{'default':null}},"
	    "'additionalProperties':{'properties':{'y':{'default':2}}},"
	    "'patternProperties':{'^p-':{'properties':{'z':{'default':3}}}},"
	    "'allOf':[{'properties':{'extra':{'default':true}}}]}");
	v = parse("{'port':1,'other':{},'p-a':{},'rows':{'y':5}}");
	CU_ASSERT_EQUAL(schema_fill_defaults(s, v), 0);
	want = parse("{'port':1,'bind':'loopback','tls':{'on':false,"
	    "'list':[1,{'a':null}]},'nil':null,'extra':true,"
	    "'other':{'y':2},'p-a':{'z':3},'rows':{'y':5}}");
	CU_ASSERT(json_equal(v, want));
	/* Filled means filled. */
	CU_ASSERT_EQUAL(schema_fill_defaults(s, v), 0);
	CU_ASSERT(json_equal(v, want));
	json_object_put(v);
	json_object_put(want);
	(void)schema_free(s);

	s = compile("{'items':{'properties':{'a':{'default':'x'}}}}");
	v = parse("[{},1,{'a':'y'}]");
	want = parse("[{'a':'x'},1,{'a':'y'}]");
	CU_ASSERT_EQUAL(schema_fill_defaults(s, v), 0);
	CU_ASSERT(json_equal(v, want));
	json_object_put(v);
	json_object_put(want);
	(void)schema_free(s);

	/* Each level would add two more. */
	s = compile("{'properties':{'l':{'$ref':'#/definitions/n','default':{}},"
	    "'r':{'$ref':'#/definitions/n','default':{}}},'definitions':{'n':"
	    "{'properties':{'l':{'allOf':[{'$ref':'#/definitions/n'}],"
	    "'default':{}},'r':{'allOf':[{'$ref':'#/definitions/n'}],"
	    "'default':{}}}}}}");
	v = parse("{}");
	CU_ASSERT_EQUAL(schema_fill_defaults(s, v), -ELOOP);
	json_object_put(v);
	(void)schema_free(s);
}

struct job {
	const struct schema	*s;
	unsigned		 n_bad;
};

static void *
check_much(void *arg)
{
	struct job		*job = arg;
	struct json_object	*good, *bad;
	struct schema_report	 rep;
	unsigned		 i;

	good = parse("{'a':'0123','b':[1,2,3]}");
	bad = parse("{'a':'012x','b':[1,2,2]}");
	for (i = 0; i < 500; i++) {
		job->n_bad += schema_check(job->s, good, NULL) != 0;
		job->n_bad += schema_check(job->s, bad, &rep) != -EBADMSG;
		job->n_bad += rep.n_clauses != 2;
	}
	json_object_put(good);
	json_object_put(bad);
	return (NULL);
}

static void
threads_share_a_schema(void)
{
	struct schema	*s = compile("{'properties':{'a':{'pattern':'^\\\\d+$'},"
	    "'b':{'uniqueItems':true}}}");
	struct job	 jobs[4];
	pthread_t	 threads[4];
	size_t		 i;

	for (i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = (struct job){ s, 0 };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL,
		    check_much, &jobs[i]), 0);
	}
	for (i = 0; i < ARRAY_LEN(jobs); i++) {
		(void)pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(jobs[i].n_bad, 0);
	}
	(void)schema_free(s);
}

static void
uris_resolve_as_rfc_3986_says(void)
{
	static const char	 base[] = "http://a/b/c/d;p?q";
	static const char *const cases[][2] = {
		{ "g:h", "g:h" }, { "g", "http://a/b/c/g" },
		{ "./g", "http://a/b/c/g" }, { "g/", "http://a/b/c/g/" },
		{ "/g", "http://a/g" }, { "//g", "http://g" },
		{ "?y", "http://a/b/c/d;p?y" }, { "g?y", "http://a/b/c/g?y" },
		{ "#s", "http://a/b/c/d;p?q" }, { "g#s", "http://a/b/c/g" },
		{ ";x", "http://a/b/c/;x" }, { "", "http://a/b/c/d;p?q" },
		{ ".", "http://a/b/c/" }, { "./", "http://a/b/c/" },
		{ "..", "http://a/b/" }, { "../", "http://a/b/" },
		{ "../g", "http://a/b/g" }, { "../..", "http://a/" },
		{ "../../g", "http://a/g" }, { "../../../g", "http://a/g" },
		{ "/./g", "http://a/g" }, { "/../g", "http://a/g" },
		{ "g.", "http://a/b/c/g." }, { "..g", "http://a/b/c/..g" },
		{ "./../g", "http://a/b/g" }, { "./g/.", "http://a/b/c/g/" },
		{ "g/./h", "http://a/b/c/g/h" }, { "g/../h", "http://a/b/c/h" },
		{ "g?y/./x", "http://a/b/c/g?y/./x" },
	};
	struct buf	 b = BUF_INIT;
	size_t		 i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		buf_reset(&b);
		CU_ASSERT_EQUAL(uri_resolve(base, cases[i][0],
		    strlen(cases[i][0]), &b), 0);
		(void)buf_putc(&b, '\0');
		CU_ASSERT_STRING_EQUAL(b.data, cases[i][1]);
	}
	buf_fini(&b);
}

static const struct cu_case cases[] = {
	CU_CASE(report_has_the_documented_clauses),
	CU_CASE(report_has_a_clause_for_every_keyword),
	CU_CASE(report_tells_the_paths),
	CU_CASE(report_is_bounded_and_escaped),
	CU_CASE(lengths_are_code_points),
	CU_CASE(format_is_an_annotation),
	CU_CASE(any_of_strings_becomes_one_set),
	CU_CASE(more_than_64_required_and_many_properties),
	CU_CASE(unique_items_of_every_size),
	CU_CASE(bad_schemas_are_refused_with_their_place),
	CU_CASE(schemas_without_end_are_refused),
	CU_CASE(pointer_selects_a_part),
	CU_CASE(patterns_mean_what_ecma_says),
	CU_CASE(patterns_that_only_pcre_knows_are_refused),
	CU_CASE(pattern_limits_end_in_invalid),
	CU_CASE(equal_patterns_are_one),
	CU_CASE(defaults_are_filled_in_depth),
	CU_CASE(threads_share_a_schema),
	CU_CASE(uris_resolve_as_rfc_3986_says),
	CU_END
};

CU_MAIN("schema", cases)
