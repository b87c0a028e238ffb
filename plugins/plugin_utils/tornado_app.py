"""The apps that a run is about, as the variables of the role tornado_app describe them, and what is refused."""

import os
import re
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ..module_utils.text import without_passwords
from . import jobs
from .command import command, for_a_shell, split
from .git import checkout_of
from .shared import link
from .source import is_archive, is_git, remote
from .tree import RESERVED
from .values import listed, quoted, twice

PORTS = [8000, 8001, 8002, 8003]  # of an app that lists none
NAME = re.compile("[a-z][a-z0-9-]{0,22}[a-z0-9](?<!-worker)")
PART = re.compile("[A-Za-z0-9._-]+")
HEALTH = re.compile("(/[!-~]*)?")
SERIAL = re.compile("[1-9][0-9]{0,3}|([1-9][0-9]?|100)%")
MEMORY = re.compile("([1-9][0-9]*[KMGT])?")
DEVICE = re.compile("/dev/[A-Za-z0-9/_.-]+")
WRITABLE = re.compile(r"(?!.*/\.{0,2}(?:/|\Z))/[A-Za-z0-9/_.@+-]+")
GROUP = re.compile("[a-z_][a-z0-9_-]{0,31}")
# Their members are root soon, or read what others keep secret; those of other apps as well.
CLOSED_GROUPS = {"root", "shadow", "sudo", "wheel", "adm", "docker", "disk", "kmem", "staff", "lxd", "incus"}
CLOSED_GROUPS |= {"incus-admin", "libvirt", "systemd-journal", "ssl-cert", "www-data", "redis"}
CLOSED_GROUPS |= {"backup", "crontab"}
LEAST = {"start_timeout": 1, "settle_time": 0, "drain_timeout": 1, "watchdog": 2}  # seconds
YEAR = 365 * 24 * 3600  # seconds; what is far longer no clock can count
LEAST_TASKS = 16
# In the folder of an app whose removal was killed.
OWN = {"venvs", "static", "static.partial", "current", "releases.jsonl"}


def above(path):
    """A path and all folders above it, from the top."""
    return [*reversed([str(one) for one in PurePosixPath(path).parents]), path]


def no_folders(paths, found):
    """Those of the paths that lead to no folder. What a link leads to is not asked here."""
    return [path for path in paths if found[path]["kind"] not in ("folder", "link")]


def replaceable(paths, found):
    """Why an account other than root could replace one of these folders, each as half a sentence.

    While systemd opens a folder for the program, any account that may write above it could put a link in its place.
    """
    bad = []
    for path in paths:
        for one in above(path):
            if found[one]["kind"] == "link":
                bad.append(f"{path} has a link in it ({one})")
            elif one != path and (found[one]["owner"] != 0 or found[one]["mode"] & 0o022):
                bad.append(f"{path} lies below {one}, which others than root may write")
            else:
                continue
            break
    return bad


def in_source(path):
    """Whether a text is a path that a source may have."""
    parts = path.split("/")
    return all(PART.fullmatch(one) and one not in (".", "..") for one in parts) and parts[0] != RESERVED


def is_index(address):
    """Whether an address can be that of a package index."""
    try:
        parts = urlsplit(address)
        _port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and not re.search(r"[\s\x00-\x1f]", address)
    )


