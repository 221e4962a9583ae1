/* SPDX-License-Identifier: MIT */
/* chat.inject: an assistant's row that no model wrote; it starts no run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat_priv.h"

struct inject {
	struct chela_req	*req;
	struct json_object	*message;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
};

static void
inject_free(struct inject *c)
{
	json_object_put(c->message);
	chat.host->req_unref(c->req);
	free(c);
}

struct json_object *
injected_row(const char *text)
{
	static const char *const zero[] = {
		"input", "output", "cacheRead", "cacheWrite", "totalTokens",
	};
	struct json_object	*row = text_message("assistant", text);
	struct json_object	*usage = json_object_new_object();
	size_t			 i;

	for (i = 0; i < sizeof zero / sizeof zero[0]; i++)
		set_int(usage, zero[i], 0);
	json_object_object_add(row, "usage", usage);
	set_str(row, "stopReason", "stop");
	set_str(row, "provider", "openclaw");
	set_str(row, "model", "gateway-injected");
	return (row);
}

static void
inject_stored(int r, uint64_t seq, const char *id, void *arg)
{
	struct json_object	*o;
	struct inject		*c = arg;
	char			 run_id[160];

	(void)seq;
	if (r < 0) {
		(void)chat.host->req_fail(c->req, ERR_GONE,
		    "the message could not be stored");
		inject_free(c);
		return;
	}
	(void)snprintf(run_id, sizeof run_id, "inject-%s", id);
	emit_final(run_id, c->key, 0, json_object_get(c->message), "stop");
	o = json_object_new_object();
	set_bool(o, "ok", true);
	set_str(o, "messageId", id);
	(void)chat.host->req_reply(c->req, o);
	inject_free(c);
}

int
chat_inject(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_session_append	 in = { .struct_size = sizeof in };
	struct chela_session_info	 info = { .struct_size = sizeof info };
	struct outcome			 out = { 0 };
	struct inject			*c;
	const char			*label = get_str(params, "label");
	const char			*text = get_str(params, "message");
	char				 key[CHELA_SESSION_KEY_MAX + 1];
	char				*all = NULL;
	int				 r;

	(void)ctx;
	if (!call_key(params, key, &out))
		return (answer(req, &out));
	if (chat.sessions->info(key, &info) < 0)
		return (chat.host->req_fail(req, ERR_BAD,
		    "session not found"));
	if (info.last_seq < info.first_seq)
		return (chat.host->req_fail(req, ERR_BAD,
		    "transcript file not found"));
	if (strlen(text) > INJECT_MAX)
		return (chat.host->req_fail(req, ERR_BAD,
		    "the message is too long (at most %u bytes)", INJECT_MAX));
	if (label != NULL && *label != '\0') {
		if (asprintf(&all, "[%s]\n\n%s", label, text) < 0)
			return (-ENOMEM);
		text = all;
	}
	c = calloc(1, sizeof *c);
	if (c == NULL) {
		free(all);
		return (-ENOMEM);
	}
	c->req = chat.host->req_ref(req);
	c->message = text_message("assistant", text);
	memcpy(c->key, key, sizeof c->key);
	in.key = key;
	in.row = injected_row(text);
	free(all);
	r = chat.sessions->append(&in, inject_stored, c);
	if (r < 0)
		inject_free(c);
	return (r);
}
