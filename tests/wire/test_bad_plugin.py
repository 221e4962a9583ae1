#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A plugin that lives and harms the others: it does not answer or answers too
late, holds the loop (AB-091), takes more than its share, sends what it may not
(AB-092), leaks (AB-094), comes and goes a thousand times (AB-096)."""
import json
import os
import shutil
import signal
import tempfile
import threading
import time

import badplugin
from gateway import BUILD, Gateway, check, equal, finish, matches
from ws import DEADLINE, Conn, Gone, Openclaw

TIMEOUT_MS = 300        # requestTimeoutMs
HELD_MS = 600           # one call that holds the loop
CYCLES = 1000
CYCLES_S = 25           # stopped then, however many they were
CYCLES_MIN = 100        # also where a sanitizer slows it
LEAK_KIB = 256          # what the second half of the cycles may add
SANITIZED_KIB = 8192    # there a leak is told at the end, by name
FLOOD = 100000          # QUOTA_DENIED_MAX

folder = tempfile.mkdtemp(prefix="chela-bad-")
badplugin.build(folder)


def gateway(limits=None, args=(), deny=()):
    gw = Gateway({"plugins": {"entries": {"bad": {"limits": limits or {}}},
                              "deny": list(deny)}},
                 args=args, plugin_dirs=[f"{BUILD}/plugins", folder])
    # What is freed and kept aside would be taken for a leak.
    gw.env["ASAN_OPTIONS"] = ":".join(filter(None, (
        os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=1")))
    return gw


def client(gw):
    return Openclaw(gw).hello()


def call(c, method, **params):
    ok, result, error = c.call("bad." + method, params)
    if not ok:
        raise AssertionError(f"{method}: {error}")
    return result


def trouble(c):
    """(its entry in health, its warning in plugins.list)"""
    ok, health, error = c.call("health", {"probe": True})
    if not ok:
        raise AssertionError(error)
    found = [t for t in health["plugins"].get("trouble", [])
             if t["id"] == "bad"]
    _, listed, _ = c.call("plugins.list", {})
    text = [d["message"] for d in listed["diagnostics"]
            if d.get("pluginId") == "bad" and d["level"] == "warn"]
    return (found or [None])[0], (text or [""])[0]


def others_answer(c):
    for method in ("health", "sessions.list"):
        ok, _, error = c.call(method, {})
        if not ok:
            raise AssertionError(f"{method}: {error}")


so, aside = f"{folder}/bad.so", f"{folder}.so"


def call_when_kept(gw):
    with client(gw) as other:
        while call(other, "counts")["kept"] == 0:
            pass
        return call(other, "counts")["kept"]


def fds(gw):
    return len(os.listdir(f"/proc/{gw.pid}/fd"))


with gateway({"requestTimeoutMs": TIMEOUT_MS},
             ("--watchdog-ms", "200,60000")) as gw:
    with client(gw) as c, client(gw) as other:
        @check("AB-091 a call that is never answered: the caller gets a timeout")
        def _():
            before = time.monotonic()
            ok, _, error = c.call("bad.keep", {})
            equal(ok, False)
            equal(error["code"], "UNAVAILABLE")
            equal(error["retryable"], True)
            matches(error["message"],
                    rf"bad\.keep was not answered within {TIMEOUT_MS} ms")
            if time.monotonic() - before < TIMEOUT_MS / 1000:
                raise AssertionError("too early")

        @check("AB-091 the plugin is told: its cancel callback ran, once")
        def _():
            equal(call(other, "counts")["cancelled"], 1)

        @check("AB-091 an answer after the deadline is dropped and counted")
        def _():
            equal(call(other, "late"), {"n": 1})
            # The first of its two answers, and the second: neither was sent.
            equal(call(other, "counts")["lastAnswer"], -110)
            others_answer(c)        # an answer too many would be noticed
            entry, text = trouble(c)
            equal((entry["timeouts"], entry["lateAnswers"]), (1, 2))
            matches(text, r"1 calls not answered in time \(2 answered later\)")

        @check("AB-091 many of them end in the order in which they came")
        def _():
            for i in range(200):
                c.send_json(c.request(f"k{i}", "bad.keep", {}))
            for i in range(200):
                equal(c.answer(f"k{i}")["ok"], False)
            equal(call(other, "counts")["cancelled"], 201)
            equal(call(other, "late"), {"n": 200})

        @check("AB-091 a client that leaves cancels its calls")
        def _():
            with client(gw) as leaver:
                leaver.send_json(leaver.request("x", "bad.keep", {}))
                while call(other, "counts")["kept"] == 0:
                    pass
            while call(other, "counts")["cancelled"] < 202:
                pass
            equal(call(other, "late"), {"n": 1})
            equal(call(other, "counts")["lastAnswer"], -125)

        @check("AB-091 a call that holds the loop is named with a backtrace")
        def _():
            equal(call(c, "block", n=HELD_MS), {"n": HELD_MS})
            gw.logged(r"(?s)the loop stands still\n  in plugin 'bad': "
                      r"bad\.block\n.*nanosleep")
            gw.logged(r"plugin 'bad': bad\.block held the loop for 6\d{5} us")
            others_answer(other)

with gateway({"timers": 10, "posts": 20, "jobs": 30, "writes": 40,
              "queuedBytes": 5000, "eventsPerSecond": 50,
              "requests": 3}) as gw:
    with client(gw) as c, client(gw) as other:
        for what, many, limit, name in (
                ("timer", 1000, 10, "10 timers"),
                ("post", 1000, 20, "20 posted callbacks"),
                ("job", 1000, 30, "30 jobs of workers"),
                ("put", 1000, 40, "40 writes under way")):
            @check(f"AB-092 a flood of {what}s ends at its limit")
            def _():
                got = call(c, "take", what=what, n=many)["n"]
                # A worker may be done with some meanwhile, and that is all.
                if not limit <= got < (many if what == "job" else limit + 1):
                    raise AssertionError(f"it got {got}")
                equal(call(c, "counts")["lastAnswer"], -122)
                others_answer(other)

        @check("AB-092 once they are done there is room again")
        def _():
            while trouble(other)[0]["waiting"] > 0 or \
                    trouble(other)[0]["writes"] > 0:
                pass
            equal(call(c, "take", what="post", n=20), {"n": 20})
            equal(call(c, "take", what="put", n=40), {"n": 40})

        @check("AB-092 bytes that wait to be written have a limit")
        def _():
            while trouble(other)[0]["writes"] > 0:
                pass
            got = call(c, "take", what="append", n=40, bytes=1000)["n"]
            equal(got, 4)
            equal(call(c, "counts")["lastAnswer"], -122)

        @check("AB-092 open calls have a limit; others of the gateway go on")
        def _():
            for i in range(3):
                c.send_json(c.request(f"k{i}", "bad.keep", {}))
            c.send_json(c.request("over", "bad.say", {"n": 1}))
            error = c.answer("over")["error"]
            equal((error["code"], error["retryable"]), ("UNAVAILABLE", True))
            matches(error["message"],
                    "plugin 'bad' has 3 open calls, and that is its limit")
            others_answer(other)

        @check("AB-092 all of it is in health and in plugins.list")
        def _():
            entry, text = trouble(other)
            equal(entry["openCalls"], 3)
            equal(entry["timers"], 10)
            if entry["denied"] < 6:
                raise AssertionError(entry)
            matches(text, r"\d+ times over a limit or dropped.*3 open calls, "
                    "10 timers")
            gw.logged(r"plugin 'bad': over a limit \(10 timers\)")

with gateway({"eventsPerSecond": 50}) as gw:
    with client(gw) as c, client(gw) as other:
        @check("AB-092 a flood of events: what is over the limit is dropped")
        def _():
            equal(call(c, "emit", event="bad.event", n=5000, bytes=10),
                  {"n": -122})
            got = len([e for e in other.events if e["event"] == "bad.event"])
            others_answer(other)
            got = len([e for e in other.events if e["event"] == "bad.event"])
            if not 50 <= got <= 150:
                raise AssertionError(f"{got} came")

        @check("AB-092 an event of another, or of nobody, is not sent")
        def _():
            for name in ("chat", "health", "bad.unknown", ""):
                equal(call(c, "emit", event=name, n=1, bytes=1), {"n": -22})
            others_answer(other)
            for name in ("chat", "bad.unknown"):
                equal([e for e in other.events if e["event"] == name], [])

        @check("AB-092 an event that is too large is not sent")
        def _():
            end = time.monotonic() + DEADLINE
            while time.monotonic() < end:
                r = call(c, "emit", event="bad.event", n=1,
                         bytes=26 << 20)["n"]
                if r != -122:       # this second's share is used up
                    break
            equal(r, -90)
            others_answer(other)

        @check("AB-092 an answer that is too large fails, and only that call")
        def _():
            ok, _, error = c.call("bad.large", {"bytes": 26 << 20})
            equal((ok, error["message"]), (False, "the answer is too large"))
            equal(call(c, "counts")["lastAnswer"], -90)
            ok, result, _ = c.call("bad.large", {"bytes": 1 << 20})
            equal((ok, len(result["text"])), (True, 1 << 20))

        @check("AB-092 whoever does not stop asking is stopped, the rest runs")
        def _():
            c.send_json(c.request("flood", "bad.emit", {
                "event": "bad.event", "n": 2 * FLOOD, "bytes": 1}))
            gw.logged(r"plugin 'bad': stopped \(it went over its limits")
            gw.logged(r"plugin 'bad': disabled \(over its limits\)")
            others_answer(other)
            ok, _, error = other.call("bad.say", {"n": 1})
            equal((ok, error["code"]), (False, "UNAVAILABLE"))
            matches(error["message"], "plugin 'bad' went over its limits "
                    f"{FLOOD} times.*chela plugins enable bad")

        @check("AB-092 a refresh does not start it again, enabling it does")
        def _():
            equal(other.call("plugins.refresh", {})[0], True)
            equal(other.call("bad.say", {"n": 1})[0], False)
            ok, _, error = other.call("plugins.setEnabled", {
                "pluginId": "bad", "enabled": True})
            if not ok:
                raise AssertionError(error)
            equal(call(other, "say", n=1), {"n": 1})

with gateway() as gw:
    with client(gw) as c:
        @check("AB-094 descriptors that a plugin loses are seen in status")
        def _():
            before = c.call("status", {})[1]["processFiles"]["open"]
            equal(call(c, "take", what="pipe", n=210), {"n": 210})
            after = c.call("status", {})[1]["processFiles"]["open"]
            # 420, of which some of the gateway's own may have closed meanwhile.
            if after - before < 400:
                raise AssertionError(f"{before}, then {after}")

        @check("AB-094 when none is left the gateway keeps its clients, and says")
        def _():
            limit = c.call("status", {})[1]["processFiles"]["limit"]
            if limit > 100000:
                import resource
                resource.prlimit(gw.pid, resource.RLIMIT_NOFILE, (2000, 2000))
            got = call(c, "take", what="pipe", n=60000)["n"]
            equal(call(c, "counts")["lastAnswer"], -24)
            if got < 100:
                raise AssertionError(f"it got {got}")
            others_answer(c)
            came = [Conn(gw) for _ in range(3)]     # one or two fit in
            turned_away = 0
            for late in came:
                try:
                    turned_away += late.http(late.head())[0] != 101
                except Gone:
                    turned_away += 1
            for late in came:
                late.sock.close()
            if turned_away == 0:
                raise AssertionError("there was room for all")
            others_answer(c)


# Without the record that the audit keeps of each change: that grows, as it should.
with gateway(deny=["audit"]) as gw:
    @check("AB-096 a call that stays open is ended after 5 s, the plugin goes")
    def _():
        with client(gw) as c:
            c.send_json(c.request("open", "bad.keep", {}))
            equal(call_when_kept(gw), 1)
            before = time.monotonic()
            os.rename(so, aside)
            gw.proc.send_signal(signal.SIGHUP)
            error = c.answer("open")["error"]
            equal((error["code"], error["message"]),
                  ("UNAVAILABLE", "plugin 'bad' was disabled"))
            took = time.monotonic() - before
            if not 4.5 < took < 8:
                raise AssertionError(f"after {took} s")
            if not any(e["event"] == "plugins.changed" for e in c.events):
                c.event("plugins.changed")
            c.events.clear()
            os.rename(aside, so)
            gw.proc.send_signal(signal.SIGHUP)
            c.event("plugins.changed")
            equal(call(c, "say", n=1), {"n": 1})

    @check(f"AB-096 {CYCLES} times away and back, under calls: nothing leaks")
    def _():
        stop = threading.Event()
        seen = {"ok": 0, "refused": 0, "wrong": []}

        def caller():
            with Openclaw(gw, deadline=60) as c:
                c.hello()
                while not stop.is_set():
                    ok, result, error = c.call("bad.later", {})
                    c.events.clear()
                    if ok and result == {"n": 3}:
                        seen["ok"] += 1
                    elif not ok and (error["code"], error["message"]) in (
                            ("INVALID_REQUEST", "unknown method: bad.later"),
                            ("UNAVAILABLE", "plugin 'bad' was disabled")):
                        seen["refused"] += 1
                    else:
                        seen["wrong"].append((ok, result, error))
                        return

        def turn(c):
            gw.proc.send_signal(signal.SIGHUP)
            c.event("plugins.changed")
            c.events.clear()

        def cycle(c):
            os.rename(so, aside)
            turn(c)
            os.rename(aside, so)
            turn(c)

        with Openclaw(gw, deadline=60) as c:
            c.hello()
            callers = [threading.Thread(target=caller) for _ in range(1)]
            for t in callers:
                t.start()
            began, n, marks = time.monotonic(), 0, []
            try:
                while n < CYCLES and time.monotonic() - began < CYCLES_S:
                    if n % 50 == 0:
                        marks.append((n, gw.rss_kib(), fds(gw)))
                    cycle(c)
                    n += 1
            finally:
                stop.set()
                for t in callers:
                    t.join()
                if os.path.exists(aside):
                    os.rename(aside, so)
            marks.append((n, gw.rss_kib(), fds(gw)))
            print(f"# {n} cycles in {time.monotonic() - began:.1f} s, "
                  f"{seen['ok']} calls answered, {seen['refused']} refused; "
                  f"{marks[0]} .. {marks[len(marks) // 2]} .. {marks[-1]}")
            equal(seen["wrong"], [])
            if n < CYCLES_MIN or seen["ok"] == 0 or seen["refused"] == 0:
                raise AssertionError(f"{n} cycles, {seen}")
            # Each turn was one: nothing was seen twice or left out.
            gw.proc.send_signal(signal.SIGHUP)
            c.event("plugins.changed")
            for line in ("plugin 'bad': disabled (its file is gone)",
                         "plugin 'bad': loaded"):
                if gw.log.count(line) < n:
                    raise AssertionError(f"{gw.log.count(line)} x {line}")
            half = marks[len(marks) // 2]
            if marks[-1][1] - half[1] > (
                    SANITIZED_KIB if gw.is_sanitized() else LEAK_KIB):
                raise AssertionError(f"it grew: {marks}")
            if marks[-1][2] > half[2] + 2:
                raise AssertionError(f"descriptors: {marks}")
            equal(call(c, "say", n=1), {"n": 1})

shutil.rmtree(folder, ignore_errors=True)
finish()
