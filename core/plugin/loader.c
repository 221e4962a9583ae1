/* SPDX-License-Identifier: MIT */
/*
 * From a file to a descriptor that may be trusted to be one. The only place that
 * knows libltdl. libltdl hides reasons and binds lazily: see the two workarounds.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/access/scope.h"
#include "core/plugin/host_priv.h"

#define METHOD_SIZE_1_0	sizeof(struct chela_method)
#define EVENT_SIZE_1_0	sizeof(struct chela_event)
#define DEP_SIZE_1_0	sizeof(struct chela_dep)
#define PLUGIN_SIZE_1_0	sizeof(struct chela_plugin)

#define METHOD_FLAGS	(CHELA_METHOD_IDEMPOTENT | CHELA_METHOD_HIDDEN | \
	CHELA_METHOD_WRITE)
#define EVENT_FLAGS	(CHELA_EVENT_DROPPABLE | CHELA_EVENT_VERSIONED | \
	CHELA_EVENT_SCOPED | CHELA_EVENT_NODE_DIRECT)
#define ROLES		(CHELA_ROLE_OPERATOR | CHELA_ROLE_NODE)

/* The file and its folder must be ours and nobody else's to write. */
static int
loader_check_mode(const char *path, struct stat *ret_st, struct buf *why)
{
	if (lstat(path, ret_st) < 0) {
		(void)buf_printf(why, "%s", strerror(errno));
		return (-errno);
	}
	if (!S_ISREG(ret_st->st_mode)) {
		(void)buf_puts(why, S_ISLNK(ret_st->st_mode) ?
		    "the file is a link" : "not a regular file");
		return (-EPERM);
	}
	if (ret_st->st_uid != 0 && ret_st->st_uid != geteuid()) {
		(void)buf_printf(why, "the file belongs to user %u, not to root "
		    "or to the daemon's", (unsigned)ret_st->st_uid);
		return (-EPERM);
	}
	if ((ret_st->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		(void)buf_printf(why, "others may write the file (mode %04o)",
		    (unsigned)(ret_st->st_mode & 07777));
		return (-EPERM);
	}
	return (0);
}

/* Lazily bound, a missing function would end the daemon at its first call. */
static bool
loader_is_bound_now(const void *symbol)
{
	const struct link_map	*map = NULL;
	const ElfW(Dyn)		*d;
	Dl_info			 info;

	if (dladdr1(symbol, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 ||
	    map == NULL)
		return (false);
	for (d = map->l_ld; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_BIND_NOW ||
		    (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_BIND_NOW)) ||
		    (d->d_tag == DT_FLAGS_1 && (d->d_un.d_val & DF_1_NOW)))
			return (true);
	}
	return (false);
}

int
loader_open(struct chela_ctx *ctx, struct buf *why)
{
	struct stat	 st;
	lt_dladvise	 advise;
	lt_dlhandle	 handle;
	void		*again;
	const char	*reason;
	int		 r;

	r = loader_check_mode(ctx->path, &st, why);
	if (r < 0)
		return (r);
	ctx->ino = st.st_ino;
	ctx->dev = st.st_dev;
	ctx->mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u +
	    (uint64_t)st.st_mtim.tv_nsec;
	if (lt_dladvise_init(&advise) != 0)
		return (-ENOMEM);
	(void)lt_dladvise_local(&advise);
	(void)lt_dladvise_resident(&advise);
	handle = lt_dlopenadvise(ctx->path, advise);
	(void)lt_dladvise_destroy(&advise);
	if (handle == NULL) {
		/* libltdl says "file not found" whatever it was: ask again. */
		again = dlopen(ctx->path, RTLD_NOW | RTLD_LOCAL);
		reason = again == NULL ? dlerror() : lt_dlerror();
		(void)buf_printf(why, "cannot be loaded: %s",
		    reason != NULL ? reason : "unknown reason");
		if (again != NULL)
			(void)dlclose(again);
		return (-ENOEXEC);
	}
	ctx->desc = lt_dlsym(handle, "chela_plugin");
	if (ctx->desc == NULL) {
		(void)buf_puts(why, "is not a chela plugin (it has no symbol "
		    "chela_plugin)");
		return (-ENOEXEC);
	}
	if (!loader_is_bound_now(ctx->desc)) {
		ctx->desc = NULL;
		(void)buf_puts(why, "was linked without -Wl,-z,now");
		return (-ENOEXEC);
	}
	return (0);
}

