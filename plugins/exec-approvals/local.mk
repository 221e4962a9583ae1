# SPDX-License-Identifier: MIT
if PLUGIN_EXEC_APPROVALS
plugin_LTLIBRARIES += plugins/exec-approvals/exec-approvals.la
endif
exec_match = plugins/exec-approvals/exec_match.c \
	plugins/exec-approvals/exec_plan.c plugins/exec-approvals/exec_priv.h
plugins_exec_approvals_exec_approvals_la_SOURCES = \
	plugins/exec-approvals/exec.c plugins/exec-approvals/exec_call.c \
	plugins/exec-approvals/exec_file.c \
	plugins/exec-approvals/exec_grants.c \
	plugins/exec-approvals/exec_node.c \
	plugins/exec-approvals/exec_service.c $(exec_match)
plugins_exec_approvals_exec_approvals_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_exec_approvals_exec_approvals_la_CFLAGS = $(PLUGIN_CFLAGS) \
	$(GNUTLS_CFLAGS) $(PCRE2_CFLAGS)
plugins_exec_approvals_exec_approvals_la_LDFLAGS = $(MODULE_FLAGS)
plugins_exec_approvals_exec_approvals_la_LIBADD = plugins/libasked.la $(JSON_LIBS) \
	$(GNUTLS_LIBS) $(PCRE2_LIBS)
dist_schema_DATA += schemas/exec-approvals.json

if HAVE_CUNIT
if PLUGIN_EXEC_APPROVALS
if PLUGIN_APPROVALS
check_PROGRAMS += tests/plugin/test_exec_approvals tests/plugin/test_exec_runs
TESTS += tests/plugin/test_exec_approvals tests/plugin/test_exec_runs
endif
endif
endif
tests_plugin_test_exec_approvals_SOURCES = \
	tests/plugin/test_exec_approvals.c \
	tests/plugin/exec_rig.c tests/plugin/exec_rig.h
tests_plugin_test_exec_approvals_LDADD = $(FAKE_LIBS)
tests_plugin_test_exec_runs_SOURCES = tests/plugin/test_exec_runs.c \
	tests/plugin/exec_rig.c tests/plugin/exec_rig.h
tests_plugin_test_exec_runs_LDADD = $(FAKE_LIBS)
