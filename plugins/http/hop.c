/* SPDX-License-Identifier: MIT */
/*
 * One hop of a call: read its URL, find the addresses of its host, judge them,
 * pin them. curl reads the URL for us, so that what is judged is what it will
 * connect to, odd notations of addresses included.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "guard.h"
#include "http_priv.h"

/* Who frees a look-up: the loop, unless the plugin's end came before. */
enum {
	LOOKUP_RUNNING,
	LOOKUP_FINISHED,	/* by the worker; its done() is on the way */
	LOOKUP_ABANDONED,	/* by fini(): no done() will come */
};

/* A worker's job; outlives its call when that ends first. */
struct lookup {
	TAILQ_ENTRY(lookup)	 link;		/* loop thread */
	struct chela_http_call	*call;		/* loop thread; NULL: gone */
	int			 state;		/* atomic */
	char			 host[HTTP_HOST_MAX + 1];	/* "": none */
	int			 r;
	struct addrinfo		*list;
};

static void hop_resolved(struct chela_http_call *call, struct addrinfo *list);

static void
lookup_free(struct lookup *l)
{
	if (l->list != NULL)
		freeaddrinfo(l->list);
	free(l);
}

static void
lookup_run(void *arg)
{
	static const struct addrinfo	 hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
	};
	struct lookup			*l = arg;

	l->r = curl_open();
	if (l->r == 0 && l->host[0] != '\0' &&
	    getaddrinfo(l->host, NULL, &hints, &l->list) != 0) {
		l->list = NULL;
		l->r = -EHOSTUNREACH;
	}
	if (__atomic_exchange_n(&l->state, LOOKUP_FINISHED,
	    __ATOMIC_ACQ_REL) == LOOKUP_ABANDONED)
		lookup_free(l);
}

static void
lookup_done(struct chela_ctx *ctx, void *arg)
{
	struct lookup		*l = arg;
	struct chela_http_call	*call = l->call;

	(void)ctx;
	http.n_lookups--;
	TAILQ_REMOVE(&http.lookups, l, link);
	if (call != NULL) {
		call->lookup = NULL;
		if (l->r == -ELIBACC)
			call_end(call, l->r, "libcurl could not be loaded");
		else if (l->r < 0)
			call_end(call, l->r, "no address for the host's name");
		else if (l->list == NULL)
			hop_start(call);	/* only curl was missing */
		else
			hop_resolved(call, l->list);
	}
	lookup_free(l);
}

void
hop_fini(void)
{
	struct lookup	*l;

	while ((l = TAILQ_FIRST(&http.lookups)) != NULL) {
		TAILQ_REMOVE(&http.lookups, l, link);
		if (__atomic_exchange_n(&l->state, LOOKUP_ABANDONED,
		    __ATOMIC_ACQ_REL) == LOOKUP_FINISHED)
			lookup_free(l);
	}
}

static void
lookup_start(struct chela_http_call *call, const char *host)
{
	struct lookup	*l;
	int		 r = -EAGAIN;

	l = http.n_lookups < HTTP_LOOKUPS_MAX ? calloc(1, sizeof *l) : NULL;
	if (l != NULL) {
		l->call = call;
		(void)snprintf(l->host, sizeof l->host, "%s", host);
		r = http.host->work(http.ctx, lookup_run, lookup_done, l);
	}
	if (r < 0) {
		free(l);
		call_end(call, -EAGAIN, "too many look-ups at a time");
		return;
	}
	http.n_lookups++;
	TAILQ_INSERT_TAIL(&http.lookups, l, link);
	call->lookup = l;
	call->step = STEP_LOOKUP;
}

void
hop_forget(struct chela_http_call *call)
{
	if (call->lookup != NULL)
		call->lookup->call = NULL;
	call->lookup = NULL;
}

static int
url_part(CURLU *u, CURLUPart part, char *ret, size_t size)
{
	const struct curl_api	*curl = curl_api();
	char			*s = NULL;
	int			 r = -EINVAL;

	if (curl->curl_url_get(u, part, &s, part == CURLUPART_PORT ?
	    CURLU_DEFAULT_PORT : 0) == CURLUE_OK && strlen(s) < size) {
		(void)snprintf(ret, size, "%s", s);
		r = 0;
	}
	curl->curl_free(s);
	return (r);
}

static int
url_has_user(CURLU *u)
{
	const struct curl_api	*curl = curl_api();
	char			*s = NULL;
	int			 has;

	has = curl->curl_url_get(u, CURLUPART_USER, &s, 0) == CURLUE_OK;
	curl->curl_free(s);
	s = NULL;
	has |= curl->curl_url_get(u, CURLUPART_PASSWORD, &s, 0) == CURLUE_OK;
	curl->curl_free(s);
	return (has);
}

