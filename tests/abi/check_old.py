#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plugins of earlier minor versions, each built with the header of its time
(tests/abi/1.N), load and answer in today's daemon (AB-093)."""
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ.get("CHELA_SOURCE", "../..")
sys.path.insert(0, f"{SOURCE}/tests/wire")

from gateway import BUILD, Gateway, check, equal, finish, matches  # noqa: E402
from ws import Openclaw  # noqa: E402

for of in sorted(glob.glob(f"{SOURCE}/tests/abi/1.*/old.c")):
    home = os.path.dirname(of)
    minor = os.path.basename(home)
    folder = tempfile.mkdtemp(prefix="chela-old-")
    subprocess.run(
        shlex.split(os.environ.get("CC", "cc")) + [
            "-shared", "-fPIC", "-g", "-O1", f"-I{home}", "-Wl,-z,now",
            "-fvisibility=hidden", "-o", f"{folder}/old.so", of], check=True)
    os.chmod(f"{folder}/old.so", 0o755)
    shutil.copyfile(f"{home}/old.json", f"{folder}/old.json")
    with Gateway(args=["--check-results"],
                 plugin_dirs=[f"{BUILD}/plugins", folder]) as gw, \
            Openclaw(gw) as c:
        c.hello()

        @check(f"{minor}: it is loaded, its methods and events are known")
        def _():
            features = c.welcome["features"]
            equal([m for m in features["methods"] if m.startswith("old.")],
                  ["old.fail", "old.store", "old.wait", "old.who"])
            equal("old.done" in features["events"], True)

        @check(f"{minor}: it knows who asks")
        def _():
            ok, r, error = c.call("old.who", {})
            equal((ok, error), (True, None))
            equal((r["method"], r["client"], r["admin"]),
                  ("old.who", "cli", True))
            matches(r["uuid"], r"^[0-9a-f]{8}-[0-9a-f]{4}-4")

        @check(f"{minor}: it stores and reads")
        def _():
            equal(c.call("old.store", {"a": [1, "b"]})[:2],
                  (True, {"stored": {"a": [1, "b"]}}))

        @check(f"{minor}: timers, workers and events")
        def _():
            equal(c.call("old.wait", {})[:2], (True, {"jobs": 1}))
            equal(c.event("old.done")["payload"], {"jobs": 1})

        @check(f"{minor}: it fails with all an error may have")
        def _():
            _, _, error = c.call("old.fail", {})
            equal((error["code"], error["message"], error["retryable"],
                   error["retryAfterMs"]),
                  ("UNAVAILABLE", "not today", True, 1500))

        @check(f"{minor}: its scope by the parameters holds")
        def _():
            with Openclaw(gw) as reader:
                reader.hello(scopes=("read",))
                equal(reader.call("old.who", {})[0], True)
                _, _, error = reader.call("old.who", {"more": 1})
                matches(error["message"], "missing scope")
    shutil.rmtree(folder, ignore_errors=True)
finish()
