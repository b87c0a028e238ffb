"""One HTTP/2 connection over TLS, several requests at a time; h2 knows the protocol."""

import asyncio
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from clients.http import Answer, Failed

ROOM = 1 << 20  # for answers, as browsers have it


class NotTaken(Exception):
    """The server has said that it did nothing with the request (RFC 9113, 6.8): it may be sent again."""


class Protocol(h2.connection.H2Connection):
    """h2, but GOAWAY ends no stream that the server has taken (python-hyper/h2#1181)."""

    def _receive_goaway_frame(self, frame):
        state = self.state_machine.state
        result = super()._receive_goaway_frame(frame)
        self.state_machine.state = state
        return result


@dataclass
class Stream:
    """One request that waits for its Answer."""

    unsent: bytes
    outcome: asyncio.Future
    answer: Answer | None = None


class Connection:
    """One connection to a Target whose TLS offers h2."""

    def __init__(self, reader, writer, host):
        self.reader, self.writer, self.host = reader, writer, host
        self.protocol = Protocol(h2.config.H2Configuration(header_encoding="utf-8"))
        self.protocol.initiate_connection()
        self.protocol.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: ROOM})
        self.protocol.increment_flow_control_window(ROOM)
        self.flush()
        self.streams = {}  # by their numbers
        self.used = False
        self.told = False  # by GOAWAY: no more requests, please
        self.ended = False
        self.hearing = asyncio.create_task(self.hear())

    @classmethod
    async def open(cls, target):
        """Connect; Failed where the server has no HTTP/2."""
        tls = {"ssl": target.tls, "server_hostname": target.host, "ssl_shutdown_timeout": 1}
        reader, writer = await asyncio.open_connection(target.address, target.port, **tls)
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            writer.close()
            raise Failed("no HTTP/2")
        return cls(reader, writer, target.host)

    def flush(self):
        self.writer.write(self.protocol.data_to_send())

    def close(self):
        self.ended = True
        self.hearing.cancel()
        self.writer.close()

    async def ask(self, method, path, body=b""):
        """The Answer to one request. Raises NotTaken where it can be sent again without being done twice."""
        self.used = True
        number = self.protocol.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", self.host), (":path", path)]
        if body:
            head.append(("content-length", str(len(body))))
        self.protocol.send_headers(number, head, end_stream=not body)
        stream = self.streams[number] = Stream(body, asyncio.get_running_loop().create_future())
        self.pour(number, stream)
        try:
            return await stream.outcome
        finally:
            self.streams.pop(number, None)
            if self.told and not self.streams:
                self.close()

    def pour(self, number, stream):
        """Send of a request's body what the server has room for."""
        while stream.unsent:
            room = self.protocol.local_flow_control_window(number)
            size = min(room, self.protocol.max_outbound_frame_size)
            if size <= 0:
                break
            piece, stream.unsent = stream.unsent[:size], stream.unsent[size:]
            self.protocol.send_data(number, piece, end_stream=not stream.unsent)
        self.flush()

    async def hear(self):
        """All that the server says, until the connection ends."""
        problem = None
        try:
            while data := await self.reader.read(65536):
                for event in self.protocol.receive_data(data):
                    self.heard(event)
                self.flush()
        except h2.exceptions.H2Error as found:
            problem = Failed(f"not HTTP/2: {found}")
        except OSError as found:
            problem = found
        self.ended = True
        self.writer.close()
        for stream in self.streams.values():
            begun = b"head" if stream.answer else b""
            fail(stream, problem or asyncio.IncompleteReadError(begun, None))

    def heard(self, event):
        """One event of h2."""
        if isinstance(event, h2.events.ConnectionTerminated):
            self.told = True
            if event.error_code != h2.errors.ErrorCodes.NO_ERROR:
                raise h2.exceptions.ProtocolError(f"GOAWAY {event.error_code!r}")
            for number, stream in self.streams.items():
                if number > event.last_stream_id:
                    fail(stream, NotTaken())
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for number, stream in self.streams.items():
                if stream.unsent and not stream.outcome.done():
                    self.pour(number, stream)
        if isinstance(event, h2.events.DataReceived):
            self.protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        stream = self.streams.get(getattr(event, "stream_id", None))
        if stream is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            stream.answer = Answer(int(dict(event.headers)[":status"]), b"")
        elif isinstance(event, h2.events.DataReceived):
            stream.answer.body += event.data
        elif isinstance(event, h2.events.StreamEnded) and not stream.outcome.done():
            stream.outcome.set_result(stream.answer)
        elif isinstance(event, h2.events.StreamReset):
            fail(stream, Failed(f"reset: {event.error_code!r}"))


def fail(stream, problem):
    """What its request gets, unless it has had something before."""
    if not stream.outcome.done():
        stream.outcome.set_exception(problem)
