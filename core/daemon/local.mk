# SPDX-License-Identifier: MIT
bin_PROGRAMS += core/daemon/chelad
core_daemon_chelad_SOURCES = core/daemon/daemon.h core/daemon/http.c \
	core/daemon/limits.c \
	core/daemon/main.c core/daemon/notify.c core/daemon/notify.h \
	core/daemon/options.c core/daemon/options.h \
	core/daemon/refs.c core/daemon/refs.h \
	core/daemon/refs_exec.c \
	core/daemon/restart.c core/daemon/restart.h core/daemon/secrets.c core/daemon/tls.c
core_daemon_chelad_CPPFLAGS = $(AM_CPPFLAGS) \
	-DCHELA_VERSION_STRING='"$(PACKAGE_VERSION)"' \
	-DCHELA_PLUGIN_DIR='"$(plugindir)"' \
	-DCHELA_SCHEMA_DIR='"$(schemadir)"'
core_daemon_chelad_CFLAGS = $(AM_CFLAGS) $(CHELA_EXE_CFLAGS)
core_daemon_chelad_LDFLAGS = $(AM_LDFLAGS) $(CHELA_EXE_LDFLAGS)
core_daemon_chelad_LDADD = core/libplugin.la
dist_schema_DATA += schemas/frames.json
