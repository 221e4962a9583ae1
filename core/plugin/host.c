/* SPDX-License-Identifier: MIT */
/* Finding plugins, bringing them all up, down, and to a new configuration. */
#include "core/plugin/host.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include <chela/services/hello.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/config/config.h"
#include "core/config/live.h"
#include "core/json/json.h"
#include "core/net/net.h"
#include "core/plugin/host_priv.h"
#include "core/protocol/peer.h"
#include "core/protocol/proto.h"
#include "core/state/state.h"

#define WRITES_MAX	30		/* control-plane writes ... */
#define WRITES_US	SEC_US(60)	/* ... in this time */
#define WRITES_KEYS_MAX	10000
#define ENTRY_MAX	200		/* bytes of a name in a directory */

struct host *
host_new(const struct host_env *env)
{
	struct host	*h;

	if (lt_dlinit() != 0)
		return (NULL);
	h = calloc(1, sizeof *h);
	if (h == NULL)
		return (NULL);
	h->env = *env;
	h->inotify_fd = -1;
	list_init(&h->plugins);
	list_init(&h->services);
	h->methods = map_new();
	h->writes = budget_new(WRITES_MAX, WRITES_US, WRITES_KEYS_MAX);
	host_fill_table(h);
	if (h->env.state != NULL)
		bus_set_payload_max(state_bus(h->env.state),
		    host_payload_max(h));
	if (h->methods == NULL || h->writes == NULL || host_export_core(h) < 0)
		return (host_free(h));
	return (h);
}

size_t
host_payload_max(const struct host *h)
{
	return (h->env.limits == NULL ? HOST_PAYLOAD_MAX :
	    MAX_OF(h->env.limits->message_max, HOST_PAYLOAD_MAX));
}

static void
ctx_free(struct chela_ctx *ctx)
{
	list_remove(&ctx->link);
	free(ctx->name);
	free(ctx->path);
	free(ctx->schema_path);
	free(ctx->schema_text);
	free(ctx->error);
	free(ctx);
}

struct host *
host_free(struct host *h)
{
	struct chela_ctx	*ctx;
	struct service		*s;
	size_t			 i;

	if (h == NULL)
		return (NULL);
	frame_unguard(h);
	crash_close(h);
	access_service_fini();
	routes_fini();
	core_services_fini();
	(void)loop_watch_free(h->inotify_watch);
	(void)loop_timer_free(h->inotify_timer);
	(void)loop_timer_free(h->drain_timer);
	while ((ctx = list_first(&h->plugins, struct chela_ctx, link)) != NULL)
		ctx_free(ctx);
	while ((s = list_first(&h->services, struct service, link)) != NULL) {
		list_remove(&s->link);
		free(s);
	}
	for (i = 0; i < h->n_dirs; i++)
		free(h->dirs[i]);
	free(h->dirs);
	(void)map_free(h->methods);
	(void)budget_free(h->writes);
	(void)conf_unref(h->conf);
	buf_fini(&h->out);
	free(h);
	return (NULL);
}

int
host_guard(struct host *h)
{
	int	 r;

	r = crash_open(h);
	return (r < 0 ? r : frame_guard(h));
}

/*
 * The real path, except for the last step: a link there is seen, and refused, when
 * a plugin is looked at.
 */
static char *
dir_path(const char *dir)
{
	size_t	 len = strlen(dir), at;
	char	*above, *real, *path = NULL;

	while (len > 1 && dir[len - 1] == '/')
		len--;
	for (at = len; at > 0 && dir[at - 1] != '/'; at--)
		;
	if (at == len || dir[at] == '.')
		return (realpath(dir, NULL));
	above = at == 0 ? strdup(".") : strndup(dir, at);
	real = above == NULL ? NULL : realpath(above, NULL);
	if (real != NULL && asprintf(&path, "%s/%.*s",
	    strcmp(real, "/") == 0 ? "" : real, (int)(len - at), dir + at) < 0)
		path = NULL;
	free(above);
	free(real);
	if (path != NULL && access(path, X_OK) < 0) {
		free(path);
		path = NULL;
	}
	return (path);
}

int
host_add_dir(struct host *h, const char *dir)
{
	char	**dirs, *copy;

	dirs = realloc(h->dirs, (h->n_dirs + 1) * sizeof *dirs);
	if (dirs == NULL)
		return (-ENOMEM);
	h->dirs = dirs;
	copy = dir_path(dir);
	if (copy == NULL)
		return (-errno);
	h->dirs[h->n_dirs++] = copy;
	return (0);
}

