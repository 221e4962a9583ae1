# SPDX-License-Identifier: MIT
# What the plugins that ask people share, linked into each of them.
noinst_LTLIBRARIES += plugins/libasked.la
plugins_libasked_la_SOURCES = plugins/approval-common/asked.c \
	plugins/approval-common/asked.h plugins/approval-common/small.c
plugins_libasked_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_libasked_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_libasked_la_LIBADD = $(JSON_LIBS)

if PLUGIN_APPROVALS
plugin_LTLIBRARIES += plugins/approvals/approvals.la
endif
plugins_approvals_approvals_la_SOURCES = plugins/approvals/approvals.c \
	plugins/approvals/approvals_priv.h \
	plugins/approvals/approvals_methods.c \
	plugins/approvals/approvals_one.c \
	plugins/approvals/approvals_plugin.c \
	plugins/approvals/approvals_record.c \
	plugins/approvals/approvals_show.c \
	plugins/approvals/approvals_table.c \
	plugins/approvals/approvals_text.c plugins/approvals/approvals_wait.c
plugins_approvals_approvals_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_approvals_approvals_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_approvals_approvals_la_LDFLAGS = $(MODULE_FLAGS)
plugins_approvals_approvals_la_LIBADD = plugins/libasked.la $(JSON_LIBS)
dist_schema_DATA += schemas/approvals.json

if HAVE_CUNIT
if PLUGIN_APPROVALS
check_PROGRAMS += tests/plugin/test_approvals
TESTS += tests/plugin/test_approvals
endif
endif
tests_plugin_test_approvals_SOURCES = tests/plugin/test_approvals.c
tests_plugin_test_approvals_LDADD = $(FAKE_LIBS)
