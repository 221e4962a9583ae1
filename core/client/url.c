/* SPDX-License-Identifier: MIT */
#include "core/client/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Anything that could end a line or a request line stays out. */
static bool
is_clean(const char *s, size_t len)
{
	size_t	 i;

	for (i = 0; i < len; i++) {
		if ((unsigned char)s[i] <= 0x20 ||
		    (unsigned char)s[i] >= 0x7f)
			return (false);
	}
	return (true);
}

static int
port_parse(const char *s, size_t len, unsigned long *ret)
{
	size_t	 i;

	if (len == 0 || len > 5)
		return (-EINVAL);
	for (*ret = 0, i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return (-EINVAL);
		*ret = *ret * 10 + (unsigned long)(s[i] - '0');
	}
	return (*ret >= 1 && *ret <= 65535 ? 0 : -EINVAL);
}

int
url_parse(const char *text, struct url *ret)
{
	struct url	 u = { .is_tls = false };
	const char	*p, *host, *end, *stop;
	unsigned long	 port;
	size_t		 host_len, len = strlen(text);
	bool		 is_v6;

	if (len > URL_MAX || !is_clean(text, len))
		return (-EINVAL);
	if (strncasecmp(text, "ws://", 5) == 0) {
		p = text + 5;
	} else if (strncasecmp(text, "wss://", 6) == 0) {
		p = text + 6;
		u.is_tls = true;
	} else {
		return (-EINVAL);
	}
	stop = p + strcspn(p, "/?#");
	if (*stop == '#' || memchr(p, '@', (size_t)(stop - p)) != NULL)
		return (-EINVAL);

	host = p;
	is_v6 = *host == '[';
	if (is_v6) {
		host++;
		end = memchr(host, ']', (size_t)(stop - host));
		if (end == NULL)
			return (-EINVAL);
		host_len = (size_t)(end - host);
		end++;
	} else {
		end = memchr(host, ':', (size_t)(stop - host));
		if (end == NULL)
			end = stop;
		host_len = (size_t)(end - host);
	}
	if (host_len == 0 || host_len > URL_HOST_MAX)
		return (-EINVAL);
	port = u.is_tls ? 443 : 80;
	if (end < stop && (*end != ':' ||
	    port_parse(end + 1, (size_t)(stop - end) - 1, &port) < 0))
		return (-EINVAL);

	memcpy(u.host, host, host_len);
	u.host[host_len] = '\0';
	(void)snprintf(u.port, sizeof u.port, "%lu", port);
	u.authority = strndup(p, (size_t)(stop - p));
	if (asprintf(&u.target, "%s%.*s", *stop == '/' ? "" : "/",
	    (int)strcspn(stop, "#"), stop) < 0)
		u.target = NULL;
	if (u.authority == NULL || u.target == NULL) {
		url_fini(&u);
		return (-ENOMEM);
	}
	*ret = u;
	return (0);
}

static bool
is_private_v4(const unsigned char *b)
{
	return (b[0] == 127 || b[0] == 10 || (b[0] == 172 && b[1] >> 4 == 1) ||
	    (b[0] == 192 && b[1] == 168) || (b[0] == 169 && b[1] == 254) ||
	    (b[0] == 100 && b[1] >> 6 == 1));
}

static bool
ends_in(const char *s, const char *end)
{
	size_t	 len = strlen(s), n = strlen(end);

	return (len > n && strcasecmp(s + len - n, end) == 0);
}

bool
url_is_guarded(const struct url *u)
{
	struct in6_addr	 a;
	struct in_addr	 v4;

	if (u->is_tls || strcasecmp(u->host, "localhost") == 0 ||
	    ends_in(u->host, ".local") || ends_in(u->host, ".ts.net"))
		return (true);
	if (inet_pton(AF_INET, u->host, &v4) == 1)
		return (is_private_v4((const unsigned char *)&v4));
	if (inet_pton(AF_INET6, u->host, &a) != 1)
		return (false);
	if (IN6_IS_ADDR_V4MAPPED(&a))
		return (is_private_v4(a.s6_addr + 12));
	return (IN6_IS_ADDR_LOOPBACK(&a) || IN6_IS_ADDR_LINKLOCAL(&a) ||
	    (a.s6_addr[0] & 0xfe) == 0xfc);
}

void
url_fini(struct url *u)
{
	free(u->authority);
	free(u->target);
	u->authority = u->target = NULL;
}
