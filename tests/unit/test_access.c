/* SPDX-License-Identifier: MIT */
/* Limits of failures, whom a proxy speaks for, device keys and proofs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "core/access/device.h"
#include "core/access/limit.h"
#include "core/access/proxy.h"
#include "core/base/clock.h"
#include "tests/unit/cu.h"

/* --- limits --- */

#define WINDOW	SEC_US(60)
#define LOCKOUT	SEC_US(300)

static const struct limit_rules rules = { 10, WINDOW, LOCKOUT, 100 };

static bool
is_open(struct limit *l, const char *source)
{
	uint64_t	 wait;

	return (limit_check(l, LIMIT_SECRET, source, &wait) == 0);
}

/* AB-041, at -1, 0 and +1. */
static void
the_tenth_failure_locks_out(void)
{
	struct limit	*l = limit_new(&rules);
	uint64_t	 wait = 0;
	unsigned	 i;

	clock_fake(SEC_US(1000), 1);
	for (i = 1; i <= 9; i++)
		CU_ASSERT(limit_failed(l, LIMIT_SECRET, "a") == i);
	CU_ASSERT(is_open(l, "a"));
	CU_ASSERT(limit_failed(l, LIMIT_SECRET, "a") == 10);
	CU_ASSERT(limit_check(l, LIMIT_SECRET, "a", &wait) == -EDQUOT);
	CU_ASSERT(wait == LOCKOUT);
	/* Its own class and its own source. */
	CU_ASSERT(limit_check(l, LIMIT_DEVICE, "a", &wait) == 0);
	CU_ASSERT(is_open(l, "b"));
	clock_fake(SEC_US(1000) + LOCKOUT - 1, 1);
	CU_ASSERT(!is_open(l, "a"));
	clock_fake(SEC_US(1000) + LOCKOUT, 1);
	CU_ASSERT(is_open(l, "a"));
	CU_ASSERT(limit_failed(l, LIMIT_SECRET, "a") == 1);
	(void)limit_free(l);
	clock_fake(0, 0);
}

static void
the_window_slides_and_success_forgives(void)
{
	struct limit	*l = limit_new(&rules);
	unsigned	 i;

	/* One in every 8 s: never ten within 60. */
	for (i = 0; i < 100; i++) {
		clock_fake(SEC_US(1000) + i * SEC_US(8), 1);
		(void)limit_failed(l, LIMIT_SECRET, "slow");
		CU_ASSERT(is_open(l, "slow"));
	}
	/* One in every 5 s: ten within 60. */
	for (i = 0; i < 12; i++) {
		clock_fake(SEC_US(9000) + i * SEC_US(5), 1);
		(void)limit_failed(l, LIMIT_SECRET, "fast");
	}
	CU_ASSERT(!is_open(l, "fast"));
	for (i = 0; i < 9; i++)
		(void)limit_failed(l, LIMIT_SECRET, "good");
	limit_passed(l, LIMIT_SECRET, "good");
	CU_ASSERT(limit_failed(l, LIMIT_SECRET, "good") == 1);
	(void)limit_free(l);
	clock_fake(0, 0);
}

/* AB-044 */
static void
the_table_is_bounded_and_locks_stay(void)
{
	struct limit	*l = limit_new(&rules);
	uint64_t	 wait = 0;
	char		 source[32];
	unsigned	 i, k;

	clock_fake(SEC_US(1000), 1);
	for (i = 0; i < 10; i++)
		(void)limit_failed(l, LIMIT_SECRET, "locked");
	for (i = 0; i < 100000; i++) {
		(void)snprintf(source, sizeof source, "s%u", i);
		(void)limit_failed(l, LIMIT_SECRET, source);
	}
	CU_ASSERT(limit_len(l) == 100);
	CU_ASSERT(!is_open(l, "locked"));
	/* All places held by locks: nobody new is looked at. */
	for (i = 0; i < 100; i++) {
		(void)snprintf(source, sizeof source, "t%u", i);
		for (k = 0; k < 10; k++)
			(void)limit_failed(l, LIMIT_SECRET, source);
	}
	CU_ASSERT(limit_len(l) == 100);
	CU_ASSERT(limit_failed(l, LIMIT_SECRET, "new") == 10);
	CU_ASSERT(limit_check(l, LIMIT_SECRET, "other", &wait) == -EDQUOT);
	CU_ASSERT(wait == LOCKOUT);
	clock_fake(SEC_US(1000) + LOCKOUT, 1);
	CU_ASSERT(is_open(l, "other"));
	CU_ASSERT(limit_len(l) == 0);
	(void)limit_free(l);
	clock_fake(0, 0);
}

