/* SPDX-License-Identifier: MIT */
#include "core/access/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define V4_BITS		96	/* before the IPv4 part of a mapped address */

/* Any address as 128 bits. */
static bool
addr_parse(const char *text, struct in6_addr *ret)
{
	struct in_addr	 in;

	if (inet_pton(AF_INET, text, &in) == 1) {
		memset(ret, 0, 10);
		memset(ret->s6_addr + 10, 0xff, 2);
		memcpy(ret->s6_addr + 12, &in, 4);
		return (true);
	}
	return (inet_pton(AF_INET6, text, ret) == 1);
}

static void
addr_text(const struct in6_addr *a, char out[PROXY_ADDRESS_SIZE])
{
	if (IN6_IS_ADDR_V4MAPPED(a))
		(void)inet_ntop(AF_INET, a->s6_addr + 12, out,
		    PROXY_ADDRESS_SIZE);
	else
		(void)inet_ntop(AF_INET6, a, out, PROXY_ADDRESS_SIZE);
}

int
proxy_net_add(struct proxy_nets *nets, const char *text)
{
	struct proxy_net	 n;
	char			 addr[PROXY_ADDRESS_SIZE];
	const char		*slash = strchr(text, '/');
	size_t			 len = slash != NULL ? (size_t)(slash - text) :
				    strlen(text);
	unsigned long		 bits = 128;
	char			*end;

	if (nets->n == PROXY_NETS_MAX)
		return (-ENOSPC);
	if (len >= sizeof addr)
		return (-EINVAL);
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (!addr_parse(addr, &n.addr))
		return (-EINVAL);
	if (slash != NULL) {
		if (slash[1] < '0' || slash[1] > '9')
			return (-EINVAL);
		bits = strtoul(slash + 1, &end, 10);
		if (*end != '\0' || bits > (strchr(addr, ':') != NULL ? 128 : 32))
			return (-EINVAL);
		if (strchr(addr, ':') == NULL)
			bits += V4_BITS;
	}
	n.bits = (uint8_t)bits;
	nets->nets[nets->n++] = n;
	return (0);
}

static bool
net_has(const struct proxy_nets *nets, const struct in6_addr *a)
{
	const struct proxy_net	*n;
	unsigned		 bytes, rest;
	size_t			 i;

	for (i = 0; i < nets->n; i++) {
		n = &nets->nets[i];
		bytes = n->bits / 8;
		rest = n->bits % 8;
		if (memcmp(n->addr.s6_addr, a->s6_addr, bytes) == 0 &&
		    (rest == 0 || (n->addr.s6_addr[bytes] ^
		    a->s6_addr[bytes]) >> (8 - rest) == 0))
			return (true);
	}
	return (false);
}

bool
proxy_net_has(const struct proxy_nets *nets, const char *address)
{
	struct in6_addr	 a;

	return (addr_parse(address, &a) && net_has(nets, &a));
}

static bool
is_loopback(const struct in6_addr *a)
{
	return (IN6_IS_ADDR_LOOPBACK(a) ||
	    (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127));
}

bool
proxy_is_loopback(const char *address)
{
	struct in6_addr	 a;

	return (addr_parse(address, &a) && is_loopback(&a));
}

bool
proxy_is_private(const char *address)
{
	struct in6_addr	 a;
	const uint8_t	*b;

	if (!addr_parse(address, &a))
		return (false);
	if (!IN6_IS_ADDR_V4MAPPED(&a))
		return (IN6_IS_ADDR_LOOPBACK(&a) || IN6_IS_ADDR_LINKLOCAL(&a) ||
		    (a.s6_addr[0] & 0xfe) == 0xfc);
	b = a.s6_addr + 12;
	return (b[0] == 127 || b[0] == 10 || (b[0] == 172 && b[1] >> 4 == 1) ||
	    (b[0] == 192 && b[1] == 168) || (b[0] == 169 && b[1] == 254) ||
	    (b[0] == 100 && b[1] >> 6 == 1));
}

