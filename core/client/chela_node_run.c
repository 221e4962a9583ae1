/* SPDX-License-Identifier: MIT */
/*
 * Children of a node: system.run, and the program that shows a notice. The argv
 * is what was sent, the program what it means in this node's PATH, no shell
 * between.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/utf8.h"
#include "core/client/chela_node.h"
#include "core/json/json.h"
#include "plugins/process/spawn.h"

#define CHUNK	16384u

/* What a notice needs to find the screen. */
#define NOTIFY_ENV	"DISPLAY,WAYLAND_DISPLAY,DBUS_SESSION_BUS_ADDRESS"

struct run {
	struct list		 link;		/* in node.runs */
	struct node		*node;
	char			*id;		/* of the invocation */
	bool			 is_notice;
	struct json_object	*about;		/* of the event, or NULL */
	struct spawned		 child;
	struct loop_watch	*watches[2];	/* out, err */
	struct loop_watch	*end_watch;
	struct loop_timer	*timer;
	struct buf		 texts[2];
	size_t			 seen;
	bool			 is_late, is_cancelled, is_cut;
};

/* --- what was sent --- */

static bool
is_clean(struct json_object *s)
{
	return (json_object_is_type(s, json_type_string) &&
	    strlen(json_object_get_string(s)) ==
	    (size_t)json_object_get_string_len(s));
}

/* Gives an array into list, ends in NULL; or NULL. */
static const char **
argv_read(struct json_object *list)
{
	struct json_object	*s;
	const char		**argv;
	size_t			 i, n, bytes = 0;

	n = list == NULL ? 0 : json_object_array_length(list);
	if (n == 0 || n > NODE_ARGS_MAX)
		return (NULL);
	argv = calloc(n + 1, sizeof *argv);
	for (i = 0; argv != NULL && i < n; i++) {
		s = json_object_array_get_idx(list, i);
		if (is_clean(s))
			bytes += (size_t)json_object_get_string_len(s) + 1;
		if (!is_clean(s) || bytes > NODE_ARG_BYTES) {
			free(argv);
			return (NULL);
		}
		argv[i] = json_object_get_string(s);
	}
	if (argv != NULL && *argv[0] == '\0') {
		free(argv);
		return (NULL);
	}
	return (argv);
}

/* {name: text} as "name=text"; gives, with spawn_env_free(). */
static int
env_read(struct json_object *env, char ***ret)
{
	char	**list = calloc(SPAWN_ENV_MAX + 1, sizeof *list);
	size_t	 n = 0;

	if (list == NULL)
		return (-ENOMEM);
	if (env != NULL) {
		json_object_object_foreach(env, name, value) {
			if (n == SPAWN_ENV_MAX || *name == '\0' ||
			    strchr(name, '=') != NULL || !is_clean(value) ||
			    asprintf(&list[n], "%s=%s", name,
			    json_object_get_string(value)) < 0) {
				list[n] = NULL;
				spawn_env_free(list);
				return (-EINVAL);
			}
			n++;
		}
	}
	*ret = list;
	return (0);
}

/* --- one child --- */

static void
run_free(struct run *r)
{
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(r->watches); i++) {
		(void)loop_watch_free(r->watches[i]);
		buf_fini(&r->texts[i]);
	}
	(void)loop_watch_free(r->end_watch);
	(void)loop_timer_free(r->timer);
	spawn_end(&r->child);
	list_remove(&r->link);
	r->node->n_runs--;
	json_object_put(r->about);
	free(r->id);
	free(r);
}

/* What is not UTF-8 becomes a mark: JSON has no other text. */
static struct json_object *
text_of_bytes(const struct buf *b)
{
	struct buf		 t = BUF_INIT;
	struct json_object	*o;
	size_t			 i = 0, n;

	while (i < b->len) {
		for (n = 1; n <= 4 && i + n <= b->len &&
		    !utf8_is_valid(b->data + i, n); n++)
			;
		if (n <= 4 && i + n <= b->len) {
			(void)buf_add(&t, b->data + i, n);
			i += n;
		} else {
			(void)buf_puts(&t, "\xef\xbf\xbd");
			i++;
		}
	}
	o = json_object_new_string_len(t.data != NULL ? t.data : "",
	    (int)t.len);
	buf_fini(&t);
	return (o);
}

