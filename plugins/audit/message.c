/* SPDX-License-Identifier: MIT */
/*
 * Messages of channels, for those who want them recorded: configuration
 * logging.audit.messages. Accounts, chats, senders and messages are named by an
 * HMAC under a key of this installation: rows can be compared, not read.
 */
#include "audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define REF_KEY		"message-key"	/* in the table */
#define KEY_LEN		32u
#define KEY_ID_HEX	32u
#define REF_MAX		128u

static struct {
	uint8_t	 key[KEY_LEN];
	char	 id[KEY_ID_HEX + 1];
	bool	 is_known;
} ref;

/* How a message may end, and what goes with it. */
static const struct {
	bool		 is_outbound;
	const char	*status, *outcome, *error;
	bool		 has_stage;	/* says where it failed */
	bool		 has_reason;	/* a word is needed */
} endings[] = {
	{ false, "succeeded", "completed", NULL, false, false },
	{ false, "blocked", "skipped", NULL, false, false },
	{ false, "failed", "failed", "message_processing_failed", false,
	    false },
	{ true, "succeeded", "sent", NULL, false, false },
	{ true, "blocked", "suppressed", NULL, false, true },
	{ true, "failed", "failed", "message_delivery_failed", true, false },
	{ true, "unknown", "unknown", NULL, true, false },
};

