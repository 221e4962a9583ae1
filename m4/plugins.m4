# SPDX-License-Identifier: MIT
m4_include([plugins/plugins.m4])
# CHELA_BUILD_PLUGINS: --disable-plugin-NAME and a conditional PLUGIN_NAME each.
AC_DEFUN([CHELA_BUILD_PLUGINS], [
  chela_plugins_on= chela_plugins_off=
  m4_foreach_w([p], CHELA_PLUGIN_LIST, [
    AC_ARG_ENABLE([plugin-]p, [AS_HELP_STRING([--disable-plugin-]p, [leave out ]p)],
      [chela_on=$enableval], [chela_on=yes])
    AM_CONDITIONAL([PLUGIN_]m4_translit(p, [a-z-], [A-Z_]), [test "$chela_on" = yes])
    AS_IF([test "$chela_on" = yes], [chela_plugins_on="$chela_plugins_on p"],
      [chela_plugins_off="$chela_plugins_off p"])
  ])
])
AC_DEFUN([CHELA_SUMMARY], [
  AC_MSG_NOTICE([
  chela $VERSION
    prefix        $prefix
    plugins       $(eval eval echo "$plugindir")
    schemas       $(eval eval echo "$schemadir")
    sanitizers    $enable_sanitizers
    unit tests    $have_cunit
    built in tree:$chela_plugins_on
    left out:     ${chela_plugins_off:- none}
  ])
])
