#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a browser finds at the gateway's port (http.md section 3), AB-074."""
import json
import os
import shutil
import signal
import tempfile

from gateway import Gateway, check, equal, finish, matches
from ws import Conn, Gone, Openclaw

SECRET = b"this is nobody's business"
HUGE = 256 << 20
BIG = 64 << 20
INDEX = ('<!doctype html>\n<html lang="en" data-openclaw-control-ui-build-id='
         '"1"><head><link rel="icon" href="./icon.svg"><script>let a = 1;'
         '</script><script src="./assets/app.js"></script></head></html>\n')


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def text(self):
        return self.body.decode()


def head_of(path, method="GET", **headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway.example:1"]
    lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def get(gw, path, method="GET", **headers):
    """The path goes out as it is written here."""
    headers.setdefault("Connection", "close")
    with Conn(gw) as c:
        c.send(head_of(path, method, **headers))
        try:
            while True:
                c.more()
        except Gone:
            pass
        head, body = c.buf.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1)[:1] + line.split(": ", 1)[1:]
                  for line in lines[1:])
    status = int(lines[0].split(" ")[1])
    if method != "HEAD" and status != 304:
        equal(len(body), int(fields["content-length"]))
    return Answer(status, fields, body)


def bearer(gw):
    return {"Authorization": "Bearer " + gw.token}


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def guarded(answer):
    """What every answer with content has to carry."""
    equal(answer.headers["x-content-type-options"], "nosniff")
    equal(answer.headers["x-frame-options"], "DENY")
    equal(answer.headers["referrer-policy"], "no-referrer")
    equal(answer.headers["cache-control"], "no-cache")
    matches(answer.headers["content-security-policy"],
            r"default-src '(self|none)'; base-uri 'none'; object-src 'none'; "
            "frame-ancestors 'none'")


def configure(gw, control):
    """Takes effect, or is refused, before this returns."""
    with open(gw.config, encoding="utf-8") as f:
        conf = json.load(f)
    conf["gateway"]["controlUi"] = control
    with open(gw.config, "w", encoding="utf-8") as f:
        json.dump(conf, f)
    gw.proc.send_signal(signal.SIGHUP)


with Gateway() as gw:
    @check("without a folder one page says how to connect")
    def _():
        r = get(gw, "/")
        equal(r.status, 200)
        equal(r.headers["content-type"], "text/html; charset=utf-8")
        guarded(r)
        matches(r.text(), rf"ws{'s' if gw.is_tls else ''}://gateway\.example:1<")
        assert gw.token not in r.text()
        assert "http:" not in r.text() and "https:" not in r.text()
        assert "<script" not in r.text()
        equal(get(gw, "/", "HEAD").body, b"")
        equal(get(gw, "/", "HEAD").headers["content-length"],
              str(len(r.body)))
        equal(get(gw, "/", If_None_Match=r.headers["etag"]).status, 304)
        for path in ("/x", "/index.html", "/api/x", "/avatar/"):
            equal(get(gw, path).status, 404)

    @check("what the client calls us is a name on that page, or nothing")
    def _():
        with Conn(gw) as c:
            c.send(b"GET / HTTP/1.1\r\nHost: <b>x</b>\r\n\r\n")
            status, _, body = c.http_answer()
            assert status == 400 or b"<b>" not in body, status

    @check("other methods are refused, upgrades and probes come first")
    def _():
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert get(gw, "/", method).status in (404, 405), method
        equal(json.loads(get(gw, "/healthz").body)["status"], "live")
        with Openclaw(gw) as c:
            c.open(path="/control-ui-config.json")
            equal(c.challenge["event"], "connect.challenge")

    @check("the settings of an application are for who may read")
    def _():
        for path in ("/control-ui-config.json",
                     "/__openclaw/control-ui-config.json",
                     "/__openclaw__/control-ui-config.json"):
            equal(get(gw, path).status, 401)
            equal(get(gw, path, Authorization="Bearer wrong").status, 401)
            r = get(gw, path, **bearer(gw))
            equal(r.status, 200)
            guarded(r)
            o = json.loads(r.body)
            equal((o["basePath"], o["assistantAgentId"], o["embedSandbox"],
                   o["terminalEnabled"], o["pluginFrameGrants"]),
                  ("", "main", "scripts", False, []))
        equal(get(gw, "/avatar/main").status, 401)
        equal(get(gw, "/avatar/main", **bearer(gw)).status, 404)

