# SPDX-License-Identifier: MIT
"""A chelad under test, and the counting of checks."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid

from ws import DEADLINE

BUILD = os.environ.get("CHELA_BUILD", ".")
SOURCE = os.environ.get("CHELA_SOURCE", "../..")

_count = {"passed": 0, "failed": 0}
_checks = []


def chelad():
    for name in (os.environ.get("CHELAD"), f"{BUILD}/core/daemon/chelad",
                 f"{BUILD}/chelad"):
        if name and os.path.exists(name):
            return name
    raise SystemExit(f"no chelad in {BUILD}")


class Gateway:
    def __init__(self, config=None, args=(), env=None, token=None,
                 plugin_dirs=None):
        self.dir = tempfile.mkdtemp(prefix="chela-wire-")
        self.state = os.path.join(self.dir, "state")
        os.mkdir(self.state, 0o700)
        self.config = os.path.join(self.dir, "chela.json")
        config = config or {}
        if os.environ.get("CHELA_WIRE_TLS"):
            config.setdefault("gateway", {}).setdefault("tls",
                                                        {"enabled": True})
        self.is_tls = config.get("gateway", {}).get("tls", {}).get(
            "enabled", False)
        with open(self.config, "w", encoding="utf-8") as f:
            json.dump(config, f)
        os.chmod(self.config, 0o600)
        self.token = token or "t-" + uuid.uuid4().hex
        self.args, self.env = list(args), env or {}
        self.plugin_dirs = plugin_dirs or [f"{BUILD}/plugins"]
        self.log = ""
        self.ended = False	# the test itself ended it
        self.changed = threading.Condition()
        self.reader = None

    def __enter__(self):
        # Started again: what the one before had to say is all there.
        if self.reader is not None:
            self.reader.join(DEADLINE)
        self.log = ""
        env = {k: v for k, v in os.environ.items()
               if not re.match(r"CHELA_(CONFIG|STATE_DIR|PASSWORD)|OPENCLAW_", k)}
        env.update({"HOME": self.dir, "CHELA_TOKEN": self.token, **self.env})
        env = {k: v for k, v in env.items() if v is not None}
        if self.is_tls:
            # Sessions come and go by the thousand; what a sanitizer keeps of
            # the dead ones would be taken for memory that is in use.
            env["ASAN_OPTIONS"] = ":".join(filter(None, (
                env.get("ASAN_OPTIONS"), "quarantine_size_mb=4")))
        argv = [chelad(), "--config", self.config, "--state-dir", self.state,
                "--port", "0", "--schema-dir",
                os.environ.get("CHELA_SCHEMAS", f"{SOURCE}/schemas")]
        for d in self.plugin_dirs:
            argv += ["--plugin-dir", d]
        self.proc = subprocess.Popen(
            argv + self.args, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace")
        self.pid = self.proc.pid
        self.ended = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        m = self.logged(r"listening on wss?://\S+?:(\d+)\s")
        self.port = int(m.group(1))
        return self

    def _read(self):
        for line in self.proc.stderr:
            with self.changed:
                self.log += line
                self.changed.notify_all()
        self.proc.wait()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def logged(self, pattern):
        """Waits for a line of the log; the match."""
        end = time.monotonic() + DEADLINE
        with self.changed:
            while True:
                m = re.search(pattern, self.log)
                if m:
                    return m
                # Not before its last words are here.
                if self.ended:
                    raise RuntimeError(f"chelad ended:\n{self.log[-3000:]}")
                if not self.changed.wait(end - time.monotonic()):
                    raise TimeoutError(f"no {pattern!r} in:\n{self.log[-2000:]}")

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def is_sanitized(self):
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as f:
            return "libasan" in f.read()

    def __exit__(self, *exc):
        """Ends it. What a sanitizer says, or a status other than 0, is a
        failed check: the daemon must end cleanly whatever was sent."""
        name = "the daemon lived to its SIGTERM and ended with 0"
        alive = self.proc.poll() is None
        if alive:
            self.proc.send_signal(signal.SIGTERM)
        try:
            code = self.proc.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            code = "killed: it did not end"
        shutil.rmtree(self.dir, ignore_errors=True)
        if (alive or self.ended) and code == 0:
            _result(True, name)
        else:
            _result(False, name, f"alive {alive}, status {code}\n"
                    f"{self.log[-4000:]}")
        return False


def _result(ok, name, why=""):
    _count["passed" if ok else "failed"] += 1
    n = _count["passed"] + _count["failed"]
    print(f"{'ok' if ok else 'not ok'} {n} - {name}", flush=True)
    if not ok:
        for line in why.strip().split("\n")[-25:]:
            print(f"  # {line}", flush=True)


def check(name, *args):
    """Decorator: runs the function at once, counts and prints the outcome."""
    def run(fn):
        began = time.monotonic()
        try:
            fn(*args)
        except Exception:
            _result(False, name, traceback.format_exc())
        else:
            took = time.monotonic() - began
            _result(True, name + (f" # {took:.1f} s" if took > 2 else ""))
        return fn
    return run


def equal(got, want):
    if got != want:
        raise AssertionError(f"got {got!r}\nwant {want!r}")


def matches(text, pattern):
    if not re.search(pattern, text):
        raise AssertionError(f"got {text!r}\nwant /{pattern}/")


def finish():
    print(f"# {_count['passed']} passed, {_count['failed']} failed")
    sys.exit(0 if _count["failed"] == 0 and _count["passed"] > 0 else 1)
