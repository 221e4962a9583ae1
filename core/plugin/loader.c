/* SPDX-License-Identifier: MIT */
/*
 * From a file to a descriptor that may be trusted to be one. The only place that
 * knows libltdl. libltdl hides reasons and binds lazily: see the two workarounds.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/access/scope.h"
#include "core/plugin/host_priv.h"

#define METHOD_SIZE_1_0	sizeof(struct chela_method)
#define EVENT_SIZE_1_0	sizeof(struct chela_event)
#define DEP_SIZE_1_0	sizeof(struct chela_dep)
#define PLUGIN_SIZE_1_0	sizeof(struct chela_plugin)

#define DEP_FLAGS	CHELA_DEP_OPTIONAL
#define METHOD_FLAGS	(CHELA_METHOD_IDEMPOTENT | CHELA_METHOD_HIDDEN | \
	CHELA_METHOD_WRITE)
#define EVENT_FLAGS	(CHELA_EVENT_DROPPABLE | CHELA_EVENT_VERSIONED | \
	CHELA_EVENT_SCOPED | CHELA_EVENT_NODE_DIRECT)
#define ROLES		(CHELA_ROLE_OPERATOR | CHELA_ROLE_NODE)

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

/*
 * One folder on the way to the file. Who may write the last one could put a plugin
 * or a schema there. Further up only what everybody may write is refused: another
 * user's folder can only hold what is ours again, or it is refused for that.
 */
static int
loader_check_folder(const char *dir, bool is_last, struct buf *why)
{
	struct stat	 st;
	const char	*fault = NULL;

	if (lstat(dir, &st) < 0) {
		(void)buf_printf(why, "the folder '%s': %s", dir,
		    strerror(errno));
		return (-errno);
	}
	if (S_ISLNK(st.st_mode))
		fault = "is a link";
	else if (!S_ISDIR(st.st_mode))
		fault = "is no folder";
	if (fault != NULL) {
		(void)buf_printf(why, "the folder '%s' %s", dir, fault);
		return (-EPERM);
	}
	if (is_last && st.st_uid != 0 && st.st_uid != geteuid()) {
		(void)buf_printf(why, "the folder '%s' belongs to user %u, not "
		    "to root or to the daemon's", dir, (unsigned)st.st_uid);
		return (-EPERM);
	}
	if (is_last ? (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 :
	    (st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0) {
		(void)buf_printf(why, "others may write the folder '%s' "
		    "(mode %04o)", dir, (unsigned)(st.st_mode & 07777));
		return (-EPERM);
	}
	return (0);
}

static int
loader_check_folders(const char *path, struct buf *why)
{
	char		*dir = strdup(path), *slash;
	bool		 is_last = true;
	int		 r = 0;

	if (dir == NULL)
		return (-ENOMEM);
	for (slash = strrchr(dir, '/'); r == 0 && slash != NULL && slash != dir;
	    slash = strrchr(dir, '/')) {
		*slash = '\0';
		r = loader_check_folder(dir, is_last, why);
		is_last = false;
	}
	free(dir);
	return (r);
}

/* The file must be ours and nobody else's to write. */
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

	if (!name_is_good(ctx->name, "-_") ||
	    strlen(ctx->name) > HOST_NAME_MAX) {
		(void)buf_printf(why, "a name has letters, digits, - and _, and "
		    "at most %d of them", HOST_NAME_MAX);
		return (-EINVAL);
	}
	r = loader_check_folders(ctx->path, why);
	if (r == 0)
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
	else if (d->n_deps > HOST_DEPS_MAX)
		(void)buf_printf(why, "%u dependencies, at most %d may be",
		    (unsigned)d->n_deps, HOST_DEPS_MAX);
	else
		return (0);
	return (-EINVAL);
}

/* A stretch of memory, and whether a segment of desc's object has all of it. */
struct stretch {
	uintptr_t	 desc, from, to;
	bool		 is_inside;
};

static int
on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct stretch	*s = arg;
	uintptr_t	 from, to;
	bool		 is_it = false, is_inside = false;
	int		 i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		to = from + info->dlpi_phdr[i].p_memsz;
		is_it = is_it || (s->desc >= from && s->desc < to);
		is_inside = is_inside || (s->from >= from && s->to <= to &&
		    s->to >= s->from);
	}
	s->is_inside = is_inside;
	return (is_it);		/* nonzero stops */
}

static int
loader_check_table(const struct chela_ctx *ctx, const char *what,
    const void *table, uint32_t n, uint32_t stride, size_t least,
    struct buf *why)
{
	struct stretch	 s = { (uintptr_t)ctx->desc, (uintptr_t)table,
	    (uintptr_t)table + (size_t)n * stride, false };

	if (n == 0)
		return (0);
	if (table == NULL)
		(void)buf_printf(why, "counts %ss and has no table of them",
		    what);
	else if (stride < least)
		(void)buf_printf(why, "%s_size is %u, at least %zu is needed",
		    what, (unsigned)stride, least);
	else if (stride > HOST_STRIDE_MAX || stride % sizeof(void *) != 0 ||
	    s.from % sizeof(void *) != 0)
		(void)buf_printf(why, "%s_size is %u, at most %d may be, in "
		    "whole pointers", what, (unsigned)stride, HOST_STRIDE_MAX);
	else {
		(void)dl_iterate_phdr(on_object, &s);
		if (s.is_inside)
			return (0);
		(void)buf_printf(why, "its table of %u %ss reaches out of the "
		    "file", (unsigned)n, what);
	}
	return (-EINVAL);
}

static int
loader_check_tables(const struct chela_ctx *ctx, struct buf *why)
{
	const struct chela_plugin	*d = ctx->desc;
	int				 r;

	r = loader_check_table(ctx, "method", d->methods, d->n_methods,
	    d->method_size, METHOD_SIZE_1_0, why);
	if (r == 0)
		r = loader_check_table(ctx, "event", d->events, d->n_events,
		    d->event_size, EVENT_SIZE_1_0, why);
	if (r == 0)
		r = loader_check_table(ctx, "dep", d->deps, d->n_deps,
		    d->dep_size, DEP_SIZE_1_0, why);
	return (r);
}

static int
loader_check_deps(const struct chela_ctx *ctx, struct buf *why)
{
	const struct chela_dep	*dep;
	uint32_t		 i;

	for (i = 0; i < ctx->desc->n_deps; i++) {
		dep = ctx_dep(ctx, i);
		if (dep->name == NULL || !name_is_good(dep->name, "-_") ||
		    (dep->flags & ~DEP_FLAGS) != 0) {
			(void)buf_printf(why, "dependency %u ('%s'): bad %s",
			    (unsigned)i, dep->name != NULL ? dep->name : "",
			    dep->name == NULL ||
			    !name_is_good(dep->name, "-_") ? "name" : "flags");
			return (-EINVAL);
		}
	}
	return (0);
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
		r = loader_check_tables(ctx, why);
	if (r == 0)
		r = loader_check_deps(ctx, why);
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
