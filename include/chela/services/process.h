/* SPDX-License-Identifier: MIT */
/*
 * Service "process/1": child processes off the loop, exported by plugin
 * process.
 *
 * A child gets exactly the argv that was named and no shell, an environment
 * made from an allow-list, no descriptor but its three, a process group of its
 * own, no core file. What it writes is bounded; when it is told to end, its
 * whole group gets SIGTERM and, after a grace, SIGKILL. No zombie stays.
 */
#ifndef CHELA_SERVICES_PROCESS_H
#define CHELA_SERVICES_PROCESS_H

#include <chela/plugin.h>

#define CHELA_PROCESS_SERVICE "process/1"

#define CHELA_PROCESS_ARGS_MAX	1024u	/* of one argv */
#define CHELA_PROCESS_ARG_BYTES	(256u * 1024u)	/* of all of them */
#define CHELA_PROCESS_OUTPUT	(1024u * 1024u)	/* kept when nothing is said */
#define CHELA_PROCESS_MAX	64u	/* at one time */

/* struct chela_process_request.flags */
#define CHELA_PROCESS_TRUNCATE	0x00000001u
	/* Output above the limit is thrown away; else the child is ended. */
#define CHELA_PROCESS_EXACT_ENV	0x00000002u
	/* env is all it gets: nothing is taken over from the gateway, and names
	 * are the caller's own. For a request that the operator configured. */

/* struct chela_process_result.flags */
#define CHELA_PROCESS_TIMED_OUT	0x00000001u
#define CHELA_PROCESS_OVERFLOW	0x00000002u /* it wrote more than the limit */
#define CHELA_PROCESS_CANCELED	0x00000004u

struct chela_process;			/* valid until done() returned */

struct chela_process_request {
	uint32_t		 struct_size;
	uint32_t		 flags;		/* CHELA_PROCESS_* */
	/* The file, absolute; NULL: argv[0], looked for in PATH unless it has
	 * a slash. argv ends in NULL. */
	const char		*path;
	const char *const	*argv;
	/*
	 * "NAME=value", NULL ends; or NULL. A name that is not on the list of
	 * what a caller may set (see env_allowed()) refuses the request.
	 */
	const char *const	*env;
	const char		*cwd;		/* absolute; NULL: "/" */
	const void		*input;		/* copied; or NULL */
	size_t			 input_len;
	uint64_t		 timeout_us;	/* 0: none */
	uint64_t		 grace_us;	/* to SIGKILL; 0: 2 s */
	uint64_t		 max_output;	/* both streams; 0: above */
	uint64_t		 max_memory;	/* address space; 0: no limit */
};

struct chela_process_result {
	uint32_t		 struct_size;
	uint32_t		 flags;		/* CHELA_PROCESS_* of results */
	int32_t			 exit_code;	/* -1: it did not exit */
	int32_t			 signal;	/* that ended it, else 0 */
	/* Not 0: it could not be started; -ENOENT, -EACCES, -ENOTDIR, ... */
	int32_t			 error;
	uint32_t		 reserved;
	const char		*out;		/* not ended by a NUL */
	size_t			 out_len;
	const char		*err;
	size_t			 err_len;
	uint64_t		 took_us;
};

struct chela_process_handler {
	uint32_t	struct_size;
	uint32_t	reserved;
	/* A piece as it comes (stream 1 or 2); NULL: not wanted. */
	void	(*output)(struct chela_process *p, uint32_t stream,
		    const char *bytes, size_t len, void *arg);
	/* Last, exactly once, never from within start(). */
	void	(*done)(struct chela_process *p,
		    const struct chela_process_result *result, void *arg);
};

struct chela_process_1 {
	uint32_t	struct_size;
	uint32_t	reserved;
	/*
	 * Copies what it needs. -EPERM: env has a name that is not allowed;
	 * -E2BIG, -EINVAL, -ENOMEM; -EAGAIN: too many are running. done() does
	 * not come then. The program is looked for and started by a worker:
	 * what fails there is told by done().
	 */
	int	(*start)(const struct chela_process_request *rq,
		    const struct chela_process_handler *handler, void *arg,
		    struct chela_process **ret_process);
	/* Ends it; done() follows with CHELA_PROCESS_CANCELED. */
	void	(*cancel)(struct chela_process *p);
	/* Kills it; done() does not come and p is not to be used any more. */
	void	(*forget)(struct chela_process *p);
	/* Whether a caller may set this variable. name ends at '=' or NUL. */
	int	(*env_allowed)(const char *name);
};

#endif
