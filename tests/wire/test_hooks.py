#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Webhooks from outside, with the daemon, a model that is asked over HTTP, and a
program of the operator.

AB-077: tokens, bodies and their times. AB-078: replays, and who routes.
AB-070: other spellings of a path."""
import http.server
import json
import os
import threading

from gateway import Gateway, check, equal, finish, matches
from ws import Conn, Openclaw

TOKEN = "hook-secret-2f81"
asked = []		# bodies that the model got
hold = threading.Event()


class Model(http.server.BaseHTTPRequestHandler):
    """Answers "Seen."; to "hold" only when the test says so."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def raw(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked.append(json.loads(body))
        if "hold it" in body:
            hold.wait(60)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for delta, reason in (({"content": "Seen."}, None), ({}, "stop")):
            self.raw("data: " + json.dumps({"id": "1", "choices": [
                {"index": 0, "delta": delta, "finish_reason": reason}]}) +
                "\n\n")
        self.raw("data: [DONE]\n\n")
        self.raw("")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()


def config(**hooks):
    return {
        "models": {"providers": {"own": {
            "baseUrl": f"http://127.0.0.1:{server.server_port}/v1",
            "api": "openai-completions",
            "models": [{"id": "m", "name": "M"}]}}},
        "agents": {"defaults": {"model": {"primary": "own/m"}}},
        "hooks": {"enabled": True, "token": TOKEN, **hooks},
    }


def head(path, length, method="POST", auth=f"Bearer {TOKEN}", more=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1",
             f"Content-Length: {length}"]
    if auth is not None:
        lines.append(f"Authorization: {auth}")
    return ("\r\n".join([*lines, *more]) + "\r\n\r\n").encode()


def post(gw, path, body=None, deadline=60, **args):
    """(status, headers, the body as JSON where it is that)."""
    data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    with Conn(gw, deadline) as c:
        c.send(head(path, len(data), **args) + data)
        status, headers, text = c.http_answer()
    if headers.get("content-type", "").startswith("application/json"):
        text = json.loads(text)
    return status, headers, text


def session_of(c, key):
    ok, r, e = c.call("chat.history", {"sessionKey": key})
    equal((ok, e), (True, None))
    return r["messages"]


def texts(body):
    """All that the model was asked."""
    return json.dumps(body["messages"], ensure_ascii=False)


transform = ["/bin/sh", "-c", """
in=$(cat)
case $in in
*skip*) echo null ;;
*) echo '{"message":"from the program"}' ;;
esac"""]

