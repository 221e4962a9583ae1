/* SPDX-License-Identifier: MIT */
/* chela chat: one message, or a conversation a line at a time. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/client/chela.h"
#include "core/json/json.h"

#define LINE_MAX_BYTES	MIB(1)	/* of a message that is typed */
#define SESSION_DEFAULT	"main"
#define UUID_SIZE	37u

/*
 * One command. A run starts with chat.send and ends with exactly one of final,
 * aborted or error; its events may come before the answer to the call.
 */
struct chat {
	struct app	*app;
	const char	*session;
	struct event	*on_int;	/* SIGINT */
	struct event	*on_line;	/* NULL: standard input is no stream */
	struct buf	 line;
	bool		 is_ended;	/* of standard input */

	char		 run_id[UUID_SIZE];
	bool		 is_running;
	bool		 is_aborting;
	bool		 is_interrupted;	/* twice: leave at once */
	struct buf	 shown;		/* text printed of this answer */
	int		 code;		/* of the last run */
	struct json_object *last;	/* its last event, for --json */
};

static void
make_uuid(char out[UUID_SIZE])
{
	unsigned char	 u[16];
	unsigned	 i, n = 0;

	if (getrandom(u, sizeof u, 0) != (ssize_t)sizeof u)
		abort();
	u[6] = (unsigned char)((u[6] & 0x0f) | 0x40);
	u[8] = (unsigned char)((u[8] & 0x3f) | 0x80);
	for (i = 0; i < sizeof u; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[n++] = '-';
		(void)snprintf(out + n, 3, "%02x", u[i]);
		n += 2;
	}
}

static void
show(struct chat *ch, const char *text)
{
	if (!ch->app->is_json) {
		out_text(stdout, text, strlen(text), "\n\t");
		(void)fflush(stdout);
	}
	(void)buf_puts(&ch->shown, text);
}

/* The text of an assistant's message: its parts of type text, joined. */
static void
message_text(struct json_object *message, struct buf *out)
{
	struct json_object	*content = json_get(message, "content"), *part;
	size_t			 i;

	if (json_object_is_type(content, json_type_string))
		(void)buf_puts(out, json_object_get_string(content));
	if (json_object_is_type(content, json_type_array)) {
		for (i = 0; i < json_object_array_length(content); i++) {
			part = json_object_array_get_idx(content, i);
			if (strcmp(text_of(part, "type"), "text") == 0)
				(void)buf_puts(out, text_of(part, "text"));
		}
	}
	(void)buf_putc(out, '\0');
}

static void
chat_delta(struct chat *ch, struct json_object *e)
{
	const char	*text = text_of(e, "deltaText");

	if (json_get_bool(e, "replace", false)) {
		/* What was printed stays; the new text starts below it. */
		if (ch->shown.len > 0 && !ch->app->is_json)
			(void)putchar('\n');
		buf_reset(&ch->shown);
	}
	show(ch, text);
}

/* What the last message has beyond what was streamed. */
static void
chat_rest(struct chat *ch, struct json_object *e)
{
	struct buf	 b = BUF_INIT;

	message_text(json_get_obj(e, "message"), &b);
	if (b.len > 1 && b.len - 1 > ch->shown.len &&
	    (ch->shown.len == 0 || memcmp(b.data, ch->shown.data,
	    ch->shown.len) == 0))
		show(ch, b.data + ch->shown.len);
	buf_fini(&b);
}

static void
chat_end_line(struct chat *ch)
{
	if (!ch->app->is_json && ch->shown.len > 0 &&
	    ch->shown.data[ch->shown.len - 1] != '\n')
		(void)putchar('\n');
	(void)fflush(stdout);
	buf_reset(&ch->shown);
}

static void
chat_end(struct chat *ch, struct json_object *e, int code)
{
	ch->is_running = false;
	ch->code = code;
	json_object_put(ch->last);
	ch->last = json_object_get(e);
	chat_end_line(ch);
}

