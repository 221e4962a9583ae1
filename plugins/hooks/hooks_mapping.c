/* SPDX-License-Identifier: MIT */
/*
 * From a request to actions by the configured mappings: the first one that
 * matches is applied, to the whole payload or to each item of one of its lists.
 * A mapping may hand its work to a program, which gets the request as JSON on
 * its standard input and says in JSON on its standard output what to change.
 *
 * An action is an object: {kind: "agent", message, name, ...} or {kind: "wake",
 * text, mode, ...}.
 */
#include "hooks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hooks_template.h"

struct mapping_job {
	struct json_object	*mapping;	/* counted */
	struct json_object	*payload;	/* of this item; counted */
	struct json_object	*headers;
	struct json_object	*query;
	char			*path;
	struct json_object	*items;		/* of a batch, else NULL */
	const char		*each;		/* of mapping; NULL: no batch */
	size_t			 n_items;
	size_t			 next;
	size_t			 dropped;
	size_t			 bytes;		/* of all texts */
	struct json_object	*actions;
	struct json_object	*base;		/* waits for the program */
	struct chela_process	*process;
	mapping_done_fn		*done;
	void			*arg;
	char			 now[32];
};

static void	job_run(struct mapping_job *job);

static void
job_free(struct mapping_job *job)
{
	json_object_put(job->mapping);
	json_object_put(job->payload);
	json_object_put(job->headers);
	json_object_put(job->query);
	json_object_put(job->items);
	json_object_put(job->actions);
	json_object_put(job->base);
	free(job->path);
	free(job);
}

static void
job_end(struct mapping_job *job, uint32_t status, const char *error)
{
	job->done(status == 0 ? job->actions : NULL, job->each != NULL,
	    job->dropped, status, error, job->arg);
	job_free(job);
}

/* A path without slashes around it: where it begins, and its length. */
static const char *
bare(const char *s, size_t *ret_len)
{
	size_t	 len;

	while (*s == '/' || *s == ' ' || *s == '\t')
		s++;
	len = strlen(s);
	while (len > 0 && strchr("/ \t", s[len - 1]) != NULL)
		len--;
	*ret_len = len;
	return (s);
}

static bool
matches(struct json_object *m, const struct mapping_input *in)
{
	struct json_object	*match = get_any(m, "match");
	const char		*want = get_str(match, "path"), *have;
	char			*source;
	size_t			 n, k;
	bool			 ok;

	if (want != NULL && !is_blank(want)) {
		want = bare(want, &n);
		have = bare(in->path, &k);
		if (n != k || memcmp(want, have, n) != 0)
			return (false);
	}
	source = obj_trimmed(match, "source");
	if (source == NULL)
		return (true);
	have = get_str(in->payload, "source");
	ok = have != NULL && strcmp(have, source) == 0;
	free(source);
	return (ok);
}

struct json_object *
mapping_find(struct json_object *mappings, const struct mapping_input *in)
{
	struct json_object	*m;
	size_t			 i;

	for (i = 0; mappings != NULL &&
	    i < json_object_array_length(mappings); i++) {
		m = json_object_array_get_idx(mappings, i);
		if (matches(m, in))
			return (m);
	}
	return (NULL);
}

/* Renders a text of the mapping into the action; empty ones only on demand. */
static int
put_text(struct mapping_job *job, struct json_object *action,
    const char *from, const char *to, bool is_optional)
{
	struct template_input	 in = { job->payload, job->headers,
				    job->query, job->path, job->now };
	const char		*s = get_str(job->mapping, from);
	char			*text, *bare_text;
	int			 r;

	if (s == NULL && is_optional)
		return (0);
	r = template_render(s == NULL ? "" : s, &in, &text);
	if (r < 0)
		return (r);
	if (is_optional) {
		bare_text = trimmed(text);
		free(text);
		text = bare_text;
		if (text == NULL)
			return (0);
	}
	job->bytes += strlen(text);
	r = job->bytes > HOOKS_BATCH_BYTES ? -EMSGSIZE :
	    obj_add_str(action, to, text);
	free(text);
	return (r);
}

static int
put_same(struct mapping_job *job, struct json_object *action,
    const char *const *names, size_t n)
{
	struct json_object	*v;
	size_t			 i;

	for (i = 0; i < n; i++) {
		v = get_any(job->mapping, names[i]);
		if (v != NULL && obj_add(action, names[i],
		    json_object_get(v)) < 0)
			return (-ENOMEM);
	}
	return (0);
}

