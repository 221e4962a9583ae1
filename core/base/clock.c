/* SPDX-License-Identifier: MIT */
#include "core/base/clock.h"

#include <time.h>

static uint64_t fake_now_us, fake_wall_ms;

uint64_t
clock_now_us(void)
{
	struct timespec	 ts;

	if (fake_now_us != 0)
		return (fake_now_us);
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u);
}

uint64_t
clock_wall_ms(void)
{
	struct timespec	 ts;

	if (fake_wall_ms != 0)
		return (fake_wall_ms);
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return ((uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u);
}

void
clock_fake(uint64_t now_us, uint64_t wall_ms)
{
	fake_now_us = now_us;
	fake_wall_ms = wall_ms;
}
