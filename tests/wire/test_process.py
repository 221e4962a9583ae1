#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The daemon as a process: one to a state directory, private files, closed or
used up descriptors, a store or a log that fails and comes back, signals,
clients that all return at once (AB-103, AB-106, AB-114, AB-115, AB-129, AB-130,
AB-140, AB-145)."""
import json
import os
import random
import re
import resource
import signal
import socket
import stat
import subprocess
import threading
import time

from gateway import SOURCE, Gateway, check, chelad, equal, finish, matches
from ws import DEADLINE, Conn, Gone, Openclaw, Wrong

CLIENTS = 300
ROOM = 20               # descriptors that are left
BACK_S = 60             # all of them, also where a sanitizer slows it


def command(gw, *args):
    argv = [chelad(), "--config", gw.config, "--state-dir", gw.state,
            "--schema-dir", os.environ.get("CHELA_SCHEMAS",
                                           f"{SOURCE}/schemas")]
    for d in gw.plugin_dirs:
        argv += ["--plugin-dir", d]
    return argv + list(args)


def environment(gw, **more):
    env = {k: v for k, v in os.environ.items()
           if not re.match(r"CHELA_(CONFIG|STATE_DIR|PASSWORD)|OPENCLAW_", k)}
    return {**env, "HOME": gw.dir, "CHELA_TOKEN": gw.token, **more}


def run(gw, *args):
    """(status, what it said) of another daemon with the same files."""
    p = subprocess.run(command(gw, *args), env=environment(gw),
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, text=True, timeout=DEADLINE)
    return p.returncode, p.stderr


def again(gw):
    """Starts it anew, on the port that it had."""
    if str(gw.port) not in gw.args:
        gw.args += ["--port", str(gw.port)]
    gw.log = ""
    gw.__enter__()


def probe(gw, path):
    with Conn(gw) as c:
        status, _, body = c.http(f"GET {path} HTTP/1.1\nHost: 127.0.0.1\n\n")
        return status, json.loads(body)


def inject(c, text):
    return c.call("chat.inject", {"sessionKey": "main", "message": text})


def transcript(c):
    """So that inject() has something to add to."""
    ok, _, error = c.call("chat.send", {
        "sessionKey": "main", "message": "/help", "idempotencyKey": "first"})
    if not ok:
        raise AssertionError(error)
    c.event("chat", lambda p: p["state"] == "final")


def modes(top):
    """What below it (and itself) is open to others, or not as it should be."""
    wrong, n = [], 0
    for folder, _, names in os.walk(top):
        for path in [folder] + [os.path.join(folder, x) for x in names]:
            st = os.lstat(path)
            want = 0o700 if stat.S_ISDIR(st.st_mode) else 0o600
            n += 1
            if stat.S_IMODE(st.st_mode) != want:
                wrong.append(f"{path} {stat.filemode(st.st_mode)}")
    return n, wrong


old = os.umask(0)
try:
    gw = Gateway()
    os.rmdir(gw.state)      # it makes its own
    gw.__enter__()
finally:
    os.umask(old)
try:
    @check("AB-115: with umask 000 every file and directory is private")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            transcript(c)
            ok, config, _ = c.call("config.get", {})
            equal(ok, True)
            ok, _, error = c.call("config.patch", {
                "raw": '{"session": {"mainKey": "main"}, '
                       '"logging": {"level": "info"}}',
                "baseHash": config["hash"]})
            if not ok:
                raise AssertionError(error)
        n, wrong = modes(gw.dir)
        equal(wrong, [])
        if n < 6:
            raise AssertionError(f"only {n} files")

    @check("AB-114: a second daemon on one state directory ends with 3")
    def _():
        status, said = run(gw, "--port", "0")
        equal(status, 3)
        matches(said, re.escape(gw.state))
        matches(said, rf"\b{gw.pid}\b")
        if "listening" in said:
            raise AssertionError(said)
        with Openclaw(gw) as c:
            c.hello()
            equal(inject(c, "still mine")[0], True)

    @check("AB-145: SIGPIPE does not end it")
    def _():
        os.kill(gw.pid, signal.SIGPIPE)
        with Openclaw(gw) as c:
            c.hello()
            equal(c.call("health", {})[0], True)

    @check("AB-106: a store that is gone: alive, not ready, and ready again")
    def _():
        equal(probe(gw, "/readyz")[0], 200)
        db = f"{gw.state}/chela.db"
        with Openclaw(gw) as c:
            c.hello()
            os.rename(db, db + ".away")
            ok, _, error = inject(c, "cannot be kept")
            equal((ok, error["code"]), (False, "UNAVAILABLE"))
            status, body = probe(gw, "/readyz")
            equal((status, body["ready"], body["failing"]),
                  (503, False, ["storage"]))
            equal(probe(gw, "/healthz")[0], 200)
            equal(c.call("health", {})[0], True)
            gw.logged(r"store: writes are refused until")
            os.rename(db + ".away", db)
            end = time.monotonic() + DEADLINE
            while probe(gw, "/readyz")[0] != 200:
                if time.monotonic() > end:
                    raise AssertionError("it does not come back")
            equal(inject(c, "kept")[0], True)
            gw.logged(r"store: writes are taken again")

    @check("AB-103: a log file that is removed, then cannot be written")
    def _():
        path = f"{gw.state}/logs/chela.log"

        def reload():
            """Makes it write a line."""
            n = gw.log.count("reloading (SIGHUP)")
            os.kill(gw.pid, signal.SIGHUP)
            gw.logged(rf"(?s)(reloading \(SIGHUP\).*){{{n + 1}}}")

        with Openclaw(gw) as c:
            c.hello()

            def until(what):
                end = time.monotonic() + DEADLINE
                while not what():
                    if time.monotonic() > end:
                        raise AssertionError("it does not come")
                    equal(c.call("health", {})[0], True)

            def is_logged():
                if not os.path.isfile(path):
                    return False
                with open(path, encoding="utf-8") as log:
                    return "SIGHUP" in log.read()

            os.unlink(path)
            reload()
            until(is_logged)
            equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            os.rename(path, path + ".moved")
            os.mkdir(path)
            reload()
            gw.logged("log: cannot write .*chela.log")
            for _ in range(5):
                reload()
                equal(inject(c, "without a log")[0], True)
            os.rmdir(path)
            reload()
            until(is_logged)
            equal(gw.log.count("log: cannot write"), 1)

    @check("AB-114: the lock of one that was killed does not stay")
    def _():
        gw.proc.kill()
        gw.proc.wait(DEADLINE)
        again(gw)
        with Openclaw(gw) as c:
            c.hello()
            _, page, _ = c.call("chat.history", {"sessionKey": "main"})
            text = json.dumps(page)
            for said in ("still mine", "kept"):
                matches(text, said)
            if "cannot be kept" in text:
                raise AssertionError("what was refused is there")

    @check("AB-106: nobody hears ready from one that stops")
    def _():
        with Openclaw(gw) as c, Conn(gw) as asked:
            c.hello()
            ask = "GET /readyz HTTP/1.1\nHost: 127.0.0.1\n\n"
            equal(asked.http(ask)[0], 200)
            gw.proc.send_signal(signal.SIGTERM)
            # This one does not answer the close, and so keeps it waiting.
            c.event("shutdown")
            for try_it in (lambda: probe(gw, "/readyz")[0],
                           lambda: asked.http(ask)[0]):
                try:
                    equal(try_it(), 503)
                except (OSError, Gone):
                    pass    # not even heard
            equal(gw.proc.poll(), None)
        equal(gw.proc.wait(DEADLINE), 0)
        gw.ended = True
finally:
    gw.__exit__()

gw = Gateway()


@check("AB-114: a port that another program has: a sentence, and it ends")
def _():
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        status, said = run(gw, "--port", str(port))
    equal(status, 1)
    matches(said, rf"{port}.*another program has the port")
    if re.search("listening on", said):
        raise AssertionError(said)


def silent(run, **how):
    """A daemon whose words nobody reads, until run(pid, client) has ended."""
    path = os.path.join(gw.dir, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(path)
        told.settimeout(DEADLINE)
        with socket.create_server(("127.0.0.1", 0)) as s:
            gw.port = s.getsockname()[1]
        p = subprocess.Popen(command(gw, "--port", str(gw.port)),
                             env=environment(gw, NOTIFY_SOCKET=path), **how)
        try:
            while b"READY=1" not in told.recv(4096):
                pass
            with Openclaw(gw) as c:
                c.hello()
                run(p, c)
            p.send_signal(signal.SIGTERM)
            equal(p.wait(DEADLINE), 0)
        finally:
            p.kill()
            p.wait()
            os.unlink(path)


@check("AB-145: started with descriptors 0, 1 and 2 closed")
def _():
    def look(p, c):
        transcript(c)
        equal(inject(c, "kept")[0], True)
        for fd in (0, 1, 2):
            equal(os.readlink(f"/proc/{p.pid}/fd/{fd}"), "/dev/null")

    silent(look, preexec_fn=lambda: [os.close(fd) for fd in (0, 1, 2)])


@check("AB-145: the reader of its standard error goes away")
def _():
    def look(p, c):
        os.close(ours)
        p.send_signal(signal.SIGHUP)
        transcript(c)
        equal(inject(c, "kept")[0], True)
        equal(p.poll(), None)

    ours, theirs = os.pipe()
    silent(look, stderr=theirs)
    os.close(theirs)
    with open(f"{gw.state}/logs/chela.log", encoding="utf-8") as log:
        matches(log.read(), r"reloading \(SIGHUP\)")


with Gateway() as gw:
    @check(f"AB-130: {CLIENTS} clients lose the gateway, and all are back")
    def _():
        refused, came = [], []
        up = threading.Barrier(CLIENTS + 1)
        gone = threading.Barrier(CLIENTS + 1)

        def come():
            """As an honest client does: again a little later, if refused."""
            wait, end = 0.05, time.monotonic() + BACK_S
            while True:
                c = None
                try:
                    c = Openclaw(gw, deadline=BACK_S)
                    return c.hello()
                except Exception as e:
                    if c is not None:
                        c.sock.close()
                    if isinstance(e, Wrong) and "connect:" in str(e):
                        refused.append(str(e))
                    if time.monotonic() > end:
                        raise
                time.sleep(wait * random.uniform(0.5, 1))
                wait = min(wait * 2, 1)

        def client():
            try:
                with come() as c:
                    up.wait(BACK_S)
                    try:
                        while True:
                            c.recv()
                    except Exception:
                        pass
                gone.wait(BACK_S)
                with come() as c:
                    came.append(c.call("health", {})[0])
                    up.wait(BACK_S)
                    gone.wait(BACK_S)
            except threading.BrokenBarrierError:
                pass
            except Exception as e:
                refused.append(repr(e))
                up.abort()
                gone.abort()

        threads = [threading.Thread(target=client, daemon=True)
                   for _ in range(CLIENTS)]
        for t in threads:
            t.start()
        try:
            up.wait(BACK_S)
            gw.proc.kill()
            gw.proc.wait(DEADLINE)
            again(gw)
            gone.wait(BACK_S)
            began = time.monotonic()
            up.wait(BACK_S)
            print(f"# all back in {time.monotonic() - began:.1f} s")
            equal((came.count(True), refused), (CLIENTS, []))
            gone.wait(BACK_S)
        except threading.BrokenBarrierError:
            raise AssertionError(f"{len(came)} are back: {refused[:3]}") \
                from None
        for t in threads:
            t.join(DEADLINE)
        with Openclaw(gw) as c:
            c.hello()
            equal(c.call("health", {})[0], True)

with Gateway() as gw, Openclaw(gw, deadline=120) as op:
    op.hello()
    transcript(op)

    @check("AB-140: out of descriptors: who is in is served, others later")
    def _():
        most = max(map(int, os.listdir(f"/proc/{gw.pid}/fd"))) + 1
        hard = resource.prlimit(gw.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(gw.pid, resource.RLIMIT_NOFILE, (most + ROOM, hard))
        clients = []
        try:
            # Three in a row: a file may have been open for a moment.
            refused = 0
            while refused < 3:
                c = Openclaw(gw)
                try:
                    clients.append(c.hello())
                    refused = 0
                except (Gone, OSError):
                    c.sock.close()
                    refused += 1
                if len(clients) > most + ROOM:
                    raise AssertionError("the limit was not reached")
            for c in [op] + clients:
                equal(c.call("health", {})[0], True)
            equal(inject(op, "kept all the same")[0], True)
            for _ in range(20):
                with Conn(gw) as c:
                    try:
                        c.http("GET /healthz HTTP/1.1\nHost: x\n\n")
                        raise AssertionError("there is room")
                    except (Gone, OSError):
                        pass
            equal(op.call("health", {})[0], True)
        finally:
            for c in clients:
                c.sock.close()
        # Nothing else was done than that others left.
        end = time.monotonic() + DEADLINE
        while True:
            try:
                with Openclaw(gw) as c:
                    c.hello()
                    break
            except (Gone, OSError):
                if time.monotonic() > end:
                    raise
        equal(inject(op, "and on")[0], True)

for first, second in ((signal.SIGTERM, signal.SIGTERM),
                      (signal.SIGINT, signal.SIGTERM)):
    @check(f"AB-129: {first.name}, SIGHUP, {second.name}: it ends, and cleanly")
    def _():
        with Gateway() as gw:
            # Who does not answer the close would have it wait.
            with Openclaw(gw) as c:
                c.hello()
                gw.proc.send_signal(signal.SIGHUP)
                gw.proc.send_signal(first)
                c.event("shutdown")
                gw.proc.send_signal(signal.SIGHUP)
                equal(gw.proc.poll(), None)
                gw.proc.send_signal(second)
                equal(gw.proc.wait(DEADLINE), 0)
            gw.ended = True

finish()
