#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The frame layer of RFC 6455 as wire.md section 2 has it, with AB-005..010."""
import json
import struct

from gateway import Gateway, check, equal, finish, matches
from ws import (BINARY, CLOSE, CONT, PING, PONG, TEXT, Closed, Conn, Gone,
                Openclaw)

PREAUTH = 65536
POSTAUTH = 26214400


def closes(gw, code, send, hello=False, reason=None):
    """After send(connection) the server closes with this code."""
    with Openclaw(gw) as c:
        if hello:
            c.hello()
        else:
            c.open()
        send(c)
        got = c.closed()
        equal(got[0], code)
        if reason is not None:
            equal(got[1], reason)


def sized_request(method, size):
    """A request frame of exactly size bytes."""
    empty = json.dumps({"type": "req", "id": "s", "method": method,
                        "params": {"pad": ""}})
    return empty.replace('"pad": ""',
                         '"pad": "' + "x" * (size - len(empty)) + '"')


with Gateway() as gw:
    for opcode, name in ((TEXT, "text"), (BINARY, "binary")):
        @check(f"wire 2, AB-010: a {name} message is JSON")
        def _():
            with Openclaw(gw) as c:
                c.open()
                c.send_frame(opcode, json.dumps(
                    c.request("b", "connect", c.connect_params())))
                equal(c.answer("b")["ok"], True)
                c.send_frame(opcode, json.dumps(c.request("h", "health")))
                equal(c.answer("h")["ok"], True)

    @check("wire 2: a fragmented message, pings in between")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            text = json.dumps(c.request("f", "health")).encode()
            c.send_frame(TEXT, text[:5], fin=False)
            c.send_frame(PING, b"one")
            equal(c.pong(), b"one")
            c.send_frame(CONT, text[5:9], fin=False)
            c.send_frame(PONG, b"unasked")
            c.send_frame(CONT, b"", fin=False)
            c.send_frame(CONT, text[9:])
            equal(c.answer("f")["ok"], True)

    @check("wire 2: ping before and after hello: pong with the same body")
    def _():
        with Openclaw(gw) as c:
            c.open()
            for body in (b"", b"early", bytes(range(125))):
                c.send_frame(PING, body)
                equal(c.pong(), body)
            equal(c.call("connect", c.connect_params())[0], True)
            c.send_frame(PING, b"late")
            equal(c.pong(), b"late")

    @check("wire 2: bytes one at a time")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            for b in c.frame(TEXT, json.dumps(c.request("1", "health"))):
                c.send(bytes([b]))
            equal(c.answer("1")["ok"], True)

    @check("wire 2: 200 frames in one write")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            ids = [f"m{i}" for i in range(200)]
            c.send(b"".join(c.frame(TEXT, json.dumps(
                c.request(i, "health"))) for i in ids))
            left = set(ids)
            while left:
                f = c.json()
                if "event" not in f:
                    left.remove(f["id"])

    for code in (1000, 1001, 3000, 4999):
        @check(f"wire 2: the client's close {code} is echoed")
        def _():
            with Openclaw(gw) as c:
                c.hello()
                c.send_frame(CLOSE, struct.pack(">H", code) + b"bye")
                equal(c.closed()[0], code)

    @check("wire 2: a close without a code is answered by one")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            c.send_frame(CLOSE)
            equal(c.closed()[0] in (None, 1000), True)

    @check(f"wire 2: {PREAUTH} bytes before hello are accepted")
    def _():
        with Openclaw(gw) as c:
            c.open()
            c.send_frame(TEXT, sized_request("connect", PREAUTH))
            f = c.answer("s")
            equal(f["ok"], False)
            matches(f["error"]["message"], "^invalid connect params")

    @check(f"AB-005: {PREAUTH + 1} bytes before hello: 1009, nothing answered")
    def _():
        closes(gw, 1009, lambda c: c.send_frame(
            TEXT, sized_request("connect", PREAUTH + 1)), reason="")

    @check("AB-005: one fragment more than the limit before hello: 1009")
    def _():
        def send(c):
            c.send_frame(TEXT, b" " * PREAUTH, fin=False)
            c.send_frame(CONT, b" ")
        closes(gw, 1009, send)

    @check(f"wire 2: {POSTAUTH} bytes after hello are accepted")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            c.send_frame(TEXT, sized_request("config.get", POSTAUTH))
            f = c.answer("s")
            equal(f["ok"], False)
            matches(f["error"]["message"], "unexpected property 'pad'")

    @check(f"AB-005: {POSTAUTH + 1} bytes after hello: 1009 from the header")
    def _():
        closes(gw, 1009, lambda c: c.send_frame(TEXT, length=POSTAUTH + 1),
               hello=True)

    for length, code in ((2**63 - 1, 1009), (2**63, 1002), (2**64 - 1, 1002)):
        @check(f"AB-005: a header that declares {length}: {code}")
        def _():
            before = gw.rss_kib()
            closes(gw, code, lambda c: c.send_frame(
                TEXT, length=length, width=64))
            closes(gw, code, lambda c: c.send_frame(
                TEXT, length=length, width=64), hello=True)
            if gw.rss_kib() - before > 8192:
                raise AssertionError("memory was taken for it")

    broken = {
        "unmasked frame": lambda c: c.send_frame(TEXT, b"{}", masked=False),
        "opcode 3": lambda c: c.send_frame(3, b"{}"),
        "opcode 7": lambda c: c.send_frame(7, b"{}"),
        "opcode 11": lambda c: c.send_frame(11, b""),
        "opcode 15": lambda c: c.send_frame(15, b""),
        "RSV1": lambda c: c.send_frame(TEXT, b"{}", rsv=4),
        "RSV2": lambda c: c.send_frame(TEXT, b"{}", rsv=2),
        "RSV3": lambda c: c.send_frame(TEXT, b"{}", rsv=1),
        "RSV1 on a ping": lambda c: c.send_frame(PING, b"", rsv=4),
        "ping of 126 bytes": lambda c: c.send_frame(PING, b"x" * 126),
        "fragmented ping": lambda c: c.send_frame(PING, b"x", fin=False),
        "fragmented close": lambda c: c.send_frame(CLOSE, b"", fin=False),
        "continuation of nothing": lambda c: c.send_frame(CONT, b"{}"),
        "new message inside a fragmented one": lambda c: (
            c.send_frame(TEXT, b"{", fin=False), c.send_frame(TEXT, b"}")),
        "16-bit length for 125": lambda c: c.send_frame(
            TEXT, b" " * 125, width=16),
        "64-bit length for 65535": lambda c: c.send_frame(
            TEXT, b" " * 65535, width=64),
        "close body of one byte": lambda c: c.send_frame(CLOSE, b"\x03"),
        "close code 999": lambda c: c.send_frame(CLOSE, b"\x03\xe7"),
        "close code 1004": lambda c: c.send_frame(CLOSE, b"\x03\xec"),
        "close code 1005": lambda c: c.send_frame(CLOSE, b"\x03\xed"),
        "close code 1006": lambda c: c.send_frame(CLOSE, b"\x03\xee"),
        "close code 1015": lambda c: c.send_frame(CLOSE, b"\x03\xf7"),
        "close code 5000": lambda c: c.send_frame(CLOSE, b"\x13\x88"),
    }
    for name, send in broken.items():
        for hello in (False, True):
            @check(f"AB-009: {name} {'after' if hello else 'before'} hello: "
                   "1002")
            def _():
                closes(gw, 1002, send, hello=hello)

    utf8 = {
        "overlong": b'{"a":"\xc0\xaf"}',
        "surrogate": b'{"a":"\xed\xa0\x80"}',
        "above 10FFFF": b'{"a":"\xf4\x90\x80\x80"}',
        "cut at the end": b'{"a":"\xe2\x82',
        "lone continuation": b'{"a":"\x80"}',
    }
    for name, data in utf8.items():
        @check(f"AB-010, AB-021: UTF-8 {name}: 1007, in one frame and in two")
        def _():
            closes(gw, 1007, lambda c: c.send_frame(TEXT, data))
            closes(gw, 1007, lambda c: c.send_frame(TEXT, data), hello=True)
            half = data.rindex(data[6:]) + 1

            def split(c):
                c.send_frame(TEXT, data[:half], fin=False)
                c.send_frame(CONT, data[half:])
            closes(gw, 1007, split)

    @check("AB-010: a character split between fragments is whole")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            text = json.dumps({"type": "req", "id": "\u20ac", "method":
                               "health"}, ensure_ascii=False).encode()
            at = text.index(b"\xe2\x82\xac") + 1
            c.send_frame(TEXT, text[:at], fin=False)
            c.send_frame(CONT, text[at:])
            equal(c.answer("\u20ac")["ok"], True)

    @check("AB-010: bad UTF-8 in a binary message is never taken as JSON")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            c.send_frame(BINARY, b'{"type":"req","id":"\xff","method":'
                         b'"health"}')
            c.send_frame(PING, b"after")
            try:
                equal(c.pong(), b"after")
                equal([e for e in c.events if "event" not in e], [])
            except Closed as e:
                equal(e.code, 1007)

    @check("AB-006: a message of 100,000 one-byte fragments: bounded")
    def _():
        before = gw.rss_kib()
        with Openclaw(gw) as c:
            c.hello()
            one = c.frame(CONT, b" ", fin=False)
            c.send_frame(TEXT, b" ", fin=False)
            try:
                for _ in range(100):
                    c.send(one * 1000)
                c.send_frame(CONT, b" ")
                c.send_frame(PING, b"end")
                c.pong()
            except Closed as e:
                equal(e.code in (1008, 1009), True)
            except (Gone, OSError):
                pass
        if gw.rss_kib() - before > 4096:
            raise AssertionError(f"grew by {gw.rss_kib() - before} KiB")

    @check("AB-006: endless empty fragments: bounded, others are served")
    def _():
        with Openclaw(gw) as c, Openclaw(gw) as other:
            c.hello()
            other.hello()
            c.send_frame(TEXT, b"", fin=False)
            block = c.frame(CONT, b"", fin=False) * 1000
            try:
                for _ in range(200):
                    c.send(block)
            except OSError:
                pass
            equal(other.call("health")[0], True)

    @check("AB-007: 200,000 pings unread: the queue is bounded")
    def _():
        before = gw.rss_kib()
        with Openclaw(gw) as c, Openclaw(gw) as other:
            c.hello()
            other.hello()
            c.sock.settimeout(2)
            block = c.frame(PING, b"p" * 125) * 1000
            try:
                for _ in range(200):
                    c.sock.sendall(block)
            except OSError:
                pass
            equal(other.call("health")[0], True)
            grown = gw.rss_kib() - before
            if grown > 8192:
                raise AssertionError(f"grew by {grown} KiB")

finish()
