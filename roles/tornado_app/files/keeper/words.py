"""The messages of a runner. It runs inside the program's process, so the program may have sent them."""

import json
import socket
from typing import Any

Message = dict[str, Any]  # one packet between keeper and runner, from JSON

LOAD_KEYS = {"requests", "connections", "websockets"}  # keys of a "load"
MAX_COUNT = 2**53  # JSON's numbers are exact up to there
MAX_REASON = 300  # characters of a reason that a process may give


class InvalidMessage(ValueError):
    """No runner sends this: nothing of that process is believed any more."""


def parse(data: bytes) -> Message:
    """One message of a runner. InvalidMessage: it can't be one."""
    try:
        message = json.loads(data)
        if not isinstance(message, dict) or not isinstance(message.get("is"), str):
            raise InvalidMessage
        load = message.get("load", {})
        if not isinstance(load, dict) or not set(load) <= LOAD_KEYS:
            raise InvalidMessage
        if not all(type(count) is int and 0 <= count < MAX_COUNT for count in load.values()):
            raise InvalidMessage
        if message["is"] in ("wants", "opened"):
            address, port = message["address"], message["port"]
            socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
            if type(port) is not int or not 0 < port < 65536:
                raise InvalidMessage
        if "reason" in message:
            message["reason"] = "".join(one for one in message["reason"][:MAX_REASON] if one.isprintable())
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as problem:
        raise InvalidMessage from problem
    return message
