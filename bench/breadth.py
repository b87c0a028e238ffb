"""What more hosts, and more apps on one, cost a run that has nothing to do, and a release more hosts.

Makes hosts of its own, each with one app on one port and one site behind nginx, and removes them at the
end. All of them share this machine's processors with ansible-playbook, so the clock counts what they do as
well, which servers of their own do at the same time. The controller's processor time is its own part.
"""

import contextlib
import json
import resource
import shutil
import sys
import time
from itertools import count as numbers
from pathlib import Path

import lab
import yaml

# What systemd in a container takes of the kernel's table of these, which all containers here share.
INSTANCES = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
HOSTS = [1] if lab.SMOKE else [1, 2, 5, 10] + [20] * (INSTANCES >= 512)
RELEASED = [1] if lab.SMOKE else [2, 5, 10]
APPS = [1, 2] if lab.SMOKE else [1, 5]
TIMES = 1 if lab.SMOKE else 3
MADE = lab.MADE / "breadth"
SOURCE = lab.ROOT / "tests/samples/load"
RELEASES = numbers()


def name(number):
    """What a host is called."""
    return f"tornadoes-breadth-{number}"


def write_inventory(most):
    """The inventory of so many hosts, in a folder of its own."""
    hosts = {
        name(number): {
            "ansible_port": 12260 + number,
            "test_host_ports": [],
            "ansible_ssh_private_key_file": str(lab.ROOT / ".cache/test_hosts_key"),
        }
        for number in range(1, most + 1)
    }
    names = dict.fromkeys(hosts)
    groups = {"test_hosts": hosts, "tornado_app": names, "nginx_proxy": names}
    MADE.mkdir(parents=True, exist_ok=True)
    text = {group: {"hosts": found} for group, found in groups.items()}
    (MADE / "hosts.yml").write_text(yaml.safe_dump(text))


def apps(count, source=SOURCE):
    """The variables of so many apps on one port each, and of a site that publishes them.

    source: the folder of their code.
    """
    ports, alike = range(8000, 8000 + count), {"source": str(source), "main": "server.py", "settle_time": 0}
    given = {
        "tornado_app_apps": [{"name": f"app{port}", "ports": [port], **alike} for port in ports],
        "nginx_proxy_sites": [
            {
                "names": ["www.example.test"],
                "upstreams": [f"127.0.0.1:{8000 + port}" for port in range(count)],
            }
        ],
    }
    return ["-e", json.dumps(given)]


def used():
    """Seconds of the processor that commands of this one have used."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def playbook(*words):
    """Run a playbook; seconds on the clock and of the controller's processor, and what it printed."""
    begin, before = time.monotonic(), used()
    said = lab.playbook_on([MADE / "hosts.yml", "molecule/shared/inventory"], *words)
    return (time.monotonic() - begin, used() - before), said


def first(hosts):
    """Words that limit a run to so many hosts."""
    return ["--limit", ",".join(name(number) for number in range(1, hosts + 1))]


def idle(count, hosts):
    """What a run of so many apps on so many hosts takes, as playbook() has it, which must change nothing."""
    seconds, said = playbook("site.yml", *first(hosts), *apps(count))
    lab.must(f"{hosts} hosts had nothing to do", said.count("changed=0") == hosts)
    return seconds


def release(hosts):
    """The same of a deploy of new code, as one transaction over so many hosts."""
    folder = shutil.copytree(SOURCE, MADE / "source", dirs_exist_ok=True)
    folder.joinpath("release.txt").write_text(f"{next(RELEASES)}\n")
    seconds, said = playbook("playbooks/deploy.yml", *first(hosts), *apps(APPS[0], folder))
    lab.must(f"{hosts} hosts got a release", said.count("changed=0") == 0)
    return seconds


def main():
    """The command."""
    report = lab.Report("breadth", "on the clock", "times", "of the controller's processor", "times")
    if not lab.SMOKE and max(HOSTS) < 20:
        lab.say(f"Without 20 hosts, for which fs.inotify.max_user_instances, {INSTANCES} here, has to be 512")
    write_inventory(max(HOSTS))
    with contextlib.ExitStack() as stack:
        stack.callback(playbook, "molecule/shared/destroy.yml")
        lab.say(f"Making and provisioning {max(HOSTS)} hosts")
        playbook("molecule/shared/create.yml")
        playbook("site.yml", *apps(APPS[0]))
        found = lab.rounds({count: lambda count=count: idle(APPS[0], count) for count in HOSTS}, TIMES)
        tell(report, "hosts", found)
        lab.say("A release over several of them")
        found = lab.rounds({count: lambda count=count: release(count) for count in RELEASED}, TIMES)
        tell(report, "hosts", found, "a release")
        playbook("site.yml", *apps(APPS[0]))
        lab.say(f"{max(APPS)} apps on one of them")
        several = {}
        for count in APPS:
            playbook("site.yml", "--limit", name(1), *apps(count))
            several[count] = [idle(count, 1) for _turn in range(TIMES)]
        tell(report, "apps", several)
        report.write()
    return 0


def tell(report, what, found, run="a run that has nothing to do"):
    """Figures and rows of what there was more and more of, beside the least."""
    least = list(zip(*next(iter(found.values())), strict=True))
    for count, several in found.items():
        cells = []
        for kind, seconds, few in zip(
            ("", ", of the processor"), zip(*several, strict=True), least, strict=True
        ):
            report.figure(f"{what}, {run}{kind}", "s", seconds, count=count)
            cells += [f"{lab.show(seconds)} s", lab.show(lab.ratio(seconds, few))]
        report.row(f"{count} {what}, {run}", *cells)


if __name__ == "__main__":
    sys.exit(main())
