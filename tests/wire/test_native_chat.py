#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A whole conversation with nothing but a WebSocket and the native frames: a real
HTTP endpoint streams, the answer comes as events, history has it, an abort ends."""
import http.server
import json
import threading

from gateway import Gateway, check, equal, finish
from ws import Native

WORDS = ["Three ", "little ", "words."]
ended = threading.Event()


class Model(http.server.BaseHTTPRequestHandler):
    """Streams WORDS; to "hold" only the first, until the test is over."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def piece(self, delta, reason=None):
        data = json.dumps({"id": "1", "choices": [
            {"index": 0, "delta": delta, "finish_reason": reason}]})
        self.raw(f"data: {data}\n\n")

    def raw(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if "hold" in body:
            self.piece({"content": WORDS[0]})
            ended.wait(60)
            self.close_connection = True
            return
        for w in WORDS:
            self.piece({"content": w})
        self.piece({}, "stop")
        self.raw("data: [DONE]\n\n")
        self.raw("")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
config = {
    "models": {"providers": {"own": {
        "baseUrl": f"http://127.0.0.1:{server.server_port}/v1",
        "api": "openai-completions", "models": [{"id": "m", "name": "M"}]}}},
    "agents": {"defaults": {"model": {"primary": "own/m"}}},
}


def run_events(c, run):
    """The chat events of a run, to its last one."""
    def last(p):
        return p["runId"] == run and p["state"] in ("final", "aborted", "error")

    c.event("chat", last)
    return [f["data"] for f in c.events
            if f["event"] == "chat" and f["data"]["runId"] == run]


with Gateway(config) as gw:
    with Native(gw) as c:
        c.hello()

        @check("native: chat.send is answered at once, the text streams as events")
        def _():
            ok, r, _ = c.call("chat.send", {"sessionKey": "main",
                                            "message": "say it",
                                            "idempotencyKey": "n1"})
            equal((ok, r), (True, {"runId": "n1", "status": "started"}))
            got = run_events(c, "n1")
            text = "".join(p["deltaText"] for p in got if p["state"] == "delta")
            equal(text, "".join(WORDS))
            equal(got[-1]["state"], "final")
            equal(got[-1]["message"]["content"][0]["text"], "".join(WORDS))

        @check("native: chat.history has both sides")
        def _():
            ok, r, _ = c.call("chat.history", {"sessionKey": "main"})
            equal(ok, True)
            equal([m["role"] for m in r["messages"]], ["user", "assistant"])

        @check("native: chat.abort ends a run that still streams")
        def _():
            c.call("chat.send", {"sessionKey": "main", "message": "hold it",
                                 "idempotencyKey": "n2"})
            c.event("chat", lambda p: p["runId"] == "n2" and
                    p["state"] == "delta")
            ok, r, _ = c.call("chat.abort", {"sessionKey": "main",
                                             "runId": "n2"})
            equal((ok, r["aborted"], r["runIds"]), (True, True, ["n2"]))
            equal(run_events(c, "n2")[-1]["state"], "aborted")

    ended.set()

server.shutdown()
finish()
