/* SPDX-License-Identifier: MIT */
#include "core/config/live_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/config/merge.h"
#include "core/json/json.h"

#define WATCH_EVENTS	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | \
	IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)
#define WATCH_BUF	4096
#define RESTART_DELAY_MS 2000	/* after a file that was edited by hand */

struct conf_live *
conf_live_ref(struct conf_live *live)
{
	live->n_refs++;
	return (live);
}

struct conf_live *
conf_live_unref(struct conf_live *live)
{
	if (live == NULL || --live->n_refs > 0)
		return (NULL);
	(void)conf_unref(live->current);
	(void)conf_schema_unref(live->schema);
	conf_text_fini(&live->disk);
	conf_issues_fini(&live->disk_issues);
	explicit_bzero(live->key, sizeof live->key);
	free(live->path);
	free(live->state_dir);
	free(live->version);
	free(live);
	return (NULL);
}

struct conf *
conf_live_get(const struct conf_live *live)
{
	return (live->current);
}

struct conf_schema *
conf_live_schema(const struct conf_live *live)
{
	return (live->schema);
}

bool
conf_live_is_restart_due(const struct conf_live *live)
{
	return (live->is_restart_due);
}

static void
log_issues(const struct conf_issues *is, const char *path, const char *what)
{
	size_t	 i;

	for (i = 0; i < is->n; i++) {
		const struct conf_issue *it = &is->items[i];

		log_warn("config", "%s:%u:%u: %s%s%s (%s)", path, it->line,
		    it->col, *it->path == '\0' ? "" :
		    log_quote(it->path, strlen(it->path)),
		    *it->path == '\0' ? "" : ": ",
		    log_quote(it->message, strlen(it->message)), what);
	}
}

bool
conf_live_set_disk(struct conf_live *live, struct conf_text *text)
{
	bool	 is_new;

	is_new = live->disk_error != 0 ||
	    (text->text == NULL) != (live->disk.text == NULL) ||
	    text->len != live->disk.len ||
	    memcmp(text->text == NULL ? "" : text->text, live->disk.text == NULL
	    ? "" : live->disk.text, text->len) != 0;
	live->disk_error = 0;
	conf_text_fini(&live->disk);
	live->disk = *text;
	*text = (struct conf_text){ NULL, 0, false };
	if (conf_hash_text(live->key, live->disk.text == NULL ? "" :
	    live->disk.text, live->disk.len, live->disk_hash) < 0)
		live->disk_hash[0] = '\0';
	return (is_new);
}

/* The first n listeners are asked to take what is in force once more. */
static void
live_take_back(struct conf_live *live, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++) {
		if (live->listeners[i].check != NULL &&
		    live->listeners[i].check(live->current, NULL,
		    live->listeners[i].arg) < 0)
			log_err("config", "%s: what is in force was refused",
			    live->path);
	}
}

int
conf_live_ask(struct conf_live *live, const struct conf *next,
    struct conf_issues *issues)
{
	size_t	 i;
	int	 r;

	for (i = 0; i < ARRAY_LEN(live->listeners); i++) {
		if (live->listeners[i].check == NULL)
			continue;
		r = live->listeners[i].check(next, issues,
		    live->listeners[i].arg);
		if (r < 0) {
			live_take_back(live, i);
			return (r);
		}
	}
	return (0);
}

void
conf_live_unask(struct conf_live *live)
{
	live_take_back(live, ARRAY_LEN(live->listeners));
}

struct changes {
	const struct conf_schema *schema;
	struct json_object	*paths;
	enum conf_reload	 kind;
};

static int
changes_add(const char *path, void *arg)
{
	struct changes		*c = arg;
	enum conf_reload	 kind = conf_reload_kind(c->schema, path);

	/* Who wrote the file last is no setting. */
	if (strncmp(path, "meta.", 5) == 0)
		return (0);
	c->kind = MAX_OF(c->kind, kind);
	if (json_object_array_length(c->paths) == CONF_CHANGED_MAX)
		return (0);
	return (json_push(c->paths, json_object_new_string(path)));
}

int
conf_changes(const struct conf_schema *s, struct json_object *before,
    struct json_object *after, struct json_object **ret_paths,
    enum conf_reload *ret_kind)
{
	struct changes	 c = { .schema = s, .kind = CONF_RELOAD_NONE };
	int		 r;

