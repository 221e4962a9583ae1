/* SPDX-License-Identifier: MIT */
/* Which request heads ask for WebSocket, and whether they ask well. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "core/net/http_head.h"
#include "core/ws/ws.h"

#define HTTP_PROTOCOLS_MAX 16u	/* offered in one request */

/* Base64 of 16 bytes: 22 digits and the padding. */
static bool
is_ws_key(const char *s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";

	return (strlen(s) == WS_KEY_LEN && strspn(s, digits) == 22 &&
	    strcmp(s + 22, "==") == 0);
}

static bool
is_protocol(const char *p, size_t len)
{
	size_t	 i;

	for (i = 0; i < len; i++) {
		if ((unsigned char)p[i] <= 0x20 || (unsigned char)p[i] >= 0x7f ||
		    strchr("()<>@,;:\\\"/[]?={}", p[i]) != NULL)
			return (false);
	}
	return (len > 0);
}

static int
choose_protocol(const struct http_head *h, const char *const *wanted,
    struct http_ws *ret)
{
	static const char name[] = "sec-websocket-protocol";
	const char	*p;
	size_t		 len, rank = SIZE_MAX, k;
	unsigned	 i;

	ret->protocol = NULL;
	ret->protocol_len = 0;
	for (i = 0; http_head_token(h, name, i, &p, &len); i++) {
		if (i == HTTP_PROTOCOLS_MAX || !is_protocol(p, len))
			return (-EBADMSG);
		if (ret->protocol == NULL) {
			ret->protocol = p;
			ret->protocol_len = len;
		}
		for (k = 0; wanted[k] != NULL && k < rank; k++) {
			if (strlen(wanted[k]) != len ||
			    memcmp(wanted[k], p, len) != 0)
				continue;
			ret->protocol = p;
			ret->protocol_len = len;
			rank = k;
		}
	}
	return (0);
}

int
http_head_ws(const struct http_head *h, const char *const *wanted,
    struct http_ws *ret, uint16_t *ret_status)
{
	const char	*v;

	v = http_head_get(h, "upgrade");
	if (v == NULL)
		return (0);
	*ret_status = 400;
	if (http_head_count(h, "upgrade") != 1 ||
	    strcasecmp(v, "websocket") != 0 || h->minor < 1 ||
	    strcmp(h->method, "GET") != 0 ||
	    !http_head_has_token(h, "connection", "upgrade") ||
	    h->is_chunked ||
	    (h->content_length != HTTP_NO_LENGTH && h->content_length > 0))
		return (-EBADMSG);
	ret->key = http_head_get(h, "sec-websocket-key");
	if (ret->key == NULL || !is_ws_key(ret->key))
		return (-EBADMSG);
	v = http_head_get(h, "sec-websocket-version");
	if (v == NULL)
		return (-EBADMSG);
	if (strcmp(v, "13") != 0) {
		*ret_status = 426;
		return (-EBADMSG);
	}
	if (choose_protocol(h, wanted, ret) < 0)
		return (-EBADMSG);
	return (1);
}
