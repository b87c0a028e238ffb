"""Remove answers from nginx's cache by the address that they are for."""

DOCUMENTATION = """
module: nginx_proxy_purge
short_description: Purge answers that nginx has cached
description:
  - Each file of the cache says near its start which address it is for. All that are for this one go,
    however it was spelt, in all the variants that its visitors' headers make of it.
author: The Tornadoes authors (!UNKNOWN)
options:
  address:
    description: The address, as V(https://www.example.org/news). With V(*) at its end all that begin so.
    type: str
    required: true
  path:
    description: Folder of the cache.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Purge the news
  tornadoes.tornadoes.nginx_proxy_purge:
    address: https://www.example.org/news*
    path: /var/lib/nginx/cache
"""
RETURN = """
purged:
  description: How many answers have gone.
  type: int
  returned: always
"""

import time
from pathlib import Path
from urllib.parse import unquote

from ansible.module_utils.basic import AnsibleModule

STILL_OPEN = 1.5  # seconds; nginx holds a file open for one (open_file_cache_valid)
HEAD = 16384  # bytes; the address comes after some 300 of nginx's own


def address_of(path):
    """The address that a file of the cache is for, or "" where it has none or has just gone."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError:
        return ""
    _before, found, after = head.partition(b"\nKEY: ")
    return after.partition(b"\n")[0].decode("utf-8", "replace") if found else ""


def plain(address):
    """An address in one way of several to write it: lowercase, without a default port, nothing encoded."""
    scheme, between, rest = address.partition("://")
    host, slash, rest = rest.partition("/")
    path, question, query = rest.partition("?")
    port = {"http": ":80", "https": ":443"}.get(scheme.lower(), ":")
    host = host.lower().removesuffix(port)
    return scheme.lower() + between + host + slash + unquote(path, "latin-1") + question + query


def meant(address, given):
    """Whether an address is what the user has given."""
    if given.endswith("*"):
        return plain(address).startswith(plain(given[:-1]))
    return plain(address) == plain(given)


def main():
    """The module."""
    module = AnsibleModule(
        {"address": {"type": "str", "required": True}, "path": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    files = [path for path in Path(module.params["path"]).rglob("*") if path.is_file()]
    found = [path for path in files if meant(address_of(path), module.params["address"])]
    if not module.check_mode:
        for path in found:
            path.unlink(missing_ok=True)
        if found:
            time.sleep(STILL_OPEN)
    module.exit_json(changed=bool(found), purged=len(found))


if __name__ == "__main__":
    main()
