/* SPDX-License-Identifier: MIT */
/* Making and replacing files, and what their content is. Runs on the pool. */
#include "agents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

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
