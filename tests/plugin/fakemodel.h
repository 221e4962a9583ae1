/* SPDX-License-Identifier: MIT */
/*
 * A model for tests: exports "models/1" with one driver that does nothing by
 * itself. The test lets it say something, and end.
 */
#ifndef TESTS_PLUGIN_FAKEMODEL_H
#define TESTS_PLUGIN_FAKEMODEL_H

#include <chela/services/model.h>

#include "tests/plugin/fakehost.h"

#define FAKE_CALLS_MAX	16u

/* One call of the model. */
struct chela_model_call {
	const struct chela_model_handler	*handler;
	void					*arg;
	struct json_object			*messages;
	char					*system;
	char					*session_key;
	bool					 is_open;
	bool					 was_cancelled;
};

void	fakemodel_add(struct fake *f);
/* Calls so far, and the n-th of them. */
unsigned fakemodel_calls(void);
struct chela_model_call *fakemodel_call(unsigned n);
/* Waits until the n-th call was made. */
bool	fakemodel_wait(struct fake *f, unsigned n);
void	fakemodel_say(unsigned n, const char *text);
void	fakemodel_tool(unsigned n, const char *id, const char *name,
	    const char *arguments);
/* Ends it with usage 11/5 (status OK), or as the status says. */
void	fakemodel_end(unsigned n, uint32_t status, const char *message);
/* Ends what was cancelled, as a driver does on a later turn. */
void	fakemodel_settle(void);
void	fakemodel_free(void);

#endif
