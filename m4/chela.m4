# chela.m4 - build plugins of the chela gateway              -*- Autoconf -*-
# SPDX-License-Identifier: MIT
#
# CHELA_PLUGIN([MIN-VERSION = 0.1])
# ---------------------------------
# For a plugin's configure.ac, after LT_INIT. Finds the installed header through
# pkg-config and sets
#	CHELA_CFLAGS		to compile a plugin
#	CHELA_LIBS		json-c, which a plugin may use
#	CHELA_PLUGIN_LDFLAGS	to link it: one exported symbol, nothing undefined
#	chelaplugindir		where NAME.so belongs
#	chelaschemadir		where NAME.json belongs
# In Makefile.am:
#	chelaplugin_LTLIBRARIES = hello.la
#	hello_la_SOURCES = hello.c
#	hello_la_CFLAGS = $(CHELA_CFLAGS)
#	hello_la_LDFLAGS = $(CHELA_PLUGIN_LDFLAGS)
#	hello_la_LIBADD = $(CHELA_LIBS)
#	dist_chelaschema_DATA = hello.json
AC_DEFUN([CHELA_PLUGIN], [
  AC_REQUIRE([PKG_PROG_PKG_CONFIG])
  PKG_CHECK_MODULES([CHELA], [chela >= m4_default([$1], [0.1])])
  dnl Below the package's own libdir and datadir, so that staged installs and
  dnl distcheck stay inside their prefix.
  chelaplugindir=$($PKG_CONFIG --define-variable=libdir='${libdir}' \
    --variable=plugindir chela)
  chelaschemadir=$($PKG_CONFIG --define-variable=datadir='${datadir}' \
    --variable=schemadir chela)
  AC_SUBST([chelaplugindir])
  AC_SUBST([chelaschemadir])
  CHELA_CFLAGS="$CHELA_CFLAGS -fvisibility=hidden"
  AC_SUBST([CHELA_PLUGIN_LDFLAGS], ['-module -avoid-version -shared -no-undefined -Wl,-z,defs -Wl,-z,now -export-symbols-regex ^chela_plugin$$'])
])
