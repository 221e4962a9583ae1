/* SPDX-License-Identifier: MIT */
/*
 * The gateway's certificate: found or made at the start, and read again when
 * its files change. What cannot be used leaves the one in use where it is.
 */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/config/config.h"
#include "core/config/live.h"
#include "core/daemon/daemon.h"
#include "core/net/net.h"
#include "core/net/tls.h"

#define TLS_DIR		"gateway/tls"	/* in the state directory */
#define TLS_CERT_FILE	"gateway-cert.pem"
#define TLS_KEY_FILE	"gateway-key.pem"
#define TLS_QUIET_US	MS_US(300)	/* both files are there by then */
#define TLS_EVENTS	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE)
#define TLS_EVENTS_BUF	4096

struct paths {
	char	*cert;
	char	*key;
	char	*ca;		/* NULL: clients show none */
};

/*
 * One for the daemon's life, while TLS is on. The job's members are the
 * worker's from loop_work() to tls_loaded(): is_busy.
 */
struct daemon_tls {
	struct daemon		*d;
	struct paths		 paths;
	struct tls_ctx		*ctx;		/* in use */
	uint16_t		 port;		/* 0: that of all listeners */
	struct loop_watch	*watch;
	struct loop_timer	*quiet;
	int			 inotify_fd;
	bool			 is_busy;
	bool			 is_due;	/* once more after this one */
	struct {
		struct paths	 paths;
		struct tls_ctx	*ctx;
		struct buf	 why;
		int		 status;
	} job;
};

static void
paths_fini(struct paths *p)
{
	free(p->cert);
	free(p->key);
	free(p->ca);
	*p = (struct paths){ NULL, NULL, NULL };
}

static char *
path_or(const char *set, const char *state_dir, const char *name)
{
	char	*path;

	if (set != NULL)
		return (strdup(set));
	if (asprintf(&path, "%s/" TLS_DIR "/%s", state_dir, name) < 0)
		return (NULL);
	return (path);
}

static int
paths_find(struct paths *p, const struct daemon *d, struct conf *conf)
{
	const char	*ca = conf_get_str(conf, "gateway.tls.caPath", NULL);

	p->cert = path_or(conf_get_str(conf, "gateway.tls.certPath", NULL),
	    d->state_dir, TLS_CERT_FILE);
	p->key = path_or(conf_get_str(conf, "gateway.tls.keyPath", NULL),
	    d->state_dir, TLS_KEY_FILE);
	p->ca = ca == NULL ? NULL : strdup(ca);
	if (p->cert == NULL || p->key == NULL ||
	    (ca != NULL && p->ca == NULL)) {
		paths_fini(p);
		return (-ENOMEM);
	}
	return (0);
}

static int
paths_load(const struct paths *p, struct tls_ctx **ret, struct buf *why)
{
	struct tls_files	 files = { p->cert, p->key, p->ca };

	return (tls_ctx_load(&files, ret, why));
}

static const char *
sentence(struct buf *why, int r)
{
	if (why->len == 0)
		return (strerror(-r));
	(void)buf_putc(why, '\0');
	return (why->is_failed ? strerror(-r) : why->data);
}

static void
warn_of_key(const char *path)
{
	struct stat	 st;

	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		log_warn("tls", "key '%s': others can read it (mode %04o; "
		    "0600 is meant)", path, (unsigned)(st.st_mode & 07777));
}

/* --- the start --- */

/* Both files are made, or neither is touched. */
static int
make_missing(struct daemon *d, const struct paths *p, struct buf *why)
{
	char	*dir;
	int	 r;

	if (access(p->cert, F_OK) == 0 || errno != ENOENT ||
	    access(p->key, F_OK) == 0 || errno != ENOENT)
		return (0);
	dir = strdup(p->key);
	r = dir == NULL ? -ENOMEM : file_mkdirs(dirname(dir), 0700);
	free(dir);
	if (r == 0) {
		dir = strdup(p->cert);
		r = dir == NULL ? -ENOMEM : file_mkdirs(dirname(dir), 0700);
		free(dir);
	}
	if (r == 0)
		r = tls_cert_make(p->cert, p->key, d->bind, why);
	if (r == 0)
		log_notice("tls", "a new certificate was written to '%s'",
		    p->cert);
	return (r);
}

