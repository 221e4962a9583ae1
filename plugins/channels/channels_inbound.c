/* SPDX-License-Identifier: MIT */
/*
 * Messages from outside: each once, in order within its chat, answered by a
 * command or by a run of the agent, and the answer brought back.
 */
#include "channels.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/agent.h>
#include <chela/services/agents.h>
#include <chela/services/commands.h>

#define SILENT "NO_REPLY"	/* an agent that has nothing to say says so */

/* One message; the strings are behind it in one piece of memory. */
struct item {
	struct item		*next;
	struct chela_inbound	 in;
};

/* One conversation: what waits, and the message that is being worked on. */
struct chat {
	struct chat		*next;
	struct item		*head;
	struct item		*tail;
	struct item		*now;
	struct chela_timer	*timer;
	char			*reply;
	uint32_t		 n;
	uint32_t		 tries;
	bool			 is_failed;	/* no answer of the agent */
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	char			 agent_id[CHELA_AGENT_ID_MAX + 1];
	char			 run_id[CHELA_RUN_ID_MAX + 1];
};

static struct {
	struct chat			*chats;
	struct chela_timer		*timer;
	uint64_t			 seen[SEEN_MAX];
	uint32_t			 seen_at;
	int				 seen_dirty;
	uint32_t			 waiting;
	const struct chela_agent_1	*runs;		/* that we watch */
	int				 stopping;
} inbound;

static void	chat_next(struct chat *c);

static uint64_t
hash_of(const char *text)
{
	uint64_t	h = UINT64_C(14695981039346656037);

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (h);
}

static uint64_t
seen_hash(const struct chela_inbound *in)
{
	char	text[4 * ID_MAX + 4];

	(void)snprintf(text, sizeof text, "%s\x1f%s\x1f%s\x1f%s", in->channel,
	    in->account_id, in->chat_id, in->message_id);
	return (hash_of(text) | 1);	/* 0 is an empty place */
}

static int
seen_before(uint64_t hash)
{
	uint32_t	i;

	for (i = 0; i < SEEN_MAX; i++) {
		if (inbound.seen[i] == hash)
			return (1);
	}
	return (0);
}

/*
 * The newest are stored a moment later: what is delivered again because this
 * process ended is not answered twice. One write serves a burst.
 */
static void
seen_store(struct chela_ctx *ctx, void *arg)
{
	struct json_object	*val = json_object_new_object();
	struct json_object	*list = json_object_new_array();
	uint32_t		 i, at;
	char			 text[17];

	(void)arg;
	for (i = 0; i < SEEN_STORED; i++) {
		at = (inbound.seen_at + SEEN_MAX - SEEN_STORED + i) % SEEN_MAX;
		if (inbound.seen[at] == 0)
			continue;
		(void)snprintf(text, sizeof text, "%016" PRIx64,
		    inbound.seen[at]);
		(void)json_object_array_add(list, json_object_new_string(text));
	}
	(void)json_object_object_add(val, "ids", list);
	(void)channels.host->kv_put(ctx, SEEN_KEY, val, CHELA_ANY_REV, NULL,
	    NULL);
	inbound.seen_dirty = 0;
}

static void
seen_load(void)
{
	struct json_object	*val = NULL, *list;
	size_t			 i, n;

	if (channels.host->kv_get(channels.ctx, SEEN_KEY, &val, NULL) < 0)
		return;
	list = get_any(val, "ids");
	n = json_object_is_type(list, json_type_array) ?
	    json_object_array_length(list) : 0;
	for (i = 0; i < n && i < SEEN_STORED; i++) {
		const char *text = json_object_get_string(
		    json_object_array_get_idx(list, i));

		inbound.seen[inbound.seen_at++] = text == NULL ? 0 :
		    strtoull(text, NULL, 16);
	}
	json_object_put(val);
}

/* The oldest is forgotten. */
static void
seen_add(uint64_t hash)
{
	inbound.seen[inbound.seen_at] = hash;
	inbound.seen_at = (inbound.seen_at + 1) % SEEN_MAX;
	if (inbound.seen_dirty || inbound.timer == NULL)
		return;
	inbound.seen_dirty = 1;
	(void)channels.host->timer_set(inbound.timer, SEEN_STORE_US);
}

