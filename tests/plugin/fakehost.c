/* SPDX-License-Identifier: MIT */
/* The fake host: contexts, life cycle, time, descriptors, services. */
#include "tests/plugin/fakehost_priv.h"

#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/base/clock.h"

struct chela_timer {
	struct list		 link;
	struct chela_ctx	*ctx;
	chela_cb_fn		*cb;
	void			*arg;
	struct loop_timer	*real;
	uint64_t		 due_us;	/* while time stands still */
	bool			 is_set;
};

struct chela_watch {
	struct list		  link;
	struct chela_ctx	 *ctx;
	struct loop_watch	 *real;
	void			(*cb)(struct chela_ctx *ctx, int fd,
				    uint32_t what, void *arg);
	void			 *arg;
};

struct service {
	struct list	 link;
	char		*plugin;
	char		*name;
	const void	*vtable;
	bool		 is_tests;	/* survives a restart */
};

struct job {
	struct chela_ctx	 *ctx;
	void			(*fn)(void *arg);
	chela_cb_fn		 *done;
	void			 *arg;
};

static struct fake	*the_fake;	/* for what has no context */
static char		 the_dir[256];
static pthread_mutex_t	 log_lock = PTHREAD_MUTEX_INITIALIZER;

/* Plugin's own pointer, log, time. */

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

static uint64_t
host_now_us(void)
{
	return (clock_now_us());
}

static uint64_t
host_wall_ms(void)
{
	return (clock_wall_ms());
}

static void
timer_fire(struct chela_timer *t)
{
	t->is_set = false;
	t->cb(t->ctx, t->arg);
}

static void
timer_on_real(void *arg)
{
	timer_fire(arg);
}

static struct chela_timer *
host_timer_new(struct chela_ctx *ctx, chela_cb_fn *cb, void *arg)
{
	struct chela_timer	*t;

	t = calloc(1, sizeof *t);
	if (t == NULL)
		return (NULL);
	t->ctx = ctx;
	t->cb = cb;
	t->arg = arg;
	t->real = loop_timer_new(ctx->f->loop, timer_on_real, t);
	list_append(&ctx->timers, &t->link);
	return (t);
}

static int
host_timer_set(struct chela_timer *t, uint64_t after_us)
{
	t->is_set = true;
	t->due_us = t->ctx->f->now_us + after_us;
	if (t->ctx->f->is_frozen)
		return (0);
	return (loop_timer_set(t->real, after_us));
}

static void
host_timer_stop(struct chela_timer *t)
{
	if (t == NULL)
		return;
	t->is_set = false;
	loop_timer_stop(t->real);
}

static void
host_timer_free(struct chela_timer *t)
{
	if (t == NULL)
		return;
	list_remove(&t->link);
	loop_timer_free(t->real);
	free(t);
}

void
fake_clock(struct fake *f, uint64_t wall_ms)
{
	f->is_frozen = true;
	f->now_us = SEC_US(1000);
	f->wall_ms = wall_ms;
	clock_fake(f->now_us, f->wall_ms);
}

static struct chela_timer *
timer_next(struct fake *f, uint64_t until)
{
	struct chela_timer	*t, *best = NULL;
	struct list		*c, *ctmp, *l, *tmp;

	list_each(c, ctmp, &f->ctxs) {
		struct chela_ctx *ctx = container_of(c, struct chela_ctx, link);

		list_each(l, tmp, &ctx->timers) {
			t = container_of(l, struct chela_timer, link);
			if (t->is_set && t->due_us <= until &&
			    (best == NULL || t->due_us < best->due_us))
				best = t;
		}
	}
	return (best);
}

static void
clock_to(struct fake *f, uint64_t now_us, uint64_t *rest_us)
{
	uint64_t	 step = now_us - f->now_us + *rest_us;

	f->now_us = now_us;
	f->wall_ms += step / 1000u;
	*rest_us = step % 1000u;
	clock_fake(f->now_us, f->wall_ms);
}

void
fake_advance(struct fake *f, uint64_t us)
{
	struct chela_timer	*t;
	uint64_t		 until = f->now_us + us, rest = 0;

	fake_settle(f);
	while ((t = timer_next(f, until)) != NULL) {
		if (t->due_us > f->now_us)
			clock_to(f, t->due_us, &rest);
		timer_fire(t);
		fake_settle(f);
	}
	clock_to(f, until, &rest);
}

/* Descriptors and other threads. */

static void
watch_on_real(int fd, uint32_t what, void *arg)
{
	struct chela_watch	*w = arg;

	w->cb(w->ctx, fd, what, w->arg);
}

