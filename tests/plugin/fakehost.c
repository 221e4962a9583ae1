/* SPDX-License-Identifier: MIT */
/* The fake host: contexts, life cycle, configuration, services. */
#include "tests/plugin/fakehost_priv.h"

#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/base/clock.h"
#include "tests/plugin/fakeroutes.h"

struct service {
	struct list	 link;
	char		*plugin;
	char		*name;
	const void	*vtable;
	bool		 is_tests;	/* survives a restart */
};

static struct fake	*the_fake;	/* for what has no context */
static char		 the_dir[256];
static pthread_mutex_t	 log_lock = PTHREAD_MUTEX_INITIALIZER;

/* Plugin's own pointer, log. */

static void *
host_priv(const struct chela_ctx *ctx)
{
	return (ctx->priv);
}

static void
host_set_priv(struct chela_ctx *ctx, void *priv)
{
	ctx->priv = priv;
}

static void host_log(struct chela_ctx *ctx, int level, const char *fmt, ...)
    printf_like(3, 4);
static void
host_log(struct chela_ctx *ctx, int level, const char *fmt, ...)
{
	struct fake	*f = ctx->f;
	va_list		 ap;
	size_t		 from;

	pthread_mutex_lock(&log_lock);
	from = f->log.len;
	(void)buf_printf(&f->log, "%d %s: ", level, ctx->name);
	va_start(ap, fmt);
	(void)buf_vprintf(&f->log, fmt, ap);
	va_end(ap);
	(void)buf_putc(&f->log, '\n');
	if (getenv("FAKEHOST_LOG") != NULL)
		(void)fwrite(f->log.data + from, 1, f->log.len - from, stderr);
	pthread_mutex_unlock(&log_lock);
}

const char *
fake_log_text(struct fake *f)
{
	(void)buf_putc(&f->log, '\0');
	f->log.len--;
	return (f->log.data);
}

/* Configuration. */

static struct json_object *
host_conf(struct chela_ctx *ctx)
{
	return (ctx->conf);
}

static struct json_object *
host_conf_path(struct chela_ctx *ctx, const char *path)
{
	if (strncmp(path, "gateway.auth", strlen("gateway.auth")) == 0)
		return (NULL);
	return (fake_get(ctx->f->conf, path));
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return (remove(path));
}

static const char *
host_state_dir(void)
{
	const char	*tmp = getenv("TMPDIR");

	if (the_dir[0] == '\0') {
		(void)snprintf(the_dir, sizeof the_dir, "%s/chela-test-XXXXXX",
		    tmp != NULL ? tmp : P_tmpdir);
		if (mkdtemp(the_dir) == NULL)
			abort();
	}
	return (the_dir);
}

/* A copy with defaults; NULL when it is not as the schema wants it. Gives. */
static struct json_object *
ctx_conf_of(struct chela_ctx *ctx, struct json_object *doc)
{
	char			 path[256];
	struct json_object	*o, *conf = NULL;

	(void)snprintf(path, sizeof path, "plugins.entries.%s.config",
	    ctx->name);
	o = fake_get(doc, path);
	if (o == NULL)
		conf = json_object_new_object();
	else if (json_object_deep_copy(o, &conf, NULL) < 0)
		abort();
	if (fake_schema_conf(ctx, conf) < 0) {
		json_object_put(conf);
		return (NULL);
	}
	return (conf);
}

static int
conf_reload(struct fake *f, struct json_object *doc)
{
	struct json_object	*old = f->conf, *old_conf;
	struct list		*l, *tmp;
	struct chela_ctx	*ctx;
	int			 r;

	f->conf = doc;
	list_each(l, tmp, &f->ctxs) {
		ctx = container_of(l, struct chela_ctx, link);
		if (ctx->plugin == NULL)
			continue;
		old_conf = ctx->conf;
		ctx->conf = ctx_conf_of(ctx, doc);
		r = ctx->conf == NULL ? -EINVAL :
		    ctx->plugin->reload == NULL ? 0 :
		    ctx->plugin->reload(ctx, ctx->conf);
		if (r < 0) {
			json_object_put(ctx->conf);
			ctx->conf = old_conf;
			json_object_put(doc);
			f->conf = old;
			return (r);
		}
		json_object_put(old_conf);
	}
	json_object_put(old);
	return (0);
}