struct chela_ctx *
ctx_new(struct host *h, const char *name, const char *path)
{
	struct chela_ctx	*ctx;

	ctx = calloc(1, sizeof *ctx);
	if (ctx == NULL)
		return (NULL);
	ctx->magic = CTX_MAGIC;
	ctx->host = h;
	list_init(&ctx->link);
	list_init(&ctx->timers);
	list_init(&ctx->watches);
	list_init(&ctx->close_cbs);
	list_init(&ctx->waiting);
	quota_init(ctx);
	ctx->name = strdup(name);
	ctx->path = strdup(path);
	if (ctx->name == NULL || ctx->path == NULL) {
		ctx_free(ctx);
		return (NULL);
	}
	ctx->is_seen = true;
	ctx->is_enabled = true;
	list_append(&h->plugins, &ctx->link);
	return (ctx);
}

/* A file of that plugin name: new, or the one that is known. */
static int
host_found(struct host *h, const char *name, const char *path)
{
	struct chela_ctx	*ctx;
	struct buf		 why = BUF_INIT;
	struct frame		 f;
	struct stat		 st;
	int			 r;

	ctx = host_find(h, name);
	if (ctx != NULL && ctx->is_seen)
		return (0);	/* an earlier directory has it: that one counts */
	if (ctx != NULL && ctx->state == PLUGIN_REFUSED) {
		ctx_free(ctx);	/* it may have been mended: look again */
		ctx = NULL;
	}
	if (ctx != NULL) {
		ctx->is_seen = true;
		if (stat(path, &st) == 0 && ((uint64_t)st.st_ino != ctx->ino ||
		    (uint64_t)st.st_dev != ctx->dev)) {
			/*
			 * The same name, another file. When it was only put back
			 * the size and time are the same; the mapped code is used
			 * in either case.
			 */
			if (!ctx->is_stale &&
			    (uint64_t)st.st_mtim.tv_sec * 1000000000u +
			    (uint64_t)st.st_mtim.tv_nsec != ctx->mtime_ns)
				log_notice("plugin", "plugin '%s': the file was "
				    "replaced; the new one takes effect at the "
				    "next start", name);
			ctx->is_stale = true;
		}
		return (0);
	}
	ctx = ctx_new(h, name, path);
	if (ctx == NULL)
		return (-ENOMEM);
	ctx->is_crashed = crash_holds_load(ctx, &why);
	frame_enter(&f, ctx, "load");	/* its constructors run */
	r = ctx->is_crashed ? -ECANCELED : loader_open(ctx, &why);
	(void)frame_leave(&f);
	if (r == 0)
		r = loader_check(ctx, &why);
	ctx->state = r == 0 ? PLUGIN_READY : PLUGIN_REFUSED;
	if (r < 0) {
		(void)buf_putc(&why, '\0');
		ctx_set_error(ctx, why.data != NULL ? why.data : strerror(-r));
		log_err("plugin", "plugin '%s': refused (%s) file=%s", name,
		    ctx->error != NULL ? ctx->error : "", path);
	}
	buf_fini(&why);
	return (0);
}

/* "chat.so" in the directory, or "chat/.libs/chat.so" in a build tree. */
int
host_entry(const char *dir, const char *entry, char **ret_name, char **ret_path)
{
	size_t	 len = strlen(entry);
	char	*path = NULL, *name = NULL;

	if (entry[0] == '.' || len > ENTRY_MAX)
		return (-ENOENT);
	if (len > 3 && strcmp(entry + len - 3, ".so") == 0) {
		name = strndup(entry, len - 3);
		path = file_join(dir, entry);
	} else {
		name = strdup(entry);
		if (asprintf(&path, "%s/%s/.libs/%s.so", dir, entry, entry) < 0)
			path = NULL;
	}
	if (name == NULL || path == NULL) {
		free(name);
		free(path);
		return (-ENOMEM);
	}
	*ret_name = name;
	*ret_path = path;
	return (0);
}

static int
host_scan_entry(struct host *h, const char *dir, const char *entry)
{
	struct stat	 st;
	char		*path, *name;
	int		 r;

	r = host_entry(dir, entry, &name, &path);
	if (r < 0)
		return (r == -ENOENT ? 0 : r);
	if (lstat(path, &st) == 0)
		r = host_found(h, name, path);
	free(name);
	free(path);
	return (r);
}

/* New plugins' parts of the configuration count from now on. */
static int
host_settle_conf(struct host *h)
{
	struct conf_issues	 issues = CONF_ISSUES_INIT;
	size_t			 i;
	int			 r;

	h->is_conf_due = false;
	r = conf_live_settle(h->env.live, &issues);
	for (i = 0; r < 0 && i < issues.n; i++)
		log_err("config", "%s: %s", issues.items[i].path,
		    issues.items[i].message);
	conf_issues_fini(&issues);
	if (r == 0 && h->conf != NULL)
		host_set_conf(h, conf_live_get(h->env.live));
	return (r);
}