/* The action that the mapping itself describes. */
static int
action_base(struct mapping_job *job, struct json_object *a)
{
	static const char *const same_agent[] = { "agentId", "wakeMode",
		"sessionMode", "deliver", "allowUnsafeExternalContent",
		"channel", "timeoutSeconds" };
	static const char *const same_wake[] = { "agentId" };
	static const char *const texts[] = { "name", "to", "model",
		"thinking" };
	const char	*kind = get_str(job->mapping, "action");
	const char	*key = get_str(job->mapping, "sessionKey");
	const char	*mode;
	size_t		 i;
	int		 r;

	if (kind == NULL)
		kind = "agent";
	r = obj_add_str(a, "kind", kind);
	if (r == 0 && key != NULL && !is_blank(key))
		r = obj_add_str(a, "sessionKeySource",
		    template_has_places(key) ? "templated" : "static");
	if (r == 0)
		r = put_text(job, a, "sessionKey", "sessionKey", true);
	if (r < 0)
		return (r);
	if (strcmp(kind, "wake") == 0) {
		mode = get_str(job->mapping, "wakeMode");
		r = put_text(job, a, "textTemplate", "text", false);
		if (r == 0)
			r = obj_add_str(a, "mode", mode != NULL ? mode : "now");
		return (r < 0 ? r : put_same(job, a, same_wake, 1));
	}
	r = put_text(job, a, "messageTemplate", "message", false);
	for (i = 0; r == 0 && i < sizeof texts / sizeof texts[0]; i++)
		r = put_text(job, a, texts[i], texts[i], true);
	return (r < 0 ? r : put_same(job, a, same_agent,
	    sizeof same_agent / sizeof same_agent[0]));
}

/* What a program said, over what the mapping says. */
static int
action_merge(struct json_object *a, struct json_object *over)
{
	static const struct {
		const char		*name;
		enum json_type		 type;
	} members[] = {
		{ "kind", json_type_string }, { "message", json_type_string },
		{ "text", json_type_string }, { "mode", json_type_string },
		{ "wakeMode", json_type_string }, { "name", json_type_string },
		{ "agentId", json_type_string },
		{ "sessionMode", json_type_string },
		{ "deliver", json_type_boolean },
		{ "allowUnsafeExternalContent", json_type_boolean },
		{ "channel", json_type_string }, { "to", json_type_string },
		{ "model", json_type_string },
		{ "thinking", json_type_string },
		{ "timeoutSeconds", json_type_int },
	};
	struct json_object	*v;
	const char		*s;
	size_t			 i;

	for (i = 0; i < sizeof members / sizeof members[0]; i++) {
		v = get_any(over, members[i].name);
		if (json_object_is_type(v, members[i].type) &&
		    obj_add(a, members[i].name, json_object_get(v)) < 0)
			return (-ENOMEM);
	}
	v = get_any(over, "sessionKey");
	if (!json_object_is_type(v, json_type_string))
		return (0);
	/* A program's key comes from the payload unless it says otherwise. */
	s = get_str(over, "sessionKeySource");
	if (obj_add(a, "sessionKey", json_object_get(v)) < 0)
		return (-ENOMEM);
	if (is_blank(json_object_get_string(v))) {
		json_object_object_del(a, "sessionKey");
		json_object_object_del(a, "sessionKeySource");
		return (0);
	}
	return (obj_add_str(a, "sessionKeySource", s != NULL &&
	    strcmp(s, "static") == 0 ? "static" : "templated"));
}

static bool
is_text(struct json_object *o, const char *key)
{
	const char	*s = get_str(o, key);

	return (s != NULL && !is_blank(s));
}

/* A sentence about what is wrong with an action, or NULL. */
static const char *
action_problem(struct json_object *a)
{
	const char	*source = get_str(a, "sessionKeySource");
	const char	*mode = get_str(a, "mode");
	const char	*session = get_str(a, "sessionMode");

	if (source != NULL && strcmp(source, "templated") == 0 &&
	    !is_text(a, "sessionKey"))
		return ("hook mapping sessionKey template rendered empty");
	if (strcmp(get_str(a, "kind"), "wake") == 0) {
		if (!is_text(a, "text"))
			return ("hook mapping requires text");
		if (mode != NULL && strcmp(mode, "next-heartbeat") == 0 &&
		    is_text(a, "sessionKey"))
			return ("hook mapping sessionKey requires "
			    "wakeMode=now");
		return (NULL);
	}
	if (!is_text(a, "message"))
		return ("hook mapping requires message");
	if (session != NULL && strcmp(session, "isolated") != 0 &&
	    strcmp(session, "persistent") != 0)
		return ("hook mapping sessionMode must be isolated or "
		    "persistent");
	return (NULL);
}

