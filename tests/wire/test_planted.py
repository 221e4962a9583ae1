#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is planted in the daemon's inputs, looked for in all that it leaves.

AB-100: secrets, each another one, in every input that can be logged; searched for
in the log, every frame of two connections, all files, what children and the
process list show, and a crash report. AB-101: texts that would split, hide, turn
or fill a record, in everything that names something."""
import http.server
import json
import os
import re
import shutil
import signal
import tempfile
import threading
import time

import badplugin
from gateway import BUILD, Gateway, check, equal, finish, matches
from ws import DEADLINE, Closed, Conn, Gone, Openclaw

MARK = "Planted4e7b"    # in every secret
LINE_MAX = 4096         # bytes of one line of the log
SANITIZER = {"ASAN_OPTIONS": ":".join(filter(None, (
    os.environ.get("ASAN_OPTIONS"), "allow_user_segv_handler=1",
    "detect_leaks=0")))}
BEGINS = re.compile(r"^(\d{4}-\d\d-\d\dT\S+Z |chelad: |  |<\d>)")

folder = tempfile.mkdtemp(prefix="chela-planted-")
badplugin.build(folder)


asked = []              # values of a header that is a reference


class Endpoint(http.server.BaseHTTPRequestHandler):
    """A model that refuses, and quotes what it was sent."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        asked.append(self.headers["X-Env"])
        data = json.dumps({"error": {"message":
                                     f"bad key {self.headers['Authorization']}"
                                     f" {self.headers['X-Extra']}"}}).encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()


class Heard(Openclaw):
    """Keeps every frame as it came."""

    def __init__(self, gw):
        super().__init__(gw, deadline=4 * DEADLINE)
        self.frames = []

    def recv(self):
        text = super().recv()
        self.frames.append(text)
        return text


def http_get(gw, path, **headers):
    """All that is answered, to its end."""
    lines = "".join(f"{k.replace('_', '-')}: {v}\r\n"
                    for k, v in headers.items())
    got = b""
    with Conn(gw) as c:
        c.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
               f"{lines}\r\n".encode())
        try:
            while True:
                got += c.take(1)
        except (Gone, OSError):
            return got.decode("latin-1")


def files(gw):
    """(name, bytes) of all that the gateway has written; not its configuration,
    which must hold what was put there."""
    for base, _, names in os.walk(gw.dir):
        for name in names:
            if not name.startswith("chela.json"):
                with open(os.path.join(base, name), "rb") as f:
                    yield os.path.join(base, name), f.read()


def provider(gw):
    """A command that gives secrets, and writes down what it was started with."""
    path = os.path.join(gw.dir, "give")
    with open(path, "w", encoding="ascii") as f:
        f.write("#!/usr/bin/python3\nimport json, sys\n"
                "q = json.load(sys.stdin)\n"
                f"seen = open({gw.dir!r} + '/child', 'a')\n"
                "for n in 'cmdline', 'environ':\n"
                "    seen.write(open('/proc/self/' + n).read())\n"
                "v = 'Plan' + 'ted4e7b-exec'\n"
                "print(json.dumps({'protocolVersion': 1,\n"
                "    'values': {i: v for i in q['ids']}}))\n")
    os.chmod(path, 0o700)
    return path


