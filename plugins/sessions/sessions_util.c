/* SPDX-License-Identifier: MIT */
/* Small helpers of plugin sessions: cutting of text, keys of calls. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

/* Bytes of the first chars characters of a UTF-8 text. */
static size_t
chars_len(const char *text, size_t chars)
{
	size_t i = 0;

	while (text[i] != '\0' && chars-- > 0) {
		i++;
		while (((unsigned char)text[i] & 0xc0) == 0x80)
			i++;
	}
	return (i);
}

char *
cut_text(const char *text, size_t chars)
{
	size_t	 n = chars_len(text, chars);
	char	*s;

	s = malloc(n + sizeof "…");
	if (s == NULL)
		return (NULL);
	memcpy(s, text, n);
	memcpy(s + n, "…", sizeof "…");
	if (text[n] == '\0')
		s[n] = '\0';
	return (s);
}

/*
 * White space becomes one space; longer texts end at a word if that keeps more
 * than 60 % of the length, and with an ellipsis.
 */
char *
one_line(const char *text, size_t chars)
{
	size_t	 n, max, i, out = 0;
	char	*s;
	bool	 space = false;

	/* Four bytes a character, and twice as much for what is dropped. */
	max = chars * 8 + 16;
	n = strnlen(text, max);
	s = malloc(n + sizeof "…");
	if (s == NULL)
		return (NULL);
	for (i = 0; i < n; i++) {
		if (isspace((unsigned char)text[i]) ||
		    (unsigned char)text[i] < 0x20) {
			space = out > 0;
			continue;
		}
		if (space)
			s[out++] = ' ';
		space = false;
		s[out++] = text[i];
	}
	if (n == max) {		/* strnlen() may have cut a character */
		while (out > 0 && ((unsigned char)s[out - 1] & 0xc0) == 0x80)
			out--;
		if (out > 0 && (unsigned char)s[out - 1] >= 0xc0)
			out--;
	}
	s[out] = '\0';
	n = chars_len(s, chars);
	if (s[n] == '\0' && i < max)
		return (s);
	for (i = n; i > n * 6 / 10; i--)
		if (s[i] == ' ')
			break;
	if (s[n] != ' ' && i > n * 6 / 10)
		n = i;
	memcpy(s + n, "…", sizeof "…");
	return (s);
}

char *
lower_text(const char *text)
{
	char	*s = strdup(text);
	size_t	 i;

	if (s == NULL)
		return (NULL);
	for (i = 0; s[i] != '\0'; i++)
		s[i] = (char)tolower((unsigned char)s[i]);
	return (s);
}

int
call_key(struct chela_req *req, struct json_object *params,
    const char *member, char *ret_key)
{
	char		 id[CHELA_SESSION_AGENT_MAX + 1];
	const char	*key = get_str(params, member);
	const char	*agent = get_str(params, "agentId");
	int		 r;

	if (agent != NULL && agent_find(agent, id) < 0) {
		(void)sessions.host->req_fail(req, ERR_BAD,
		    "Unknown agent id \"%s\"", agent);
		return (-ENOENT);
	}
	r = key != NULL ? key_canonical(key, agent, ret_key) : -EINVAL;
	if (r == -EXDEV)
		(void)sessions.host->req_fail(req, ERR_BAD,
		    "agent \"%s\" does not match session key \"%s\"", agent,
		    key);
	else if (r < 0)
		(void)sessions.host->req_fail(req, ERR_BAD,
		    "invalid session key (%s)", r == -ENAMETOOLONG ?
		    "longer than 500 bytes" : "empty, or with control characters");
	return (r);
}