@dataclass(frozen=True)
class App:
    """One app as the variables describe it: each field is the variable of that name.

    run: what is known of the run. host: the host's name. others: ports of the other apps. Times are in seconds, cpu_max in percent.
    """

    run: Any = field(repr=False)
    host: str
    others: list[int]
    name: str
    state: str
    source: str
    version: str
    checksum: str
    folder: str
    main: str
    ports: list[int]
    listens_on: int
    arguments: list[str]
    workers: list[dict[str, Any]]
    timers: list[dict[str, Any]]
    environment: dict[str, str] = field(repr=False)
    secrets: dict[str, str] = field(repr=False)
    python: str
    packages: list[str]
    requirements: str
    index: list[str] = field(repr=False)
    wheels: str
    shared: list[str]
    static: str
    uploads: list[str]
    health_path: str | None
    start_timeout: int
    overlap: bool
    settle_time: int
    drain_timeout: int
    watchdog: int
    memory_max: str
    cpu_max: int
    tasks_max: int
    enabled: bool
    devices: list[str]
    groups: list[str]
    writable_paths: list[str]
    before_activation: list[str]
    after_activation: list[str]
    serial: str
    canary: int
    canary_check: str
    max_unreachable: int
    keep_releases: int

    @classmethod
    def read(cls, variables, **more):
        """An app from the role's variables, by names without their prefix. Their types are checked already."""
        sandbox = {"enabled": True, "devices": [], "groups": [], "writable_paths": [], **variables["sandbox"]}
        values = {**sandbox, **variables, **more}
        values["ports"] = [int(port) for port in values["ports"]]
        # Given with -e, a number is text.
        return cls(
            **{
                one.name: int(values[one.name]) if one.type is int else values[one.name]
                for one in fields(cls)
            }
        )

    @property
    def present(self):
        """Whether it is to be on the host."""
        return self.state == "present"

    @property
    def jobs(self):
        """Its workers and timers."""
        return jobs.read(self.workers, self.timers)

    @property
    def home(self):
        """The app's folder."""
        return f"/srv/{self.name}"

    @property
    def required_packages(self):
        """Debian packages that have to be installed."""
        return ["python3-venv", *self.packages]

    def refusals(self):
        """A sentence for each value that is invalid."""
        if not NAME.fullmatch(self.name):
            yield (
                f"tornado_app_name: '{self.name}' can't name units and an account. Take 2 to 24 lowercase "
                "letters, digits and dashes, a letter first, and not -worker at the end."
            )
        yield from self.about_ports()
        yield from self.about_start()
        yield from jobs.refusals(self.jobs)
        yield from self.about_limits()
        yield from self.about_source()
        yield from self.about_shared()

    def about_ports(self):
        """Where it listens."""
        if not all(1 <= one <= 65535 for one in self.ports):
            yield (
                f"tornado_app_ports: {listed(self.ports)} has a port out of range. Ports go from 1 to 65535."
            )
        if self.present and (again := twice(self.ports + self.others)):
            yield f"tornado_app_ports: {listed(again)} is given twice. Each port runs one instance."
        if not self.ports and self.present and not self.jobs:
            yield (
                "tornado_app_ports: the list is empty. Give at least one port, a worker or a timer, or "
                "tornado_app_state: absent."
            )

    def about_start(self):
        """What is started, and what it is told."""
        if for_a_shell(self.main):
            yield (
                f"tornado_app_main: '{self.main}' is for a shell, and none reads it. Give the program and its arguments:"
                " tornado_app_folder is for cd, tornado_app_environment for NAME=value, and the journal has its output."
            )
        elif not command(self.main):
            yield (
                f"tornado_app_main: '{self.main}' can't be started. Give a script of the source (hello.py), -m and "
                "a module (-m hello), or a command that the requirements install (bokeh serve hello)."
            )
        if self.folder and not in_source(self.folder):
            yield (
                f"tornado_app_folder: '{self.folder}' is invalid. Give the folder inside the source that the program"
                " starts in, as app or src/web, or leave it out for the source itself."
            )
        given = {"main": command(self.main), "arguments": self.arguments}
        values = [*given["main"], *given["arguments"], *map(str, self.environment.values())]
        told = self.listens_on or any("{port}" in one for one in values)
        for name, words in given.items():
            if taken := [one for one in words if one.split("=")[0] == "--port" and not told]:
                yield (
                    f"tornado_app_{name}: {listed(taken)} is given by the role. List the ports in tornado_app_ports. "
                    "Write {port} where the program is told its own by other words."
                )
        if not 0 <= self.listens_on <= 65535:
            yield (
                f"tornado_app_listens_on: {self.listens_on} is no port. Give the one that the program asks for, 1 to "
                "65535, or 0 for a program that is told its own."
            )
        if self.python and not WRITABLE.fullmatch(self.python):
            yield (
                f"tornado_app_python: '{self.python}' is no absolute path. Give that of a Python on the host, as "
                "/usr/local/bin/python3.13, or leave it out for Debian's own."
            )
        commands = {"before_activation": self.before_activation, "after_activation": self.after_activation}
        for name, given in commands.items():
            if bad := [one for one in given if not split(one)]:
                yield (
                    f"tornado_app_{name}: {listed(bad)} is no command. Give words, as python migrate.py, and close "
                    "the quotes."
                )
        names = [*self.environment, *self.secrets]
        if bad := [one for one in names if not (one.isascii() and one.isidentifier())]:
            yield (
                f"tornado_app_environment, tornado_app_secrets: {listed(bad)} is no name. Names are letters, digits "
                "and underscores, a letter first."
            )
        if not all(PART.fullmatch(part) and part not in (".", "..") for part in self.static.split("/")):
            yield (
                f"tornado_app_static: '{self.static}' is invalid. Give a folder inside the source, as static or "
                "web/dist."
            )
        if bad := [one for one in self.uploads if not PART.fullmatch(one) or one in (".", "..")]:
            yield (
                f"tornado_app_uploads: {listed(bad)} is no folder's name. Give names inside /var/lib/tornado-{self.name},"
                " as media."
            )
        if not HEALTH.fullmatch(self.health_path or ""):
            yield (
                f"tornado_app_health_path: '{self.health_path}' is no path. It starts with / and holds no space; "
                '"" is for a program that can\'t be asked.'
            )

    def about_limits(self):
        """How long it may take, and what it may use."""
        for name, least in LEAST.items():
            seconds = getattr(self, name)
            if seconds < least and not (name == "watchdog" and seconds == 0):
                never = ", or 0 for never" * (name == "watchdog")
                yield f"tornado_app_{name}: {seconds} is too short. Give whole seconds, at least {least}{never}."
        for name in (*LEAST, "canary"):
            if (seconds := getattr(self, name)) > YEAR:
                yield f"tornado_app_{name}: {seconds} is too long. Give whole seconds, at most {YEAR} (a year)."
        if not MEMORY.fullmatch(self.memory_max):
            yield (
                f"tornado_app_memory_max: '{self.memory_max}' is no amount. Write a number and K, M, G or T, as "
                "512M."
            )
        if self.cpu_max < 0 or self.tasks_max < LEAST_TASKS:
            yield (
                f"tornado_app_cpu_max, tornado_app_tasks_max: {self.cpu_max} and {self.tasks_max} are invalid. Give "
                f"percent of a processor from 0 (no limit) on, and at least {LEAST_TASKS} tasks."
            )
        bad = [one for one in self.devices if not DEVICE.fullmatch(one)]
        bad += [one for one in self.writable_paths if not WRITABLE.fullmatch(one)]
        if bad:
            yield (
                f"tornado_app_sandbox: {listed(bad)} is invalid. Give devices below /dev and absolute paths, "
                r"without spaces, quotes and any of : % $ \."
            )
        if bad := [one for one in self.groups if not self.open_group(one)]:
            yield (
                f"tornado_app_sandbox: groups: {listed(bad)} would give the program what is root's or another's. "
                "Give groups by name that devices or shared files belong to, as dialout."
            )
        if not SERIAL.fullmatch(str(self.serial)):
            yield (
                f"tornado_app_serial: '{self.serial}' is no number of hosts. Give one from 1 on, or 1% to 100% of them."
            )
        if self.canary < 0 or (self.canary_check and not (self.canary and split(self.canary_check))):
            yield (
                f"tornado_app_canary, tornado_app_canary_check: {self.canary} and '{self.canary_check}' are invalid. "
                "Give whole seconds, 0 for none, and a command that says yes within that time, or none."
            )
        if self.max_unreachable < 0:
            yield (
                f"tornado_app_max_unreachable: {self.max_unreachable} is no number of hosts. Give how many a run may go "
                "on without, 0 for none."
            )
        if self.keep_releases < 1:
            yield (
                f"tornado_app_keep_releases: {self.keep_releases} is too few. The current release is one of them."
            )

    def about_shared(self):
        """What it writes beside its code."""
        paths = [link(one) for one in self.shared]
        if bad := [given for given, path in zip(self.shared, paths, strict=True) if not in_source(path)]:
            yield (
                f"tornado_app_shared: {quoted(bad)} is invalid. Give paths in the source, as app.db, or uploads/ for a "
                "folder, of letters, digits and . _ -."
            )
        below = [one for one in paths if any(one.startswith(f"{other}/") for other in paths)]
        if again := [*twice(paths), *below]:
            yield f"tornado_app_shared: {listed(again)} is shared by another entry. Give each path once."
        first, *more = command(self.main) or [""]
        started = os.path.join(self.folder, more[0].replace(".", "/") if first == "-m" else first)
        code = [started, self.requirements, self.static]
        taken = [one for one in paths if f"{one}/".startswith(f"{self.static}/")]
        taken += [one for one in paths if any(f"{part}/".startswith(f"{one}/") for part in code)]
        if taken := [one for one in dict.fromkeys(taken) if one]:
            yield (
                f"tornado_app_shared: {listed(taken)} holds what each release brings (the program, its requirements or "
                "its static files). Share what the program writes, from a folder of its own."
            )

    def about_source(self):
        """Where it comes from. An address may hold a password, which no sentence shows."""
        if not self.present:
            return
        local = not remote(self.source)
        code = is_git(self.source, self.version) or is_archive(self.source)
        for variable, path, may_be_file, wanted in (
            ("tornado_app_source", self.source * local, code, "or a git address or an archive"),
            ("tornado_app_wheels", self.wheels, False, "a directory of wheels"),
        ):
            if path and not os.path.exists(self.run.located(path)):
                yield (
                    f"{variable}: {without_passwords(path)} does not exist on the controller{self.run.looked([path])}. "
                    f"Give a path that does, {wanted}."
                )
            elif path and not may_be_file and os.path.isfile(self.run.located(path)):
                yield f"{variable}: {path} is a file. Give the directory that it is in, {wanted}."
        if bad := [one for one in self.index if not is_index(one)]:
            yield (
                f"tornado_app_index: {listed(map(without_passwords, bad))} is no address of an index. Give http:// or "
                "https://, its host and path, without spaces, as https://pypi.example.org/simple."
            )
        if self.checksum and not (is_archive(self.source) and not self.version):
            yield (
                f"tornado_app_checksum: '{self.checksum}' would be of an archive, and {without_passwords(self.source)} is "
                "none. Leave it out, or give an archive."
            )
        folder = self.run.located(self.source)
        # A repository without a working tree has its parts at the top.
        git = os.path.isfile(f"{folder}/HEAD") or os.path.exists(f"{folder}/.git")
        if self.version and local and os.path.exists(folder) and not git:
            top = checkout_of(os.path.realpath(folder))
            instead = f"{top}, and the paths in that" if top else "the address of a repository"
            yield (
                f"tornado_app_version: '{self.version}' says that {self.source} is a git repository, and it is "
                f"{'a folder in one' if top else 'none'}. Leave the version out, or give {instead}."
            )

    def open_group(self, name):
        """Whether the program may be in a group."""
        return bool(GROUP.fullmatch(name)) and name not in CLOSED_GROUPS and not name.startswith("tornado-")

    def warnings(self):
        """What is allowed and should not stay."""
        if self.present and not self.enabled:
            yield (
                f"tornado_app_sandbox: {self.name} runs without its sandbox on {self.host}, and may do all that its "
                "account may. Remove enabled: false when you have seen enough."
            )

    def paths(self):
        """The valid ones of writable_paths."""
        return [path for path in self.writable_paths if WRITABLE.fullmatch(path)]

    def calendars(self):
        """The timers whose calendars the host is asked about."""
        timers = map(jobs.Timer.read, self.timers if self.present else ())
        return [one for one in timers if jobs.CALENDAR.fullmatch(one.calendar)]

    def interpreters(self):
        """The Python that is not Debian's, where a valid one is given."""
        return [self.python] * bool(self.present and WRITABLE.fullmatch(self.python))

    def answers(self, found):
        """A sentence for each value that can't be had on the host."""
        ours = re.compile(f"tornado-{re.escape(self.name)}(-worker)?@")
        mine = {str(one) for one in self.ports} if self.present else set()
        bad = [
            f"{number} is listened on by {who}"
            for number, who in sorted(found["holders"].items())
            if number in mine and not ours.match(who)
        ]
        # By another name they may be its own.
        if bad and NAME.fullmatch(self.name):
            yield (
                f"tornado_app_ports: {listed(bad)} on {self.host}. Give {self.name} other ports, or end what "
                "listens there first."
            )
        if missing := no_folders(self.paths(), found["paths"]):
            yield (
                f"tornado_app_sandbox: {listed(missing)} is no folder on {self.host}. Make the folders of "
                f"writable_paths first, writable for tornado-{self.name}."
            )
        if bad := replaceable(self.paths(), found["paths"]):
            yield (
                f"tornado_app_sandbox: {listed(bad)} on {self.host}. Give folders whose path holds no link, and "
                "whose folders above are root's and writable for root alone."
            )
        if missing := [one for one in self.groups if one in found["no_groups"]]:
            yield (
                f"tornado_app_sandbox: groups: {listed(missing)} is no group on {self.host}. Create it first, or "
                "correct the name."
            )
        for timer in self.calendars():
            yield from timer.answers(found["calendars"], self.host)
        if self.interpreters() and (why := found["interpreters"][self.python]["why"]):
            yield (
                f"tornado_app_python: {self.python} on {self.host} {why}. Give a Python with venv and ensurepip that "
                "all accounts may run and root alone may write, as below /usr/local or /opt."
            )
        there = found["folders"].get(self.home, [])
        if there and "releases" not in there and not set(there) <= OWN:
            yield (
                f"tornado_app_name: '{self.name}' would have {self.home} on {self.host}, which holds "
                f"{listed(there[:3])} of somebody else. Take another name, or move that away."
            )


