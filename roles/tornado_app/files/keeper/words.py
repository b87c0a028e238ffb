"""What a runner may say. It speaks from inside the program's process, so it may be the program's own word."""

import json
import socket
from typing import Any

Message = dict[str, Any]  # one packet between keeper and runner, from JSON

COUNTED = {"requests", "connections", "websockets"}  # keys of a "load"
MOST = 2**53  # of one of them: JSON's numbers are exact up to there
EXCUSE = 300  # characters of a reason that a process may give


class Wild(ValueError):
    """Words that no runner says: nothing of that process is believed any more."""


def understood(data: bytes) -> Message:
    """One word of a runner. Wild: it can't be one."""
    try:
        message = json.loads(data)
        if not isinstance(message, dict) or not isinstance(message.get("is"), str):
            raise Wild
        load = message.get("load", {})
        if not isinstance(load, dict) or not set(load) <= COUNTED:
            raise Wild
        if not all(type(count) is int and 0 <= count < MOST for count in load.values()):
            raise Wild
        if message["is"] in ("wants", "opened"):
            address, port = message["address"], message["port"]
            socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
            if type(port) is not int or not 0 < port < 65536:
                raise Wild
        if "reason" in message:
            message["reason"] = "".join(one for one in message["reason"][:EXCUSE] if one.isprintable())
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as problem:
        raise Wild from problem
    return message