int
fake_conf(struct fake *f, const char *json)
{
	struct json_object	*doc;

	doc = json_tokener_parse(json);
	if (!json_object_is_type(doc, json_type_object)) {
		json_object_put(doc);
		return (-EINVAL);
	}
	if (f->is_started)
		return (conf_reload(f, doc));
	json_object_put(f->conf);
	f->conf = doc;
	return (0);
}

/* Services. */

static bool
has_dep(const struct chela_ctx *ctx, const char *plugin)
{
	const struct chela_plugin	*p = ctx->plugin;
	const struct chela_dep		*d;
	uint32_t			 i;

	if (p == NULL || strcmp(plugin, "core") == 0)
		return (true);
	for (i = 0; i < p->n_deps; i++) {
		d = (const struct chela_dep *)(const void *)
		    ((const char *)p->deps + (size_t)i * p->dep_size);
		if (strcmp(d->name, plugin) == 0)
			return (true);
	}
	return (strcmp(ctx->name, plugin) == 0);
}

static int
service_add(struct fake *f, const char *plugin, const char *name,
    const void *vtable, bool is_tests)
{
	struct service	*s;

	s = calloc(1, sizeof *s);
	if (s == NULL)
		return (-ENOMEM);
	s->plugin = strdup(plugin);
	s->name = strdup(name);
	s->vtable = vtable;
	s->is_tests = is_tests;
	list_append(&f->services, &s->link);
	return (0);
}

static void
service_free(struct service *s)
{
	list_remove(&s->link);
	free(s->plugin);
	free(s->name);
	free(s);
}

static int
host_svc_export(struct chela_ctx *ctx, const char *name, const void *vtable)
{
	return (service_add(ctx->f, ctx->name, name, vtable, false));
}

static const void *
host_svc_import(struct chela_ctx *ctx, const char *name)
{
	struct list	*l, *tmp;
	struct service	*s;

	list_each(l, tmp, &ctx->f->services) {
		s = container_of(l, struct service, link);
		if (strcmp(s->name, name) != 0)
			continue;
		if (has_dep(ctx, s->plugin))
			return (s->vtable);
		host_log(ctx, CHELA_LOG_ERR,
		    "service %s: plugin %s is not among the dependencies",
		    name, s->plugin);
	}
	return (NULL);
}

static int
host_svc_each(struct chela_ctx *ctx, const char *name,
    int (*cb)(const char *plugin, const void *vtable, void *arg), void *arg)
{
	struct list	*l, *tmp;
	struct service	*s;
	int		 r;

	list_each(l, tmp, &ctx->f->services) {
		s = container_of(l, struct service, link);
		if (strcmp(s->name, name) != 0)
			continue;
		r = cb(s->plugin, s->vtable, arg);
		if (r != 0)
			return (r);
	}
	return (0);
}

int
fake_service(struct fake *f, const char *plugin, const char *name,
    const void *vtable)
{
	return (service_add(f, plugin, name, vtable, true));
}

const void *
fake_import(struct fake *f, const char *name)
{
	return (host_svc_import(f->own, name));
}

static void
host_uuid(char ret_text[37])
{
	uint8_t	 b[16];

	if (getentropy(b, sizeof b) < 0)
		abort();
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)snprintf(ret_text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4],
	    b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
	    b[15]);
}

/* Life cycle. */

static struct chela_ctx *
ctx_new(struct fake *f, const char *name, const struct chela_plugin *p)
{
	struct chela_ctx	*ctx;

	ctx = calloc(1, sizeof *ctx);
	if (ctx == NULL)
		abort();
	ctx->f = f;
	ctx->name = strdup(name);
	ctx->plugin = p;
	ctx->store = fake_store_get(f, name);
	ctx->schemas = map_new();
	if (ctx->schemas == NULL)
		abort();
	list_init(&ctx->timers);
	list_init(&ctx->watches);
	list_init(&ctx->hooks);
	list_append(&f->ctxs, &ctx->link);
	return (ctx);
}

