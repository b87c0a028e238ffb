#!/usr/bin/python
"""Swap nginx's configuration as a whole, or not at all.

A configuration is a release: a folder named by the digest of its content, and
/etc/nginx/nginx.conf is a link into one. A release is written beside the one
in use, tested through a second link, and put in place by renaming that link.
So a killed run leaves either the old configuration or the new one. What nginx has
yet to read is marked by a file before it is put in place, and until nginx has proven
that it took it: no clock is asked, which may be set back.
"""

DOCUMENTATION = r"""
---
module: nginx_proxy_configuration
short_description: Swap nginx's configuration as a whole, or not at all
description:
  - Stores the files below C(/etc/nginx/tornadoes), tests them, links C(/etc/nginx/nginx.conf)
    to them, and starts or reloads nginx. If any step fails, the old link is back.
  - Reloads only if nginx has yet to read something.
  - The action of that name renders the files by the description of a host, and gives all other options.
author: The Tornadoes authors (!UNKNOWN)
options:
  found:
    type: dict
    default: {}
    description: What the host has, and in C(description) what it shall have, as the action C(inputs) says.
  files:
    type: dict
    default: {}
    description: >-
      Path to content. C(nginx.conf) is the entry; C(@release@) in a content becomes the
      release's folder, for includes. C(#= VARIABLE) at the end of a line is taken off; when nginx
      refuses the line, the variable is named.
  users:
    type: dict
    default: {}
    description: The same, for files of hashed passwords. No difference of them is shown.
  drop_in:
    type: str
    default: ""
    description: >-
      Content of C(/etc/systemd/system/nginx.service.d/tornadoes.conf). The configuration is tested in
      the sandbox that it describes; where that refuses, the old one is back as well.
  port: {type: int, default: 80, description: "Port on the loopback address that answers http."}
  upstreams:
    type: list
    elements: str
    default: []
    description: Host and port of upstreams on this host.
  named:
    type: list
    elements: str
    default: []
    description: Paths that the sites name.
  read_at_start:
    type: list
    elements: str
    default: []
    description: >-
      Further files that nginx reads when it loads its configuration, as certificates. A file C(unread)
      beside one says that nginx has yet to.
"""

EXAMPLES = r"""
- name: Swap the configuration
  tornadoes.tornadoes.nginx_proxy_configuration:
    found: "{{ looked.roles.nginx_proxy }}"
"""

RETURN = r"""
release:
  type: str
  returned: always
  description: Name of the release's folder.
foreign:
  type: list
  elements: str
  returned: always
  description: Configuration files of others that nginx includes.
edited:
  type: list
  elements: str
  returned: always
  description: Files of the role that somebody has changed by hand since the last run.
nowhere:
  type: list
  elements: str
  returned: always
  description: Those of C(upstreams) and C(named) that are not there.
enabled:
  type: bool
  returned: always
  description: Whether nginx starts at boot.
restart_needed:
  type: bool
  returned: always
  description: Whether nginx runs since before its drop-in was written.
"""

import glob
import hashlib
import json
import os
import pwd
import re
import shutil
import socket
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.files import differences, read, write
from ..module_utils.listeners import holders
from ..module_utils.systemd import confine, outdated, properties, run
from ..module_utils.text import printable

HOME = "/etc/nginx"
RELEASES = f"{HOME}/tornadoes"
LINK = f"{HOME}/nginx.conf"
NEXT = f"{HOME}/nginx.conf.next"
DIST = f"{HOME}/nginx.conf.dist"
EDITED = f"{HOME}/nginx.conf.edited"
UNREAD = "unread"  # beside nginx.conf, and beside a certificate
DIGESTS = "digests.json"  # of a release's files, as they were put there
USER = "www-data"  # Debian's, of the workers
ERROR_LOG = "/var/log/nginx/error.log"
DROP_IN = "/etc/systemd/system/nginx.service.d/tornadoes.conf"
STOCK_SITE = f"{HOME}/sites-enabled/default"
MARK = "@release@"
ORIGIN = re.compile(r" #= (\S+)$", re.MULTILINE)
SHUT_OUT = "in its sandbox: give the folder in ReadWritePaths= of a drop-in of your own and restart nginx"
OWN_LINE = re.compile(r"[0-9/]+ [0-9:]+ \[(?:emerg|alert|crit)\] \d+#\d+: (?!\*)")
PATIENCE = 15  # seconds; nginx tries for 2.5 to bind an occupied port


