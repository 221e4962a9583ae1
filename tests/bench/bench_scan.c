/* SPDX-License-Identifier: MIT */
/*
 * How fast the scanner and the validator are on this machine:
 *
 *	bench_scan [SECONDS-EACH]
 *
 * Processor time, the best of several rounds; one line a text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/json/json.h"
#include "core/json/schema.h"

#define ROUNDS	5u

static const char request[] = "{\"type\":\"req\",\"id\":\"1:a35f0c12-77aa\","
    "\"method\":\"chat.history\",\"params\":{\"sessionKey\":\"agent:main:main\","
    "\"limit\":200,\"full\":true}}";

static const char schema[] = "{\"type\":\"object\",\"required\":[\"sessionKey\","
    "\"message\",\"idempotencyKey\"],\"properties\":{\"sessionKey\":{\"type\":"
    "\"string\",\"minLength\":1},\"message\":{\"type\":\"string\"},\"thinking\":"
    "{\"type\":\"string\"},\"deliver\":{\"type\":\"boolean\"},\"timeoutMs\":"
    "{\"type\":\"integer\",\"minimum\":0},\"idempotencyKey\":{\"type\":"
    "\"string\",\"minLength\":1},\"attachments\":{\"type\":\"array\"},\"fast\":"
    "{\"type\":\"boolean\"},\"mode\":{\"anyOf\":[{\"const\":\"a\"},{\"const\":"
    "\"b\"}]}},\"additionalProperties\":false}";

static const char value[] = "{\"sessionKey\":\"agent:main:main\",\"message\":"
    "\"hello there, how are you?\",\"thinking\":\"low\",\"deliver\":true,"
    "\"timeoutMs\":30000,\"idempotencyKey\":\"5b6c7d8e-1234-4abc-9def-0011\","
    "\"attachments\":[],\"fast\":true,\"mode\":\"b\"}";

static double
now(void)
{
	struct timespec	 t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return ((double)t.tv_sec + (double)t.tv_nsec / 1e9);
}

static void
run_scan(const char *name, const char *text, size_t len, bool is_utf8_known,
    double seconds)
{
	struct scan_limits	 lim = { 64, SIZE_MAX, is_utf8_known };
	struct scan_frame	 f;
	double			 best = 1e9, from, t;
	unsigned long		 i, n = 0;
	unsigned		 round;

	for (round = 0; round < ROUNDS; round++) {
		from = now();
		n = 0;
		do {
			for (i = 0; i < 1 + KIB(64) / (len + 1); i++, n++) {
				if (scan_frame(text, len, &lim, &f) < 0)
					abort();
			}
			t = now() - from;
		} while (t < seconds / ROUNDS);
		best = MIN_OF(best, t / (double)n);
	}
	(void)printf("scan %-22s %8zu bytes %10.0f ns %6.2f GB/s\n", name, len,
	    best * 1e9, (double)len / best / 1e9);
}

static void
run_check(double seconds)
{
	struct json_object	*doc = NULL, *v = NULL;
	struct schema		*s = NULL;
	double			 from, t;
	unsigned long		 i, n = 0;

	if (json_parse(schema, sizeof schema - 1, &doc) < 0 ||
	    json_parse(value, sizeof value - 1, &v) < 0 ||
	    schema_compile(doc, "", &s, NULL) < 0)
		abort();
	from = now();
	do {
		for (i = 0; i < 1000; i++, n++) {
			if (schema_check(s, v, NULL) < 0)
				abort();
		}
		t = now() - from;
	} while (t < seconds);
	(void)printf("check of nine members %34.0f ns\n",
	    t / (double)n * 1e9);
	(void)schema_free(s);
	json_object_put(doc);
	json_object_put(v);
}

/* A history of messages: n objects with a text each. */
static void
make_history(struct buf *b, const char *text)
{
	unsigned	 i;

	buf_reset(b);
	(void)buf_puts(b, "{\"type\":\"res\",\"id\":\"1\",\"ok\":true,\"payload\":"
	    "{\"messages\":[");
	for (i = 0; i < 200; i++)
		(void)buf_printf(b, "%s{\"role\":\"user\",\"seq\":%u,\"text\":\"%s\","
		    "\"ts\":1795342736256}", i == 0 ? "" : ",", i, text);
	(void)buf_puts(b, "]}}");
}

int
main(int argc, char **argv)
{
	double		 seconds = argc > 1 ? atof(argv[1]) : 1.0;
	struct buf	 b = BUF_INIT;

	run_scan("request", request, sizeof request - 1, true, seconds);
	make_history(&b, "ok");
	run_scan("history, short texts", b.data, b.len, true, seconds);
	make_history(&b, "It was a bright cold day in the harbour, and the "
	    "clocks on the quay were all wrong again. Could you look up when "
	    "the next tide is, and whether the small ferry goes on Sundays? "
	    "If it does not, find me another way over before noon, please.");
	run_scan("history", b.data, b.len, true, seconds);
	run_scan("history, UTF-8 checked", b.data, b.len, false, seconds);
	make_history(&b, "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 "
	    "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c \xf0\x9f\x98\x80");
	run_scan("foreign, UTF-8 known", b.data, b.len, true, seconds);
	run_scan("foreign, UTF-8 checked", b.data, b.len, false, seconds);
	run_check(seconds);
	buf_fini(&b);
	return (0);
}
