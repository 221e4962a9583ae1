# SPDX-License-Identifier: MIT
# AX_CHELA_HARDEN: warnings, hardening and sanitizers as compiler flags.
#   CHELA_CFLAGS, CHELA_LDFLAGS       for everything
#   CHELA_EXE_CFLAGS, CHELA_EXE_LDFLAGS   for programs (PIE)
AC_DEFUN([AX_CHELA_TRY_CFLAG], [
  AC_CACHE_CHECK([whether $CC takes $1], AS_TR_SH([chela_cv_cflag_$1]), [
    chela_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror $1"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>]], [[puts("");]])],
      [AS_TR_SH([chela_cv_cflag_$1])=yes], [AS_TR_SH([chela_cv_cflag_$1])=no])
    CFLAGS=$chela_save_CFLAGS
  ])
  AS_IF([test "$AS_TR_SH([chela_cv_cflag_$1])" = yes], [$2="$$2 $1"])
])

AC_DEFUN([AX_CHELA_HARDEN], [
  AC_ARG_ENABLE([sanitizers], [AS_HELP_STRING([--enable-sanitizers],
    [build with AddressSanitizer and UBSan])], [], [enable_sanitizers=no])
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror],
    [warnings are errors (continuous integration)])], [], [enable_werror=no])
  CHELA_CFLAGS= CHELA_LDFLAGS= CHELA_EXE_CFLAGS= CHELA_EXE_LDFLAGS=
  m4_foreach_w([chela_flag], [-Wall -Wextra -Wshadow -Wstrict-prototypes
    -Wmissing-prototypes -Wformat=2 -Wundef -Wpointer-arith -Wvla
    -fvisibility=hidden -fno-common
    -fstack-protector-strong -fstack-clash-protection -fcf-protection
    -ftrivial-auto-var-init=zero],
    [AX_CHELA_TRY_CFLAG(m4_quote(chela_flag), [CHELA_CFLAGS])])
  m4_foreach_w([chela_flag], [-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed],
    [AX_CHELA_TRY_CFLAG(m4_quote(chela_flag), [CHELA_LDFLAGS])])
  AS_IF([test "$enable_sanitizers" = yes], [
    CHELA_CFLAGS="$CHELA_CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
    CHELA_LDFLAGS="$CHELA_LDFLAGS -fsanitize=address,undefined"
  ], [
    AS_CASE([" $CFLAGS "], [*" -O0 "*], [],
      [CHELA_CFLAGS="$CHELA_CFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"])
  ])
  AS_IF([test "$enable_werror" = yes], [CHELA_CFLAGS="$CHELA_CFLAGS -Werror"])
  AX_CHELA_TRY_CFLAG([-fPIE], [CHELA_EXE_CFLAGS])
  AX_CHELA_TRY_CFLAG([-pie], [CHELA_EXE_LDFLAGS])
  AM_CONDITIONAL([SANITIZERS], [test "$enable_sanitizers" = yes])
  AC_SUBST([CHELA_CFLAGS]) AC_SUBST([CHELA_LDFLAGS])
  AC_SUBST([CHELA_EXE_CFLAGS]) AC_SUBST([CHELA_EXE_LDFLAGS])
])