int
proxy_is_own(const char *address)
{
	struct ifaddrs	*list, *i;
	struct in6_addr	 a, b;
	int		 r = 0;

	if (!addr_parse(address, &a) || getifaddrs(&list) < 0)
		return (-1);
	for (i = list; i != NULL && r == 0; i = i->ifa_next) {
		if (i->ifa_addr == NULL)
			continue;
		memset(&b, 0, sizeof b);
		if (i->ifa_addr->sa_family == AF_INET) {
			memset(b.s6_addr + 10, 0xff, 2);
			memcpy(b.s6_addr + 12, &((struct sockaddr_in *)(void *)
			    i->ifa_addr)->sin_addr, 4);
		} else if (i->ifa_addr->sa_family == AF_INET6)
			b = ((struct sockaddr_in6 *)(void *)
			    i->ifa_addr)->sin6_addr;
		else
			continue;
		r = memcmp(&a, &b, sizeof a) == 0;
	}
	freeifaddrs(list);
	return (r);
}

/* An entry of a chain: blanks, brackets and a port go; zones are refused. */
static bool
hop_parse(const char *s, size_t len, struct in6_addr *ret)
{
	char	 text[PROXY_ADDRESS_SIZE];
	char	*colon;
	size_t	 i;

	while (len > 0 && (*s == ' ' || *s == '\t')) {
		s++;
		len--;
	}
	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	if (len > 0 && *s == '[') {
		for (i = 1; i < len && s[i] != ']'; i++)
			;
		if (i == len || (i + 1 < len && s[i + 1] != ':') ||
		    i - 1 >= sizeof text ||
		    strspn(s + i + 1 + (i + 1 < len), "0123456789") <
		    len - i - 1 - (i + 1 < len))
			return (false);
		memcpy(text, s + 1, i - 1);
		text[i - 1] = '\0';
		return (strchr(text, ':') != NULL && addr_parse(text, ret));
	}
	if (len == 0 || len >= sizeof text)
		return (false);
	memcpy(text, s, len);
	text[len] = '\0';
	colon = strchr(text, ':');
	/* One colon: an IPv4 address with its port. */
	if (colon != NULL && strchr(colon + 1, ':') == NULL) {
		if (colon[1] == '\0' ||
		    colon[1 + strspn(colon + 1, "0123456789")] != '\0')
			return (false);
		*colon = '\0';
	}
	return (addr_parse(text, ret));
}

/*
 * The client of a chain, from its right end: 1 and the address; 0: nobody but
 * proxies; -1: it cannot be read.
 */
static int
chain_client(const struct proxy_rules *rules, const char *chain,
    struct in6_addr *ret, unsigned *hops)
{
	const char	*end = chain + strlen(chain), *start;

	for (;;) {
		start = end;
		while (start > chain && start[-1] != ',')
			start--;
		if (++*hops > PROXY_HOPS_MAX ||
		    !hop_parse(start, (size_t)(end - start), ret))
			return (-1);
		if (!is_loopback(ret) && !net_has(&rules->trusted, ret))
			return (1);
		if (start == chain)
			return (0);
		end = start - 1;
	}
}

static bool
has_forwarding(const struct proxy_headers *h)
{
	static const char *const names[] = {
		"forwarded", "x-real-ip", "tailscale-funnel-request",
		"tailscale-headers-info", "tailscale-user-login",
		"tailscale-user-name", "tailscale-user-profile-pic",
	};
	const char	*name, *value;
	unsigned	 i = 0;
	size_t		 k;

	while (h->next(h->arg, &i, &name, &value)) {
		if (strncmp(name, "x-forwarded-", 12) == 0)
			return (true);
		for (k = 0; k < ARRAY_LEN(names); k++) {
			if (strcmp(name, names[k]) == 0)
				return (true);
		}
	}
	return (false);
}

/*
 * X-Forwarded-For of all its fields, the last field first. 1, 0 or -1 as
 * chain_client().
 */
static int
forwarded_client(const struct proxy_rules *rules,
    const struct proxy_headers *h, struct in6_addr *ret)
{
	const char	*values[64], *name, *value;
	unsigned	 i = 0, hops = 0;
	size_t		 n = 0;
	int		 r;

	while (h->next(h->arg, &i, &name, &value)) {
		if (strcmp(name, "x-forwarded-for") != 0)
			continue;
		if (n == ARRAY_LEN(values))
			return (-1);
		values[n++] = value;
	}
	while (n > 0) {
		r = chain_client(rules, values[--n], ret, &hops);
		if (r != 0)
			return (r);
	}
	return (0);
}