static void
hex_of(const uint8_t *p, size_t len, char *ret)
{
	size_t	 i;

	for (i = 0; i < len; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", p[i]);
}

static int
hex_read(const char *s, uint8_t *ret, size_t len)
{
	unsigned	 v;
	size_t		 i;

	if (s == NULL || strlen(s) != 2 * len ||
	    strspn(s, "0123456789abcdef") != 2 * len)
		return (-EINVAL);
	for (i = 0; i < len; i++) {
		(void)sscanf(s + 2 * i, "%2x", &v);
		ret[i] = (uint8_t)v;
	}
	return (0);
}

/* The key is made with the first message that is recorded. */
static int
key_ready(void)
{
	struct json_object	*o = NULL;
	uint8_t			 id[KEY_ID_HEX / 2];
	char			 hex[2 * KEY_LEN + 1];
	int			 r = -ENOENT;

	if (ref.is_known)
		return (0);
	if (audit.host->kv_get(audit.ctx, REF_KEY, &o, NULL) == 0) {
		r = hex_read(get_str(o, "key"), ref.key, KEY_LEN);
		if (r == 0)
			r = hex_read(get_str(o, "id"), id, sizeof id);
		json_object_put(o);
	}
	if (r < 0) {
		if (gnutls_rnd(GNUTLS_RND_KEY, ref.key, KEY_LEN) < 0 ||
		    gnutls_rnd(GNUTLS_RND_NONCE, id, sizeof id) < 0)
			return (-EIO);
		o = json_object_new_object();
		hex_of(ref.key, KEY_LEN, hex);
		set_str(o, "key", hex);
		hex_of(id, sizeof id, hex);
		set_str(o, "id", hex);
		explicit_bzero(hex, sizeof hex);
		r = audit.host->kv_put(audit.ctx, REF_KEY, o, CHELA_ANY_REV,
		    NULL, NULL);
		if (r < 0)
			return (r);
	}
	hex_of(id, sizeof id, ref.id);
	ref.is_known = true;
	return (0);
}

/* "hmac-sha256:v1:<key>:<mac>" of one kind of name; the kinds do not meet. */
static bool
ref_text(const char *kind, const char *channel, const char *name,
    char ret[REF_MAX])
{
	gnutls_hmac_hd_t	 h;
	uint8_t			 mac[32];
	char			 hex[2 * sizeof mac + 1];

	if (name == NULL || *name == '\0' ||
	    gnutls_hmac_init(&h, GNUTLS_MAC_SHA256, ref.key, KEY_LEN) < 0)
		return (false);
	(void)gnutls_hmac(h, kind, strlen(kind) + 1);
	(void)gnutls_hmac(h, channel, strlen(channel) + 1);
	(void)gnutls_hmac(h, name, strlen(name));
	gnutls_hmac_deinit(h, mac);
	hex_of(mac, sizeof mac, hex);
	(void)snprintf(ret, REF_MAX, "hmac-sha256:v1:%s:%s", ref.id, hex);
	return (true);
}

static void
add_ref(struct json_object *o, const char *member, const char *kind,
    const struct chela_audit_message *m, const char *name)
{
	char	 text[REF_MAX];

	if (ref_text(kind, m->channel, name, text))
		set_str(o, member, text);
}

static bool
is_wanted(const char *conversation)
{
	const char	*which = get_str(audit.host->conf_path(audit.ctx,
	    "logging.audit"), "messages");

	if (which == NULL || strcmp(which, "off") == 0)
		return (false);
	return (strcmp(which, "all") == 0 ||
	    strcmp(conversation, "direct") == 0);
}

static const char *
conversation_of(const char *s)
{
	static const char *const known[] = { "direct", "group", "channel" };
	size_t	 i;

	for (i = 0; s != NULL && i < sizeof known / sizeof known[0]; i++) {
		if (strcmp(known[i], s) == 0)
			return (known[i]);
	}
	return ("unknown");
}

int
record_message(struct chela_ctx *ctx, const struct chela_audit_message *m)
{
	struct json_object	*o, *actor;
	const char		*conversation;
	size_t			 i, n = sizeof endings / sizeof endings[0];
	char			 sender[REF_MAX];

	(void)ctx;
	if (m->struct_size < sizeof *m || m->status == NULL ||
	    m->channel == NULL || *m->channel == '\0')
		return (-EINVAL);
	for (i = 0; i < n && (endings[i].is_outbound != (m->is_outbound != 0) ||
	    strcmp(endings[i].status, m->status) != 0); i++)
		;
	if (i == n || (endings[i].has_reason && m->reason == NULL))
		return (-EINVAL);
	conversation = conversation_of(m->conversation);
	if (!record_is_on() || !is_wanted(conversation))
		return (0);
	if (key_ready() < 0)
		return (-EAGAIN);
	o = event_new(m->is_outbound ? "outbound_message" : "inbound_message");
	set_str(o, "kind", "message");
	set_str(o, "action", m->is_outbound ? "message.outbound.finished" :
	    "message.inbound.processed");
	set_str(o, "direction", m->is_outbound ? "outbound" : "inbound");
	add_text(o, "channel", m->channel);
	set_str(o, "conversationKind", conversation);
	set_str(o, "status", endings[i].status);
	set_str(o, "outcome", endings[i].outcome);
	set_str(o, "errorCode", endings[i].error);
	if (endings[i].has_stage)
		set_str(o, "failureStage", m->is_queued ? "queue" :
		    "platform_send");
	if (endings[i].error == NULL)
		add_text(o, "reasonCode", m->reason);
	if (m->is_outbound)
		set_str(o, "deliveryKind", m->delivery == NULL ? "text" :
		    m->delivery);
	if (m->duration_ms != 0)
		set_int(o, "durationMs", (int64_t)m->duration_ms);
	add_text(o, "agentId", m->agent_id);
	add_text(o, "runId", m->run_id);
	add_ref(o, "accountRef", "account", m, m->account_id);
	add_ref(o, "conversationRef", "conversation", m, m->chat_id);
	add_ref(o, "messageRef", "message", m, m->message_id);
	add_ref(o, "targetRef", "target", m, m->target);
	if (!m->is_outbound && ref_text("sender", m->channel, m->sender_id,
	    sender)) {
		actor = json_object_new_object();
		set_str(actor, "type", "channel_sender");
		set_str(actor, "id", sender);
		json_object_object_add(o, "actor", actor);
	} else if (m->is_outbound && m->agent_id != NULL &&
	    *m->agent_id != '\0') {
		add_actor(o, "agent", m->agent_id);
	} else {
		add_actor(o, "system", "gateway");
	}
	return (ledger_add(o));
}

void
message_close(void)
{
	explicit_bzero(&ref, sizeof ref);
}