int
daemon_load_tls(struct daemon *d, struct conf *conf)
{
	struct daemon_tls	*t;
	struct buf		 why = BUF_INIT;
	int			 r;

	if (!conf_get_bool(conf, "gateway.tls.enabled", false))
		return (0);
	t = calloc(1, sizeof *t);
	if (t == NULL)
		return (-ENOMEM);
	d->tls = t;
	t->d = d;
	t->inotify_fd = -1;
	buf_init(&t->job.why);
	r = paths_find(&t->paths, d, conf);
	if (r == 0 && conf_get_bool(conf, "gateway.tls.autoGenerate", true))
		r = make_missing(d, &t->paths, &why);
	if (r == 0)
		r = paths_load(&t->paths, &t->ctx, &why);
	t->port = (uint16_t)conf_get_int(conf, "gateway.tls.port", 0);
	if (r == 0)
		r = net_set_tls(d->net, t->ctx, t->port);
	if (r < 0) {
		log_err("tls", "%s (gateway.tls)", sentence(&why, r));
	} else {
		warn_of_key(t->paths.key);
		/* Who pins a fingerprint does not mind; so it is served. */
		if (tls_ctx_validity(t->ctx, (int64_t)time(NULL)) != 0)
			log_warn("tls", "'%s' has expired or is not valid yet",
			    t->paths.cert);
	}
	buf_fini(&why);
	return (r);
}

/* --- changes --- */

static void	tls_reload(struct daemon_tls *t);

static void
tls_read_files(void *arg)
{
	struct daemon_tls	*t = arg;

	t->job.status = paths_load(&t->job.paths, &t->job.ctx, &t->job.why);
	/* What all would refuse is not put in place of what works. */
	if (t->job.status == 0 &&
	    tls_ctx_validity(t->job.ctx, (int64_t)time(NULL)) != 0) {
		t->job.ctx = tls_ctx_unref(t->job.ctx);
		t->job.status = -EINVAL;
		(void)buf_printf(&t->job.why,
		    "'%s' has expired or is not valid yet", t->job.paths.cert);
	}
}

static void
tls_loaded(void *arg)
{
	struct daemon_tls	*t = arg;

	t->is_busy = false;
	if (t->quiet == NULL) {
		/* Closed meanwhile. */
	} else if (t->job.status < 0) {
		log_warn("tls", "the new files are not used: %s; in use stays "
		    "%s", sentence(&t->job.why, t->job.status),
		    tls_ctx_finger(t->ctx));
	} else {
		(void)net_set_tls(t->d->net, t->job.ctx, t->port);
		(void)tls_ctx_unref(t->ctx);
		t->ctx = tls_ctx_ref(t->job.ctx);
		log_notice("tls", "new connections get the certificate "
		    "fingerprint=%s", tls_ctx_finger(t->ctx));
		warn_of_key(t->job.paths.key);
	}
	t->job.ctx = tls_ctx_unref(t->job.ctx);
	paths_fini(&t->job.paths);
	buf_fini(&t->job.why);
	if (t->is_due && t->quiet != NULL)
		tls_reload(t);
}

static void
tls_reload(struct daemon_tls *t)
{
	t->is_due = t->is_busy;
	if (t->is_busy)
		return;
	if (paths_find(&t->job.paths, t->d, conf_live_get(t->d->live)) < 0)
		return;
	t->is_busy = loop_work(t->d->loop, tls_read_files, tls_loaded, t) == 0;
	if (!t->is_busy) {
		/* The pool is full; files do not change often. */
		paths_fini(&t->job.paths);
		(void)loop_timer_set(t->quiet, TLS_QUIET_US);
	}
}