static int
text_ok(const char *text, size_t max, int optional)
{
	if (text == NULL)
		return (optional);
	return (strnlen(text, max + 1) <= max && (optional || *text != '\0'));
}

static int
inbound_ok(const struct chela_inbound *in)
{
	return (text_ok(in->channel, ID_MAX, 0) &&
	    text_ok(in->account_id, ID_MAX, 0) &&
	    text_ok(in->sender_id, ID_MAX, 0) &&
	    text_ok(in->chat_id, ID_MAX, 0) &&
	    text_ok(in->message_id, ID_MAX, 0) &&
	    text_ok(in->sender_name, ID_MAX, 1) &&
	    text_ok(in->thread_id, ID_MAX, 1) &&
	    in->text != NULL && strnlen(in->text, TEXT_MAX + 1) <= TEXT_MAX &&
	    in->chat_type != NULL && (strcmp(in->chat_type, "direct") == 0 ||
	    strcmp(in->chat_type, "group") == 0 ||
	    strcmp(in->chat_type, "channel") == 0));
}

/* Copies a string behind the item and moves the place on. */
static const char *
keep(char **at, const char *text)
{
	size_t		 len;
	char		*to = *at;

	if (text == NULL)
		return (NULL);
	len = strlen(text) + 1;
	memcpy(to, text, len);
	*at += len;
	return (to);
}

static size_t
size_of(const char *text)
{
	return (text == NULL ? 0 : strlen(text) + 1);
}

static struct item *
item_new(const struct chela_inbound *in)
{
	struct item	*it;
	char		*at;

	it = malloc(sizeof *it + size_of(in->channel) +
	    size_of(in->account_id) + size_of(in->chat_type) +
	    size_of(in->sender_id) + size_of(in->sender_name) +
	    size_of(in->chat_id) + size_of(in->thread_id) +
	    size_of(in->text) + size_of(in->message_id));
	if (it == NULL)
		return (NULL);
	it->next = NULL;
	it->in = *in;
	at = (char *)(it + 1);
	it->in.channel = keep(&at, in->channel);
	it->in.account_id = keep(&at, in->account_id);
	it->in.chat_type = keep(&at, in->chat_type);
	it->in.sender_id = keep(&at, in->sender_id);
	it->in.sender_name = keep(&at, in->sender_name);
	it->in.chat_id = keep(&at, in->chat_id);
	it->in.thread_id = keep(&at, in->thread_id);
	it->in.text = keep(&at, in->text);
	it->in.message_id = keep(&at, in->message_id);
	it->in.media = json_object_get(in->media);
	return (it);
}

static void
item_free(struct item *it)
{
	if (it == NULL)
		return;
	json_object_put(it->in.media);
	free(it);
}

static struct chat *
chat_get(const char *key)
{
	struct chat	*c;

	for (c = inbound.chats; c != NULL; c = c->next) {
		if (strcmp(c->key, key) == 0)
			return (c);
	}
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return (NULL);
	(void)snprintf(c->key, sizeof c->key, "%s", key);
	c->next = inbound.chats;
	inbound.chats = c;
	return (c);
}

/* Whether what a callback brings is still wanted: not after stop(). */
static int
chat_alive(const struct chat *chat)
{
	const struct chat	*c;

	for (c = inbound.chats; c != NULL && c != chat; c = c->next)
		;
	return (c != NULL && c->now != NULL);
}

static void
chat_free(struct chat *c)
{
	struct chat	**p;
	struct item	*it;

	for (p = &inbound.chats; *p != NULL && *p != c; p = &(*p)->next)
		;
	if (*p == c)
		*p = c->next;
	while ((it = c->head) != NULL) {
		c->head = it->next;
		inbound.waiting--;
		item_free(it);
	}
	item_free(c->now);
	channels.host->timer_free(c->timer);
	free(c->reply);
	free(c);
}