	c.paths = json_object_new_array();
	if (c.paths == NULL)
		return (-ENOMEM);
	r = conf_diff(before, after, changes_add, &c);
	if (r < 0) {
		json_object_put(c.paths);
		return (r);
	}
	*ret_paths = c.paths;
	*ret_kind = c.kind;
	return (0);
}

static void
live_tell(struct conf_live *live, const struct conf_change *change)
{
	struct conf_listener	 all[ARRAY_LEN(live->listeners)];
	size_t			 i;

	/* A listener may go, or bring another one, while it is told. */
	memcpy(all, live->listeners, sizeof all);
	for (i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i].change != NULL &&
		    memcmp(&all[i], &live->listeners[i], sizeof all[i]) == 0)
			all[i].change(change, all[i].arg);
	}
}

/* What the way of reloading that is configured makes of a change. */
static enum conf_reload
live_kind(const struct conf *next, enum conf_reload kind)
{
	const char	*mode = conf_get_str(next, "gateway.reload.mode",
			    "hybrid");

	if (strcmp(mode, "restart") == 0 && kind != CONF_RELOAD_NONE)
		return (CONF_RELOAD_RESTART);
	return (kind);
}

void
conf_live_install(struct conf_live *live, struct conf *next)
{
	struct conf		*before = live->current;
	struct conf_delta	*deltas = NULL;
	struct conf_change	 change = { .before = before, .after = next };
	struct json_object	*paths = NULL;
	enum conf_reload	 kind = CONF_RELOAD_NONE;
	size_t			 i, n = 0;

	if (conf_changes(live->schema, before->config, next->config, &paths,
	    &kind) == 0) {
		n = json_object_array_length(paths);
		deltas = calloc(n + 1, sizeof *deltas);
	}
	if (deltas == NULL)
		n = 0;
	for (i = 0; i < n; i++) {
		deltas[i].path = json_object_get_string(
		    json_object_array_get_idx(paths, i));
		deltas[i].kind = conf_reload_kind(live->schema, deltas[i].path);
	}
	kind = live_kind(next, kind);
	live->current = next;
	if (kind == CONF_RELOAD_RESTART)
		live->is_restart_due = true;
	if (!live->is_restart_due)
		memcpy(live->applied, next->revision, sizeof live->applied);
	if (n > 0)
		log_debug("config", "%s: in force, %zu values changed%s",
		    live->path, n, kind == CONF_RELOAD_RESTART ?
		    " (some need a restart)" : "");
	change.deltas = deltas;
	change.n_deltas = n;
	change.kind = kind;
	live_tell(live, &change);
	(void)conf_unref(before);
	free(deltas);
	json_object_put(paths);
}

bool
conf_live_adopt(struct conf_live *live, struct conf_text *text)
{
	struct conf_issues	 issues = CONF_ISSUES_INIT;
	struct conf		*next = NULL;
	int			 r;

	/* One that was refused is looked at again: a check may think anew. */
	if (!conf_live_set_disk(live, text) && live->disk_issues.n == 0)
		return (false);
	if (strcmp(conf_get_str(live->current, "gateway.reload.mode", ""),
	    "off") == 0) {
		log_notice("config", "%s: changed, and not read (gateway.reload.mode is off)",
		    live->path);
		return (false);
	}
	r = conf_from_text(live->path, &live->disk, live->schema, live->key,
	    &next, &issues);
	if (r == 0)
		r = conf_live_ask(live, next, &issues);
	conf_issues_fini(&live->disk_issues);
	if (r < 0) {
		if (issues.n == 0)
			(void)conf_issues_add(&issues, "", 0, 0, "%s",
			    strerror(-r));
		live->disk_issues = issues;
		log_issues(&issues, live->path, "the last good one stays");
		(void)conf_unref(next);
		return (false);
	}
	conf_issues_fini(&issues);
	log_issues(&next->warnings, live->path, "warning");
	conf_live_install(live, next);
	return (true);
}

