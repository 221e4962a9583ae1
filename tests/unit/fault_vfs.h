/* SPDX-License-Identifier: MIT */
/*
 * A disk that fails on demand: an SQLite VFS between SQLite and the real one.
 */
#ifndef TESTS_UNIT_FAULT_VFS_H
#define TESTS_UNIT_FAULT_VFS_H

#include <stdbool.h>

#define FAULT_VFS "fault"

enum fault_call {
	FAULT_WRITE,
	FAULT_SYNC,
	FAULT_N
};

int	 fault_vfs_register(void);	/* 0 or an SQLite code */
/* From now on the call gives this SQLite code; 0: works again. Any thread. */
void	 fault_vfs_set(enum fault_call call, int code);
/* How often it has failed since the last set. */
int	 fault_vfs_count(enum fault_call call);
/* Waits until it has failed n times. False: not within a minute. */
bool	 fault_vfs_wait(enum fault_call call, int n);

#endif