static struct json_object *
result_of(const struct run *r, int code, int sig)
{
	struct json_object	*o = json_object_new_object();
	const char		*error = NULL;
	char			 text[64];

	if (r->is_late)
		error = "timed out";
	else if (r->is_cut && code < 0)
		error = "it wrote too much";
	else if (sig != 0) {
		(void)snprintf(text, sizeof text, "ended by signal %d", sig);
		error = text;
	}
	if (code >= 0)
		(void)json_add_int(o, "exitCode", code);
	else
		(void)json_object_object_add(o, "exitCode", NULL);
	(void)json_add_bool(o, "timedOut", r->is_late);
	(void)json_add_bool(o, "success", code == 0 && !r->is_late);
	(void)json_add(o, "stdout", text_of_bytes(&r->texts[0]));
	(void)json_add(o, "stderr", text_of_bytes(&r->texts[1]));
	if (error != NULL)
		(void)json_add_str(o, "error", error);
	else
		(void)json_object_object_add(o, "error", NULL);
	if (r->is_cut)
		(void)json_add_bool(o, "truncated", true);
	return (o);
}

/* First the event, then the answer: who waits for the answer has both. */
static void
run_tell(struct run *r, struct json_object *result)
{
	struct json_object	*e = r->about;

	if (e == NULL)
		return;
	r->about = NULL;
	(void)json_object_object_add(e, "exitCode",
	    json_object_get(json_get(result, "exitCode")));
	(void)json_add_bool(e, "timedOut", r->is_late);
	(void)json_add_bool(e, "success", json_get_bool(result, "success",
	    false));
	(void)json_add(e, "output", json_object_get(json_get(result,
	    "stdout")));
	node_tell(r->node, "exec.finished", e);
}

static void
run_done(struct run *r, int code, int sig)
{
	struct json_object	*result;

	if (r->is_cancelled) {
		run_free(r);
		return;
	}
	result = result_of(r, code, sig);
	if (r->is_notice && code != 0) {
		json_object_put(result);
		node_refuse(r->node, r->id, "UNAVAILABLE",
		    "the notice could not be shown");
	} else if (r->is_notice) {
		json_object_put(result);
		node_answer(r->node, r->id, json_object_new_object());
	} else {
		run_tell(r, result);
		node_answer(r->node, r->id, result);
	}
	run_free(r);
}

static void
run_stop(struct run *r)
{
	spawn_signal(&r->child, SIGTERM);
	(void)loop_timer_set(r->timer, NODE_GRACE_US);
}

static bool
is_stopping(const struct run *r)
{
	return (r->is_late || r->is_cancelled);
}

static void
on_timer(void *arg)
{
	struct run	*r = arg;

	if (is_stopping(r)) {
		spawn_signal(&r->child, SIGKILL);
		return;
	}
	r->is_late = true;
	run_stop(r);
}

/* False when nothing more comes now. */
static bool
run_read(struct run *r, size_t i)
{
	char	 bytes[CHUNK];
	int	*fd = i == 0 ? &r->child.out : &r->child.err;
	size_t	 room;
	ssize_t	 n;

	n = read(*fd, bytes, sizeof bytes);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return (false);
	if (n <= 0) {
		r->watches[i] = loop_watch_free(r->watches[i]);
		spawn_close(fd);
		return (false);
	}
	room = NODE_OUTPUT_MAX > r->seen ? NODE_OUTPUT_MAX - r->seen : 0;
	r->seen += (size_t)n;
	if ((size_t)n > room)
		r->is_cut = true;
	(void)buf_add(&r->texts[i], bytes, MIN_OF((size_t)n, room));
	return (true);
}

static void
on_output(int fd, uint32_t what, void *arg)
{
	struct run	*r = arg;

	(void)what;
	(void)run_read(r, fd == r->child.out ? 0 : 1);
}

static void
on_end(int fd, uint32_t what, void *arg)
{
	struct run	*r = arg;
	int		 code, sig;
	size_t		 i;

	(void)fd;
	(void)what;
	if (spawn_reap(&r->child, &code, &sig) == 0)
		return;
	r->end_watch = loop_watch_free(r->end_watch);
	/* What lies there; someone who left the group may write for ever. */
	for (i = 0; i < 2; i++) {
		while ((i == 0 ? r->child.out : r->child.err) >= 0 &&
		    !r->is_cut && run_read(r, i))
			;
	}
	run_done(r, code, sig);
}

static int
run_watch(struct run *r, int64_t timeout_ms)
{
	r->watches[0] = loop_watch_new(r->node->loop, r->child.out, LOOP_READ,
	    on_output, r);
	r->watches[1] = loop_watch_new(r->node->loop, r->child.err, LOOP_READ,
	    on_output, r);
	r->end_watch = loop_watch_new(r->node->loop, r->child.pidfd, LOOP_READ,
	    on_end, r);
	r->timer = loop_timer_new(r->node->loop, on_timer, r);
	if (r->watches[0] == NULL || r->watches[1] == NULL ||
	    r->end_watch == NULL || r->timer == NULL)
		return (-ENOMEM);
	return (loop_timer_set(r->timer, MS_US(timeout_ms)));
}

