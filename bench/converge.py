"""What a run of site.yml costs that has nothing to do, beside what a user would write instead; and a deploy.

The host has what bench/hosts.yml says; the runs are about one of its apps, nginx and Redis.
`plain` is bench/plain/site.yml, a playbook in the field's usual style. `floor` is one ssh connection
that runs one script making the same checks. `script/bench --against=CHECKOUT` names another checkout, with
an environment of its own (script/setup), whose site.yml is tried as well: before each of its runs, and of
ours, another one makes the host what that checkout says. A deploy is one of new code, on four ports that
nobody is connected to, with a settle time of 0.
"""

import os
import re
import resource
import subprocess
import sys
import time

import lab

FLOOR = """
set -eu
dpkg-query --show nginx python3-venv redis-server > /dev/null
getent passwd tornado-hello > /dev/null
stat /srv/hello/releases /srv/hello/venvs > /dev/null
find /srv/hello/keeper /etc/nginx/tornadoes /etc/systemd/system -type f -exec sha256sum {} + > /dev/null
for port in 8010 8011 8012 8013; do
    systemctl is-enabled --quiet tornado-hello@$port.service tornado-hello@$port.socket
    systemctl is-active --quiet tornado-hello@$port.service
done
tornado-hello-status --json > /dev/null
systemctl is-active --quiet nginx redis-server nginx-proxy-certificates.timer
nginx-proxy-status > /dev/null
"""


class Costs:
    """Seconds of each run, on the clock and of the controller's processor, by what it is called."""

    def __init__(self):
        self.wall, self.processor = {}, {}

    def run(self, name, command, folder, changed):
        """One run, which has to end well, and to change something or nothing."""
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        said = finish(name, command, folder)
        seconds, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        lab.must(f"{name} changes {changed}", bool(re.search("changed=[1-9]", said)) == changed)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.wall.setdefault(name, []).append(seconds)
        self.processor.setdefault(name, []).append(used)
        return seconds


def finish(name, command, folder):
    """What a run prints, which has to end well."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lab.must(f"{name} ends well: {done.stdout[-2000:]}{done.stderr[-2000:]}", done.returncode == 0)
    return done.stdout


def book(folder, name, *words):
    """The words of a playbook's run, of a checkout."""
    inventory = [word for path in lab.INVENTORY[1::2] for word in ("-i", lab.ROOT / path)]
    return [folder / ".venv/bin/ansible-playbook", *inventory, name, *words]


def way_of(name, folder, costs, alone):
    """A way to the numbers of a checkout: a run that has nothing to do, then a deploy of new code.

    alone: whether the host is that checkout's already.
    """
    idle = book(folder, "site.yml", "-e", "tornado_app_name=hello")
    new = ["-e", "tornado_app_name=load", "-e", "tornado_app_settle_time=0"]

    def run():
        for words in [] if alone else (idle[-2:], new):
            finish(name, book(folder, "site.yml", *words), folder)
        seconds = costs.run(name, idle, folder, False)
        (lab.MADE / "source/version.txt").write_text(f"{time.time()}\n")
        costs.run(f"{name}, a deploy", book(folder, "playbooks/deploy.yml", *new), folder, True)
        return seconds

    return run


def main():
    """The command."""
    against = os.environ.get("TORNADOES_AGAINST")
    report = lab.Report("converge", "on the clock", "of the processor", "times ours", "times its processor")
    lab.say("Setting the plain playbook's program up")
    lab.playbook("bench/plain/site.yml")
    lab.playbook("site.yml")
    costs = Costs()
    plain = book(lab.ROOT, "bench/plain/site.yml")
    ways = {
        "ours": way_of("ours", lab.ROOT, costs, alone=not against),
        "plain": lambda: costs.run("plain", plain, lab.ROOT, False),
        "floor": lambda: costs.run("floor", lab.ssh(FLOOR), lab.ROOT, False),
    }
    if against:
        ways["before"] = way_of("before", (lab.ROOT / against).resolve(), costs, alone=False)
    for name in ways:
        # The first one pays for connections and caches of the file system.
        ways[name]()
    costs.wall, costs.processor = {}, {}
    lab.say(f"{len(ways)} ways, {lab.ROUNDS} rounds")
    lab.rounds(ways)
    for name in costs.wall:
        ours = "ours, a deploy" if name.endswith("deploy") else "ours"
        wall, used = costs.wall[name], costs.processor[name]
        more, less = lab.ratio(wall, costs.wall[ours]), lab.ratio(used, costs.processor[ours])
        report.figure(f"{name}, on the clock", "s", wall)
        report.figure(f"{name}, of the processor", "s", used)
        report.row(name, f"{lab.show(wall)} s", f"{lab.show(used)} s", lab.show(more), lab.show(less))
    report.write()
    return 0


if __name__ == "__main__":
    os.environ.setdefault("ANSIBLE_NOCOLOR", "1")
    sys.exit(main())
