"""What all measurements share: the throwaway host, rounds, and how a figure is written down."""

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
MADE = ROOT / ".cache/bench"
FIGURES = ROOT / "docs/figures"
BIN = Path(sys.executable).parent
[(HOST, VARIABLES)] = yaml.safe_load((ROOT / "bench/hosts.yml").read_text())["test_hosts"]["hosts"].items()
HTTP, HTTPS = VARIABLES["test_host_ports"]
INVENTORY = ["-i", "bench/hosts.yml", "-i", "molecule/shared/inventory"]
# script/test has no time to measure: it sees that each measurement runs and its counts add up.
SMOKE = bool(os.environ.get("TORNADOES_SMOKE"))
ROUNDS = 1 if SMOKE else 5


def say(text):
    """Progress."""
    print(text, flush=True)


def ssh(command):
    """The words that run a command on the host."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    options += ["-o", "IdentitiesOnly=yes", "-i", str(ROOT / ".cache/test_hosts_key")]
    return ["ssh", *options, "-p", str(VARIABLES["ansible_port"]), "root@127.0.0.1", command]


def on_host(command, seconds=120, given=None):
    """What a command on the host prints; it is given some text, and ends the measurement if it fails."""
    done = subprocess.run(
        ssh(command), input=given, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode:
        sys.exit(f"{Path(sys.argv[0]).name}: on the host: {command}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def put(path, text):
    """Write a file on the host."""
    on_host(f"mkdir -p $(dirname {path}) && cat > {path}", given=text)


def playbook(name, *words):
    """Run a playbook on the bench's inventory; what it printed."""
    return playbook_on(INVENTORY[1::2], name, *words)


def playbook_on(inventory, name, *words):
    """Run a playbook on an inventory (paths); what it printed."""
    given = [word for path in inventory for word in ("-i", path)]
    command = ["timeout", "--kill-after=10", "900", BIN / "ansible-playbook", *given, name, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\n{name} failed")
    return done.stdout


def must(what, holds):
    """End the measurement where counts don't add up: its figures would say nothing."""
    if not holds:
        sys.exit(f"{Path(sys.argv[0]).name}: this does not add up: {what}")


def bench_variables():
    """The inventory's variables, rendered for the controller, to be changed and given with -e."""
    text = (ROOT / "bench/group_vars/all.yml").read_text()
    return yaml.safe_load(text.replace("{{ inventory_dir }}", str(ROOT / "bench")))


def rest_until(moment):
    """Wait until time.monotonic() says so."""
    time.sleep(max(0, moment - time.monotonic()))


def machine():
    """Where it was measured."""
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    memory = int(re.search(r"MemTotal: +(\d+)", Path("/proc/meminfo").read_text())[1]) // 1024
    return {
        "cores": os.cpu_count(),
        "model": model[1] if model else platform.machine(),
        "memory_mib": memory,
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def versions():
    """Of what was measured."""
    system, nginx, openssl, tornado, python = on_host(
        "cat /etc/debian_version; dpkg-query --show --showformat='${Version}\\n' nginx openssl;"
        " /srv/load/current/.release/venv/bin/python -c"
        " 'import platform, tornado; print(tornado.version, platform.python_version(), sep=\"\\n\")'"
    ).splitlines()
    return {"debian": system, "nginx": nginx, "openssl": openssl, "tornado": tornado, "python": python}


def warn_if_busy(seen):
    """Say so where a machine's load before the first round will be in the figures."""
    busy, cores = seen["load_average_before"], seen["cores"]
    if busy > cores / 2:
        say(f"This machine is busy (load average {busy} on {cores} cores): the figures will tell of that too")


def rounds(ways, count=ROUNDS):
    """Try each way in turn, so many times, so that what else the machine does meets all of them.

    ways: {name: function that returns a number}. Returns {name: [numbers]}.
    """
    found = {name: [] for name in ways}
    for turn in range(count):
        # Each second round backwards: nobody always comes after the same one.
        for name in list(ways) if turn % 2 == 0 else reversed(ways):
            found[name].append(ways[name]())
    return found


def spread(values):
    """Median, least and most of some numbers."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "of": len(values)}


def ratio(over, under):
    """The ratios of two lists of numbers, round by round."""
    return [one / other for one, other in zip(over, under, strict=True)]


def short(value):
    """A number with three or more digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show(values):
    """A spread, for people."""
    one = spread(values)
    return f"{short(one['median'])} ({short(one['min'])} to {short(one['max'])})"


class Report:
    """The figures of one measurement: a table for people, a JSON line each for programs.

    name: of the measurement. columns: of the table, after the first.
    """

    def __init__(self, name, *columns):
        self.name, self.columns = name, columns
        self.machine = machine()
        warn_if_busy(self.machine)
        self.rows, self.lines = [], []

    def figure(self, what, unit, values, **more):
        """One figure: what it is, its unit, the numbers seen; more that says how."""
        line = {"figure": self.name, "what": what, "unit": unit, **more, **spread(values)}
        self.lines.append(
            {key: round(one, 4) if isinstance(one, float) else one for key, one in line.items()}
        )

    def row(self, *cells):
        """One line of the table."""
        self.rows.append([str(cell) for cell in cells])

    def write(self):
        """Print the table, and keep the lines in docs/figures (of a smoke test, below .cache)."""
        table = [["", *self.columns], *self.rows]
        widths = [max(len(row[index]) for row in table) for index in range(len(table[0]))]
        say("")
        for row in table:
            first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            say("  ".join([row[0].ljust(widths[0]), *rest]) if first else "")
        head = {
            "figure": self.name,
            "what": "seen on this machine in this run, no promise",
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "machine": self.machine,
            "versions": versions(),
        }
        folder = MADE if SMOKE else FIGURES
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in [head, *self.lines]))
        say(f"\nSeen on this machine in this run. Written: {path.relative_to(ROOT)}")
