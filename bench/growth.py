"""What more ports, sites and keep-alive connections cost: nothing should grow worse than linearly."""

import json
import sys
import time

import lab
import tutorial
import websocket_clients
from wrk import Wrk

# A smoke test leaves the set-up as it is: script/test has enough runs.
PORTS = [] if lab.SMOKE else [1, 4, 16]
SITES = [] if lab.SMOKE else [1, 10, 50]
IDLE = [10, 100] if lab.SMOKE else [10, 100, 1000, 10_000]
SECONDS = 1 if lab.SMOKE else 4


def variables(ports, sites):
    """The bench's inventory with so many ports of hello, and so many sites."""
    given = lab.bench_variables()
    apps, published = given["tornado_app_apps"], given["nginx_proxy_sites"]
    apps[0]["ports"] = list(range(8010, 8010 + ports))
    published[0]["upstreams"] = [f"127.0.0.1:{port}" for port in apps[0]["ports"]]
    more = [{**published[1], "names": [f"site-{number}.example.test"]} for number in range(1, sites)]
    return ["-e", json.dumps({"tornado_app_apps": apps, "nginx_proxy_sites": published + more})]


def timed(*words):
    """Seconds of a run."""
    begin = time.monotonic()
    lab.playbook(*words)
    return time.monotonic() - begin


def settled():
    """Memory when nothing has happened for a while."""
    time.sleep(1 if lab.SMOKE else 5)
    return websocket_clients.layers()


def grow(report, what, counts, words):
    """Set up so many of something, then run again: seconds and memory."""
    for count in counts:
        lab.say(f"{count} {what}")
        first = timed("site.yml", *words(count))
        again = timed("site.yml", *words(count))
        weight = settled()
        report.figure(f"{count} {what}, a run that changes nothing", "s", [again], first=round(first, 1))
        total = (weight["app"] + weight["nginx"]) / 1024
        report.figure(f"{count} {what}, memory at rest", "MiB", [total], **weight)
        memory = f"{weight['app'] / 1024:.0f} + {weight['nginx'] / 1024:.0f} MiB"
        report.row(f"{count} {what}", f"{first:.0f} s", f"{again:.0f} s", memory, "")


def keep_alive(report):
    """Requests a second beside connections that are open and idle."""
    if not lab.SMOKE:
        lab.playbook("site.yml", *variables(4, 1))
    url = f"https://{tutorial.NAME}:{lab.HTTPS}/"
    for count in IDLE:
        lab.say(f"{count:,} idle connections: {lab.ROUNDS} rounds")
        words = ["--url", f"https://127.0.0.1:{lab.HTTPS}/ws", "--host", tutorial.NAME, "--count", count]
        words += ["--processes", 1 + count // 5000, "--echo", 0, "--hold", 300]
        before = settled()
        with websocket_clients.Clients(*words) as running:
            weight = settled()
            rates = [Wrk([url], 64, SECONDS).requests() for _round in range(lab.ROUNDS)]
        lab.must("all are held", running.report["held"] == count)
        report.figure(f"{count} keep-alive connections", "requests/s", rates)
        more = {name: round((weight[name] - before[name]) / 1024, 1) for name in ("app", "nginx")}
        report.row(f"{count:,} idle", "", "", f"{more['app']:+} {more['nginx']:+} MiB", lab.show(rates))


def main():
    """The command."""
    websocket_clients.install()
    report = lab.Report("growth", "set up in", "again", "app + nginx", "requests/s")
    grow(report, "ports", PORTS, lambda count: variables(count, 1))
    grow(report, "sites", SITES, lambda count: variables(4, count))
    keep_alive(report)
    report.write()
    if not lab.SMOKE:
        lab.playbook("site.yml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
