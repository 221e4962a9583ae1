/* SPDX-License-Identifier: MIT */
#include "tests/unit/fault_vfs.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <sqlite3.h>

struct fault_file {
	sqlite3_file	 base;
	sqlite3_file	*real;	/* right behind this struct */
};

static sqlite3_vfs	*real_vfs;
static pthread_mutex_t	 lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t	 cond = PTHREAD_COND_INITIALIZER;
static int		 fault_codes[FAULT_N];	/* lock */
static int		 fault_counts[FAULT_N];	/* lock */

void
fault_vfs_set(enum fault_call call, int code)
{
	pthread_mutex_lock(&lock);
	fault_counts[call] = 0;
	fault_codes[call] = code;
	pthread_mutex_unlock(&lock);
}

int
fault_vfs_count(enum fault_call call)
{
	int	 n;

	pthread_mutex_lock(&lock);
	n = fault_counts[call];
	pthread_mutex_unlock(&lock);
	return (n);
}

bool
fault_vfs_wait(enum fault_call call, int n)
{
	struct timespec	 until;
	bool		 is_there;
	int		 r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	pthread_mutex_lock(&lock);
	while (fault_counts[call] < n && r == 0)
		r = pthread_cond_timedwait(&cond, &lock, &until);
	is_there = fault_counts[call] >= n;
	pthread_mutex_unlock(&lock);
	return (is_there);
}

static int
fault(enum fault_call call)
{
	int	 code;

	pthread_mutex_lock(&lock);
	code = fault_codes[call];
	if (code != 0) {
		fault_counts[call]++;
		pthread_cond_broadcast(&cond);
	}
	pthread_mutex_unlock(&lock);
	return (code);
}

static sqlite3_file *
real(sqlite3_file *f)
{
	return (((struct fault_file *)(void *)f)->real);
}

static int
f_close(sqlite3_file *f)
{
	return (real(f)->pMethods->xClose(real(f)));
}

static int
f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return (real(f)->pMethods->xRead(real(f), p, n, at));
}

static int
f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	int	 code = fault(FAULT_WRITE);

	/* A disk that is full often takes the first half. */
	if (code != 0) {
		if (n > 1)
			(void)real(f)->pMethods->xWrite(real(f), p, n / 2, at);
		return (code);
	}
	return (real(f)->pMethods->xWrite(real(f), p, n, at));
}

static int
f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return (real(f)->pMethods->xTruncate(real(f), size));
}

static int
f_sync(sqlite3_file *f, int flags)
{
	int	 code = fault(FAULT_SYNC);

	return (code != 0 ? code : real(f)->pMethods->xSync(real(f), flags));
}

static int
f_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return (real(f)->pMethods->xFileSize(real(f), size));
}

static int
f_lock(sqlite3_file *f, int how)
{
	return (real(f)->pMethods->xLock(real(f), how));
}

static int
f_unlock(sqlite3_file *f, int how)
{
	return (real(f)->pMethods->xUnlock(real(f), how));
}

static int
f_check_lock(sqlite3_file *f, int *ret)
{
	return (real(f)->pMethods->xCheckReservedLock(real(f), ret));
}

static int
f_control(sqlite3_file *f, int op, void *arg)
{
	return (real(f)->pMethods->xFileControl(real(f), op, arg));
}

static int
f_sector(sqlite3_file *f)
{
	return (real(f)->pMethods->xSectorSize(real(f)));
}

static int
f_device(sqlite3_file *f)
{
	return (real(f)->pMethods->xDeviceCharacteristics(real(f)));
}

static int
f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
	return (real(f)->pMethods->xShmMap(real(f), page, size, extend, p));
}

static int
f_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return (real(f)->pMethods->xShmLock(real(f), offset, n, flags));
}

static void
f_shm_barrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

static int
f_shm_unmap(sqlite3_file *f, int is_delete)
{
	return (real(f)->pMethods->xShmUnmap(real(f), is_delete));
}

static const sqlite3_io_methods fault_methods = {
	.iVersion = 2,
	.xClose = f_close,
	.xRead = f_read,
	.xWrite = f_write,
	.xTruncate = f_truncate,
	.xSync = f_sync,
	.xFileSize = f_size,
	.xLock = f_lock,
	.xUnlock = f_unlock,
	.xCheckReservedLock = f_check_lock,
	.xFileControl = f_control,
	.xSectorSize = f_sector,
	.xDeviceCharacteristics = f_device,
	.xShmMap = f_shm_map,
	.xShmLock = f_shm_lock,
	.xShmBarrier = f_shm_barrier,
	.xShmUnmap = f_shm_unmap,
};

static int
fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
    int *ret_flags)
{
	struct fault_file	*f = (struct fault_file *)(void *)file;
	int			 rc;

	(void)vfs;
	f->real = (sqlite3_file *)(void *)(f + 1);
	f->base.pMethods = NULL;
	rc = real_vfs->xOpen(real_vfs, name, f->real, flags, ret_flags);
	if (f->real->pMethods != NULL)
		f->base.pMethods = &fault_methods;
	return (rc);
}

int
fault_vfs_register(void)
{
	static sqlite3_vfs	 vfs;

	if (real_vfs != NULL)
		return (SQLITE_OK);
	real_vfs = sqlite3_vfs_find(NULL);
	if (real_vfs == NULL)
		return (SQLITE_ERROR);
	vfs = *real_vfs;
	vfs.pNext = NULL;
	vfs.zName = FAULT_VFS;
	vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
	vfs.xOpen = fault_open;
	return (sqlite3_vfs_register(&vfs, 0));
}
