# SPDX-License-Identifier: MIT
dist_check_SCRIPTS += contrib/check
EXTRA_DIST += contrib/packages
