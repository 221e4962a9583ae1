#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A second peer that we did not write: the Python package websockets."""
import asyncio
import json
import sys

try:
    import websockets
except ImportError:
    print("python3-websockets is not installed")
    sys.exit(77)

from gateway import Gateway, check, equal, finish
from ws import DEADLINE, Openclaw


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, DEADLINE))


class Fake:
    """What connect_params() needs of a connection."""
    def __init__(self, gw):
        self.gateway = gw


def params(gw):
    fake = Fake(gw)
    fake.scopes_of = Openclaw.scopes_of
    return Openclaw.connect_params(fake)


async def connected(gw, **options):
    ws = await websockets.connect(f"ws://127.0.0.1:{gw.port}/", **options)
    challenge = json.loads(await ws.recv())
    equal(challenge["event"], "connect.challenge")
    await ws.send(json.dumps({"type": "req", "id": "c", "method": "connect",
                              "params": params(gw)}))
    equal((await answer(ws, "c"))["ok"], True)
    return ws


async def answer(ws, ident):
    while True:
        f = json.loads(await ws.recv())
        if f.get("id") == ident:
            return f


with Gateway() as gw:
    @check("websockets: connect, call, close")
    def _():
        async def go():
            ws = await connected(gw)
            await ws.send(json.dumps({"type": "req", "id": "1",
                                      "method": "health"}))
            equal((await answer(ws, "1"))["ok"], True)
            await ws.close(1000, "done")
            equal(ws.close_code, 1000)
        run(go())

    @check("websockets: its offer of compression is declined")
    def _():
        async def go():
            ws = await connected(gw, compression="deflate")
            equal(ws.extensions, [])
            await ws.close()
        run(go())

    @check("websockets: a message in many fragments, ping in between")
    def _():
        async def go():
            ws = await connected(gw)
            text = json.dumps({"type": "req", "id": "f", "method": "health"})

            async def pieces():
                for ch in text:
                    yield ch
            await ws.send(pieces())
            equal((await answer(ws, "f"))["ok"], True)
            await (await ws.ping(b"x" * 125))
            await ws.close()
        run(go())

    @check("websockets: 100 connections at a time, 20 calls each")
    def _():
        async def one(n):
            ws = await connected(gw)
            for i in range(20):
                await ws.send(json.dumps({"type": "req", "id": f"{n}-{i}",
                                          "method": "agent.identity.get"}))
            left = {f"{n}-{i}" for i in range(20)}
            while left:
                f = json.loads(await ws.recv())
                if f["type"] == "res":
                    equal(f["ok"], True)
                    left.remove(f["id"])
            await ws.close()

        async def go():
            some = asyncio.Semaphore(16)

            async def bounded(n):
                async with some:
                    await one(n)
            await asyncio.gather(*(bounded(n) for n in range(100)))
        run(go())

    @check("AB-129 websockets: shutdown event, then 1012 service restart")
    def _():
        async def go():
            ws = await connected(gw)
            gw.ended = True
            gw.proc.terminate()
            names = []
            try:
                while True:
                    f = json.loads(await ws.recv())
                    names.append((f.get("event"), f.get("payload")))
            except websockets.ConnectionClosed:
                pass
            equal(("shutdown", {"reason": "gateway stopping"}) in names, True)
            equal((ws.close_code, ws.close_reason), (1012, "service restart"))
        run(go())
        equal(gw.proc.wait(DEADLINE), 0)

finish()
