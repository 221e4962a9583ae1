/* SPDX-License-Identifier: MIT */
/* Plugin say, for the benchmark alone: one call, one event to everybody. */
#include <json-c/json.h>

#include <chela/plugin.h>

static const struct chela_host	*host;

static int
say(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	(void)host->emit(ctx, "said", json_object_get(params), NULL);
	return (host->req_reply(req, NULL));
}

static int
say_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	(void)ctx;
	host = h;
	return (0);
}

static const struct chela_method methods[] = {
	{
		.name = "say",
		.handler = say,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "write",
	},
};

static const struct chela_event events[] = {
	{ .name = "said", .scope = "read" },
};

CHELA_PLUGIN = {
	CHELA_HEAD("say"),
	.version = CHELA_VERSION(1, 0, 0),
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	.init = say_init,
};
