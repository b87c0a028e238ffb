#!/usr/bin/python
"""Build the environment of a release, by an account without rights."""

DOCUMENTATION = r"""
---
module: tornado_app_environment
short_description: Build the environment of a release
description:
  - Requirements bring programs (setup.py, .pth files). They run as an account of their own that ends
    with them, in a unit that may write the environment and speak to other hosts; of this one it
    reaches its resolver, and an index or a proxy that pip is told of. Afterwards the
    environment is root's.
  - pip has root's settings, wherever on the host they are, and its certificates.
  - An index may come with a login, which stands in no address that pip shows. The task that has one runs
    under C(no_log), which would hide a failure's message, so what is wrong comes back as RV(refusal).
  - Without the file C(.complete), which comes last and is root's, an environment counts as half-built.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, required: true, description: "The app's name."}
  path: {type: path, required: true, description: "The environment. C(wheels) may be in it already."}
  source: {type: path, required: true, description: "The release that its requirements are a part of."}
  requirements: {type: str, required: true, description: "The path in it of the file that names them."}
  steps: {type: list, elements: list, required: true, description: "What pip is told, call by call."}
  version: {type: str, default: "", description: "The version of the project, whose build would ask git."}
  index: {type: list, elements: str, default: [], description: "Indexes, instead of the host's."}
  offline: {type: bool, default: false, description: "Take the wheels and ask no index."}
  editable: {type: bool, default: false, description: "Keep the source beside the environment."}
  program: {type: str, required: true, description: "Text of files/build/environment.py."}
  python: {type: path, default: /usr/bin/python3, description: "The Python that it is an environment of."}
"""

EXAMPLES = r"""
- name: Build an environment
  tornadoes.tornadoes.tornado_app_environment:
    name: chat
    path: /srv/chat/venvs/0123456789ab
    source: /srv/chat/releases/0123456789ab.partial
    requirements: requirements.txt
    steps: [[--requirement=requirements.txt]]
    program: "{{ lookup('file', 'build/environment.py') }}"
"""

RETURN = r"""
refusal: {type: str, returned: always, description: "Why there is none, with the last lines, or empty."}
"""

import configparser
import contextlib
import fcntl
import grp
import io
import ipaddress
import json
import netrc
import os
import re
import socket
import subprocess
import tarfile
from urllib.parse import unquote, urlsplit

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.interpreter import SYSTEM
from ..module_utils.lockfile import holder, open_lock
from ..module_utils.pip_reasons import no_tornado, remedy, why
from ..module_utils.refusal import Refusal, unforeseen
from ..module_utils.seal import seal
from ..module_utils.text import printable, without_passwords
from ..module_utils.unprivileged import LOCAL, run

TIMEOUT = 3600  # seconds
SHOWN = 20  # of the last lines that a build said
OURS = ("./.release/requirements.txt", "./.release/project.txt")  # that pip reads
# By which tools that name a version after a git tag are told of one. They are for the last step alone: what a
# project needs may be built by the same tools.
VERSION = (
    "SETUPTOOLS_SCM_PRETEND_VERSION",
    "PDM_BUILD_SCM_VERSION",
    "PBR_VERSION",
    "POETRY_DYNAMIC_VERSIONING_BYPASS",
    "UV_DYNAMIC_VERSIONING_BYPASS",
)
NO_TORNADO = 3  # as the program says it
# Of root's environment, for pip and compilers.
VARIABLES = re.compile(
    r"(?i)PIP_\w+|(https?|ftp|all|no)_proxy|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE"
    r"|CC|CXX|(C|CPP|CXX|LD)FLAGS|PKG_CONFIG_PATH|CARGO_(HTTP|NET)_\w+|NETRC"
)
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "PIP_CLIENT_CERT")
# Settings with addresses of servers, which pip passes on to the builds that it isolates.
ADDRESSES = ("index-url", "extra-index-url", "find-links")
FOLDERS = ("/etc/xdg/pip", "/etc", "~/.pip", "~/.config/pip")


def text_of(path):
    """A file's text; "" where there is no file, or it is no text."""
    with contextlib.suppress(OSError, ValueError), open(os.path.expanduser(path), encoding="utf-8") as file:
        return file.read(4 << 20) if os.path.isfile(file.name) else ""
    return ""


def pip_settings():
    """The settings of root's pip, from all its files, merged."""
    merged = configparser.RawConfigParser()
    for path in (*(f"{folder}/pip.conf" for folder in FOLDERS), os.environ.get("PIP_CONFIG_FILE", "")):
        with contextlib.suppress(configparser.Error):  # pip itself says so
            merged.read_string(text_of(path))
    return merged


def quoted(word):
    """A word of .netrc that may hold anything."""
    return '"' + re.sub(r'(["\\])', r"\\\1", word) + '"' if re.search(r"[\s\"\\#]", word) else word


