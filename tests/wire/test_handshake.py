#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""connect: the rows of wire.md sections 4, 5 and 7, auth.md sections 1 and 6,
with AB-022, AB-025 and the start-up rules about secrets."""
import json
import os
import re

from gateway import Gateway, check, equal, finish, matches
from ws import TEXT, Openclaw

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
FIRST = "invalid handshake: first request must be connect"


def refuses(gw, params, code, text, close, reason=None, details=None):
    """connect with params: this error, then this close."""
    with Openclaw(gw) as c:
        c.open()
        p = c.connect_params()
        p.update(params)
        ok, _, error = c.call("connect", {k: v for k, v in p.items()
                                          if v is not None})
        equal(ok, False)
        equal(error["code"], code)
        matches(error["message"], text)
        if details:
            equal(error["details"]["code"], details)
        got = c.closed()
        equal(got[0], close)
        if reason is not None:
            matches(got[1], reason)
        if len(got[1].encode()) > 120:
            raise AssertionError("reason over 120 bytes")
        return error


def remembers(pid, needle):
    """How often the bytes are in the memory of a process."""
    n = 0
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if m:
                start, end = int(m[1], 16), int(m[2], 16)
                while start < end:
                    size = min(end - start, 1 << 24)
                    try:
                        mem.seek(start)
                        n += mem.read(size).count(needle)
                    except OSError:     # pages that nobody may read
                        pass
                    start += size
    return n


def hangs_up(gw, message, code, reason):
    """A first message that is answered by nothing but a close."""
    with Openclaw(gw) as c:
        c.open()
        c.send_frame(TEXT, message)
        equal(c.closed(), (code, reason))


with Gateway() as gw:
    @check("AB-146: what a client shows as its secret is not kept in memory")
    def _():
        # Only root may look, and a sanitizer maps terabytes of its own.
        if os.geteuid() != 0 or gw.is_sanitized():
            print("# the memory of this gateway is not looked at")
            return
        mark = "shown-only-once-" + "q7"
        equal(remembers(gw.proc.pid, gw.token.encode()) > 0, True)
        for field in ("token", "password", "deviceToken"):
            with Openclaw(gw) as c:
                c.open()
                p = c.connect_params()
                p["auth"] = {field: f"{mark}-{field}"}
                equal(c.call("connect", p)[0], False)
                c.closed()
            equal(remembers(gw.proc.pid, mark.encode()), 0)

    @check("wire 4: the challenge comes first, with a nonce of its own")
    def _():
        nonces = set()
        for _ in range(3):
            with Openclaw(gw) as c:
                c.open()
                equal(c.challenge["type"], "event")
                equal("seq" in c.challenge, False)
                equal(isinstance(c.challenge["payload"]["ts"], int), True)
                matches(c.challenge["payload"]["nonce"], UUID)
                nonces.add(c.challenge["payload"]["nonce"])
        equal(len(nonces), 3)

    for text in ("hello", "", "{", '{"type":"req"} x', "\ufeff{}", "'a'"):
        @check(f"wire 4, AB-020: not JSON ({text!r}): close 1000, no reason")
        def _():
            hangs_up(gw, text, 1000, "")

    for frame in (
            [], None, 7, "text", {}, {"type": "req"},
            {"type": "req", "id": "1"},
            {"type": "req", "method": "connect"},
            {"type": "req", "id": 1, "method": "connect"},
            {"type": "req", "id": "", "method": "connect"},
            {"type": "req", "id": "1", "method": "connect", "more": 1},
            {"type": "res", "id": "1", "ok": True},
            {"type": "event", "event": "tick"},
            {"type": "other", "id": "1", "method": "connect"}):
        @check(f"wire 4, AB-022: no request frame ({json.dumps(frame)}): 1008")
        def _():
            hangs_up(gw, json.dumps(frame), 1008, "invalid request frame")

    @check("wire 4, AB-022: another method first: error, then 1008")
    def _():
        with Openclaw(gw) as c:
            c.open()
            ok, _, error = c.call("health", {})
            equal((ok, error["code"], error["message"]),
                  (False, "INVALID_REQUEST", FIRST))
            equal(c.closed(), (1008, FIRST))

    @check("wire 4: invalid connect params name what is wrong")
    def _():
        with Openclaw(gw) as c:
            refuses(gw, {"client": None}, "INVALID_REQUEST",
                    r"^invalid connect params: .*must have required property "
                    r"'client'", 1008, "^invalid connect params: ")
            p = c.connect_params()["client"]
        refuses(gw, {"client": dict(p, id="nobody")}, "INVALID_REQUEST",
                "at /client/id: must be equal to one of the allowed values",
                1008)
        refuses(gw, {"foo": 1}, "INVALID_REQUEST",
                "at root: unexpected property 'foo'", 1008)
        refuses(gw, {"client": {k: v for k, v in p.items() if k != "mode"}},
                "INVALID_REQUEST",
                "at /client: must have required property 'mode'", 1008)
        refuses(gw, {"auth": {"token": "x", "foo": "y"}}, "INVALID_REQUEST",
                "at /auth: unexpected property 'foo'", 1008)
        refuses(gw, {"minProtocol": "4"}, "INVALID_REQUEST",
                "at /minProtocol: must be integer", 1008)
        refuses(gw, {"scopes": ["x" * 300, 1]}, "INVALID_REQUEST",
                "at /scopes/1: must be string", 1008)

    for name, params in (
            ("role worker", {"role": "worker"}),
            ("client id openclaw-worker", {"client": {
                "id": "openclaw-worker", "version": "1", "platform": "linux",
                "mode": "cli"}}),
            ("client mode worker", {"client": {
                "id": "cli", "version": "1", "platform": "linux",
                "mode": "worker"}})):
        @check(f"wire 4: {name}: 1008 invalid-handshake, no answer")
        def _():
            with Openclaw(gw) as c:
                c.open()
                c.send_json(c.request("1", "connect",
                                      dict(c.connect_params(), **params)))
                equal(c.closed(), (1008, "invalid-handshake"))

    @check("wire 4: a worker's connect is told nothing of its other faults")
    def _():
        with Openclaw(gw) as c:
            c.open()
            c.send_json(c.request("1", "connect", dict(
                c.connect_params(), role="worker", foo=1)))
            equal(c.closed(), (1008, "invalid-handshake"))

    for params in (None, "none"):
        @check(f"wire 4: connect without params ({params}): must be object")
        def _():
            with Openclaw(gw) as c:
                c.open()
                frame = {"type": "req", "id": "1", "method": "connect"}
                if params is None:
                    frame["params"] = None
                c.send_json(frame)
                equal(c.closed(),
                      (1008, "invalid connect params: must be object"))

    @check("auth 1: a token of an agent's runtime is none of ours")
    def _():
        refuses(gw, {"auth": {"token": gw.token,
                              "agentRuntimeIdentityToken": "x"}},
                "INVALID_REQUEST", "^agent runtime identity token", 1008)

    @check("wire 5: an unknown role: invalid role, 1008")
    def _():
        refuses(gw, {"role": "king"}, "INVALID_REQUEST", "^invalid role", 1008,
                "^invalid role")

    for low, high in ((4, 4), (3, 4), (4, 9), (1, 1000000)):
        @check(f"wire 7: protocol {low}..{high} is accepted as 4")
        def _():
            with Openclaw(gw) as c:
                c.hello(minProtocol=low, maxProtocol=high)
                equal(c.welcome["protocol"], 4)

    for low, high in ((3, 3), (5, 5), (5, 9), (9, 2), (1, 2)):
        @check(f"wire 7, AB-025: protocol {low}..{high}: mismatch, 1002")
        def _():
            if low <= 4 <= high:
                raise AssertionError("a range that must be accepted")
            e = refuses(gw, {"minProtocol": low, "maxProtocol": high},
                        "INVALID_REQUEST", "^protocol mismatch$", 1002,
                        "^protocol mismatch$", "PROTOCOL_MISMATCH")
            equal(e["details"], {
                "code": "PROTOCOL_MISMATCH", "clientMinProtocol": low,
                "clientMaxProtocol": high, "expectedProtocol": 4,
                "minimumProbeProtocol": 3})

    @check("wire 7: a probe may speak 3")
    def _():
        probe = {"id": "cli", "version": "1", "platform": "linux",
                 "mode": "probe"}
        with Openclaw(gw) as c:
            c.hello(minProtocol=3, maxProtocol=3, client=probe)
            equal(c.welcome["protocol"], 4)
        refuses(gw, {"minProtocol": 2, "maxProtocol": 2, "client": probe},
                "INVALID_REQUEST", "^protocol mismatch", 1002)

    @check("wire 4: a wrong protocol with a wrong token: the protocol's error")
    def _():
        refuses(gw, {"minProtocol": 9, "maxProtocol": 9,
                     "auth": {"token": "no"}}, "INVALID_REQUEST",
                "^protocol mismatch", 1002)

    @check("auth 1: wrong token, close 1008 with the message")
    def _():
        e = refuses(gw, {"auth": {"token": "wrong"}}, "INVALID_REQUEST",
                    "^unauthorized: gateway token mismatch", 1008,
                    "^unauthorized: gateway token mismatch",
                    "AUTH_TOKEN_MISMATCH")
        equal(e["details"]["authReason"], "token_mismatch")
        equal(e["details"]["canRetryWithDeviceToken"], False)

    @check("auth 1: the token is also taken from the field password")
    def _():
        with Openclaw(gw) as c:
            c.hello(auth={"password": gw.token})

    @check("auth 1: a token with something added, or cut, is wrong")
    def _():
        for t in (gw.token + "x", gw.token[:-1], gw.token.upper(),
                  "undefined", "null"):
            refuses(gw, {"auth": {"token": t}}, "INVALID_REQUEST",
                    "^unauthorized", 1008)

    @check("auth 6: no credential, no device: NOT_PAIRED")
    def _():
        for auth in (None, {}, {"token": ""}, {"deviceToken": "x"}):
            refuses(gw, {"auth": auth}, "NOT_PAIRED",
                    "^device identity required", 1008, None,
                    "DEVICE_IDENTITY_REQUIRED")
        with Openclaw(gw) as c:
            c.open()
            e = c.call("connect", dict(c.connect_params(), auth={}))[2]
            equal(e["details"], {"code": "DEVICE_IDENTITY_REQUIRED"})

    for scopes in ((), ("read",), ("read", "write")):
        @check(f"auth 6: a local command keeps the scopes it asks for {scopes}")
        def _():
            with Openclaw(gw) as c:
                c.hello(scopes=scopes)
                equal(sorted(c.welcome["auth"]["scopes"]),
                      sorted(c.scopes_of(scopes)))

    @check("auth 6: another operator with the secret alone has no scopes")
    def _():
        with Openclaw(gw) as c:
            c.hello(client={"id": "test", "version": "1", "platform": "linux",
                            "mode": "test"})
            equal(c.welcome["auth"]["scopes"], [])
            equal(c.call("status")[2]["code"], "FORBIDDEN")

    @check("auth 6: the consoles without a device are refused")
    def _():
        for ident, mode, origin in (
                ("openclaw-control-ui", "webchat",
                 f"http://127.0.0.1:{gw.port}"), ("openclaw-tui", "ui", None)):
            with Openclaw(gw) as c:
                c.open(Origin=origin)
                ok, _, e = c.call("connect", c.connect_params(client={
                    "id": ident, "version": "1", "platform": "linux",
                    "mode": mode}))
                equal((ok, e["details"]["code"]),
                      (False, "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"))
                equal(c.closed()[0], 1008)

    @check("auth 6: a node without a device: NOT_PAIRED")
    def _():
        refuses(gw, {"role": "node", "scopes": [], "client": {
            "id": "node-host", "version": "1", "platform": "linux",
            "mode": "node"}}, "NOT_PAIRED", "^device identity required", 1008)

    @check("auth 6: a node without a device, with a wrong token: the token's")
    def _():
        refuses(gw, {"role": "node", "scopes": [], "auth": {"token": "no"},
                     "client": {"id": "node-host", "version": "1",
                                "platform": "linux", "mode": "node"}},
                "INVALID_REQUEST", "^unauthorized: gateway token mismatch",
                1008, None, "AUTH_TOKEN_MISMATCH")

    @check("wire 6, AB-030: a foreign Origin is refused, with the right token")
    def _():
        for origin in ("https://evil.example", "null", "http://127.0.0.1.evil",
                       f"http://user@127.0.0.1:{gw.port}", "file://"):
            with Openclaw(gw) as c:
                c.open(Origin=origin)
                ok, _, error = c.call("connect", c.connect_params())
                equal((ok, error["code"]), (False, "INVALID_REQUEST"))
                matches(error["message"], "^origin not allowed")
                equal(error["details"]["code"],
                      "CONTROL_UI_ORIGIN_NOT_ALLOWED")
                equal(c.closed()[0], 1008)

    @check("wire 6: a page of this machine is allowed")
    def _():
        with Openclaw(gw) as c:
            c.open(Origin=f"http://localhost:{gw.port}")
            ok, result, error = c.call("connect", c.connect_params())
            equal(ok, True)
            equal(result["auth"]["scopes"], [])	# no cli exception for pages

    @check("wire 4: requests behind connect, in one write, are answered")
    def _():
        with Openclaw(gw) as c:
            c.open()
            frames = [c.request("c", "connect", c.connect_params())]
            frames += [c.request(f"r{i}", "health") for i in range(15)]
            c.send(b"".join(c.frame(TEXT, json.dumps(f)) for f in frames))
            equal(c.answer("c")["ok"], True)
            left = {f"r{i}" for i in range(15)}
            while left:
                f = c.json()
                if "event" not in f:
                    equal(f["ok"], True)
                    left.remove(f["id"])

    @check("wire 8: hello-ok")
    def _():
        with Openclaw(gw) as c, Openclaw(gw) as d:
            c.hello()
            d.hello()
            h = c.welcome
            equal((h["type"], h["protocol"]), ("hello-ok", 4))
            matches(h["server"]["connId"], UUID)
            matches(h["server"]["bootId"], UUID)
            equal(h["server"]["bootId"], d.welcome["server"]["bootId"])
            if h["server"]["connId"] == d.welcome["server"]["connId"]:
                raise AssertionError("two connections, one connId")
            equal((h["auth"]["role"], h["auth"]["scopes"]),
                  ("operator", ["operator.admin"]))
            equal(h["policy"]["maxPayload"], 26214400)
            equal(h["policy"]["maxBufferedBytes"], 52428800)
            equal(h["policy"]["tickIntervalMs"], 30000)
            for key in ("presence", "health", "stateVersion", "uptimeMs"):
                equal(key in h["snapshot"], True)
            if gw.token in json.dumps(h):
                raise AssertionError("hello tells the token")

    @check("auth 11: the log tells no token, right or wrong")
    def _():
        for secret in (gw.token, "wrong-secret-1234"):
            with Openclaw(gw) as c:
                c.open(path=f"/?token={secret}")
                c.call("connect", c.connect_params(token=secret))
            if secret in gw.log:
                raise AssertionError("the log has it")

with Gateway(config={"gateway": {"limits": {"handshakeTimeoutMs": 700}}}) as gw:
    @check("wire 4: no frame within the deadline: 1000 without a reason")
    def _():
        with Openclaw(gw) as c:
            c.open()
            equal(c.closed(), (1000, ""))

    @check("AB-003: pings and pieces of a frame do not move the deadline")
    def _():
        with Openclaw(gw) as c:
            c.open()
            c.send_frame(9, b"still here")
            equal(c.pong(), b"still here")
            c.send(c.frame(TEXT, b"{" * 30)[:10])
            equal(c.closed(), (1000, ""))

for name, token in (("undefined", "undefined"), ("null", "null"),
                    ("blank", "   ")):
    @check(f"AB-046: the literal token {name} is refused at start")
    def _():
        try:
            with Gateway(token=token):
                pass
        except RuntimeError as e:
            if not re.search("token|secret", str(e)):
                raise
        else:
            raise AssertionError("it started")

finish()
