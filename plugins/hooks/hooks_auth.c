/* SPDX-License-Identifier: MIT */
/*
 * Who may call: the token, and how often an address may be wrong. A right token
 * is let in whatever came before it, so that nobody can lock out another by
 * failing from behind the same address.
 */
#include "hooks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <gnutls/crypto.h>

/* Failures of one address; of an IPv6 network, the first 64 bits. */
struct failures {
	unsigned char	 address[16];
	uint32_t	 n;			/* 0: free */
	uint64_t	 times[HOOKS_LIMIT_TRIES];
	uint64_t	 locked_until;		/* 0: not */
};

static struct failures	*table;		/* HOOKS_LIMIT_MAX */

int
auth_start(void)
{
	table = calloc(HOOKS_LIMIT_MAX, sizeof *table);
	return (table == NULL ? -ENOMEM : 0);
}

void
auth_stop(void)
{
	free(table);
	table = NULL;
}

void
digest(const void *p, size_t len, unsigned char ret[HOOKS_DIGEST])
{
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, p, len, ret) < 0)
		abort();	/* never with this algorithm */
}

/* The digests are compared, so that neither length nor place shows. */
bool
secret_equal(const char *a, const char *b)
{
	unsigned char	 x[HOOKS_DIGEST], y[HOOKS_DIGEST];

	digest(a, strlen(a), x);
	digest(b, strlen(b), y);
	return (gnutls_memcmp(x, y, sizeof x) == 0);
}

char *
auth_given(struct chela_http_in *rq)
{
	const char	*s = hooks.routes->header(rq, "authorization");
	char		*token = NULL;

	if (s != NULL) {
		s += strspn(s, " \t");
		if (strncasecmp(s, "bearer ", 7) == 0)
			token = trimmed(s + 7);
	}
	if (token != NULL)
		return (token);
	s = hooks.routes->header(rq, "x-openclaw-token");
	return (s != NULL ? trimmed(s) : NULL);
}

static void
address_key(const char *text, unsigned char key[16])
{
	static const unsigned char	 mapped[12] = { [10] = 0xff,
		[11] = 0xff };

	memset(key, 0, 16);
	if (inet_pton(AF_INET, text, key + 12) == 1) {
		memcpy(key, mapped, sizeof mapped);
		return;
	}
	/* What is no address is one stranger. */
	memset(key, 0, 16);
	if (inet_pton(AF_INET6, text, key) == 1 &&
	    memcmp(key, mapped, sizeof mapped) != 0)
		memset(key + 8, 0, 8);
}

static struct failures *
find(const unsigned char key[16])
{
	uint64_t	 now = hooks.host->now_us();
	struct failures	*f;
	size_t		 i;

	for (i = 0; i < HOOKS_LIMIT_MAX; i++) {
		f = &table[i];
		if (f->n == 0 || memcmp(f->address, key, 16) != 0)
			continue;
		if (f->locked_until != 0 && f->locked_until <= now)
			f->n = 0;
		return (f->n == 0 ? NULL : f);
	}
	return (NULL);
}

static uint64_t
last_time(const struct failures *f)
{
	return (f->times[f->n - 1]);
}

/*
 * A place for a new address: a free one, one that is over, else the one that
 * has been quiet longest. Locked ones keep theirs. NULL: all are locked.
 */
static struct failures *
place(void)
{
	uint64_t	 now = hooks.host->now_us();
	struct failures	*best = NULL, *f;
	size_t		 i;

	for (i = 0; i < HOOKS_LIMIT_MAX; i++) {
		f = &table[i];
		if (f->n == 0 || (f->locked_until != 0 &&
		    f->locked_until <= now))
			return (f);
		if (f->locked_until == 0 && (best == NULL ||
		    last_time(f) < last_time(best)))
			best = f;
	}
	return (best);
}

uint64_t
limit_check(const char *address)
{
	unsigned char	 key[16];
	uint64_t	 now = hooks.host->now_us(), us = 0;
	struct failures	*f;

	address_key(address, key);
	f = find(key);
	if (f != NULL && f->locked_until > now)
		us = f->locked_until - now;
	else if (f == NULL && place() == NULL)
		us = HOOKS_LIMIT_US;	/* nobody new, while all are locked */
	return ((us + 999999) / 1000000);
}

void
limit_failed(const char *address)
{
	unsigned char	 key[16];
	uint64_t	 now = hooks.host->now_us();
	struct failures	*f;
	uint32_t	 n_old = 0;

	address_key(address, key);
	f = find(key);
	if (f == NULL) {
		f = place();
		if (f == NULL)
			return;
		memset(f, 0, sizeof *f);
		memcpy(f->address, key, 16);
	}
	while (n_old < f->n && f->times[n_old] + HOOKS_LIMIT_US <= now)
		n_old++;
	f->n -= n_old;
	memmove(f->times, f->times + n_old, f->n * sizeof f->times[0]);
	f->times[f->n++] = now;
	if (f->n == HOOKS_LIMIT_TRIES)
		f->locked_until = now + HOOKS_LIMIT_US;
}

void
limit_reset(const char *address)
{
	unsigned char	 key[16];
	struct failures	*f;

	address_key(address, key);
	f = find(key);
	if (f != NULL)
		f->n = 0;
}