with Gateway(config(mappings=[
    {"match": {"path": "git"}, "messageTemplate": "push by {{who}}",
     "name": "Git"},
    {"match": {"path": "many"}, "forEach": "items",
     "messageTemplate": "item {{items[0].n}}"},
    {"match": {"path": "own"}, "sessionKey": "hook:own",
     "sessionMode": "persistent", "messageTemplate": "{{m}}"},
    {"match": {"path": "prog"}, "messageTemplate": "x",
     "transform": {"command": transform}},
])) as gw:
    # Begun first, looked at last: its body never comes to its end.
    slow = Conn(gw, 90)
    slow.send(head("/hooks/wake", 100) + b'{"text":')

    with Openclaw(gw) as c:
        c.hello()

        @check("hooks.status says that no internal hook is there")
        def _():
            ok, r, _ = c.call("hooks.status")
            equal((ok, r["hooks"]), (True, []))
            equal(c.call("hooks.status", {"agentId": "zz"})[0], False)

        @check("a run begins, with the text in an envelope; its answer is kept")
        def _():
            status, headers, r = post(gw, "/hooks/agent", {
                "message": "look at the build", "name": "CI",
                "waitForCompletion": True})
            equal((status, r["ok"]), (200, True))
            equal(r["completion"], {"status": "ok",
                                    "replyDisposition": "visible"})
            matches(r["runId"], "^[0-9a-f-]{36}$")
            matches(texts(asked[-1]), r"<<<EXTERNAL_UNTRUSTED_CONTENT id="
                    r'\\"[0-9a-f]{16}\\">>>\\nSource: Webhook\\nTask: CI'
                    r"\\n---\\nlook at the build\\n<<<END_EXTERNAL_")

        @check("a wake is queued, and the same again is not")
        def _():
            wake = {"text": "one thing", "mode": "next-heartbeat"}
            equal(post(gw, "/hooks/wake", wake)[2], {
                "ok": True, "mode": "next-heartbeat",
                "eventOutcome": "queued"})
            equal(post(gw, "/hooks/wake", wake)[2]["eventOutcome"],
                  "coalesced")

        @check("mappings: a template, a list, a session that goes on, a program")
        def _():
            status, _, r = post(gw, "/hooks/git", {"who": "ann"})
            equal((status, sorted(r)), (200, ["ok", "runId"]))
            items = [{"n": n} for n in range(3)]
            status, _, r = post(gw, "/hooks/many", {"items": items})
            equal((status, r["dispatched"], len(set(r["runIds"]))),
                  (200, 3, 3))
            equal(post(gw, "/hooks/many", {"items": []})[0], 204)
            for m in ("first", "second"):
                equal(post(gw, "/hooks/own", {"m": m})[0], 200)
                c.event("chat", lambda p: p["sessionKey"].endswith(
                    "hook:own") and p["state"] == "final" and
                    c.events and sum(e["event"] == "chat" and
                    e["payload"]["state"] == "final" and
                    e["payload"]["sessionKey"].endswith("hook:own")
                    for e in c.events) >= (1 if m == "first" else 2))
            rows = session_of(c, "agent:main:hook:own")
            equal([m["role"] for m in rows], ["user", "assistant"] * 2)
            equal(post(gw, "/hooks/prog", {"a": "skip"})[0], 204)
            equal(post(gw, "/hooks/prog", {"a": "go"})[0], 200)
            equal(post(gw, "/hooks/none")[0], 404)

        @check("an isolated run begins its session anew")
        def _():
            now = c.call("config.get")[1]
            ok, _, e = c.call("config.patch", {
                "baseHash": now["hash"], "raw": json.dumps({"hooks": {
                    "defaultSessionKey": "hook:same"}})})
            equal((ok, e), (True, None))
            c.event("config.changed")
            for m in ("alpha", "beta"):
                status, _, r = post(gw, "/hooks/agent", {
                    "message": m, "waitForCompletion": True})
                equal((status, r["completion"]["status"]), (200, "ok"))
            matches(texts(asked[-1]), "beta")
            equal("alpha" in texts(asked[-1]), False)
            equal(len(session_of(c, "agent:main:hook:same")), 2)

    @check("AB-077: each wrong token is refused before the body is there")
    def _():
        for auth in (None, "", "Bearer", "Bearer ", "Bearer \t", "Bearer x",
                     f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN,
                     f"Bearer {gw.token}"):
            with Conn(gw) as c:
                status, _, body = c.http(head("/hooks/wake", 100, auth=auth))
                equal((status, body), (401, b"Unauthorized"))
        with Conn(gw) as c:
            status, _, body = c.http(
                head(f"/hooks/wake?token={TOKEN}", 100))
            equal((status, TOKEN.encode() in body), (400, False))
        with Conn(gw) as c:
            status, headers, _ = c.http(head("/hooks/wake", 0, method="GET",
                                             auth=None))
            equal((status, headers["allow"]), (405, "POST"))
        equal(post(gw, "/hooks")[0], 404)
        equal(post(gw, "/hooks/wake", auth=None, more=[
            f"X-OpenClaw-Token: {TOKEN}"])[0], 400)

    @check("AB-077: a body over the limit is refused before it is buffered")
    def _():
        before = gw.rss_kib()
        for n in (10 * 1000 ** 3, 262145):
            with Conn(gw) as c:
                status, _, body = c.http(head("/hooks/wake", n))
                equal((status, json.loads(body)), (413, {
                    "ok": False, "error": "payload too large"}))
        # Without a length it is counted as it comes.
        with Conn(gw) as c:
            c.send(head("/hooks/wake", 0).replace(
                b"Content-Length: 0", b"Transfer-Encoding: chunked"))
            try:
                for _ in range(64):
                    c.send(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
            except OSError:
                pass	# it did not wait for the rest
            status = c.http_answer()[0]
            equal(status, 413)
        equal(gw.rss_kib() - before < 8192, True)

    @check("AB-077: the content type does not matter, what is in it does")
    def _():
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            equal(post(gw, "/hooks/wake", {"text": "t"}, more=[
                f"Content-Type: {kind}"])[0], 200)
        for body in (b"text=t", b"{", b'{"text":"\xff"}', b"[" * 1000):
            status, _, r = post(gw, "/hooks/wake", body)
            equal((status, r["ok"]), (400, False))

    @check("AB-070: one spelling decides about token and route")
    def _():
        for path in ("/hooks/%77ake", "/hooks//wake", "/hooks/./wake",
                     "/x/../hooks/wake", "/hooks/%2577ake", "/hooks%2Fwake",
                     "/HOOKS/wake", "/hooks/wake;x", "/hooks\\wake",
                     "/hooks/wake%00"):
            with Conn(gw) as c:
                status = c.http(head(path, 100, auth=None))[0]
                equal((path, status in (400, 401, 404)), (path, True))

    @check("AB-078: a replay is known by what it says")
    def _():
        body = {"message": "é / deploy", "idempotencyKey": "k1"}
        first = post(gw, "/hooks/agent", body)[2]["runId"]
        same = (b'{ "idempotencyKey":"\\u006b1",\r\n"message" : '
                b'"\\u00e9 \\/ \\u0064eploy" }')
        equal(post(gw, "/hooks/agent", same)[2]["runId"], first)
        equal(post(gw, "/hooks/agent", {"message": "é / deploy"}, more=[
            "Idempotency-Key: k1"])[2]["runId"], first)
        other = post(gw, "/hooks/agent", {**body, "message": "other"})[2]
        equal(other["runId"] != first, True)
        # Many at one time are one run as well.
        got = []
        threads = [threading.Thread(target=lambda: got.append(post(
            gw, "/hooks/agent", {"message": "race", "idempotencyKey": "k2"})))
            for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        equal([s for s, _, _ in got], [200] * 8)
        equal(len({r["runId"] for _, _, r in got}), 1)
        equal(sum("race" in texts(a) for a in asked) <= 1, True)

    @check("AB-078: who calls chooses no session and no agent")
    def _():
        for body in ({"sessionKey": "agent:main:main"}, {"sessionKey": "main"},
                     {"sessionKey": "hook:x"}, {"agentId": "zz"},
                     {"agentId": "../../etc"}):
            for path, text in (("/hooks/agent", {"message": "m"}),
                               ("/hooks/wake", {"text": "t"})):
                status, _, r = post(gw, path, {**text, **body})
                equal((status, r["ok"]), (400, False))

    @check("AB-077: 20 failures, also from loopback, are 429; a good token is not")
    def _():
        equal(post(gw, "/hooks/wake", {"text": "reset"})[0], 200)
        got = []
        for _ in range(22):
            with Conn(gw) as c:
                status, headers, _ = c.http(head("/hooks/wake", 100,
                                                 auth="Bearer no"))
                got.append((status, headers.get("retry-after")))
        equal(got[:20], [(401, None)] * 20)
        equal([s for s, _ in got[20:]], [429, 429])
        equal(all(0 < int(n) <= 60 for _, n in got[20:]), True)
        equal(post(gw, "/hooks/wake", {"text": "good"})[0], 200)

    @check("a client that leaves leaves its run alone")
    def _():
        data = json.dumps({"message": "hold it",
                           "waitForCompletion": True}).encode()
        with Conn(gw) as c:
            c.send(head("/hooks/agent", len(data)) + data)
            while not any("hold it" in texts(a) for a in asked):
                os.sched_yield()
        hold.set()
        gw.logged(r"hook 'Hook': run \S+ ended \(ok\)")

    @check("AB-077: a body that does not come is 408 after 30 s")
    def _():
        status, _, body = slow.http_answer()
        equal((status, json.loads(body)), (408, {
            "ok": False, "error": "request body timeout"}))
    slow.__exit__()

for token in ("", "  "):
    with Gateway(config(token=token)) as gw:
        @check(f"AB-077: the secret {token!r} is none: there is no route")
        def _():
            gw.logged("hooks.token is blank")
            for auth in (None, "Bearer ", f"Bearer {token}"):
                equal(post(gw, "/hooks/wake", {"text": "t"},
                           auth=auth)[0], 404)

with Gateway(config(token="shared-gateway-secret"),
             token="shared-gateway-secret") as gw:
    @check("a token that is the gateway's own is reported, not shown")
    def _():
        gw.logged("hooks.token is the gateway's own secret")
        equal("shared-gateway-secret" in gw.log, False)

server.shutdown()
finish()