/* The message that was worked on is over. */
static void
chat_done(struct chat *c)
{
	struct account	*a = account_get(c->now->in.channel,
			    c->now->in.account_id);

	if (a != NULL && a->active_runs > 0)
		a->active_runs--;
	audit_inbound(&c->now->in, c->agent_id, c->run_id, c->is_failed);
	c->is_failed = false;
	item_free(c->now);
	c->now = NULL;
	c->run_id[0] = '\0';
	free(c->reply);
	c->reply = NULL;
	c->tries = 0;
	if (c->head == NULL)
		chat_free(c);
	else
		chat_next(c);
}

static void	reply_try(struct chat *c);

static void
reply_again(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	reply_try(arg);
}

/* Only what surely was not delivered is sent again. */
static void
reply_done(const struct chela_channel_result *res, void *arg)
{
	struct chat	*c = arg;
	struct account	*a;

	if (!chat_alive(c))
		return;
	a = account_get(c->now->in.channel, c->now->in.account_id);
	if (res->status == CHELA_CHANNEL_OK ||
	    res->status == CHELA_CHANNEL_QUEUED) {
		if (a != NULL)
			a->last_outbound_ms = channels.host->wall_ms();
		audit_reply(&c->now->in, res, c->agent_id, c->run_id);
		chat_done(c);
		return;
	}
	channels.host->log(channels.ctx, CHELA_LOG_WARNING,
	    "channel %s account %s: answer not delivered, try %u (%s)",
	    c->now->in.channel, c->now->in.account_id, c->tries,
	    res->message != NULL ? res->message : "no reason given");
	if (a != NULL && res->message != NULL)
		(void)snprintf(a->error, sizeof a->error, "%s", res->message);
	if ((res->status != CHELA_CHANNEL_FAILED &&
	    res->status != CHELA_CHANNEL_OFFLINE) ||
	    c->tries >= DELIVERY_TRIES || inbound.stopping) {
		audit_reply(&c->now->in, res, c->agent_id, c->run_id);
		chat_done(c);
		return;
	}
	if (c->timer == NULL)
		c->timer = channels.host->timer_new(channels.ctx, reply_again,
		    c);
	if (c->timer == NULL)
		chat_done(c);
	else
		(void)channels.host->timer_set(c->timer,
		    DELIVERY_WAIT_US << (c->tries - 1));
}

static void
reply_try(struct chat *c)
{
	const struct chela_channel_1	*ch;
	struct chela_channel_message	 msg;
	struct chela_channel_result	 res;

	c->tries++;
	memset(&msg, 0, sizeof msg);
	msg.struct_size = sizeof msg;
	msg.flags = CHELA_SEND_REPLY;
	msg.account_id = c->now->in.account_id;
	msg.to = c->now->in.chat_id;
	msg.text = c->reply;
	msg.reply_to_id = c->now->in.message_id;
	msg.thread_id = c->now->in.thread_id;
	msg.key = c->run_id;
	msg.agent_id = c->agent_id;
	if (channel_find(c->now->in.channel, &ch) == 0 &&
	    ch->send(&msg, reply_done, c) == 0)
		return;
	memset(&res, 0, sizeof res);
	res.struct_size = sizeof res;
	res.status = CHELA_CHANNEL_FAILED;
	res.message = "the channel did not take it";
	reply_done(&res, c);
}

/* Brings text back; nothing to say ends the message at once. */
static void
reply(struct chat *c, const char *text, size_t len)
{
	free(c->reply);
	c->reply = strndup(text, len);
	if (c->reply == NULL || *c->reply == '\0' ||
	    strcmp(c->reply, SILENT) == 0) {
		chat_done(c);
		return;
	}
	reply_try(c);
}

static void
run_event(const struct chela_agent_event *ev, void *arg)
{
	static const char	 sorry[] = "The agent could not answer.";
	struct account		*a;
	struct chat		*c;

	(void)arg;
	if (ev->kind != CHELA_AGENT_FINAL && ev->kind != CHELA_AGENT_ABORTED &&
	    ev->kind != CHELA_AGENT_ERROR)
		return;
	for (c = inbound.chats; c != NULL; c = c->next) {
		if (c->now != NULL && c->reply == NULL &&
		    strcmp(c->run_id, ev->run_id) == 0)
			break;
	}
	if (c == NULL)
		return;
	a = account_get(c->now->in.channel, c->now->in.account_id);
	if (a != NULL)
		a->last_run_ms = channels.host->wall_ms();
	if (ev->kind == CHELA_AGENT_ABORTED)
		chat_done(c);
	else if (ev->kind == CHELA_AGENT_ERROR) {
		c->is_failed = true;
		reply(c, sorry, sizeof sorry - 1);
	} else if (ev->all != NULL)
		reply(c, ev->all, ev->all_len);
	else
		reply(c, ev->text != NULL ? ev->text : "", ev->text_len);
}

