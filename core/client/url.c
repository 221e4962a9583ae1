/* SPDX-License-Identifier: MIT */
#include "core/client/url.h"

#include <errno.h>
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

void
url_fini(struct url *u)
{
	free(u->authority);
	free(u->target);
	u->authority = u->target = NULL;
}
