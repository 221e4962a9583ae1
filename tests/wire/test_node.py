#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""chela-node against chelad: paired, approved, asked, restarted, killed
(AB-066, AB-080, AB-082, AB-086, AB-087, AB-131)."""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from gateway import BUILD, Gateway, check, equal, finish, matches
from ws import DEADLINE, Native


def url_of(gate):
    return f"{'wss' if gate.is_tls else 'ws'}://127.0.0.1:{gate.port}"


class Again(Gateway):
    """A gateway that can be stopped and started on its port."""

    def restart(self):
        self.proc.send_signal(signal.SIGTERM)
        equal(self.proc.wait(DEADLINE), 0)
        if "--port" not in self.args:
            self.args += ["--port", str(self.port)]
        self.log = ""
        self.__enter__()


class Node:
    """A chela-node and its log."""

    def __init__(self, gw, folder, token=True, args=(), path=""):
        env = {"PATH": path + os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8",
               "SECRET_OF_MINE": "do-not-show", "LD_DEBUG_OUTPUT": "/x"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        if token:
            env["CHELA_TOKEN"] = gw.token
        argv = [f"{BUILD}/chela-node", "--url", url_of(gw),
                "--state-dir", f"{folder}/node", "--name", "box", *args]
        self.proc = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace")
        self.log = ""
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.proc.stderr:
            with self.changed:
                self.log += line
                self.changed.notify_all()
        self.proc.wait()
        with self.changed:
            self.changed.notify_all()

    def logged(self, pattern, times=1):
        end = time.monotonic() + DEADLINE
        with self.changed:
            while len(re.findall(pattern, self.log)) < times:
                if self.proc.poll() is not None:
                    raise RuntimeError(f"chela-node ended:\n{self.log}")
                if not self.changed.wait(end - time.monotonic()):
                    raise TimeoutError(f"no {pattern!r} in:\n{self.log}")

    def end(self, sig=signal.SIGTERM):
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
        return self.proc.wait(DEADLINE)


def call(op, method, params=None):
    ok, result, error = op.call(method, params)
    if not ok:
        raise AssertionError(f"{method}: {error}")
    return result


def invoke(op, node, command, params, **more):
    return op.call("node.invoke", {
        "nodeId": node, "command": command, "params": params,
        "idempotencyKey": os.urandom(8).hex(), **more})


def run(op, node, argv, **params):
    ok, result, error = invoke(op, node, "system.run",
                               {"command": argv, **params})
    if not ok:
        raise AssertionError(error)
    return result["payload"]


def chela(*args, status=0):
    """The command; its standard output."""
    env = {"PATH": os.environ["PATH"], "HOME": folder, "CHELA_TOKEN": gw.token,
           "CHELA_URL": url_of(gw)}
    r = subprocess.run([f"{BUILD}/chela", *args], env=env, text=True,
                       stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=DEADLINE, check=False)
    if r.returncode != status:
        raise AssertionError(f"{args}: {r.returncode}\n{r.stderr}")
    return r.stdout


def ended(group):
    """Waits for the end of all processes of a group."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                if int(f.read().rsplit(")", 1)[1].split()[2]) != group:
                    continue
            fd = os.pidfd_open(int(pid))
        except (OSError, UnicodeDecodeError):
            continue
        equal(select.select([fd], [], [], DEADLINE)[0], [fd])
        os.close(fd)


