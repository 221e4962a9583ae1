/* SPDX-License-Identifier: MIT */
/* Transcript rows as a request of the messages API. Pure. */
#ifndef MODEL_ANTHROPIC_BLOCKS_H
#define MODEL_ANTHROPIC_BLOCKS_H

#include <chela/services/model.h>

#define BLOCKS_MAX_TOKENS	4096	/* the API wants a number */

int	blocks_body(const struct chela_model_request *rq,
	    struct json_object **ret_body);

#endif
