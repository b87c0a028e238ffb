"""What several roles' values are checked with."""

import ipaddress
import re

PATH = re.compile(r"/[^\s;{}$\"'\\#]+")
WHOLE = re.compile("[0-9]{1,9}")


def filled(options, value):
    """A dict with the defaults of the keys that it leaves out, at every depth."""
    found = dict(value)
    for name, option in options.items():
        default = option.get("default", "")
        if isinstance(default, dict):
            found[name] = {**default, **found.get(name, {})}
        found.setdefault(name, default)
    return found


def quoted(values):
    """Values in a sentence, as 'one', 'two'."""
    return "'" + "', '".join(map(str, values)) + "'"


def listed(values):
    """Values in a sentence, as one, two."""
    return ", ".join(map(str, values))


def twice(values):
    """Those that are there more than once, each once."""
    return [one for number, one in enumerate(values) if values.count(one) > 1 and one not in values[:number]]


def whole(value, least, most):
    """Whether a value is a whole number from one to another, without a zero before it."""
    text = str(value)
    return bool(WHOLE.fullmatch(text)) and str(int(text)) == text and least <= int(text) <= most


def port(value):
    """Whether a value is a TCP port."""
    return whole(value, 1, 65535)


def address(text):
    """The IP address that a text is, or None. Python takes a zone behind % as well, which nobody here does."""
    try:
        return ipaddress.ip_address(text) if isinstance(text, str) and "%" not in text else None
    except ValueError:
        return None


def network(text):
    """Whether a text is an IP address, or one with how many of its bits count (10.0.0.0/8)."""
    first, slash, bits = str(text).partition("/")
    found = address(first)
    return found is not None and (not slash or whole(bits, 0, found.max_prefixlen))
