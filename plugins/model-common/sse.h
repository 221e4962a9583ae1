/* SPDX-License-Identifier: MIT */
/*
 * Server-sent events (WHATWG HTML section 9.2.6) as a function from bytes to
 * events, without I/O. Fields id and retry are ignored: nobody reconnects.
 */
#ifndef MODEL_COMMON_SSE_H
#define MODEL_COMMON_SSE_H

#include "text.h"

#define SSE_EVENT_MAX	((size_t)4 << 20)	/* bytes of one event's data */
#define SSE_LINE_MAX	SSE_EVENT_MAX
#define SSE_NAME_MAX	64			/* longer names are cut */

/* data ends in NUL behind len. A negative return ends the feeding with it. */
typedef int sse_event_fn(const char *name, const char *data, size_t len,
    void *arg);

struct sse {
	struct text	 line;		/* so far */
	struct text	 data;		/* lines of this event so far */
	char		 name[SSE_NAME_MAX + 1];
	int		 has_data;
	int		 is_after_cr;	/* a LF now belongs to that CR */
	int		 is_past_bom;
};

/* Zeroed is ready. */
void	 sse_fini(struct sse *s);
/* 0, -EMSGSIZE, -ENOMEM, or what fn returned. */
int	 sse_feed(struct sse *s, const char *p, size_t len, sse_event_fn *fn,
	    void *arg);
/*
 * The stream ended: an event whose empty line is missing is handed over, if its
 * last line was whole.
 */
int	 sse_end(struct sse *s, sse_event_fn *fn, void *arg);

#endif
