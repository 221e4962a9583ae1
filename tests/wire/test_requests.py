#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Requests after hello: wire.md sections 9 to 11, AB-014..017, AB-022..027."""
import json

from gateway import Gateway, check, equal, finish, matches
from ws import PING, TEXT, Closed, Openclaw

with Gateway() as gw, Openclaw(gw, deadline=300) as op:
    op.hello()

    def sends(text, ident):
        """The error of the answer to this text as a frame."""
        op.send_frame(TEXT, text)
        f = op.answer(ident)
        equal(f["ok"], False)
        return f["error"]

    def silent(text):
        """Nothing answers this text, and the connection stays."""
        op.send_frame(TEXT, text)
        op.send_frame(PING, b"x")
        equal(op.pong(), b"x")
        equal([e for e in op.events if "event" not in e], [])

    for text in ("", " ", "hello", "{", '{"type":"req","id":"1",}', "NaN",
                 "'a'", "{} {}", "\ufeff{}", '{"a":01}', '{"a":"\t"}',
                 "// c\n{}", '{"type":"req","id":"1","method":"health"'):
        @check(f"wire 11, AB-020: not JSON ({text!r}): ignored")
        def _():
            silent(text)

    for frame, ident in (
            ({"type": "req", "id": "a"}, "a"),
            ({"type": "req", "id": 7, "method": "health"}, 7),
            ({"type": "req", "id": "", "method": "health"}, ""),
            ({"type": "req", "method": "health"}, "invalid"),
            ({"type": "req", "id": "b", "method": ""}, "b"),
            ({"type": "req", "id": "c", "method": 1}, "c"),
            ({"type": "req", "id": "d", "method": "health", "x": 1}, "d"),
            ({"type": "what", "id": "e", "method": "health"}, "e"),
            ({"type": "res", "id": "f", "ok": True}, "f"),
            ({"type": "event", "event": "tick"}, "invalid"),
            ([], "invalid"), (None, "invalid"), (3, "invalid"),
            ("text", "invalid"), ({}, "invalid")):
        @check(f"wire 11, AB-022: {json.dumps(frame)}: invalid request frame")
        def _():
            e = sends(json.dumps(frame), ident)
            equal(e["code"], "INVALID_REQUEST")
            matches(e["message"], "^invalid request frame: ")

    @check("wire 11: a second connect")
    def _():
        ok, _, e = op.call("connect", op.connect_params())
        equal((ok, e["code"], e["message"]),
              (False, "INVALID_REQUEST",
               "connect is only valid as the first request"))
        equal(op.call("health")[0], True)

    for name in ("no.such", "CHAT.SEND", "chat.send ", "chat/send",
                 "chat.send\0", "chat.send\0x", "__proto__", "constructor",
                 "health\u200b", "Health"):
        @check(f"wire 11, AB-026: unknown method {name!r}")
        def _():
            ok, _, e = op.call(name, {})
            equal((ok, e["code"]), (False, "INVALID_REQUEST"))
            matches(e["message"], "^(unknown method: |invalid request frame)")
            if not name.count("\0"):
                equal(e["message"], f"unknown method: {name}")

    @check("AB-026: a method name of 1 MiB: an error of bounded length")
    def _():
        ok, _, e = op.call("m" * 1048576, {})
        equal((ok, e["code"]), (False, "INVALID_REQUEST"))
        if len(e["message"]) > 2048:
            raise AssertionError(f"{len(e['message'])} bytes of message")

    @check("AB-022: an id of 1 MiB: refused or answered, never cut")
    def _():
        ident = "i" * 1048576
        op.send_json(op.request(ident, "health"))
        f = op.json()
        while "event" in f:
            f = op.json()
        equal(f["id"] in (ident, "invalid"), True)
        equal(f["ok"], f["id"] == ident)

    @check("wire 11: params left out are {}; null and others are refused")
    def _():
        equal(op.call("sessions.list")[0], True)
        for params in ("text", 7, [], True):
            op.send_json({"type": "req", "id": "p", "method": "sessions.list",
                          "params": params})
            equal(op.answer("p")["error"]["code"], "INVALID_REQUEST")

    @check("wire 11: bad params name the method and the place")
    def _():
        for params, text in (
                ({}, "must have required property 'sessionKey'"),
                ({"sessionKey": "main", "x": 1},
                 "at root: unexpected property 'x'"),
                ({"sessionKey": 1}, "at /sessionKey: must be string"),
                ({"sessionKey": "main", "limit": 0}, "at /limit: must be >= 1"),
                ({"sessionKey": "main", "limit": 1001},
                 "at /limit: must be <= 1000"),
                ({"sessionKey": ""}, "at /sessionKey: must not have fewer "
                 "than 1 characters")):
            ok, _, e = op.call("chat.history", params)
            equal((ok, e["code"]), (False, "INVALID_REQUEST"))
            matches(e["message"], "^invalid chat.history params: ")
            if text not in e["message"]:
                raise AssertionError(e["message"])

    for method in ("health", "status", "system-presence", "last-heartbeat",
                   "usage.status"):
        @check(f"wire 11: {method} takes an unknown member")
        def _():
            equal(op.call(method, {"unknownMember": 1})[0], True)

    for method in ("sessions.list", "sessions.resolve", "agents.list",
                   "config.get", "config.schema", "models.list",
                   "channels.status", "logs.tail", "commands.list",
                   "agent.identity.get"):
        @check(f"wire 11: {method} refuses an unknown member")
        def _():
            ok, _, e = op.call(method, {"unknownMember": 1})
            equal(ok, False)
            matches(e["message"], "unexpected property 'unknownMember'")

    @check("wire 9: an error has code and message; retryable where it helps")
    def _():
        equal(op.call("no.such", {})[2],
              {"code": "INVALID_REQUEST", "message": "unknown method: no.such"})

    @check("wire 3: a request for another account is not run")
    def _():
        op.send_json(dict(op.request("whose", "health"),
                          expectedProfileId="p"))
        equal(op.answer("whose")["error"]["details"],
              {"reason": "EXPECTED_PROFILE_MISMATCH",
               "execution": "not_started"})
        op.send_json(dict(op.request("whose", "health"), expectedProfileId=5))
        equal(op.answer("whose")["error"]["message"], "invalid request frame: "
              "at /expectedProfileId: must be string")

    @check("wire 11: params null are no params")
    def _():
        for method, answer in (
                ("health", None), ("sessions.list", None),
                ("chat.history", "invalid chat.history params: must have "
                 "required property 'sessionKey'")):
            op.send_json(dict(op.request("null-" + method, method),
                              params=None))
            f = op.answer("null-" + method)
            equal(f.get("error", {}).get("message"), answer)

    @check("wire 11: params that are no object are told so, without a path")
    def _():
        for params in ([], "text", 7, True):
            op.send_json(dict(op.request("kind", "chat.history"),
                              params=params))
            equal(op.answer("kind")["error"]["message"],
                  "invalid chat.history params: must be object")

    @check("AB-023: one id twice gives two answers with that id")
    def _():
        for _ in range(2):
            op.send_json(op.request("twin", "health"))
        equal([op.answer("twin")["ok"] for _ in range(2)], [True, True])

    def never_ok(text):
        """Whatever answers this text, it is no success."""
        global marks
        marks += 1
        op.send_frame(TEXT, text)
        op.send_json(op.request(f"after-{marks}", "health"))
        while True:
            f = op.json()
            if "event" in f:
                op.events.append(f)
            elif f["id"] == f"after-{marks}":
                return
            else:
                equal(f["ok"], False)

    marks = 0

    @check("AB-017: duplicate keys are refused at every level")
    def _():
        for text in (
                '{"type":"req","id":"1","method":"health","method":"status"}',
                '{"type":"req","id":"1","id":"2","method":"health"}',
                '{"type":"req","id":"1","method":"chat.history",'
                '"params":{"sessionKey":"a","sessionKey":"b"}}',
                '{"type":"req","id":"1","method":"chat.history",'
                '"params":{"session\\u004bey":"a","sessionKey":"b"}}'):
            never_ok(text)

    @check("AB-016: a key with an escaped NUL never sets the real member")
    def _():
        never_ok('{"type":"req","id":"nul","method":"chat.history",'
                 '"params":{"sessionKey\\u0000x":"main"}}')

    @check("AB-014: nesting far beyond the limit: refused, no recursion")
    def _():
        for text in ("[" * 1000000, '{"a":' * 100000,
                     '{"type":"req","id":"n","method":"health","params":{"a":'
                     + "[" * 5000 + "]" * 5000 + "}}"):
            never_ok(text)

    @check("AB-013: 1 MiB of small values: memory is bounded, others served")
    def _():
        before = gw.rss_kib()
        with Openclaw(gw) as c:
            c.hello()
            for piece in ("{},", "[],", '"",', "1,"):
                text = ('{"type":"req","id":"v","method":"health","params":{"a":['
                        + piece * (1048576 // len(piece)) + "0]}}")
                c.send_frame(TEXT, text)
                c.send_frame(PING, b"v")
                try:
                    c.pong()
                except Closed:
                    c = Openclaw(gw).hello()
            equal(op.call("health")[0], True)
        grown = gw.rss_kib() - before
        if grown > 131072:
            raise AssertionError(f"grew by {grown} KiB")

    @check("AB-015: 200,000 keys in one object: near linear")
    def _():
        keys = ",".join(f'"k{i}":0' for i in range(200000))
        op.send_frame(TEXT, '{"type":"req","id":"k","method":"config.get",'
                      '"params":{' + keys + "}}")
        f = op.json()
        while "event" in f:
            f = op.json()
        equal((f["id"] in ("k", "invalid"), f["ok"]), (True, False))
        if len(json.dumps(f)) > 65536:
            raise AssertionError("the error lists them all")

    @check("AB-019: numbers out of range are refused, not clamped")
    def _():
        for limit in ("1e400", "-0.5", "1.5", "9007199254740993",
                      "18446744073709551616", "-9223372036854775809",
                      '"10"', "true"):
            never_ok('{"type":"req","id":"r","method":"chat.history",'
                     '"params":{"sessionKey":"main","limit":' + limit + "}}")

    @check("wire 11: traceparent: malformed ignored, too long refused")
    def _():
        f = op.request("t", "health")
        f["traceparent"] = "not one"
        op.send_json(f)
        equal(op.answer("t")["ok"], True)
        f["traceparent"] = "x" * 129
        op.send_json(f)
        equal(op.answer("t")["ok"], False)

    @check("wire 11: the 31st config.patch in a minute is over the budget")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            for _ in range(30):
                equal(c.call("config.patch", {"raw": "[]"})[2]["code"],
                      "INVALID_REQUEST")
            ok, _, e = c.call("config.patch", {"raw": "[]"})
            equal((ok, e["code"], e["retryable"]), (False, "UNAVAILABLE", True))
            matches(e["message"], r"^rate limit exceeded for config\.patch; "
                    r"retry after \d+s$")
            equal(e["details"], {"method": "config.patch",
                                 "limit": "30 per 60s"})
            equal(0 < e["retryAfterMs"] <= 60000, True)

    with Openclaw(gw) as reader:
        reader.hello(scopes=["read"])

        @check("wire 11: a missing scope is said before the params are read")
        def _():
            ok, _, e = reader.call("chat.send", {"nonsense": 1})
            equal((ok, e["code"], e["message"]),
                  (False, "FORBIDDEN", "missing scope: operator.write"))
            equal(e["details"]["code"], "MISSING_SCOPE")
            equal(e["details"]["missingScope"], "operator.write")
            equal(isinstance(e["details"]["requiredScopes"], list), True)

        @check("wire 11: an unknown method without admin is FORBIDDEN")
        def _():
            ok, _, e = reader.call("no.such", {})
            equal((ok, e["code"], e["message"]),
                  (False, "FORBIDDEN", "missing scope: operator.admin"))

        @check("wire 11: health needs no scope")
        def _():
            equal(reader.call("health")[0], True)

    @check("wire 12: seq counts from 1 on each connection")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            # Changes that come together may be told together.
            for i in range(3):
                c.call("system-event", {"text": f"e{i}", "deviceId": "seq"})
            c.event("presence", lambda p: any(
                x.get("text") == "e2" for x in p["presence"]))
            seqs = [e["seq"] for e in c.events if "seq" in e]
            equal(seqs, list(range(1, len(seqs) + 1)))

    @check("wire 12: presence and health carry both state versions")
    def _():
        f = op.event("presence")
        equal(set(f["stateVersion"]), {"presence", "health"})
        equal(list(f)[:3], ["type", "event", "payload"])

    @check("wire 12: members stand in the documented order")
    def _():
        op.send_frame(TEXT, json.dumps(op.request("o", "health")))
        f = op.answer("o")
        equal(list(f)[:3], ["type", "id", "ok"])

    @check("after all that the first connection works")
    def _():
        equal(op.call("health")[0], True)

finish()