static void
chat_on_event(struct chela_client *c, const struct chela_client_event *e,
    void *arg)
{
	struct chat	*ch = arg;
	const char	*state;

	(void)c;
	if (strcmp(e->name, "chat") != 0 || !ch->is_running ||
	    strcmp(text_of(e->data, "runId"), ch->run_id) != 0)
		return;
	state = text_of(e->data, "state");
	if (strcmp(state, "delta") == 0) {
		chat_delta(ch, e->data);
	} else if (strcmp(state, "final") == 0) {
		chat_rest(ch, e->data);
		chat_end(ch, e->data, EXIT_OK);
	} else if (strcmp(state, "aborted") == 0) {
		chat_end(ch, e->data, ch->is_aborting ? EXIT_INTERRUPTED :
		    EXIT_REFUSED);
		if (!ch->app->is_quiet)
			app_say("the answer was stopped");
	} else if (strcmp(state, "error") == 0) {
		chat_end(ch, e->data, EXIT_REFUSED);
		app_say("no answer: %s", *text_of(e->data, "errorMessage") !=
		    '\0' ? text_of(e->data, "errorMessage") :
		    "the gateway did not say why");
	}
}

/* --- running --- */

static void
chat_on_int(evutil_socket_t fd, short what, void *arg)
{
	struct chat		*ch = arg;
	struct json_object	*p;

	(void)fd;
	(void)what;
	if (!ch->is_running || ch->is_aborting) {
		ch->is_interrupted = true;
		return;
	}
	ch->is_aborting = true;
	p = params_of("sessionKey", ch->session, "runId", ch->run_id, NULL);
	/* Only the aborted event tells; an error here leaves the second Ctrl-C. */
	(void)chela_client_call(ch->app->client, "chat.abort", p, 0, 0, NULL,
	    NULL, NULL);
}

static int
chat_is_over(void *arg)
{
	struct chat	*ch = arg;

	return (!ch->is_running || ch->is_interrupted ||
	    chela_client_get_state(ch->app->client) != CHELA_CLIENT_READY);
}

static void
chat_on_reply(struct chela_client *c, const struct chela_client_reply *reply,
    void *arg)
{
	struct chat	*ch = arg;

	(void)c;
	if (!ch->is_running)
		return;
	if (reply->status == -ECONNRESET)
		return;			/* chat_is_over() sees to it */
	if (reply->status != 0) {
		ch->is_running = false;
		ch->code = app_failed(ch->app, "chat.send", reply->error);
		return;
	}
	if (json_has(reply->result, "aborted")) {
		/* The text was a word like /stop: it started nothing. */
		chat_end(ch, reply->result, EXIT_OK);
		if (!ch->app->is_quiet)
			app_say(json_get_bool(reply->result, "aborted", false) ?
			    "stopped" : "nothing was running");
	} else if (strcmp(text_of(reply->result, "status"), "ok") == 0) {
		chat_end(ch, reply->result, EXIT_OK);
	}
}

/* Sends a message and waits for the end of its run. */
static int
chat_say(struct chat *ch, const char *text)
{
	struct json_object	*p;
	int			 r;

	make_uuid(ch->run_id);
	buf_reset(&ch->shown);
	ch->is_aborting = false;
	p = params_of("sessionKey", ch->session, "message", text,
	    "idempotencyKey", ch->run_id, "agentId", ch->app->agent, NULL);
	r = chela_client_call(ch->app->client, "chat.send", p, 0, 0,
	    chat_on_reply, ch, NULL);
	if (r < 0) {
		app_say("chat.send: %s", r == -EMSGSIZE ?
		    "the message is longer than the gateway accepts" :
		    "the message could not be sent");
		return (EXIT_UNREACHED);
	}
	ch->is_running = true;
	(void)chela_client_run_until(ch->app->client, chat_is_over, ch,
	    UINT32_MAX);
	chat_end_line(ch);
	if (ch->is_interrupted)
		return (EXIT_INTERRUPTED);
	if (ch->is_running) {
		ch->is_running = false;
		return (app_failed(ch->app, "chat",
		    chela_client_last_error(ch->app->client)));
	}
	if (ch->app->is_json && ch->last != NULL) {
		out_json(ch->last);
		(void)fflush(stdout);
	}
	return (ch->code);
}

/* --- lines --- */

static void
chat_on_input(evutil_socket_t fd, short what, void *arg)
{
	struct chat	*ch = arg;
	char		 chunk[4096];
	ssize_t		 n;

	(void)what;
	n = read((int)fd, chunk, sizeof chunk);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		ch->is_ended = true;
		if (ch->on_line != NULL)
			(void)event_del(ch->on_line);
		return;
	}
	if (ch->line.len + (size_t)n > LINE_MAX_BYTES ||
	    buf_add(&ch->line, chunk, (size_t)n) < 0)
		ch->is_ended = true;
}

