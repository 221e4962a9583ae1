/* SPDX-License-Identifier: MIT */
/* Time, with a seam: a test may stop both clocks and move them by hand. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_now_us(void);		/* monotonic */
uint64_t clock_wall_ms(void);		/* since 1970 */
void	 clock_fake(uint64_t now_us, uint64_t wall_ms);	/* 0, 0: real again */

#endif
