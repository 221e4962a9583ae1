/* SPDX-License-Identifier: MIT */
/*
 * The log: one line, one event, to standard error and, when opened, to a file of
 * JSON lines that logs.tail reads. Any thread. Callers quote what came from
 * outside with log_quote().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>

#include "core/base/base.h"

enum log_level {		/* as syslog(3) */
	LOG_LEVEL_ERR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* part is a constant name: "net", "store", "plugin/chat". */
void	 log_write(enum log_level level, const char *part, const char *fmt, ...)
	    printf_like(3, 4);
void	 log_vwrite(enum log_level level, const char *part, const char *fmt,
	    va_list ap) printf_like(3, 0);
bool	 log_is_on(enum log_level level);
void	 log_set_level(enum log_level level);
int	 log_level_parse(const char *name);	/* level or -EINVAL */

/*
 * Opens <dir>/chela.log, mode 0600, for JSON lines {time, level, subsystem,
 * message}; it is rotated to chela.log.1 at max_bytes. Writing goes through a
 * bounded queue and a thread: a full disk or a slow one costs lines (counted and
 * said once), never time.
 */
int	 log_file_open(const char *dir, size_t max_bytes);
void	 log_file_close(void);
const char *log_file_path(void);		/* NULL: not open */

/* A value from outside, escaped, cut at 256 bytes; a per-thread ring of 4. */
const char *log_quote(const char *s, size_t len);

#define log_err(part, ...)	log_write(LOG_LEVEL_ERR, part, __VA_ARGS__)
#define log_warn(part, ...)	log_write(LOG_LEVEL_WARNING, part, __VA_ARGS__)
#define log_notice(part, ...)	log_write(LOG_LEVEL_NOTICE, part, __VA_ARGS__)
#define log_info(part, ...)	log_write(LOG_LEVEL_INFO, part, __VA_ARGS__)
#define log_debug(part, ...) do { \
	if (log_is_on(LOG_LEVEL_DEBUG)) \
		log_write(LOG_LEVEL_DEBUG, part, __VA_ARGS__); \
} while (0)

#endif