static void
attribute_proxy(const struct proxy_rules *rules, const struct proxy_headers *h,
    struct proxy_origin *ret)
{
	struct in6_addr	 a;
	const char	*real;
	int		 r;

	r = forwarded_client(rules, h, &a);
	if (r == 0 && rules->has_real_ip && h->count(h->arg, "x-real-ip") == 1) {
		real = h->get(h->arg, "x-real-ip");
		r = hop_parse(real, strlen(real), &a) && !is_loopback(&a);
	}
	if (r != 1)
		return;
	ret->kind = PROXY_TRUSTED;
	addr_text(&a, ret->client);
}

static void
attribute_serve(const struct proxy_rules *rules, const struct proxy_headers *h,
    struct proxy_origin *ret)
{
	struct in6_addr	 a;

	/* From the public: nobody's identity is behind it. */
	if (h->count(h->arg, "tailscale-funnel-request") > 0 ||
	    h->count(h->arg, "x-forwarded-for") != 1 ||
	    h->count(h->arg, "x-forwarded-proto") != 1 ||
	    h->count(h->arg, "x-forwarded-host") != 1 ||
	    forwarded_client(rules, h, &a) != 1)
		return;
	ret->kind = PROXY_TAILSCALE;
	addr_text(&a, ret->client);
}

void
proxy_attribute(const struct proxy_rules *rules, const char *peer,
    bool is_serve, const struct proxy_headers *h, struct proxy_origin *ret)
{
	ret->kind = PROXY_UNKNOWN;
	(void)snprintf(ret->client, sizeof ret->client, "%s", peer);
	if (is_serve)
		attribute_serve(rules, h, ret);
	else if (!has_forwarding(h))
		ret->kind = proxy_is_loopback(peer) ? PROXY_DIRECT_LOCAL :
		    PROXY_DIRECT_REMOTE;
	else if (proxy_net_has(&rules->trusted, peer))
		attribute_proxy(rules, h, ret);
}

void
proxy_users_fini(struct proxy_users *u)
{
	size_t	 i;

	free(u->user_header);
	for (i = 0; i < u->n_required; i++)
		free(u->required[i]);
	for (i = 0; i < u->n_allowed; i++)
		free(u->allowed[i]);
	memset(u, 0, sizeof *u);
}

static bool
is_blank(const char *s)
{
	return (s == NULL || s[strspn(s, " \t")] == '\0');
}

const char *
proxy_user(const struct proxy_users *u, const struct proxy_rules *rules,
    const char *peer, const struct proxy_headers *h, char *reason_buf,
    size_t size, const char **ret_user)
{
	const char	*user;
	size_t		 i;
	int		 own;

	if (!u->is_set)
		return ("trusted_proxy_config_missing");
	if (rules->trusted.n == 0)
		return ("trusted_proxy_no_proxies_configured");
	if (!proxy_net_has(&rules->trusted, peer))
		return ("trusted_proxy_untrusted_source");
	if (proxy_is_loopback(peer)) {
		if (!u->allows_loopback)
			return ("trusted_proxy_loopback_source");
	} else {
		own = proxy_is_own(peer);
		if (own < 0)
			return ("trusted_proxy_local_interface_check_failed");
		if (own > 0)
			return ("trusted_proxy_local_interface_source");
	}
	for (i = 0; i < u->n_required; i++) {
		if (!is_blank(h->get(h->arg, u->required[i])))
			continue;
		(void)snprintf(reason_buf, size,
		    "trusted_proxy_missing_header_%s", u->required[i]);
		return (reason_buf);
	}
	/* Twice is not once: which of them the proxy wrote is not known. */
	user = h->count(h->arg, u->user_header) == 1 ?
	    h->get(h->arg, u->user_header) : NULL;
	if (is_blank(user))
		return ("trusted_proxy_user_missing");
	for (i = 0; i < u->n_allowed; i++) {
		if (strcasecmp(u->allowed[i], user) == 0)
			break;
	}
	if (u->n_allowed > 0 && i == u->n_allowed)
		return ("trusted_proxy_user_not_allowed");
	*ret_user = user;
	return (NULL);
}
