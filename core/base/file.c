/* SPDX-License-Identifier: MIT */
#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
file_read(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	struct stat	 st;
	char		*text = NULL;
	size_t		 len = 0;
	ssize_t		 n;
	int		 fd, r;

	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return (-errno);
	if (fstat(fd, &st) < 0) {
		r = -errno;
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
		goto out;
	}
	if ((uintmax_t)st.st_size > max) {
		r = -EFBIG;
		goto out;
	}
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL) {
		r = -ENOMEM;
		goto out;
	}
	while (len < (size_t)st.st_size) {
		n = read(fd, text + len, (size_t)st.st_size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -errno;
			goto out;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	*ret_text = text;
	*ret_len = len;
	text = NULL;
	r = 0;
out:
	free(text);
	(void)close(fd);
	return (r);
}

static int
file_write_all(int fd, const char *p, size_t len)
{
	ssize_t	 n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (-errno);
		p += n;
		len -= (size_t)n;
	}
	return (0);
}

static int
file_sync_dir(const char *path)
{
	char		*dir, *slash;
	int		 fd, r = 0;

	dir = strdup(path);
	if (dir == NULL)
		return (-ENOMEM);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		memcpy(dir, ".", 2);	/* path is not empty */
	else if (slash == dir)
		slash[1] = '\0';
	else
		*slash = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		r = -errno;
	else {
		if (fsync(fd) < 0 && errno != EINVAL)
			r = -errno;
		(void)close(fd);
	}
	free(dir);
	return (r);
}

int
file_write_atomic(const char *path, const void *p, size_t len, unsigned mode)
{
	char	*tmp = NULL;
	int	 fd = -1, r;

	if (*path == '\0')
		return (-EINVAL);
	if (asprintf(&tmp, "%s.tmp-XXXXXX", path) < 0)
		return (-ENOMEM);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		free(tmp);
		return (r);
	}
	if (fchmod(fd, mode) < 0) {
		r = -errno;
		goto out;
	}
	r = file_write_all(fd, p, len);
	if (r < 0)
		goto out;
	if (fsync(fd) < 0) {
		r = -errno;
		goto out;
	}
	if (rename(tmp, path) < 0) {
		r = -errno;
		goto out;
	}
	r = file_sync_dir(path);
	(void)close(fd);
	free(tmp);
	return (r);
out:
	(void)close(fd);
	(void)unlink(tmp);
	free(tmp);
	return (r);
}

int
file_mkdirs(const char *path, unsigned mode)
{
	struct stat	 st;
	size_t		 len = strlen(path);
	char		*copy, *p;
	int		 r = 0;

	if (len == 0)
		return (-ENOENT);
	copy = strdup(path);
	if (copy == NULL)
		return (-ENOMEM);
	/* A slash at the end would make the last name a parent. */
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	for (p = copy + 1; r == 0 && *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			r = -errno;
		*p = '/';
	}
	if (r == 0) {
		if (mkdir(copy, mode) == 0) {
			if (chmod(copy, mode) < 0)
				r = -errno;
		} else if (errno != EEXIST || stat(copy, &st) < 0)
			r = -errno;
		else if (!S_ISDIR(st.st_mode))
			r = -ENOTDIR;
	}
	free(copy);
	return (r);
}

char *
file_join(const char *dir, const char *name)
{
	char	*p;

	return (asprintf(&p, "%s/%s", dir, name) < 0 ? NULL : p);
}
