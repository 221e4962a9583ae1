#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A plugin that crashes, wherever it does, and one that will not start (AB-090).
It is one process: the crash ends it, and this test plays the service manager that
starts it again. What must hold: the culprit is named and counted, the other
groups answer after each start, and after the limit the gateway stays up without
that one plugin, until it is enabled again."""
import json
import os
import re
import shutil
import signal
import stat
import tempfile
import time

import badplugin
from gateway import BUILD, Gateway, check, equal, finish, matches
from ws import DEADLINE, Conn, Gone, Openclaw

LIMIT = 3               # CRASH_LIMIT
RECORD = 192            # bytes of a mark

folder = tempfile.mkdtemp(prefix="chela-bad-")
badplugin.build(folder)
# A sanitizer leaves the signals to the daemon's handler, and ends it after that.
SANITIZER = {"ASAN_OPTIONS": ":".join(filter(None, (
    os.environ.get("ASAN_OPTIONS"), "allow_user_segv_handler=1",
    "detect_leaks=0")))}


class Managed(Gateway):
    """One that ends and is started again."""

    def __init__(self, crash=None, args=(), env=None):
        super().__init__(args=args, env={**SANITIZER, **(env or {})},
                         plugin_dirs=[f"{BUILD}/plugins", folder])
        self.marks = os.path.join(self.state, "plugin-crashes")
        self.told = ""
        self.configure(crash)

    def configure(self, crash=None, **entry):
        if crash:
            entry["config"] = {"crash": crash}
        with open(self.config, encoding="utf-8") as f:
            config = json.load(f)
        config.setdefault("plugins", {})["entries"] = {"bad": entry}
        with open(self.config + ".new", "w", encoding="utf-8") as f:
            json.dump(config, f)
        os.chmod(self.config + ".new", 0o600)
        os.rename(self.config + ".new", self.config)

    def start(self):
        """True when it is ready, False when it ended before."""
        self.log = ""
        try:
            self.__enter__()
        except RuntimeError:
            return False
        return True

    def crashed(self):
        """Waits for its end, which must be one by a crash."""
        code = self.proc.wait(DEADLINE)
        self.logged_end()
        matches(self.log, r"chelad: crashed: ")
        if code == 0:
            raise AssertionError("it ended with status 0")

    def logged_end(self):
        end = time.monotonic() + DEADLINE
        with self.changed:
            while not self.ended:
                if not self.changed.wait(end - time.monotonic()):
                    raise TimeoutError("its log does not end")

    def end(self):
        """It must be alive, and end cleanly."""
        equal(self.proc.poll(), None)
        self.proc.send_signal(signal.SIGTERM)
        equal(self.proc.wait(DEADLINE), 0)
        self.logged_end()

    def remove(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def others_answer(gw):
    with Openclaw(gw) as c:
        c.hello()
        for method in ("health", "sessions.list", "models.list"):
            ok, _, error = c.call(method, {})
            if not ok:
                raise AssertionError(f"{method}: {error}")


def say(gw):
    with Openclaw(gw) as c:
        c.hello()
        return c.call("bad.say", {"n": 7})


def is_held(gw, where, listed=True):
    """Up, ready, without that one."""
    others_answer(gw)
    with Openclaw(gw) as c:
        c.hello()
        if "bad.say" in c.welcome["features"]["methods"]:
            raise AssertionError("it is listed as if it could be called")
        ok, _, error = c.call("bad.say", {"n": 7})
        equal(ok, False)
        if listed:
            equal(error["code"], "UNAVAILABLE")
            matches(error["message"], r"plugin 'bad' crashed 3 times, 3 of "
                    r"them within 10 minutes, last in " + where)
            matches(error["message"], r"plugins\.setEnabled.*chela plugins "
                    r"enable bad")
        ok, found, _ = c.call("plugins.list", {})
        entry = [p for p in found["plugins"] if p["id"] == "bad"][0]
        equal(entry["state"], "error")
        matches(entry["error"], "crashed 3 times.*" + where)
        matches(json.dumps(found["diagnostics"]), "bad: crashed 3 times")
        ok, health, _ = c.call("health", {})
        matches(json.dumps(health["plugins"]["errors"]), "crashed 3 times")


def records(gw):
    with open(gw.marks, "rb") as f:
        data = f.read()
    equal(len(data) % RECORD, 0)
    return [data[i:i + RECORD].decode() for i in range(0, len(data), RECORD)]


def scenario(where, provoke, ready, listed=True, env=None, args=(),
             crash=None):
    """LIMIT crashes, then one start more."""
    name = r"\S*" if where is None else re.escape(where.replace(" ", "."))
    gw = Managed(crash=crash, env=env, args=args)
    try:
        for i in range(LIMIT):
            @check(f"AB-090 {where}, crash {i + 1}: it is named")
            def _():
                equal(gw.start(), ready)
                if i > 0:
                    matches(gw.log, rf"plugin 'bad': crashed at \S+ in {name} "
                            r"\(")
                if ready:
                    others_answer(gw)
                    provoke(gw)
                gw.crashed()
                matches(records(gw)[-1], rf"^N \d{{19}} \d{{3}} bad {name} ")
                equal(len(records(gw)), i + 1)

        @check(f"AB-090 {where}: then the gateway stays up without it")
        def _():
            equal(gw.start(), True)
            is_held(gw, name, listed)
            equal(stat.S_IMODE(os.stat(gw.marks).st_mode), 0o600)
            gw.end()

        @check(f"AB-090 {where}: also at the start after that")
        def _():
            equal(gw.start(), True)
            is_held(gw, name, listed)
            gw.env.pop("BAD_CRASHES_AT_LOAD", None)
            gw.end()
        yield gw
    finally:
        gw.remove()


def gone(gw, how):
    with Openclaw(gw) as c:
        c.hello()
        try:
            c.call("bad.crash", {"how": how})
            c.event("nothing")
        except Gone:
            return
    raise AssertionError("the connection outlived it")


def held_call(gw):
    with Openclaw(gw) as c:
        c.hello()
        try:
            c.call("bad.block", {"n": 60000})
        except Gone:
            return
    raise AssertionError("it was answered")


def terminate(gw):
    gw.proc.send_signal(signal.SIGTERM)


for _ in scenario("load", None, False, listed=False,
                  env={"BAD_CRASHES_AT_LOAD": "bad"}):
    pass
for _ in scenario("init", None, False, crash="init"):
    pass
for _ in scenario("start", None, False, crash="start"):
    pass
for _ in scenario("stop", terminate, True, crash="stop"):
    pass
for _ in scenario("fini", terminate, True, crash="fini"):
    pass
for _ in scenario("timer", lambda g: gone(g, "timer"), True):
    pass
for _ in scenario("a job on a worker", lambda g: gone(g, "job"), True):
    pass
# Blocking for good is a crash, too: the watchdog ends it.
for _ in scenario("bad.block", held_call, True,
                  args=("--watchdog-ms", "200,1500")):
    @check("AB-091 the watchdog says where the loop stands before it ends it")
    def _():
        gw = Managed(args=("--watchdog-ms", "200,1500"))
        try:
            equal(gw.start(), True)
            held_call(gw)
            gw.crashed()
            matches(gw.log, r"(?s)the loop stands still\n  in plugin 'bad': "
                    r"bad\.block\n.*nanosleep.*ended by its watchdog")
        finally:
            gw.remove()

for gw in scenario("bad.crash", lambda g: gone(g, "abort"), True):
    @check("AB-090 a refresh or SIGHUP does not start it again")
    def _():
        equal(gw.start(), True)
        with Openclaw(gw) as c:
            c.hello()
            equal(c.call("plugins.refresh", {})[0], True)
            gw.proc.send_signal(signal.SIGHUP)
            c.event("plugins.changed")
        is_held(gw, "bad.crash")

    @check("AB-090 plugins.setEnabled starts it again, at once")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            ok, found, error = c.call("plugins.setEnabled", {
                "pluginId": "bad", "enabled": True})
            if not ok:
                raise AssertionError(error)
            equal(found["plugin"]["state"], "enabled")
        equal(say(gw)[:2], (True, {"n": 7}))
        equal(records(gw), [])

    @check("AB-090 and its crashes are counted from none again")
    def _():
        for i in range(LIMIT - 1):
            gone(gw, "segv")
            gw.crashed()
            equal(gw.start(), True)
            equal(say(gw)[:2], (True, {"n": 7}))
        equal(len(records(gw)), LIMIT - 1)
        gone(gw, "segv")
        gw.crashed()
        equal(gw.start(), True)
        is_held(gw, "bad.crash")

    @check("AB-090 switching it off and on in the configuration does it, too")
    def _():
        gw.configure(enabled=False)
        with Openclaw(gw) as c:
            c.hello()
            gw.proc.send_signal(signal.SIGHUP)
            gw.logged(r"a new configuration is in force")
            equal(c.call("plugins.refresh", {})[0], True)
            equal(c.call("bad.say", {})[2]["message"],
                  "unknown method: bad.say")
            gw.configure(enabled=True)
            gw.proc.send_signal(signal.SIGHUP)
            gw.logged(r"plugin 'bad': loaded")
            equal(c.call("bad.say", {"n": 7})[:2], (True, {"n": 7}))
        gw.end()

    def crash_once():
        equal(gw.start(), True)
        gone(gw, "segv")
        gw.crashed()

    @check("AB-090 a mark that a kill cut short does not count, the whole do")
    def _():
        os.unlink(gw.marks)
        for _ in range(LIMIT - 1):
            crash_once()
        with open(gw.marks, "ab") as f:
            f.write(records(gw)[-1].encode()[:100])
        equal(gw.start(), True)
        gw.logged(r"1 records of crashes were cut short")
        equal(say(gw)[:2], (True, {"n": 7}))
        equal(len(records(gw)), LIMIT - 1)
        gone(gw, "segv")
        gw.crashed()
        equal(gw.start(), True)
        is_held(gw, "bad.crash")
        gw.end()

    @check("AB-090 marks of long ago do not count")
    def _():
        old = [re.sub(r"^(.) \d{19}", lambda m: "%s %019d" % (
            m.group(1), (int(time.time()) - 700 * i - 3600) * 1000), r)
            for i, r in enumerate(records(gw))]
        with open(gw.marks, "w", encoding="utf-8") as f:
            f.write("".join(old))
        equal(gw.start(), True)
        equal(say(gw)[:2], (True, {"n": 7}))
        equal(records(gw), [])
        gw.end()

    @check("AB-090 a file full of anything is bounded")
    def _():
        with open(gw.marks, "wb") as f:
            f.write(os.urandom(200000))
        equal(gw.start(), True)
        others_answer(gw)
        equal(records(gw), [])
        gw.end()

    @check("AB-090 a link in its place is not followed")
    def _():
        target = os.path.join(gw.dir, "target")
        with open(target, "w", encoding="utf-8") as f:
            f.write("untouched")
        os.unlink(gw.marks)
        os.symlink(target, gw.marks)
        equal(gw.start(), True)
        gw.logged(r"crashes of plugins are not counted \(it is a link\)")
        gone(gw, "segv")
        gw.crashed()
        with open(target, encoding="utf-8") as f:
            equal(f.read(), "untouched")
        os.unlink(gw.marks)

    @check("AB-090 a thread of its own that crashes is nobody's: not counted")
    def _():
        for _ in range(LIMIT + 1):
            equal(gw.start(), True)
            gone(gw, "thread")
            gw.crashed()
            matches(records(gw)[-1], r"^N \d{19} \d{3} - the\.core ")
        equal(gw.start(), True)
        matches(gw.log, r"the gateway crashed at \S+ \(SIGSEGV\); no plugin "
                "was running")
        equal(say(gw)[:2], (True, {"n": 7}))
        equal(records(gw), [])
        gw.end()

for where in ("init", "start"):
    gw = Managed(crash=f"{where}-fails")
    try:
        @check(f"AB-090 {where}() that fails: the gateway is ready without it")
        def _():
            equal(gw.start(), True)
            matches(gw.log, rf"plugin 'bad': not started \({where}\(\) failed")
            others_answer(gw)
            ok, _, error = say(gw)
            equal(error["code"], "UNAVAILABLE")
            matches(error["message"], "plugin 'bad' did not start; "
                    "plugins.list says why")

        @check(f"AB-090 {where}() that fails: mended, SIGHUP starts it")
        def _():
            gw.configure()
            gw.proc.send_signal(signal.SIGHUP)
            gw.logged(r"plugin 'bad': loaded")
            equal(say(gw)[:2], (True, {"n": 7}))
            gw.end()
    finally:
        gw.remove()

shutil.rmtree(folder, ignore_errors=True)
finish()
