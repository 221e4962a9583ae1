/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the store share: a directory of its own, a loop that runs
 * until the expected answers are there, and answers that are kept. No sleeps: a
 * run ends by the event or, as a failure, by the deadline.
 */
#ifndef TESTS_UNIT_STORE_HELP_H
#define TESTS_UNIT_STORE_HELP_H

#include "core/base/loop.h"
#include "core/store/store.h"

#define NS "test"

struct answer {
	int		 n;		/* how often it came */
	int		 r;
	uint64_t	 rev;
	uint64_t	 order;		/* the how-manieth answer of all */
};

/* The rows of a read or a find, copied. */
struct rows {
	int		 n_calls;
	int		 r;
	size_t		 n;
	uint64_t	*seqs;
	char		**texts;
	char		**logs;
};

extern struct loop	*loop;
extern struct store	*store;
extern char		 dir[];
extern char		 why[512];	/* of the last help_open() */

/* A fresh directory below TMPDIR and a loop. */
void	 help_begin(void);
/* Closes what is open and removes all of it. */
void	 help_end(void);
/* store_open() on dir; store is set when it returns 0. */
int	 help_open(const struct store_limits *lim);
void	 help_close(void);
/* Makes the next n answers stop the loop, and runs it; false: deadline. */
bool	 help_wait(size_t n);
/* Runs the loop until the condition holds after some callback. */
bool	 help_until(bool (*cond)(void));

void	 on_done(void *arg, int r, uint64_t rev);	/* arg: struct answer */
void	 on_rows(void *arg, int r, const struct store_row *rows, size_t n);
void	 on_found(void *arg, int r, const char *const *logs,
	    const struct store_row *rows, size_t n);
void	 rows_fini(struct rows *rows);

/* A put (del, append) and its answer. r of the call, or of the answer. */
int	 put_now(const char *key, const char *text, uint64_t expect,
	    uint64_t *ret_rev);
int	 del_now(const char *key, uint64_t expect, uint64_t *ret_rev);
int	 append_now(const char *log, const char *text, uint64_t *ret_seq);
bool	 key_is(const char *key, const char *text);	/* NULL: not there */
char	*help_path(const char *name);	/* static storage */

#endif
