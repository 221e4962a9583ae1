# SPDX-License-Identifier: MIT
# Each part adds its fuzz_NOUN to check_PROGRAMS, with tests/fuzz/replay.c, and a
# corpus in tests/fuzz/corpus/NOUN; one script replays them all.
dist_check_SCRIPTS += tests/fuzz/replay.sh
TESTS += tests/fuzz/replay.sh