/* The restart that a file edited by hand asks for. */
static void
live_on_change_restart(const struct conf_change *change, void *arg)
{
	struct conf_live	*live = arg;
	const char		*mode;

	if (change->kind != CONF_RELOAD_RESTART)
		return;
	mode = conf_get_str(change->after, "gateway.reload.mode", "hybrid");
	if (strcmp(mode, "hot") == 0)
		log_warn("config", "%s: some changes wait for a restart (gateway.reload.mode is hot)",
		    live->path);
	else if (live->restart != NULL)
		(void)live->restart(RESTART_DELAY_MS, live->restart_arg);
}

static void
live_on_debounce(void *arg)
{
	conf_live_reload(arg);
}

static void
live_arm(struct conf_live *live)
{
	int64_t	 ms;

	ms = conf_get_int(live->current, "gateway.reload.debounceMs", 300);
	(void)loop_timer_set(live->debounce, MS_US(ms));
}

static void
live_on_inotify(int fd, uint32_t what, void *arg)
{
	struct conf_live		*live = arg;
	char				 buf[WATCH_BUF]
	    __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event	*ev;
	const char			*base, *p;
	ssize_t				 n;

	(void)what;
	base = strrchr(live->path, '/');
	base = base == NULL ? live->path : base + 1;
	while ((n = read(fd, buf, sizeof buf)) > 0) {
		for (p = buf; p < buf + n; p += sizeof *ev + ev->len) {
			ev = (const struct inotify_event *)(const void *)p;
			if ((ev->mask & (IN_IGNORED | IN_MOVE_SELF)) != 0) {
				live->wd = -1;
				live_arm(live);
			} else if ((ev->mask & IN_Q_OVERFLOW) != 0 ||
			    ev->len == 0 || strcmp(ev->name, base) == 0 ||
			    strcmp(ev->name, "..data") == 0)
				/* "..data": the link by which a mounted set of
				 * files is swapped. */
				live_arm(live);
		}
	}
}

void
conf_live_watch(struct conf_live *live)
{
	char	*dir, *slash;

	if (live->inotify_fd < 0 || live->wd >= 0)
		return;
	dir = strdup(live->path);
	if (dir == NULL)
		return;
	slash = strrchr(dir, '/');
	if (slash == NULL)
		memcpy(dir, ".", 2);
	else
		slash[slash == dir] = '\0';
	/* The folder, not the file: a write is a rename over it. */
	live->wd = inotify_add_watch(live->inotify_fd, dir, WATCH_EVENTS);
	free(dir);
}

static int
live_watch_open(struct conf_live *live)
{
	live->debounce = loop_timer_new(live->loop, live_on_debounce, live);
	if (live->debounce == NULL)
		return (-ENOMEM);
	live->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (live->inotify_fd < 0) {
		/* Changes are then seen on SIGHUP only. */
		log_warn("config", "%s: not watched (%s)", live->path,
		    strerror(errno));
		return (0);
	}
	live->watch = loop_watch_new(live->loop, live->inotify_fd, LOOP_READ,
	    live_on_inotify, live);
	if (live->watch == NULL)
		return (-ENOMEM);
	conf_live_watch(live);
	return (0);
}

int
conf_live_open(struct loop *loop, const struct conf_live_opts *opts,
    struct conf_live **ret_live, struct conf_issues *issues)
{
	struct conf_live	*live;
	struct conf_text	 text = { NULL, 0, false };
	int			 r;

	live = calloc(1, sizeof *live);
	if (live == NULL)
		return (-ENOMEM);
	live->n_refs = 1;
	live->loop = loop;
	live->inotify_fd = live->wd = -1;
	list_init(&live->ops);
	live->path = strdup(opts->path);
	live->state_dir = strdup(opts->state_dir);
	live->version = strdup(opts->version);
	r = -ENOMEM;
	if (live->path == NULL || live->state_dir == NULL ||
	    live->version == NULL)
		goto out;
	r = conf_key_load(live->state_dir, live->key);
	if (r < 0) {
		(void)conf_issues_add(issues, "", 0, 0,
		    "no key for hashes in %s (%s)", live->state_dir,
		    strerror(-r));
		goto out;
	}
	r = conf_schema_load(opts->schema_dir, &live->schema, issues);
	if (r < 0)
		goto out;
	r = conf_read(live->path, &text, issues);
	if (r < 0)
		goto out;
	r = conf_from_text(live->path, &text, live->schema, live->key,
	    &live->current, issues);
	if (r < 0)
		goto out;
	(void)conf_live_set_disk(live, &text);
	memcpy(live->applied, live->current->revision, sizeof live->applied);
	log_issues(&live->current->warnings, live->path, "warning");
	r = live_watch_open(live);
	if (r == 0)
		r = conf_live_on_change(live, live_on_change_restart, live);
	if (r < 0)
		goto out;
	*ret_live = live;
	live = NULL;
out:
	conf_text_fini(&text);
	(void)conf_live_close(live);
	return (r);
}