static void
sources_are_normalised(void)
{
	static const struct {
		const char *address, *source;
	} t[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::" },
		{ "2001:db8:1:2::ffff", "2001:db8:1:2::" },
		{ "", "unknown" },
		{ "nonsense", "unknown" },
	};
	char	 got[LIMIT_SOURCE_SIZE];
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		limit_source(t[i].address, got);
		CU_ASSERT_STRING_EQUAL(got, t[i].source);
	}
}

/* --- proxies --- */

/* Name, value, name, value, NULL. */
static const char *
list_get(const void *arg, const char *name)
{
	const char *const	*h = arg;

	for (; *h != NULL; h += 2) {
		if (strcmp(h[0], name) == 0)
			return (h[1]);
	}
	return (NULL);
}

static unsigned
list_count(const void *arg, const char *name)
{
	const char *const	*h = arg;
	unsigned		 n = 0;

	for (; *h != NULL; h += 2)
		n += strcmp(h[0], name) == 0;
	return (n);
}

static bool
list_next(const void *arg, unsigned *i, const char **ret_name,
    const char **ret_value)
{
	const char *const	*h = arg;

	if (h[*i] == NULL)
		return (false);
	*ret_name = h[*i];
	*ret_value = h[*i + 1];
	*i += 2;
	return (true);
}

static struct proxy_origin
from(const struct proxy_rules *r, const char *peer, bool is_serve,
    const char *const *headers)
{
	struct proxy_headers	 h = { list_get, list_count, list_next,
	    headers };
	struct proxy_origin	 o;

	proxy_attribute(r, peer, is_serve, &h, &o);
	return (o);
}

#define HEADERS(...)	((const char *const []){ __VA_ARGS__, NULL })
#define NO_HEADERS	((const char *const []){ NULL })

static void
networks_hold_what_they_say(void)
{
	static const char *const bad[] = { "", "10.0.0.0/33", "::/129", "x",
	    "10.0.0.0/", "10.0.0.0/8x", "10.0.0.0/-1", "1.2.3", "1.2.3.4/ 8" };
	struct proxy_nets	 n = { .n = 0 };
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		CU_ASSERT(proxy_net_add(&n, bad[i]) == -EINVAL);
	CU_ASSERT(proxy_net_add(&n, "10.0.0.0/8") == 0);
	CU_ASSERT(proxy_net_add(&n, "192.0.2.7") == 0);
	CU_ASSERT(proxy_net_add(&n, "2001:db8::/33") == 0);
	CU_ASSERT(proxy_net_has(&n, "10.255.0.1"));
	CU_ASSERT(proxy_net_has(&n, "::ffff:10.1.1.1"));
	CU_ASSERT(!proxy_net_has(&n, "11.0.0.1"));
	CU_ASSERT(proxy_net_has(&n, "192.0.2.7"));
	CU_ASSERT(!proxy_net_has(&n, "192.0.2.8"));
	CU_ASSERT(proxy_net_has(&n, "2001:db8:7fff::1"));
	CU_ASSERT(!proxy_net_has(&n, "2001:db8:8000::1"));
	while (n.n < PROXY_NETS_MAX)
		CU_ASSERT(proxy_net_add(&n, "::1") == 0);
	CU_ASSERT(proxy_net_add(&n, "::1") == -ENOSPC);
}

static void
who_it_is_depends_on_who_says_it(void)
{
	struct proxy_rules	 r = { .has_real_ip = false };
	struct proxy_origin	 o;

	CU_ASSERT(proxy_net_add(&r.trusted, "10.0.0.1") == 0);
	CU_ASSERT(from(&r, "127.0.0.1", false, NO_HEADERS).kind ==
	    PROXY_DIRECT_LOCAL);
	CU_ASSERT(from(&r, "::1", false, NO_HEADERS).kind ==
	    PROXY_DIRECT_LOCAL);
	CU_ASSERT(from(&r, "192.0.2.1", false, NO_HEADERS).kind ==
	    PROXY_DIRECT_REMOTE);
	CU_ASSERT(from(&r, "127.0.0.1", false, HEADERS("x-forwarded-port",
	    "1")).kind == PROXY_UNKNOWN);
	o = from(&r, "10.0.0.1", false, HEADERS("x-forwarded-for",
	    "1.1.1.1, 2.2.2.2"));
	CU_ASSERT(o.kind == PROXY_TRUSTED);
	CU_ASSERT_STRING_EQUAL(o.client, "2.2.2.2");
	/* Fields in the order in which they came. */
	o = from(&r, "10.0.0.1", false, HEADERS("x-forwarded-for", "1.1.1.1",
	    "x-forwarded-for", "10.0.0.1"));
	CU_ASSERT_STRING_EQUAL(o.client, "1.1.1.1");
	/* A real IP only where that is allowed, and never loopback. */
	CU_ASSERT(from(&r, "10.0.0.1", false, HEADERS("x-real-ip",
	    "3.3.3.3")).kind == PROXY_UNKNOWN);
	r.has_real_ip = true;
	o = from(&r, "10.0.0.1", false, HEADERS("x-real-ip", "3.3.3.3"));
	CU_ASSERT(o.kind == PROXY_TRUSTED);
	CU_ASSERT_STRING_EQUAL(o.client, "3.3.3.3");
	CU_ASSERT(from(&r, "10.0.0.1", false, HEADERS("x-real-ip",
	    "127.0.0.1")).kind == PROXY_UNKNOWN);
	CU_ASSERT(from(&r, "10.0.0.1", false, HEADERS("x-forwarded-for", "bad",
	    "x-real-ip", "3.3.3.3")).kind == PROXY_UNKNOWN);
	/* The tailnet's listener: never this machine. */
	CU_ASSERT(from(&r, "127.0.0.1", true, NO_HEADERS).kind ==
	    PROXY_UNKNOWN);
	o = from(&r, "127.0.0.1", true, HEADERS("x-forwarded-for",
	    "100.64.0.9", "x-forwarded-proto", "https", "x-forwarded-host",
	    "h"));
	CU_ASSERT(o.kind == PROXY_TAILSCALE);
	CU_ASSERT_STRING_EQUAL(o.client, "100.64.0.9");
}

