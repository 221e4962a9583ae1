/* SPDX-License-Identifier: MIT */
/*
 * What is new in the directories, read by a worker before the loop looks at it: the
 * object into the kernel's cache, the schema file parsed. dlopen() itself stays on
 * the loop, libltdl is for one thread. Nothing is decided here: the loop checks
 * everything again, and reads for itself what is not in here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "core/base/file.h"
#include "core/base/loop.h"
#include "core/plugin/host_priv.h"

#define FILES_MAX	256	/* new ones of one look */
#define OBJECT_MAX	MIB(64)	/* read of one */
#define CHUNK		KIB(256)

struct prefetched {
	struct list		 link;
	char			*name;
	struct schema_file	 schema;
};

struct prefetch {
	struct host		*host;
	void			(*done)(struct host *h);
	struct map		*known;		/* names that are loaded */
	struct list		 files;
	size_t			 n;
};

static struct prefetched *
file_free(struct prefetched *f)
{
	list_remove(&f->link);
	schema_file_fini(&f->schema);
	free(f->name);
	free(f);
	return (NULL);
}

struct prefetch *
prefetch_free(struct prefetch *p)
{
	struct prefetched	*f;

	if (p == NULL)
		return (NULL);
	while ((f = list_first(&p->files, struct prefetched, link)) != NULL)
		(void)file_free(f);
	(void)map_free(p->known);
	free(p);
	return (NULL);
}

static void
warm(const char *path)
{
	struct stat	 st;
	char		*chunk;
	size_t		 left = OBJECT_MAX;
	ssize_t		 n;
	int		 fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return;
	chunk = malloc(CHUNK);
	if (chunk != NULL && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		do {
			n = read(fd, chunk, CHUNK);
			left -= n > 0 ? (size_t)n : 0;
		} while (n > 0 && left >= CHUNK);
	}
	free(chunk);
	(void)close(fd);
}

static void
look_at(struct prefetch *p, const char *dir, const char *entry)
{
	struct prefetched	*f;
	struct stat		 st;
	char			*name, *path;

	if (p->n == FILES_MAX || host_entry(dir, entry, &name, &path) < 0)
		return;
	f = NULL;
	if (map_getz(p->known, name) == NULL && lstat(path, &st) == 0)
		f = calloc(1, sizeof *f);
	if (f != NULL) {
		list_init(&f->link);
		list_append(&p->files, &f->link);
		p->n++;
		warm(path);
		(void)schema_file_read(&f->schema, path, name,
		    p->host->env.schema_dir);
		f->name = name;
		name = NULL;
	}
	free(name);
	free(path);
}

static void
prefetch_run(void *arg)
{
	struct prefetch	*p = arg;
	struct dirent	**entries;
	size_t		 i;
	int		 j, n;

	/* The directories do not change while the daemon runs. */
	for (i = 0; i < p->host->n_dirs; i++) {
		n = scandir(p->host->dirs[i], &entries, NULL, alphasort);
		for (j = 0; j < n; j++) {
			look_at(p, p->host->dirs[i], entries[j]->d_name);
			free(entries[j]);
		}
		if (n >= 0)
			free(entries);
	}
}

static void
prefetch_ended(void *arg)
{
	struct prefetch	*p = arg;
	struct host	*h = p->host;

	h->prefetch = p;
	p->done(h);
	h->prefetch = prefetch_free(p);
}

/* done comes on the loop; what was read can be taken until it returns. */
int
prefetch_start(struct host *h, void (*done)(struct host *h))
{
	struct prefetch	*p;
	struct list	*l, *tmp;
	int		 r = 0;

	p = calloc(1, sizeof *p);
	if (p == NULL)
		return (-ENOMEM);
	list_init(&p->files);
	p->host = h;
	p->done = done;
	p->known = map_new();
	if (p->known == NULL)
		r = -ENOMEM;
	list_each(l, tmp, &h->plugins) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		if (r == 0 && ctx->state != PLUGIN_REFUSED)
			r = map_putz(p->known, ctx->name, p);
	}
	if (r == 0)
		r = loop_work(h->env.loop, prefetch_run, prefetch_ended, p);
	if (r < 0)
		(void)prefetch_free(p);
	return (r);
}

/* Gives what was read for that plugin, once. */
bool
prefetch_take(struct host *h, const char *name, struct schema_file *ret)
{
	struct list		*l, *tmp;
	struct prefetched	*f;

	if (h->prefetch == NULL)
		return (false);
	list_each(l, tmp, &h->prefetch->files) {
		f = container_of(l, struct prefetched, link);
		if (strcmp(f->name, name) != 0)
			continue;
		*ret = f->schema;
		memset(&f->schema, 0, sizeof f->schema);
		(void)file_free(f);
		return (true);
	}
	return (false);
}