/* What a plugin left behind: the host owns the lists, and ends it. */
static void
ctx_sweep(struct chela_ctx *ctx)
{
	ctx->generation++;
	fake_loop_sweep(ctx);
	fake_hooks_free(ctx);
	fake_routes_drop(ctx);
	json_object_put(ctx->conf);
	ctx->conf = NULL;
	ctx->priv = NULL;
}

struct chela_ctx *
fake_ctx(struct fake *f, const char *plugin)
{
	struct list		*l, *tmp;
	struct chela_ctx	*ctx;

	list_each(l, tmp, &f->ctxs) {
		ctx = container_of(l, struct chela_ctx, link);
		if (strcmp(ctx->name, plugin) == 0)
			return (ctx);
	}
	return (NULL);
}

static bool
names_agree(struct chela_ctx *ctx, const char *part, const void *table,
    uint32_t n, uint32_t stride)
{
	struct json_object	*o, *t;
	const char		*name;
	uint32_t		 i, j;

	o = json_object_object_get(ctx->schema, part);
	for (i = 0; i < n; i++) {
		/* The name is the first member of methods and of events. */
		memcpy(&name, (const char *)table + (size_t)i * stride,
		    sizeof name);
		if (!json_object_object_get_ex(o, name, &t)) {
			host_log(ctx, CHELA_LOG_ERR,
			    "%s.%s is not in the schema file", part, name);
			return (false);
		}
	}
	if (o == NULL || (uint32_t)json_object_object_length(o) == n)
		return (true);
	json_object_object_foreach(o, key, val) {
		(void)val;
		for (j = 0; j < n; j++) {
			memcpy(&name, (const char *)table + (size_t)j * stride,
			    sizeof name);
			if (strcmp(name, key) == 0)
				break;
		}
		if (j == n)
			host_log(ctx, CHELA_LOG_ERR,
			    "%s.%s of the schema file is not in the table",
			    part, key);
	}
	return (false);
}

static const char *
env_or(const char *name, const char *other)
{
	const char	*s = getenv(name);

	return (s != NULL ? s : other);
}

int
fake_add(struct fake *f, const struct chela_plugin *p)
{
	char			 path[1024];
	struct chela_ctx	*ctx;

	if (p->magic != CHELA_MAGIC || p->abi_major != CHELA_ABI_MAJOR ||
	    p->json_abi != CHELA_JSON_ABI ||
	    p->struct_size < sizeof(struct chela_plugin))
		return (-ENOEXEC);
	ctx = ctx_new(f, p->name, p);
	(void)snprintf(path, sizeof path, "%s/%s.json",
	    env_or("CHELA_TEST_SCHEMAS", "schemas"), p->name);
	if (access(path, R_OK) == 0)
		ctx->schema = json_object_from_file(path);
	if (ctx->schema == NULL) {
		host_log(ctx, CHELA_LOG_ERR, "no schema file (%s)", path);
		return (p->n_methods + p->n_events == 0 ? 0 : -ENOENT);
	}
	if (!names_agree(ctx, "methods", p->methods, p->n_methods,
	    p->method_size) || !names_agree(ctx, "events", p->events,
	    p->n_events, p->event_size))
		return (-EBADMSG);
	return (0);
}

int
fake_load(struct fake *f, const char *name)
{
	char				 path[1024];
	const struct chela_plugin	*p;
	void				*so;

	(void)snprintf(path, sizeof path, "%s/%s/.libs/%s.so",
	    env_or("CHELA_TEST_PLUGINS", "plugins"), name, name);
	/* Never closed: as in the daemon, and leak reports keep symbols. */
	so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	p = so == NULL ? NULL : dlsym(so, "chela_plugin");
	if (p == NULL) {
		(void)fprintf(stderr, "%s: %s\n", path, dlerror());
		return (-ENOENT);
	}
	if (strcmp(p->name, name) != 0)
		return (-EINVAL);
	return (fake_add(f, p));
}

