"""WebSocket (RFC 6455) from the client's side, as bytes: the handshake and frames, whoever carries them."""

import os

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10  # opcodes
# The RFC's own example: what is accepted is known beforehand.
KEY, ACCEPTED = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
NO_MASK = bytes(4)  # costs nobody anything


def handshake(host, target, headers=()):
    """The request that makes a connection a WebSocket. headers: pairs of name and value."""
    ours = [
        ("Host", host),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ]
    lines = [f"{name}: {value}\r\n" for name, value in [*ours, *headers]]
    return f"GET {target} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


def frame(opcode, content=b"", final=True, mask=None):
    """One frame of the client's, with a random mask unless one is given."""
    length, first = len(content), opcode | (0x80 if final else 0)
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 65536:
        head = bytes((first, 0x80 | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + length.to_bytes(8, "big")
    mask = mask or os.urandom(4)
    if mask != NO_MASK:
        content = bytes(byte ^ mask[number & 3] for number, byte in enumerate(content))
    return head + mask + content


def first_frame(heard):
    """The first of the server's frames: opcode, whether it is final, content, and the bytes after it.

    None where it is not there as a whole; ValueError where it is invalid.
    """
    if len(heard) < 2:
        return None
    if heard[1] & 128:
        raise ValueError("a masked frame from the server")
    length, start = heard[1] & 127, 2
    if length > 125:
        start = 4 if length == 126 else 10
        length = int.from_bytes(heard[2:start], "big")
    end = start + length
    if len(heard) < start or len(heard) < end:
        return None
    return heard[0] & 15, bool(heard[0] & 128), heard[start:end], heard[end:]


def close_code(content):
    """The code in a close frame; 1005, as the RFC has it, where there is none."""
    return int.from_bytes(content[:2], "big") if len(content) >= 2 else 1005
