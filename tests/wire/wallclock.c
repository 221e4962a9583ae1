/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a program, moves its wall clock by what stands in the file
 * $TEST_CLOCK: eight bytes, milliseconds, signed. The monotonic clock stays.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef int clock_fn(clockid_t, struct timespec *);

static const volatile int64_t	*offset_ms;
static clock_fn			*real;

__attribute__((constructor)) static void
begin(void)
{
	const char	*path = getenv("TEST_CLOCK");
	void		*p;
	int		 fd;

	real = (clock_fn *)dlsym(RTLD_NEXT, "clock_gettime");
	fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	p = mmap(NULL, sizeof *offset_ms, PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		offset_ms = p;
	(void)close(fd);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t	 ms;
	int	 r;

	if (real == NULL)
		real = (clock_fn *)dlsym(RTLD_NEXT, "clock_gettime");
	r = real(id, ts);
	if (r != 0 || offset_ms == NULL ||
	    (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
		return (r);
	ms = *offset_ms;
	ts->tv_sec += ms / 1000;
	ts->tv_nsec += ms % 1000 * 1000000;
	if (ts->tv_nsec < 0) {
		ts->tv_sec--;
		ts->tv_nsec += 1000000000;
	} else if (ts->tv_nsec >= 1000000000) {
		ts->tv_sec++;
		ts->tv_nsec -= 1000000000;
	}
	return (0);
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec	 ts;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return (-1);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return (0);
}

time_t
time(time_t *ret)
{
	struct timespec	 ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	if (ret != NULL)
		*ret = ts.tv_sec;
	return (ts.tv_sec);
}
