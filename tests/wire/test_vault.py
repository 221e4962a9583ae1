#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Secrets and the audit ledger, with the daemon, the command and the files.

AB-100: markers put in everywhere are searched for in all that is left behind.
"""
import json
import os
import pty
import select
import signal
import sqlite3
import subprocess
import tempfile
import termios
import time

from gateway import BUILD, SOURCE, Gateway, check, chelad, equal, finish, \
    matches
from ws import DEADLINE, Openclaw

MARK = "MARK7c1f"       # in every planted value, none twice the same


def chela(gw, *args, stdin="", env=None):
    """(status, standard output, standard error) of the command."""
    p = subprocess.run(
        [f"{BUILD}/chela", "--url", f"ws://127.0.0.1:{gw.port}", *args],
        input=stdin, text=True, timeout=DEADLINE, errors="replace",
        env={**os.environ, "CHELA_TOKEN": gw.token, "HOME": gw.dir,
             **(env or {})},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return p.returncode, p.stdout, p.stderr


def stop(gw):
    gw.proc.send_signal(signal.SIGTERM)
    equal(gw.proc.wait(DEADLINE), 0)


def start(gw):
    gw.log = ""
    gw.__enter__()


def ledger(gw):
    """The ledger's rows in the file of a gateway that does not run."""
    db = sqlite3.connect(f"{gw.state}/chela.db")
    log = db.execute("SELECT id FROM log WHERE name = 'ledger'").fetchone()[0]
    rows = db.execute("SELECT ord, seq, text FROM row WHERE log = ? "
                      "ORDER BY seq", (log,)).fetchall()
    return db, log, rows


def files(gw):
    """(name, bytes) of all that the gateway has written."""
    for folder, _, names in os.walk(gw.dir):
        for name in names:
            path = os.path.join(folder, name)
            if path != gw.config and not name.startswith("chela.json"):
                with open(path, "rb") as f:
                    yield path, f.read()


def until_quiet(fd):
    """Waits for the command to turn the echo of its terminal off."""
    end = time.monotonic() + DEADLINE
    while termios.tcgetattr(fd)[3] & termios.ECHO:
        if time.monotonic() > end:
            raise TimeoutError("the terminal still shows what is typed")
        os.sched_yield()


def type_secret(gw, name, value):
    """Runs "secrets set" on a terminal; what the terminal showed."""
    parent, child = pty.openpty()
    p = subprocess.Popen(
        [f"{BUILD}/chela", "--url", f"ws://127.0.0.1:{gw.port}", "secrets",
         "set", name], stdin=child, stdout=child, stderr=child,
        start_new_session=True,
        env={**os.environ, "CHELA_TOKEN": gw.token, "HOME": gw.dir})
    os.close(child)
    shown, typed = b"", False
    while True:
        ready, _, _ = select.select([parent], [], [], DEADLINE)
        if not ready:
            raise TimeoutError(f"nothing more on the terminal: {shown!r}")
        try:
            data = os.read(parent, 4096)
        except OSError:         # the other side is closed
            break
        if not data:
            break
        shown += data
        # Echo is off before anything is read: the flush would drop it else.
        if not typed and b"value: " in shown:
            until_quiet(parent)
            os.write(parent, value.encode() + b"\n")
            typed = True
    os.close(parent)
    equal(p.wait(DEADLINE), 0)
    return shown.decode()


