"""A small HTTP/1.1 client that hides nothing.

Requests are bytes on a socket and responses are parsed strictly, so that a truncated body, a missing
header or a connection closed early is an error here and not something a library papers over.
"""

import socket
import zlib

TIMEOUT_S = 30


class ProtocolError(Exception):
    """The server broke HTTP: a short body, a bad status line, a connection closed too early."""


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # a dict of lower-case names
        self.body = body

    def unzipped(self):
        return zlib.decompress(self.body, wbits=31)


class Connection:
    """One TCP connection; requests may be sent ahead of reading (pipelining)."""

    def __init__(self, port, timeout_s=TIMEOUT_S):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.buffer = b""
        self.closed_by_server = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, path, headers=(), body=None):
        self.send(encode(method, path, headers, body))
        return self.response(method)

    def response(self, method="GET"):
        """Read one response; raises ProtocolError or OSError."""
        status, headers = self._head()
        while status == 100:
            status, headers = self._head()
        return Response(status, headers, self._body(method, status, headers))

    def at_end(self):
        """True when the server closed the connection and sent nothing more."""
        return not self.buffer and not self._fill()

    def _fill(self):
        data = self.socket.recv(1 << 18)
        if not data:
            self.closed_by_server = True
        self.buffer += data
        return bool(data)

    def _until(self, mark):
        while mark not in self.buffer:
            if not self._fill():
                raise ProtocolError(f"closed after {len(self.buffer)} bytes, waiting for {mark!r}")
        part, self.buffer = self.buffer.split(mark, 1)
        return part

    def _exactly(self, count):
        parts, have = [self.buffer[:count]], min(count, len(self.buffer))
        self.buffer = self.buffer[count:]
        while have < count:
            data = self.socket.recv(min(1 << 20, count - have))
            if not data:
                self.closed_by_server = True
                raise ProtocolError(f"closed after {have} of {count} body bytes")
            parts.append(data)
            have += len(data)
        return b"".join(parts)

    def _head(self):
        lines = self._until(b"\r\n\r\n").split(b"\r\n")
        version, status, *_ = lines[0].split(b" ", 2) + [b""]
        if not version.startswith(b"HTTP/1."):
            raise ProtocolError(f"status line {lines[0]!r}")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
        return int(status), headers

    def _body(self, method, status, headers):
        if method == "HEAD" or status in (204, 304):
            return b""
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while True:
                size = int(self._until(b"\r\n").split(b";")[0], 16)
                parts.append(self._exactly(size))
                if self._exactly(2) != b"\r\n":
                    raise ProtocolError("a chunk does not end in CRLF")
                if size == 0:
                    return b"".join(parts)
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        while self._fill():
            pass
        body, self.buffer = self.buffer, b""
        return body


def encode(method, path, headers=(), body=None):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def fetch(port, path, method="GET", headers=(), body=None, timeout_s=TIMEOUT_S):
    """One request on a connection of its own."""
    with Connection(port, timeout_s) as connection:
        return connection.request(method, path, list(headers) + [("Connection", "close")], body)


def multipart_ranges(response):
    """The parts of a multipart/byteranges body, as (content-range, bytes) pairs."""
    kind, _, boundary = response.headers["content-type"].partition("boundary=")
    if not kind.startswith("multipart/byteranges"):
        raise ProtocolError(f"content type {kind!r}")
    mark = b"--" + boundary.encode()
    pieces = response.body.split(b"\r\n" + mark)
    if pieces[0] or pieces[-1] != b"--\r\n":
        raise ProtocolError("multipart body is not framed by its boundary")
    parts = []
    for piece in pieces[1:-1]:
        head, _, body = piece.partition(b"\r\n\r\n")
        names = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n") if line)
        parts.append((names[b"content-range"].decode(), body))
    return parts