class Host:
    """What pip has of this host. home: where it will be; files: what it finds there, name to text.

    indexes: addresses that are asked instead of the host's own, with their logins.
    """

    def __init__(self, home, indexes=()):
        self.home, self.files = home, {}
        self.variables = {name: os.environ[name] for name in os.environ if VARIABLES.fullmatch(name)}
        settings = pip_settings()
        # pip shows an address to whoever lists processes, so a login goes where no address is.
        self.given = {}
        self.ask(settings, [self.without_login(one) for one in indexes])
        self.hide_logins(settings)
        for name in CERTIFICATES:
            if name in self.variables:
                self.variables[name] = self.bring(self.variables[name])
        for section in settings.sections():
            for key in ("cert", "client-cert"):
                if settings.has_option(section, key):
                    settings.set(section, key, self.bring(settings.get(section, key)))
        if settings.sections() and self.variables.get("PIP_CONFIG_FILE") != os.devnull:
            self.variables.pop("PIP_CONFIG_FILE", None)
            text = io.StringIO()
            settings.write(text)
            self.files[".config/pip/pip.conf"] = text.getvalue()
        values = [value for section in settings.sections() for value in settings[section].values()]
        self.said = [*self.variables.values(), *values]
        if logins := self.logins():
            self.files[".netrc"] = logins

    def without_login(self, address):
        """An address of an index; its login is noted."""
        parts = urlsplit(address)
        if parts.username is not None:
            self.given[parts.hostname] = (unquote(parts.username), unquote(parts.password or ""))
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def hide_logins(self, settings):
        """Take the logins out of the addresses that the host gives to pip, in a file or a variable."""
        for section in settings.sections():
            for key, value in settings[section].items():
                settings.set(section, key, self.hidden(key, value))
        for name, value in list(self.variables.items()):
            key = name.lower().removeprefix("pip_").replace("_", "-")
            self.variables[name] = self.hidden(key, value) if name.upper().startswith("PIP_") else value

    def hidden(self, key, value):
        """One of pip's settings; the logins in its addresses are noted."""
        if key == "proxy" and "@" in value:
            # As a variable it is in no command of pip's.
            self.variables |= {"http_proxy": value, "https_proxy": value}
            return ""
        return re.sub(r"https?://[^\s'\",]+", self.hide, value) if key in ADDRESSES else value

    def hide(self, found):
        """An address that was found. A name alone, and a second login of one server, stay in it."""
        try:
            parts = urlsplit(found[0])
        except ValueError:
            return found[0]
        login = (unquote(parts.username or ""), unquote(parts.password or ""))
        kept = not parts.password or self.given.get(parts.hostname, login) != login
        return found[0] if kept else self.without_login(found[0])

    def ask(self, settings, indexes):
        """Let pip ask these indexes alone, the first one first, if there are any."""
        if not indexes:
            return
        for name in list(self.variables):
            if name.upper() in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
                del self.variables[name]
        # An empty value is none, and stands before what a file says that all may read.
        said = {
            "index-url": indexes[0],
            "extra-index-url": "\n".join(indexes[1:]),
            "no-index": "",
        }
        for section in ("global", "install"):
            if not settings.has_section(section):
                settings.add_section(section)
            for key, value in said.items():
                settings.set(section, key, value)
        self.variables.pop("PIP_CONFIG_FILE", None)

    def bring(self, path):
        """Copy a file into the build's home, since the build may not read it here; its path there."""
        text = text_of(path)
        if not text:
            return path
        name = f"certificates/{len(self.files)}.pem"
        self.files[name] = text
        return f"{self.home}/{name}"

    def servers(self):
        """Names of the servers that pip is told of."""
        # A proxy may be given without its scheme.
        said = [*self.said, *(f"http://{one}" for one in self.said if re.fullmatch(r"[\w.-]+:\d+", one))]
        found = []
        for url in re.findall(r"[a-z+]+://[^\s'\",/]+", "\n".join(said)):
            with contextlib.suppress(ValueError):
                found.append(urlsplit(url).hostname)
        return [name for name in found if name]

    def logins(self):
        """What root's .netrc has for these servers; a build gets no others."""
        found = {}
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            hosts = netrc.netrc(os.environ.get("NETRC") or os.path.expanduser("~/.netrc")).hosts
            found = {name: (hosts[name][0], hosts[name][2]) for name in self.servers() if name in hosts}
        found |= self.given
        self.variables.pop("NETRC", None)
        return "".join(
            f"machine {name} login {quoted(login)} password {quoted(password)}\n"
            for name, (login, password) in found.items()
        )

    def reachable(self):
        """Addresses of this host that pip has to reach: the resolver, an index, a proxy."""
        names = re.findall(r"(?m)^\s*nameserver\s+([0-9a-f.:]+)", text_of("/etc/resolv.conf"))
        found = set()
        for name in [*names, *self.servers()]:
            with contextlib.suppress(OSError, UnicodeError):
                found |= {one[4][0].split("%")[0] for one in socket.getaddrinfo(name, None)}
        closed = [ipaddress.ip_network(one) for one in LOCAL.split()]
        return sorted(one for one in found if any(ipaddress.ip_address(one) in net for net in closed))