class Refused(Exception):
    """The new configuration can't be used; the text says why."""


def name_of(files):
    """The name of a release, from its content."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]


def separated(files):
    """The contents without the variables at their lines' ends, and those by (path, line number)."""
    origins = {
        (path, number): found[1]
        for path, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        for found in [ORIGIN.search(line)]
        if found
    }
    return {path: ORIGIN.sub("", text) for path, text in files.items()}, origins


def filled(files, name):
    """The contents as they lie on the host."""
    return {path: text.replace(MARK, f"tornadoes/{name}") for path, text in files.items()}


def complaint(output):
    """nginx's first error: (reason, file, line number), the last two None if it names none."""
    found = re.search(r"\[(?:emerg|alert|crit)\] (?:\d+#\d+: )?(.+)", output)
    reason = found[1] if found else " ".join(output.split())
    place = re.fullmatch(r"(.+) in (/\S+):(\d+)", reason)
    return (place[1], place[2], int(place[3])) if place else (reason, None, None)


def explained(output, origins=()):
    """The same as a part of a sentence, with the text of the line and the variable behind it."""
    reason, path, number = complaint(output)
    reason = printable(reason)
    if "(30: Read-only file system)" in reason:
        reason += f"; {SHUT_OUT}"
    if path is None:
        return reason
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    line = printable("".join(lines[number - 1 : number]).strip())
    short = re.sub(f"^{RELEASES}/[^/]+/", "", path)
    # What is missing at a file's end is missed behind its last line.
    origin = dict(origins).get((short, min(number, len(lines))))
    return f"{reason} in {short}:{number}" + f" ({line})" * bool(line) + f", from {origin}" * bool(origin)


def unit():
    """What systemd knows of nginx: whether it runs, its master, whether it starts at boot."""
    found = properties("nginx", "ActiveState", "MainPID", "UnitFileState")
    return {
        "runs": found.get("ActiveState") == "active",
        "master": found.get("MainPID", "0"),
        "enabled": found.get("UnitFileState") == "enabled",
    }


def workers():
    """Pids of the processes that nginx's master has started."""
    master, found = unit()["master"], set()
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                parent = file.read().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it has ended meanwhile
        if parent == master != "0":
            found.add(path.split("/")[2])
    return found


def below(folder):
    """Everything in a folder, and the folder itself."""
    return [os.path.join(path, name) for path, _folders, names in os.walk(folder) for name in (".", *names)]


def stored(folder):
    """Path to content of all files in a folder, but what they were."""
    found = {}
    for path in below(folder):
        if not os.path.isdir(path) and os.path.relpath(path, folder) != DIGESTS:
            with open(path, encoding="utf-8", errors="replace") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


def store(folder, files, group=0):
    """Make a folder hold these files and no others, each written as a whole.

    group: id of the group of nginx's workers. They read what is in public/ and users/
    themselves, at a request; all else is read by the master.
    """
    there = stored(folder)
    for path, text in files.items():
        if there.pop(path, None) == text:
            continue
        mode = 0o644 if path.startswith("public/") else 0o640
        write(f"{folder}/{path}", text, mode, group if path.startswith("users/") else -1)
    for path in there:
        os.unlink(f"{folder}/{path}")
    write(f"{folder}/{DIGESTS}", json.dumps({path: digest(text) for path, text in files.items()}), 0o640)


def digest(text):
    """What a content is known by."""
    return hashlib.sha256(text.encode()).hexdigest()


def linked():
    """The release that nginx.conf is linked to: its folder, or None."""
    target = os.readlink(LINK) if os.path.islink(LINK) else ""
    return f"{HOME}/{os.path.dirname(target)}" if target.startswith("tornadoes/") else None


def edited(old, before):
    """What somebody has changed by hand in the release in use since it was put in place."""
    found = []
    if os.path.exists(LINK) and not os.path.islink(LINK) and os.path.exists(DIST):
        found.append(f"{LINK} (kept as {EDITED})")
    if old:
        name = os.path.basename(old)
        if name_of({path: text.replace(f"tornadoes/{name}", MARK) for path, text in before.items()}) != name:
            were = json.loads(read(f"{old}/{DIGESTS}") or "{}")
            now = {path: digest(text) for path, text in before.items()}
            other = [path for path in {*were, *now} if were and were.get(path) != now.get(path)]
            found += sorted(f"{old}/{path}" for path in other) or [old]
    return found


