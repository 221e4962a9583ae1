/* SPDX-License-Identifier: MIT */
/* What a failed call means, in one of the kinds and in words for people. */
#include "call.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <json-c/json.h>

#define SECRET_MIN	6	/* shorter ones would hide half of every text */

/*
 * Seconds, or a date of RFC 9110 section 5.6.7 in its preferred form. What asks
 * for more than the limit gets the limit; what cannot be read gets nothing.
 */
uint64_t
verdict_retry_after(const char *value, uint64_t wall_ms)
{
	uint64_t	 us;
	struct tm	 tm = { 0 };
	const char	*end;
	time_t		 at;

	if (isdigit((unsigned char)*value)) {
		if (strspn(value, "0123456789") > 9)
			return (CALL_RETRY_AFTER_MAX_US);
		us = strtoull(value, NULL, 10) * 1000000u;
	} else {
		end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		at = end == NULL ? -1 : timegm(&tm);
		if (at < 0)
			return (0);
		us = (uint64_t)at * 1000u <= wall_ms ? 1 :
		    ((uint64_t)at * 1000u - wall_ms) * 1000u;
	}
	/* Zero means not said: "0" is as soon as possible. */
	if (us == 0)
		us = 1;
	return (us > CALL_RETRY_AFTER_MAX_US ? CALL_RETRY_AFTER_MAX_US : us);
}

/* The length of a secret at s, or 0. */
static size_t
secret_at(const struct chela_model_call *call, const char *s, int is_start)
{
	const char	*value;
	size_t		 i, n;

	if (call->secret != NULL && (n = strlen(call->secret)) >= SECRET_MIN &&
	    strncmp(s, call->secret, n) == 0)
		return (n);
	for (i = 0; i < call->n_secret_headers; i++) {
		value = strchr(call->headers[i], ':') + 2;
		if (strncasecmp(value, "Bearer ", 7) == 0)
			value += 7;
		n = strlen(value);
		if (n >= SECRET_MIN && strncmp(s, value, n) == 0)
			return (n);
	}
	/* A key that an endpoint quotes, whole or in parts. */
	if (is_start && (strncmp(s, "sk-", 3) == 0 ||
	    strncasecmp(s, "Bearer ", 7) == 0)) {
		n = strcspn(s, " ");
		if (s[2] != '-')
			n += 1 + strcspn(s + n + 1, " \"',");
		else
			n = strcspn(s, " \"',");
		return (n);
	}
	return (0);
}

