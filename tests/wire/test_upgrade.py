#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The HTTP side of a WebSocket (wire.md section 2) and its abuse cases."""
import base64
import json
import os

from gateway import Gateway, check, equal, finish, matches
from ws import Conn, Gone, Openclaw

UNTRUSTED = ("Forwarded", "X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto",
             "X-Forwarded-Host", "Tailscale-User-Login")


def refused(gw, head, statuses, body=None):
    """The head is answered with one of the statuses and no upgrade."""
    with Conn(gw) as c:
        c.send(head if isinstance(head, bytes) else head(c))
        try:
            status, headers, text = c.http_answer()
        except Gone:
            if None in statuses:
                return None
            raise
        if status not in statuses:
            raise AssertionError(f"status {status}, want one of {statuses}")
        if body:
            matches(text.decode(), body)
        return status, headers, text


with Gateway() as gw:
    for path in ("/", "/ws", "/a/b?x=1", "/a%20b"):
        @check(f"wire 2: upgrade on any path: {path}")
        def _():
            with Openclaw(gw) as c:
                c.open(path=path)
                equal(c.challenge["event"], "connect.challenge")

    @check("wire 2: no extension is taken, in no form of the offer (AB-008)")
    def _():
        for offer in ("permessage-deflate",
                      "permessage-deflate; client_max_window_bits",
                      "x-webkit-deflate-frame", "permessage-deflate, other"):
            with Openclaw(gw) as c:
                c.open(Sec_WebSocket_Extensions=offer)

    @check("wire 2: the first of the offered subprotocols is echoed")
    def _():
        with Conn(gw) as c:
            c.upgrade(Sec_WebSocket_Protocol="first, second")
            equal(c.subprotocol, "first")
        with Conn(gw) as c:
            c.upgrade()
            equal(c.subprotocol, None)

    @check("wire 2: chela.v1 is chosen wherever it stands in the offer")
    def _():
        with Conn(gw) as c:
            c.upgrade(Sec_WebSocket_Protocol="other, chela.v1")
            equal(c.subprotocol, "chela.v1")

    @check("wire 2: credentials in the URL or in Authorization are ignored")
    def _():
        with Openclaw(gw) as c:
            c.open(path=f"/?token={gw.token}",
                   Authorization=f"Bearer {gw.token}")
            ok, _, error = c.call("connect", c.connect_params(token=""))
            equal(ok, False)
            equal(error["code"] in ("NOT_PAIRED", "INVALID_REQUEST"), True)

    @check("wire 2: a foreign Host is not looked at")
    def _():
        with Openclaw(gw) as c:
            c.open(Host="gateway.example")

    for name in UNTRUSTED:
        @check(f"wire 2, AB-035: {name} from a peer that is no proxy: 403")
        def _():
            _, headers, body = refused(
                gw, lambda c: c.head(**{name.replace("-", "_"): "1.2.3.4"}),
                {403})
            equal(json.loads(body)["error"]["type"],
                  "proxy_attribution_required")
            matches(headers["content-type"], "^application/json")
            equal(headers["connection"].lower(), "close")

    bad = {
        "no key": lambda c: c.head(Sec_WebSocket_Key=None),
        "a short key": lambda c: c.head(
            Sec_WebSocket_Key=base64.b64encode(os.urandom(15)).decode()),
        "a key that is no base64": lambda c: c.head(
            Sec_WebSocket_Key="!" * 22 + "=="),
        "version 12": lambda c: c.head(Sec_WebSocket_Version="12"),
        "no version": lambda c: c.head(Sec_WebSocket_Version=None),
        "Upgrade: h2c": lambda c: c.head(Upgrade="h2c"),
        "Connection without Upgrade": lambda c: c.head(
            Connection="keep-alive"),
        "HTTP/1.0": lambda c: c.head(version="HTTP/1.0"),
        "POST": lambda c: c.head(method="POST"),
        "two keys": lambda c: c.head()[:-2] +
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        "no Host": lambda c: c.head(Host=None),
        "two Hosts": lambda c: c.head()[:-2] + b"Host: other\r\n\r\n",
        "a space before the colon": lambda c: c.head()[:-2] +
        b"X-A : b\r\n\r\n",
        "a folded header": lambda c: c.head()[:-2] + b"X-A: b\r\n c\r\n\r\n",
        "a NUL in a header": lambda c: c.head()[:-2] + b"X-A: b\0c\r\n\r\n",
        "a bare line feed": lambda c: c.head().replace(b"\r\n", b"\n"),
        "no request at all": lambda c: b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    }
    for name, head in bad.items():
        @check(f"AB-011: {name}: no upgrade")
        def _():
            got = refused(gw, head, {400, 404, 405, 426, 501, 505, None})
            if name == "version 12":
                equal(got[1].get("sec-websocket-version"), "13")

    big = {
        "a request line of 64 KiB": lambda c: c.head(path="/" + "a" * 65536),
        "a header of 64 KiB": lambda c: c.head(X_Big="a" * 65536),
        "2,000 headers": lambda c: c.head()[:-2] + b"".join(
            b"X-%d: a\r\n" % i for i in range(2000)) + b"\r\n",
    }
    for name, head in big.items():
        @check(f"AB-004: {name}: refused")
        def _():
            refused(gw, head, {400, 414, 431, None})

    @check("AB-004: a head without end is cut at the limit, memory stays")
    def _():
        before = gw.rss_kib()
        with Conn(gw) as c:
            c.send(b"GET / HTTP/1.1\r\nX-A: ")
            try:
                for _ in range(160):
                    c.send(b"a" * 65536)
                c.http_answer()
            except (Gone, OSError):
                pass
        if gw.rss_kib() - before > 4096:
            raise AssertionError(f"grew by {gw.rss_kib() - before} KiB")

    @check("wire 2: the 33rd connection without connect gets 503")
    def _():
        held = []
        try:
            for _ in range(32):
                c = Openclaw(gw, source="127.0.0.9").open()
                held.append(c)
            with Conn(gw, source="127.0.0.9") as c:
                status, headers, body = c.http(c.head())
                equal(status, 503)
                equal(body.strip(), b"Too many unauthenticated sockets")
                equal(headers["connection"].lower(), "close")
            with Openclaw(gw, source="127.0.0.8") as c:
                c.hello()
        finally:
            for c in held:
                c.sock.close()

    @check("wire 2: what ended before connect frees its place")
    def _():
        for _ in range(70):
            with Openclaw(gw, source="127.0.0.7") as c:
                c.open()
                c.send_frame(8, b"\x03\xe8")
                c.closed()

    @check("wire 2: who said hello does not count as a stranger")
    def _():
        held = []
        try:
            for _ in range(40):
                held.append(Openclaw(gw, source="127.0.0.6").hello())
        finally:
            for c in held:
                c.sock.close()

    @check("AB-011: after all that a plain client works")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            equal(c.call("health")[0], True)

finish()
