# SPDX-License-Identifier: MIT
# For third parties: the macro, the example, and a check that both work with what
# "make install" put in place.
dist_man_MANS += core/daemon/chelad.8
aclocaldir = $(datadir)/aclocal
dist_aclocal_DATA = m4/chela.m4
example_files = contrib/examples/echo/README \
	contrib/examples/echo/Makefile.am \
	contrib/examples/echo/configure.ac \
	contrib/examples/echo/echo.c \
	contrib/examples/echo/echo.json
completionsdir = $(datadir)/bash-completion/completions
dist_completions_DATA = contrib/completions/chela
EXTRA_DIST += contrib/systemd/chelad.service contrib/systemd/chela-node.service \
	contrib/quickstart
exampledir = $(docdir)/examples/echo
dist_example_DATA = $(example_files)
dist_check_SCRIPTS += contrib/check contrib/installcheck
EXTRA_DIST += contrib/packages tests/wire/echo.py

installcheck-local:
	PREFIX='$(prefix)' BINDIR='$(DESTDIR)$(bindir)' \
	LIBDIR='$(DESTDIR)$(libdir)' DATADIR='$(DESTDIR)$(datadir)' \
	SOURCE='$(abs_srcdir)' BUILD='$(abs_builddir)' PYTHON3='$(PYTHON3)' \
	sh $(srcdir)/contrib/installcheck
