"""Open WebSockets through nginx, each saying something once a minute: how many are held, and at what cost."""

import sys
import time

import lab
import tutorial
import websocket_clients

COUNT = 200 if lab.SMOKE else 10000
HOLD = 3 if lab.SMOKE else 60
PROBE = ["--rate", 40, "--seconds", 2 if lab.SMOKE else 30]
WAYS = [
    ("the tutorial's, http", "http", tutorial.HTTP),
    ("the tutorial's, https", "https", tutorial.HTTPS),
    ("Tornadoes, http", "http", lab.HTTP),
    ("Tornadoes, https", "https", lab.HTTPS),
]


def established():
    """How many TCP connections the host has; each of its own to itself is two."""
    return int(lab.on_host("ss -Htn state established | wc -l"))


def rest(before):
    """Wait until nginx and the app have let go of all but so many."""
    for _attempt in range(120):
        if established() < before + 100:
            return
        time.sleep(0.5)


def measure(report, name, scheme, port, count):
    """One way of the four."""
    lab.say(f"{name}: {count:,} WebSockets for {HOLD} s")
    # New processes: what earlier clients have left free in their memory would be used again.
    if port in (tutorial.HTTP, tutorial.HTTPS):
        tutorial.stop()
        tutorial.start(sockets=True)
    elif not lab.SMOKE:
        lab.on_host("systemctl restart 'tornado-hello@*.service' && systemctl reload nginx")
    url, host = f"{scheme}://127.0.0.1:{port}", ["--host", tutorial.NAME]
    websocket_clients.probe("--url", f"{url}/", *host, *PROBE)  # what is slow the first time alone
    idle = websocket_clients.probe("--url", f"{url}/", *host, *PROBE)
    before, connections = websocket_clients.layers(), established()
    words = ["--url", f"{url}/ws", *host, "--count", count, "--processes", 2 + count // 9000]
    words += ["--echo", 2 if lab.SMOKE else 60, "--hold", 300]
    with websocket_clients.Clients(*words) as running:
        begin = time.monotonic()
        meanwhile = websocket_clients.probe("--url", f"{url}/", *host, *PROBE)
        after = websocket_clients.layers()
        time.sleep(max(0, HOLD - (time.monotonic() - begin)))
    rest(connections)
    found = running.report
    lab.must("opened and failed are all that were asked for", found["opened"] + found["failed"] == count)
    lab.must("held is what was opened and not lost", found["held"] == found["opened"] - found["lost"])
    lab.must("no echo without a word", found["echoed"] <= found["said"])
    # As few as these, anything holds.
    lab.must("all of a smoke test are held", not lab.SMOKE or found["held"] == count)
    each = {name: round((after[name] - before[name]) / max(1, found["held"]), 1) for name in before}
    report.figure(
        name, "WebSockets held", [found["held"]], asked=count, seconds=running.tried["seconds"], **found
    )
    report.figure(f"{name}, memory", "KiB a WebSocket", [sum(each.values())], **each)
    report.figure(
        f"{name}, new requests", "ms, p99", [meanwhile["p99"]], idle=idle["p99"], bad=meanwhile["bad"]
    )
    report.row(
        name,
        f"{found['held']:,} of {count:,}",
        f"{found['echoed']:,} of {found['said']:,}",
        f"{running.tried['seconds']} s",
        f"{idle['p50']} / {idle['p99']} ms",
        f"{meanwhile['p50']} / {meanwhile['p99']} ms",
        f"{each['app']} + {each['nginx']} + {each['kernel']}",
    )
    if found["reasons"]:
        lab.say(f"  not held: {found['reasons']}")


def main():
    """The command."""
    websocket_clients.install()
    columns = ["held", "echoes", "opened in", "idle p50 / p99", "meanwhile", "KiB each: app, nginx, kernel"]
    report = lab.Report("websocket_capacity", *columns)
    for name, scheme, port in WAYS[::3] if lab.SMOKE else WAYS:
        measure(report, name, scheme, port, COUNT)
    tutorial.stop()
    if not lab.SMOKE:
        # Twice as many by a variable: a worker may open 20,000 files where this was made.
        lab.playbook("playbooks/publish.yml", "-e", "nginx_proxy_worker_processes=4")
        for name, scheme, port in WAYS[2:]:
            measure(report, f"{name}, 4 workers", scheme, port, 2 * COUNT)
        lab.playbook("playbooks/publish.yml")
    report.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
