#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""TLS of the listener (AB-051), and what a client believes of it."""
import hashlib
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from gateway import BUILD, Gateway, check, chelad, equal, finish, matches, SOURCE
from ws import DEADLINE, Conn, Gone, Openclaw, client_tls

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
ON = {"gateway": {"tls": {"enabled": True}}}
DEADLINE_MS = 2000
# So many that none is over the budget of one address.
SOURCES = [f"127.0.2.{i}" for i in range(1, 100)]

tmp = tempfile.mkdtemp(prefix="chela-tls-")


def tls_on(**more):
    return {"gateway": {"tls": {"enabled": True, **more}}}


def s_client(gw, *args, stdin="", timeout=DEADLINE):
    """(status, text) of openssl's client."""
    p = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{gw.port}", *args],
        input=stdin, text=True, errors="replace", timeout=timeout,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return p.returncode, p.stdout


def fingerprint(c):
    return "sha256:" + hashlib.sha256(c.sock.getpeercert(True)).hexdigest()


def make_cert(name, key_of=None):
    """A certificate and its key by another program; (cert, key)."""
    cert, key = f"{tmp}/{name}.pem", f"{tmp}/{name}-key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
         "-days", "30", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", key, "-out", cert],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


def make_expired():
    """As make_cert(), valid in January 2020 only."""
    _, key = make_cert("expired-base")
    folder = f"{tmp}/ca"
    os.mkdir(folder)
    open(f"{folder}/index", "w", encoding="ascii").close()
    with open(f"{folder}/serial", "w", encoding="ascii") as f:
        f.write("01\n")
    with open(f"{folder}/conf", "w", encoding="ascii") as f:
        f.write(f"[ca]\ndefault_ca=c\n[c]\ndatabase={folder}/index\n"
                f"serial={folder}/serial\nnew_certs_dir={folder}\n"
                "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
                "[req]\ndistinguished_name=dn\n[dn]\n")
    subprocess.run(["openssl", "req", "-new", "-key", key, "-subj",
                    "/CN=expired", "-out", f"{folder}/csr", "-config",
                    f"{folder}/conf"], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(
        ["openssl", "ca", "-batch", "-selfsign", "-config", f"{folder}/conf",
         "-keyfile", key, "-in", f"{folder}/csr", "-out", f"{tmp}/expired.pem",
         "-startdate", "20200101000000Z", "-enddate", "20200131000000Z",
         "-notext"], check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    return f"{tmp}/expired.pem", key


def put(source, target):
    """A rename over it, as careful programs do."""
    shutil.copy(source, target + ".new")
    os.rename(target + ".new", target)


def client_hello():
    """The first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    o = client_tls().wrap_bio(incoming, outgoing)
    try:
        o.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def raw(gw, source=None):
    s = socket.socket()
    if source:
        s.bind((source, 0))
    s.settimeout(DEADLINE)
    s.connect(("127.0.0.1", gw.port))
    return s


def read_all(s):
    data = b""
    try:
        while True:
            more = s.recv(65536)
            if not more:
                return data
            data += more
    except ConnectionResetError:
        return data


def starts_not(config, state_files=()):
    """(status, stderr) of a daemon that is not to start."""
    folder = tempfile.mkdtemp(dir=tmp)
    os.makedirs(f"{folder}/state/gateway/tls", 0o700)
    os.chmod(f"{folder}/state", 0o700)
    for source, name in state_files:
        shutil.copy(source, f"{folder}/state/gateway/tls/{name}")
    with open(f"{folder}/chela.json", "w", encoding="utf-8") as f:
        f.write(config)
    os.chmod(f"{folder}/chela.json", 0o600)
    p = subprocess.run(
        [chelad(), "--config", f"{folder}/chela.json", "--state-dir",
         f"{folder}/state", "--schema-dir", f"{SOURCE}/schemas", "--plugin-dir",
         f"{BUILD}/plugins", "--port", "0"], text=True, timeout=DEADLINE,
        env=dict(os.environ, CHELA_TOKEN="t-0123456789abcdef0123"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE)
    return p.returncode, p.stderr


# --- what is spoken

with Gateway(config=ON) as gw:
    @check("a certificate is made: mode 0600, names, fingerprint printed")
    def _():
        m = gw.logged(r"listening on wss://127\.0\.0\.1:\d+\n"
                      r"chelad: fingerprint (sha256:[0-9a-f]{64})\n")
        files = f"{gw.state}/gateway/tls"
        for name in ("gateway-cert.pem", "gateway-key.pem"):
            equal(os.stat(f"{files}/{name}").st_mode & 0o7777, 0o600)
        equal(os.stat(files).st_mode & 0o7777, 0o700)
        with Conn(gw) as c:
            equal(fingerprint(c), m.group(1))
        with open(f"{files}/gateway-cert.pem", encoding="ascii") as f:
            der = ssl.PEM_cert_to_DER_cert(f.read())
        equal("sha256:" + hashlib.sha256(der).hexdigest(), m.group(1))
        # The client's own check of names, with this certificate for a root.
        tls = ssl.create_default_context(cafile=f"{files}/gateway-cert.pem")
        for name in ("localhost", "127.0.0.1", "::1", socket.gethostname()):
            with raw(gw) as s, tls.wrap_socket(s, server_hostname=name) as t:
                equal(t.version(), "TLSv1.3")
        try:
            with raw(gw) as s, tls.wrap_socket(s, server_hostname="other.test"):
                raise AssertionError("any name is good")
        except ssl.SSLCertVerificationError:
            pass
        text = subprocess.run(
            ["openssl", "x509", "-noout", "-text", "-in",
             f"{files}/gateway-cert.pem"], check=True, text=True,
            stdout=subprocess.PIPE).stdout
        matches(text, "ASN1 OID: prime256v1")
        matches(text, "CA:FALSE")
        matches(text, "TLS Web Server Authentication")

    for version, name in ((TLS12, "TLSv1.2"), (TLS13, "TLSv1.3")):
        @check(f"{name} is spoken, up to hello and a call")
        def _():
            with Openclaw(gw, tls=client_tls(version)) as c:
                equal(c.sock.version(), name)
                c.hello()
                equal(c.call("health")[0], True)

    for option in ("-tls1", "-tls1_1"):
        @check(f"AB-051: {option[1:]} gets the alert protocol version")
        def _():
            _, text = s_client(gw, option, "-cipher", "ALL:@SECLEVEL=0")
            matches(text, "alert protocol version")
            matches(text, r"Cipher is \(NONE\)")

    for option, suites in (
            ("-cipher", ("ECDHE-ECDSA-AES128-GCM-SHA256",
                         "ECDHE-ECDSA-AES256-GCM-SHA384",
                         "ECDHE-ECDSA-CHACHA20-POLY1305")),
            ("-ciphersuites", ("TLS_AES_128_GCM_SHA256",
                               "TLS_AES_256_GCM_SHA384",
                               "TLS_CHACHA20_POLY1305_SHA256"))):
        for suite in suites:
            @check(f"{suite} is spoken")
            def _():
                version = "-tls1_2" if option == "-cipher" else "-tls1_3"
                _, text = s_client(gw, version, option, suite)
                matches(text, f"Cipher is {suite}")

    @check("AB-051: no cipher without forward secrecy and authentication")
    def _():
        for suite in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384",
                      "ECDHE-ECDSA-AES128-CCM", "AES128-SHA",
                      "AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256",
                      "AECDH-AES128-SHA", "PSK-AES128-GCM-SHA256",
                      "ECDHE-ECDSA-NULL-SHA"):
            _, text = s_client(gw, "-tls1_2", "-cipher",
                               f"{suite}:@SECLEVEL=0")
            matches(text, r"Cipher is \(NONE\)|no ciphers available")
        _, text = s_client(gw, "-tls1_3", "-ciphersuites",
                           "TLS_AES_128_CCM_SHA256")
        matches(text, r"Cipher is \(NONE\)")
        _, text = s_client(gw, "-tls1_2", "-sigalgs", "ECDSA+SHA1",
                           "-cipher", "ALL:@SECLEVEL=0")
        matches(text, r"Cipher is \(NONE\)")

    @check("ALPN: http/1.1 is chosen, h2 alone is refused, none is good")
    def _():
        with Conn(gw, tls=client_tls(alpn=["h2", "http/1.1"])) as c:
            equal(c.sock.selected_alpn_protocol(), "http/1.1")
        with Conn(gw) as c:
            equal(c.sock.selected_alpn_protocol(), None)
        try:
            with Conn(gw, tls=client_tls(alpn=["h2"])):
                raise AssertionError("h2 was taken")
        except ssl.SSLError as e:
            matches(str(e), "(?i)no.application.protocol")

    for version in (TLS12, TLS13):
        @check(f"{version.name}: of 20 connections 19 resume the session")
        def _():
            tls, session, resumed = client_tls(version), None, 0
            for _ in range(20):
                with Conn(gw, tls=tls, session=session) as c:
                    c.upgrade()
                    c.json()	# by now tickets of TLS 1.3 were read
                    resumed += c.sock.session_reused
                    session = c.sock.session
            equal(resumed, 19)

    @check("no early data, no compression, no renegotiation")
    def _():
        _, text = s_client(gw, "-tls1_3", stdin="")
        matches(text, "Max Early Data: 0|Early data was not sent")
        _, text = s_client(gw, "-tls1_2", stdin="")
        matches(text, "Compression: NONE")
        matches(text, "Secure Renegotiation IS supported")
        # "R" on a line asks for a new handshake; the connection ends.
        p = subprocess.Popen(
            ["openssl", "s_client", "-tls1_2", "-connect",
             f"127.0.0.1:{gw.port}"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = ""
        for line in p.stdout:
            said += line
            if "Extended master secret" in line:
                break
        p.stdin.write("R\n")
        p.stdin.flush()
        # Its input stays open: it is the server who ends this.
        said = p.stdout.read()
        p.stdin.close()
        p.wait(DEADLINE)
        matches(said, "RENEGOTIATING")
        equal("verify return" in said, False)

    @check("AB-051: plain HTTP is told so and closed; other bytes are closed")
    def _():
        with raw(gw) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            data = read_all(s)
        matches(data.decode(), r"^HTTP/1\.1 400 [\s\S]*TLS")
        for first in (b"\x00", b"\x80\x2e\x01\x00\x02", b"\x15\x03\x01\x00\x02",
                      b"\x17\x03\x03\x00\x05hello", b"get / \r\n\r\n"):
            with raw(gw) as s:
                s.sendall(first)
                equal(read_all(s), b"")

    @check("AB-051: broken handshakes end with an alert or silence")
    def _():
        hello = client_hello()
        cases = [
            hello[:5] + b"\x02" + hello[6:],		# not a client's
            hello[:6] + b"\xff\xff\xff" + hello[9:],	# 16 MiB to come
            b"\x16\x03\x01\x00\x00",			# an empty record
            b"\x16\x03\x01\xff\xff" + b"\x01" * 70000,	# a record too long
            hello[:43] + bytes(len(hello) - 43),
            b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",	# no hello in it
        ]
        for at in range(0, len(hello), 7):		# one byte is another
            cases.append(hello[:at] + bytes([hello[at] ^ 0x55]) +
                         hello[at + 1:])
        for case in cases:
            with raw(gw) as s:
                try:
                    s.sendall(case)
                    s.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                read_all(s)
        with Openclaw(gw) as c:
            c.hello()

    @check("long messages: both ways, in many records, and one byte each")
    def _():
        with Openclaw(gw) as c:
            c.hello()
            equal(c.call("x" * 3000000)[0], False)
            ok, schema, _ = c.call("config.schema")
            equal(ok, True)
            data = c.frame(1, '{"type":"req","id":"drip","method":"health"}')
            for b in data:
                c.send(bytes([b]))
            equal(c.answer("drip")["ok"], True)

    @check("records cut at any byte of TCP")
    def _():
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        o = client_tls().wrap_bio(incoming, outgoing)
        with raw(gw) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def drip(step):
                data = outgoing.read()
                for i in range(0, len(data), step):
                    s.sendall(data[i:i + step])

            while True:
                try:
                    o.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    drip(1)
                    incoming.write(s.recv(65536))
            drip(1)
            o.write(b"GET /healthz HTTP/1.1\r\n")
            o.write(b"Host: x\r\n\r\n")
            drip(1)
            text = b""
            while b'"live"' not in text:
                try:
                    text += o.read()
                except ssl.SSLWantReadError:
                    incoming.write(s.recv(65536))

    @check("a request whose end is in the same packet is answered")
    def _():
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        o = client_tls().wrap_bio(incoming, outgoing)
        with raw(gw) as s:
            while True:
                try:
                    o.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    s.sendall(outgoing.read())
                    incoming.write(s.recv(65536))
            o.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                o.unwrap()
            except ssl.SSLWantReadError:
                pass
            s.sendall(outgoing.read())	# Finished, request, close_notify
            incoming.write(read_all(s))
            data = b""
            try:
                while True:
                    data += o.read()
                    if data.endswith(b"}"):
                        break
            except ssl.SSLError as e:
                raise AssertionError(data) from e
            matches(data.decode(), '"live"')

    @check("who reads late gets all of it, in order (blocked records)")
    def _():
        with Openclaw(gw) as c, Openclaw(gw) as other:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            c.hello()
            other.hello()
            n = 80
            for i in range(n):
                c.send_json(c.request(f"late-{i}", "config.schema"))
            # The other's calls go on while this one's output waits.
            for _ in range(20):
                equal(other.call("health")[0], True)
            first = None
            for i in range(n):
                f = c.answer(f"late-{i}")
                equal(f["ok"], True)
                first = first or f["payload"]["schema"]
                equal(f["payload"]["schema"] == first, True)

    @check("the end is told: close_notify, after a close frame too")
    def _():
        with Conn(gw) as c:
            equal(c.http("GET /healthz HTTP/1.1\nHost: x\n\n")[0], 200)
            c.sock.suppress_ragged_eofs = False
            equal(c.sock.recv(10), b"")
        with Openclaw(gw) as c:
            c.hello()
            c.sock.suppress_ragged_eofs = False
            c.send_frame(8, b"\x03\xe8")
            try:
                while True:
                    c.more()
            except Gone:
                pass

    state_first = gw.logged(r"fingerprint (sha256:[0-9a-f]{64})").group(1)
    keep = f"{tmp}/keep"
    shutil.copytree(f"{gw.state}/gateway/tls", keep)


# --- strangers

with Gateway(config={"gateway": {"tls": {"enabled": True}, "limits": {
        "handshakeTimeoutMs": DEADLINE_MS}}}) as gw, Openclaw(gw) as op:
    op.hello()

    def half_done(first_bytes):
        """1,000 of them; all end by the deadline, nobody else suffers."""
        socks = []
        try:
            for i in range(1000):
                s = raw(gw, SOURCES[i % len(SOURCES)])
                try:
                    s.sendall(first_bytes(i))
                except OSError:
                    pass
                socks.append(s)
                if i % 200 == 0:
                    equal(op.call("health")[0], True)
            left = set(socks)
            end = time.monotonic() + DEADLINE_MS / 1000 + 8
            while left and time.monotonic() < end:
                for s in select.select(left, [], [], 0.2)[0]:
                    try:
                        if not s.recv(65536):
                            left.discard(s)
                    except OSError:
                        left.discard(s)
                equal(op.call("health")[0], True)
            equal(len(left), 0)
            with Openclaw(gw, source="127.0.0.9") as c:
                c.hello()
        finally:
            for s in socks:
                s.close()

    hello = client_hello()

    @check("AB-051: 1,000 truncated handshakes end at the deadline")
    def _():
        half_done(lambda i: hello[:1 + i % (len(hello) - 1)])

    @check("AB-051: 1,000 half-done handshakes end at the deadline")
    def _():
        half_done(lambda i: hello)

    @check("AB-002: a handshake that drips is cut at the deadline, from accept")
    def _():
        with raw(gw) as s:
            began = time.monotonic()
            at = 0
            while time.monotonic() - began < DEADLINE_MS / 1000 + 4:
                try:
                    if select.select([s], [], [], 0.1)[0] and not s.recv(100):
                        break
                    s.sendall(hello[at:at + 1])
                except OSError:
                    break
                at += 1
            took = time.monotonic() - began
        equal(DEADLINE_MS / 1000 - 0.5 < took < DEADLINE_MS / 1000 + 3, True)

    @check("AB-003: after the handshake nothing comes: the same deadline")
    def _():
        began = time.monotonic()
        with Conn(gw) as c:
            try:
                c.more()
                raise AssertionError("the server speaks first")
            except Gone:
                pass
        took = time.monotonic() - began
        equal(DEADLINE_MS / 1000 - 0.5 < took < DEADLINE_MS / 1000 + 3, True)

    @check("memory of the refused ones came back")
    def _():
        before = gw.rss_kib()
        half_done(lambda i: hello)
        equal(gw.rss_kib() - before < 16384, True)


def cpu_us(pid):
    """CPU time of the loop's thread."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) // 1000


@check("maxTlsHandshakes: one more is refused, and none when one has ended")
def _():
    with Gateway(config={"gateway": {"tls": {"enabled": True}, "limits": {
            "maxTlsHandshakes": 3}}}) as gw:
        half = []
        for _ in range(3):
            s = raw(gw)
            s.sendall(hello)
            equal(s.recv(1), b"\x16")
            half.append(s)
        with raw(gw) as s:		# says nothing, so counts for nothing
            with raw(gw) as one_more:
                one_more.sendall(hello)
                equal(read_all(one_more), b"")
            half.pop().close()
            end = time.monotonic() + DEADLINE
            while True:
                try:
                    with Openclaw(gw) as c:
                        c.hello()
                    break
                except (OSError, Gone):
                    if time.monotonic() > end:
                        raise
        for s in half:
            s.close()


@check("one step of a handshake a turn: 100 at once make no long turn")
def _():
    # A turn is compared with what all of them cost: CPU time, so that a busy
    # or slow machine makes no difference.
    with Gateway(config=ON, args=["--slow-turn-ms", "10000"]) as gw:
        with Openclaw(gw) as c:
            c.hello()
        socks = [raw(gw, SOURCES[i % 10]) for i in range(100)]
        before = cpu_us(gw.pid)
        os.kill(gw.pid, signal.SIGSTOP)	# all are readable in one turn
        for s in socks:
            s.sendall(hello)
        os.kill(gw.pid, signal.SIGCONT)
        for s in socks:
            equal(s.recv(1), b"\x16")
            s.close()
        total = cpu_us(gw.pid) - before
        gw.proc.terminate()
        took = int(gw.logged(r"longest turn took (\d+) us").group(1))
        gw.proc.wait(DEADLINE)
        print(f"  # the longest turn took {took} us of {total}", flush=True)
        equal(took < total / 3, True)


# --- the certificate changes

a, b = make_cert("first"), make_cert("second")
cert, key = f"{tmp}/live.pem", f"{tmp}/live-key.pem"
shutil.copy(a[0], cert)
shutil.copy(a[1], key)
os.chmod(key, 0o600)

with Gateway(config=tls_on(certPath=cert, keyPath=key)) as gw, \
        Openclaw(gw) as live:
    live.hello()
    tls = client_tls()
    with Conn(gw, tls=tls) as c:
        c.upgrade()
        c.json()
        old, session = fingerprint(c), c.sock.session

    def shown():
        with Conn(gw) as c:
            return fingerprint(c)

    def not_used(pattern):
        """The refusal is logged once more; what is served stays."""
        gw.logged(pattern)
        equal(shown(), old)
        equal(live.call("health")[0], True)

    @check("AB-051: a file that is no certificate leaves the old one in use")
    def _():
        with open(f"{tmp}/junk", "w", encoding="ascii") as f:
            f.write("-----BEGIN CERTIFICATE-----\nAAAA\n")
        put(f"{tmp}/junk", cert)
        not_used(r"the new files are not used: '\S+live\.pem'")

    @check("AB-051: a certificate of another key leaves the old one in use")
    def _():
        gw.log = ""
        put(b[0], cert)
        not_used(r"the new files are not used: .*key")

    @check("AB-051: an expired certificate leaves the old one in use")
    def _():
        gw.log = ""
        expired = make_expired()
        put(expired[0], cert)
        put(expired[1], key)
        not_used(r"the new files are not used: .*expired")

    @check("AB-051: files that are gone leave the old ones in use")
    def _():
        gw.log = ""
        os.unlink(cert)
        os.kill(gw.pid, signal.SIGHUP)
        not_used(r"the new files are not used: .*No such file")

    @check("AB-051: good new files are for new connections; live ones stay")
    def _():
        put(b[0], cert)
        put(b[1], key)
        gw.logged("new connections get the certificate")
        new = shown()
        equal(new == old, False)
        with open(b[0], encoding="ascii") as f:
            der = ssl.PEM_cert_to_DER_cert(f.read())
        equal(new, "sha256:" + hashlib.sha256(der).hexdigest())
        equal(live.call("health")[0], True)
        equal(fingerprint(live), old)

    @check("tickets of the old certificate are not taken any more")
    def _():
        with Conn(gw, tls=tls, session=session) as c:
            equal(c.sock.session_reused, False)

    @check("an RSA certificate is served as well")
    def _():
        gw.log = ""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
             "-subj", "/CN=rsa", "-days", "30", "-keyout", f"{tmp}/rsa-key.pem",
             "-out", f"{tmp}/rsa.pem"], check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        put(f"{tmp}/rsa.pem", cert)
        put(f"{tmp}/rsa-key.pem", key)
        gw.logged("new connections get the certificate")
        for version in (TLS12, TLS13):
            with Openclaw(gw, tls=client_tls(version)) as c:
                c.hello()
        equal(live.call("health")[0], True)


# --- the start

@check("the certificate of the last start is kept")
def _():
    with Gateway(config=tls_on(certPath=f"{keep}/gateway-cert.pem",
                               keyPath=f"{keep}/gateway-key.pem")) as gw:
        equal(gw.logged(r"fingerprint (\S+)").group(1), state_first)


@check("AB-051: no start without the files that are named")
def _():
    off = '{"gateway":{"tls":{"enabled":true,"autoGenerate":false}}}'
    on = '{"gateway":{"tls":{"enabled":true}}}'
    for config, files, why in (
            (off, (), "No such file"),
            (on, ((a[0], "gateway-cert.pem"),), "No such file"),
            (on, ((a[1], "gateway-key.pem"),), "No such file"),
            (on, ((a[0], "gateway-cert.pem"), (b[1], "gateway-key.pem")),
             "key"),
            (on, ((a[0], "gateway-cert.pem"), (a[0], "gateway-key.pem")),
             "gateway-key.pem")):
        code, said = starts_not(config, files)
        matches(said, why)
        equal(code, 78)
        if "listening" in said:
            raise AssertionError(said)


@check("a port of its own: the other one stays plain")
def _():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with Gateway(config=tls_on(port=port)) as gw:
        gw.logged(rf"listening on wss://127\.0\.0\.1:{port}\n")
        gw.is_tls = False
        with Openclaw(gw) as c:
            c.hello()
        gw.is_tls, gw.port = True, port
        with Openclaw(gw) as c:
            c.hello()


@check("inherited sockets: the one with gateway.tls.port speaks TLS")
def _():
    socks = [socket.socket(), socket.socket()]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    plain, secure = (s.getsockname()[1] for s in socks)
    for s in socks:
        s.close()
    with open(f"{tmp}/inherit", "w", encoding="ascii") as f:
        f.write(f'''#!/usr/bin/env python3
import os, socket, sys
for at, port in ((3, {secure}), (4, {plain})):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    s.listen(64)
    if s.fileno() != at:
        os.dup2(s.fileno(), at)
    os.set_inheritable(at, True)
    s.detach()
os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid()))
os.execv({os.path.realpath(chelad())!r}, sys.argv)
''')
    os.chmod(f"{tmp}/inherit", 0o755)
    old = os.environ.get("CHELAD")
    os.environ["CHELAD"] = f"{tmp}/inherit"
    try:
        with Gateway(config=tls_on(port=secure)) as gw:
            gw.logged(rf"listening on wss://127\.0\.0\.1:{secure}\n")
            equal(gw.port, plain)
            gw.is_tls = False
            with Openclaw(gw) as c:
                c.hello()
            gw.is_tls, gw.port = True, secure
            with Openclaw(gw) as c:
                c.hello()
    finally:
        os.environ.pop("CHELAD")
        if old is not None:
            os.environ["CHELAD"] = old


@check("caPath: who shows no certificate of the authority is refused")
def _():
    with Gateway(config=tls_on(caPath=a[0])) as gw:
        for pair, good in ((a, True), (b, False), (None, False)):
            tls = client_tls(TLS12)
            if pair:
                tls.load_cert_chain(*pair)
            try:
                with Openclaw(gw, tls=tls) as c:
                    c.hello()
                equal(good, True)
            except (ssl.SSLError, ConnectionResetError, Gone):
                equal(good, False)


# --- what a client comes back with

class Relay:
    """Bytes to the gateway and back, until it is cut."""

    def __init__(self, gw):
        self.gw, self.pairs = gw, []
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                a, _ = self.sock.accept()
            except OSError:
                return
            b = socket.create_connection(("127.0.0.1", self.gw.port))
            self.pairs += [a, b]
            for x, y in ((a, b), (b, a)):
                threading.Thread(target=self.pump, args=(x, y),
                                 daemon=True).start()

    @staticmethod
    def pump(x, y):
        try:
            while data := x.recv(65536):
                y.sendall(data)
        except OSError:
            pass
        for s in (x, y):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        pairs, self.pairs = self.pairs, []
        for s in pairs:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def tls_counts(c):
    ok, status, error = c.call("status", {})
    if not ok:
        raise AssertionError(error)
    return status["sockets"]["tls"]


def node_is_back(c):
    c.event("presence", lambda p: any(
        e.get("reason") == "connect" and "node" in e.get("roles", ())
        for e in p["presence"]))
    c.events.clear()


back_a, back_b = make_cert("back-a"), make_cert("back-b")
shutil.copy(back_a[0], f"{tmp}/back.pem")
shutil.copy(back_a[1], f"{tmp}/back-key.pem")
with Gateway(config=tls_on(certPath=f"{tmp}/back.pem",
                           keyPath=f"{tmp}/back-key.pem")) as gw:
    finger = gw.logged(r"fingerprint (sha256:\S+)").group(1)
    relay = Relay(gw)
    ops = Openclaw(gw).hello()
    node = None

    @check("a client that comes back resumes its session, however often")
    def _():
        global node
        node = subprocess.Popen(
            [f"{BUILD}/chela-node", "--url", f"wss://127.0.0.1:{relay.port}",
             "--tls-fingerprint", finger, "--state-dir", f"{tmp}/back"],
            env={**os.environ, "HOME": tmp, "CHELA_TOKEN": gw.token},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        node_is_back(ops)
        first = tls_counts(ops)
        for i in range(1, 4):
            relay.cut()
            node_is_back(ops)
            now = tls_counts(ops)
            equal((now["resumed"] - first["resumed"],
                   now["handshakes"] - first["handshakes"]), (i, i))

    @check("AB-051: no session outlives the certificate that was believed")
    def _():
        before = tls_counts(ops)["resumed"]
        put(back_b[0], f"{tmp}/back.pem")
        put(back_b[1], f"{tmp}/back-key.pem")
        gw.logged("new connections get the certificate")
        relay.cut()
        equal(node.wait(DEADLINE), 2)
        equal(tls_counts(ops)["resumed"], before)

    @check("chela status shows the handshakes, and what failed of them")
    def _():
        with socket.create_connection(("127.0.0.1", gw.port)) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            while s.recv(4096):
                pass
        now = tls_counts(ops)
        equal((now["refused"], now["failed"] >= 0), (1, True))
        p = subprocess.run(
            [f"{BUILD}/chela", "--url", f"wss://localhost:{gw.port}", "status"],
            env={**os.environ, "HOME": tmp, "CHELA_TOKEN": gw.token},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, timeout=DEADLINE)
        equal(p.returncode, 0)
        matches(p.stdout, r"(?m)^TLS: +\d+ handshakes \(\d+ resumed\), "
                r"\d+ failed, 1 without TLS$")
        matches(p.stdout, r"(?m)^sockets: +\d+ open, \d+ accepted, ")

    if node is not None and node.poll() is None:
        node.terminate()
        node.wait(DEADLINE)
    ops.sock.close()
    relay.sock.close()


# --- what a client believes

def chela(gw, *args, home, url=None):
    p = subprocess.run(
        [f"{BUILD}/chela", "--url", url or f"wss://localhost:{gw.port}", *args,
         "health"], text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**{k: v for k, v in os.environ.items() if k[:4] != "XDG_"},
             "HOME": home, "CHELA_TOKEN": gw.token})
    return p.returncode, p.stdout + p.stderr


shutil.copy(a[0], cert)
shutil.copy(a[1], key)
with Gateway(config=tls_on(certPath=cert, keyPath=key)) as gw:
    finger = gw.logged(r"fingerprint (sha256:\S+)").group(1)
    digits = finger[7:]
    other = "sha256:" + "0" * 64
    home = tempfile.mkdtemp(dir=tmp)
    known = f"{home}/.config/chela/known_gateways"

    @check("chela --tls-fingerprint: in every spelling; another is refused")
    def _():
        colons = ":".join(digits[i:i + 2] for i in range(0, 64, 2)).upper()
        for text in (finger, digits, digits.upper(), colons,
                     "SHA256:" + colons):
            equal(chela(gw, "--tls-fingerprint", text, home=home)[0], 0)
        code, said = chela(gw, "--tls-fingerprint", other, home=home)
        equal(code, 2)
        matches(said, finger)
        matches(said, other)
        equal(os.path.exists(known), False)

    @check("a fingerprint for ws:// and one that is none are wrong usage")
    def _():
        equal(chela(gw, "--tls-fingerprint", finger, home=home,
                    url=f"ws://localhost:{gw.port}")[0], 64)
        for text in ("sha256:", digits[:62], digits + "00", "g" * 64,
                     digits[:63] + ":", ":" + digits, "md5:" + digits):
            equal(chela(gw, "--tls-fingerprint", text, home=home)[0], 64)

    @check("--tls-system refuses what no authority vouches for")
    def _():
        code, said = chela(gw, "--tls-system", home=home)
        equal(code, 2)
        matches(said, "vouches")
        equal(os.path.exists(known), False)

    @check("trust on first use: told, written down, then silent")
    def _():
        code, said = chela(gw, home=home)
        equal(code, 0)
        matches(said, f"first time at .*{finger}")
        with open(known, encoding="ascii") as f:
            equal(f.read(), f"localhost:{gw.port} {finger}\n")
        equal(os.stat(known).st_mode & 0o7777, 0o600)
        code, said = chela(gw, home=home)
        equal(code, 0)
        equal("first time" in said, False)

    @check("a change is refused with both fingerprints; the token stays here")
    def _():
        put(b[0], cert)
        put(b[1], key)
        new = gw.logged(
            r"new connections get the certificate fingerprint=(\S+)").group(1)
        code, said = chela(gw, home=home)
        equal(code, 2)
        for text in (finger, new, known):
            matches(said, re.escape(text))
        # Its removal from the file is what a person does who means it.
        os.unlink(known)
        equal(chela(gw, home=home)[0], 0)

    @check("what cannot be written down is not trusted")
    def _():
        poor = tempfile.mkdtemp(dir=tmp)
        os.makedirs(f"{poor}/.config/chela/known_gateways")
        code, said = chela(gw, home=poor)
        equal(code, 2)
        shutil.rmtree(f"{poor}/.config")
        with open(f"{poor}/.config", "w", encoding="ascii"):
            pass
        code, said = chela(gw, home=poor)
        equal(code, 2)
        matches(said, "known|unknown")


@check("chela with wss:// at a plain port, and with ws:// at a TLS port")
def _():
    with Gateway() as plain:
        if not plain.is_tls:
            code, said = chela(plain, home=tmp)
            equal(code, 2)
            matches(said, "does not speak TLS")
    with Gateway(config=ON) as gw:
        code, said = chela(gw, home=tmp, url=f"ws://localhost:{gw.port}")
        equal(code, 2)
        matches(said, "wss://")

shutil.rmtree(tmp, ignore_errors=True)
finish()