static struct chela_watch *
host_watch_new(struct chela_ctx *ctx, int fd, uint32_t what,
    void (*cb)(struct chela_ctx *ctx, int fd, uint32_t what, void *arg),
    void *arg)
{
	struct chela_watch	*w;

	w = calloc(1, sizeof *w);
	if (w == NULL)
		return (NULL);
	w->ctx = ctx;
	w->cb = cb;
	w->arg = arg;
	w->real = loop_watch_new(ctx->f->loop, fd, what, watch_on_real, w);
	if (w->real == NULL) {
		free(w);
		return (NULL);
	}
	list_append(&ctx->watches, &w->link);
	return (w);
}

static int
host_watch_set(struct chela_watch *w, uint32_t what)
{
	return (loop_watch_set(w->real, what));
}

static void
host_watch_free(struct chela_watch *w)
{
	if (w == NULL)
		return;
	list_remove(&w->link);
	loop_watch_free(w->real);
	free(w);
}

int
fake_later(struct fake *f, loop_fn *fn, void *arg)
{
	(void)__atomic_add_fetch(&f->n_open, 1, __ATOMIC_SEQ_CST);
	return (loop_post(f->loop, fn, arg));
}

void
fake_later_done(struct fake *f)
{
	(void)__atomic_sub_fetch(&f->n_open, 1, __ATOMIC_SEQ_CST);
}

static void
job_run(void *arg)
{
	struct job	*j = arg;

	j->fn(j->arg);
}

static void
job_done(void *arg)
{
	struct job	*j = arg;
	struct fake	*f = j->ctx->f;

	if (j->done != NULL)
		j->done(j->ctx, j->arg);
	free(j);
	fake_later_done(f);
}

static struct job *
job_new(struct chela_ctx *ctx, void (*fn)(void *arg), chela_cb_fn *done,
    void *arg)
{
	struct job	*j;

	j = malloc(sizeof *j);
	if (j != NULL)
		*j = (struct job){ ctx, fn, done, arg };
	return (j);
}

static int
host_post(struct chela_ctx *ctx, chela_cb_fn *cb, void *arg)
{
	struct job	*j;

	j = job_new(ctx, NULL, cb, arg);
	return (j == NULL ? -ENOMEM : fake_later(ctx->f, job_done, j));
}

static int
host_work(struct chela_ctx *ctx, void (*fn)(void *arg), chela_cb_fn *done,
    void *arg)
{
	struct job	*j;
	int		 r;

	j = job_new(ctx, fn, done, arg);
	if (j == NULL)
		return (-ENOMEM);
	(void)__atomic_add_fetch(&ctx->f->n_open, 1, __ATOMIC_SEQ_CST);
	r = loop_work(ctx->f->loop, job_run, job_done, j);
	if (r < 0) {
		fake_later_done(ctx->f);
		free(j);
	}
	return (r);
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
	struct list	*l, *tmp;

	list_each(l, tmp, &ctx->timers)
		host_timer_free(container_of(l, struct chela_timer, link));
	list_each(l, tmp, &ctx->watches)
		host_watch_free(container_of(l, struct chela_watch, link));
	fake_hooks_free(ctx);
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
	h->now_us = host_now_us;
	h->wall_ms = host_wall_ms;
	h->timer_new = host_timer_new;
	h->timer_set = host_timer_set;
	h->timer_stop = host_timer_stop;
	h->timer_free = host_timer_free;
	h->watch_new = host_watch_new;
	h->watch_set = host_watch_set;
	h->watch_free = host_watch_free;
	h->post = host_post;
	h->work = host_work;
	h->conf = host_conf;
	h->conf_path = host_conf_path;
	h->state_dir = host_state_dir;
	h->svc_export = host_svc_export;
	h->svc_import = host_svc_import;
	h->svc_each = host_svc_each;
	h->uuid = host_uuid;
	fake_store_table(h);
	fake_call_table(h);
	f->all = fake_conn_new(f, NULL);
	if (fake_service(f, "core", CHELA_CONNS_SERVICE, &fake_conns) < 0)
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

struct loop *
fake_loop(struct fake *f)
{
	return (f->loop);
}

const struct chela_host *
fake_host(struct fake *f)
{
	return (&f->host);
}

/* Waiting. */

static void
on_deadline(void *arg)
{
	*(bool *)arg = true;
}

int
fake_wait(struct fake *f, bool (*pred)(void *arg), void *arg)
{
	struct loop_timer	*t;
	bool			 is_late = false;

	t = loop_timer_new(f->loop, on_deadline, &is_late);
	if (t == NULL || loop_timer_set(t, FAKE_DEADLINE_US) < 0)
		abort();
	for (;;) {
		loop_poke(f->loop);
		if (pred(arg) || is_late)
			break;
		(void)event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
	}
	loop_timer_free(t);
	return (is_late ? -ETIMEDOUT : 0);
}

static bool
is_settled(void *arg)
{
	struct fake	*f = arg;

	return (__atomic_load_n(&f->n_open, __ATOMIC_SEQ_CST) == 0);
}

void
fake_settle(struct fake *f)
{
	(void)fake_wait(f, is_settled, f);
	loop_poke(f->loop);
	(void)fake_wait(f, is_settled, f);
}
