/* SPDX-License-Identifier: MIT */
/* Plugin model-builtin: says how to get a model, in pieces, without network. */
#include <string.h>

#include "tests/plugin/model_rig.h"
#include "tests/unit/cu.h"

static void
it_says_that_no_model_is_configured(void)
{
	struct rig	 rig;

	rig_up(&rig, "model-builtin", false);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_STRING_EQUAL(rig.stop_reason, "stop");
	CU_ASSERT_TRUE(rig.n_deltas > 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig_text(&rig), "No model is configured"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig_text(&rig), "chela config patch"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig_text(&rig), "OPENAI_BASE_URL"));
	CU_ASSERT_EQUAL(rig.res.has_usage, 1);
	CU_ASSERT_EQUAL(rig.res.usage.total, 0);
	rig_down(&rig);
}

/* What is between the quotes of the command must be a configuration. */
static void
the_patch_it_shows_is_json(void)
{
	struct json_object	*o;
	struct rig		 rig;
	char			*from, *to;

	rig_up(&rig, "model-builtin", false);
	rig_run(&rig);
	from = strchr(strstr(rig_text(&rig), "chela config patch"), '\'') + 1;
	to = strchr(from, '\'');
	*to = '\0';
	o = json_tokener_parse(from);
	CU_ASSERT_STRING_EQUAL(fake_str(o,
	    "models.providers.local.models.0.id"), "qwen3");
	CU_ASSERT_STRING_EQUAL(fake_str(o, "models.providers.local.api"),
	    "openai-completions");
	CU_ASSERT_STRING_EQUAL(fake_str(o, "agents.defaults.model.primary"),
	    "local/qwen3");
	json_object_put(o);
	rig_down(&rig);
}

static void
help_is_another_text(void)
{
	static const char *const	 asked[] = {
		"[{\"role\":\"user\",\"content\":\" /help\"}]",
		"[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
		    "\"text\":\"/help\"}]}]",
	};
	static const char *const	 other[] = {
		"[{\"role\":\"user\",\"content\":\"/helpful\"}]",
		"[{\"role\":\"assistant\",\"content\":\"/help\"}]",
		"[{\"role\":\"user\",\"content\":7}]",
		"[3]", "[]", "{}",
	};
	struct rig			 rig;
	size_t				 i;

	rig_up(&rig, "model-builtin", false);
	for (i = 0; i < ARRAY_LEN(asked); i++) {
		rig.messages = asked[i];
		rig_run(&rig);
		CU_ASSERT_PTR_NULL(strstr(rig_text(&rig), "Quick start"));
	}
	for (i = 0; i < ARRAY_LEN(other); i++) {
		rig.messages = other[i];
		rig_run(&rig);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig_text(&rig), "Quick start"));
	}
	rig_down(&rig);
}

static void
cancel_and_stop_end_it(void)
{
	struct rig	 rig;

	rig_up(&rig, "model-builtin", false);
	rig.cancel_at = 2;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_ABORTED);
	CU_ASSERT_STRING_EQUAL(rig.stop_reason, "aborted");
	CU_ASSERT_EQUAL(rig.n_deltas, 2);
	rig.cancel_at = 0;
	CU_ASSERT_EQUAL(rig_start(&rig), 0);
	rig_down(&rig);
	CU_ASSERT_EQUAL(rig.n_done, 1);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_ABORTED);
}

static const struct cu_case cases[] = {
	CU_CASE(it_says_that_no_model_is_configured),
	CU_CASE(the_patch_it_shows_is_json),
	CU_CASE(help_is_another_text),
	CU_CASE(cancel_and_stop_end_it),
	CU_END
};

CU_MAIN("model-builtin", cases)
