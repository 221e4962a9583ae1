/* SPDX-License-Identifier: MIT */
/*
 * The one page that is there without a folder: that the gateway runs, and how to
 * connect. It has no script, asks for nothing and knows no secret.
 */
#include "console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX	256u

static const char	 style[] =
	":root{color-scheme:light dark}"
	"body{margin:0 auto;max-width:42rem;padding:2rem 1.25rem;"
	"font:1rem/1.6 system-ui,sans-serif}"
	"h1{font-size:1.5rem;line-height:1.25}"
	"h2{font-size:1.1rem;margin-top:2rem}"
	"pre{overflow-x:auto;padding:.75rem 1rem;border:1px solid;"
	"border-radius:.375rem}"
	"pre:focus-visible{outline:3px solid;outline-offset:2px}"
	"code{font:.95em/1.5 ui-monospace,monospace}";

/* The style, then the address as often as it stands there. */
static const char	 page[] =
	"<!doctype html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, "
	"initial-scale=1\">\n"
	"<title>chela gateway</title>\n"
	"<style>%s</style>\n"
	"</head>\n"
	"<body>\n"
	"<main>\n"
	"<h1>This gateway is running</h1>\n"
	"<p>A chela gateway answers here. Clients connect with "
	"<code>%s</code>.</p>\n"
	"<h2>With chela&rsquo;s own command</h2>\n"
	"<pre tabindex=\"0\"><code>chela --url %s --token-file FILE health"
	"</code></pre>\n"
	"<h2>With OpenClaw&rsquo;s command</h2>\n"
	"<pre tabindex=\"0\"><code>openclaw gateway call health --url %s "
	"--token TOKEN</code></pre>\n"
	"<p>FILE holds the gateway&rsquo;s secret, TOKEN is that secret: who "
	"runs the gateway has it. It belongs in no address and on no page.</p>\n"
	"<h2>A console</h2>\n"
	"<p>To serve a web application here, name its folder in "
	"<code>gateway.controlUi.root</code>.</p>\n"
	"</main>\n"
	"</body>\n"
	"</html>\n";

/*
 * What the client calls us, if that is a name and no more: it comes from
 * outside, and is written into the page.
 */
static void
address_of(struct chela_http_in *rq, char *ret, size_t size)
{
	const char	*host = console.routes->header(rq, "host");

	if (host == NULL || *host == '\0' || strlen(host) > HOST_MAX ||
	    host[strspn(host, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-[]")] != '\0')
		host = "HOST:PORT";
	(void)snprintf(ret, size, "%s://%s%s", console.routes->is_tls(rq) ?
	    "wss" : "ws", host, console.set.base);
}

void
page_serve(struct chela_http_in *rq)
{
	char	 address[HOST_MAX + BASE_MAX + 8];
	char	 etag[HASH_TEXT_LEN + 2], hash[HASH_TEXT_LEN];
	char	*html, *headers;
	int	 n;

	address_of(rq, address, sizeof address);
	n = asprintf(&html, page, style, address, address, address);
	if (n < 0) {
		reply_text(rq, 503, NULL, "The gateway is out of memory.");
		return;
	}
	hash_text(html, (size_t)n, hash);
	(void)snprintf(etag, sizeof etag, "\"%s\"", hash);
	hash_text(style, sizeof style - 1, hash);
	if (asprintf(&headers, NO_CACHE NO_FRAME "Content-Security-Policy: "
	    NO_CONTENT_FROM "; style-src 'sha256-%s'\r\nETag: %s\r\n", hash,
	    etag) < 0) {
		free(html);
		reply_text(rq, 503, NULL, "The gateway is out of memory.");
		return;
	}
	if (has_etag(rq, etag))
		(void)console.routes->reply(rq, 304, NULL, headers, NULL, 0);
	else
		(void)console.routes->reply(rq, 200,
		    "text/html; charset=utf-8", headers, html, (size_t)n);
	free(headers);
	free(html);
}
