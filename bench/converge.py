"""What a run of site.yml costs that has nothing to do, beside what a user would write instead.

The host has what bench/hosts.yml says; the runs are about one of its apps, nginx and Redis.
`plain` is bench/plain/site.yml, a playbook in the field's usual style. `floor` is one ssh connection
that runs one script making the same checks. `script/bench --against=CHECKOUT` names another checkout, with
an environment of its own (script/setup), whose site.yml is tried as well: before each of its runs, and of
ours, another one makes the host what that checkout says.
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
    """Seconds of each run, on the clock and of the controller's processor."""

    def __init__(self):
        self.wall, self.processor = {}, {}

    def run(self, name, command, folder, settled=True):
        """One run, which has to end well and to change nothing. settled: no other is needed before."""
        if not settled:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            lab.must(f"{name} converges: {done.stdout[-2000:]}{done.stderr[-2000:]}", done.returncode == 0)
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        lab.must(f"{name} ends well: {done.stdout[-2000:]}{done.stderr[-2000:]}", done.returncode == 0)
        lab.must(f"{name} changes nothing", not re.search("changed=[1-9]", done.stdout))
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.wall.setdefault(name, []).append(seconds)
        self.processor.setdefault(name, []).append(used)
        return seconds


def site(folder):
    """The words of a run that has nothing to do, of a checkout."""
    inventory = [word for path in lab.INVENTORY[1::2] for word in ("-i", lab.ROOT / path)]
    return [folder / ".venv/bin/ansible-playbook", *inventory, "site.yml", "-e", "tornado_app_name=hello"]


def main():
    """The command."""
    against = os.environ.get("TORNADOES_AGAINST")
    report = lab.Report("converge", "on the clock", "of the processor", "times ours", "times its processor")
    plain = [lab.BIN / "ansible-playbook", *site(lab.ROOT)[1:5], "bench/plain/site.yml"]
    lab.say("Setting the plain playbook's program up")
    lab.playbook("bench/plain/site.yml")
    lab.playbook("site.yml")
    costs = Costs()
    ways = {
        "ours": lambda: costs.run("ours", site(lab.ROOT), lab.ROOT, not against),
        "plain": lambda: costs.run("plain", plain, lab.ROOT),
        "floor": lambda: costs.run("floor", lab.ssh(FLOOR), lab.ROOT),
    }
    if against:
        folder = (lab.ROOT / against).resolve()
        ways["before"] = lambda: costs.run("before", site(folder), folder, settled=False)
    for name in ways:
        # The first one pays for connections and caches of the file system.
        ways[name]()
    costs.wall, costs.processor = {}, {}
    lab.say(f"{len(ways)} ways, {lab.ROUNDS} rounds")
    lab.rounds(ways)
    for name in ways:
        wall, used = costs.wall[name], costs.processor[name]
        more, less = lab.ratio(costs.wall["ours"], wall), lab.ratio(costs.processor["ours"], used)
        report.figure(f"{name}, on the clock", "s", wall)
        report.figure(f"{name}, of the processor", "s", used)
        report.row(name, f"{lab.show(wall)} s", f"{lab.show(used)} s", lab.show(more), lab.show(less))
    report.write()
    return 0


if __name__ == "__main__":
    os.environ.setdefault("ANSIBLE_NOCOLOR", "1")
    sys.exit(main())