void
call_scrub(const struct chela_model_call *call, const char *s, char *ret,
    size_t size)
{
	size_t	 n = 0, i, need, skip;
	int	 is_start = 1;

	while (*s != '\0' && n + 4 < size) {
		skip = secret_at(call, s, is_start);
		is_start = !isalnum((unsigned char)*s);
		if (skip > 0) {
			memcpy(ret + n, "***", 3);
			n += 3;
			s += skip;
			continue;
		}
		ret[n++] = (unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s;
		s++;
	}
	/* Whatever cut it: not in the middle of a character. */
	for (i = n; i > 0 && ((unsigned char)ret[i - 1] & 0xc0) == 0x80; i--)
		;
	if (i > 0 && (unsigned char)ret[i - 1] >= 0xc0) {
		need = (unsigned char)ret[i - 1] >= 0xf0 ? 4 :
		    (unsigned char)ret[i - 1] >= 0xe0 ? 3 : 2;
		if (n - (i - 1) < need)
			n = i - 1;
	}
	ret[n] = '\0';
}

uint32_t
call_classify(const char *s)
{
	static const struct {
		const char	*part;
		uint32_t	 status;
	} table[] = {
		{ "context_length_exceeded", CHELA_MODEL_CONTEXT },
		{ "context length", CHELA_MODEL_CONTEXT },
		{ "context window", CHELA_MODEL_CONTEXT },
		{ "context size", CHELA_MODEL_CONTEXT },
		{ "exceed_context_size", CHELA_MODEL_CONTEXT },
		{ "prompt is too long", CHELA_MODEL_CONTEXT },
		{ "too many tokens", CHELA_MODEL_CONTEXT },
		{ "request_too_large", CHELA_MODEL_CONTEXT },
		{ "insufficient_quota", CHELA_MODEL_BILLING },
		{ "billing", CHELA_MODEL_BILLING },
		{ "credit balance", CHELA_MODEL_BILLING },
		{ "authentication_error", CHELA_MODEL_AUTH },
		{ "permission_error", CHELA_MODEL_AUTH },
		{ "invalid_api_key", CHELA_MODEL_AUTH },
		{ "rate_limit", CHELA_MODEL_RATE_LIMIT },
		{ "content_filter", CHELA_MODEL_REFUSAL },
		{ "content_policy", CHELA_MODEL_REFUSAL },
	};
	size_t	 i;

	for (i = 0; s != NULL && i < sizeof table / sizeof table[0]; i++) {
		if (strcasestr(s, table[i].part) != NULL)
			return (table[i].status);
	}
	return (0);
}

static uint32_t
status_of(uint32_t http_status)
{
	switch (http_status) {
	case 401:
	case 403:
		return (CHELA_MODEL_AUTH);
	case 402:
		return (CHELA_MODEL_BILLING);
	case 408:
	case 504:
		return (CHELA_MODEL_TIMEOUT);
	case 413:
		return (CHELA_MODEL_CONTEXT);
	case 429:
		return (CHELA_MODEL_RATE_LIMIT);
	default:
		return (CHELA_MODEL_UPSTREAM);
	}
}

static void
verdict_status(struct chela_model_call *call)
{
	char			 text[CALL_MESSAGE_MAX + 64];
	struct json_object	*o, *e;
	const char		*message, *code = NULL;
	uint32_t		 status, kind;

	o = jget_parse(text_str(&call->whole), call->whole.len);
	/* {error:{message,code,type}}, {error:"..."}, {message}, {detail} */
	e = jget(o, "error");
	message = jget_str(e, "message");
	if (message == NULL)
		message = jget_str(o, "error");
	if (message == NULL)
		message = jget_str(o, "message");
	if (message == NULL)
		message = jget_str(o, "detail");
	code = jget_str(e, "code");
	status = status_of(call->http_status);
	kind = call_classify(code);
	if (kind == 0)
		kind = call_classify(jget_str(e, "type"));
	if (kind == 0 && (status == CHELA_MODEL_UPSTREAM ||
	    status == CHELA_MODEL_RATE_LIMIT))
		kind = call_classify(message);
	/* A server's own trouble is not the request's. */
	if (kind != 0 && call->http_status < 500)
		status = kind;
	if (message != NULL && *message != '\0')
		(void)snprintf(text, sizeof text,
		    "the model endpoint answered %u: %.*s", call->http_status,
		    CALL_MESSAGE_MAX, message);
	else
		(void)snprintf(text, sizeof text,
		    "the model endpoint answered %u", call->http_status);
	if (call->http_status == 429 ? status == CHELA_MODEL_RATE_LIMIT :
	    call->http_status >= 500 || call->http_status == 408)
		(void)call_fail_retryable(call, status, text);
	else
		(void)call_fail(call, status, text);
	json_object_put(o);
}

void
verdict_http(struct chela_model_call *call, int r, const char *detail,
    uint64_t now_us)
{
	char	 text[CALL_MESSAGE_MAX];

	if (call->http_status >= 300) {
		verdict_status(call);
		return;
	}
	switch (r) {
	case -ETIMEDOUT:
		/* Connecting has a shorter limit than listening. */
		if (call->http_status == 0 && (call->end_by == 0 ||
		    now_us < call->end_by) &&
		    now_us - call->try_since < CALL_IDLE_US)
			(void)call_fail_retryable(call, CHELA_MODEL_NETWORK,
			    "no connection to the model endpoint in time");
		else
			(void)call_fail(call, CHELA_MODEL_TIMEOUT,
			    "the model endpoint took too long");
		return;
	case -EMSGSIZE:
		(void)call_fail(call, CHELA_MODEL_FORMAT,
		    "the answer of the model endpoint is too long");
		return;
	case -ENOMEM:
		(void)call_fail(call, CHELA_MODEL_UPSTREAM, "out of memory");
		return;
	case -EPERM:
	case -EINVAL:
		(void)snprintf(text, sizeof text,
		    "the model endpoint's address cannot be used: %s", detail);
		(void)call_fail(call, CHELA_MODEL_CONFIG, text);
		return;
	case -ELIBACC:
		(void)call_fail(call, CHELA_MODEL_CONFIG,
		    "outbound HTTP is not there: libcurl is not installed");
		return;
	case -ESHUTDOWN:
	case -ECANCELED:
		(void)call_fail(call, CHELA_MODEL_ABORTED, "shutting down");
		return;
	default:
		(void)snprintf(text, sizeof text,
		    "no answer from the model endpoint: %s", detail);
		(void)call_fail_retryable(call, CHELA_MODEL_NETWORK, text);
		return;
	}
}