/* Depth first; mark 1: on the way, 2: all that it needs is there. */
static int
ctx_check_deps(struct chela_ctx *ctx)
{
	const struct chela_plugin	*p = ctx->plugin;
	const struct chela_dep		*d;
	struct chela_ctx		*other;
	struct list			*l, *tmp;
	bool				 is_known;
	uint32_t			 i;
	int				 r;

	if (ctx->mark == 2)
		return (0);
	if (ctx->mark == 1)
		return (-ELOOP);
	ctx->mark = 1;
	for (i = 0; p != NULL && i < p->n_deps; i++) {
		d = (const struct chela_dep *)(const void *)
		    ((const char *)p->deps + (size_t)i * p->dep_size);
		other = fake_ctx(ctx->f, d->name);
		is_known = other != NULL || (d->flags & CHELA_DEP_OPTIONAL);
		list_each(l, tmp, &ctx->f->services) {
			if (strcmp(container_of(l, struct service, link)->plugin,
			    d->name) == 0)
				is_known = true;
		}
		if (!is_known) {
			host_log(ctx, CHELA_LOG_ERR, "needs plugin %s", d->name);
			(void)fprintf(stderr, "%s needs plugin %s\n", ctx->name,
			    d->name);
			return (-ENOENT);
		}
		r = other == NULL ? 0 : ctx_check_deps(other);
		if (r < 0)
			return (r);
	}
	ctx->mark = 2;
	return (0);
}

static int
ctxs_sort(struct fake *f)
{
	struct list		 order;
	struct list		*l, *tmp;
	struct chela_ctx	*ctx;
	bool			 is_moved = true;
	int			 r;

	list_init(&order);
	list_each(l, tmp, &f->ctxs) {
		r = ctx_check_deps(container_of(l, struct chela_ctx, link));
		if (r < 0)
			return (r);
	}
	/* Few plugins: move whoever has all that it needs before it. */
	while (is_moved) {
		is_moved = false;
		list_each(l, tmp, &f->ctxs) {
			const struct chela_plugin *p;
			uint32_t i;

			ctx = container_of(l, struct chela_ctx, link);
			p = ctx->plugin;
			for (i = 0; p != NULL && i < p->n_deps; i++) {
				const struct chela_dep *d =
				    (const struct chela_dep *)(const void *)
				    ((const char *)p->deps +
				    (size_t)i * p->dep_size);

				if (fake_ctx(f, d->name) != NULL)
					break;
			}
			if (p != NULL && i < p->n_deps)
				continue;
			list_remove(l);
			list_append(&order, l);
			is_moved = true;
		}
	}
	while ((l = order.next) != &order) {
		list_remove(l);
		list_append(&f->ctxs, l);
	}
	list_each(l, tmp, &f->ctxs)
		container_of(l, struct chela_ctx, link)->mark = 0;
	return (0);
}

int
fake_start(struct fake *f)
{
	struct list		*l, *tmp;
	struct chela_ctx	*ctx;
	int			 r;

	r = ctxs_sort(f);
	if (r < 0)
		return (r);
	f->is_started = true;
	list_each(l, tmp, &f->ctxs) {
		ctx = container_of(l, struct chela_ctx, link);
		if (ctx->plugin == NULL)
			continue;
		ctx->conf = ctx_conf_of(ctx, f->conf);
		if (ctx->conf == NULL)
			return (-EINVAL);
		r = ctx->plugin->init == NULL ? 0 :
		    ctx->plugin->init(ctx, &f->host);
		if (r < 0)
			return (r);
		ctx->is_up = true;
	}
	list_each(l, tmp, &f->ctxs) {
		ctx = container_of(l, struct chela_ctx, link);
		if (ctx->plugin == NULL)
			continue;
		r = ctx->plugin->start == NULL ? 0 : ctx->plugin->start(ctx);
		if (r < 0)
			return (r);
		ctx->is_started = true;
	}
	return (0);
}

