/* SPDX-License-Identifier: MIT */
/* Small files and directories of the state: modes, atomic writes. Blocking. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "core/base/base.h"

/* Reads a regular file of at most max bytes; gives text with a NUL after len. */
int	 file_read(const char *path, size_t max, char **ret_text, size_t *ret_len)
	    must_use;
/*
 * Replaces path: temporary file beside it with the mode, fsync, rename, fsync of
 * the directory. On failure the old file is as it was.
 */
int	 file_write_atomic(const char *path, const void *p, size_t len,
	    unsigned mode) must_use;
/* Makes a directory and its parents; the last gets the mode whatever umask says. */
int	 file_mkdirs(const char *path, unsigned mode) must_use;
/* "dir/name", malloc()ed (gives), or NULL. */
char	*file_join(const char *dir, const char *name) must_use;

#endif