def send(source, words):
    """A function that sends the program a line of JSON, and the source without root's part of it."""

    def wanted(info):
        reserved = info.name.startswith("./.release/") and info.name not in OURS
        return None if reserved else info

    def feed(stdin):
        stdin.write(json.dumps(words).encode() + b"\n")
        with tarfile.open(fileobj=stdin, mode="w|") as packed:
            packed.add(source, ".", filter=wanted)

    return feed


def remove(path):
    """Remove a folder that others have filled, however deep it is."""
    subprocess.run(["rm", "-rf", "--one-file-system", "--", path], capture_output=True, check=True)


def build(module):
    """Build it. Refusal, OSError: there is no environment; the text says why."""
    params = module.params
    lock = f"/run/tornado-{params['name']}.lock"
    begun_by = holder(lock)
    path, unit = params["path"], f"tornado-{params['name']}_build"
    # Mounted there, so that what pip notes of it is right as long as the environment is.
    copy = f"{path}/source"
    host = Host(f"{path}/.build/home", params["index"])
    wheels = ["--no-index", f"--find-links={path}/wheels"] if params["offline"] else []
    words = {
        "environment": path,
        # Not the link python3, which an upgrade of Debian turns to another version: that finds nothing here.
        "python": os.path.realpath(params["python"]),
        "source": copy,
        "files": host.files,
        "variables": host.variables,
        "pip": [
            "--retries=2",
            "--no-input",
            "--disable-pip-version-check",
            "--no-cache-dir",
            *wheels,
        ],
        "steps": params["steps"],
        "version": dict.fromkeys(VERSION, params["version"]) if params["version"] else {},
    }
    allowed = [f"IPAddressDeny={LOCAL}", *(f"IPAddressAllow={one}" for one in host.reachable())]
    code, log = run(
        unit,
        params["program"],
        send(params["source"], words),
        TIMEOUT,
        # The account is known when the unit starts: its folder in /run shows it.
        f"RuntimeDirectory={unit}",
        f"ExecStartPre=+/bin/chown --no-dereference --reference=/run/{unit}/. {path}",
        f"BindPaths={path}",
        f"ReadWritePaths={path}",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        *allowed,
        # A killed run's build would be in the way of the next one, which starts from nothing anyway.
        wanted=lambda: holder(lock) == begun_by,
    )
    log = [printable(without_passwords(line)) for line in log]
    if code == NO_TORNADO:
        raise Refusal(no_tornado(params["requirements"], params["python"], log))
    if code != 0:
        # pip keeps it to itself that an index refused a login.
        nothing = params["index"] and any("from versions: none" in line for line in log)
        hint = (
            " An index of tornado_app_index has to have it, and to take the login there." if nothing else ""
        )
        raise Refusal(
            f"the requirements can't be installed{why(log)}{remedy(log)}{hint} The last lines:", log[-SHOWN:]
        )
    for name in (".build", ".complete", *([] if params["editable"] else ["source"])):
        remove(f"{path}/{name}")
    try:
        seal(path, grp.getgrnam(f"tornado-{params['name']}").gr_gid, python=params["python"])
    except (Refusal, RecursionError) as problem:
        reason = problem if isinstance(problem, Refusal) else "has folders that are too deep"
        raise Refusal(f"the environment that the requirements make {reason}.") from problem
    with open(os.open(f"{path}/.complete", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as stamp:
        os.fsync(stamp.fileno())


def main():
    """Ansible calls this."""
    text = {"type": "str", "required": True}
    path = {"type": "path", "required": True}
    switch = {"type": "bool", "default": False}
    module = AnsibleModule(
        argument_spec={
            "name": text,
            "path": path,
            "source": path,
            "requirements": text,
            "steps": {"type": "list", "elements": "list", "required": True},
            "version": {"type": "str", "default": ""},
            "index": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "offline": switch,
            "editable": switch,
            "program": text,
            "python": {"type": "path", "default": SYSTEM},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True, refusal="")
    # The run after a killed one waits for this step to end.
    with open_lock(f"/run/tornado-{module.params['name']}.step") as step:
        fcntl.flock(step, fcntl.LOCK_EX)
        try:
            build(module)
        except (Refusal, OSError) as problem:
            remove(module.params["path"])
            module.exit_json(changed=True, refusal="\n".join([str(problem), *getattr(problem, "log", ())]))
        except Exception as problem:
            # Where an index has a login, Ansible shows nothing of it.
            remove(module.params["path"])
            module.exit_json(changed=True, refusal=f"the environment can't be built, {unforeseen(problem)}")
    module.exit_json(changed=True, refusal="")


if __name__ == "__main__":
    main()