with Gateway(
        token=f"{MARK}-gateway-token", args=["--log-level", "debug"],
        plugin_dirs=[f"{BUILD}/plugins", folder], env={
            **SANITIZER, "PLANTED_ENV": f"{MARK}-env"}) as gw:
    heard = []
    denied = f"rm {MARK}-denied"

    def reconfigure(more):
        ok, snapshot, _ = gw.admin.call("config.get", {})
        equal(ok, True)
        ok, result, error = gw.admin.call("config.patch", {
            "baseHash": snapshot["hash"], "raw": json.dumps(more)})
        equal((ok, error), (True, None))

    @check("AB-100 secrets are planted in every input")
    def _():
        gw.admin = Heard(gw).hello(caps=["tool-events", "exec-approvals"])
        other = Heard(gw).hello(scopes=("read", "write", "questions"))
        heard.extend((gw.admin, other))
        equal(other.call("sessions.subscribe", {})[0], True)
        reconfigure({
            "models": {"providers": {"p": {
                "baseUrl": f"http://u:{MARK}-url@127.0.0.1:"
                           f"{server.server_port}/v1",
                "api": "openai-completions", "models": [{
                    "id": "m", "name": "M"}]}, "q": {
                "baseUrl": f"http://127.0.0.1:{server.server_port}/v1",
                "api": "openai-completions", "apiKey": f"{MARK}-api",
                "headers": {"X-Extra": f"{MARK}-header", "X-Env": {
                    "source": "env", "id": "PLANTED_ENV"}},
                "models": [{"id": "m", "name": "M"}]}}},
            "agents": {"defaults": {"model": {"primary": "q/m"}}},
            "secrets": {"providers": {"give": {
                "source": "exec", "command": provider(gw)}}},
            "hooks": {"enabled": True, "token": {
                "source": "exec", "provider": "give", "id": "hook"}},
            "channels": {"irc": {"password": f"{MARK}-channel"}}})
        for name, kind in (("API_KEY", "secret"), ("BAD", "?")):
            gw.admin.call("secrets.store.set", {
                "name": name, "kind": kind, "value": f"{MARK}-store-{kind}"})
        gw.admin.call("config.patch", {"raw": json.dumps({
            "gateway": {"auth": {"token": f"{MARK}-patched"}},
            "nonsense": f"{MARK}-unknown"}), "baseHash": "stale"})
        gw.admin.call("config.set", {"raw": f"{{ {MARK}-broken"})
        # Runs: a model that quotes the keys in its refusal, and an address
        # that is none for having a name in it.
        for run, model in (("r1", "q/m"), ("r2", "p/m")):
            reconfigure({"agents": {"defaults": {"model": {
                "primary": model}}}})
            ok, _, error = gw.admin.call("chat.send", {
                "sessionKey": run, "message": "hello", "idempotencyKey": run})
            equal((ok, error), (True, None))
            gw.admin.event("chat", lambda p: p.get("runId") == run and
                           p.get("state") in ("error", "final"))
        equal(set(asked), {f"{MARK}-env"})
        # Strangers.
        for value in (f"{MARK}-wrong", f"{MARK}-wrong\n\x1b[31m"):
            for auth in ({"token": value}, {"password": value},
                         {"deviceToken": value}):
                w = Heard(gw).open()
                heard.append(w)
                equal(w.call("connect", w.connect_params(auth=auth))[0], False)
        for path, headers in (
                (f"/?token={MARK}-query", {}),
                (f"/hooks/wake?token={MARK}-query", {}),
                ("/hooks/wake", {"Authorization": f"Bearer {MARK}-bearer"}),
                ("/api/x", {"Cookie": f"s={MARK}-cookie",
                            "X_OpenClaw_Token": f"{MARK}-header2"})):
            answer = http_get(gw, path, **headers)
            assert MARK not in str(answer), answer
        # Programs that do not run, and plugins that complain.
        gw.admin.call("exec.approval.request", {
            "command": denied, "timeoutMs": 1})
        for method, params in (("bad.say", {"what": "x"}),
                               (f"no.{MARK}", {"token": f"{MARK}-param"}),
                               ("health", {"token": f"{MARK}-param"})):
            gw.admin.call(method, params)

    @check("AB-100 the hook's token of the secret provider is in force")
    def _():
        end = time.monotonic() + DEADLINE
        while not os.path.exists(os.path.join(gw.dir, "child")):
            assert time.monotonic() < end, "the provider was not asked"
            gw.admin.call("health", {})
        gw.admin.call("secrets.reload", {})

    @check("AB-100 no answer and no event has one")
    def _():
        for m, p in (("config.get", {}), ("config.schema", {}),
                     ("secrets.store.list", {}), ("logs.tail", {"limit": 5000}),
                     ("audit.list", {}), ("audit.activity.list", {}),
                     ("audit.ledger.read", {}), ("status", {}),
                     ("system-presence", {}), ("plugins.list", {}),
                     ("models.list", {}), ("channels.status", {}),
                     ("chat.history", {"sessionKey": "main"}),
                     ("usage.status", {}), ("hooks.status", {})):
            gw.admin.call(m, p)
        for c in heard:
            for f in c.frames:
                # Who decides sees the command, and who asks its own mistake.
                f = f.replace(f"{MARK}-denied", "").replace(f"no.{MARK}", "")
                assert MARK not in f, f[max(0, f.index(MARK) - 200):][:400]

    @check("AB-100 no line of the log has one")
    def _():
        assert "client refused" in gw.log, gw.log
        text = gw.log.replace(f"no.{MARK}", "")
        assert MARK not in text, text[max(0, text.index(MARK) - 300):][:400]

    @check("AB-100 neither the process list nor a child's environment has one")
    def _():
        with open(f"/proc/{gw.pid}/cmdline", "rb") as f:
            assert MARK.encode() not in f.read()
        with open(f"/proc/{gw.pid}/comm", "rb") as f:
            assert MARK.encode() not in f.read()
        with open(os.path.join(gw.dir, "child"), "rb") as f:
            child = f.read()
        assert b"give" in child
        assert MARK.encode() not in child, child

    @check("AB-100 a crash report has none")
    def _():
        try:
            gw.admin.call("bad.crash", {"how": "null"})
        except (Gone, Closed, OSError):
            pass
        gw.proc.wait(DEADLINE)
        end = time.monotonic() + DEADLINE
        with gw.changed:
            while not gw.ended:
                assert gw.changed.wait(end - time.monotonic())
        report = gw.log[gw.log.index("chelad: crashed: "):]
        matches(report, "bad")
        assert MARK not in report, report

    @check("AB-100 no file has one")
    def _():
        names = []
        for path, data in files(gw):
            names.append(os.path.basename(path))
            # The record of a question has its command, for who looks back.
            data = data.replace(f"{MARK}-denied".encode(), b"")
            assert MARK.encode() not in data, path
        assert any(n.startswith("chela.db") for n in names), names
        gw.log, gw.ended = "", False
        gw.__enter__()

