"""Deploy five times under load, update nginx, restart five times by hand under the same load; compare.

    script/bench swap

which makes the host that this expects, and removes it. The figures are what was seen in
one run on one machine, in docs/swap.json and docs/swap.svg; README.md explains them.
"""

import contextlib
import datetime
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

import chart
from clients.background import BackgroundLoad
from lab import (
    BIN,
    HOST,
    HTTPS,
    INVENTORY,
    MADE,
    ROOT,
    SMOKE,
    machine,
    on_host,
    say,
    ssh,
    versions,
    warn_if_busy,
)

SOURCE = MADE / "source"
QUIET = 3 if SMOKE else 20  # seconds
DEPLOYS = 1 if SMOKE else 5
UPDATES = 1 if SMOKE else 3
# What an update does: Debian's scripts restart nginx for each of the two.
UPDATE = "DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --reinstall nginx nginx-common"
PAUSE = 3  # seconds before, between and after deploys
NAIVE = [9000, 9001, 9002, 9003]
UNITS = [f"naive-{port}" for port in NAIVE]
SAMPLE = 0.5  # seconds between looks at the memory
LINE = re.compile(r"port (\d+): (\w+) -> (\w+), ready after ([\d.]+) s(?:, drained after ([\d.]+) s)?")


class Load(BackgroundLoad):
    """The load client on the bench's host. ``busy`` is there afterwards: the machine's load average."""

    def __init__(self, host):
        authority = ROOT / f".cache/{HOST}-ca.crt"
        super().__init__("--url", f"https://127.0.0.1:{HTTPS}", "--host", host, "--authority", authority)

    def __exit__(self, *problem):
        self.busy = os.getloadavg()[0]
        super().__exit__(*problem)

    def since(self, moment):
        """Seconds since the load had begun."""
        return round(moment - self.begun, 2)


def rest(until):
    """Wait for that moment."""
    time.sleep(max(0, until - time.time()))


class Memory:
    """Looks at the memory of the app's units twice a second, as a context."""

    def __enter__(self):
        look = "systemctl show --property=MemoryCurrent --value 'tornado-load*@*.service'"
        # It ends when nobody reads it any more.
        loop = f'while sleep {SAMPLE}; do echo "$(date +%s.%N)" $({look}) || exit; done'
        self.process = subprocess.Popen(ssh(loop), stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_problem):
        self.process.terminate()
        self.samples = []
        for line in self.process.communicate(timeout=20)[0].splitlines():
            moment, *units = line.split()
            if len(units) == 4 and all(unit.isdigit() for unit in units):
                self.samples.append((float(moment), sum(map(int, units)) / 2**20))

    def around(self, begin, end):
        """Before, at the peak and after a swap, in MiB."""
        before = [size for moment, size in self.samples if moment < begin]
        during = [size for moment, size in self.samples if begin <= moment <= end]
        after = [size for moment, size in self.samples if moment > end]
        if not before or not during:
            return None
        quiet = statistics.median(before)
        return {
            "quiet": round(quiet, 1),
            "peak": round(max(during), 1),
            "extra": round(max(during) - quiet, 1),
            "after": round(statistics.median(after), 1) if after else None,
            "samples": len(before) + len(during) + len(after),
        }


def deploy(number):
    """One release more: its ports, and when the playbook, its swap and each port's swap were."""
    name = f"release-{number}"
    shutil.copy(ROOT / "tests/samples/load/server.py", SOURCE)
    (SOURCE / "version.txt").write_text(name + "\n")
    begin = time.time()
    words = [*INVENTORY, "playbooks/deploy.yml", "-e", "tornado_app_name=load"]
    command = ["timeout", "--kill-after=10", "180", BIN / "ansible-playbook", *words]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _none = process.communicate()
    finally:
        process.terminate()  # timeout passes it on.
    end = time.time()
    if process.returncode:
        sys.exit(f"{output}\nswap.py: the deploy of {name} failed")
    ports = {
        int(port): {"ready": float(ready), "drained": float(drained or 0)}
        for port, _old, _new, ready, drained in LINE.findall(output)
    }
    if len(ports) != 4:
        sys.exit(f"{output}\nswap.py: the deploy of {name} did not swap four ports")
    # The host's journal says when it began, and when each port was taken over.
    journal = f"journalctl --quiet --no-pager --output=short-unix --since=@{int(begin)}"
    module = "--identifier=ansible-tornadoes.tornadoes.apply --grep=work=tornado_app_roll"
    calls = on_host(f"{journal} {module}").splitlines()
    started = min(float(line.split()[0]) for line in calls)
    taken = re.findall(
        r"^([\d.]+) .* serves, process .*$", on_host(f"{journal} --unit='tornado-load@*'"), re.MULTILINE
    )
    over = max(float(moment) for moment in taken) + max(one["drained"] for one in ports.values())
    return {"release": name, "playbook": (begin, end), "swap": (started, min(over, end)), "ports": ports}


