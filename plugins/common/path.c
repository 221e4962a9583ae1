/* SPDX-License-Identifier: MIT */
#include "path.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static int
is_never(int fd, const struct stat *never)
{
	struct stat	 st;

	if (never == NULL)
		return (0);
	return (fstat(fd, &st) < 0 || (st.st_dev == never->st_dev &&
	    st.st_ino == never->st_ino));
}

/* The directory that the last name of path lies in; ret_name points into it. */
static int
walk(int root, const char *path, const struct stat *never,
    const char **ret_name)
{
	char		 name[NAME_MAX + 1];
	const char	*end;
	int		 fd, next;

	fd = fcntl(root, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return (-errno);
	while (!is_never(fd, never)) {
		end = strchr(path, '/');
		if (end == NULL) {
			*ret_name = path;
			return (fd);
		}
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
	(void)close(fd);
	return (-EACCES);
}

int
path_open_dir(int root, const char *path)
{
	const char	*name;
	int		 dir, fd;

	dir = walk(root, path, NULL, &name);
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
path_open_file(int root, const char *path, const struct stat *never)
{
	struct stat	 st;
	const char	*name;
	int		 dir, fd;

	dir = walk(root, path, never, &name);
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