with Gateway() as gw:
    @check("secrets set, list, delete: a value goes in and never comes out")
    def _():
        equal(chela(gw, "secrets", "set", "API_KEY", "API.Example.com",
                    stdin=f"{MARK}-one\n")[0], 0)
        code, out, err = chela(gw, "secrets", "list")
        equal(code, 0)
        matches(out, r"API_KEY\s+secret\s+.*api\.example\.com")
        code, out, err = chela(gw, "--json", "secrets", "list")
        e, = json.loads(out)["entries"]
        equal(e["name"], "API_KEY")
        assert "value" not in e
        equal(chela(gw, "secrets", "set", "X", stdin="\n")[0], 64)
        equal(chela(gw, "secrets", "set", "x", stdin="v")[0], 1)
        equal(chela(gw, "secrets", "set", "BIG", stdin="v" * 65537)[0], 64)
        equal(chela(gw, "secrets", "set", "OTHER", stdin=f"{MARK}-two")[0], 0)
        equal(chela(gw, "secrets", "delete", "OTHER")[0], 0)
        equal(chela(gw, "secrets", "reload")[0], 0)
        equal(chela(gw, "secrets", "show", "API_KEY")[0], 64)
        assert MARK not in chela(gw, "secrets", "list")[1]

    @check("secrets set: a terminal does not show what is typed")
    def _():
        shown = type_secret(gw, "TYPED", f"{MARK}-typed")
        matches(shown, r"value: ")
        matches(shown, r"TYPED: set")
        assert MARK not in shown, shown

    @check("AB-100 no planted secret is in a file, a log line or an answer")
    def _():
        c = Openclaw(gw).hello()
        ok, snapshot, _ = c.call("config.get", {})
        equal(ok, True)
        ok, _, error = c.call("config.patch", {
            "baseHash": snapshot["hash"], "raw": json.dumps({"models": {"providers": {"p": {
                "baseUrl": f"https://u:{MARK}-url@model.invalid/v1",
                "apiKey": f"{MARK}-api", "models": []}}}})})
        equal((ok, error), (True, None))
        for m, p in (("config.get", {}), ("secrets.store.list", {}),
                     ("secrets.store.set", {"name": "BAD", "kind": "?",
                                            "value": f"{MARK}-bad"}),
                     ("secrets.store.set", {"name": "API_KEY",
                                            "kind": "secret",
                                            "value": f"{MARK}-again"}),
                     ("logs.tail", {"limit": 5000}),
                     ("audit.list", {}), ("audit.ledger.read", {})):
            text = json.dumps(c.call(m, p))
            assert MARK not in text, f"{m}: {text}"
        for token in (f"{MARK}-token", f"{MARK}\n\x1b[31m"):
            w = Openclaw(gw).open()
            ok, _, error = w.call("connect", w.connect_params(token=token))
            equal(ok, False)
            assert MARK not in json.dumps(error)
        assert MARK not in gw.log, gw.log
        stop(gw)
        for path, data in files(gw):
            assert MARK.encode() not in data, path
        start(gw)

    @check("the key of the store is private, and the store opens again")
    def _():
        st = os.stat(f"{gw.state}/secrets.key")
        equal(st.st_mode & 0o7777, 0o600)
        matches(chela(gw, "secrets", "list")[1], "API_KEY")

    @check("audit: starts, ends and changes of the configuration are rows")
    def _():
        out = chela(gw, "audit", "list")[1]
        matches(out, "gateway.started")
        matches(out, "gateway.stopped")
        matches(out, "config.changed")
        assert "model.invalid" not in out

    @check("AB-102 audit: refused clients are counted, not listed one by one")
    def _():
        before = chela(gw, "audit", "list")[1].count("auth.refused")
        for _ in range(5):
            w = Openclaw(gw).open()
            w.call("connect", w.connect_params(token="wrong"))
        out = chela(gw, "audit", "list")[1]
        equal(out.count("auth.refused"), before + 1)
        matches(out, r"auth\.refused \S+\s+blocked\s+address 127")

    @check("audit verify: a whole ledger is whole")
    def _():
        code, out, _ = chela(gw, "audit", "verify")
        equal(code, 0)
        matches(out, r"^\d+ rows, whole; [0-9a-f]{64}$")

    def damaged(change, seq, why):
        """What verify says when change() has been at the file."""
        stop(gw)
        db, log, rows = ledger(gw)
        before = [tuple(r) for r in rows]
        change(db, log, rows)
        db.commit()
        db.close()
        start(gw)
        code, out, err = chela(gw, "audit", "verify")
        equal(code, 1)
        matches(err, f"damaged at row {seq(before)}: {why}")
        equal(json.loads(chela(gw, "--json", "audit", "verify")[1])
              ["badSequence"], seq(before))
        stop(gw)
        # Back as it was, with what came since put behind it again.
        db, log, rows = ledger(gw)
        db.execute("DELETE FROM row WHERE log = ?", (log,))
        db.executemany("INSERT INTO row VALUES (?, ?, ?, ?)",
                       [(o, log, s, t) for o, s, t in before])
        last = json.loads(before[-1][2])
        db.execute("UPDATE kv SET text = ? WHERE key = 'head' AND ns LIKE "
                   "'%audit%'", (json.dumps({"n": last["n"],
                                             "seq": before[-1][1],
                                             "hash": last["h"]}),))
        db.execute("UPDATE log SET next = ? WHERE id = ?",
                   (before[-1][1] + 1, log))
        db.commit()
        db.close()
        start(gw)
        equal(chela(gw, "audit", "verify")[0], 0)

    def flip(at, bit):
        def change(db, log, rows):
            o, s, text = rows[1]
            i = at(text)
            text = text[:i] + chr(ord(text[i]) ^ bit) + text[i + 1:]
            db.execute("UPDATE row SET text = ? WHERE ord = ?", (text, o))
        return change

    second = lambda rows: rows[1][1]
    for name, at, bit, why in (
            ("of the event", lambda t: t.index('"occurredAt":') + 14, 1,
             "it was changed"),
            ("of its name", lambda t: t.index("gateway.") + 2, 4,
             "it was changed"),
            ("of the hash", lambda t: t.index('"h":"') + 9, 1, "it was changed"),
            ("of the hash before", lambda t: t.index('"p":"') + 9, 1,
             "it does not follow"),
    ):
        if name == "of its name":
            at = lambda t: t.index('"action":"') + 12
        @check(f"audit verify: a flipped bit {name} is found")
        def _():
            damaged(flip(at, bit), second, why)

    @check("audit verify: a removed row is found")
    def _():
        damaged(lambda db, log, rows: db.execute(
            "DELETE FROM row WHERE ord = ?", (rows[1][0],)),
            second, r"1 row\(s\) before it are gone")

    @check("audit verify: rows cut from the end are found")
    def _():
        def cut(db, log, rows):
            for r in rows[-2:]:
                db.execute("DELETE FROM row WHERE ord = ?", (r[0],))
        damaged(cut, lambda rows: rows[-3][1] + 1, r"\d+ row\(s\)")

    @check("audit verify: two rows that changed places are found")
    def _():
        def swap(db, log, rows):
            db.execute("UPDATE row SET text = ? WHERE ord = ?",
                       (rows[2][2], rows[1][0]))
            db.execute("UPDATE row SET text = ? WHERE ord = ?",
                       (rows[1][2], rows[2][0]))
        damaged(swap, second, r"1 row\(s\) before it are gone")


@check("a token that only a plugin could read: it does not start without it")
def _():
    for name in ("token", "password"):
        with tempfile.TemporaryDirectory(prefix="chela-wire-") as d:
            with open(f"{d}/chela.json", "w", encoding="ascii") as f:
                json.dump({"gateway": {"auth": {name: {
                    "source": "store", "id": "GATEWAY"}}}}, f)
            os.chmod(f"{d}/chela.json", 0o600)
            p = subprocess.run(
                [chelad(), "--config", f"{d}/chela.json", "--state-dir",
                 f"{d}/state", "--port", "0", "--schema-dir",
                 f"{SOURCE}/schemas", "--plugin-dir", f"{BUILD}/plugins"],
                env={"PATH": os.environ["PATH"], "HOME": d}, text=True,
                timeout=DEADLINE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
            assert p.returncode not in (0, -6, -11), p
            matches(p.stderr, f"gateway.auth.{name} cannot be read")
            assert not os.path.exists(f"{d}/state/token")

finish()