folder = tempfile.mkdtemp(prefix="chela-console-")
root = os.path.join(folder, "root")
write(f"{root}/index.html", INDEX)
write(f"{root}/icon.svg", "<svg/>")
write(f"{root}/assets/app.js", "export {};\n")
write(f"{root}/sub/page.txt", "x" * 1000)
write(f"{root}/.env", SECRET)
write(f"{root}/.git/config", SECRET)
write(f"{root}/sub/.hidden", SECRET)
write(f"{folder}/outside.txt", SECRET)
os.symlink("../outside.txt", f"{root}/link.txt")
os.symlink("..", f"{root}/up")
os.symlink("sub", f"{root}/within")
os.mkfifo(f"{root}/fifo.txt")
os.link(f"{folder}/outside.txt", f"{root}/second.txt")

agents = {"list": [{"id": "main", "workspace": f"{folder}/work", "identity": {
    "name": "Ada", "emoji": "🦀", "avatar": "me/face.png"}}]}
write(f"{folder}/work/me/face.png", b"\x89PNG")
config = {"gateway": {"controlUi": {"root": root}}, "agents": agents}

# What a sanitizer keeps of freed pieces is not what is in use.
env = {"ASAN_OPTIONS": ":".join(filter(None, (
    os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=4")))}

try:
    with Gateway(config, env=env) as gw:
        @check("files come with their type and a strict policy")
        def _():
            for path, kind in (("/icon.svg", "image/svg+xml"),
                               ("/assets/app.js",
                                "text/javascript; charset=utf-8"),
                               ("/sub/page.txt", "text/plain; charset=utf-8")):
                r = get(gw, path)
                equal((r.status, r.headers["content-type"]), (200, kind))
                guarded(r)
                with open(root + path, "rb") as f:
                    equal(r.body, f.read())
                equal(get(gw, path, "HEAD").headers["content-length"],
                      str(len(r.body)))
                again = get(gw, path, If_None_Match=r.headers["etag"])
                equal((again.status, again.body), (304, b""))
                equal(get(gw, path, If_None_Match='"x"').status, 200)

        @check("the page is told where it is, its own scripts have hashes")
        def _():
            r = get(gw, "/")
            guarded(r)
            matches(r.text(), 'data-openclaw-control-ui-base-path=""')
            assert "build-id" not in r.text()
            matches(r.text(), 'href="/icon.svg".*src="/assets/app.js"')
            equal(r.headers["content-security-policy"].count("sha256-"), 1)
            assert "unsafe-eval" not in r.headers["content-security-policy"]
            equal(get(gw, "/", If_None_Match=r.headers["etag"]).status, 304)

        @check("a page stands for what is missing, where one is wanted")
        def _():
            page = get(gw, "/").body
            for path in ("/chat", "/agents/x", "/sub", "/approve/1"):
                equal(get(gw, path).body, page)
                equal(get(gw, path, Accept="text/html,*/*;q=0.8").body, page)
                equal(get(gw, path, Accept="application/json").status, 404)
            for path in ("/api", "/api/x", "/v1/x", "/j/x", "/none.js",
                         "/assets/none.png"):
                equal(get(gw, path).status, 404)
            equal(get(gw, "/deep/assets/app.js").body, b"export {};\n")

        @check("AB-074 no spelling leads out of the folder")
        def _():
            for path in ("/../outside.txt", "/%2e%2e/outside.txt",
                         "/sub/../../outside.txt", "/..%2foutside.txt",
                         "/%252e%252e/outside.txt", "/..%5coutside.txt",
                         "/..\\outside.txt", "/.%00./outside.txt",
                         "/sub/..;/..;/outside.txt", "//outside.txt",
                         "/%c0%ae%c0%ae/outside.txt", "/up/outside.txt",
                         f"/{folder}/outside.txt", "/%2e%2e%2foutside.txt",
                         "/link.txt", "/second.txt", "/up/root/icon.svg",
                         "/within/page.txt"):
                r = get(gw, path)
                assert SECRET not in r.body, path
                assert r.status in (400, 404), (path, r.status)

        @check("AB-074 hidden files are not served, nor are folders listed")
        def _():
            for path in ("/.env", "/%2eenv", "/.git/config", "/sub/.hidden",
                         "/.", "/sub/%2ehidden"):
                r = get(gw, path)
                assert SECRET not in r.body, path
            equal(get(gw, "/.env").status, 404)
            for path in ("/sub", "/sub/", "/assets"):
                assert b"page.txt" not in get(gw, path).body
                equal(get(gw, path, Accept="application/json").status, 404)

        @check("AB-074 a FIFO is no file, and nobody waits for it")
        def _():
            equal(get(gw, "/fifo.txt").status, 404)
            equal(get(gw, "/icon.svg").status, 200)

        @check("AB-074 ranges of any kind give the whole file")
        def _():
            for value in ("bytes=0-0", "bytes=5-2", "bytes=-1", "bytes=999-",
                          "bytes=0-" + "9" * 40, "bytes=" + "0-1," * 1000,
                          "lines=1-2", "bytes=abc"):
                r = get(gw, "/sub/page.txt", Range=value, If_Range='"x"')
                equal((r.status, len(r.body)), (200, 1000))

        @check("AB-074 a huge file needs little memory, taken or not")
        def _():
            with open(f"{root}/huge.txt", "wb") as f:
                f.truncate(HUGE)
            before = gw.rss_kib()
            idle = [Conn(gw) for _ in range(8)]
            for c in idle:
                c.send(head_of("/huge.txt"))
                c.more()
            n, most = 0, 0
            with Conn(gw, deadline=120) as c:
                c.send(head_of("/huge.txt", Connection="close"))
                try:
                    while True:
                        c.more()
                        n += len(c.buf)
                        c.buf = b""
                        most = max(most, gw.rss_kib()) if n % 64 == 0 else most
                except Gone:
                    pass
            most = max(most, gw.rss_kib())
            for c in idle:
                c.sock.close()
            assert n > HUGE, n
            limit = (128 if gw.is_sanitized() else 32) * 1024
            assert most - before < limit, (before, most)

        def served_while(change):
            """How much of a file comes, and of how much, after a change."""
            write(f"{root}/big.txt", b"a" * BIG)
            with Conn(gw, deadline=60) as c:
                c.send(head_of("/big.txt", Connection="close"))
                while b"\r\n\r\n" not in c.buf:
                    c.more()
                change()
                head, c.buf = c.buf.split(b"\r\n\r\n", 1)
                body = bytearray()
                try:
                    while True:
                        body += c.buf
                        c.buf = b""
                        c.more()
                except Gone:
                    pass
            matches(head.decode(), f"Content-Length: {BIG}\r\n")
            return bytes(body)

        @check("AB-074 a file that is replaced meanwhile comes as it was")
        def _():
            def change():
                write(f"{root}/new.txt", b"b" * BIG)
                os.rename(f"{root}/new.txt", f"{root}/big.txt")
            body = served_while(change)
            equal((len(body), body.strip(b"a")), (BIG, b""))
            with Conn(gw) as c:
                c.send(head_of("/big.txt"))
                while not c.buf.partition(b"\r\n\r\n")[2]:
                    c.more()
                equal(c.buf.partition(b"\r\n\r\n")[2][:1], b"b")

        @check("AB-074 a file that is cut meanwhile ends the connection")
        def _():
            body = served_while(lambda: os.truncate(f"{root}/big.txt", 1))
            assert len(body) < BIG, len(body)
            equal(body.strip(b"a"), b"")
            equal(get(gw, "/icon.svg").status, 200)

        @check("AB-074 an agent's picture comes from its workspace alone")
        def _():
            key = bearer(gw)
            r = get(gw, "/avatar/main", **key)
            equal((r.status, r.body, r.headers["content-type"]),
                  (200, b"\x89PNG", "image/png"))
            guarded(r)
            matches(r.headers["content-security-policy"], "sandbox")
            equal(get(gw, "/avatar/MAIN", **key).status, 200)
            o = json.loads(get(gw, "/avatar/main?meta=1", **key).body)
            equal(o, {"avatarUrl": "/avatar/main", "avatarSource":
                      "me/face.png", "avatarStatus": "local",
                      "avatarReason": None})
            o = json.loads(get(gw, "/control-ui-config.json", **key).body)
            equal((o["assistantName"], o["assistantAvatar"]),
                  ("Ada", "/avatar/main"))
            for path in ("/avatar/main", "/avatar/main?meta=1",
                         "/avatar/main?token=" + gw.token):
                equal(get(gw, path).status, 401)
            for path in ("/avatar/none", "/avatar/..%2fmain", "/avatar/a/b",
                         "/avatar/.main"):
                assert get(gw, path, **key).status in (400, 404), path
            os.truncate(f"{folder}/work/me/face.png", (2 << 20) + 1)
            o = json.loads(get(gw, "/avatar/main?meta=1", **key).body)
            equal((o["avatarStatus"], o["avatarReason"]), ("none", "too_large"))
            equal(get(gw, "/avatar/main", **key).status, 404)
            os.unlink(f"{folder}/work/me/face.png")
            os.symlink(f"{folder}/outside.txt", f"{folder}/work/me/face.png")
            r = get(gw, "/avatar/main", **key)
            equal(r.status, 404)
            o = json.loads(get(gw, "/control-ui-config.json", **key).body)
            equal((o["assistantAvatar"], o["assistantAvatarReason"]),
                  ("🦀", "unreadable"))

        @check("AB-074 a folder around or in the state directory is refused")
        def _():
            os.makedirs(f"{gw.state}/ui", exist_ok=True)
            os.symlink(gw.state, f"{folder}/alias")
            for n, bad in enumerate(("/", gw.dir, gw.state, f"{gw.state}/ui",
                                     f"{folder}/alias")):
                configure(gw, {"root": bad, "basePath": f"/n{n}"})
                gw.logged(rf'controlUi.root: "{bad}" is not served: '
                          "the gateway's secrets")
                equal(get(gw, "/icon.svg").status, 200)
                assert get(gw, "/chela.json").status != 200 or \
                    b"controlUi" not in get(gw, "/chela.json").body

        @check("AB-074 a state directory that comes into the folder is shut")
        def _():
            # What is put there later has another name, and is the same.
            os.rename(gw.state, f"{root}/moved")
            os.symlink(f"{root}/moved", gw.state)
            names = [os.path.join(d, f) for d, _, files in
                     os.walk(f"{root}/moved") for f in files]
            assert names
            for name in names:
                r = get(gw, name[len(root):], Accept="application/json")
                assert r.status in (404, 503), (name, r.status)
            os.unlink(gw.state)
            os.rename(f"{root}/moved", gw.state)
            equal(get(gw, "/icon.svg").status, 200)

        @check("a path in front, and off, are in force at once")
        def _():
            configure(gw, {"root": root, "basePath": "/ui/"})
            gw.logged(r"a new configuration is in force")
            equal(get(gw, "/icon.svg").status, 404)
            equal(get(gw, "/uix").status, 404)
            equal(get(gw, "/ui/icon.svg").body, b"<svg/>")
            for path in ("/ui", "/ui/", "/ui/chat"):
                matches(get(gw, path).text(), 'base-path="/ui".*"/ui/icon.svg"')
            equal(get(gw, "/ui/control-ui-config.json").status, 401)
            equal(get(gw, "/control-ui-config.json").status, 404)
            configure(gw, {"root": root, "enabled": False})
            gw.logged(r"(?s)in force.*a new configuration is in force")
            for path in ("/", "/ui", "/icon.svg", "/control-ui-config.json"):
                equal(get(gw, path, **bearer(gw)).status, 404)

    @check("a folder that is not there does not keep the gateway from starting")
    def _():
        conf = {"gateway": {"controlUi": {"root": f"{folder}/none"}}}
        with Gateway(conf) as gw:
            gw.logged(r'controlUi.root: ".*none" is not served: No such file')
            equal(get(gw, "/").status, 503)
            equal(get(gw, "/healthz").status, 200)
            configure(gw, {})
            gw.logged(r"a new configuration is in force")
            equal(get(gw, "/").status, 200)
finally:
    shutil.rmtree(folder, ignore_errors=True)

finish()
