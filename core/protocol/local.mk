# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libprotocol.la
core_libprotocol_la_SOURCES = core/protocol/connect.c \
	core/protocol/dialect.c core/protocol/dialect.h \
	core/protocol/dialect_native.c \
	core/protocol/dialect_openclaw.c core/protocol/http.c core/protocol/http.h \
	core/protocol/large.c \
	core/protocol/peer.c core/protocol/peer.h \
	core/protocol/proto.c core/protocol/proto.h core/protocol/proto_priv.h
core_libprotocol_la_LIBADD = core/libaccess.la core/libnet.la core/libjson.la \
	core/libbase.la
