"""Fixtures of all scenarios: the running host, a client from outside, another run."""

import base64
import os
import shlex
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import testinfra
import yaml
from analysis import problems
from client import Client
from clients.background import BackgroundLoad
from load_app import App

ROOT = Path(__file__).resolve().parent.parent
KEY = ROOT / ".cache" / "test_hosts_key"
SSH = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes"


@pytest.fixture(scope="session")
def scenario():
    """The scenario's folder."""
    return Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])


@pytest.fixture(scope="session")
def container(scenario):
    """Name of the scenario's one test host, and its variables."""
    hosts = yaml.safe_load((scenario / "hosts.yml").read_text())["test_hosts"]["hosts"]
    [(name, variables)] = hosts.items()
    return name, variables


def reach(variables, user="root"):
    """A running host by its variables, asked over ssh."""
    address = f"ssh://{user}@127.0.0.1:{variables['ansible_port']}"
    return testinfra.get_host(address, ssh_identity_file=str(KEY), ssh_extra_args=SSH)


@pytest.fixture(scope="session")
def host(container):
    """The scenario's one host."""
    return reach(container[1])


@pytest.fixture(scope="session")
def fleet(scenario):
    """The hosts of a scenario that has several: name, variables and host of each."""
    hosts = yaml.safe_load((scenario / "hosts.yml").read_text())["test_hosts"]["hosts"]
    return [(name, variables, reach(variables)) for name, variables in hosts.items()]


@pytest.fixture(scope="session")
def log_in(fleet):
    """One of a scenario's hosts as a certain user: log_in("tornadoes-NAME", "admin")."""
    variables = {name: variables for name, variables, _host in fleet}
    return lambda name, user: reach(variables[name], user)


@pytest.fixture(scope="session")
def not_run(scenario):
    """Skip what this machine can't do, and have script/test say so at its end: not_run("NAME: why")."""

    def skip(what):
        suite = os.environ.get("TORNADOES_SUITE", "trixie")
        (ROOT / f".cache/test-{scenario.name}-{suite}.not-run").write_text(
            f"{scenario.name} ({suite}), {what}"
        )
        pytest.skip(what)

    return skip


@pytest.fixture(scope="session")
def client(container):
    """A visitor from outside, who trusts the site's private CA alone."""
    name, variables = container
    http, https = variables["test_host_ports"]
    return Client(http, https, str(ROOT / ".cache" / f"{name}-ca.crt"))


@pytest.fixture(scope="session")
def podman(container):
    """Run podman on the scenario's container: podman("restart")."""

    def run(verb):
        sudo = [] if os.getuid() == 0 else ["sudo"]
        subprocess.run([*sudo, "podman", verb, container[0]], check=True, capture_output=True)

    return run


@pytest.fixture(scope="session")
def playbook(scenario):
    """Run a playbook on the scenario's inventory: the exit code, and all that it printed."""

    def run(name, *words, inventory=None, timeout=240):
        sources = inventory or [scenario / "hosts.yml"]
        inventories = [f"--inventory={one}" for one in [*sources, ROOT / "molecule/shared/inventory"]]
        command = ["ansible-playbook", *inventories, name, *words]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        # molecule forces colours where it has a terminal; they would stand between words that are looked for.
        environment["ANSIBLE_FORCE_COLOR"] = "0"
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        print(done.stdout + done.stderr)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def app(scenario, playbook, host):
    """The app that load is put on."""
    return App(scenario.name, playbook, host)


class Lost(list):
    """What a load has lost. A test that fails shows how much, when and why, and not each one."""

    def __repr__(self):
        moments = {}
        for kind, at, reason in self:
            moments.setdefault((kind, reason), []).append(at)
        return "\n".join(
            f"{len(at)} {kind}, {clock(min(at))} to {clock(max(at))}: {reason}"
            for (kind, reason), at in moments.items()
        )


def clock(moment):
    """Seconds since 1970 as the host's journal has them, to the hundredth."""
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S.%f")[:-4]


class Load(BackgroundLoad):
    """The load client on a site of the scenario."""

    def lost(self):
        """What failed or was wrong, as (kind, moment, reason); counts where that is too much."""
        kinds = self.report["kinds"]
        found = Lost((kind, one["at"], one["reason"]) for kind in kinds for one in kinds[kind]["failures"])
        return found or [(kind, "wrong") for kind in kinds if kinds[kind]["wrong"] or kinds[kind]["failed"]]


@pytest.fixture(scope="session")
def load(container):
    """Load on a site of the scenario: ``with load() as running: ...; running.lost()``."""
    name, variables = container
    _http, https = variables["test_host_ports"]

    def start(*words, host="localhost"):
        where = ["--url", f"https://127.0.0.1:{https}", "--host", host]
        return Load(*where, "--authority", ROOT / ".cache" / f"{name}-ca.crt", *words)

    return start


@pytest.fixture
def gixy(host, tmp_path):
    """What gixy says against the host's nginx configuration, at any level: a list of problems."""

    def ask():
        # The files' own mode may keep them from whoever runs the tests.
        pack = (
            "tar --create --exclude=*.key --exclude=privkey.pem --mode=a+rX --directory=/etc nginx | base64"
        )
        packed = base64.b64decode(host.check_output(pack))
        subprocess.run(["tar", "--extract", "--directory", tmp_path], input=packed, check=True)
        for path in (tmp_path / "nginx").rglob("*"):
            if path.is_file():
                path.write_text(
                    path.read_text("latin-1").replace("/etc/nginx/", f"{tmp_path}/nginx/"), "latin-1"
                )
        return problems(tmp_path / "nginx/nginx.conf")

    return ask


@pytest.fixture(scope="session")
def kill_module(host):
    """Kill the module that runs on the host as soon as a command is true: kill_module("test -e PATH")."""

    def arm(moment):
        # Ansible hands a module to a Python that has no other word on its command line.
        kill = "pkill --signal KILL --full --exact /usr/bin/python3"
        watch = f"for i in $(seq 30000); do {moment} && exec {kill}; sleep 0.001; done"
        host.check_output(f"nohup sh -c {shlex.quote(watch)} > /dev/null 2>&1 &")

    return arm


@pytest.fixture(scope="session")
def long():
    """Whether there is time: script/test --all."""
    return bool(os.environ.get("TORNADOES_LONG"))


def pytest_collection_modifyitems(config, items):
    """Leave tests that are marked as long to script/test --all."""
    if os.environ.get("TORNADOES_LONG"):
        return
    left = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="session")
def eventually():
    """Ask again until the answer is true, for some seconds; the last answer."""

    def ask(question, seconds=30):
        end = time.monotonic() + seconds
        while True:
            try:
                answer = question()
            except OSError:
                answer = False
            if answer or time.monotonic() > end:
                return answer
            time.sleep(0.2)

    return ask


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the host was saying at the time."""
    report = yield
    host = getattr(item, "funcargs", {}).get("host")
    if report.failed and host is not None:
        try:
            units = "--unit='tornado-*' --unit='nginx-proxy-*' --unit=nginx --unit=redis-server"
            lines = host.run(f"journalctl --no-pager --lines=40 {units}").stdout
        except RuntimeError as problem:  # testinfra's word for a host that can't be reached
            lines = str(problem)
        report.sections.append(("the host's journal", lines))
    return report