static int
is_plain_host(const char *s)
{
	const unsigned char	*p;

	for (p = (const unsigned char *)s; *p != '\0'; p++) {
		/* Names in other scripts have an ASCII form; ask for that. */
		if (*p <= 0x20 || *p >= 0x7f || strchr("%/\\@,", *p) != NULL)
			return (0);
	}
	return (*s != '\0');
}

/* Reads call->url into host, scheme and port. 0, or ends the call. */
static int
hop_read(struct chela_http_call *call)
{
	const struct curl_api	*curl = curl_api();
	const char		*why = "not a valid URL";
	char			 port[8];
	CURLU			*u;
	int			 r = -EPROTO;

	u = curl->curl_url();
	if (u == NULL)
		r = -ENOMEM;
	else if (curl->curl_url_set(u, CURLUPART_URL, call->url,
	    CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
	    url_part(u, CURLUPART_SCHEME, call->scheme,
	    sizeof call->scheme) < 0)
		r = -EPROTO;
	else if (strcmp(call->scheme, "http") != 0 &&
	    strcmp(call->scheme, "https") != 0) {
		r = -EPERM;
		why = "only http and https are spoken";
	} else if (url_has_user(u)) {
		r = -EPERM;
		why = "a URL with a user name is refused";
	} else
		r = 0;
	if (r == 0 && (url_part(u, CURLUPART_HOST, call->host,
	    sizeof call->host) < 0 || !is_plain_host(call->host) ||
	    url_part(u, CURLUPART_PORT, port, sizeof port) < 0)) {
		r = -EPROTO;
		why = "the URL's host cannot be used";
	}
	if (r == 0)
		call->port = (uint16_t)strtoul(port, NULL, 10);
	if (u != NULL)
		curl->curl_url_cleanup(u);
	if (r < 0)
		call_end(call, r, why);
	return (r);
}

/* Trust is in the URL that the operator wrote, not in where it leads. */
static int
hop_is_first(const struct chela_http_call *call)
{
	return (strcasecmp(call->host, call->first_host) == 0 &&
	    call->port == call->first_port &&
	    strcmp(call->scheme, call->first_scheme) == 0);
}

/* The address that a host like 127.0.0.1 or [::1] is. */
static int
hop_literal(const char *host, struct sockaddr_storage *ret)
{
	struct sockaddr_in	*in4 = (struct sockaddr_in *)(void *)ret;
	struct sockaddr_in6	*in6 = (struct sockaddr_in6 *)(void *)ret;
	char			 text[64];
	size_t			 n = strlen(host);

	memset(ret, 0, sizeof *ret);
	if (inet_pton(AF_INET, host, &in4->sin_addr) == 1) {
		ret->ss_family = AF_INET;
		return (1);
	}
	if (host[0] != '[' || n < 3 || n - 2 >= sizeof text)
		return (0);
	(void)snprintf(text, sizeof text, "%.*s", (int)(n - 2), host + 1);
	ret->ss_family = AF_INET6;
	return (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1 ? 1 : 0);
}

void
hop_start(struct chela_http_call *call)
{
	struct sockaddr_storage	 sa;

	if (call->step == STEP_QUEUED) {
		call->connect_by = http.host->now_us() + call->connect_us;
		call->step = STEP_LOOKUP;
		call_arm(call);
	}
	if (curl_api() == NULL) {
		lookup_start(call, "");
		return;
	}
	if (transfer_init() < 0) {
		call_end(call, -ENOMEM, "out of memory");
		return;
	}
	if (hop_read(call) < 0)
		return;
	if (call->first_host[0] == '\0') {
		memcpy(call->first_host, call->host, sizeof call->host);
		memcpy(call->first_scheme, call->scheme, sizeof call->scheme);
		call->first_port = call->port;
	}
	if (!hop_is_first(call))
		call->is_trusted = 0;
	if (call->host[0] == '[' || hop_literal(call->host, &sa)) {
		if (!hop_literal(call->host, &sa))
			call_end(call, -EPROTO, "not a valid address");
		else if (guard_check((struct sockaddr *)&sa,
		    call->is_trusted) < 0)
			call_end(call, -EPERM,
			    "the address is not one of the public network");
		else
			transfer_start(call);
		return;
	}
	lookup_start(call, call->host);
}

/* "host:port:addr,addr", each address judged; one that is not fit ends all. */
static void
hop_resolved(struct chela_http_call *call, struct addrinfo *list)
{
	const struct curl_api	*curl = curl_api();
	char			 text[HTTP_HOST_MAX + 16 + HTTP_ADDRS_MAX * 48];
	char			 addr[INET6_ADDRSTRLEN + 1];
	struct sockaddr_in	 in4;
	struct sockaddr_in6	 in6;
	struct addrinfo		*ai;
	size_t			 len;
	unsigned		 n = 0;

	len = (size_t)snprintf(text, sizeof text, "+%s:%u:", call->host,
	    (unsigned)call->port);
	for (ai = list; ai != NULL; ai = ai->ai_next) {
		if (guard_check(ai->ai_addr, call->is_trusted) < 0) {
			call_end(call, -EPERM,
			    "the host's name leads to an address that is not "
			    "one of the public network");
			return;
		}
		if (n == HTTP_ADDRS_MAX)
			continue;	/* judged, not used */
		if (ai->ai_family == AF_INET) {
			memcpy(&in4, ai->ai_addr, sizeof in4);
			(void)inet_ntop(AF_INET, &in4.sin_addr, addr,
			    sizeof addr);
			len += (size_t)snprintf(text + len, sizeof text - len,
			    "%s%s", n > 0 ? "," : "", addr);
		} else {
			memcpy(&in6, ai->ai_addr, sizeof in6);
			(void)inet_ntop(AF_INET6, &in6.sin6_addr, addr,
			    sizeof addr);
			len += (size_t)snprintf(text + len, sizeof text - len,
			    "%s[%s]", n > 0 ? "," : "", addr);
		}
		n++;
	}
	curl->curl_slist_free_all(call->pin);
	call->pin = curl->curl_slist_append(NULL, text);
	if (call->pin == NULL)
		call_end(call, -ENOMEM, "out of memory");
	else
		transfer_start(call);
}

/* What may go to another host: nothing that could name or prove a caller. */
static int
is_harmless(const char *line)
{
	static const char *const names[] = { "accept:", "accept-language:",
	    "content-type:", "user-agent:" };
	size_t	 i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strncasecmp(line, names[i], strlen(names[i])) == 0)
			return (1);
	}
	return (0);
}

