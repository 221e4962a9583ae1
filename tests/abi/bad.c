/* SPDX-License-Identifier: MIT */
/*
 * Plugins that must be refused, one for each value of BAD (a macro that the
 * script check_bad.sh sets, with the plugin's name in NAME). Each differs from a
 * good one in one point.
 */
#include <errno.h>
#include <stdlib.h>

#include <chela/plugin.h>

#define BAD_NOTHING	0	/* the good one: it must load */
#define BAD_MAGIC	1
#define BAD_MAJOR	2
#define BAD_MINOR	3
#define BAD_JSON	4
#define BAD_SIZE	5
#define BAD_STRIDE	6
#define BAD_NAME	7	/* not that of the file */
#define BAD_PREFIX	8	/* a method of another group */
#define BAD_TWICE	9	/* one method twice */
#define BAD_FLAG	10
#define BAD_ROLES	11
#define BAD_HANDLER	12
#define BAD_SYMBOL	13	/* no chela_plugin at all */
#define BAD_UNDEFINED	14	/* calls a function that nobody has */
#define BAD_DEP		15	/* needs a plugin that is not there */
#define BAD_CYCLE	16	/* needs itself */
#define BAD_INIT	17	/* init() fails */
#define BAD_UNLISTED	18	/* a method that the schema lacks */
#define BAD_START	19	/* start() fails */
#define BAD_PFLAG	20
#define BAD_COUNT	21	/* a count without a table */
#define BAD_MANY	22	/* 100,000 methods */
#define BAD_FAR		23	/* a stride that leads anywhere */
#define BAD_ODD		24	/* a stride that is no multiple of a pointer */
#define BAD_SHORT	25	/* more methods than the table has */
#define BAD_DEPS	26	/* four thousand million dependencies */
#define BAD_NODEP	27	/* a dependency without a name */
#define BAD_EVENTS	28	/* 100,000 events */

#if BAD == BAD_UNDEFINED
int chela_no_such_function(void);
#endif

static int
say(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	(void)ctx;
	(void)req;
	(void)params;
	return (-EOPNOTSUPP);
}

static int
init(struct chela_ctx *ctx, const struct chela_host *host)
{
	host->log(ctx, CHELA_LOG_INFO, "init: called");
#if BAD == BAD_UNDEFINED
	return (chela_no_such_function());
#endif
	return (BAD == BAD_INIT ? -EPERM : 0);
}

static int
start(struct chela_ctx *ctx)
{
	(void)ctx;
	return (BAD == BAD_START ? -EPERM : 0);
}

static const struct chela_method methods[] = {
	{
		.name = BAD == BAD_PREFIX ? "chat.say" : NAME ".say",
		.handler = BAD == BAD_HANDLER ? NULL : say,
		.roles = BAD == BAD_ROLES ? 0 : CHELA_ROLE_OPERATOR,
		.flags = BAD == BAD_FLAG ? 0x40000000u : 0,
		.scope = "read",
	},
#if BAD == BAD_TWICE
	{
		.name = NAME ".say",
		.handler = say,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
#endif
#if BAD == BAD_UNLISTED
	{
		.name = NAME ".more",
		.handler = say,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
#endif
};

#if BAD == BAD_DEP || BAD == BAD_CYCLE || BAD == BAD_DEPS || BAD == BAD_NODEP
static const struct chela_dep deps[] = {
	{
		.name = BAD == BAD_DEP ? "not-there" :
		    BAD == BAD_NODEP ? NULL : NAME,
	},
};
#endif

#if BAD == BAD_SYMBOL
#undef CHELA_SYMBOL
#define CHELA_SYMBOL chela_plugln
#endif

CHELA_PLUGIN = {
	.magic = BAD == BAD_MAGIC ? 0x4c454843u : CHELA_MAGIC,
	.abi_major = BAD == BAD_MAJOR ? CHELA_ABI_MAJOR + 1 : CHELA_ABI_MAJOR,
	.abi_minor = BAD == BAD_MINOR ? CHELA_ABI_MINOR + 9 : CHELA_ABI_MINOR,
	.struct_size = BAD == BAD_SIZE ? 24 : sizeof(struct chela_plugin),
	.json_abi = BAD == BAD_JSON ? 4 : CHELA_JSON_ABI,
	.name = BAD == BAD_NAME ? "someone-else" : NAME,
	.version = CHELA_VERSION(1, 0, 0),
	.flags = BAD == BAD_PFLAG ? 0x80000000u : 0,
	.summary = "Not to be loaded.",
	.methods = BAD == BAD_COUNT ? NULL : methods,
	.n_methods = BAD == BAD_MANY ? 100000 : BAD == BAD_SHORT ? 500 :
	    sizeof methods / sizeof methods[0],
	.method_size = BAD == BAD_STRIDE ? 8 : BAD == BAD_FAR ? 0xfffffff8u :
	    BAD == BAD_ODD ? sizeof methods[0] + 1 : sizeof methods[0],
#if BAD == BAD_EVENTS
	.events = (const struct chela_event *)methods,
	.n_events = 100000,
	.event_size = sizeof(struct chela_event),
#endif
#if BAD == BAD_DEP || BAD == BAD_CYCLE || BAD == BAD_DEPS || BAD == BAD_NODEP
	.deps = deps,
	.n_deps = BAD == BAD_DEPS ? 0xffffffffu : 1,
	.dep_size = sizeof deps[0],
#endif
	.init = init,
	.start = start,
};
