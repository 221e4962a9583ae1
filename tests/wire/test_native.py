#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The native dialect: the same gateway, the same methods, plainer frames."""
import json

from gateway import Gateway, check, equal, finish, matches
from ws import TEXT, Closed, Conn, Native, Openclaw

with Gateway() as gw:
    @check("native: chela.v1 is chosen and the challenge is in its form")
    def _():
        with Native(gw) as c:
            c.open()
            equal(c.subprotocol, "chela.v1")
            equal(c.challenge["event"], "connect.challenge")
            equal("type" in c.challenge, False)
            matches(c.challenge["data"]["nonce"], "^[0-9a-f-]{36}$")

    @check("native: without a subprotocol the first frame decides")
    def _():
        with Conn(gw) as raw:
            raw.upgrade()
            equal(raw.json()["type"], "event")
            c = Native.__new__(Native)
            c.__dict__ = raw.__dict__
            raw.send_json(c.request("1", "connect", c.connect_params()))
            f = c.answer("1")
            equal("type" in f, False)
            equal(f["ok"], True)

    with Native(gw) as op:
        op.hello()

        @check("native: hello has scopes without the prefix")
        def _():
            equal(op.welcome["auth"]["scopes"], ["admin"])
            equal(op.welcome["protocol"], 4)

        @check("native: a response is {id, ok, result}")
        def _():
            op.send_json({"id": "n1", "method": "health"})
            f = op.answer("n1")
            equal(set(f) - {"meta"}, {"id", "ok", "result"})
            equal((f["ok"], f["result"]["ok"]), (True, True))

        @check("native: an error is a sentence; meta has code and details")
        def _():
            op.send_json({"id": "n2", "method": "no.such"})
            f = op.answer("n2")
            equal(f["ok"], False)
            equal(f["error"], "unknown method: no.such")
            equal(f["meta"]["code"], "INVALID_REQUEST")
            equal("result" in f, False)

        @check("native: bad params")
        def _():
            ok, _, e = op.call("chat.history", {"sessionKey": 1})
            equal((ok, e["code"]), (False, "INVALID_REQUEST"))
            matches(e["message"], "^invalid chat.history params: "
                    "at /sessionKey: must be string")

        for frame in ({"id": "a"}, {"id": 7, "method": "health"},
                      {"method": "health"}, {"id": "b", "method": ""},
                      {"id": "c", "method": "health", "extra": 1}, [], None):
            @check(f"native, AB-022: {json.dumps(frame)}: invalid frame")
            def _():
                ident = frame.get("id", "invalid") \
                    if isinstance(frame, dict) else "invalid"
                op.send_json(frame)
                f = op.answer(ident)
                equal(f["ok"], False)
                matches(f["error"], "^invalid request frame")

        @check("native: text that is not JSON is ignored")
        def _():
            op.send_frame(TEXT, "hello")
            equal(op.call("health")[0], True)

        @check("native: an event is {event, data}, with seq in meta")
        def _():
            op.call("system-event", {"text": "x", "deviceId": "nat"})
            f = op.event("presence")
            equal(set(f) <= {"event", "data", "meta"}, True)
            equal(isinstance(f["data"]["presence"], list), True)

        @check("native and openclaw see one gateway")
        def _():
            with Openclaw(gw) as o:
                o.hello()
                equal(op.call("sessions.create", {"key": "agent:main:two",
                                                  "label": "Two"})[0], True)
                ok, r, _ = o.call("sessions.resolve", {"label": "Two"})
                equal((ok, r["key"]), (True, "agent:main:two"))

        @check("native: a second connect")
        def _():
            ok, _, e = op.call("connect", op.connect_params())
            equal((ok, e["message"]), (
                False, "connect is only valid as the first request"))

    @check("native: a scope is named without prefix when it is missing")
    def _():
        with Native(gw) as c:
            c.hello(scopes=["read"])
            equal(c.welcome["auth"]["scopes"], ["read"])
            ok, _, e = c.call("chat.send", {})
            equal((ok, e["code"], e["message"]),
                  (False, "FORBIDDEN", "missing scope: write"))

    @check("native: a wrong token, then close 1008")
    def _():
        with Native(gw) as c:
            c.open()
            ok, _, e = c.call("connect", c.connect_params(token="no"))
            equal(ok, False)
            matches(e["message"], "^unauthorized")
            equal(e["details"]["code"], "AUTH_TOKEN_MISMATCH")
            equal(c.closed()[0], 1008)

    @check("native: a password is a credential too")
    def _():
        with Native(gw) as c:
            c.hello(credentials={"password": gw.token})

    @check("native: the protocol range may be left out")
    def _():
        with Native(gw) as c:
            c.open()
            p = c.connect_params()
            del p["minProtocol"], p["maxProtocol"]
            ok, hello, _ = c.call("connect", p)
            equal((ok, hello["protocol"]), (True, 4))

    @check("native: a protocol that is not spoken: mismatch, 1002")
    def _():
        with Native(gw) as c:
            c.open()
            ok, _, e = c.call("connect", dict(
                c.connect_params(), minProtocol=8, maxProtocol=9))
            equal((ok, e["message"]), (False, "protocol mismatch"))
            equal(c.closed()[0], 1002)

    @check("native: another method first, then 1008")
    def _():
        with Native(gw) as c:
            c.open()
            ok, _, e = c.call("health")
            equal((ok, e["message"]), (
                False, "invalid handshake: first request must be connect"))
            equal(c.closed()[0], 1008)

finish()