def measure_quiet():
    """The load, and nobody deploys."""
    say(f"Load without deploys for {QUIET} s")
    with Load("localhost") as load:
        time.sleep(QUIET)
    return load


def measure_deploys():
    """The load, and one deploy after the other; the memory is looked at during the last."""
    say(f"The same load, and {DEPLOYS} deploys")
    deploys = []
    with Load("localhost") as load, contextlib.ExitStack() as stack:
        for number in range(1, DEPLOYS + 1):
            if number == DEPLOYS:
                memory = stack.enter_context(Memory())
            time.sleep(PAUSE)
            deploys.append(deploy(number))
            begin, end = deploys[-1]["swap"]
            say(f"  {deploys[-1]['release']}: swapped in {end - begin:.1f} s")
        time.sleep(PAUSE)
    return load, deploys, memory.around(*deploys[-1]["swap"])


def measure_updates():
    """The load, and one update of nginx after the other."""
    say(f"The same load, and {UPDATES} updates of nginx")
    updates = []
    with Load("localhost") as load:
        for _number in range(UPDATES):
            time.sleep(PAUSE)
            begin = time.time()
            on_host(UPDATE)
            updates.append((begin, time.time()))
            say(f"  took {updates[-1][1] - begin:.0f} s")
        time.sleep(PAUSE)
    return load, updates


def measure_naive(offsets, seconds):
    """The load on a plain program, all of whose processes are restarted at those seconds."""
    say(f"The same load on {len(NAIVE)} plain processes, all restarted {len(offsets)} times")
    venv = on_host("realpath /srv/load/current/.release/venv")
    home = on_host("realpath /srv/load/current")
    for unit, port in zip(UNITS, NAIVE, strict=True):
        program = f"{venv}/bin/python {home}/server.py --logging=warning --port={port}"
        on_host(f"systemd-run --quiet --unit={unit} {program}")
    for port in NAIVE:
        on_host(f"curl --silent --fail --retry 20 --retry-connrefused http://127.0.0.1:{port}/healthz")
    restarts = []
    with Load("naive.example.test") as load:
        for offset in offsets:
            rest(load.begun + offset)
            begin = time.time()
            on_host(f"systemctl restart {' '.join(UNITS)}")
            restarts.append((begin, time.time()))
            say(f"  restarted after {load.since(begin):.0f} s")
        rest(load.begun + seconds)
    on_host(f"systemctl stop {' '.join(UNITS)}")
    return load, restarts


def longest(report, quantile):
    """A quantile of the requests on keep-alive connections: of get or of post, whichever is longer."""
    found = [report["kinds"][kind]["latency"][quantile] for kind in ("get", "post")]
    return max((value for value in found if value is not None), default=None)


def figures(load):
    """What docs/swap.json says of one stretch."""
    report = load.report
    kinds = report["kinds"]
    sockets = kinds["websocket"]
    return {
        "seconds": round(report["ended"] - report["started"], 1),
        "load_average": round(load.busy, 2),  # of the last minute
        "requests": sum(kind["sent"] for kind in kinds.values()),
        "failed": report["failed"],
        "failed_by_kind": {name: kind["failed"] for name, kind in kinds.items()},
        "wrong": report["wrong"],
        "latency_ms": {quantile: longest(report, quantile) for quantile in ("p50", "p99", "max")},
        # What a client is asked to bear; not failures.
        "websockets_told_to_come_again": sockets["ws_closed_clean"],
        "their_messages_without_an_echo": sockets["unanswered_at_close"],
        "polls_told_to_come_again": kinds["poll"]["polite"],
        "idle_connections_closed": report["idle_closed"],
    }


