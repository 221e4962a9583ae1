/* SPDX-License-Identifier: MIT */
/*
 * Files below a directory. A path is walked name by name from a descriptor and
 * no link is followed, so that what is opened lies below the directory whatever
 * is swapped meanwhile; then the descriptor says what it is. For the pool.
 */
#ifndef PLUGINS_COMMON_PATH_H
#define PLUGINS_COMMON_PATH_H

#include <stddef.h>
#include <sys/stat.h>

#define PATH_DEPTH_MAX	64

/*
 * 0: a relative path of plain names. len is that of the client's string: a NUL
 * in it must not cut it short.
 */
int	 path_check(const char *path, size_t len);
int	 dir_open(const char *root);
int	 path_open_dir(int root, const char *path);
/*
 * Opens a regular file with one name for reading. -ELOOP: a link, -ENXIO: no
 * file, -EACCES: the way leads through the directory never, which may be NULL.
 */
int	 path_open_file(int root, const char *path, const struct stat *never);
/* Gives the bytes and a NUL. -EFBIG when there are more than max. */
int	 file_read(int fd, size_t max, char **ret_text, size_t *ret_len);

#endif
