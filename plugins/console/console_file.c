/* SPDX-License-Identifier: MIT */
/*
 * The files of gateway.controlUi.root. All of it that touches the disk runs on
 * the pool, but for the check of the folder when the configuration is read.
 * Ranges are ignored, which RFC 9110 section 14.2 allows.
 */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/path.h"

#define HTML		"text/html; charset=utf-8"

/*
 * Of an application. Scripts are its own files, and those in its page that were
 * in it when it was read; styles may stand in elements, as applications set
 * them there; it may be connected with another gateway.
 */
#define APP_HEADERS \
	NO_CACHE NO_FRAME \
	"Permissions-Policy: camera=(self), microphone=*, geolocation=*, " \
	"clipboard-write=*\r\n" \
	"Content-Security-Policy: default-src 'self'; base-uri 'none'; " \
	"object-src 'none'; frame-ancestors 'none'; script-src 'self'%s; " \
	"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob: https:; " \
	"media-src 'self' data: blob:; worker-src 'self'; " \
	"connect-src 'self' ws: wss:\r\n%s%s%s"

static const struct {
	const char	*end;
	const char	*type;
} types[] = {
	{ "html", HTML },
	{ "js", "text/javascript; charset=utf-8" },
	{ "mjs", "text/javascript; charset=utf-8" },
	{ "css", "text/css; charset=utf-8" },
	{ "json", "application/json; charset=utf-8" },
	{ "map", "application/json; charset=utf-8" },
	{ "webmanifest", "application/manifest+json; charset=utf-8" },
	{ "txt", "text/plain; charset=utf-8" },
	{ "svg", "image/svg+xml" },
	{ "png", "image/png" },
	{ "jpg", "image/jpeg" },
	{ "jpeg", "image/jpeg" },
	{ "gif", "image/gif" },
	{ "webp", "image/webp" },
	{ "ico", "image/x-icon" },
	{ "wasm", "application/wasm" },
	{ "woff", "font/woff" },
	{ "woff2", "font/woff2" },
};

const char *
type_of(const char *path)
{
	const char	*name = strrchr(path, '/'), *dot;
	size_t		 i;

	dot = strrchr(name != NULL ? name : path, '.');
	for (i = 0; dot != NULL && i < sizeof types / sizeof types[0]; i++) {
		if (strcasecmp(dot + 1, types[i].end) == 0)
			return (types[i].type);
	}
	return ("application/octet-stream");
}

/* The value of If-None-Match may be a list; etag has its quotes. */
bool
has_etag(struct chela_http_in *rq, const char *etag)
{
	const char	*list = console.routes->header(rq, "if-none-match");
	const char	*opaque = strchr(etag, '"');

	return (list != NULL && opaque != NULL &&
	    (strcmp(list, "*") == 0 || strstr(list, opaque) != NULL));
}

/* --- the folder --- */

static bool
is_below(const char *path, const char *dir)
{
	size_t	 n = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return (true);
	return (strncmp(path, dir, n) == 0 &&
	    (path[n] == '/' || path[n] == '\0'));
}

/*
 * Opens the folder, through links to where it is today. Nothing of the state
 * directory may be in it: ret_state says which directory is never entered, as a
 * name alone does not tell.
 */
static int
root_open(const char *root, struct stat *ret_state, char *why, size_t size)
{
	char	*real = NULL, *state = NULL;
	int	 fd = -1;

	if ((real = realpath(root, NULL)) == NULL ||
	    (state = realpath(console.host->state_dir(), NULL)) == NULL ||
	    stat(state, ret_state) < 0) {
		fd = -errno;
		(void)snprintf(why, size, "%s", strerror(-fd));
	} else if (is_below(state, real) || is_below(real, state)) {
		fd = -EACCES;
		(void)snprintf(why, size, "the gateway's secrets would be "
		    "served, its state directory is %s", is_below(state, real) ?
		    "in this folder" : "around this folder");
	} else if ((fd = open(real, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC)) < 0) {
		fd = -errno;
		(void)snprintf(why, size, "%s", strerror(-fd));
	}
	free(real);
	free(state);
	return (fd);
}

int
root_check(const char *root, char *why, size_t size)
{
	struct stat	 state;
	int		 fd = root_open(root, &state, why, size);

	if (fd < 0)
		return (fd);
	(void)close(fd);
	return (0);
}

/* --- one file --- */

static bool
is_index(const char *path)
{
	const char	*name = strrchr(path, '/');

	return (strcmp(name != NULL ? name + 1 : path, "index.html") == 0);
}

