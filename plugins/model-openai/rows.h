/* SPDX-License-Identifier: MIT */
/* Transcript rows as a chat completions request. Pure. */
#ifndef MODEL_OPENAI_ROWS_H
#define MODEL_OPENAI_ROWS_H

#include <chela/services/model.h>

/* Gives the body; max_name is what the limit of tokens is called. */
int	rows_body(const struct chela_model_request *rq, const char *max_name,
	    struct json_object **ret_body);

#endif
