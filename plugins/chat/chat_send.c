/* SPDX-License-Identifier: MIT */
/*
 * chat.send and chat.abort. The order of the checks is part of the contract: a
 * policy that denies and a stop word come before the look at what was sent
 * already.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "chat_priv.h"

#define PRINT_PART	4096u	/* bytes of each end of a file */

/* Messages that stop instead of starting something. */
static bool
is_stop(const char *message)
{
	static const char *const words[] = {
		"/stop", "stop", "esc", "abort", "wait", "exit", "interrupt",
	};
	const char	*end;
	size_t		 i, len;

	while (isspace((unsigned char)*message))
		message++;
	end = message + strlen(message);
	while (end > message && isspace((unsigned char)end[-1]))
		end--;
	len = (size_t)(end - message);
	for (i = 0; i < sizeof words / sizeof words[0]; i++)
		if (len == strlen(words[i]) &&
		    strncasecmp(words[i], message, len) == 0)
			return (true);
	return (false);
}

static bool
is_blank(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return (*s == '\0');
}

static struct json_object *
status_result(const char *run_id, const char *status)
{
	struct json_object *o = json_object_new_object();

	set_str(o, "runId", run_id);
	set_str(o, "status", status);
	return (o);
}

static uint64_t
print_add(uint64_t h, const char *s, size_t len)
{
	size_t	 i;

	for (i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
	return (h);
}

/* Tells one input from another; of a file, its size and both ends. */
static uint64_t
input_print(const char *message, struct json_object *files)
{
	uint64_t	 h = print_add(0xcbf29ce484222325u, message,
			    strlen(message));
	const char	*data;
	size_t		 i, n, len, part;

	n = files != NULL ? json_object_array_length(files) : 0;
	for (i = 0; i < n; i++) {
		data = get_str(json_object_array_get_idx(files, i), "data");
		len = data != NULL ? strlen(data) : 0;
		part = len < PRINT_PART ? len : PRINT_PART;
		h = print_add(h, (const char *)&len, sizeof len);
		h = print_add(h, data, part);
		h = print_add(h, data + len - part, part);
	}
	return (h);
}

/* What is known of this key already; false: nothing. */
static bool
known(const char *id, uint64_t input, struct outcome *ret)
{
	struct chela_agent_run	 run = { .struct_size = sizeof run };
	const char		*error = NULL;
	int			 r = command_state(id, &error);

	if (r == 0) {
		if (chat.agent->state(id, &run) < 0)
			return (false);
		if (run.ended_at_us == 0) {
			r = 1;
		} else if (run.ended_at_us + TURN_US <= chat.host->now_us()) {
			return (false);
		} else {
			r = run.state == CHELA_RUN_FAILED ||
			    run.state == CHELA_RUN_TIMEOUT ? -1 : 2;
			error = run.error;
		}
		if (run.input != 0 && run.input != input) {
			ret->reason = "chat-request-conflict";
			(void)outcome_fail(ret, ERR_BAD, "this idempotencyKey "
			    "belongs to another message");
			return (true);
		}
	}
	if (r < 0)
		(void)outcome_fail(ret, ERR_GONE, "%s",
		    error != NULL ? error : "the run failed");
	else
		ret->result = status_result(id, r == 1 ? "in_flight" : "ok");
	return (true);
}

static uint32_t
queue_mode(struct json_object *params)
{
	static const char *const names[] = {
		[CHELA_QUEUE_STEER] = "steer",
		[CHELA_QUEUE_FOLLOWUP] = "followup",
		[CHELA_QUEUE_COLLECT] = "collect",
		[CHELA_QUEUE_INTERRUPT] = "interrupt",
	};
	const char	*name = get_str(params, "queueMode");
	uint32_t	 i;

	for (i = CHELA_QUEUE_STEER; name != NULL &&
	    i <= CHELA_QUEUE_INTERRUPT; i++)
		if (strcmp(names[i], name) == 0)
			return (i);
	return (CHELA_QUEUE_DEFAULT);
}

int
run_start(struct json_object *params, const char *key, const char *message,
    struct json_object *attachments, const char **ret_why)
{
	struct chela_agent_start rq = { .struct_size = sizeof rq };
	int64_t ms = get_int(params, "timeoutMs", 0);

	rq.run_id = get_str(params, "idempotencyKey");
	rq.session_key = key;
	rq.message = message;
	rq.attachments = attachments;
	rq.thinking = get_str(params, "thinking");
	rq.reply_to_id = get_str(params, "replyToId");
	/* What a command leaves of it is still that message. */
	rq.input = input_print(get_str(params, "message"), attachments);
	rq.timeout_us = ms > 0 && ms < INT64_MAX / 1000 ?
	    (uint64_t)ms * 1000 : 0;
	rq.queue_mode = queue_mode(params);
	if (get_bool(params, "deliver", false)) {
		rq.flags = CHELA_AGENT_DELIVER | CHELA_AGENT_BEST_EFFORT;
		rq.channel = get_str(params, "originatingChannel");
		rq.to = get_str(params, "originatingTo");
		rq.account_id = get_str(params, "originatingAccountId");
		rq.thread_id = get_str(params, "originatingThreadId");
	}
	return (chat.agent->start(&rq, ret_why));
}

static int
run_failed(struct outcome *ret, int r, const char *why, const char *id)
{
	switch (r) {
	case -EALREADY:
		ret->result = status_result(id, "in_flight");
		return (0);
	case -EINVAL:
		return (outcome_fail(ret, ERR_BAD, "%s", why));
	case -ENOBUFS:
		return (outcome_fail(ret, ERR_GONE,
		    "too many messages wait in this session"));
	case -ENOSPC:
		return (outcome_fail(ret, ERR_GONE,
		    "too many runs or sessions"));
	default:
		return (outcome_fail(ret, ERR_GONE,
		    "the run could not be started"));
	}
}

/* Has the client read all that its message would follow? */
static bool
is_at_leaf(struct json_object *params, const char *key)
{
	struct json_object	*want = NULL;
	char			 leaf[LEAF_MAX + 1];
	const char		*s;

	if (!json_object_object_get_ex(params, "expectedLeafEntryId", &want))
		return (true);
	s = want != NULL ? json_object_get_string(want) : "";
	leaf_name(key, leaf);
	return (strcmp(s, leaf) == 0);
}

/* A stop word: nothing is started, nothing is remembered. */
static int
stop_all(const char *key, struct outcome *ret)
{
	struct json_object	*o = json_object_new_object(), *ids = NULL;
	int			 n;

	n = chat.agent->abort_session(key, "stop", &ids);
	set_bool(o, "ok", true);
	set_bool(o, "aborted", n > 0);
	json_object_object_add(o, "runIds", ids != NULL ? ids :
	    json_object_new_array());
	ret->result = o;
	return (0);
}

int
send_now(struct chela_req *req, struct json_object *params,
    struct outcome *ret)
{
	struct json_object	*files = NULL;
	const char		*message = get_str(params, "message");
	const char		*id = get_str(params, "idempotencyKey");
	const char		*why = NULL;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	int			 r;

	if (!call_key(params, key, ret))
		return (-EINVAL);
	if (chat.agent->attachments(get_any(params, "attachments"), &files,
	    &why) < 0)
		return (outcome_fail(ret, ERR_BAD, "Error: %s", why));
	if (is_blank(message) && files == NULL)
		return (outcome_fail(ret, ERR_BAD,
		    "message or attachment required"));
	if (chat.agent->send_policy(key) < 0) {
		r = outcome_fail(ret, ERR_BAD,
		    "send blocked by session policy");
		goto out;
	}
	if (!get_bool(params, "suppressCommandInterpretation", false) &&
	    is_stop(message)) {
		r = stop_all(key, ret);
		goto out;
	}
	r = 0;
	if (known(id, input_print(message, files), ret)) {
		r = ret->code != NULL ? -EINVAL : 0;
		goto out;
	}
	if (!is_at_leaf(params, key)) {
		ret->reason = "active-leaf-changed";
		r = outcome_fail(ret, ERR_BAD, "the conversation has gone on "
		    "since it was read: read it again");
		goto out;
	}
	if (!get_bool(params, "suppressCommandInterpretation", false)) {
		r = command_start(req, params, key, files);
		if (r > 0) {
			ret->result = status_result(id, "started");
			goto out;
		}
		if (r < 0) {
			r = outcome_fail(ret, ERR_GONE,
			    "the command could not be run");
			goto out;
		}
	}
	r = run_start(params, key, message, files, &why);
	if (r < 0)
		r = run_failed(ret, r, why, id);
	else
		ret->result = status_result(id, "started");
out:
	json_object_put(files);
	return (r);
}

int
chat_send(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct outcome out = { 0 };

	(void)ctx;
	(void)send_now(req, params, &out);
	return (answer(req, &out));
}

int
chat_abort(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_agent_run	 run = { .struct_size = sizeof run };
	struct json_object	*o, *ids = NULL;
	struct outcome		 out = { 0 };
	const char		*id = get_str(params, "runId");
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	int			 n = 0;

	(void)ctx;
	if (!call_key(params, key, &out))
		return (answer(req, &out));
	if (id == NULL) {
		n = chat.agent->abort_session(key, "rpc", &ids);
	} else if (chat.agent->state(id, &run) >= 0) {
		if (strcmp(run.session_key, key) != 0) {
			(void)outcome_fail(&out, ERR_BAD,
			    "runId does not match sessionKey");
			return (answer(req, &out));
		}
		n = chat.agent->abort(id, "rpc");
	}
	if (ids == NULL) {
		ids = json_object_new_array();
		if (n > 0)
			json_object_array_add(ids, json_object_new_string(id));
	}
	o = json_object_new_object();
	set_bool(o, "ok", true);
	set_bool(o, "aborted", n > 0);
	json_object_object_add(o, "runIds", ids);
	return (chat.host->req_reply(req, o));
}

/* The runner that plugin sessions uses. */
static int
runner_send(struct chela_req *req, struct json_object *params)
{
	return (chat_send(chat.ctx, req, params));
}

static int
runner_start(struct chela_req *req, struct json_object *params,
    struct json_object **ret_answer)
{
	struct outcome	 out = { 0 };
	int		 r;

	r = send_now(req, params, &out);
	if (out.code != NULL) {
		out.result = json_object_new_object();
		set_str(out.result, "code", out.code);
		set_str(out.result, "message", out.message);
		r = r < 0 ? r : -EINVAL;
	}
	*ret_answer = out.result;
	return (r);
}

static int
runner_abort(const char *key, const char *run_id, const char *reason,
    struct json_object **ret_ids)
{
	struct json_object	*ids;
	int			 n;

	if (run_id == NULL)
		return (chat.agent->abort_session(key, reason, ret_ids));
	n = chat.agent->abort(run_id, reason);
	if (ret_ids != NULL) {
		ids = json_object_new_array();
		if (n > 0)
			json_object_array_add(ids,
			    json_object_new_string(run_id));
		*ret_ids = ids;
	}
	return (n > 0 ? n : 0);
}

const struct chela_session_runner chat_runner = {
	.struct_size = sizeof chat_runner,
	.send = runner_send,
	.start = runner_start,
	.abort = runner_abort,
};