struct conf_live *
conf_live_close(struct conf_live *live)
{
	struct list	*l, *tmp;

	if (live == NULL)
		return (NULL);
	conf_service_forget(live);
	live->is_closed = true;
	memset(live->listeners, 0, sizeof live->listeners);
	live->watch = loop_watch_free(live->watch);
	live->debounce = loop_timer_free(live->debounce);
	if (live->inotify_fd >= 0)
		(void)close(live->inotify_fd);
	live->inotify_fd = -1;
	list_each(l, tmp, &live->ops) {
		/* The one under way is the pool's; it ends by itself. */
		if (live->is_busy && l == live->ops.next)
			continue;
		(void)conf_op_free(container_of(l, struct conf_op, link));
	}
	return (conf_live_unref(live));
}

int
conf_live_add_plugin(struct conf_live *live, const char *name,
    struct json_object *part)
{
	return (conf_schema_add_plugin(live->schema, name, part));
}

int
conf_live_settle(struct conf_live *live, struct conf_issues *issues)
{
	struct conf_text	 text = live->disk;
	struct conf		*next = NULL;
	int			 r;

	/* The file on disk may be no good; what is in force is what counts. */
	text.text = live->current->text;
	text.len = live->current->len;
	r = conf_from_text(live->path, &text, live->schema, live->key, &next,
	    issues);
	if (r < 0)
		return (r);
	/* Defaults only: nothing that anybody set has changed. */
	(void)conf_unref(live->current);
	live->current = next;
	return (0);
}

void
conf_live_reload(struct conf_live *live)
{
	struct conf_op	*op;
	struct list	*l, *tmp;
	bool		 is_first = live->is_busy;

	/* One that has not begun yet will see whatever is there by then. */
	list_each(l, tmp, &live->ops) {
		if (!is_first && container_of(l, struct conf_op, link)->kind ==
		    CONF_OP_RELOAD)
			return;
		is_first = false;
	}
	op = conf_op_new(live, CONF_OP_RELOAD);
	if (op == NULL || conf_op_start(op) < 0)
		log_warn("config", "%s: not read again (no memory or too much "
		    "to do)", live->path);
}

static int
live_listen(struct conf_live *live, struct conf_listener listener, size_t n)
{
	size_t	 i;

	if (n == CONF_LISTENERS_MAX)
		return (-ENOSPC);
	for (i = 0; i < ARRAY_LEN(live->listeners); i++) {
		if (live->listeners[i].check == NULL &&
		    live->listeners[i].change == NULL) {
			live->listeners[i] = listener;
			return (0);
		}
	}
	return (-ENOSPC);
}

int
conf_live_on_check(struct conf_live *live, conf_check_fn *fn, void *arg)
{
	int	 r;

	r = live_listen(live, (struct conf_listener){ fn, NULL, arg },
	    live->n_checks);
	if (r == 0)
		live->n_checks++;
	return (r);
}

int
conf_live_on_change(struct conf_live *live, conf_change_fn *fn, void *arg)
{
	int	 r;

	r = live_listen(live, (struct conf_listener){ NULL, fn, arg },
	    live->n_changes);
	if (r == 0)
		live->n_changes++;
	return (r);
}

void
conf_live_forget(struct conf_live *live, void *arg)
{
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(live->listeners); i++) {
		struct conf_listener *l = &live->listeners[i];

		if (l->arg != arg || (l->check == NULL && l->change == NULL))
			continue;
		if (l->check != NULL)
			live->n_checks--;
		else
			live->n_changes--;
		*l = (struct conf_listener){ NULL, NULL, NULL };
	}
}

void
conf_live_on_restart(struct conf_live *live, conf_restart_fn *fn, void *arg)
{
	live->restart = fn;
	live->restart_arg = arg;
}