static void
hop_strip(struct chela_http_call *call)
{
	struct curl_slist	**at = &call->headers, *item;

	while ((item = *at) != NULL) {
		if (is_harmless(item->data)) {
			at = &item->next;
			continue;
		}
		*at = item->next;
		free(item->data);
		free(item);
	}
}

static char *
hop_target(const struct chela_http_call *call, const char *location)
{
	const struct curl_api	*curl = curl_api();
	char			*s = NULL, *copy = NULL;
	CURLU			*u;

	u = curl->curl_url();
	if (u != NULL &&
	    curl->curl_url_set(u, CURLUPART_URL, call->url, 0) == CURLUE_OK &&
	    curl->curl_url_set(u, CURLUPART_URL, location,
	    CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE) == CURLUE_OK &&
	    curl->curl_url_get(u, CURLUPART_URL, &s, 0) == CURLUE_OK &&
	    strlen(s) <= HTTP_URL_MAX)
		copy = strdup(s);
	curl->curl_free(s);
	if (u != NULL)
		curl->curl_url_cleanup(u);
	return (copy);
}

void
hop_follow(struct chela_http_call *call)
{
	const char	*location = transfer_header(call, "location");
	char		*target;
	int		 was_tls = strcmp(call->scheme, "https") == 0;

	target = location == NULL ? NULL : hop_target(call, location);
	if (target == NULL) {
		call_end(call, -EPROTO, "the redirect leads nowhere");
		return;
	}
	if (call->redirects_left == 0) {
		free(target);
		call_end(call, -EPROTO, "too many redirects");
		return;
	}
	call->redirects_left--;
	free(call->url);
	call->url = target;
	/* RFC 9110 section 15.4: 303 always, 301 and 302 for POST. */
	if ((call->status == 303 && strcmp(call->method, "HEAD") != 0) ||
	    (call->status <= 302 && strcmp(call->method, "POST") == 0)) {
		(void)snprintf(call->method, strlen(call->method) + 1, "GET");
		free(call->body);
		call->body = NULL;
		call->body_len = 0;
	}
	if (hop_read(call) < 0)
		return;
	if (was_tls && strcmp(call->scheme, "https") != 0) {
		call_end(call, -EPERM, "a redirect away from TLS is refused");
		return;
	}
	if (!hop_is_first(call)) {
		hop_strip(call);
		/* Trust and headers do not come back on the way home. */
		call->is_trusted = 0;
	}
	call->status = 0;
	call->step = STEP_QUEUED;
	hop_start(call);
}
