#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Peers that send nothing, drip, do not read, or ask for too much: AB-001..003,
AB-012, AB-023, AB-027. Others must not notice."""
import json
import select
import socket
import ssl
import struct
import time

from gateway import Gateway, check, equal, finish
from ws import CLOSE, PING, TEXT, Closed, Conn, Gone, Openclaw

DEADLINE_MS = 1500


def all_closed(socks, seconds):
    """Whether the server ends every one of these sockets in that time."""
    end = time.monotonic() + seconds
    left = set(socks)
    while left and time.monotonic() < end:
        ready, _, _ = select.select(left, [], [], end - time.monotonic())
        for s in ready:
            try:
                if not s.recv(65536):
                    left.discard(s)
            except OSError:
                left.discard(s)
    return not left


def some(sock, data):
    """How much of it went; over TLS a socket that is ready may take none."""
    try:
        return sock.send(data)
    except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
        return 0


def whole(c):
    """The next message of what was read already, or None."""
    if len(c.buf) < 2:
        return None
    n, at = c.buf[1] & 127, 2
    if n == 126:
        at = 4
    elif n == 127:
        at = 10
    if len(c.buf) < at:
        return None
    if at > 2:
        n = int.from_bytes(c.buf[2:at], "big")
    if len(c.buf) < at + n:
        return None
    opcode, data = c.buf[0] & 15, c.buf[at:at + n]
    c.buf = c.buf[at + n:]
    if opcode == CLOSE:
        raise Closed(struct.unpack(">H", data[:2])[0], data[2:].decode())
    return json.loads(data) if opcode == TEXT else {"event": "control"}


with Gateway(config={"gateway": {"limits": {
        "handshakeTimeoutMs": DEADLINE_MS}}}) as gw, \
        Openclaw(gw, deadline=300) as op:
    op.hello(scopes=())		# health alone, and no events of sessions

    @check("AB-001: 900 silent TCP connections end; others are served")
    def _():
        socks = []
        try:
            for i in range(900):
                s = socket.socket()
                s.bind((f"127.0.1.{i % 200 + 1}", 0))
                s.connect(("127.0.0.1", gw.port))
                socks.append(s)
            equal(op.call("health")[0], True)
            equal(all_closed(socks, 20), True)
            with Openclaw(gw, source="127.0.0.5") as c:
                c.hello()
        finally:
            for s in socks:
                s.close()

    @check("AB-002: a head that drips is cut at the deadline, from accept")
    def _():
        with Conn(gw) as c:
            began = time.monotonic()
            c.send(b"GET / HTTP/1.1\r\n")
            while time.monotonic() - began < 20:
                try:
                    c.send(b"X-A: b\r\n")
                    c.sock.settimeout(0.2)
                    if not c.sock.recv(4096):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            else:
                raise AssertionError("still open after 20 s")

    @check("AB-003: upgraded and silent, or dripping: closed at the deadline")
    def _():
        with Openclaw(gw) as silent, Openclaw(gw) as drip:
            silent.open()
            drip.open()
            frame = drip.frame(TEXT, b"{" + b" " * 200)
            for i in range(len(frame)):
                try:
                    drip.send(frame[i:i + 1])
                    drip.sock.settimeout(0.1)
                    if drip.sock.recv(4096):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            equal(silent.closed(), (1000, ""))

    @check("AB-023: 20,000 requests without reading: bounded, all answered")
    def _():
        before = gw.rss_kib()
        with Openclaw(gw) as c:
            c.hello()
            total, sent, got = 20000, 0, 0
            block = [c.frame(TEXT, json.dumps(c.request(f"q{i}", "health")))
                     for i in range(total)]
            c.sock.setblocking(False)
            out = b"".join(block)
            at = 0
            stalled = 0
            while at < len(out) and stalled < 5:
                _, w, _ = select.select([], [c.sock], [], 0.2)
                if not w:
                    stalled += 1
                    continue
                stalled = 0
                at += some(c.sock, out[at:at + 65536])
            grown = gw.rss_kib() - before
            if grown > 98304:
                raise AssertionError(f"grew by {grown} KiB")
            equal(op.call("health")[0], True)
            left = {f"q{i}" for i in range(total)}
            while left:
                r, w, _ = select.select(
                    [c.sock], [c.sock] if at < len(out) else [], [], 30)
                if not r and not w:
                    raise AssertionError(f"{len(left)} answers are missing")
                if w:
                    at += some(c.sock, out[at:at + 65536])
                if r:
                    try:
                        data = c.sock.recv(1 << 20)
                    except ssl.SSLWantReadError:
                        continue        # half a record is no data yet
                    if not data:
                        raise AssertionError(f"ended, {len(left)} missing")
                    c.buf += data
                while True:
                    f = whole(c)
                    if f is None:
                        break
                    if "event" not in f:
                        left.remove(f["id"])

    @check("AB-027: a page of history stays within its limit")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            equal(c.call("chat.send", {
                "sessionKey": "agent:main:big", "message": "/help",
                "idempotencyKey": "first"})[0], True)
            c.event("chat", lambda p: p["state"] == "final")
            for i in range(12):
                ok, _, e = c.call("chat.inject", {
                    "sessionKey": "agent:main:big", "message": f"{i} " + "y" * 1000000})
                equal((ok, e), (True, None))
            c.events = []
            c.send_json(c.request("big", "chat.history",
                                    {"sessionKey": "agent:main:big", "limit": 1000}))
            while True:
                text = c.recv()
                f = json.loads(text)
                if "event" not in f:
                    break
        equal(f["ok"], True)
        if len(text) > 26214400:
            raise AssertionError(f"{len(text)} bytes in one answer")
        equal(len(f["payload"]["messages"]) >= 1, True)

    @check("AB-012: who does not read is closed 1008 slow consumer; others not")
    def _():
        before = gw.rss_kib()
        numbers, peak, is_over = [], 0, False
        with Openclaw(gw) as slow, Openclaw(gw) as well:
            slow.hello()
            well.hello()
            for c in (slow, well):
                c.call("sessions.messages.subscribe", {"key": "agent:main:big"})
            for _ in range(200):
                ok, _, e = well.call("chat.inject", {
                    "sessionKey": "agent:main:big", "message": "z" * 500000})
                equal((ok, e), (True, None))
                numbers += [e["seq"] for e in well.events if "seq" in e]
                well.events = []
                # What was queued for it is let go at the moment it is closed;
                # it has a second from then to read why. A sanitizer keeps
                # freed memory: there its end is all that can be seen.
                if gw.is_sanitized():
                    try:
                        slow.send_frame(PING)
                    except OSError:
                        is_over = True
                        break
                else:
                    peak = max(peak, gw.rss_kib())
                    if gw.rss_kib() < peak - 15000:
                        break
            grown = gw.rss_kib() - before
            if grown > 262144:
                raise AssertionError(f"grew by {grown} KiB")
            equal(well.call("health")[0], True)
            if not is_over:
                equal(slow.closed(), (1008, "slow consumer"))
            equal(numbers, list(range(1, len(numbers) + 1)))

    @check("AB-012: a half-closed connection is let go")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            c.sock.shutdown(socket.SHUT_WR)
            equal(all_closed([c.sock], 20), True)

    @check("after all that the first connection works")
    def _():
        op.events = []
        equal(op.call("health")[0], True)

TOTAL = 4 << 20

with Gateway(config={"gateway": {"limits": {
        "maxBufferedTotalBytes": TOTAL}}}) as gw, \
        Openclaw(gw, deadline=300) as op:
    op.hello(scopes=())		# or it would be one who does not read

    @check("AB-012: the queues of all have a ceiling: who does not read goes")
    def _():
        with Openclaw(gw) as slow, Openclaw(gw) as well:
            # Little is left to the kernel, so that it is the gateway's.
            slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            for c in (slow, well):
                c.hello()
                c.call("sessions.messages.subscribe", {"key": "agent:main:all"})
            equal(well.call("chat.send", {
                "sessionKey": "agent:main:all", "message": "/help",
                "idempotencyKey": "first"})[0], True)
            well.event("chat", lambda p: p["state"] == "final")
            # Far less than the 50 MiB that one alone may have.
            for _ in range(32):
                ok, _, e = well.call("chat.inject", {
                    "sessionKey": "agent:main:all", "message": "z" * 500000})
                equal((ok, e), (True, None))
                well.events = []
            try:
                end = slow.closed()
            except (Gone, OSError):
                end = (1008, "slow consumer")	# it came too late to read it
            equal(end, (1008, "slow consumer"))
            equal(well.call("health")[0], True)
        equal(op.call("health")[0], True)

    @check("AB-012: a call that would exceed it alone is the end of its caller")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            c.send_json(c.request("big", "chat.history", {
                "sessionKey": "agent:main:all", "limit": 1000}))
            equal(c.closed(), (1008, "slow consumer"))
        equal(op.call("health")[0], True)

finish()
