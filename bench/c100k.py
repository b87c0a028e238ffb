"""A hundred thousand open WebSockets on one host, a broadcast to all, a release swap in the middle.

    python bench/c100k.py [COUNT]

More ports and nginx workers than the defaults, by variables alone (docs/tuning.md): a process
may have 20,000 files open on the machine that this was made for. COUNT: so many instead, without
the swap; to see what the memory carries.
"""

import json
import re
import shutil
import sys
import time

import lab
import tutorial
import websocket_clients

COUNT = int(sys.argv[1]) if sys.argv[1:] else 400 if lab.SMOKE else 100_000
SWAP = not sys.argv[1:]
HOLD = 5 if lab.SMOKE else 300 if SWAP else 60
# Seconds from word to word of one, and how many are begun a second: two cores take no more of more.
ECHO, RATE = (60, 1000) if SWAP else (COUNT / 1000, 500)
PORTS = list(range(8010, 8010 + max(4, COUNT // 12_500)))
WORKERS = max(2, COUNT // 5000)
SOURCE = lab.MADE / "hello"
# Of this run: what an earlier one has said is there still.
RUN = int(time.time())


def variables():
    """What differs from the defaults."""
    given = lab.bench_variables()
    apps, sites = given["tornado_app_apps"], given["nginx_proxy_sites"]
    apps[0]["arguments"].append("--redis=redis://hello@127.0.0.1:6379")
    apps[0]["secrets"] = {"redis_password": given["redis_server_users"][0]["password"]}
    apps[0].update(ports=PORTS, source=str(SOURCE), drain_timeout=600)
    sites[0]["upstreams"] = [f"127.0.0.1:{port}" for port in PORTS]
    if not SWAP:
        # Or whoever has been silent for 25 s is asked whether they are there: ten thousand a second.
        apps[0]["arguments"].append("--silence=3600")
        sites[0]["timeout"] = 900
    return {
        "tornado_app_apps": apps,
        "nginx_proxy_sites": sites,
        "nginx_proxy_worker_processes": str(WORKERS),
    }


def broadcast(number):
    """Somebody writes a message."""
    lab.on_host(
        f"curl -sf -d 'text=broadcast-{RUN + number}&key=benchmark-{RUN + number}' -H 'Host: {tutorial.NAME}'"
        f" http://127.0.0.1:{lab.HTTP}/messages"
    )


def swap(words):
    """Deploy another release; the seconds that each port drained."""
    (SOURCE / "static/version.txt").write_text(f"another release, {time.time()}")
    lab.say("Swapping the release")
    said = lab.playbook("playbooks/deploy.yml", *words, "-e", "tornado_app_name=hello")
    return [float(one) for one in re.findall(r"drained\s+after\s+([\d.]+)\s+s", said)]


def main():
    """The command."""
    websocket_clients.install()
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(lab.ROOT / "app", SOURCE)
    words = ["-e", json.dumps(variables())]
    lab.say(f"Setting up {len(PORTS)} ports and {WORKERS} workers of nginx")
    lab.playbook("site.yml", *words)
    report = lab.Report("c100k" if SWAP else f"c{COUNT // 1000}k", "")
    # New workers: what earlier clients have left free in their memory would be used again.
    lab.on_host("systemctl restart nginx")
    before = websocket_clients.layers()
    lab.say(f"Opening {COUNT:,} WebSockets")
    target = f"http://127.0.0.1:{lab.HTTP}/ws?after="
    arguments = ["--url", f"'{target}'", "--host", tutorial.NAME, "--count", COUNT]
    arguments += ["--processes", max(2, COUNT // 12_500), "--rate", RATE, "--echo", ECHO, "--hold", 900]
    with websocket_clients.Clients(*arguments) as running:
        begin = time.monotonic()
        lab.say(f"  tried in {running.tried['seconds']} s")
        after = websocket_clients.layers()
        broadcast(1)
        lab.rest_until(begin + HOLD / 2)
        drained = swap(words) if SWAP else []
        # Those that are closed last reconnect within five seconds.
        lab.rest_until(max(begin + HOLD, time.monotonic() + max(10, COUNT / 5000)))
        broadcast(2)
        # Two full cores tell some thousands a second.
        lab.rest_until(time.monotonic() + max(5, COUNT / 3000))
    found = running.report
    heard = [found["broadcasts"].pop(str(RUN + number), 0) for number in (1, 2)]
    lab.must("opened and failed are all that were asked for", found["opened"] + found["failed"] == COUNT)
    lab.must("no more are held than were opened", found["held"] <= found["opened"] - found["lost"])
    lab.must("all of a smoke test are held", not lab.SMOKE or found["held"] == COUNT)
    lab.must(
        "all of a smoke test hear each broadcast once",
        not lab.SMOKE or heard == [COUNT, COUNT],
    )
    each = {name: round((after[name] - before[name]) / COUNT, 1) for name in before}
    tried = running.tried["seconds"]
    report.figure("held", "WebSockets", [found["held"]], asked=COUNT, seconds=tried, heard=heard, **found)
    report.figure("memory", "KiB a WebSocket", [sum(each.values())], **each)
    report.row("opened", f"{found['opened']:,} of {COUNT:,} in {tried} s")
    report.row("held to the end", f"{found['held']:,}")
    report.row("told to come again by the swap", f"{found['told']:,}")
    report.row("lost", f"{found['lost']:,}")
    report.row("echoes", f"{found['echoed']:,} of {found['said']:,}, {found['late']:,} late")
    for number, times in enumerate(heard, 1):
        report.row(f"broadcast {number} heard", f"{times:,}")
    report.row("a port drained after", f"{max(drained, default=0)} s at most")
    report.row("KiB each: app, nginx, kernel", f"{each['app']} + {each['nginx']} + {each['kernel']}")
    report.write()
    if found["reasons"]:
        lab.say(f"Not held: {found['reasons']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
