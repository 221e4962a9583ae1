/* SPDX-License-Identifier: MIT */
/* Small helpers of plugin chat: outcomes and keys of calls. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chat_priv.h"

int
outcome_fail(struct outcome *out, const char *code, const char *fmt, ...)
{
	va_list ap;

	out->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(out->message, sizeof out->message, fmt, ap);
	va_end(ap);
	return (-EINVAL);
}

void
leaf_name(const char *key, char ret[LEAF_MAX + 1])
{
	struct chela_session_info	 info = { .struct_size = sizeof info };
	struct json_object		*entry = NULL;
	const char			*rev;

	*ret = '\0';
	if (chat.sessions->info(key, &info) < 0 ||
	    info.last_seq < info.first_seq)
		return;
	(void)chat.sessions->get(key, &entry);
	rev = get_str(entry, "lifecycleRevision");
	(void)snprintf(ret, LEAF_MAX + 1, "%.64s.%llu",
	    rev != NULL ? rev : info.session_id,
	    (unsigned long long)info.last_seq);
	json_object_put(entry);
}

bool
call_key(struct json_object *params, char *ret_key, struct outcome *ret)
{
	const char	*agent_name = get_str(params, "agentId");
	char		 id[CHELA_SESSION_AGENT_MAX + 1];
	int		 r;

	if (agent_name != NULL && chat.sessions->agent_id(agent_name, id) < 0) {
		(void)outcome_fail(ret, ERR_BAD, "Unknown agent id \"%s\"",
		    agent_name);
		return (false);
	}
	r = chat.sessions->canonical(get_str(params, "sessionKey"), agent_name,
	    ret_key);
	if (r == -EXDEV)
		(void)outcome_fail(ret, ERR_BAD,
		    "agent \"%s\" does not match the session key", agent_name);
	else if (r < 0)
		(void)outcome_fail(ret, ERR_BAD, "invalid session key");
	return (r >= 0);
}

int
answer(struct chela_req *req, struct outcome *out)
{
	struct chela_error	 extra = { .struct_size = sizeof extra };

	if (out->code != NULL) {
		if (out->reason != NULL) {
			extra.details = json_object_new_object();
			set_str(extra.details, "reason", out->reason);
		}
		return (chat.host->req_fail_with(req, out->code, &extra, "%s",
		    out->message));
	}
	return (chat.host->req_reply(req, out->result));
}