/* AB-037: the order of the refusals. */
static void
a_proxy_speaks_for_users_when_all_is_right(void)
{
	struct proxy_users	 u = { .user_header = (char *)"x-user" };
	struct proxy_rules	 r = { .has_real_ip = false };
	const char *const	*sent = HEADERS("x-user", "ann");
	struct proxy_headers	 h = { list_get, list_count, list_next, sent };
	char			 buf[64];
	const char		*user = NULL;

#define REASON(peer)	proxy_user(&u, &r, peer, &h, buf, sizeof buf, &user)
	CU_ASSERT_STRING_EQUAL(REASON("10.0.0.1"),
	    "trusted_proxy_config_missing");
	u.is_set = true;
	CU_ASSERT_STRING_EQUAL(REASON("10.0.0.1"),
	    "trusted_proxy_no_proxies_configured");
	CU_ASSERT(proxy_net_add(&r.trusted, "198.51.100.1") == 0);
	CU_ASSERT(proxy_net_add(&r.trusted, "127.0.0.1") == 0);
	CU_ASSERT_STRING_EQUAL(REASON("10.0.0.1"),
	    "trusted_proxy_untrusted_source");
	CU_ASSERT_STRING_EQUAL(REASON("127.0.0.1"),
	    "trusted_proxy_loopback_source");
	u.required[0] = (char *)"x-sso";
	u.n_required = 1;
	CU_ASSERT_STRING_EQUAL(REASON("198.51.100.1"),
	    "trusted_proxy_missing_header_x-sso");
	u.n_required = 0;
	CU_ASSERT(REASON("198.51.100.1") == NULL);
	CU_ASSERT_STRING_EQUAL(user, "ann");
	u.allowed[0] = (char *)"bob";
	u.n_allowed = 1;
	CU_ASSERT_STRING_EQUAL(REASON("198.51.100.1"),
	    "trusted_proxy_user_not_allowed");
	u.allowed[0] = (char *)"ANN";
	CU_ASSERT(REASON("198.51.100.1") == NULL);
	u.allows_loopback = true;
	CU_ASSERT(REASON("127.0.0.1") == NULL);
	h.arg = HEADERS("x-user", "ann", "x-user", "bob");
	CU_ASSERT_STRING_EQUAL(REASON("198.51.100.1"),
	    "trusted_proxy_user_missing");
#undef REASON
}

/* --- devices --- */

static void
base64_has_one_text_for_a_value(void)
{
	static const char *const bad[] = { "A", "AAAAA", "A=", "A===", "=",
	    "AA==A", "AB", "AAB", "A A=", "AA=", "****" };
	unsigned char	 out[64];
	char		 text[96];
	size_t		 i, len;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		CU_ASSERT(base64_read(bad[i], out, sizeof out) == -EINVAL);
	CU_ASSERT(base64_read("", out, sizeof out) == 0);
	CU_ASSERT(base64_read("_-8", out, 2) == 2 && out[0] == 0xff &&
	    out[1] == 0xef);
	CU_ASSERT(base64_read("/+8=", out, 2) == 2 && out[0] == 0xff);
	CU_ASSERT(base64_read("AAAA", out, 2) == -EINVAL);
	for (len = 0; len <= 64; len++) {
		for (i = 0; i < len; i++)
			out[i] = (unsigned char)(i * 37 + len);
		base64url_write(text, out, len);
		memset(out, 0, sizeof out);
		CU_ASSERT(base64_read(text, out, sizeof out) == (int)len);
		for (i = 0; i < len; i++)
			CU_ASSERT(out[i] == (unsigned char)(i * 37 + len));
	}
}