# What would split, hide, turn, overstrike or fill a record.
ODD = ("a\nchelad: forged", "a\rb", "\x1b[2J\x1b[31mred", "\u009b31m", "\x08\x08",
       "\u202edesrever", "\u2066iso\u2069", "\u200b\ufeffzero", "\u2028line",
       "x" * 1_000_000)
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e"
                    "\u2060-\u206f\ufeff\ufffd]")


def clean(text, what):
    m = HIDDEN.search(text)
    assert m is None, f"{what}: {text[max(0, m.start() - 150):m.start() + 50]!r}"


with Gateway(args=["--log-level", "debug"]) as gw:
    @check("AB-101 odd names: methods, clients, devices, headers, paths")
    def _():
        for odd in ODD:
            for over in ({"client": {"id": "cli", "version": odd,
                                     "platform": "linux", "mode": "cli"}},
                         {"client": {"id": odd, "version": "1",
                                     "platform": odd, "mode": "cli"}},
                         {"client": {"id": "cli", "version": "1",
                                     "platform": "linux", "mode": "cli",
                                     "displayName": odd, "instanceId": odd}},
                         {"userAgent": odd, "locale": odd},
                         {"auth": {"token": odd}}):
                w = Openclaw(gw)
                try:
                    w.open()
                    w.call("connect", w.connect_params(**over))
                    w.call(odd if len(odd) < 100 else "m." + odd, {})
                    w.call("system-event", {"text": odd})
                    w.call("secrets.store.set", {
                        "name": odd, "kind": "secret", "value": "v"})
                    w.call("question.request", {"id": odd, "questions": []})
                    w.call("plugin.approval.request", {
                        "title": odd, "description": odd, "timeoutMs": 1})
                    w.call("exec.approval.request", {
                        "command": odd, "timeoutMs": 1})
                except (Gone, Closed, OSError):
                    pass
        for value in (b"\xff\xfe\x80", b"\xc2\x9b31m", b"\xe2\x80\xae",
                      b"\x1b[31m", b"x" * 60_000):
            for name in (b"User-Agent", b"X-Forwarded-For", b"Origin", b"Host",
                         b"Authorization", b"X-OpenClaw-Token"):
                with Conn(gw) as c:
                    c.send(b"GET /odd?a=" + value.replace(b" ", b"") +
                           b" HTTP/1.1\r\nConnection: close\r\n" + name + b": " + value +
                           b"\r\n\r\n")
                    try:
                        c.http_answer()
                    except (Gone, Closed, OSError):
                        pass

    @check("AB-101 each line of the log is one record, plain and bounded")
    def _():
        c = Openclaw(gw).hello()
        c.call("health", {})
        lines = gw.log.split("\n")
        assert "client refused" in gw.log, gw.log
        for line in lines:
            clean(line.replace("\t", " "), "log")
            assert len(line) <= LINE_MAX, f"{len(line)} bytes: {line[:300]}"
            assert line == "" or BEGINS.match(line), f"forged: {line[:300]!r}"

    @check("AB-101 each row of the ledger is one record, plain and bounded")
    def _():
        c = Openclaw(gw).hello()
        n, after = 0, 0
        while True:
            ok, page, error = c.call("audit.ledger.read",
                                     {"after": after, "limit": 500})
            equal((ok, error), (True, None))
            if not page["rows"]:
                break
            for row in page["rows"]:
                n, after = n + 1, row["sequence"]
                clean(json.dumps(json.loads(row["text"]), ensure_ascii=False),
                      "ledger")
                assert len(row["text"]) < LINE_MAX, row["text"][:300]
        assert n > 3, n

    @check("AB-101 what logs.tail answers is as plain")
    def _():
        c = Openclaw(gw).hello()
        ok, page, error = c.call("logs.tail", {"limit": 5000})
        equal((ok, error), (True, None))
        for line in page["lines"]:
            assert "\n" not in line
            clean(json.dumps(json.loads(line), ensure_ascii=False)
                  if line.startswith("{") else line, "logs.tail")

shutil.rmtree(folder, ignore_errors=True)
server.shutdown()
finish()
