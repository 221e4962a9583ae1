/* SPDX-License-Identifier: MIT */
/*
 * Service "model/1": a driver for one kind of model endpoint. Many plugins export
 * it; models/1 picks one by the api that a provider's configuration names.
 */
#ifndef CHELA_SERVICES_MODEL_H
#define CHELA_SERVICES_MODEL_H

#include <chela/plugin.h>

#define CHELA_MODEL_SERVICE	"model/1"	/* many: the drivers */
#define CHELA_MODELS_SERVICE	"models/1"	/* one: exported by plugin models */

/* How a call ended. */
#define CHELA_MODEL_OK		0u
#define CHELA_MODEL_ABORTED	1u	/* cancel() was called */
#define CHELA_MODEL_TIMEOUT	2u
#define CHELA_MODEL_AUTH	3u	/* 401, 403, no key */
#define CHELA_MODEL_RATE_LIMIT	4u	/* 429, retries used up */
#define CHELA_MODEL_BILLING	5u	/* 402 */
#define CHELA_MODEL_CONTEXT	6u	/* too long for the model */
#define CHELA_MODEL_REFUSAL	7u	/* content filter */
#define CHELA_MODEL_NETWORK	8u	/* no connection, or it broke */
#define CHELA_MODEL_FORMAT	9u	/* the answer is not what the API says */
#define CHELA_MODEL_CONFIG	10u	/* not configured, or wrongly */
#define CHELA_MODEL_UPSTREAM	11u	/* any other status of the endpoint */

struct chela_model_call;

struct chela_model_usage {
	uint64_t	input;		/* tokens; without those read from cache */
	uint64_t	output;
	uint64_t	cache_read;
	uint64_t	cache_write;
	uint64_t	total;		/* as the endpoint says, else the sum */
};

struct chela_model_request {
	uint32_t		 struct_size;
	uint32_t		 max_tokens;	/* 0: the endpoint's default */
	const char		*provider;	/* "openai" */
	const char		*model;		/* as the endpoint knows it */
	/* models.providers.<provider>, secrets resolved: baseUrl, apiKey, ... */
	struct json_object	*provider_conf;
	/*
	 * Transcript rows, oldest first, each {role, content}: role user,
	 * assistant or toolResult; content a string or an array of
	 * {type:"text",text}, {type:"thinking",thinking},
	 * {type:"toolCall",id,name,arguments}, {type:"image",data,mimeType}.
	 * A toolResult row has toolCallId and toolName.
	 */
	struct json_object	*messages;
	/* [{name, description, parameters}] or NULL. */
	struct json_object	*tools;
	const char		*system;	/* or NULL */
	const char		*thinking;	/* "off", "low", ...; or NULL */
	uint64_t		 timeout_us;	/* the whole call; 0: none */
	const char		*session_key;	/* whose run it is, or NULL */
};

struct chela_model_result {
	uint32_t		 struct_size;
	uint32_t		 status;	/* CHELA_MODEL_* */
	uint32_t		 http_status;	/* 0: none */
	uint32_t		 has_usage;	/* usage is filled in */
	/* "stop", "length", "toolUse", "error", "aborted" */
	const char		*stop_reason;
	const char		*message;	/* a sentence for people, or NULL */
	const char		*response_id;	/* the endpoint's, or NULL */
	struct chela_model_usage usage;
};

struct chela_model_handler {
	uint32_t	struct_size;
	uint32_t	reserved;
	/* The next piece of the answer's text; valid UTF-8, never empty. */
	void	(*text)(const char *delta, size_t len, void *arg);
	/* The next piece of reasoning text; may be NULL. */
	void	(*thinking)(const char *delta, size_t len, void *arg);
	/* One whole tool call; arguments is the text of a JSON object. */
	void	(*tool_call)(const char *id, const char *name,
		    const char *arguments, void *arg);
	/* Last, exactly once, never from within start(). */
	void	(*done)(const struct chela_model_result *res, void *arg);
};

/* A catalogue entry of a driver that can list what the endpoint has. */
typedef void chela_model_list_fn(int r, struct json_object *models,
    void *arg);					/* lends [{id, name?}] */

struct chela_model_1 {
	uint32_t		  struct_size;
	uint32_t		  flags;	/* zero */
	const char *const	 *apis;		/* "openai-completions", NULL ends */
	/* Copies what it needs before it returns. */
	int	(*start)(const struct chela_model_request *rq,
		    const struct chela_model_handler *handler, void *arg,
		    struct chela_model_call **ret_call);	/* until done() */
	/* done() follows with ABORTED, on a later turn of the loop. */
	void	(*cancel)(struct chela_model_call *call);
	/* Lists the endpoint's models; NULL when it cannot. */
	int	(*list)(const char *provider, struct json_object *provider_conf,
		    chela_model_list_fn *done, void *arg);
};

/* A reference "provider/model" that was looked up. */
struct chela_model_ref {
	uint32_t			 struct_size;
	uint32_t			 context_window; /* tokens, 0: unknown */
	char				 provider[128];
	char				 model[256];
	const struct chela_model_1	*driver;	/* until the next turn */
	struct json_object		*provider_conf;	/* gives */
	struct json_object		*model_conf;	/* gives, or NULL */
};

struct chela_models_1 {
	uint32_t	struct_size;
	uint32_t	reserved;
	/*
	 * Looks up a reference, an alias, or (ref NULL) what agent_id uses
	 * (NULL: the default agent). Without any configured model that is
	 * model-builtin. -ENOENT: unknown provider or model, -ENOSYS: no driver
	 * for its api; ret_why gives a sentence (static or until next call).
	 */
	int	(*resolve)(const char *ref, const char *agent_id,
		    struct chela_model_ref *ret_ref, const char **ret_why);
	/* 1 when a model other than the built-in one is configured. */
	int	(*configured)(void);
	/*
	 * Gives the rows that models.list has for an agent (NULL: the default
	 * one), as far as they are known now.
	 */
	int	(*list)(const char *agent_id,
		    struct json_object **ret_models);
};

#endif