static void
payloads_are_built_as_they_are_signed(void)
{
	struct device_proof	 d = { .id = "ID", .client_id = "cli",
	    .client_mode = "ui", .role = "operator", .scopes = "a,b",
	    .signed_at = 17, .token = "T", .nonce = "N",
	    .platform = "  LinuX\t", .device_family = NULL };
	struct buf		 out = BUF_INIT;

	CU_ASSERT(device_payload(&out, &d, 3) == 0);
	(void)buf_putc(&out, '\0');
	CU_ASSERT_STRING_EQUAL(out.data,
	    "v3|ID|cli|ui|operator|a,b|17|T|N|linux|");
	buf_reset(&out);
	CU_ASSERT(device_payload(&out, &d, 2) == 0);
	(void)buf_putc(&out, '\0');
	CU_ASSERT_STRING_EQUAL(out.data, "v2|ID|cli|ui|operator|a,b|17|T|N");
	buf_fini(&out);
}

/* The gateway's key signs; device_check() verifies what another one signed. */
static void
the_gateways_key_is_made_once_and_signs(void)
{
	char			 dir[] = "/tmp/chela-unit-XXXXXX";
	char			 path[64], sig_text[96], id[DEVICE_ID_SIZE];
	struct identity		*a, *b;
	struct buf		 why = BUF_INIT, text = BUF_INIT;
	struct stat		 st;
	unsigned char		 sig[DEVICE_SIG_LEN], key[DEVICE_KEY_LEN];
	struct device_proof	 d = { .client_id = "cli",
	    .client_mode = "cli", .role = "operator", .scopes = "",
	    .signed_at = 1000000, .nonce = " n1 " };

	CU_ASSERT_FATAL(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof path, "%s/identity.pem", dir);
	CU_ASSERT_FATAL(identity_load(dir, &a, &why) == 0);
	CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	CU_ASSERT_FATAL(identity_load(dir, &b, &why) == 0);
	CU_ASSERT_STRING_EQUAL(identity_id(a), identity_id(b));
	CU_ASSERT(device_key_parse(identity_key(a), key) == 0);
	CU_ASSERT(device_id(key, id) == 0);
	CU_ASSERT_STRING_EQUAL(id, identity_id(a));

	d.id = identity_id(a);
	d.public_key = identity_key(a);
	CU_ASSERT(device_payload(&text, &d, 3) == 0);
	CU_ASSERT(identity_sign(a, text.data, text.len, sig) == 0);
	base64url_write(sig_text, sig, sizeof sig);
	d.signature = sig_text;
	CU_ASSERT(device_check(&d, "n1", 1000000, key) == DEVICE_OK);
	CU_ASSERT(device_check(&d, "n1", 1120000, key) == DEVICE_OK);
	CU_ASSERT(device_check(&d, "n1", 1120001, key) == DEVICE_STALE);
	CU_ASSERT(device_check(&d, "n1", 880000, key) == DEVICE_OK);
	CU_ASSERT(device_check(&d, "n1", 879999, key) == DEVICE_STALE);
	CU_ASSERT(device_check(&d, "n2", 1000000, key) ==
	    DEVICE_NONCE_MISMATCH);
	d.token = "another";
	CU_ASSERT(device_check(&d, "n1", 1000000, key) == DEVICE_SIGNATURE);
	d.token = NULL;
	d.nonce = " ";
	CU_ASSERT(device_check(&d, "n1", 1000000, key) ==
	    DEVICE_NONCE_MISSING);
	(void)identity_free(b);

	/* Others may read it: not used. No key: not replaced. */
	CU_ASSERT(chmod(path, 0644) == 0);
	CU_ASSERT(identity_load(dir, &b, &why) == -EPERM && b == NULL);
	CU_ASSERT(truncate(path, 10) == 0);
	CU_ASSERT(identity_load(dir, &b, &why) == -EBADMSG);
	CU_ASSERT(stat(path, &st) == 0 && st.st_size == 10);
	(void)identity_free(a);
	buf_fini(&why);
	buf_fini(&text);
	(void)unlink(path);
	(void)rmdir(dir);
}

static const struct cu_case cases[] = {
	CU_CASE(the_tenth_failure_locks_out),
	CU_CASE(the_window_slides_and_success_forgives),
	CU_CASE(the_table_is_bounded_and_locks_stay),
	CU_CASE(sources_are_normalised),
	CU_CASE(networks_hold_what_they_say),
	CU_CASE(who_it_is_depends_on_who_says_it),
	CU_CASE(a_proxy_speaks_for_users_when_all_is_right),
	CU_CASE(base64_has_one_text_for_a_value),
	CU_CASE(payloads_are_built_as_they_are_signed),
	CU_CASE(the_gateways_key_is_made_once_and_signs),
	CU_END
};

CU_MAIN("access", cases)