def link(folder, path):
    """Link a path to the entry of a release."""
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(f"{os.path.relpath(folder, HOME)}/nginx.conf", path)


def leftovers(folder):
    """Releases but this one, and the link that a killed run may have left."""
    found = [*glob.glob(f"{RELEASES}/*"), NEXT]
    return [path for path in found if path != folder and os.path.lexists(path)]


def foreign():
    """Files of others that nginx.conf includes."""
    found = glob.glob(f"{HOME}/conf.d/*.conf") + glob.glob(f"{HOME}/sites-enabled/*")
    return sorted(path for path in found if not is_stock(path))


def is_stock(path):
    """Whether this is Debian's welcome page: it would claim port 80 for itself."""
    return path == STOCK_SITE and os.path.realpath(path) == f"{HOME}/sites-available/default"


def unread(more):
    """Marks of what nginx has yet to read: its configuration, and further files that it reads."""
    folders = [HOME, *(os.path.dirname(path) for path in more)]
    return [f"{folder}/{UNREAD}" for folder in dict.fromkeys(folders) if os.path.exists(f"{folder}/{UNREAD}")]


def sandbox(unit_files):
    """What nginx's unit files say about its sandbox, as words for systemd-run."""
    names = "Capability|LockP|MemoryDeny|NoNew|Private|Proc|Protect|Restrict[A-Z]|SystemCall|UMask"
    paths = "(?:ReadWrite|ReadOnly|Inaccessible|Exec|NoExec|Bind|BindReadOnly)Paths"
    text = re.sub(r"\\\n", " ", unit_files)
    return [f"--property={line}" for line in re.findall(rf"^(?:{names}|{paths})\w*=.*$", text, re.M)]


def test(path, origins, drop_in):
    """Refuse a configuration that nginx can't use, in the sandbox that it has from its next start on.

    Outside of it, a log where nginx may not write would show at the next boot only.
    """
    _code, unit_files = run("systemctl", "cat", "nginx")
    # First, since drop-ins of others may take back what ours says.
    unit_files = drop_in + unit_files.replace(read(DROP_IN) or drop_in, "")
    inside = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", *sandbox(unit_files)]
    code, output = run(*inside, "/usr/sbin/nginx", "-t", "-c", path)
    if code:
        raise Refused(f"nginx refuses the new configuration: {explained(output, origins)}")


def load(port):
    """Start or reload nginx, and see that it has taken the configuration."""
    before, runs = workers(), unit()["runs"]
    size = os.path.getsize(ERROR_LOG) if os.path.exists(ERROR_LOG) else 0
    code, output = run("systemctl", "reload" if runs else "start", "nginx")
    deadline = time.monotonic() + PATIENCE
    # A master that can't use a configuration says so in its log only and keeps the
    # old one. New workers are the proof that it could.
    while not code and time.monotonic() < deadline:
        if workers() - before and answers(port):
            return
        time.sleep(0.05)
    if os.path.exists(ERROR_LOG):
        with open(ERROR_LOG, encoding="utf-8", errors="replace") as file:
            file.seek(size)
            # Visitors have their lines there as well.
            output = "\n".join(line for line in file.read().split("\n") if OWN_LINE.match(line)) or output
    reason = explained(output) or f"it does not answer on port {port}"
    raise Refused(f"nginx can't run the new configuration: {reason}")


