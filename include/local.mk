# SPDX-License-Identifier: MIT
# Headers keep their place below $(includedir): include/chela/x.h -> chela/x.h.
chelaincludedir = $(includedir)/chela
dist_chelainclude_DATA = include/chela/plugin.h
chelaservicesdir = $(includedir)/chela/services
dist_chelaservices_DATA = include/chela/services/http.h \
	include/chela/services/access.h \
	include/chela/services/approvals.h \
	include/chela/services/conns.h \
	include/chela/services/lifecycle.h \
	include/chela/services/model.h \
	include/chela/services/agents.h \
	include/chela/services/nodes.h \
	include/chela/services/process.h \
	include/chela/services/push.h \
	include/chela/services/routes.h \
	include/chela/services/secrets.h \
	include/chela/services/audit.h \
	include/chela/services/config.h \
	include/chela/services/system.h \
	include/chela/services/channel.h \
	include/chela/services/chat.h \
	include/chela/services/commands.h \
	include/chela/services/state.h \
	include/chela/services/plugins.h \
	include/chela/services/hello.h \
	include/chela/services/sessions.h \
	include/chela/services/agent.h
