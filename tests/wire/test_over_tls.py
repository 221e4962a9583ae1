#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What holds without TLS holds with it: the other programs of this folder once
more, over TLS."""
import os
import re
import subprocess
import sys

from gateway import SOURCE, check, finish

for name in ("upgrade", "frames", "handshake", "requests", "native",
             "pressure", "routes", "clock"):
    @check(f"test_{name}.py over TLS")
    def _():
        p = subprocess.run(
            [sys.executable, f"{SOURCE}/tests/wire/test_{name}.py"],
            env=dict(os.environ, CHELA_WIRE_TLS="1"), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=540)
        said = re.findall(r"^(?:not ok|# \d+ passed).*", p.stdout, re.M)
        print("\n".join(f"  # {line}" for line in said), flush=True)
        if p.returncode != 0:
            raise AssertionError(p.stdout[-3000:])

finish()