static const struct chela_agent_watcher watcher = {
	.struct_size = sizeof watcher,
	.event = run_event,
};

/* One name for one message, also when it is delivered again. */
static void
run_name(struct chat *c)
{
	char	text[4 * ID_MAX + 8];

	(void)snprintf(text, sizeof text, "in:%s:%s:%s:%s", c->now->in.channel,
	    c->now->in.account_id, c->now->in.chat_id,
	    c->now->in.message_id);
	if (strlen(text) > CHELA_RUN_ID_MAX)
		(void)snprintf(c->run_id, sizeof c->run_id,
		    "in:%.200s:%016llx", c->now->in.channel,
		    (unsigned long long)hash_of(text));
	else
		memcpy(c->run_id, text, strlen(text) + 1);
}

static void
run_start(struct chat *c, const char *text)
{
	const struct chela_agent_1	*runs = service(CHELA_AGENT_SERVICE);
	struct chela_agent_start	 rq;
	const char			*why = NULL;
	int				 r;

	if (runs == NULL) {
		channels.host->log(channels.ctx, CHELA_LOG_ERR,
		    "channel %s: message dropped (plugin agent is not there)",
		    c->now->in.channel);
		chat_done(c);
		return;
	}
	if (inbound.runs != runs && runs->watch(&watcher, NULL) == 0)
		inbound.runs = runs;
	run_name(c);
	memset(&rq, 0, sizeof rq);
	rq.struct_size = sizeof rq;
	rq.run_id = c->run_id;
	rq.session_key = c->key;
	rq.message = text;
	rq.attachments = c->now->in.media;
	rq.queue_mode = CHELA_QUEUE_FOLLOWUP;
	rq.channel = c->now->in.channel;
	rq.to = c->now->in.chat_id;
	rq.account_id = c->now->in.account_id;
	rq.thread_id = c->now->in.thread_id;
	r = runs->start(&rq, &why);
	if (r >= 0)
		return;
	if (r == -EALREADY) {		/* answered before this process */
		chat_done(c);
		return;
	}
	channels.host->log(channels.ctx, CHELA_LOG_WARNING,
	    "channel %s: no run for a message (%s)", c->now->in.channel,
	    why != NULL ? why : strerror(-r));
	reply(c, "The agent is busy. Try again later.",
	    strlen("The agent is busy. Try again later."));
}

static void
command_done(int r, const struct chela_command_answer *answer, void *arg)
{
	struct chat	*c = arg;

	(void)r;
	if (!chat_alive(c))
		return;
	if (answer->forward != NULL)
		run_start(c, answer->forward);
	else
		reply(c, answer->text, strlen(answer->text));
}

/* Who was let in may use and change the own conversation, no more. */
static int
sender_scope(const char *scope, void *arg)
{
	(void)arg;
	return (strcmp(scope, "read") == 0 || strcmp(scope, "write") == 0);
}

/* Returns 1 when the message was a command. */
static int
command_try(struct chat *c)
{
	const struct chela_commands_1	*svc = service(CHELA_COMMANDS_SERVICE);
	const struct chela_command	*command;
	struct chela_command_run	 who;
	const char			*args = NULL;

	if (svc == NULL)
		return (0);
	command = svc->find(c->now->in.text, &args);
	if (command == NULL)
		return (0);
	memset(&who, 0, sizeof who);
	who.struct_size = sizeof who;
	who.session_key = c->key;
	who.agent_id = c->agent_id;
	who.sender = c->now->in.sender_id;
	who.channel = c->now->in.channel;
	who.has_scope = sender_scope;
	return (svc->run(command, &who, args, command_done, c) == 0);
}