int
host_scan(struct host *h)
{
	struct list	*l, *tmp;
	struct dirent	**entries;
	size_t		 i;
	int		 j, n, r = 0;

	list_each(l, tmp, &h->plugins)
		container_of(l, struct chela_ctx, link)->is_seen = false;
	for (i = 0; r == 0 && i < h->n_dirs; i++) {
		n = scandir(h->dirs[i], &entries, NULL, alphasort);
		if (n < 0) {
			log_warn("plugin", "directory '%s': cannot be read (%s)",
			    h->dirs[i], strerror(errno));
			continue;
		}
		for (j = 0; j < n; j++) {
			if (r == 0)
				r = host_scan_entry(h, h->dirs[i],
				    entries[j]->d_name);
			free(entries[j]);
		}
		free(entries);
	}
	/* A refused one whose file is gone is forgotten. */
	list_each(l, tmp, &h->plugins) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		if (!ctx->is_seen && ctx->state == PLUGIN_REFUSED)
			ctx_free(ctx);
	}
	host_sort(h);
	if (r == 0 && h->is_conf_due)
		r = host_settle_conf(h);
	return (r);
}

static bool
list_names(struct json_object *list, const char *name)
{
	size_t	 i, n;

	n = list == NULL ? 0 : json_object_array_length(list);
	for (i = 0; i < n; i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(
		    list, i)), name) == 0)
			return (true);
	}
	return (false);
}

/* plugins.enabled, .allow (empty: all), .deny and .entries.<name>.enabled. */
static bool
conf_enables(const struct conf *conf, const char *name)
{
	struct json_object	*plugins = conf_get(conf, "plugins");
	struct json_object	*allow = json_get_arr(plugins, "allow");

	if (!json_get_bool(plugins, "enabled", true) ||
	    list_names(json_get_arr(plugins, "deny"), name))
		return (false);
	if (allow != NULL && json_object_array_length(allow) > 0 &&
	    !list_names(allow, name))
		return (false);
	return (json_get_bool(json_get_obj(json_get_obj(plugins, "entries"),
	    name), "enabled", true));
}

void
host_set_conf(struct host *h, struct conf *conf)
{
	struct list		*l, *tmp;
	bool			 is_enabled;

	if (conf != h->conf) {
		(void)conf_unref(h->conf);
		h->conf = conf_ref(conf);
	}
	list_each(l, tmp, &h->plugins) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		is_enabled = conf_enables(conf, ctx->name);
		/* Switched on again by hand: it gets another chance. */
		if (is_enabled && !ctx->is_enabled && h->is_running)
			(void)crash_forgive(ctx);
		ctx->is_enabled = is_enabled;
		quota_set_conf(ctx, conf);
	}
}

/* Does the configuration say so? unsaid: what holds when it says nothing. */
static bool
ctx_is_optional(const struct chela_ctx *ctx, bool unsaid)
{
	struct json_object	*entries;

	entries = conf_get(ctx->host->conf, "plugins.entries");
	return (json_get_bool(json_get_obj(entries, ctx->name), "optional",
	    unsaid));
}

int
host_start(struct host *h, struct buf *why)
{
	struct list		*l, *tmp;
	bool			 unsaid;
	int			 result = 0;

	host_sort(h);
	list_each(l, tmp, &h->plugins) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		/*
		 * A file that cannot be used was put there by mistake, and that
		 * is told at once. What fails at starting may have a reason that
		 * passes: the others start.
		 */
		unsaid = ctx->state != PLUGIN_REFUSED;
		if (ctx->state == PLUGIN_READY && ctx->is_enabled) {
			if (plugin_try(ctx) == 0)
				continue;
		} else if (ctx->state != PLUGIN_REFUSED)
			continue;
		if (ctx->is_crashed || !ctx->is_enabled ||
		    ctx_is_optional(ctx, unsaid))
			continue;
		if (result == 0)
			(void)buf_printf(why, "plugin '%s': %s", ctx->name,
			    ctx->error != NULL ? ctx->error : "refused");
		result = -EINVAL;
	}
	h->is_running = true;
	return (result);
}

void
host_stop(struct host *h)
{
	struct list	*l, *prev;

	h->is_running = false;
	host_end_refresh(h);
	/* The host outlives the loop, and these must not. */
	h->inotify_watch = loop_watch_free(h->inotify_watch);
	h->inotify_timer = loop_timer_free(h->inotify_timer);
	h->drain_timer = loop_timer_free(h->drain_timer);
	for (l = h->plugins.prev; l != &h->plugins; l = prev) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		prev = l->prev;
		if (ctx->state == PLUGIN_HELD)
			plugin_unhold(ctx);
		else if (ctx->state == PLUGIN_ACTIVE ||
		    ctx->state == PLUGIN_DRAINING)
			plugin_stop(ctx);
	}
}

