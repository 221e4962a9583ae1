/* SPDX-License-Identifier: MIT */
/* The command line of chelad. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/base.h"

#define OPTIONS_DIRS_MAX	16

struct options {
	const char	*config;
	const char	*state_dir;
	const char	*plugin_dirs[OPTIONS_DIRS_MAX];
	size_t		 n_plugin_dirs;
	const char	*schema_dir;
	const char	*bind;
	int32_t		 port;		/* -1: as configured */
	const char	*token_file;
	int		 log_level;
	bool		 check;
	bool		 check_plugins;
	bool		 list_methods;
	bool		 check_results;
	uint32_t	 slow_turn_ms;	/* 0: turns are not measured */
	uint32_t	 watch_slow_ms;	/* 0: the default */
	uint32_t	 watch_dead_ms;
};

/* 0: go on. 1: done (help, version). -EINVAL: said what is wrong. */
int	 options_parse(struct options *o, int argc, char **argv);

#endif