static void
chat_next(struct chat *c)
{
	struct account	*a;

	c->now = c->head;
	c->head = c->now->next;
	if (c->head == NULL)
		c->tail = NULL;
	c->n--;
	inbound.waiting--;
	a = account_get(c->now->in.channel, c->now->in.account_id);
	if (a != NULL)
		a->active_runs++;
	if (!command_try(c))
		run_start(c, c->now->in.text);
}

static int
key_make(const struct chela_inbound *in, const char *agent_id, char *ret)
{
	const struct chela_sessions_1	*sessions;
	char				 key[CHELA_SESSION_KEY_MAX + 1];
	int				 is_direct, n, r;

	is_direct = strcmp(in->chat_type, "direct") == 0;
	r = session_key(in->channel, in->account_id, in->chat_type,
	    is_direct ? in->sender_id : in->chat_id, agent_id, key,
	    sizeof key);
	if (r < 0)
		return (r);
	if (!is_direct && in->thread_id != NULL && *in->thread_id != '\0' &&
	    strchr(in->thread_id, ':') == NULL) {
		n = (int)strlen(key);
		r = snprintf(key + n, sizeof key - (size_t)n, ":thread:%s",
		    in->thread_id);
		if (r < 0 || (size_t)r >= sizeof key - (size_t)n)
			return (-ENAMETOOLONG);
	}
	sessions = service(CHELA_SESSIONS_SERVICE);
	if (sessions != NULL)
		return (sessions->canonical(key, NULL, ret));
	(void)snprintf(ret, CHELA_SESSION_KEY_MAX + 1, "%s", key);
	return (0);
}

/* Puts an allowed message behind the others of its chat. */
static int
enqueue(const struct chela_inbound *in)
{
	struct chat	*c;
	struct item	*it;
	char		 agent_id[CHELA_AGENT_ID_MAX + 1];
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	int		 r;

	if (inbound.waiting >= WAITING_MAX || inbound.stopping)
		return (-ENOBUFS);
	bound_agent(in, agent_id);
	r = key_make(in, agent_id, key);
	if (r < 0)
		return (-EINVAL);
	c = chat_get(key);
	if (c == NULL)
		return (-ENOBUFS);
	if (c->n >= CHAT_WAITING_MAX)
		return (-ENOBUFS);
	it = item_new(in);
	if (it == NULL) {
		if (c->now == NULL && c->head == NULL)
			chat_free(c);
		return (-ENOBUFS);
	}
	(void)snprintf(c->agent_id, sizeof c->agent_id, "%s", agent_id);
	if (c->tail != NULL)
		c->tail->next = it;
	else
		c->head = it;
	c->tail = it;
	c->n++;
	inbound.waiting++;
	if (c->now == NULL)
		chat_next(c);
	return (1);
}

int
inbound_take(const struct chela_inbound *in)
{
	const struct chela_channel_1	*ch;
	struct account			*a;
	uint64_t			 id;
	int				 r;

	if (!inbound_ok(in) || channel_find(in->channel, &ch) < 0)
		return (-EINVAL);
	id = seen_hash(in);
	if (seen_before(id))
		return (0);
	a = account_get(in->channel, in->account_id);
	if (a != NULL)
		a->last_inbound_ms = channels.host->wall_ms();
	r = policy_check(in);
	if (r == POLICY_YES) {
		r = enqueue(in);
		if (r < 0)
			return (r);
		seen_add(id);
		return (1);
	}
	seen_add(id);
	if (r == POLICY_PAIR)
		pairing_challenge(ch, in);
	return (0);
}

void
inbound_start(void)
{
	memset(&inbound, 0, sizeof inbound);
	seen_load();
	inbound.timer = channels.host->timer_new(channels.ctx, seen_store,
	    NULL);
}

void
inbound_stop(void)
{
	inbound.stopping = 1;
	if (inbound.seen_dirty)
		seen_store(channels.ctx, NULL);
	channels.host->timer_free(inbound.timer);
	inbound.timer = NULL;
	if (inbound.runs != NULL &&
	    service(CHELA_AGENT_SERVICE) == inbound.runs)
		inbound.runs->unwatch(&watcher, NULL);
	inbound.runs = NULL;
	while (inbound.chats != NULL)
		chat_free(inbound.chats);
}
