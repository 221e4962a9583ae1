# SPDX-License-Identifier: MIT
"""A WebSocket client of one's own, for frames that a good library would never
send, and strict about those that come: sockets and nothing else."""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import time

DEADLINE = 30.0		# nothing takes this long but what hangs
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Gone(Exception):
    """The peer ended the TCP connection."""


class Wrong(Exception):
    """The peer broke RFC 6455."""


def client_tls(version=None, alpn=None):
    """A context that takes any certificate: what is shown is looked at by
    those tests that are about it."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    if version:
        tls.minimum_version = tls.maximum_version = version
    if alpn:
        tls.set_alpn_protocols(alpn)
    return tls


class Conn:
    def __init__(self, gateway, deadline=DEADLINE, source=None, tls=None,
                 session=None):
        self.gateway = gateway
        self.deadline = time.monotonic() + deadline
        self.sock = socket.create_connection(
            ("127.0.0.1", gateway.port), deadline,
            (source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if gateway.is_tls:
            self.sock = (tls or client_tls()).wrap_socket(
                self.sock, session=session)
        self.buf = b""
        self.subprotocol = None
        self.pings = []
        self.next_id = 1
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    # --- bytes

    def send(self, data):
        self.sock.sendall(data)

    def more(self):
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing came before the deadline")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Gone(self.buf[:200])
        self.buf += data

    def take(self, n):
        while len(self.buf) < n:
            self.more()
        data, self.buf = self.buf[:n], self.buf[n:]
        return data

    # --- HTTP

    def http(self, head):
        """Sends a request head, gives (status, {header: value}, body)."""
        if isinstance(head, str):
            head = head.replace("\n", "\r\n").encode("latin-1")
        self.send(head)
        return self.http_answer()

    def http_answer(self):
        while b"\r\n\r\n" not in self.buf:
            self.more()
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ", 2)[:2]
        if version != "HTTP/1.1":
            raise Wrong(f"status line {lines[0]!r}")
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            headers[name.strip().lower()] = value.strip()
        body = b""
        if status != "101" and "content-length" in headers:
            body = self.take(int(headers["content-length"]))
        return int(status), headers, body

    def head(self, path="/", method="GET", version="HTTP/1.1", drop=(),
             key=None, **more):
        """An upgrade request; more: Header_Name="value", None leaves out."""
        self.key = key or base64.b64encode(os.urandom(16)).decode()
        headers = {
            "Host": f"127.0.0.1:{self.gateway.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": self.key,
            "Sec-WebSocket-Version": "13",
        }
        for name, value in more.items():
            headers[name.replace("_", "-")] = value
        text = f"{method} {path} {version}\r\n"
        for name, value in headers.items():
            if value is not None and name not in drop:
                text += f"{name}: {value}\r\n"
        return (text + "\r\n").encode("latin-1")

    def upgrade(self, **args):
        status, headers, body = self.http(self.head(**args))
        if status != 101:
            raise Wrong(f"upgrade: {status} {body[:200]!r}")
        want = base64.b64encode(
            hashlib.sha1(self.key.encode() + GUID).digest()).decode()
        if headers.get("sec-websocket-accept") != want:
            raise Wrong("Sec-WebSocket-Accept is not of this key")
        if headers.get("upgrade", "").lower() != "websocket":
            raise Wrong("no Upgrade: websocket in the answer")
        if "upgrade" not in headers.get("connection", "").lower():
            raise Wrong("no Connection: Upgrade in the answer")
        if "sec-websocket-extensions" in headers:
            raise Wrong("an extension was accepted")
        self.subprotocol = headers.get("sec-websocket-protocol")
        return self

    # --- frames

    def frame(self, opcode, payload=b"", fin=True, rsv=0, masked=True,
              length=None, width=None):
        """Bytes of one frame. length: what the header claims; width: 7, 16 or
        64, the encoding of the length."""
        if isinstance(payload, str):
            payload = payload.encode()
        n = len(payload) if length is None else length
        first = (0x80 if fin else 0) | (rsv << 4) | opcode
        width = width or (7 if n < 126 else 16 if n < 65536 else 64)
        mask_bit = 0x80 if masked else 0
        if width == 7:
            head = bytes([first, mask_bit | n])
        elif width == 16:
            head = bytes([first, mask_bit | 126]) + struct.pack(">H", n)
        else:
            head = bytes([first, mask_bit | 127]) + struct.pack(">Q", n)
        if not masked:
            return head + payload
        key = os.urandom(4)
        return head + key + mask(payload, key)

    def send_frame(self, *args, **kw):
        self.send(self.frame(*args, **kw))

    def recv_frame(self):
        a, b = self.take(2)
        opcode = a & 15
        n = b & 127
        if a & 0x70:
            raise Wrong("RSV bit from the server")
        if b & 0x80:
            raise Wrong("masked frame from the server")
        if opcode not in (CONT, TEXT, BINARY, CLOSE, PING, PONG):
            raise Wrong(f"opcode {opcode}")
        if n == 126:
            n = struct.unpack(">H", self.take(2))[0]
            if n < 126:
                raise Wrong("length is not minimal")
        elif n == 127:
            n = struct.unpack(">Q", self.take(8))[0]
            if n < 65536:
                raise Wrong("length is not minimal")
        if opcode >= 8 and (n > 125 or not a & 0x80):
            raise Wrong("control frame too long or fragmented")
        return opcode, bool(a & 0x80), self.take(n)

    def recv(self):
        """One message's text; pings are answered, a close raises Closed."""
        parts = None
        while True:
            opcode, fin, data = self.recv_frame()
            if opcode == PING:
                self.pings.append(data)
                self.send_frame(PONG, data)
            elif opcode == PONG:
                self.pings.append(data)
            elif opcode == CLOSE:
                raise Closed(*close_body(data))
            elif opcode == BINARY:
                raise Wrong("a binary message from the server")
            else:
                if (opcode == CONT) != (parts is not None):
                    raise Wrong("fragments out of order")
                parts = (parts or b"") + data
                if fin:
                    return parts.decode("utf-8")

    def pong(self):
        """The body of the next pong; other messages are kept."""
        while True:
            opcode, _, data = self.recv_frame()
            if opcode == PONG:
                return data
            if opcode == CLOSE:
                raise Closed(*close_body(data))
            if opcode == TEXT:
                self.events.append(json.loads(data))

    def closed(self):
        """Reads to the close frame and the end: (code, reason)."""
        try:
            while True:
                self.recv()
        except Closed as c:
            code, reason = c.code, c.reason
        try:
            self.send_frame(CLOSE, struct.pack(">H", code or 1000))
            self.sock.shutdown(socket.SHUT_WR)
            while True:
                self.more()
        except (Gone, OSError):
            pass
        return code, reason

    # --- JSON, either dialect

    def json(self):
        return json.loads(self.recv())

    def send_json(self, value):
        self.send_frame(TEXT, json.dumps(value))

    def answer(self, ident):
        """The response with this id; events on the way are kept."""
        while True:
            f = self.json()
            if "event" in f:
                self.events.append(f)
            elif f.get("id") == ident:
                return f
            else:
                raise Wrong(f"an answer that nobody waits for: {f}")

    def event(self, name, test=lambda payload: True):
        for f in self.events:
            if f["event"] == name and test(f.get("payload", f.get("data"))):
                return f
        while True:
            f = self.json()
            if "event" not in f:
                raise Wrong(f"an answer that nobody waits for: {f}")
            self.events.append(f)
            if f["event"] == name and test(f.get("payload", f.get("data"))):
                return f


