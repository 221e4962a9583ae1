/* SPDX-License-Identifier: MIT */
/* A driver of models on the fake host, with the scripted server behind it. */
#ifndef TESTS_PLUGIN_MODEL_RIG_H
#define TESTS_PLUGIN_MODEL_RIG_H

#include <chela/services/model.h>

#include "core/base/buf.h"
#include "tests/plugin/fakehost.h"
#include "tests/plugin/server.h"

struct rig;
typedef void script_fn(struct rig *rig, struct server_conn *c,
    const struct server_rq *rq);

struct rig {
	struct fake			*f;
	struct server			*server;	/* NULL: none wanted */
	const struct chela_model_1	*driver;
	script_fn			*script;
	const char			*stream;	/* for rig_say_stream() */
	size_t				 piece;		/* 0: all at once */

	/* The last request that the server saw. */
	char				*head;
	char				*path;
	struct json_object		*body;

	/* What is asked; reset by rig_up(). */
	struct chela_model_request	 rq;
	const char			*conf;	/* more members, no braces */
	const char			*base;	/* NULL: the server's URL */
	const char			*messages;
	const char			*tools;
	unsigned			 cancel_at;	/* delta; 0: never */

	/* What came. */
	struct chela_model_call		*call;
	struct buf			 text;
	struct buf			 thinking;
	struct buf			 tool_calls;	/* "id name args\n" */
	unsigned			 n_deltas;
	unsigned			 n_done;
	struct chela_model_result	 res;
	char				 stop_reason[32];
	char				 message[1024];
	char				 id[300];
	struct json_object		*list;
	int				 list_r;
};

/* The driver in this plugin; it must be loaded and started. */
void	 rig_up(struct rig *rig, const char *plugin, bool with_server);
void	 rig_down(struct rig *rig);
/* Starts; -errno as the driver says. */
int	 rig_start(struct rig *rig);
/* Starts and waits for the end. */
void	 rig_run(struct rig *rig);
/* The models of the endpoint. */
void	 rig_list(struct rig *rig);
bool	 rig_is_done(void *rig);
bool	 rig_has_text(void *rig);
/* What came, as strings that live until the next run. */
const char *rig_text(struct rig *rig);
const char *rig_thinking(struct rig *rig);
const char *rig_tools(struct rig *rig);

/* Scripts: sends rig->stream as events, and closes. */
void	 rig_say_stream(struct rig *rig, struct server_conn *c,
	    const struct server_rq *rq);
/* The same, but the connection stays open and silent. */
void	 rig_say_and_stall(struct rig *rig, struct server_conn *c,
	    const struct server_rq *rq);
void	 rig_say_nothing(struct rig *rig, struct server_conn *c,
	    const struct server_rq *rq);

#endif