/* Takes a; false: the job has ended. */
static bool
job_take(struct mapping_job *job, struct json_object *a)
{
	const char	*why = action_problem(a);

	if (why == NULL && json_object_array_add(job->actions, a) < 0) {
		json_object_put(a);
		job_end(job, 500, "hook mapping failed");
		return (false);
	}
	if (why != NULL) {
		json_object_put(a);
		job_end(job, 400, why);
		return (false);
	}
	return (true);
}

static void
job_failed(struct mapping_job *job, const char *why)
{
	hooks.host->log(hooks.ctx, CHELA_LOG_WARNING,
	    "hook mapping failed: %s", why);
	job_end(job, 500, "hook mapping failed");
}

static void
program_done(struct chela_process *p, const struct chela_process_result *res,
    void *arg)
{
	struct mapping_job	*job = arg;
	struct json_object	*a = job->base, *over;
	struct json_tokener	*tok;
	enum json_tokener_error	 e;
	size_t			 end;

	(void)p;
	job->process = NULL;
	if (res->error != 0 || res->exit_code != 0 || res->flags != 0) {
		job_failed(job, res->error != 0 ?
		    "its program could not be started" :
		    res->flags & CHELA_PROCESS_TIMED_OUT ?
		    "its program took too long" :
		    res->flags & CHELA_PROCESS_OVERFLOW ?
		    "its program said too much" : "its program failed");
		return;
	}
	tok = json_tokener_new_ex(HOOKS_JSON_DEPTH);
	if (tok == NULL) {
		job_failed(job, "out of memory");
		return;
	}
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
	    JSON_TOKENER_VALIDATE_UTF8);
	over = json_tokener_parse_ex(tok, res->out, (int)res->out_len);
	e = json_tokener_get_error(tok);
	end = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	for (; e == json_tokener_success && end < res->out_len; end++) {
		if (strchr(" \t\r\n", res->out[end]) == NULL)
			e = json_tokener_error_parse_unexpected;
	}
	if (e != json_tokener_success || (over != NULL &&
	    !json_object_is_type(over, json_type_object))) {
		json_object_put(over);
		job_failed(job, "its program said neither an object nor null");
		return;
	}
	job->base = NULL;
	if (over == NULL) {	/* null: nothing is to be done */
		json_object_put(a);
		job_run(job);
		return;
	}
	if (action_merge(a, over) < 0) {
		json_object_put(a);
		json_object_put(over);
		job_failed(job, "out of memory");
		return;
	}
	json_object_put(over);
	if (job_take(job, a))
		job_run(job);
}

static const struct chela_process_handler program_handler = {
	.struct_size = sizeof program_handler,
	.done = program_done,
};

/* NULL, or why the program could not be asked. */
static const char *
program_start(struct mapping_job *job, struct json_object *command)
{
	const struct chela_process_1	*process;
	struct chela_process_request	 rq = { .struct_size = sizeof rq };
	const char			*argv[64];
	struct json_object		*in;
	const char			*text;
	size_t				 i, n;
	int				 r = -ENOMEM;

	process = hooks_service(CHELA_PROCESS_SERVICE);
	if (process == NULL)
		return ("no plugin starts programs");
	n = json_object_array_length(command);
	if (n == 0 || n >= sizeof argv / sizeof argv[0])
		return ("transform.command is empty or too long");
	for (i = 0; i < n; i++)
		argv[i] = json_object_get_string(
		    json_object_array_get_idx(command, i));
	argv[n] = NULL;
	if (argv[0] == NULL || argv[0][0] != '/')
		return ("transform.command must begin with an absolute path");
	in = json_object_new_object();
	if (in != NULL && obj_add(in, "payload",
	    json_object_get(job->payload)) == 0 && obj_add(in, "headers",
	    json_object_get(job->headers)) == 0 && obj_add(in, "query",
	    json_object_get(job->query)) == 0 &&
	    obj_add_str(in, "path", job->path) == 0) {
		text = json_object_to_json_string_ext(in, JSON_PLAIN);
		rq.path = argv[0];
		rq.argv = argv;
		rq.input = text;
		rq.input_len = text != NULL ? strlen(text) : 0;
		rq.timeout_us = HOOKS_TRANSFORM_US;
		rq.max_output = HOOKS_TRANSFORM_OUT;
		if (text != NULL)
			r = process->start(&rq, &program_handler, job,
			    &job->process);
	}
	json_object_put(in);
	return (r < 0 ? "its program could not be started" : NULL);
}

