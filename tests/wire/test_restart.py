# SPDX-License-Identifier: MIT
"""A restart is not seen by those who connect while it happens; a suspension
stops new work and nothing else (AB-129, AB-130)."""
import http.client
import os
import threading
import time

from gateway import Gateway, check, equal, finish, matches
from ws import DEADLINE, Closed, Gone, Openclaw, Wrong

CLIENTS = 200
RESTARTS = 3


class Crowd:
    """Threads that connect over and over, each from an address of its own."""

    def __init__(self, gateway, n):
        self.gateway = gateway
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.n_in = self.n_closed = self.n_503 = 0
        self.bad = []
        self.threads = [threading.Thread(target=self.run, args=(i,))
                        for i in range(n)]
        for t in self.threads:
            t.start()

    def once(self, source):
        step = "connect"
        try:
            with Openclaw(self.gateway, source=source) as c:
                step = "upgrade"
                status, _, body = c.http(c.head())
                if status == 503 and b"admission closed" in body:
                    return "n_503"
                if status != 101:
                    raise Wrong(f"{status} {body!r}")
                step = "challenge"
                equal(c.json()["event"], "connect.challenge")
            return "n_in"
        except Closed as e:
            if (e.code, e.reason) == (1012, "service restart"):
                return "n_closed"
            raise
        except (Gone, OSError, Wrong) as e:
            raise RuntimeError(f"{step}: {e!r}") from e

    def run(self, i):
        while not self.stop.is_set():
            try:
                what = self.once(f"127.0.{1 + i // 250}.{1 + i % 250}")
                with self.lock:
                    setattr(self, what, getattr(self, what) + 1)
            except Exception as e:
                with self.lock:
                    self.bad.append(repr(e))
                return

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(DEADLINE)


def boot_id(welcome):
    return welcome["server"].get("bootId") or welcome["server"]["connId"]


