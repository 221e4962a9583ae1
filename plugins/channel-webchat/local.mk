# SPDX-License-Identifier: MIT
if PLUGIN_CHANNEL_WEBCHAT
plugin_LTLIBRARIES += plugins/channel-webchat/channel-webchat.la
endif
plugins_channel_webchat_channel_webchat_la_SOURCES = \
	plugins/channel-webchat/channel-webchat.c
plugins_channel_webchat_channel_webchat_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_channel_webchat_channel_webchat_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_channel_webchat_channel_webchat_la_LDFLAGS = $(MODULE_FLAGS)
plugins_channel_webchat_channel_webchat_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/channel-webchat.json