/* Starts it; what fails is answered. Takes about. */
static void
run_start(const struct invoke *in, const struct spawn *s, int64_t timeout_ms,
    bool is_notice, struct json_object *about)
{
	struct node	*n = in->node;
	struct run	*r = NULL;
	int		 k = -EAGAIN;

	if (n->n_runs < NODE_RUNS_MAX) {
		r = calloc(1, sizeof *r);
		k = r == NULL ? -ENOMEM : 0;
	}
	if (k < 0) {
		json_object_put(about);
		node_refuse(n, in->id, "UNAVAILABLE", "%s", k == -EAGAIN ?
		    "too many programs are running" : "out of memory");
		return;
	}
	r->node = n;
	r->is_notice = is_notice;
	r->about = about;
	r->child = (struct spawned){ -1, -1, -1, -1, -1 };
	r->id = strdup(in->id);
	list_append(&n->runs, &r->link);
	n->n_runs++;
	k = r->id == NULL ? -ENOMEM : spawn_start(s, &r->child);
	if (k == 0)
		k = run_watch(r, timeout_ms);
	if (k < 0) {
		node_refuse(n, in->id, "UNAVAILABLE",
		    "the program could not be started (%s)", strerror(-k));
		run_free(r);
	}
}

static struct run *
run_find(struct node *n, const char *id)
{
	struct list	*l, *tmp;

	list_each(l, tmp, &n->runs) {
		struct run *r = container_of(l, struct run, link);

		if (strcmp(r->id, id) == 0)
			return (r);
	}
	return (NULL);
}

void
node_run_cancel(struct node *n, const char *id)
{
	struct run	*r = run_find(n, id);

	if (r == NULL || is_stopping(r))
		return;
	r->is_cancelled = true;
	run_stop(r);
}

void
node_runs_end(struct node *n)
{
	struct run	*r;

	while ((r = list_first(&n->runs, struct run, link)) != NULL)
		run_free(r);
}

/* --- system.run --- */

static struct json_object *
about_of(const struct invoke *in, const char **argv)
{
	struct json_object	*o;
	const char		*key = json_get_str(in->params, "sessionKey");
	struct buf		 text = BUF_INIT;
	size_t			 i;

	if (key == NULL || json_get_bool(in->params, "suppressNotifyOnExit",
	    false))
		return (NULL);
	for (i = 0; argv[i] != NULL; i++)
		(void)buf_printf(&text, "%s%s", i > 0 ? " " : "", argv[i]);
	o = json_object_new_object();
	(void)json_add_str(o, "sessionKey", key);
	if (json_get_str(in->params, "runId") != NULL)
		(void)json_add_str(o, "runId", json_get_str(in->params,
		    "runId"));
	(void)json_add_str(o, "host", "node");
	(void)json_add(o, "command", json_object_new_string_len(text.data,
	    (int)text.len));
	buf_fini(&text);
	return (o);
}

/* The gateway says that people approved it, and the plan is this one. */
static bool
is_approved(const struct invoke *in)
{
	struct json_object	*plan = json_get_obj(in->params,
				    "systemRunPlan");

	return (json_get_bool(in->params, "approved", false) && plan != NULL &&
	    json_equal(json_get(plan, "argv"), json_get(in->params,
	    "command")));
}

static int64_t
timeout_of(const struct invoke *in)
{
	int64_t	 ms = json_get_int(in->params, "timeoutMs", 0);

	if (ms <= 0 || ms > NODE_TIMEOUT_MAX_MS)
		ms = NODE_TIMEOUT_MS;
	return (in->timeout_ms > 0 ? MIN_OF(ms, in->timeout_ms) : ms);
}

void
node_run(const struct invoke *in)
{
	struct spawn	 s = { .cwd = json_get_str(in->params, "cwd") };
	const char	**argv, *why = "";
	char		 path[PATH_MAX], **asked = NULL, **env = NULL;
	int		 r;

	argv = argv_read(json_get_arr(in->params, "command"));
	if (argv == NULL) {
		node_refuse(in->node, in->id, "INVALID_REQUEST",
		    "command has to be an argv, an array of strings");
		return;
	}
	r = env_read(json_get_obj(in->params, "env"), &asked);
	if (r == 0)
		r = spawn_env_make((const char *const *)(void *)asked,
		    in->node->allow_env, &env);
	if (s.cwd != NULL && *s.cwd != '/')
		r = -ENOTDIR;
	if (s.cwd == NULL)
		s.cwd = getenv("HOME");
	if (r < 0) {
		node_refuse(in->node, in->id, "INVALID_REQUEST", "%s",
		    r == -EPERM ? "a variable of env may not be set here" :
		    r == -ENOTDIR ? "cwd has to be absolute" :
		    "env has to be names with texts");
		goto out;
	}
	r = spawn_find(argv[0], getenv("PATH"), path, sizeof path);
	if (r < 0) {
		node_refuse(in->node, in->id, "UNAVAILABLE",
		    "'%.200s' is no program here", argv[0]);
		goto out;
	}
	if (node_policy(in->node, path, is_approved(in), &why) < 0) {
		node_refuse(in->node, in->id, "SYSTEM_RUN_DENIED", "%s", why);
		goto out;
	}
	s.path = path;
	s.argv = argv;
	s.env = env;
	run_start(in, &s, timeout_of(in), false, about_of(in, argv));
out:
	spawn_env_free(asked);
	spawn_env_free(env);
	free(argv);
}