def until_ready(g):
    """The new program answers: what is asked waits in the backlog."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            return Openclaw(g).hello()
        except (Closed, Gone, Wrong, ConnectionResetError):
            pass	# met the old one on its way out
    raise TimeoutError("nobody answers after the restart")


def restart(g, c, params=None):
    """Asks and reads to the end: (answer, shutdown event, close)."""
    ok, answer, error = c.call("gateway.restart.request", params or {})
    if not ok:
        raise Wrong(error)
    event = c.event("shutdown")["payload"]
    return answer, event, c.closed()


COOLDOWN_MS = 4000	# of the tests; thirty seconds otherwise
QUICK = {"plugins": {"entries": {"gateway": {"config": {
    "restartCooldownMs": COOLDOWN_MS}}}}}

with Gateway(config=QUICK) as g:
    @check("who the gateway is can be asked with any params")
    def _():
        with Openclaw(g).hello() as c:
            ok, one, _ = c.call("gateway.identity.get", {"what": 1})
            equal(ok, True)
            matches(one["deviceId"], "^[0-9a-f]{64}$")
            matches(one["publicKey"], "^[A-Za-z0-9_-]{43}$")
            equal(c.call("gateway.identity.get")[1], one)

    @check("nothing is under way: a restart is safe")
    def _():
        with Openclaw(g).hello() as c:
            ok, p, _ = c.call("gateway.restart.preflight", {})
            equal((ok, p["safe"], p["blockers"], p["counts"]["totalActive"]),
                  (True, True, [], 0))

    @check("a restart needs scope admin")
    def _():
        with Openclaw(g).hello(scopes=("read", "write")) as c:
            equal(c.call("gateway.restart.request", {})[2]["code"],
                  "FORBIDDEN")

    @check("a target that is not this gateway is refused")
    def _():
        with Openclaw(g).hello() as c:
            equal(c.call("gateway.restart.request", {"target": 1})[2]
                  ["message"], "invalid targeted gateway restart")
            owner = c.call("gateway.identity.get")[1]["deviceId"]
            target = {"pid": g.pid + 1, "port": g.port, "ownerId": owner}
            equal(c.call("gateway.restart.request", {"target": target})[2]
                  ["message"], "target gateway no longer owns the active lock")
            equal(c.call("gateway.restart.request", {"safe": True,
                  "target": dict(target, pid=g.pid), "restartIntent": {}})[2]
                  ["message"], "safe targeted restart does not accept intent")

    @check("suspended: only its end is served, and then everything again")
    def _():
        with Openclaw(g).hello() as c, Openclaw(g).hello(
                scopes=("read",)) as other:
            equal(other.welcome["snapshot"]["suspension"],
                  {"phase": "accepting"})
            equal(c.call("gateway.suspend.status", {"suspensionId": "x"})[1],
                  {"status": "running"})
            ok, one, error = c.call("gateway.suspend.prepare",
                                    {"requestId": "r1"})
            equal((ok, error), (True, None))
            equal((one["status"], one["activeCount"], one["blockers"]),
                  ("ready", 0, []))
            other.event("gateway.suspension",
                        lambda p: p == {"phase": "prepared"})
            # The same request renews it, another one is a conflict.
            again = c.call("gateway.suspend.prepare", {"requestId": "r1"})[1]
            equal(again["suspensionId"], one["suspensionId"])
            e = c.call("gateway.suspend.prepare", {"requestId": "r2"})[2]
            equal((e["code"], e["retryable"], e["details"]["reason"]),
                  ("UNAVAILABLE", True, "gateway-suspension-conflict"))
            e = other.call("sessions.list", {})[2]
            equal((e["code"], e["message"], e["retryable"], e["details"]),
                  ("UNAVAILABLE",
                   "sessions.list unavailable during gateway suspension", True,
                   {"method": "sessions.list", "reason": "gateway-suspending",
                    "phase": "prepared"}))
            e = c.call("gateway.restart.request", {})[2]
            equal((e["code"], e["details"]["reason"]),
                  ("UNAVAILABLE", "gateway-suspending"))
            # Newcomers: those who could end it, and nobody else.
            with Openclaw(g).open() as n:
                ok, _, e = n.call("connect", n.connect_params(
                    scopes=("read",)))
                equal((ok, e["code"], e["retryable"], e["retryAfterMs"],
                       e["details"]),
                      (False, "UNAVAILABLE", True, 1000,
                       {"method": "connect", "reason": "gateway-suspending",
                        "phase": "prepared"}))
                equal(n.closed(), (1013, "gateway suspension in progress"))
            with Openclaw(g).hello() as n:
                equal(n.welcome["snapshot"]["suspension"],
                      {"phase": "prepared"})
                equal(n.call("gateway.suspend.resume",
                             {"suspensionId": "x"})[2]["message"],
                      "gateway suspension id does not match")
                equal(n.call("gateway.suspend.resume",
                             {"suspensionId": one["suspensionId"]})[1],
                      {"ok": True, "status": "running", "resumed": True})
            other.events.clear()
            equal(other.call("sessions.list", {})[0], True)
            equal(c.call("gateway.suspend.resume",
                         {"suspensionId": one["suspensionId"]})[1]
                  ["resumed"], False)
            matches(c.call("gateway.suspend.status", {})[2]["message"],
                    "^invalid gateway.suspend.status params")

    @check("a suspension is handed to who ends this process, and no other")
    def _():
        with Openclaw(g).hello() as c:
            own = {"pid": g.pid, "processInstanceId":
                   c.call("system.info", {})[1]["processInstanceId"]}
            one = c.call("gateway.suspend.prepare", {"requestId": "h"})[1]
            ident = one["suspensionId"]

            def handoff(**over):
                return c.call("gateway.suspend.handoff", {
                    "suspensionId": ident, "target": dict(own, **over)})

            equal(handoff(pid=g.pid + 1)[2]["code"], "UNAVAILABLE")
            equal(handoff(processInstanceId="x")[2]["code"], "UNAVAILABLE")
            for _ in range(2):
                equal(handoff()[1], {"status": "armed", "suspensionId": ident,
                                     "expiresAtMs": one["expiresAtMs"]})
            # Who does not end it after all takes it back.
            equal(c.call("gateway.suspend.resume",
                         {"suspensionId": ident})[1]["resumed"], True)
            equal(handoff()[2]["message"],
                  "gateway suspension id does not match")

    @check(f"{CLIENTS} who connect during {RESTARTS} restarts are served")
    def _():
        c = Openclaw(g).hello()
        ok, made, error = c.call("sessions.create", {"key": "kept"})
        if not ok:
            raise Wrong(error)
        seen = {boot_id(c.welcome)}
        crowd = Crowd(g, CLIENTS)
        try:
            for i in range(RESTARTS):
                # Whatever is sent, it is a restart.
                answer, event, close = restart(
                    g, c, {"reason": i, "skipDeferral": True})
                equal((answer["ok"], answer["status"],
                       answer["restart"]["pid"]), (True, "scheduled", g.pid))
                wait = answer["restart"]["cooldownMsApplied"]
                equal((wait > 0, wait <= COOLDOWN_MS), (i > 0, True))
                equal(event, {"reason": "gateway restarting",
                              "restartExpectedMs": 1500})
                equal(close, (1012, "service restart"))
                c.sock.close()
                c = until_ready(g)
                seen.add(boot_id(c.welcome))
            g_ports = {int(line.rsplit(":", 1)[1]) for line in
                       g.log.splitlines() if "listening on" in line}
        finally:
            crowd.end()
        equal(crowd.bad, [])
        if crowd.n_in < CLIENTS:
            raise AssertionError(f"only {crowd.n_in} got in")
        print(f"  # in {crowd.n_in}, 1012 {crowd.n_closed}, "
              f"503 {crowd.n_503}")
        equal(g.proc.poll(), None)
        equal(g_ports, {g.port})
        equal(len(seen), RESTARTS + 1)
        rows = c.call("sessions.list", {})[1]["sessions"]
        equal(made["key"] in [row["key"] for row in rows], True)
        c.sock.close()

    @check("no descriptor is lost by a restart")
    def _():
        def n_sockets():
            n = 0
            for fd in os.listdir(f"/proc/{g.pid}/fd"):
                try:
                    name = os.readlink(f"/proc/{g.pid}/fd/{fd}")
                except FileNotFoundError:
                    continue
                n += not name.startswith("socket:")
            return n

        with Openclaw(g).hello() as c:
            c.call("health", {})
            before = n_sockets()
            restart(g, c, {"skipDeferral": True})
        with until_ready(g) as c:
            c.call("health", {})
            equal(n_sockets() <= before + 2, True)

    @check("what is under way is named, and drained")
    def _():
        with Openclaw(g).hello() as c, Openclaw(g) as asker, Openclaw(g) as a:
            a.hello(scopes=("approvals",), caps=["exec-approvals"])
            asker.hello(scopes=("approvals",))
            asker.send_json(asker.request("q", "exec.approval.request", {
                "command": "uname", "twoPhase": True}))
            equal(asker.answer("q")["payload"]["status"], "accepted")
            p = c.call("gateway.restart.preflight", {})[1]
            equal((p["safe"], p["counts"]["rootRequests"],
                   p["blockers"][0]["kind"]), (False, 1, "root-request"))
            busy = c.call("gateway.suspend.prepare", {"requestId": "r"})[1]
            equal((busy["status"], busy["reason"], busy["activeCount"]),
                  ("busy", "active-work", 1))
            one = c.call("gateway.suspend.prepare",
                         {"requestId": "r", "drain": True})[1]
            equal((one["status"], one["activeCount"]), ("draining", 1))
            ident = {"suspensionId": one["suspensionId"]}
            equal(c.call("gateway.suspend.status", ident)[1]["status"],
                  "draining")
            asker.sock.close()	# nobody waits for it any more
            c.event("gateway.suspension", lambda p: p["phase"] == "prepared")
            equal(c.call("gateway.suspend.status", ident)[1]["status"],
                  "ready")
            equal(c.call("gateway.suspend.resume", ident)[1]["resumed"], True)

    @check("a change of the configuration that needs a restart gets one")
    def _():
        c = Openclaw(g).hello()
        first = boot_id(c.welcome)
        base = c.call("config.get", {})[1]["hash"]
        ok, res, error = c.call("config.patch", {
            "raw": '{"gateway": {"port": 18790}}', "baseHash": base})
        if not ok:
            raise Wrong(error)
        equal(res["restart"]["ok"], True)
        c.event("shutdown")
        equal(c.closed(), (1012, "service restart"))
        c.sock.close()
        c = until_ready(g)
        equal(boot_id(c.welcome) == first, False)
        equal(c.call("config.get", {})[1]["config"]["gateway"]["port"], 18790)
        c.sock.close()

    @check("restarted, it is ready and serves probes")
    def _():
        h = http.client.HTTPConnection("127.0.0.1", g.port, timeout=DEADLINE)
        h.request("GET", "/readyz")
        equal(h.getresponse().status, 200)
        h.close()

finish()