class Inputs:
    """variables: name to value. run: what is known of the run, see the action C(inputs)."""

    def __init__(self, variables, run):
        self.variables, self.run = variables, run
        self.all = variables["tornado_app_apps"]
        self.named = variables["tornado_app_name"]
        selected = (
            [one for one in self.all if not self.named or one["name"] == self.named] if self.all else [{}]
        )
        self.apps = [self.app(entry) for entry in selected]

    def app(self, entry):
        """One app, by its entry in tornado_app_apps."""
        values = self.run.values(__tornado_app_entry=entry)
        values = {name.removeprefix("tornado_app_"): value for name, value in values.items()}
        others = [one for one in self.all if one["name"] != values["name"]]
        # Who is to be removed has what it lists, and no port by default.
        default = {one["name"]: [] if one.get("state") == "absent" else PORTS for one in others}
        ports = [int(port) for one in others for port in one.get("ports", default[one["name"]])]
        return App.read(values, run=self.run, others=ports, host=self.run.host)

    def refusals(self):
        """A sentence for each value that is invalid."""
        names = [one["name"] for one in self.all]
        if twice(names):
            yield f"tornado_app_apps: a name is given twice ({listed(names)}). Each app has its own."
        version = self.variables["tornado_app_version"]
        if not self.apps:
            yield (
                f"tornado_app_name: there is no app '{self.named}'. Say which one with -e tornado_app_name=NAME: "
                f"{listed(names)}."
            )
        elif len(self.apps) > 1 and version:
            yield (
                f"tornado_app_version: '{version}' fits one app only, and this host has several. "
                f"Say which one with -e tornado_app_name=NAME: {listed(names)}."
            )
        for app in self.apps:
            yield from app.refusals()

    def questions(self):
        """What the host is asked, for the module C(look)."""
        return {
            "ports": self.listens(),
            "addresses": ["127.0.0.1"],
            "paths": sorted({one for app in self.apps for path in app.paths() for one in above(path)}),
            "packages": sorted({one for app in self.apps if app.present for one in app.required_packages}),
            "interpreters": sorted({one for app in self.apps for one in app.interpreters()}),
            "groups": sorted({one for app in self.apps if app.present for one in app.groups}),
            "folders": [app.home for app in self.apps if NAME.fullmatch(app.name)],
            "calendars": sorted({one.calendar for app in self.apps for one in app.calendars()}),
            "apps": [app.name for app in self.apps if NAME.fullmatch(app.name)],
        }

    def answers(self, found):
        """A sentence for each value that can't be had on the host."""
        for app in self.apps:
            yield from app.answers(found)

    def surplus(self, instances):
        """Names of the apps of which some ports, or all there is, are to be removed.

        instances: app to the ports that it has on the host, as text.
        """
        wanted = {app.name: {str(port) for port in app.ports} for app in self.apps if app.present}
        names = [app.name for app in self.apps]
        return [name for name in names if name not in wanted or set(instances.get(name, [])) - wanted[name]]

    def warnings(self):
        """What is allowed and should not stay, each as a sentence."""
        return [sentence for app in self.apps for sentence in app.warnings()]

    def listens(self):
        """The ports that the apps will listen on."""
        return sorted({port for app in self.apps if app.present for port in app.ports})