static int
loader_check_head(const struct chela_ctx *ctx, struct buf *why)
{
	const struct chela_plugin	*d = ctx->desc;

	if (d->magic != CHELA_MAGIC)
		(void)buf_printf(why, "wrong magic 0x%08x, not 0x%08x",
		    (unsigned)d->magic, CHELA_MAGIC);
	else if (d->abi_major != CHELA_ABI_MAJOR)
		(void)buf_printf(why, "built for ABI %u.%u, this is %u.%u",
		    (unsigned)d->abi_major, (unsigned)d->abi_minor,
		    CHELA_ABI_MAJOR, CHELA_ABI_MINOR);
	else if (d->json_abi != CHELA_JSON_ABI)
		(void)buf_printf(why, "built with libjson-c.so.%u, this is %u",
		    (unsigned)d->json_abi, CHELA_JSON_ABI);
	else if (d->struct_size < PLUGIN_SIZE_1_0)
		(void)buf_printf(why, "its descriptor has %u bytes, at least %zu "
		    "are needed", (unsigned)d->struct_size, PLUGIN_SIZE_1_0);
	else if (d->abi_minor > CHELA_ABI_MINOR &&
	    (d->flags & CHELA_PLUGIN_TOLERANT) == 0)
		(void)buf_printf(why, "needs ABI %u.%u, this is %u.%u",
		    (unsigned)d->abi_major, (unsigned)d->abi_minor,
		    CHELA_ABI_MAJOR, CHELA_ABI_MINOR);
	else if ((d->flags & ~CHELA_PLUGIN_TOLERANT) != 0)
		(void)buf_printf(why, "unknown flags 0x%x", (unsigned)d->flags);
	else if (d->name == NULL || strcmp(d->name, ctx->name) != 0)
		(void)buf_printf(why, "calls itself '%s', its file '%s'",
		    d->name != NULL ? d->name : "", ctx->name);
	else if (d->n_methods > HOST_METHODS_MAX)
		(void)buf_printf(why, "%u methods, at most %d may be",
		    (unsigned)d->n_methods, HOST_METHODS_MAX);
	else if (d->n_events > HOST_EVENTS_MAX)
		(void)buf_printf(why, "%u events, at most %d may be",
		    (unsigned)d->n_events, HOST_EVENTS_MAX);
	else if ((d->n_methods > 0 && d->methods == NULL) ||
	    (d->n_events > 0 && d->events == NULL) ||
	    (d->n_deps > 0 && d->deps == NULL))
		(void)buf_printf(why, "counts methods, events or dependencies "
		    "and has no table of them");
	else if (d->n_methods > 0 && d->method_size < METHOD_SIZE_1_0)
		(void)buf_printf(why, "method_size is %u, at least %zu is needed",
		    (unsigned)d->method_size, METHOD_SIZE_1_0);
	else if (d->n_events > 0 && d->event_size < EVENT_SIZE_1_0)
		(void)buf_printf(why, "event_size is %u, at least %zu is needed",
		    (unsigned)d->event_size, EVENT_SIZE_1_0);
	else if (d->n_deps > 0 && d->dep_size < DEP_SIZE_1_0)
		(void)buf_printf(why, "dep_size is %u, at least %zu is needed",
		    (unsigned)d->dep_size, DEP_SIZE_1_0);
	else
		return (0);
	return (-EINVAL);
}

static bool
name_is_good(const char *s, const char *more)
{
	size_t	 i;

	for (i = 0; s[i] != '\0'; i++) {
		if (!((s[i] >= 'a' && s[i] <= 'z') ||
		    (s[i] >= 'A' && s[i] <= 'Z') ||
		    (s[i] >= '0' && s[i] <= '9') || strchr(more, s[i]) != NULL))
			return (false);
	}
	return (i > 0 && i <= 128);
}

static int
loader_check_methods(struct chela_ctx *ctx, struct buf *why)
{
	const char		*base = (const char *)ctx->desc->methods;
	const struct chela_method *m, *o;
	const char		*fault = NULL;
	uint32_t		 i, j;

	for (i = 0; i < ctx->desc->n_methods; i++) {
		m = (const void *)(base + (size_t)i * ctx->desc->method_size);
		if (m->name == NULL || !name_is_good(m->name, "._-"))
			fault = "name";
		else if (m->handler == NULL)
			fault = "handler";
		else if (m->roles == 0 || (m->roles & ~ROLES) != 0)
			fault = "roles";
		else if ((m->flags & ~METHOD_FLAGS) != 0)
			fault = "flags";
		else if (m->reserved != 0)
			fault = "reserved";
		else if (m->scope != NULL &&
		    scope_parse(m->scope, strlen(m->scope)) == 0)
			fault = "scope";
		for (j = 0; fault == NULL && j < i; j++) {
			o = (const void *)(base +
			    (size_t)j * ctx->desc->method_size);
			if (strcmp(o->name, m->name) == 0)
				fault = "name (twice)";
		}
		if (fault != NULL) {
			(void)buf_printf(why, "method %u ('%s'): bad %s",
			    (unsigned)i, m->name != NULL ? m->name : "", fault);
			return (-EINVAL);
		}
	}
	return (0);
}

static int
loader_check_events(struct chela_ctx *ctx, struct buf *why)
{
	const char		*base = (const char *)ctx->desc->events;
	const struct chela_event *e;
	const char		*fault = NULL;
	uint32_t		 i;

	for (i = 0; i < ctx->desc->n_events; i++) {
		e = (const void *)(base + (size_t)i * ctx->desc->event_size);
		if (e->name == NULL || !name_is_good(e->name, "._-"))
			fault = "name";
		else if ((e->roles & ~ROLES) != 0)
			fault = "roles";
		else if ((e->flags & ~EVENT_FLAGS) != 0)
			fault = "flags";
		else if (e->scope != NULL &&
		    scope_parse(e->scope, strlen(e->scope)) == 0)
			fault = "scope";
		if (fault != NULL) {
			(void)buf_printf(why, "event %u ('%s'): bad %s",
			    (unsigned)i, e->name != NULL ? e->name : "", fault);
			return (-EINVAL);
		}
	}
	return (0);
}

int
loader_check(struct chela_ctx *ctx, struct buf *why)
{
	int	 r;

	r = loader_check_head(ctx, why);
	if (r == 0)
		r = loader_check_methods(ctx, why);
	if (r == 0)
		r = loader_check_events(ctx, why);
	if (r == 0)
		r = schemas_read(ctx, why);
	if (r < 0)
		ctx->desc = NULL;
	return (r);
}
