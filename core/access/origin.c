/* SPDX-License-Identifier: MIT */
#include "core/access/origin.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ORIGIN_MAX	512

struct origin {
	char	text[ORIGIN_MAX];	/* whole, lower case */
	char	hostport[ORIGIN_MAX];	/* "host:port", as it stands */
	char	host[ORIGIN_MAX];	/* without port and brackets */
};

/* Host without port and brackets. */
static bool
host_only(const char *hostport, char *out, size_t size)
{
	const char	*end;
	size_t		 len;

	if (*hostport == '[') {
		hostport++;
		end = strchr(hostport, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return (false);
	} else {
		end = strchr(hostport, ':');
		if (end == NULL)
			end = hostport + strlen(hostport);
		else if (strchr(end + 1, ':') != NULL)
			return (false);
	}
	len = (size_t)(end - hostport);
	if (len == 0 || len >= size)
		return (false);
	memcpy(out, hostport, len);
	out[len] = '\0';
	return (true);
}

/* scheme://host[:port] and nothing else (RFC 6454 section 6.1). */
static bool
origin_parse(const char *s, struct origin *o)
{
	const char	*p;
	size_t		 i, len = strlen(s);

	if (len >= sizeof o->text)
		return (false);
	for (i = 0; i <= len; i++)
		o->text[i] = (char)tolower((unsigned char)s[i]);
	p = strstr(o->text, "://");
	if (p == NULL || p == o->text)
		return (false);
	for (i = 0; o->text + i < p; i++) {
		if (!isalnum((unsigned char)o->text[i]) &&
		    strchr("+-.", o->text[i]) == NULL)
			return (false);
	}
	p += 3;
	if (*p == '\0' || strpbrk(p, "/?#@\\ \t,") != NULL)
		return (false);
	(void)snprintf(o->hostport, sizeof o->hostport, "%s", p);
	return (host_only(p, o->host, sizeof o->host));
}

static bool
host_is_loopback(const char *host)
{
	struct in_addr	 in;
	struct in6_addr	 in6;

	if (strcasecmp(host, "localhost") == 0)
		return (true);
	if (inet_pton(AF_INET, host, &in) == 1)
		return ((ntohl(in.s_addr) >> 24) == 127);
	return (inet_pton(AF_INET6, host, &in6) == 1 &&
	    IN6_IS_ADDR_LOOPBACK(&in6));
}

static bool
has_suffix(const char *s, const char *suffix)
{
	size_t	 n = strlen(s), m = strlen(suffix);

	return (n > m && strcasecmp(s + n - m, suffix) == 0);
}

/* A literal of a private, link-local or shared network, or a local name. */
static bool
host_is_private(const char *host)
{
	struct in_addr	 in;
	struct in6_addr	 in6;
	uint32_t	 a;

	if (inet_pton(AF_INET, host, &in) == 1) {
		a = ntohl(in.s_addr);
		return ((a >> 24) == 10 || (a >> 20) == 0xac1 ||
		    (a >> 16) == 0xc0a8 || (a >> 16) == 0xa9fe ||
		    (a >> 22) == 0x191);	/* 100.64/10 */
	}
	if (inet_pton(AF_INET6, host, &in6) == 1)
		return ((in6.s6_addr[0] & 0xfe) == 0xfc ||
		    IN6_IS_ADDR_LINKLOCAL(&in6));
	return (has_suffix(host, ".local") || has_suffix(host, ".ts.net"));
}

const char *
origin_problem(const struct origin_rules *rules, const char *origin,
    const char *host, bool is_direct_local)
{
	struct origin	 o;
	bool		 is_same;
	size_t		 i;

	if (origin == NULL || !origin_parse(origin, &o))
		return ("origin missing or invalid");
	for (i = 0; i < rules->n_allowed; i++) {
		if (strcmp(rules->allowed[i], "*") == 0 ||
		    strcmp(rules->allowed[i], o.text) == 0)
			return (NULL);
	}
	is_same = host != NULL && strcasecmp(o.hostport, host) == 0;
	if (is_same && rules->has_host_fallback)
		return (NULL);
	if (is_same && ((host_is_loopback(o.host) && is_direct_local) ||
	    host_is_private(o.host)))
		return (NULL);
	if (is_direct_local && host_is_loopback(o.host))
		return (NULL);
	return ("origin not allowed");
}
