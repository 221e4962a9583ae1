/* SPDX-License-Identifier: MIT */
/* The gateway's own secrets that the configuration says to be in files
 * or known to commands. */
#ifndef DAEMON_REFS_H
#define DAEMON_REFS_H

#include "core/base/base.h"

struct conf;

enum { REF_TOKEN, REF_PASSWORD, REF_COUNT };

struct ref {
	bool	 is_set;	/* the configuration has such a reference */
	int	 r;		/* 0, or why there is no text */
	char	*path;		/* of the file or the command */
	char	*id;		/* what in it */
	size_t	 max;
	bool	 is_json;
	char	*text;
	/* Of a command. */
	bool	 is_command;
	bool	 is_one_line;	/* it may answer with the text alone */
	char	**argv, **env, **dirs;	/* dirs NULL: anywhere */
	char	*question;
	uint64_t timeout_us;
};

struct refs {
	struct ref	 refs[REF_COUNT];
	size_t		 n;		/* that are set */
};

/* NULL without memory. */
struct refs	*refs_new(struct conf *conf) must_use;
/* Blocks; on any thread, which then has it alone. arg: a struct refs. */
void		 refs_read(void *arg);
/* refs_exec.c: what the command of a reference says; gives. */
int		 ref_run(const struct ref *ref, char **ret_text,
		    size_t *ret_len);
const char	*ref_problem(const struct ref *ref);
struct refs	*refs_free(struct refs *refs);

#endif
