/* SPDX-License-Identifier: MIT */
/*
 * What the drivers of HTTP endpoints share: one call from its request to its end,
 * with retries, time limits, and words for what went wrong. A driver says what
 * is sent and reads what comes back.
 */
#ifndef MODEL_COMMON_CALL_H
#define MODEL_COMMON_CALL_H

#include <sys/queue.h>

#include <chela/services/http.h>
#include <chela/services/model.h>

#include "sse.h"

#define CALLS_MAX		256		/* at a time, of one driver */
#define CALL_HEADERS_MAX	32
#define CALL_ANSWER_MAX		((uint64_t)64 << 20)	/* bytes of a stream */
#define CALL_WHOLE_MAX		((size_t)8 << 20)	/* of one JSON answer */
#define CALL_ERROR_MAX		((size_t)16 << 10)	/* of an error's body */
#define CALL_MESSAGE_MAX	300		/* of it, for people */
#define CALL_TOOLS_MAX		64		/* tool calls of one answer */
#define CALL_TOOL_ARGS_MAX	((size_t)1 << 20)
#define CALL_IDLE_US		120000000u	/* no byte for so long */
#define CALL_CONNECT_US		10000000u
#define CALL_RETRIES		2		/* unless configured */
#define CALL_RETRIES_MAX	10
#define CALL_BACKOFF_US		500000u		/* doubled each time */
#define CALL_BACKOFF_MAX_US	8000000u
#define CALL_RETRY_AFTER_MAX_US	30000000u	/* whatever the endpoint asks */
#define CALL_LIST_US		15000000u	/* for a list of models */
#define CALL_LIST_MAX		2000		/* models of an endpoint */

struct driver {
	const char *const *apis;	/* what it speaks, to a NULL */
	const char	*default_base;
	/*
	 * Gives the URL of calls, or of the list of models. base is what the
	 * operator wrote, without slashes at its end. NULL: no memory.
	 */
	char	*(*url)(const char *base, int is_list);
	/* Gives the request's body. 0 or -errno. */
	int	(*body)(const struct chela_model_request *rq,
		    struct json_object **ret_body);
	/* Adds headers with call_header(). */
	int	(*auth)(struct chela_model_call *call,
		    struct json_object *conf);
	/*
	 * One event, or (name NULL) one whole JSON answer. 0, or what
	 * call_fail() returned.
	 */
	int	(*event)(struct chela_model_call *call, const char *name,
		    const char *data, size_t len);
	/* An id for a tool call without one is made from this. */
	const char	*tool_prefix;
};

struct tool {
	int64_t		 index;
	char		*id;
	char		*name;
	struct text	 args;
	int		 is_told;
};

enum call_step {
	CALL_WAITING,		/* for the timer: the start, a retry, the end */
	CALL_OPEN,		/* an HTTP call is under way */
	CALL_TOLD,		/* done() ran; the HTTP call still has to end */
};

/* Owned by its list until done() returned and no HTTP call is left. */
struct chela_model_call {
	TAILQ_ENTRY(chela_model_call)	 link;
	struct chela_model_handler	 handler;
	void				*arg;
	enum call_step			 step;
	struct chela_timer		*timer;
	struct chela_http_call		*http;
	int				 is_cancelled;
	int				 is_trusted;
	int				 is_listed;	/* in one of the two lists */

	char				*url;
	char				*headers[CALL_HEADERS_MAX + 1];
	size_t				 n_headers;
	size_t				 n_secret_headers; /* the first ones */
	struct text			 body;
	char				*secret;	/* never told */
	unsigned			 retries_left;
	unsigned			 n_tries;
	uint64_t			 end_by;	/* 0: none */
	uint64_t			 try_since;

	/* Of this try. */
	uint32_t			 http_status;
	int				 is_sniffed;	/* the first byte is known */
	int				 is_stream;
	struct sse			 sse;
	struct text			 whole;		/* answer or error */
	uint64_t			 retry_after_us;

	/* The answer. */
	int				 is_begun;	/* something was told */
	int				 is_complete;
	const char			*stop_reason;	/* static, or NULL */
	char				*response_id;
	struct chela_model_usage	 usage;
	int				 has_usage;
	struct tool			 tools[CALL_TOOLS_MAX];
	size_t				 n_tools;

	/* The end, when it is not a good one. */
	uint32_t			 fail_status;	/* 0: none */
	int				 is_fail_retryable;
	char				 message[CALL_MESSAGE_MAX + 128];

	/* A list of models instead of an answer. */
	chela_model_list_fn		*list_done;
};

/*
 * The life of the plugin around its calls: the service chela.model is exported for
 * the one driver, which is lent.
 */
int	 calls_init(struct chela_ctx *ctx, const struct chela_host *host,
	    const struct driver *driver);
void	 calls_stop(struct chela_ctx *ctx);

/* For drivers, while they read an answer. */
int	 call_header(struct chela_model_call *call, const char *name,
	    const char *value);
int	 call_text(struct chela_model_call *call, struct json_object *s);
int	 call_thinking(struct chela_model_call *call, struct json_object *s);
void	 call_id(struct chela_model_call *call, const char *id);
/* The tool call at an index, made when new; NULL: too many, or no memory. */
struct tool *call_tool(struct chela_model_call *call, int64_t index);
int	 call_tool_set(char **field, const char *value);
/* Hands one over, whole. 0 or what call_fail() returned. */
int	 call_tool_tell(struct chela_model_call *call, struct tool *t);
int	 call_tools_tell(struct chela_model_call *call);	/* all the rest */
/* Ends the reading; message may come from outside. Returns -EBADMSG. */
int	 call_fail(struct chela_model_call *call, uint32_t status,
	    const char *message);
int	 call_fail_retryable(struct chela_model_call *call, uint32_t status,
	    const char *message);
/* Copies without control characters and without the call's secrets, cut. */
void	 call_scrub(const struct chela_model_call *call, const char *s,
	    char *ret, size_t size);
/* Which CHELA_MODEL_* an error text or code stands for; 0: none known. */
uint32_t call_classify(const char *s);

/* Content of a transcript row as one text; gives an object of type string. */
struct json_object *row_text(struct json_object *content);

/* The failure of one try: r and detail as http/1 told them. */
void	 verdict_http(struct chela_model_call *call, int r, const char *detail,
	    uint64_t now_us);
uint64_t verdict_retry_after(const char *value, uint64_t wall_ms);

#endif
