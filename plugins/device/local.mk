# SPDX-License-Identifier: MIT
if PLUGIN_DEVICE
plugin_LTLIBRARIES += plugins/device/device.la
endif
plugins_device_device_la_SOURCES = plugins/device/device.c \
	plugins/device/device.h plugins/device/device_scopes.c \
	plugins/device/device_setup.c
plugins_device_device_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_device_device_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_device_device_la_LDFLAGS = $(MODULE_FLAGS)
plugins_device_device_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/device.json
