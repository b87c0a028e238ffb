"""One HTTP/1.1 or WebSocket connection, parsed by hand: http.client would cost as much as the rest."""

import asyncio
import select
from dataclasses import dataclass

from clients import websocket


class Failed(Exception):
    """An answer came, but not the one to be had."""


class Closed(Exception):
    """The server ended a WebSocket by a close frame with this code."""

    def __init__(self, code):
        super().__init__(f"close frame {code}")
        self.code = code


# What a connection can do to its user. IncompleteReadError is an EOFError.
FAILURES = (OSError, EOFError, asyncio.LimitOverrunError, ValueError, Failed)


def reason(problem):
    """A failure in a few words."""
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, asyncio.IncompleteReadError):
        return "closed in the middle of the answer" if problem.partial else "closed without an answer"
    return str(problem) if isinstance(problem, Failed) else f"{type(problem).__name__}: {problem}"


@dataclass
class Answer:
    """One HTTP answer; the head in lowercase."""

    status: int
    head: bytes
    body: bytes = b""

    def header(self, name):
        """A header's value, or None."""
        start = self.head.find(b"\r\n" + name + b":")
        if start < 0:
            return None
        return self.head[start + len(name) + 3 : self.head.index(b"\r\n", start + 2)].strip()

    @property
    def last(self):
        """Whether the server said that it will close the connection."""
        return b"close" in (self.header(b"connection") or b"")


class Connection:
    """One connection to a Target."""

    def __init__(self, reader, writer, host):
        self.reader = reader
        self.writer = writer
        self.host = host
        self.used = False
        self.heard = b""  # of a WebSocket, not yet a whole frame
        self.goodbye = False  # A close frame has been sent; nothing may follow it.
        self.readable = select.poll()
        self.readable.register(writer.get_extra_info("socket").fileno(), select.POLLIN)

    @classmethod
    async def open(cls, target):
        """Connect, over TLS where the target has it."""
        tls = {"ssl": target.tls, "server_hostname": target.host, "ssl_shutdown_timeout": 1}
        reader, writer = await asyncio.open_connection(
            target.address, target.port, **tls if target.tls else {}
        )
        return cls(reader, writer, target.host)

    async def ended(self):
        """Whether the server has closed it, by all that has reached this machine so far."""
        for _turn in range(8):
            if self.reader.at_eof() or self.reader.exception() or self.writer.is_closing():
                return True
            if not self.readable.poll(0):
                return False
            await asyncio.sleep(0)  # Something came; the loop has yet to read it.
        return False

    def close(self):
        self.readable = None
        self.writer.close()

    def send(self, method, path, headers="", body=b""):
        """Write one request. It is all in the kernel's hands at once."""
        self.used = True
        if method == "POST":
            headers += f"Content-Length: {len(body)}\r\n"
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n{headers}\r\n".encode() + body)

    async def head(self):
        """The Answer, its body unread."""
        while True:
            head = await self.reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1."):
                raise Failed("not HTTP")
            status = int(head[9:12])
            if status == 101 or status >= 200:
                return Answer(status, head.lower())

    async def answer(self):
        """The Answer with its body."""
        answer = await self.head()
        length = answer.header(b"content-length")
        if length is not None:
            answer.body = await self.reader.readexactly(int(length))
        elif answer.header(b"transfer-encoding") == b"chunked":
            answer.body = await self.chunks()
        elif answer.status not in (204, 304):
            answer.body = await self.reader.read()
        return answer

    async def chunks(self):
        """A chunked body."""
        body = b""
        while True:
            size = int((await self.reader.readuntil(b"\r\n")).partition(b";")[0], 16)
            if size:
                body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
                continue
            while await self.reader.readuntil(b"\r\n") != b"\r\n":
                pass  # Trailers.
            return body

    async def upgrade(self, path):
        """Make it a WebSocket; the Answer, whose status tells whether it is one."""
        self.writer.write(websocket.handshake(self.host, path))
        return await self.head()

    def send_frame(self, opcode, content):
        """Write one frame, unless a close frame has been sent."""
        if not self.goodbye:
            self.goodbye = opcode == websocket.CLOSE
            self.writer.write(websocket.frame(opcode, content))

    async def message(self):
        """The next text. Answers pings; raises Closed at a close frame."""
        text = b""
        while True:
            while not (found := websocket.first_frame(self.heard)):
                data = await self.reader.read(65536)
                if not data:
                    raise asyncio.IncompleteReadError(self.heard, None)
                self.heard += data
            opcode, final, content, self.heard = found
            if opcode == websocket.CLOSE:
                self.send_frame(websocket.CLOSE, content[:2])
                raise Closed(websocket.close_code(content))
            if opcode == websocket.PING:
                self.send_frame(websocket.PONG, content)
            elif opcode in (0, websocket.TEXT, websocket.BINARY):
                text += content
                if final:
                    return text.decode()
