/* SPDX-License-Identifier: MIT */
/*
 * Files below a directory. A path is walked name by name from a descriptor and
 * no link is followed, so that what is opened lies below the directory whatever
 * is swapped meanwhile; then the descriptor says what it is. Runs on the pool.
 */
#include "agents.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A relative path of plain names. len is that of the client's string: a NUL in
 * it must not cut it short.
 */
int
path_check(const char *path, size_t len)
{
	const char	*p = path, *end;
	unsigned	 depth = 0;
	size_t		 n;

	if (strlen(path) != len || len >= PATH_MAX)
		return (-EINVAL);
	if (*path == '/' || *path == '~' || strchr(path, '\\') != NULL)
		return (-EINVAL);
	if (isalpha((unsigned char)path[0]) && path[1] == ':')
		return (-EINVAL);
	while (*p != '\0') {
		end = strchr(p, '/');
		n = end == NULL ? strlen(p) : (size_t)(end - p);
		if (n == 0 || n > NAME_MAX || ++depth > PATH_DEPTH_MAX)
			return (-EINVAL);
		if ((n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return (-EINVAL);
		p += n;
		if (*p == '/' && *++p == '\0')
			return (-EINVAL);
	}
	return (0);
}

int
dir_open(const char *root)
{
	int	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return (fd < 0 ? -errno : fd);
}

/* Makes a directory and what is missing above it, and opens it. */
int
dir_make(const char *root)
{
	char	 path[PATH_MAX];
	char	*p;

	if (*root != '/' || strlen(root) >= sizeof path)
		return (-EINVAL);
	(void)snprintf(path, sizeof path, "%s", root);
	for (p = path + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return (-errno);
		*p = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return (-errno);
	return (dir_open(path));
}

/* The directory that the last name of path lies in; ret_name points into it. */
static int
walk(int root, const char *path, const char **ret_name)
{
	char		 name[NAME_MAX + 1];
	const char	*end;
	int		 fd, next;

	fd = dup(root);
	if (fd < 0)
		return (-errno);
	while ((end = strchr(path, '/')) != NULL) {
		(void)snprintf(name, sizeof name, "%.*s", (int)(end - path),
		    path);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		    O_CLOEXEC);
		if (next < 0)
			next = -errno;
		(void)close(fd);
		if (next < 0)
			return (next);
		fd = next;
		path = end + 1;
	}
	*ret_name = path;
	return (fd);
}

int
path_open_dir(int root, const char *path)
{
	const char	*name;
	int		 dir, fd;

	dir = walk(root, path, &name);
	if (dir < 0)
		return (dir);
	fd = openat(dir, *name == '\0' ? "." : name, O_RDONLY | O_DIRECTORY |
	    O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	(void)close(dir);
	return (fd);
}

/*
 * O_NONBLOCK keeps a FIFO from waiting for its other end. A second name could
 * lie anywhere, so a file with more than one is refused.
 */
int
path_open_file(int root, const char *path)
{
	struct stat	 st;
	const char	*name;
	int		 dir, fd;

	dir = walk(root, path, &name);
	if (dir < 0)
		return (dir);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fd = -errno;
	else if (S_ISLNK(st.st_mode))
		fd = -ELOOP;
	else if (!S_ISREG(st.st_mode))
		fd = -ENXIO;
	else if ((fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW |
	    O_NOCTTY | O_CLOEXEC)) < 0)
		fd = -errno;
	(void)close(dir);
	if (fd < 0)
		return (fd);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
		(void)close(fd);
		return (-ENXIO);
	}
	return (fd);
}

/* Gives the bytes and a NUL. -EFBIG when there are more than max. */
int
file_read(int fd, size_t max, char **ret_text, size_t *ret_len)
{
	struct stat	 st;
	char		*text;
	size_t		 len = 0, size;
	ssize_t		 n;

	if (fstat(fd, &st) < 0)
		return (-errno);
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return (-EFBIG);
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	if (text == NULL)
		return (-ENOMEM);
	while (len < size) {
		n = read(fd, text + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(text);
			return (-EIO);
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	return (0);
}

int
file_write(int dir, const char *name, const char *text, size_t len)
{
	char		 temp[64];
	struct stat	 st;
	ssize_t		 n;
	size_t		 at = 0;
	int		 fd, r = 0;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISLNK(st.st_mode))
			return (-ELOOP);
		if (!S_ISREG(st.st_mode))
			return (-ENXIO);
	}
	(void)snprintf(temp, sizeof temp, ".chela-%ld-%p.tmp", (long)getpid(),
	    (const void *)&at);
	(void)unlinkat(dir, temp, 0);
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	if (fd < 0)
		return (-errno);
	while (at < len) {
		n = write(fd, text + at, len - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -errno;
			break;
		}
		at += (size_t)n;
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	(void)close(fd);
	if (r == 0 && renameat(dir, temp, dir, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, temp, 0);
	else
		(void)fsync(dir);
	return (r);
}

/* Valid UTF-8 without NUL: what may be sent as text. */
int
text_is_utf8(const char *text, size_t len)
{
	const unsigned char	*s = (const unsigned char *)text;
	size_t			 i = 0, k, n;
	uint32_t		 c;

	while (i < len) {
		if (s[i] == 0)
			return (0);
		if (s[i] < 0x80) {
			i++;
			continue;
		}
		n = s[i] >= 0xf0 ? 3 : s[i] >= 0xe0 ? 2 : 1;
		if (s[i] < 0xc2 || s[i] > 0xf4 || n > len - i - 1)
			return (0);
		c = s[i] & (0x3fu >> n);
		for (k = 1; k <= n; k++) {
			if ((s[i + k] & 0xc0) != 0x80)
				return (0);
			c = (c << 6) | (s[i + k] & 0x3fu);
		}
		if ((n == 2 && c < 0x800) || (n == 3 && c < 0x10000) ||
		    c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return (0);
		i += n + 1;
	}
	return (1);
}

/* Gives the text, or NULL without memory. */
char *
base64_of(const char *bytes, size_t len)
{
	static const char	 digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char	*s = (const unsigned char *)bytes;
	char			*out, *p;
	size_t			 i;
	uint32_t		 v;

	out = p = malloc((len + 2) / 3 * 4 + 1);
	if (out == NULL)
		return (NULL);
	for (i = 0; i < len; i += 3) {
		v = (uint32_t)s[i] << 16;
		if (i + 1 < len)
			v |= (uint32_t)s[i + 1] << 8;
		if (i + 2 < len)
			v |= s[i + 2];
		*p++ = digits[v >> 18];
		*p++ = digits[(v >> 12) & 63];
		*p++ = i + 1 < len ? digits[(v >> 6) & 63] : '=';
		*p++ = i + 2 < len ? digits[v & 63] : '=';
	}
	*p = '\0';
	return (out);
}

const char *
mime_of(const char *name, int is_text)
{
	static const struct {
		const char	*end;
		const char	*type;
	} types[] = {
		{ ".md", "text/markdown" },
		{ ".txt", "text/plain" },
		{ ".json", "application/json" },
		{ ".html", "text/html" },
		{ ".css", "text/css" },
		{ ".csv", "text/csv" },
		{ ".js", "text/javascript" },
		{ ".xml", "application/xml" },
		{ ".svg", "image/svg+xml" },
		{ ".png", "image/png" },
		{ ".jpg", "image/jpeg" },
		{ ".jpeg", "image/jpeg" },
		{ ".gif", "image/gif" },
		{ ".webp", "image/webp" },
		{ ".pdf", "application/pdf" },
		{ ".zip", "application/zip" },
		{ ".mp3", "audio/mpeg" },
		{ ".wav", "audio/wav" },
		{ ".mp4", "video/mp4" },
	};
	const char	*dot = strrchr(name, '.');
	size_t		 i;

	for (i = 0; dot != NULL && i < sizeof types / sizeof types[0]; i++) {
		if (strcasecmp(dot, types[i].end) == 0)
			return (types[i].type);
	}
	return (is_text ? "text/plain" : "application/octet-stream");
}