class Closed(Exception):
    def __init__(self, code, reason):
        super().__init__(f"closed {code} {reason!r}")
        self.code, self.reason = code, reason


def close_body(data):
    if not data:
        return None, ""
    if len(data) == 1:
        raise Wrong("close body of one byte")
    return struct.unpack(">H", data[:2])[0], data[2:].decode("utf-8")


def mask(data, key):
    if not data:
        return data
    n = len(data)
    keys = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(data, "big") ^
            int.from_bytes(keys, "big")).to_bytes(n, "big")


class Openclaw(Conn):
    """A connection in the openclaw dialect (protocol 4)."""
    scopes_of = staticmethod(lambda names: ["operator." + n for n in names])

    def request(self, ident, method, params=None):
        f = {"type": "req", "id": ident, "method": method}
        if params is not None:
            f["params"] = params
        return f

    def connect_params(self, token=None, scopes=("admin",), **over):
        p = {
            "minProtocol": 4, "maxProtocol": 4,
            "client": {"id": "cli", "version": "1.0.0", "platform": "linux",
                       "mode": "cli"},
            "caps": [], "role": "operator", "scopes": self.scopes_of(scopes),
        }
        token = self.gateway.token if token is None else token
        if token:
            p["auth"] = {"token": token}
        p.update(over)
        return p

    def open(self, **args):
        self.upgrade(**args)
        self.challenge = self.json()
        return self

    def call(self, method, params=None):
        """(ok, result, error) of one request; error is {code, message, ...}."""
        ident = str(self.next_id)
        self.next_id += 1
        self.send_json(self.request(ident, method, params))
        return self.read_answer(self.answer(ident))

    @staticmethod
    def read_answer(f):
        return f["ok"], f.get("payload"), f.get("error")

    def hello(self, **over):
        self.open()
        ok, result, error = self.call("connect", self.connect_params(**over))
        if not ok:
            raise Wrong(f"connect: {error}")
        self.welcome = result
        return self


class Native(Openclaw):
    """The same in the native dialect."""
    scopes_of = staticmethod(list)

    def request(self, ident, method, params=None):
        f = {"id": ident, "method": method}
        if params is not None:
            f["params"] = params
        return f

    def connect_params(self, token=None, scopes=("admin",), **over):
        p = {"minProtocol": 4, "maxProtocol": 4, "instance": "wire-test",
             "mode": "operator", "scopes": list(scopes), "capabilities": []}
        token = self.gateway.token if token is None else token
        if token:
            p["credentials"] = {"token": token}
        p.update(over)
        return p

    def open(self, **args):
        args.setdefault("Sec_WebSocket_Protocol", "chela.v1")
        return super().open(**args)

    @staticmethod
    def read_answer(f):
        error = None
        if not f["ok"]:
            error = dict(f.get("meta") or {}, message=f["error"])
        return f["ok"], f.get("result"), error