folder = tempfile.mkdtemp(prefix="chela-node-")
node = None
with Again() as gw:
    try:
        node = Node(gw, folder)
        node.logged("waits for approval")
        with Native(gw) as op:
            op.hello()
            pending = call(op, "node.pair.list")["pending"]
            who = pending[0]["nodeId"]

            @check("AB-066: what a node offers waits for an operator")
            def _():
                equal(len(pending), 1)
                equal("system.run" in pending[0]["commands"], True)
                row = call(op, "node.describe", {"nodeId": who})
                equal((row["commands"], row["approvalState"]),
                      ([], "pending-approval"))
                equal((row["displayName"], row["connected"], row["paired"]),
                      ("box", True, True))
                ok, _, e = invoke(op, who, "system.run", {"command": ["id"]})
                equal((ok, e["code"]), (False, "INVALID_REQUEST"))
                equal(e["details"]["reason"], "command not approved")

            @check("key and token of the node are its own alone")
            def _():
                for name in ("identity.pem", "device-token"):
                    st = os.stat(f"{folder}/node/{name}")
                    equal(oct(st.st_mode & 0o777), "0o600")
                equal(oct(os.stat(f"{folder}/node").st_mode & 0o777), "0o700")

            @check("approved, it works on the same connection")
            def _():
                asked = json.loads(chela("nodes", "pending", "--json"))
                equal(asked[0]["requestId"], pending[0]["requestId"])
                matches(chela("nodes"), r"box +yes +pending-approval")
                chela("nodes", "approve", asked[0]["requestId"])
                node.logged("approved; the gateway may ask")
                got = run(op, who, ["uname", "-s"])
                equal((got["stdout"], got["exitCode"], got["success"]),
                      ("Linux\n", 0, True))

            @check("chela nodes: by name and by the start of an id")
            def _():
                matches(chela("nodes", "list"), r"box +yes +approved +fs\.")
                got = json.loads(chela("nodes", "invoke", "box", "system.run",
                                       '{"command":["uname","-s"]}'))
                equal(got["stdout"], "Linux\n")
                chela("nodes", "rename", who[:12], "attic")
                matches(chela("nodes", "describe", "attic"),
                        r"(?s)connected: *yes.*may do: *fs.listDir system")
                got = json.loads(chela(
                    "call", "node.invoke", json.dumps({
                        "nodeId": who, "command": "system.run",
                        "params": {"command": ["uname", "-s"]},
                        "idempotencyKey": "cli"})))
                equal(got["payload"]["stdout"], "Linux\n")
                chela("nodes", "describe", "cellar", status=1)
                chela("nodes", "approve", "no-such", status=1)
                chela("nodes", "fly", status=64)

            @check("AB-082: the argv is what is run, without a shell")
            def _():
                got = run(op, who, ["printf", "[%s]", "*", "$HOME", "a b",
                                    "`id`", "-n", "", "'\"\n"])
                equal(got["stdout"], "[*][$HOME][a b][`id`][-n][]['\"\n]")
                ok, _, e = invoke(op, who, "system.run",
                                  {"command": "echo one string"})
                equal((ok, e["code"]), (False, "INVALID_REQUEST"))
                ok, _, e = invoke(op, who, "system.run",
                                  {"command": ["./uname"]})
                equal((ok, e["code"]), (False, "UNAVAILABLE"))

            @check("AB-086: the environment is an allow-list")
            def _():
                out = run(op, who, ["env"], env={"LANG": "C",
                                                 "TERM": "dumb"})["stdout"]
                equal("TERM=dumb" in out and "LANG=C\n" in out, True)
                for secret in (gw.token, "do-not-show", "LD_DEBUG", "CHELA"):
                    equal(secret in out, False)
                for name in ("LD_PRELOAD", "PATH", "BASH_ENV", "HOME",
                             "GIT_SSH_COMMAND", "PYTHONPATH"):
                    ok, _, e = invoke(op, who, "system.run", {
                        "command": ["env"], "env": {name: "x"}})
                    equal((ok, e["details"]["nodeError"]["code"]),
                          (False, "INVALID_REQUEST"))

            @check("AB-087: time and output are bounded, the group goes")
            def _():
                got = run(op, who, ["sh", "-c", "echo $$; sleep 1000"],
                          timeoutMs=300)
                equal((got["timedOut"], got["success"]), (True, False))
                ended(int(got["stdout"]))
                got = run(op, who, ["sh", "-c",
                                    "head -c 300000 /dev/zero | tr '\\0' x"])
                equal((len(got["stdout"]), got["truncated"]), (200000, True))
                equal(got["exitCode"], 0)

            @check("system.which, fs.listDir, system.run.prepare")
            def _():
                ok, got, _ = invoke(op, who, "system.which",
                                    {"bins": ["sh", "no-such-thing"]})
                equal(ok, True)
                equal(list(got["payload"]["bins"]), ["sh"])
                os.makedirs(f"{folder}/a/.h/")
                os.makedirs(f"{folder}/a/b")
                ok, got, _ = invoke(op, who, "fs.listDir",
                                    {"path": f"{folder}/a/"})
                equal([e["name"] for e in got["payload"]["entries"]],
                      ["b", ".h"])
                equal(got["payload"]["parent"], folder)
                ok, got, _ = invoke(op, who, "system.run.prepare",
                                    {"command": ["echo", "a b"], "cwd": "/"})
                plan = got["payload"]["plan"]
                echo = shutil.which("echo")
                equal((plan["argv"], plan["commandText"], plan["cwd"]),
                      ([echo, "a b"], f"{echo} 'a b'", "/"))
                got = run(op, who, [echo, "a b"], cwd="/",
                          systemRunPlan=plan)
                equal(got["stdout"], "a b\n")

            @check("AB-080: an argv that is not the plan's is refused")
            def _():
                ok, _, e = invoke(op, who, "system.run", {
                    "command": ["echo", "b"],
                    "systemRunPlan": {"argv": ["echo", "a"]}})
                equal((ok, e["code"]), (False, "INVALID_REQUEST"))

            @check("AB-085: writing is not enough to run")
            def _():
                with Native(gw) as low:
                    low.hello(scopes=["write"])
                    ok, _, e = invoke(low, who, "system.run", {
                        "command": ["id"], "approved": True,
                        "runId": "made-up"})
                    equal((ok, e["code"]), (False, "FORBIDDEN"))

            @check("AB-080: people approve a plan, and that plan runs, once")
            def _():
                with Native(gw) as low, Native(gw) as judge:
                    low.hello(scopes=["write"], instance="low")
                    judge.hello(scopes=["approvals"],
                                capabilities=["exec-approvals"],
                                instance="judge")
                    low.send_json(low.request("r1", "node.invoke", {
                        "nodeId": who, "command": "system.run",
                        "params": {"command": ["uname", "-s"]},
                        "idempotencyKey": "r1"}))
                    asked = judge.event("exec.approval.requested")["data"]
                    equal(asked["request"]["nodeId"], who)
                    call(judge, "exec.approval.resolve",
                         {"id": asked["id"], "decision": "allow-once"})
                    ok, got, e = low.read_answer(low.answer("r1"))
                    equal((ok, e), (True, None))
                    equal(got["payload"]["stdout"], "Linux\n")
                    # Spent.
                    ok, _, e = invoke(low, who, "system.run", {
                        "command": ["uname", "-s"], "approvalId": asked["id"]})
                    equal((ok, e["code"]), (False, "FORBIDDEN"))
                    low.send_json(low.request("r2", "node.invoke", {
                        "nodeId": who, "command": "system.run",
                        "params": {"command": ["uname", "-r"]},
                        "idempotencyKey": "r2"}))
                    asked = judge.event("exec.approval.requested", lambda d:
                                        d["id"] != asked["id"])["data"]
                    call(judge, "exec.approval.resolve",
                         {"id": asked["id"], "decision": "deny"})
                    ok, _, e = low.read_answer(low.answer("r2"))
                    equal((ok, e["details"]["code"]),
                          (False, "APPROVAL_DENIED"))

            @check("exec.approvals.node.get and .set reach the node's file")
            def _():
                got = call(op, "exec.approvals.node.get", {"nodeId": who})
                equal(got["exists"], False)
                doc = {"version": 1, "defaults": {"security": "deny"}}
                got = call(op, "exec.approvals.node.set",
                           {"nodeId": who, "file": doc})
                ok, _, e = invoke(op, who, "system.run", {"command": ["id"]})
                equal(e["details"]["nodeError"]["code"], "SYSTEM_RUN_DENIED")
                ok, _, e = op.call("exec.approvals.node.set",
                                   {"nodeId": who, "file": doc})
                equal(ok, False)	# without the hash of what is there
                call(op, "exec.approvals.node.set", {
                    "nodeId": who, "file": {"version": 1},
                    "baseHash": got["hash"]})
                equal(run(op, who, ["uname", "-s"])["stdout"], "Linux\n")

        @check("the gateway goes and comes: the node is back by itself")
        def _():
            gw.restart()
            node.logged("approved; the gateway may ask", 2)
            with Native(gw) as op:
                op.hello()
                equal(call(op, "node.pair.list")["pending"], [])
                equal(run(op, who, ["uname", "-s"])["stdout"], "Linux\n")

        @check("AB-131: killed while it works: the caller hears it at once")
        def _():
            with Native(gw) as op:
                op.hello()
                times = len(re.findall("system.run\n", node.log))
                op.send_json(op.request("slow", "node.invoke", {
                    "nodeId": who, "command": "system.run",
                    "params": {"command": ["sleep", "30"],
                               "timeoutMs": 600000},
                    "timeoutMs": 600000, "idempotencyKey": "slow"}))
                node.logged("system.run\n", times + 1)
                began = time.monotonic()
                node.end(signal.SIGKILL)
                ok, _, e = op.read_answer(op.answer("slow"))
                equal(time.monotonic() - began < 5, True)
                equal((ok, e["code"]), (False, "UNAVAILABLE"))
                equal(e["details"]["nodeError"]["code"], "DISCONNECTED")
                row = call(op, "node.describe", {"nodeId": who})
                equal(row["connected"], False)
                ok, _, e = invoke(op, who, "system.which", {"bins": []})
                equal(e["details"]["code"], "NOT_CONNECTED")

        @check("it comes back with its own token, the same node")
        def _():
            global node
            node = Node(gw, folder, token=False)
            node.logged("approved; the gateway may ask")
            with Native(gw) as op:
                op.hello()
                rows = call(op, "node.list")["nodes"]
                equal([(r["nodeId"], r["connected"]) for r in rows],
                      [(who, True)])

        @check("AB-131: a second one with the same key takes its place")
        def _():
            second = Node(gw, folder, token=False)
            second.logged("approved; the gateway may ask")
            with Native(gw) as op:
                op.hello()
                rows = call(op, "node.list")["nodes"]
                equal(len(rows), 1)
                equal(run(op, who, ["uname", "-s"])["stdout"], "Linux\n")
                second.logged("system.run\n")
            equal(second.end(), 0)

        @check("AB-081: a list of programs does not speak for wrappers")
        def _():
            place = f"{folder}/strict"
            os.makedirs(f"{place}/node", 0o700)
            os.mkdir(f"{place}/bin")
            for name, target in (("id", "true"), ("link", "env")):
                os.symlink(shutil.which(target), f"{place}/bin/{name}")
            with open(f"{place}/node/exec-approvals.json", "w",
                      encoding="utf-8") as f:
                json.dump({"version": 1, "agents": {"*": {"allowlist": [
                    {"pattern": p} for p in (
                        "uname", shutil.which("uname"), shutil.which("env"),
                        shutil.which("sh"), shutil.which("xargs"),
                        shutil.which("id"), f"{place}/bin/link")]}}}, f)
            strict = Node(gw, place, args=["--exec", "allowlist"],
                          path=f"{place}/bin:.:")
            strict.logged("waits for approval")
            try:
                with Native(gw) as op:
                    op.hello()
                    asked = call(op, "node.pair.list")["pending"][0]
                    it = asked["nodeId"]
                    call(op, "node.pair.approve",
                         {"requestId": asked["requestId"]})
                    equal(run(op, it, ["uname", "-s"])["stdout"], "Linux\n")
                    # The third is a look-alike that comes first in PATH.
                    for argv in (["env", "uname"], ["sh", "-c", "uname"],
                                 ["id"], ["xargs", "uname"], ["link", "uname"],
                                 ["ls"], [shutil.which("env"), "-S", "uname"]):
                        ok, _, e = invoke(op, it, "system.run",
                                          {"command": argv})
                        equal((argv, ok), (argv, False))
                        equal(e["details"]["nodeError"]["code"],
                              "SYSTEM_RUN_DENIED")
                    # People said yes to this very plan.
                    got = run(op, it, ["env", "uname", "-s"], systemRunPlan={
                        "argv": ["env", "uname", "-s"]})
                    equal(got["stdout"], "Linux\n")
                    call(op, "node.pair.remove", {"nodeId": it})
            finally:
                strict.end()

        @check("removed, it is out at once and its token is worth nothing")
        def _():
            with Native(gw) as op:
                op.hello()
                node.end()
                third = Node(gw, folder, token=False)
                third.logged("approved; the gateway may ask")
                call(op, "node.pair.remove", {"nodeId": who})
                equal(third.proc.wait(DEADLINE), 2)
                rows = call(op, "node.list")["nodes"]
                equal(rows, [])
    finally:
        if node is not None:
            node.end()

if not gw.is_tls:
    with Gateway({"gateway": {"tls": {"enabled": True}}}) as gw:
        finger = gw.logged(r"fingerprint (sha256:[0-9a-f]{64})").group(1)

        @check("over TLS: the right certificate, and no other")
        def _():
            place = f"{folder}/tls"
            os.mkdir(place)
            bad = Node(gw, place, args=["--tls-fingerprint",
                                        "sha256:" + "0" * 64])
            equal(bad.proc.wait(DEADLINE), 2)
            good = Node(gw, place, args=["--tls-fingerprint", finger])
            good.logged("waits for approval")
            equal(good.end(), 0)

shutil.rmtree(folder, ignore_errors=True)
finish()