static bool
chat_has_line(const struct chat *ch)
{
	return (ch->line.len > 0 &&
	    memchr(ch->line.data, '\n', ch->line.len) != NULL);
}

static int
chat_has_input(void *arg)
{
	struct chat	*ch = arg;

	return (chat_has_line(ch) || ch->is_ended || ch->is_interrupted ||
	    chela_client_get_state(ch->app->client) == CHELA_CLIENT_ENDED);
}

/* Gives the next line without its end, or NULL when there is none. */
static char *
chat_next_line(struct chat *ch)
{
	char	*end, *line;
	size_t	 n;

	while (!chat_has_input(ch)) {
		/* The base is turned meanwhile: pings want their answers. */
		if (ch->on_line != NULL)
			(void)chela_client_run_until(ch->app->client,
			    chat_has_input, ch, UINT32_MAX);
		else
			chat_on_input(STDIN_FILENO, 0, ch);
	}
	if (ch->is_interrupted || (!chat_has_line(ch) && ch->line.len == 0))
		return (NULL);
	end = memchr(ch->line.data, '\n', ch->line.len);
	if (end == NULL && !ch->is_ended)
		return (NULL);
	n = end != NULL ? (size_t)(end - ch->line.data) : ch->line.len;
	line = strndup(ch->line.data, n);
	buf_drop(&ch->line, end != NULL ? n + 1 : n);
	if (line != NULL && n > 0 && line[n - 1] == '\r')
		line[n - 1] = '\0';
	return (line);
}

static int
chat_lines(struct chat *ch)
{
	bool	 is_tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	char	*line;
	int	 code = EXIT_OK;

	/* A regular file cannot be waited for; it is simply read. */
	ch->on_line = event_new(chela_client_base(ch->app->client),
	    STDIN_FILENO, EV_READ | EV_PERSIST, chat_on_input, ch);
	if (ch->on_line != NULL && event_add(ch->on_line, NULL) < 0) {
		event_free(ch->on_line);
		ch->on_line = NULL;
	}
	if (is_tty && !ch->app->is_quiet)
		app_say("session %s; /quit or Ctrl-D leaves, Ctrl-C stops an "
		    "answer", ch->session);
	for (;;) {
		if (is_tty) {
			(void)fputs("> ", stdout);
			(void)fflush(stdout);
		}
		line = chat_next_line(ch);
		if (line == NULL || strcmp(line, "/quit") == 0 ||
		    strcmp(line, "/exit") == 0)
			break;
		if (line[strspn(line, " \t")] != '\0')
			code = chat_say(ch, line);
		free(line);
		line = NULL;
		if (code == EXIT_UNREACHED || ch->is_interrupted)
			break;
	}
	free(line);
	if (is_tty)
		(void)putchar('\n');
	if (ch->on_line != NULL)
		event_free(ch->on_line);
	if (ch->is_interrupted)
		return (EXIT_INTERRUPTED);
	if (chela_client_get_state(ch->app->client) == CHELA_CLIENT_ENDED &&
	    code != EXIT_UNREACHED)
		code = app_failed(ch->app, "chat",
		    chela_client_last_error(ch->app->client));
	return (code);
}

int
cmd_chat(struct app *a, int argc, char **argv)
{
	struct chat	 ch = {
		.app = a,
		.session = a->session != NULL ? a->session : SESSION_DEFAULT,
	};
	struct buf	 text = BUF_INIT;
	int		 r, i;

	for (i = 0; i < argc; i++)
		(void)buf_printf(&text, "%s%s", i > 0 ? " " : "", argv[i]);
	(void)buf_putc(&text, '\0');

	a->on_event = chat_on_event;
	a->event_arg = &ch;
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		goto out;
	ch.on_int = evsignal_new(chela_client_base(a->client), SIGINT,
	    chat_on_int, &ch);
	if (ch.on_int != NULL)
		(void)event_add(ch.on_int, NULL);
	r = argc > 0 ? chat_say(&ch, text.data) : chat_lines(&ch);
	if (ch.on_int != NULL)
		event_free(ch.on_int);
out:
	buf_fini(&text);
	buf_fini(&ch.line);
	buf_fini(&ch.shown);
	json_object_put(ch.last);
	a->on_event = NULL;
	return (r);
}