/* A missing file of a known kind is missing: no page can stand for it. */
static bool
is_asset(const char *path)
{
	const char	*type = type_of(path);

	return (strcmp(type, HTML) != 0 &&
	    strcmp(type, "application/octet-stream") != 0);
}

/*
 * Pages of an application ask for their assets relative to where they think they
 * are.
 */
static int
file_open(struct visit *v, int root, const struct stat *state)
{
	const char	*assets = strstr(v->path, "/assets/");
	char		*index;
	int		 fd;

	fd = path_open_file(root, v->path, state);
	if (fd < 0 && assets != NULL)
		fd = path_open_file(root, assets + 1, state);
	if (fd >= 0 || !v->is_page_fit || is_asset(v->path))
		return (fd);
	index = strdup("index.html");
	if (index == NULL)
		return (-ENOMEM);
	free(v->path);
	v->path = index;
	return (path_open_file(root, index, state));
}

static void
file_work(struct visit *v)
{
	struct stat	 state, st;
	char		 why[PATH_MAX + 256], hash[HASH_TEXT_LEN];
	int		 root;

	root = root_open(v->root, &state, why, sizeof why);
	if (root < 0) {
		v->r = -ENODEV;
		return;
	}
	v->fd = file_open(v, root, &state);
	(void)close(root);
	if (v->fd < 0 || fstat(v->fd, &st) < 0) {
		v->r = -ENOENT;
		return;
	}
	v->type = type_of(v->path);
	v->size = (uint64_t)st.st_size;
	if (!is_index(v->path)) {
		(void)snprintf(v->etag, sizeof v->etag, "W/\"%llx-%llx-%llx.%lx\"",
		    (unsigned long long)st.st_ino, (unsigned long long)v->size,
		    (unsigned long long)st.st_mtim.tv_sec,
		    (unsigned long)st.st_mtim.tv_nsec);
		return;
	}
	v->r = file_read(v->fd, INDEX_MAX, &v->text, &v->text_len);
	if (v->r == 0)
		v->r = html_prepare(v);
	if (v->r == 0) {
		hash_text(v->text, v->text_len, hash);
		(void)snprintf(v->etag, sizeof v->etag, "\"%s\"", hash);
	}
}

static void
file_done(struct visit *v)
{
	struct chela_http_in	*rq = visit_leave(v);
	char			*headers;
	int			 fd = v->fd;

	if (v->r == -EFBIG)
		reply_text(rq, 503, NULL, "The application's index.html is "
		    "larger than 256 KiB.");
	else if (v->r == -ENODEV)
		reply_text(rq, 503, NULL, "The console's folder cannot be "
		    "served now.");
	else if (v->r < 0)
		reply_not_found(rq);
	else if (asprintf(&headers, APP_HEADERS, v->hashes, "ETag: ", v->etag,
	    "\r\n") < 0)
		reply_text(rq, 503, NULL, "The gateway is out of memory.");
	else {
		if (has_etag(rq, v->etag))
			(void)console.routes->reply(rq, 304, v->type, headers,
			    NULL, 0);
		else if (v->text != NULL)
			(void)console.routes->reply(rq, 200, v->type, headers,
			    v->text, v->text_len);
		else {
			v->fd = -1;
			(void)console.routes->reply_fd(rq, 200, v->type,
			    headers, fd, 0, v->size);
		}
		free(headers);
	}
	visit_free(v);
}

/* Hidden files are no part of what is served. */
static bool
is_hidden(const char *path)
{
	return (*path == '.' || strstr(path, "/.") != NULL);
}

/* Whether the client would take a page; one that does not say takes all. */
static bool
takes_html(struct chela_http_in *rq)
{
	const char	*accept = console.routes->header(rq, "accept");

	if (accept == NULL || *accept == '\0')
		return (true);
	return (strcasestr(accept, "text/html") != NULL ||
	    strcasestr(accept, "text/*") != NULL ||
	    strcasestr(accept, "application/xhtml+xml") != NULL ||
	    strstr(accept, "*/*") != NULL);
}

void
file_serve(struct chela_http_in *rq, const char *path)
{
	struct visit	*v;

	if (*path == '\0')
		path = "index.html";
	if (path_check(path, strlen(path)) < 0 || is_hidden(path)) {
		reply_not_found(rq);
		return;
	}
	v = visit_new(rq);
	if (v == NULL)
		return;
	v->is_page_fit = takes_html(rq);
	v->base = strdup(console.set.base);
	v->root = strdup(console.set.root);
	v->path = strdup(path);
	if (v->base == NULL || v->root == NULL || v->path == NULL) {
		(void)visit_leave(v);
		visit_free(v);
		reply_text(rq, 503, NULL, "The gateway is out of memory.");
		return;
	}
	visit_run(v, file_work, file_done);
}
