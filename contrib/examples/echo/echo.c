/* SPDX-License-Identifier: MIT */
/*
 * The smallest useful plugin, built as a third party would build it: with the
 * installed header and nothing else of chela. One method, echo.say, answers with
 * what it was given, and says so to whoever may read.
 */
#include <errno.h>

#include <json-c/json.h>

#include <chela/plugin.h>

static const struct chela_host *host;

static int
echo_say(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	int	 r;

	/* Both calls take a reference, on every path. */
	r = host->emit(ctx, "echo.said", json_object_get(params), NULL);
	if (r < 0)
		host->log(ctx, CHELA_LOG_WARNING,
		    "echo.said: not sent (error %d)", -r);
	return (host->req_reply(req, json_object_get(params)));
}

static int
echo_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	if (!CHELA_HOST_HAS(h, emit)) {
		h->log(ctx, CHELA_LOG_ERR, "echo: this host sends no events");
		return (-ENOTSUP);
	}
	host = h;
	return (0);
}

static const struct chela_method methods[] = {
	{
		.name = "echo.say",
		.handler = echo_say,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
};

static const struct chela_event events[] = {
	{
		.name = "echo.said",
		.scope = "read",
	},
};

CHELA_PLUGIN = {
	CHELA_HEAD("echo"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Says back what it hears.",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	.init = echo_init,
};
