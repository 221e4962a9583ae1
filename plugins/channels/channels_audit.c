/* SPDX-License-Identifier: MIT */
/* What the ledger is told of messages: that they came and went, never what. */
#include "channels.h"

#include <string.h>

#include <chela/services/audit.h>

static void
tell(struct chela_audit_message *m, const struct chela_inbound *in,
    const char *agent_id, const char *run_id)
{
	const struct chela_audit_1	*svc = service(CHELA_AUDIT_SERVICE);

	if (svc == NULL)
		return;
	m->struct_size = sizeof *m;
	m->channel = in->channel;
	m->conversation = in->chat_type;
	m->account_id = in->account_id;
	m->chat_id = in->chat_id;
	m->agent_id = agent_id;
	m->run_id = run_id;
	(void)svc->message(channels.ctx, m);
}

void
audit_inbound(const struct chela_inbound *in, const char *agent_id,
    const char *run_id, bool is_failed)
{
	struct chela_audit_message	m = {
		.status = is_failed ? "failed" : "succeeded",
		.message_id = in->message_id,
		.sender_id = in->sender_id,
	};

	tell(&m, in, agent_id, run_id);
}

void
audit_reply(const struct chela_inbound *in,
    const struct chela_channel_result *res, const char *agent_id,
    const char *run_id)
{
	struct chela_audit_message	m = {
		.is_outbound = 1,
		.status = res->status == CHELA_CHANNEL_OK ? "succeeded" :
		    res->status == CHELA_CHANNEL_QUEUED ||
		    res->status == CHELA_CHANNEL_UNCERTAIN ? "unknown" :
		    "failed",
		.message_id = res->message_id,
		.target = in->chat_id,
		.is_queued = res->status == CHELA_CHANNEL_QUEUED,
	};

	tell(&m, in, agent_id, run_id);
}
