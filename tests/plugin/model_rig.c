/* SPDX-License-Identifier: MIT */
#include "tests/plugin/model_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
on_request(struct server_conn *c, const struct server_rq *rq, void *arg)
{
	struct rig	*rig = arg;

	free(rig->head);
	free(rig->path);
	json_object_put(rig->body);
	rig->head = strdup(rq->head);
	rig->path = strdup(rq->path);
	rig->body = json_tokener_parse(rq->body);
	rig->script(rig, c, rq);
}

static void
on_text(const char *delta, size_t len, void *arg)
{
	struct rig	*rig = arg;

	if (len == 0 || rig->n_done > 0)
		abort();
	(void)buf_add(&rig->text, delta, len);
	if (++rig->n_deltas == rig->cancel_at)
		rig->driver->cancel(rig->call);
}

static void
on_thinking(const char *delta, size_t len, void *arg)
{
	struct rig	*rig = arg;

	if (len == 0 || rig->n_done > 0)
		abort();
	(void)buf_add(&rig->thinking, delta, len);
}

static void
on_tool_call(const char *id, const char *name, const char *arguments, void *arg)
{
	struct rig	*rig = arg;

	if (rig->n_done > 0)
		abort();
	(void)buf_printf(&rig->tool_calls, "%s %s %s\n", id, name, arguments);
}

static void
on_done(const struct chela_model_result *res, void *arg)
{
	struct rig	*rig = arg;

	rig->n_done++;
	rig->res = *res;
	(void)snprintf(rig->stop_reason, sizeof rig->stop_reason, "%s",
	    res->stop_reason != NULL ? res->stop_reason : "");
	(void)snprintf(rig->message, sizeof rig->message, "%s",
	    res->message != NULL ? res->message : "");
	(void)snprintf(rig->id, sizeof rig->id, "%s",
	    res->response_id != NULL ? res->response_id : "");
}

static const struct chela_model_handler handler = {
	.struct_size = sizeof handler,
	.text = on_text, .thinking = on_thinking,
	.tool_call = on_tool_call, .done = on_done,
};

void
rig_up(struct rig *rig, const char *plugin, bool with_server)
{
	memset(rig, 0, sizeof *rig);
	rig->f = fake_new();
	if ((with_server && fake_load(rig->f, "http") < 0) ||
	    fake_load(rig->f, plugin) < 0 || fake_start(rig->f) < 0)
		abort();
	rig->driver = fake_import(rig->f, CHELA_MODEL_SERVICE);
	if (rig->driver == NULL)
		abort();
	if (with_server)
		rig->server = server_new(fake_loop(rig->f), on_request, rig);
	rig->script = rig_say_stream;
	rig->conf = "\"apiKey\":\"key-0123456789\"";
	rig->messages = "[{\"role\":\"user\",\"content\":\"hi\"}]";
	rig->rq.model = "m";
	rig->rq.provider = "p";
}

void
rig_down(struct rig *rig)
{
	server_free(rig->server);
	fake_free(rig->f);
	free(rig->head);
	free(rig->path);
	json_object_put(rig->body);
	json_object_put(rig->list);
	buf_fini(&rig->text);
	buf_fini(&rig->thinking);
	buf_fini(&rig->tool_calls);
}

static struct json_object *
rig_conf(struct rig *rig)
{
	struct json_object	*o;
	char			*text;

	if (asprintf(&text, "{\"baseUrl\":\"%s%s\"%s%s}",
	    rig->base != NULL ? "" : rig->server != NULL ?
	    server_url(rig->server) : "", rig->base != NULL ? rig->base : "/v1",
	    *rig->conf != '\0' ? "," : "", rig->conf) < 0)
		abort();
	o = json_tokener_parse(text);
	if (o == NULL) {
		(void)fprintf(stderr, "bad configuration: %s\n", text);
		abort();
	}
	free(text);
	return (o);
}

int
rig_start(struct rig *rig)
{
	struct json_object	*conf = rig_conf(rig);
	int			 r;

	buf_reset(&rig->text);
	buf_reset(&rig->thinking);
	buf_reset(&rig->tool_calls);
	rig->n_done = rig->n_deltas = 0;
	rig->rq.struct_size = sizeof rig->rq;
	rig->rq.provider_conf = conf;
	rig->rq.messages = json_tokener_parse(rig->messages);
	rig->rq.tools = rig->tools != NULL ? json_tokener_parse(rig->tools) :
	    NULL;
	r = rig->driver->start(&rig->rq, &handler, rig, &rig->call);
	if (rig->n_done != 0)
		abort();	/* never from within start() */
	/* It must have copied what it needs. */
	json_object_put(rig->rq.messages);
	json_object_put(rig->rq.tools);
	json_object_put(conf);
	return (r);
}

bool
rig_is_done(void *rig)
{
	return (((struct rig *)rig)->n_done > 0);
}

bool
rig_has_text(void *rig)
{
	return (((struct rig *)rig)->n_deltas > 0);
}

void
rig_run(struct rig *rig)
{
	int	 r;

	r = rig_start(rig);
	if (r < 0) {
		(void)fprintf(stderr, "start: %s\n", strerror(-r));
		abort();
	}
	if (fake_wait(rig->f, rig_is_done, rig) < 0) {
		(void)fprintf(stderr, "no end\n");
		abort();
	}
}

static void
on_list(int r, struct json_object *models, void *arg)
{
	struct rig	*rig = arg;

	rig->n_done++;
	rig->list_r = r;
	json_object_put(rig->list);
	rig->list = json_object_get(models);
}

void
rig_list(struct rig *rig)
{
	struct json_object	*conf = rig_conf(rig);

	rig->n_done = 0;
	if (rig->driver->list("p", conf, on_list, rig) < 0 ||
	    rig->n_done != 0 || fake_wait(rig->f, rig_is_done, rig) < 0)
		abort();
	json_object_put(conf);
}

static const char *
str_of(struct buf *b)
{
	if (buf_putc(b, '\0') < 0)
		abort();
	b->len--;
	return (b->data);
}

const char *
rig_text(struct rig *rig)
{
	return (str_of(&rig->text));
}

const char *
rig_thinking(struct rig *rig)
{
	return (str_of(&rig->thinking));
}

const char *
rig_tools(struct rig *rig)
{
	return (str_of(&rig->tool_calls));
}

void
rig_say_and_stall(struct rig *rig, struct server_conn *c,
    const struct server_rq *rq)
{
	(void)rq;
	server_stream(c, "text/event-stream");
	if (rig->piece == 0)
		server_say(c, rig->stream);
	else
		server_trickle(c, rig->stream, strlen(rig->stream), rig->piece);
}

void
rig_say_stream(struct rig *rig, struct server_conn *c,
    const struct server_rq *rq)
{
	rig_say_and_stall(rig, c, rq);
	server_end(c);
}

void
rig_say_nothing(struct rig *rig, struct server_conn *c,
    const struct server_rq *rq)
{
	(void)rig;
	(void)c;
	(void)rq;
}