/* An argument as people can read it, and as a shell would take it. */
static void
add_word(struct buf *out, const char *s)
{
	const char	*p;

	if (*s != '\0' && s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,+@%")] == '\0') {
		(void)buf_puts(out, s);
		return;
	}
	(void)buf_putc(out, '\'');
	for (p = s; *p != '\0'; p++) {
		if (*p == '\'')
			(void)buf_puts(out, "'\\''");
		else
			(void)buf_putc(out, *p);
	}
	(void)buf_putc(out, '\'');
}

/*
 * The plan that people are asked about: what would run, in full, and by its
 * whole path: a program that comes earlier in PATH by then is another one.
 */
void
node_run_prepare(const struct invoke *in)
{
	static const char *const texts[] = { "cwd", "agentId", "sessionKey" };
	struct json_object	*plan, *o, *list;
	const char		**argv, *s;
	struct buf		 text = BUF_INIT;
	char			 path[PATH_MAX];
	size_t			 i;

	argv = argv_read(json_get_arr(in->params, "command"));
	if (argv == NULL) {
		node_refuse(in->node, in->id, "INVALID_REQUEST",
		    "command has to be an argv, an array of strings");
		return;
	}
	if (spawn_find(argv[0], getenv("PATH"), path, sizeof path) < 0) {
		node_refuse(in->node, in->id, "UNAVAILABLE",
		    "'%.200s' is no program here", argv[0]);
		free(argv);
		return;
	}
	argv[0] = path;
	list = json_object_new_array();
	for (i = 0; argv[i] != NULL; i++) {
		if (i > 0)
			(void)buf_putc(&text, ' ');
		add_word(&text, argv[i]);
		(void)json_push(list, json_object_new_string(argv[i]));
	}
	plan = json_object_new_object();
	(void)json_add(plan, "argv", list);
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		s = json_get_str(in->params, texts[i]);
		(void)json_object_object_add(plan, texts[i], s == NULL ? NULL :
		    json_object_new_string(s));
	}
	(void)json_add(plan, "commandText", json_object_new_string_len(
	    text.data, (int)text.len));
	o = json_object_new_object();
	(void)json_add(o, "plan", plan);
	node_answer(in->node, in->id, o);
	buf_fini(&text);
	free(argv);
}

/* --- system.notify --- */

static void
add_own(const char **list, size_t *n, char *store, size_t size,
    const char *name)
{
	const char	*value = getenv(name);

	if (value == NULL || (size_t)snprintf(store, size, "%s=%s", name,
	    value) >= size)
		return;
	list[(*n)++] = store;
}

void
node_notify(const struct invoke *in)
{
	const char	*title = json_get_str(in->params, "title");
	const char	*body = json_get_str(in->params, "body");
	const char	*argv[] = { "notify-send", "--app-name=chela", "--",
			    title != NULL && *title != '\0' ? title : "chela",
			    body != NULL ? body : "", NULL };
	const char	*own[4] = { NULL };
	char		 store[3][512], path[PATH_MAX], **env = NULL;
	struct spawn	 s = { .argv = argv };
	size_t		 n = 0;

	if ((title == NULL || *title == '\0') &&
	    (body == NULL || *body == '\0')) {
		node_refuse(in->node, in->id, "INVALID_REQUEST",
		    "a notice needs a title or a body");
		return;
	}
	if (strlen(argv[3]) + strlen(argv[4]) > NODE_NOTICE_MAX) {
		node_refuse(in->node, in->id, "INVALID_REQUEST",
		    "the notice is too long");
		return;
	}
	if (spawn_find(argv[0], getenv("PATH"), path, sizeof path) < 0) {
		node_refuse(in->node, in->id, "UNAVAILABLE",
		    "this node has no notify-send");
		return;
	}
	add_own(own, &n, store[0], sizeof store[0], "DISPLAY");
	add_own(own, &n, store[1], sizeof store[1], "WAYLAND_DISPLAY");
	add_own(own, &n, store[2], sizeof store[2],
	    "DBUS_SESSION_BUS_ADDRESS");
	if (spawn_env_make(own, NOTIFY_ENV, &env) < 0) {
		node_refuse(in->node, in->id, "UNAVAILABLE", "out of memory");
		return;
	}
	s.path = path;
	s.env = env;
	run_start(in, &s, NODE_TIMEOUT_MS, true, NULL);
	spawn_env_free(env);
}
