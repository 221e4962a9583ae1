/* SPDX-License-Identifier: MIT */
/* What the files of plugin question share. */
#ifndef QUESTION_H
#define QUESTION_H

#include <json-c/json.h>

#include <chela/plugin.h>

#include "../common/json.h"

/* question_check.c: no state; why gets a sentence for the client. */
/* What the schema cannot say of a list of questions. */
int		 questions_check(struct json_object *list, char *why,
		    size_t size);
/*
 * Are these, {questionId: [text]}, answers to all of them? Gives {answers: {}}
 * with blanks around taken off and labels as they were offered.
 */
int		 answers_check(struct json_object *list, struct json_object *map,
		    struct json_object **ret_answers, char *why, size_t size);

#endif