/* One item of a batch in the place of the whole list. */
static int
item_put(struct mapping_job *job)
{
	struct json_object	*one = json_object_new_array(), *v;

	v = json_object_get(json_object_array_get_idx(job->items, job->next));
	if (one == NULL || json_object_array_add(one, v) < 0) {
		json_object_put(v);
		json_object_put(one);
		return (-ENOMEM);
	}
	return (obj_add(job->payload, job->each, one));
}

static void
job_run(struct mapping_job *job)
{
	struct json_object	*transform = get_any(job->mapping, "transform");
	struct json_object	*a, *command = get_any(transform, "command");
	const char		*why;
	int			 r;

	while (job->next < job->n_items) {
		a = json_object_new_object();
		r = a == NULL ? -ENOMEM : 0;
		if (r == 0 && job->items != NULL)
			r = item_put(job);
		job->next++;
		if (r == 0)
			r = action_base(job, a);
		if (r < 0) {
			json_object_put(a);
			if (r == -EMSGSIZE)
				job_end(job, 400,
				    "hook mapping makes too long a text");
			else
				job_failed(job, "out of memory");
			return;
		}
		if (transform == NULL) {
			if (!job_take(job, a))
				return;
			continue;
		}
		job->base = a;
		why = json_object_is_type(command, json_type_array) ?
		    program_start(job, command) :
		    "transform.module cannot be loaded, use transform.command";
		if (why != NULL)
			job_failed(job, why);
		return;
	}
	job_end(job, 0, NULL);
}

/* The payload, but for one member that changes from item to item. */
static struct json_object *
payload_copy(struct json_object *payload)
{
	struct json_object	*copy = json_object_new_object();

	if (copy == NULL)
		return (NULL);
	json_object_object_foreach(payload, key, value) {
		if (json_object_object_add(copy, key,
		    json_object_get(value)) < 0) {
			json_object_put(value);
			json_object_put(copy);
			return (NULL);
		}
	}
	return (copy);
}

static void
write_now(char *s, size_t size)
{
	uint64_t	 ms = hooks.host->wall_ms();
	time_t		 t = (time_t)(ms / 1000);
	struct tm	 tm;
	size_t		 n;

	s[0] = '\0';
	if (gmtime_r(&t, &tm) == NULL)
		return;
	n = strftime(s, size, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(s + n, size - n, ".%03uZ", (unsigned)(ms % 1000));
}

int
mapping_start(struct json_object *mapping, const struct mapping_input *in,
    mapping_done_fn *done, void *arg, struct mapping_job **ret_job)
{
	struct mapping_job	*job = calloc(1, sizeof *job);
	struct json_object	*list;

	if (job == NULL)
		return (-ENOMEM);
	job->mapping = json_object_get(mapping);
	job->headers = json_object_get(in->headers);
	job->query = json_object_get(in->query);
	job->path = strdup(in->path);
	job->actions = json_object_new_array();
	job->each = get_str(mapping, "forEach");
	if (job->each != NULL && is_blank(job->each))
		job->each = NULL;
	job->n_items = 1;
	job->payload = job->each == NULL ? json_object_get(in->payload) :
	    payload_copy(in->payload);
	if (job->path == NULL || job->actions == NULL || job->payload == NULL) {
		job_free(job);
		return (-ENOMEM);
	}
	if (job->each != NULL) {
		list = get_any(in->payload, job->each);
		if (!json_object_is_type(list, json_type_array))
			list = NULL;
		job->items = json_object_get(list);
		job->n_items = list != NULL ? json_object_array_length(list) :
		    0;
		if (job->n_items > HOOKS_ITEMS_MAX) {
			job->dropped = job->n_items - HOOKS_ITEMS_MAX;
			job->n_items = HOOKS_ITEMS_MAX;
		}
	}
	job->done = done;
	job->arg = arg;
	write_now(job->now, sizeof job->now);
	*ret_job = job;
	job_run(job);
	return (0);
}

void
mapping_cancel(struct mapping_job *job)
{
	const struct chela_process_1	*process;

	process = hooks_service(CHELA_PROCESS_SERVICE);
	if (job->process != NULL && process != NULL)
		process->forget(job->process);
	job_free(job);
}