void
host_fini(struct host *h)
{
	struct list	*l, *prev;

	h->env.store = NULL;
	for (l = h->plugins.prev; l != &h->plugins; l = prev) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		prev = l->prev;
		/* It was stopped: what it forgot may be gone. */
		if (ctx->n_reqs > 0)
			ctx_cut_requests(ctx, false, "was stopped");
		if (ctx->is_inited)
			plugin_fini(ctx);
	}
}

static int
ctx_reload(struct chela_ctx *ctx)
{
	struct frame	 f;
	int		 r;

	if (ctx->state != PLUGIN_ACTIVE || ctx->desc->reload == NULL)
		return (0);
	frame_enter(&f, ctx, "reload");
	r = ctx->desc->reload(ctx, ctx->host->table.conf(ctx));
	(void)frame_leave(&f);
	return (r);
}

int
host_reload(struct host *h, struct conf *conf, struct buf *why)
{
	struct conf	*old = h->conf == NULL ? NULL : conf_ref(h->conf);
	struct list	*l, *tmp, *failed = NULL;
	int		 r = 0;

	host_set_conf(h, conf);
	list_each(l, tmp, &h->plugins) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		r = ctx_reload(ctx);
		if (r < 0) {
			(void)buf_printf(why, "plugin '%s' does not take it: "
			    "%s", ctx->name, strerror(-r));
			failed = l;
			break;
		}
	}
	if (failed != NULL && old != NULL) {
		/* All or none: those that took it get the old one back. */
		host_set_conf(h, old);
		list_each(l, tmp, &h->plugins) {
			if (l == failed)
				break;
			(void)ctx_reload(container_of(l, struct chela_ctx,
			    link));
		}
	}
	(void)conf_unref(old);
	return (r);
}

uint64_t
host_generation(const struct host *h)
{
	return (h->generation);
}

int
host_print(struct host *h, FILE *out)
{
	struct list	*l, *tmp;
	int		 n = 0;

	list_each(l, tmp, &h->plugins) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		if (ctx->state == PLUGIN_REFUSED) {
			n++;
			(void)fprintf(out, "%-18s refused  %s\n", ctx->name,
			    ctx->error != NULL ? ctx->error : "");
		} else
			(void)fprintf(out, "%-18s ok       %u.%u.%u  %u methods, "
			    "%u events\n", ctx->name, ctx->desc->version >> 22,
			    ctx->desc->version >> 12 & 1023,
			    ctx->desc->version & 4095,
			    (unsigned)ctx->desc->n_methods,
			    (unsigned)ctx->desc->n_events);
	}
	return (n);
}

void
host_print_methods(struct host *h, FILE *out)
{
	struct list	*l, *tmp;
	uint32_t	 i;

	list_each(l, tmp, &h->plugins) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		for (i = 0; ctx->desc != NULL && i < ctx->desc->n_methods; i++) {
			const struct chela_method *m = (const void *)
			    ((const char *)ctx->desc->methods +
			    (size_t)i * ctx->desc->method_size);

			(void)fprintf(out, "  %-32s %-9s %s%s\n", m->name,
			    m->scope != NULL ? m->scope : "-",
			    (m->roles & CHELA_ROLE_OPERATOR) != 0 ?
			    "operator " : "",
			    (m->roles & CHELA_ROLE_NODE) != 0 ? "node" : "");
		}
	}
}

int
host_hello(void *arg, struct peer *p, char **ret_text, size_t *ret_len)
{
	struct host			*h = arg;
	const struct chela_hello_1	*hello = NULL;
	struct chela_hello_policy	 policy;
	struct net_limits		 lim;
	struct chela_ctx		*ctx = NULL;
	struct list			*l, *tmp;
	struct frame			 f;
	int				 r;

	list_each(l, tmp, &h->services) {
		const struct service *s = container_of(l, struct service, link);

		if (strcmp(s->name, CHELA_HELLO_SERVICE) == 0 &&
		    s->ctx != NULL) {
			hello = s->vtable;
			ctx = s->ctx;
		}
	}
	if (hello == NULL)
		return (-ENOENT);
	if (h->env.limits != NULL)
		lim = *h->env.limits;
	else
		net_limits_default(&lim);
	policy = (struct chela_hello_policy){
		.struct_size = sizeof policy,
		.tick_interval_ms = STATE_TICK_MS,
		.max_payload = lim.message_max,
		.max_buffered_bytes = lim.out_max,
	};
	frame_enter(&f, ctx, "hello");
	r = hello->compose((struct chela_conn *)(void *)p, &policy, ret_text,
	    ret_len);
	(void)frame_leave(&f);
	return (r);
}
