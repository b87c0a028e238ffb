"""Clients with WebSockets on the bench's host (connections.py there), and what it costs."""

import json
import subprocess
import sys
from pathlib import Path

from lab import on_host, put, ssh

FOLDER = "/opt/bench"
LAYERS = """
import glob, json
def pss(names):
    total = 0
    for path in glob.glob('/proc/[0-9]*/comm'):
        folder = path[:-4]
        try:
            command = open(folder + 'cmdline').read()
            if any(name in command for name in names):
                lines = open(folder + 'smaps_rollup').read().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith('Pss:'))
        except OSError:
            pass
    return total
memory = {line.split(':')[0]: int(line.split()[1]) for line in open('/proc/meminfo')}
kernel = sum(memory[name] for name in ('Slab', 'KernelStack', 'PageTables', 'Percpu'))
pages = [line.split() for line in open('/proc/net/sockstat') if line.startswith('TCP:')][0]
kernel += 4 * int(pages[pages.index('mem') + 1])
parts = {'app': pss(['hello.py']), 'nginx': pss(['nginx: ']), 'keeper': pss(['keeper.py'])}
print(json.dumps({**parts, 'kernel': kernel}))
"""

SPENT = """
import glob, os
ticks = 0
for path in glob.glob('/proc/[0-9]*/cmdline'):
    try:
        command = open(path).read()
        if 'nginx: ' in command or '.release/tornado_app_runner.py' in command:
            ticks += sum(map(int, open(path[:-7] + 'stat').read().rpartition(')')[2].split()[11:13]))
    except OSError:
        pass
print(ticks / os.sysconf('SC_CLK_TCK'))
"""


def install():
    """Bring the clients to the host."""
    here = Path(__file__).parent
    for path in [here / "connections.py", here / "probe.py", *(here / "clients").glob("*.py")]:
        put(f"{FOLDER}/{path.relative_to(here)}", path.read_text())


def layers():
    """KiB of the app, nginx, all keepers (proportional set sizes) and the kernel (slabs, socket buffers)."""
    return json.loads(on_host("python3 -", given=LAYERS))


def spent():
    """Seconds of processor that all processes of nginx and of the apps have used."""
    return float(on_host("python3 -", given=SPENT))


def probe(*words):
    """probe.py on the host: what it counted."""
    return json.loads(on_host(f"python3 {FOLDER}/probe.py {' '.join(map(str, words))}", seconds=300))


class Clients:
    """Some WebSockets, as a context that begins when all have been tried.

    words: for connections.py. Then ``tried`` and ``seconds`` are there, afterwards ``report``.
    """

    def __init__(self, *words):
        self.command = ssh(f"python3 {FOLDER}/connections.py {' '.join(map(str, words))}")

    def __enter__(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit("connections.py ended at once")
        self.tried = json.loads(line)
        return self

    def __exit__(self, problem, *_more):
        if problem:
            self.process.kill()
            return
        said, _none = self.process.communicate(timeout=300)
        self.report = json.loads(said)
