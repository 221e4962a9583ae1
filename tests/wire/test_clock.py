#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The wall clock jumps and the gateway goes on: what waits goes by the time that
passes (AB-118)."""
import os
import shlex
import shutil
import struct
import subprocess
import tempfile
import time

from gateway import BUILD, SOURCE, Gateway, check, equal, finish
from ws import DEADLINE, Openclaw

DAY = 86400_000
YEAR = 365 * DAY
JUMPS = (("a day on", DAY), ("a day back", -DAY), ("ten years on", 10 * YEAR),
         ("ten years back", -10 * YEAR), ("right again", 0))
HANDSHAKE_MS = 4000

tmp = tempfile.mkdtemp(prefix="chela-clock-")
clock_file, shim = f"{tmp}/clock", f"{tmp}/wallclock.so"
subprocess.run(shlex.split(os.environ.get("CC", "cc")) + [
    "-shared", "-fPIC", "-O1", "-o", shim, f"{SOURCE}/tests/wire/wallclock.c",
    "-ldl"], check=True)


def jump(ms):
    with open(clock_file, "r+b") as f:
        f.write(struct.pack("=q", ms))


with open(clock_file, "wb") as f:
    f.write(struct.pack("=q", 0))

config = {"gateway": {
    "limits": {"handshakeTimeoutMs": HANDSHAKE_MS},
    "trustedProxies": ["127.0.0.1"],
    "auth": {"rateLimit": {"maxAttempts": 2, "lockoutMs": 600_000,
                           "windowMs": 600_000}}}}
# A sanitizer wants to be the first library; here it cannot be.
env = {"LD_PRELOAD": shim, "TEST_CLOCK": clock_file,
       "ASAN_OPTIONS": ":".join(filter(None, (
           os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))}

with Gateway(config=config, env=env) as gw:
    ops = Openclaw(gw).hello()

    def guess():
        with Openclaw(gw) as c:
            c.open(X_Forwarded_For="198.51.100.9")
            return c.call("connect", c.connect_params(token="wrong"))[2]

    def turn(key):
        ok, _, error = ops.call("chat.send", {
            "sessionKey": "main", "message": "/help", "idempotencyKey": key})
        if not ok:
            raise AssertionError(error)
        ops.event("chat", lambda p: p["runId"] == key and p["state"] == "final")

    def cpu_s():
        with open(f"/proc/{gw.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    for _ in range(2):
        equal(guess()["details"]["code"], "AUTH_TOKEN_MISMATCH")
    started = time.monotonic()

    for name, ms in JUMPS:
        @check(f"AB-118: {name}: who is in stays, works, is answered")
        def _():
            waits = Openclaw(gw).open()	# in its handshake
            lease = ops.call("gateway.suspend.prepare",
                             {"requestId": name})[1]
            equal(lease["status"], "ready")
            jump(ms)
            equal(ops.call("gateway.suspend.status", {
                "suspensionId": lease["suspensionId"]})[1]["status"], "ready")
            equal(ops.call("gateway.suspend.resume", {
                "suspensionId": lease["suspensionId"]})[1]["resumed"], True)
            # It really is another time over there.
            with Openclaw(gw).open() as c:
                there = c.challenge["payload"]["ts"] - time.time() * 1000
                equal(abs(there - ms) < 60_000, True)
            ok, _, error = waits.call("connect", waits.connect_params())
            equal((ok, error), (True, None))
            waits.sock.close()
            turn(name)

        @check(f"AB-118: {name}: a lockout stays as long as it was to be")
        def _():
            e = guess()
            equal(e["details"]["code"], "AUTH_RATE_LIMITED")
            passed = (time.monotonic() - started) * 1000
            left = e["retryAfterMs"]
            equal(600_000 - passed - 2000 < left <= 600_001, True)

        @check(f"AB-118: {name}: a client with another clock gets in")
        def _():
            home = f"{tmp}/home-{ms}"
            os.mkdir(home)
            node = subprocess.Popen(
                [f"{BUILD}/chela-node", "--url",
                 f"{'wss' if gw.is_tls else 'ws'}://127.0.0.1:{gw.port}",
                 "--state-dir", f"{home}/node"],
                env={**os.environ, "HOME": home, "CHELA_TOKEN": gw.token},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True)
            try:
                for line in node.stderr:
                    if "waits for approval" in line:
                        break
                else:
                    raise AssertionError("chela-node was not let in")
            finally:
                node.terminate()
                node.wait(DEADLINE)
                node.stderr.close()

    @check("AB-118: a handshake ends after the time that passed, not before")
    def _():
        for ms in (10 * YEAR, -10 * YEAR):
            jump(0)
            begin = time.monotonic()
            with Openclaw(gw).open() as c:
                jump(ms)
                c.closed()
            took = (time.monotonic() - begin) * 1000
            equal(took > HANDSHAKE_MS * 0.9, True)

    @check("AB-118: no timer ran wild")
    def _():
        spent, lived = cpu_s(), time.monotonic() - started
        print(f"  # {spent:.2f} s of CPU in {lived:.1f} s")
        equal(spent < lived / 2, True)

    ops.sock.close()

shutil.rmtree(tmp, ignore_errors=True)
finish()