def ranged(values):
    """Least to most."""
    return f"{min(values):g} to {max(values):g} s"


def table(result):
    """The figures, for people."""
    stretches = [result[name] for name in ("quiet", "deploys", "updates", "naive")]
    yield f"{'':26}{'quiet':>12}{'5 deploys':>12}{'3 updates':>12}{'5 restarts':>12}"
    rows = [("seconds", [one["seconds"] for one in stretches])]
    rows += [("load average", [one["load_average"] for one in stretches])]
    rows += [("requests", [one["requests"] for one in stretches])]
    rows += [("failed", [one["failed"] for one in stretches])]
    for kind in result["naive"]["failed_by_kind"]:
        each = [one["failed_by_kind"][kind] for one in stretches]
        if any(each):
            rows.append((f"  {kind}", each))
    rows += [("wrong", [one["wrong"] for one in stretches])]
    for quantile in ("p50", "p99", "max"):
        rows.append((f"{quantile} of get, post (ms)", [one["latency_ms"][quantile] for one in stretches]))
    for text, values in rows:
        yield f"{text:26}" + "".join(
            f"{value:>12,}" if value is not None else f"{'-':>12}" for value in values
        )
    slowest = result["slowest_ms"]
    yield ""
    yield f"Slowest request: {slowest['with_deploys']} ms with deploys, {slowest['without']} ms without"
    ports = [port for one in result["deploys"]["swaps"] for port in one["ports"].values()]
    yield f"A port was ready after {ranged([one['ready'] for one in ports])}, drained after" + (
        f" {ranged([one['drained'] for one in ports])}"
    )
    memory = result["memory_mib"]
    if memory:
        yield (
            f"Memory of the four units: {memory['quiet']} MiB, at the peak of a swap {memory['peak']} MiB"
            f" ({memory['extra']:+} MiB)"
        )


def main():
    """The command."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    result = {
        "what": "script/bench swap: seen on this machine in this run, no promise",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": versions(),
    }
    warn_if_busy(result["machine"])
    quiet = measure_quiet()
    swapped, deploys, memory = measure_deploys()
    updated, updates = measure_updates()
    offsets = [swapped.since(one["swap"][0]) for one in deploys]
    naive, restarts = measure_naive(offsets, swapped.since(deploys[-1]["playbook"][1]) + PAUSE)

    result["quiet"] = figures(quiet)
    result["deploys"] = figures(swapped)
    result["deploys"]["swaps"] = [
        {
            "release": one["release"],
            "playbook": [swapped.since(moment) for moment in one["playbook"]],
            "swap": [swapped.since(moment) for moment in one["swap"]],
            "ports": one["ports"],
        }
        for one in deploys
    ]
    result["updates"] = figures(updated)
    result["updates"]["updates"] = [[updated.since(moment) for moment in one] for one in updates]
    result["naive"] = figures(naive)
    result["naive"]["restarts"] = [[naive.since(moment) for moment in one] for one in restarts]
    result["slowest_ms"] = {
        "with_deploys": result["deploys"]["latency_ms"]["max"],
        "without": result["quiet"]["latency_ms"]["max"],
    }
    result["memory_mib"] = memory

    docs = MADE if SMOKE else ROOT / "docs"
    (docs / "swap.json").write_text(json.dumps(result, indent=1) + "\n")
    swapped.report["deploys"] = [one["swap"] for one in deploys]
    updated.report["deploys"] = updates
    naive.report["deploys"] = restarts
    panels = [
        chart.Panel("Deploys with Tornadoes", swapped.report),
        chart.Panel("Updates of nginx with Tornadoes", updated.report),
        chart.Panel("Restarts by hand", naive.report),
    ]
    (docs / "swap.svg").write_text(chart.draw(panels))
    say("\n" + "\n".join(table(result)))
    where = docs.relative_to(ROOT)
    say(f"\nSeen on this machine in this run. Written: {where}/swap.json, {where}/swap.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
