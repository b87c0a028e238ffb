"""The idle stack: the memory of each part of a port, and how long an instance takes to start."""

import json
import sys

import lab
import websocket_clients

TIMES = 3 if lab.SMOKE else 20
# Run on the host: seconds until the port is open, one number a start.
START = """
import json, socket, subprocess, time
found = {name: [] for name in WAYS}
for turn in range(TIMES):
    for name in list(WAYS) if turn % 2 == 0 else reversed(WAYS):
        begin = time.monotonic()
        process = subprocess.Popen(WAYS[name], cwd=HOME, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", 9021)).close()
                break
            except OSError:
                assert process.poll() is None, WAYS[name]
                time.sleep(0.002)
        found[name].append(time.monotonic() - begin)
        process.kill()
        process.wait()
print(json.dumps(found))
"""


def starts():
    """Seconds of each start: of the program by hand, of the same one by launcher and runner."""
    home = lab.on_host("realpath /srv/hello/current")
    ways = {
        "by hand": [f"{home}/.release/venv/bin/python", "hello.py", "--logging=warning", "--port=9021"],
        "launched": ["/usr/bin/python3", "-IS", f"{home}/.release/launcher.py", "9021"],
    }
    given = f"WAYS, TIMES, HOME = {ways!r}, {TIMES}, {home!r}\n{START}"
    return json.loads(lab.on_host("python3 -", given=given))


def main():
    """The command."""
    report = lab.Report("idle_footprint", "")
    lab.on_host("systemctl restart 'tornado-hello@*.service' nginx")
    lab.say("Waiting until nothing happens any more")
    lab.on_host("sleep 5")
    weight = websocket_clients.layers()
    ports = int(lab.on_host("pgrep --count --full 'hello.py --port='"))
    keepers = int(lab.on_host("pgrep --count --full 'keeper.py serve '"))
    lab.must("there are four ports of hello", ports == 4)
    for what, kibibytes in (
        ("an instance of hello.py", weight["app"] / ports),
        ("its keeper", weight["keeper"] / keepers),
        ("nginx, all of it", weight["nginx"]),
    ):
        report.figure(what, "KiB", [round(kibibytes)])
        report.row(what, f"{kibibytes / 1024:.1f} MiB")
    lab.say(f"Starting an instance {2 * TIMES} times")
    found = starts()
    for name, seconds in found.items():
        report.figure(f"start, {name}", "s", seconds)
        report.row(f"start, {name}", f"{lab.show(seconds)} s")
    times = lab.ratio(found["launched"], found["by hand"])
    report.figure("start, ratio", "times the start by hand", times)
    report.row("start, launched", f"{lab.show(times)} times the start by hand")
    report.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
