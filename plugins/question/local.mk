# SPDX-License-Identifier: MIT
if PLUGIN_QUESTION
plugin_LTLIBRARIES += plugins/question/question.la
endif
plugins_question_question_la_SOURCES = plugins/question/question.c \
	plugins/question/question.h plugins/question/question_check.c
plugins_question_question_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_question_question_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_question_question_la_LDFLAGS = $(MODULE_FLAGS)
plugins_question_question_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/question.json

if HAVE_CUNIT
if PLUGIN_QUESTION
check_PROGRAMS += tests/plugin/test_question
TESTS += tests/plugin/test_question
endif
endif
tests_plugin_test_question_SOURCES = tests/plugin/test_question.c
tests_plugin_test_question_LDADD = $(FAKE_LIBS)
