#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Approvals and questions against the daemon: scopes, routes, one decision, and
the command that answers. AB-058, AB-084, AB-085."""
import json
import os
import subprocess

from gateway import BUILD, Gateway, check, equal, finish, matches
from ws import Openclaw

ADMIN = ["exec.approvals.get", "exec.approvals.set", "exec.approvals.node.get",
         "exec.approvals.node.set"]
APPROVALS = ["approval.get", "approval.resolve", "approval.history",
             "plugin.approval.list", "plugin.approval.request",
             "plugin.approval.waitDecision", "plugin.approval.resolve",
             "openclaw.approval.list", "exec.approval.request",
             "exec.approval.waitDecision", "exec.approval.resolve",
             "exec.approval.get", "exec.approval.list",
             "exec.approval.grants.list", "exec.approval.grants.revoke"]
QUESTIONS = ["question.request", "question.waitAnswer", "question.resolve",
             "question.get", "question.list"]
SCOPES = ["read", "write", "admin", "approvals", "questions", "pairing"]
# OpenClaw's clients may call these with members that nobody knows.
LISTS = ["plugin.approval.list", "openclaw.approval.list",
         "exec.approval.list"]


def chela(gw, *argv):
    env = dict(os.environ, HOME=gw.dir, CHELA_TOKEN=gw.token,
               CHELA_URL=f"ws://127.0.0.1:{gw.port}")
    return subprocess.run([f"{BUILD}/chela", *argv], env=env, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60, check=False)


def watch(gw):
    """chela approvals watch, once the gateway can ask it."""
    env = dict(os.environ, HOME=gw.dir, CHELA_TOKEN=gw.token,
               CHELA_URL=f"ws://127.0.0.1:{gw.port}")
    p = subprocess.Popen([f"{BUILD}/chela", "approvals", "watch"], env=env,
                         text=True, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE)
    matches(p.stdout.readline(), "^ID +KIND")
    return p


with Gateway() as gw:
    for scope in SCOPES:
        with Openclaw(gw) as c:
            c.hello(scopes=(scope,))

            @check(f"AB-058: what operator.{scope} may call of these groups")
            def _():
                for methods, need in ((ADMIN, "admin"),
                                      (APPROVALS, "approvals"),
                                      (QUESTIONS, "questions")):
                    for m in methods:
                        ok, res, e = c.call(m, {"x": 1})
                        if scope in (need, "admin") and m in LISTS:
                            equal((m, ok, res), (m, True, []))
                        elif scope in (need, "admin"):
                            equal((m, e["code"]), (m, "INVALID_REQUEST"))
                            matches(e["message"], "^invalid ")
                        else:
                            equal((m, e["code"]), (m, "FORBIDDEN"))
                            equal(e["details"]["missingScope"],
                                  f"operator.{need}")

    @check("clients.md 3: lists are bare arrays")
    def _():
        with Openclaw(gw) as c:
            c.hello(scopes=("approvals",))
            for m in LISTS:
                equal(c.call(m, {})[:2], (True, []))

    @check("no route: the answer is null at once, in two phases too")
    def _():
        with Openclaw(gw) as c, Openclaw(gw) as deaf:
            c.hello(scopes=("approvals",), caps=["approvals"])
            deaf.hello(scopes=("admin",))
            for more in ({}, {"twoPhase": True}):
                ok, res, _ = c.call("exec.approval.request",
                                    {"command": "uname", **more})
                equal((ok, res["decision"], "status" in res),
                      (True, None, False))

    @check("AB-085: two answers at once, one decision for all")
    def _():
        with Openclaw(gw) as c, Openclaw(gw) as a, Openclaw(gw) as b:
            c.hello(scopes=("approvals",))
            a.hello(scopes=("approvals",), caps=["exec-approvals"])
            b.hello(scopes=("approvals",), caps=["approvals"])
            c.send_json(c.request("q", "exec.approval.request",
                                  {"command": "uname", "twoPhase": True}))
            first = c.answer("q")
            equal(first["payload"]["status"], "accepted")
            ident = a.event("exec.approval.requested")["payload"]["id"]
            equal(b.event("exec.approval.requested")["payload"]["id"], ident)
            for who, said in ((a, "allow-once"), (b, "deny")):
                who.send_json(who.request("r", "exec.approval.resolve",
                                          {"id": ident, "decision": said}))
            got = c.answer("q")["payload"]["decision"]
            ra, rb = a.answer("r"), b.answer("r")
            equal(sorted([ra["ok"], rb["ok"]]), [False, True])
            equal(got, "allow-once" if ra["ok"] else "deny")
            loser = rb if ra["ok"] else ra
            equal(loser["error"]["details"]["reason"],
                  "APPROVAL_ALREADY_RESOLVED")
            for who in (a, b, c):
                e = who.event("exec.approval.resolved")["payload"]
                equal((e["id"], e["decision"]), (ident, got))

    @check("questions: asked, seen by those who may, answered once")
    def _():
        with Openclaw(gw) as c, Openclaw(gw) as a:
            c.hello(scopes=("questions",))
            a.hello(scopes=("questions",))
            ok, res, _ = c.call("question.request", {"questions": [{
                "questionId": "q1", "header": "Pick", "question": "Which?",
                "options": []}]})
            equal(ok, True)
            ident = a.event("question.requested")["payload"]["id"]
            equal(ident, res["id"])
            c.send_json(c.request("w", "question.waitAnswer", {"id": ident}))
            ok, res, _ = a.call("question.resolve", {
                "id": ident, "answers": {"answers": {"q1": ["hi"]}}})
            equal((ok, res["status"]), (True, "answered"))
            equal(c.answer("w")["payload"]["answers"],
                  {"answers": {"q1": ["hi"]}})
            equal(a.event("question.resolved")["payload"]["id"], ident)

    @check("chela approvals: watch, pending, show, answer, history")
    def _():
        seen = watch(gw)
        try:
            with Openclaw(gw) as c:
                c.hello(scopes=("approvals",))
                c.send_json(c.request("q", "exec.approval.request", {
                    "commandArgv": ["uname", "-a", "\u202ex y"],
                    "cwd": "/srv", "twoPhase": True}))
                ident = c.answer("q")["payload"]["id"]
                matches(seen.stdout.readline(), f"^asked +{ident} +uname -a")
                r = chela(gw, "approvals")
                matches(r.stdout, rf"{ident} +exec .* uname -a")
                r = chela(gw, "approvals", "show", ident[:8])
                equal(r.returncode, 0)
                matches(r.stdout, r"command.*uname -a \$'\\u202ex y'")
                matches(r.stdout, "runs in /srv")
                r = chela(gw, "approvals", "allow-once", ident[:8])
                equal(r.returncode, 0)
                matches(r.stdout, "uname -a")
                matches(r.stderr, "allowed")
                equal(c.answer("q")["payload"]["decision"], "allow-once")
                matches(seen.stdout.readline(),
                        f"^answered +{ident} +allow-once")
                r = chela(gw, "approvals", "deny", ident)
                equal(r.returncode, 1)
                matches(r.stderr, "too late")
                r = chela(gw, "--json", "approvals", "history", "-n", "1")
                equal(json.loads(r.stdout)["items"][0]["id"], ident)
                r = chela(gw, "approvals", "deny", "nothing-such")
                equal(r.returncode, 1)
                equal(chela(gw, "approvals", "eat").returncode, 64)
        finally:
            seen.terminate()
            seen.wait()
            seen.stdout.close()

    # The daemon's end finds one open, one that waits, and one that asked.
    c, a = Openclaw(gw), Openclaw(gw)
    c.hello(scopes=("admin",))
    a.hello(scopes=("approvals",), caps=["approvals"])
    c.send_json(c.request("q", "exec.approval.request", {
        "commandArgv": ["uname"], "id": "left-open-1"}))
    a.event("exec.approval.requested")
    a.send_json(a.request("w", "exec.approval.waitDecision",
                          {"id": "left-open-1"}))
    c.call("question.request", {"questions": [{
        "questionId": "q1", "header": "h", "question": "q", "options": []}]})

finish()
