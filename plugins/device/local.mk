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

# The picture of a setup code, where the libraries for it are there.
EXTRA_plugins_device_device_la_SOURCES = plugins/device/device_qr.c
if HAVE_QR_PNG
plugins_device_device_la_SOURCES += plugins/device/device_qr.c
plugins_device_device_la_CPPFLAGS += -DDEVICE_HAS_QR
plugins_device_device_la_CFLAGS += $(QRENCODE_CFLAGS) $(PNG_CFLAGS)
plugins_device_device_la_LIBADD += $(QRENCODE_LIBS) $(PNG_LIBS)
endif

if HAVE_CUNIT
if PLUGIN_DEVICE
check_PROGRAMS += tests/plugin/test_device
TESTS += tests/plugin/test_device
endif
endif
tests_plugin_test_device_SOURCES = tests/plugin/test_device.c
tests_plugin_test_device_CPPFLAGS = $(AM_CPPFLAGS)
tests_plugin_test_device_LDADD = $(FAKE_LIBS)
if HAVE_QR_PNG
tests_plugin_test_device_CPPFLAGS += -DDEVICE_HAS_QR $(QRENCODE_CFLAGS) \
	$(PNG_CFLAGS)
tests_plugin_test_device_LDADD += $(QRENCODE_LIBS) $(PNG_LIBS)
endif