def answers(port):
    """Whether an http server answers on a port of this host."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def put_back(old, kept, stock_site, runs):
    """Undo a swap, as far as it got: Debian's site, the old link or file, and what nginx runs.

    kept: where the file that was there in place of a link has gone. The answer: whether nginx has
    read all that is there.
    """
    if stock_site:
        os.symlink(stock_site, STOCK_SITE)
    if os.path.lexists(NEXT):
        os.unlink(NEXT)  # nothing was swapped yet
        return False
    if old:
        link(old, NEXT)
        os.replace(NEXT, LINK)
    elif os.path.exists(kept):
        os.replace(kept, LINK)
    code, _output = run("systemctl", "reload" if runs else "stop", "nginx")
    return not code


def swap(folder, files, origins, drop_in, port, group, more):
    """Store, test, put in place and load a release, or leave everything as it was."""
    marked = unread(more)
    write(f"{HOME}/{UNREAD}", "", 0o644)
    old, runs, confined = linked(), unit()["runs"], read(DROP_IN)
    stock_site = os.readlink(STOCK_SITE) if is_stock(STOCK_SITE) else None
    # Debian's own the first time; later somebody's.
    kept = EDITED if os.path.exists(DIST) else DIST
    store(folder, files, group)
    link(folder, NEXT)
    try:
        if stock_site:
            os.unlink(STOCK_SITE)
        test(NEXT, origins, drop_in)
        confine("nginx", DROP_IN, drop_in)
        if os.path.exists(LINK) and not os.path.islink(LINK):
            shutil.copy2(LINK, kept)
        os.replace(NEXT, LINK)
        load(port)
    except Refused:
        confine("nginx", DROP_IN, confined)
        untouched = os.path.lexists(NEXT) and folder != old and not marked
        has_read = put_back(old, kept, stock_site, runs) or untouched
        if folder != old:
            shutil.rmtree(folder)
        if has_read:
            forget(more)
        raise
    forget(more)


def restart_needed():
    """Whether nginx runs since before its drop-in was written, whose sandbox it does not have."""
    paths = ("/run/nginx.pid", DROP_IN)
    return all(map(os.path.exists, paths)) and os.stat(paths[0]).st_mtime < os.stat(DROP_IN).st_mtime


def nowhere(upstreams, paths):
    """The upstreams that nobody listens on, and the paths where nothing is."""
    ports = {one: int(one.rpartition(":")[2]) for one in upstreams}
    found = holders(list(ports.values()), ["127.0.0.1", "::1"])
    silent = [one for one, port in ports.items() if str(port) not in found]
    return silent + [path for path in paths if not os.path.lexists(path)]


def forget(more):
    """Take away the marks, now that nginx has read everything."""
    for path in unread(more):
        os.unlink(path)


def main():
    """Ansible calls this."""
    texts = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "found": {"type": "dict", "default": {}},
            "files": {"type": "dict", "default": {}},
            "users": {"type": "dict", "default": {}, "no_log": True},
            "drop_in": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 80},
            "upstreams": texts,
            "named": texts,
            "read_at_start": texts,
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    shown, origins = separated(module.params["files"])
    files, now = {**shown, **module.params["users"]}, unit()
    name = name_of(files)
    folder, old = f"{RELEASES}/{name}", linked()
    before = stored(old) if old else {}
    changed_by_hand = edited(old, before)
    drop_in, confined = module.params["drop_in"], read(DROP_IN)
    owed = (
        old != folder
        or confined != drop_in
        or outdated("nginx", DROP_IN)
        or before != filled(files, name)
        or is_stock(STOCK_SITE)
        or not now["runs"]
        or unread(module.params["read_at_start"])
    )
    # The folder's name is in every include; as a difference it tells nothing.
    in_use = f"tornadoes/{os.path.basename(old)}" if old else MARK
    was = {path: text.replace(in_use, MARK) for path, text in before.items() if not path.startswith("users/")}
    result = {
        "changed": bool(owed or leftovers(folder)),
        "release": name,
        "foreign": foreign(),
        "edited": changed_by_hand,
        "diff": differences({**was, DROP_IN: confined}, {**shown, DROP_IN: drop_in}),
    }
    try:
        if owed and not module.check_mode:
            group = pwd.getpwnam(USER).pw_gid
            more = module.params["read_at_start"]
            swap(folder, filled(files, name), origins, drop_in, module.params["port"], group, more)
    except Refused as error:
        module.fail_json(msg=f"{str(error).rstrip('.')}. The old configuration stays in use.")
    for path in [] if module.check_mode else leftovers(folder):
        (os.unlink if os.path.islink(path) else shutil.rmtree)(path)
    module.exit_json(
        nowhere=nowhere(module.params["upstreams"], module.params["named"]),
        enabled=now["enabled"],
        restart_needed=restart_needed(),
        **result,
    )


if __name__ == "__main__":
    main()