static void
tls_on_quiet(void *arg)
{
	tls_reload(arg);
}

static bool
is_file_of(const char *path, const char *name)
{
	const char	*slash = strrchr(path, '/');

	return (strcmp(slash == NULL ? path : slash + 1, name) == 0);
}

static void
tls_on_inotify(int fd, uint32_t what, void *arg)
{
	struct daemon_tls		*t = arg;
	char				 buf[TLS_EVENTS_BUF]
	    __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event	*ev;
	const char			*p;
	ssize_t				 n;

	(void)what;
	while ((n = read(fd, buf, sizeof buf)) > 0) {
		for (p = buf; p < buf + n; p += sizeof *ev + ev->len) {
			ev = (const struct inotify_event *)(const void *)p;
			/* "..data": the link that a mounted set of files is
			 * swapped by. */
			if ((ev->mask & IN_Q_OVERFLOW) != 0 || (ev->len > 0 &&
			    (is_file_of(t->paths.cert, ev->name) ||
			    is_file_of(t->paths.key, ev->name) ||
			    strcmp(ev->name, "..data") == 0)))
				(void)loop_timer_set(t->quiet, TLS_QUIET_US);
		}
	}
}

static void
tls_watch_folder(const struct daemon_tls *t, const char *path)
{
	char	*copy = strdup(path);

	if (copy != NULL && t->inotify_fd >= 0 && inotify_add_watch(
	    t->inotify_fd, dirname(copy), TLS_EVENTS) < 0)
		log_warn("tls", "'%s' is not watched (%s); SIGHUP reads it",
		    path, strerror(errno));
	free(copy);
}

/* The folders, not the files: a good write is a rename over one. */
static void
tls_watch(struct daemon_tls *t)
{
	tls_watch_folder(t, t->paths.cert);
	tls_watch_folder(t, t->paths.key);
}

int
daemon_watch_tls(struct daemon *d)
{
	struct daemon_tls	*t = d->tls;

	if (t == NULL)
		return (0);
	t->quiet = loop_timer_new(d->loop, tls_on_quiet, t);
	if (t->quiet == NULL)
		return (-ENOMEM);
	t->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (t->inotify_fd < 0) {
		log_warn("tls", "the certificate is not watched (%s); SIGHUP "
		    "reads it", strerror(errno));
		return (0);
	}
	t->watch = loop_watch_new(d->loop, t->inotify_fd, LOOP_READ,
	    tls_on_inotify, t);
	if (t->watch == NULL)
		return (-ENOMEM);
	tls_watch(t);
	return (0);
}

void
daemon_reload_tls(struct daemon *d)
{
	struct daemon_tls	*t = d->tls;
	struct paths		 next;

	if (t == NULL || t->quiet == NULL)
		return;
	if (paths_find(&next, d, conf_live_get(d->live)) == 0) {
		paths_fini(&t->paths);
		t->paths = next;
		tls_watch(t);
	}
	tls_reload(t);
}

const char *
daemon_tls_finger(const struct daemon *d)
{
	return (d->tls == NULL ? NULL : tls_ctx_finger(d->tls->ctx));
}

void
daemon_close_tls(struct daemon *d)
{
	struct daemon_tls	*t = d->tls;

	if (t == NULL)
		return;
	t->watch = loop_watch_free(t->watch);
	t->quiet = loop_timer_free(t->quiet);
	if (t->inotify_fd >= 0)
		(void)close(t->inotify_fd);
	t->inotify_fd = -1;
	t->ctx = tls_ctx_unref(t->ctx);
}

void
daemon_free_tls(struct daemon *d)
{
	struct daemon_tls	*t = d->tls;

	if (t == NULL)
		return;
	(void)tls_ctx_unref(t->job.ctx);
	paths_fini(&t->job.paths);
	buf_fini(&t->job.why);
	paths_fini(&t->paths);
	free(t);
	d->tls = NULL;
}