static void
fake_down(struct fake *f)
{
	struct list		*l;
	struct list		*s, *tmp;
	struct chela_ctx	*ctx;

	for (l = f->ctxs.prev; l != &f->ctxs; l = l->prev) {
		ctx = container_of(l, struct chela_ctx, link);
		fake_routes_drop(ctx);
		if (ctx->is_started && ctx->plugin->stop != NULL)
			ctx->plugin->stop(ctx);
		ctx->is_started = false;
	}
	fake_settle(f);
	fake_conns_close(f);
	fake_settle(f);
	for (l = f->ctxs.prev; l != &f->ctxs; l = l->prev) {
		ctx = container_of(l, struct chela_ctx, link);
		if (ctx->is_up && ctx->plugin->fini != NULL)
			ctx->plugin->fini(ctx);
		ctx->is_up = false;
		ctx_sweep(ctx);
	}
	fake_settle(f);
	list_each(s, tmp, &f->services) {
		if (!container_of(s, struct service, link)->is_tests)
			service_free(container_of(s, struct service, link));
	}
	f->is_started = false;
}

int
fake_restart(struct fake *f)
{
	fake_down(f);
	f->all = fake_conn_new(f, NULL);
	return (fake_start(f));
}

struct fake *
fake_new(void)
{
	struct fake		*f;
	struct chela_host	*h;

	(void)signal(SIGPIPE, SIG_IGN);	/* as the daemon does */
	if (the_fake != NULL)
		abort();	/* one at a time: see host_now_us() */
	f = calloc(1, sizeof *f);
	if (f == NULL)
		abort();
	the_fake = f;
	the_dir[0] = '\0';
	f->loop = loop_new();
	if (f->loop == NULL)
		abort();
	list_init(&f->ctxs);
	list_init(&f->stores);
	list_init(&f->services);
	list_init(&f->conns);
	list_init(&f->reqs);
	f->conf = json_object_new_object();
	f->events = json_object_new_array();
	buf_init(&f->log);
	f->own = ctx_new(f, "", NULL);

	h = &f->host;
	h->struct_size = sizeof *h;
	h->abi_major = CHELA_ABI_MAJOR;
	h->abi_minor = CHELA_ABI_MINOR;
	h->priv = host_priv;
	h->set_priv = host_set_priv;
	h->log = host_log;
	h->conf = host_conf;
	h->conf_path = host_conf_path;
	h->state_dir = host_state_dir;
	h->svc_export = host_svc_export;
	h->svc_import = host_svc_import;
	h->svc_each = host_svc_each;
	h->uuid = host_uuid;
	fake_loop_table(h);
	fake_store_table(h);
	fake_call_table(h);
	f->all = fake_conn_new(f, NULL);
	if (fake_service(f, "core", CHELA_CONNS_SERVICE, &fake_conns) < 0 ||
	    fake_service(f, "core", CHELA_ROUTES_SERVICE, &fake_routes) < 0)
		abort();
	return (f);
}

struct fake *
fake_the(void)
{
	return (the_fake);
}

void
fake_free(struct fake *f)
{
	struct list		*l, *tmp;
	struct chela_ctx	*ctx;

	if (f == NULL)
		return;
	fake_down(f);
	list_each(l, tmp, &f->services)
		service_free(container_of(l, struct service, link));
	list_each(l, tmp, &f->ctxs) {
		ctx = container_of(l, struct chela_ctx, link);
		ctx_sweep(ctx);
		list_remove(&ctx->link);
		fake_schema_free(ctx);
		json_object_put(ctx->schema);
		free(ctx->name);
		free(ctx);
	}
	loop_free(f->loop);
	list_each(l, tmp, &f->stores)
		fake_store_free(container_of(l, struct fake_store, link));
	json_object_put(f->conf);
	json_object_put(f->events);
	buf_fini(&f->log);
	if (the_dir[0] != '\0')
		(void)nftw(the_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	if (f->is_frozen)
		clock_fake(0, 0);
	free(f);
	the_fake = NULL;
}

const struct chela_host *
fake_host(struct fake *f)
{
	return (&f->host);
}
