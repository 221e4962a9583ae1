#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The example plugin in a running gateway, loaded at start, taken away and put
back while it runs. Arguments: the plugin directories, the example's last."""
import os
import signal
import sys

from gateway import Gateway, check, equal, finish, matches
from ws import Native, Openclaw

dirs = sys.argv[1:]
so = os.path.join(dirs[-1], "echo.so")
away = so + ".away"

with Gateway(plugin_dirs=dirs) as gw, Openclaw(gw) as op:
    op.hello()

    def plugins_changed():
        op.events = []
        os.kill(gw.pid, signal.SIGHUP)
        op.event("plugins.changed")

    @check("echo.say answers what it was given")
    def _():
        equal("echo.say" in op.welcome["features"]["methods"], True)
        equal(op.call("echo.say", {"text": "hello"}),
              (True, {"text": "hello"}, None))

    @check("echo.say sends its event")
    def _():
        f = op.event("echo.said", lambda p: p["text"] == "hello")
        equal(f["payload"], {"text": "hello"})

    @check("echo.say is validated by its schema")
    def _():
        ok, _, e = op.call("echo.say", {"text": 7})
        equal((ok, e["code"]), (False, "INVALID_REQUEST"))
        matches(e["message"], "^invalid echo.say params: at /text: must be "
                "string")
        equal(op.call("echo.say", {"text": "x" * 1001})[0], False)

    @check("echo.say needs its scope")
    def _():
        with Native(gw) as c:
            c.hello(scopes=[])
            equal(c.call("echo.say", {"text": "x"})[2]["message"],
                  "missing scope: read")

    @check("taken away while it runs, it is unknown")
    def _():
        os.rename(so, away)
        plugins_changed()
        equal(op.call("echo.say", {"text": "x"})[2]["message"],
              "unknown method: echo.say")

    @check("put back, it answers again, in the same process")
    def _():
        os.rename(away, so)
        plugins_changed()
        equal(op.call("echo.say", {"text": "again"})[1], {"text": "again"})
        equal(gw.proc.poll(), None)

finish()
