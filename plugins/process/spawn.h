/* SPDX-License-Identifier: MIT */
/*
 * Starting, signalling and reaping one child process. No loop and no plugin in
 * here: the plugin and the node host drive it, each on its own loop.
 */
#ifndef PROCESS_SPAWN_H
#define PROCESS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SPAWN_ENV_MAX	256	/* variables of one child */

struct spawn {
	const char		*path;		/* absolute; NULL: by argv[0] */
	const char *const	*argv;		/* ends in NULL */
	char *const		*env;		/* ends in NULL; all of it */
	const char		*cwd;		/* NULL: "/" */
	bool			 has_input;	/* else /dev/null */
	uint64_t		 max_memory;	/* address space; 0: no limit */
};

/*
 * A child that was started. pid is also its process group and session, and
 * stays taken until spawn_reap() said 1. Descriptors are -1 when there are
 * none.
 */
struct spawned {
	pid_t	pid;
	int	pidfd;		/* readable once it has ended */
	int	in;		/* non-blocking, all of them */
	int	out;
	int	err;
};

/* 0, or why it could not be started. Blocks until the exec. */
int	 spawn_start(const struct spawn *s, struct spawned *ret);
/* To the whole group. */
void	 spawn_signal(const struct spawned *c, int sig);
/*
 * 0: it still runs. 1: it ended; what was left of its group has been killed,
 * and *ret_code is its exit code or -1, *ret_signal what ended it or 0.
 */
int	 spawn_reap(struct spawned *c, int *ret_code, int *ret_signal);
/* Kills the group, waits, closes: for the end of a program. */
void	 spawn_end(struct spawned *c);
void	 spawn_close(int *fd);

/*
 * The program that a name means: absolute and executable, looked for in
 * path_env (NULL: a fixed one) when it has no slash. ret has size bytes.
 * -ENOENT, -EACCES, -ENAMETOOLONG. Empty and relative parts of path_env are
 * passed over: what a working directory holds is no program.
 */
int	 spawn_find(const char *name, const char *path_env, char *ret,
	    size_t size);

/* Whether a caller may set this variable; name ends at '=' or NUL. */
bool	 spawn_env_allowed(const char *name);
/*
 * The environment of a child: what is taken over of this process's own (a short
 * list of names, none of which holds a secret), then extra over it. -EPERM: a
 * name in extra is not allowed, and not on also (names with commas between, or
 * NULL). Gives an array that spawn_env_free() frees.
 */
int	 spawn_env_make(const char *const *extra, const char *also,
	    char ***ret);
/* The same with extra alone, any name. */
int	 spawn_env_copy(const char *const *extra, char ***ret);
void	 spawn_env_free(char **env);

#endif
