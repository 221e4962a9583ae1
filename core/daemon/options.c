/* SPDX-License-Identifier: MIT */
#include "core/daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"

enum {
	OPT_CONFIG = 256,
	OPT_STATE_DIR,
	OPT_PLUGIN_DIR,
	OPT_SCHEMA_DIR,
	OPT_BIND,
	OPT_PORT,
	OPT_TOKEN_FILE,
	OPT_LOG_LEVEL,
	OPT_CHECK,
	OPT_CHECK_PLUGINS,
	OPT_METHODS,
	OPT_CHECK_RESULTS,
	OPT_SLOW_TURN,
	OPT_WATCHDOG,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "plugin-dir", required_argument, NULL, OPT_PLUGIN_DIR },
	{ "schema-dir", required_argument, NULL, OPT_SCHEMA_DIR },
	{ "bind", required_argument, NULL, OPT_BIND },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "token-file", required_argument, NULL, OPT_TOKEN_FILE },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "check-plugins", no_argument, NULL, OPT_CHECK_PLUGINS },
	{ "methods", no_argument, NULL, OPT_METHODS },
	{ "check-results", no_argument, NULL, OPT_CHECK_RESULTS },
	{ "slow-turn-ms", required_argument, NULL, OPT_SLOW_TURN },
	{ "watchdog-ms", required_argument, NULL, OPT_WATCHDOG },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
    "usage: chelad [options]\n"
    "  --config FILE       configuration (JSON5)\n"
    "  --state-dir DIR     where everything durable is kept\n"
    "  --plugin-dir DIR    where plugins are; may be given several times\n"
    "  --schema-dir DIR    where schemas are\n"
    "  --bind ADDRESS      numeric address to listen on\n"
    "  --port N            port to listen on; 0 picks a free one\n"
    "  --token-file FILE   file with the shared token\n"
    "  --log-level LEVEL   error, warn, notice, info or debug\n"
    "  --check             check the configuration and exit\n"
    "  --check-plugins     check the plugins and exit; with --methods also\n"
    "                      list their methods\n"
    "  --check-results     hold every answer to its schema (for tests)\n"
    "  --slow-turn-ms N    log turns of the loop that take more CPU time\n"
    "  --watchdog-ms N,M   after N ms one call into a plugin is logged, after M\n"
    "                      it ends the process (2000,30000)\n"
    "  --version, --help\n";

static int
parse_port(const char *s, int32_t *ret)
{
	char	*end;
	long	 n;

	errno = 0;
	n = strtol(s, &end, 10);
	if (errno != 0 || end == s || *end != '\0' || n < 0 || n > 65535)
		return (-EINVAL);
	*ret = (int32_t)n;
	return (0);
}

int
options_parse(struct options *o, int argc, char **argv)
{
	int32_t	 ms;
	int	 c;
	char	 more;

	memset(o, 0, sizeof *o);
	o->port = -1;
	o->log_level = -1;
	while ((c = getopt_long(argc, argv, "hV", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_CONFIG:
			o->config = optarg;
			break;
		case OPT_STATE_DIR:
			o->state_dir = optarg;
			break;
		case OPT_PLUGIN_DIR:
			if (o->n_plugin_dirs == OPTIONS_DIRS_MAX) {
				(void)fprintf(stderr, "chelad: more than %d "
				    "plugin directories\n", OPTIONS_DIRS_MAX);
				return (-EINVAL);
			}
			o->plugin_dirs[o->n_plugin_dirs++] = optarg;
			break;
		case OPT_SCHEMA_DIR:
			o->schema_dir = optarg;
			break;
		case OPT_BIND:
			o->bind = optarg;
			break;
		case OPT_PORT:
			if (parse_port(optarg, &o->port) < 0) {
				(void)fprintf(stderr, "chelad: --port: '%s' is "
				    "not a port (0 to 65535)\n", optarg);
				return (-EINVAL);
			}
			break;
		case OPT_TOKEN_FILE:
			o->token_file = optarg;
			break;
		case OPT_LOG_LEVEL:
			o->log_level = log_level_parse(optarg);
			if (o->log_level < 0) {
				(void)fprintf(stderr, "chelad: --log-level: "
				    "'%s' is not error, warn, notice, info or "
				    "debug\n", optarg);
				return (-EINVAL);
			}
			break;
		case OPT_CHECK:
			o->check = true;
			break;
		case OPT_CHECK_PLUGINS:
			o->check_plugins = true;
			break;
		case OPT_METHODS:
			o->list_methods = true;
			break;
		case OPT_CHECK_RESULTS:
			o->check_results = true;
			break;
		case OPT_SLOW_TURN:
			if (parse_port(optarg, &ms) < 0) {
				(void)fprintf(stderr, "chelad: --slow-turn-ms: "
				    "'%s' is not a number of milliseconds\n",
				    optarg);
				return (-EINVAL);
			}
			o->slow_turn_ms = (uint32_t)ms;
			break;
		case OPT_WATCHDOG:
			if (sscanf(optarg, "%6u,%6u%c", &o->watch_slow_ms,
			    &o->watch_dead_ms, &more) != 2 ||
			    o->watch_slow_ms == 0 ||
			    o->watch_dead_ms < o->watch_slow_ms) {
				(void)fprintf(stderr, "chelad: --watchdog-ms: "
				    "'%s' is not two rising numbers of "
				    "milliseconds\n", optarg);
				return (-EINVAL);
			}
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return (1);
		case 'V':
			(void)printf("chelad %s\n", CHELA_VERSION_STRING);
			return (1);
		default:
			(void)fputs(usage, stderr);
			return (-EINVAL);
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "chelad: what is '%s'?\n%s", argv[optind],
		    usage);
		return (-EINVAL);
	}
	return (0);
}
