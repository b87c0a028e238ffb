"""One of four instances is blocked, or busy all the time: what the requests of the others notice."""

import json
import sys
import threading
import time

import lab
import websocket_clients

SECONDS = 3 if lab.SMOKE else 10  # how long one is blocked
RATE = 100  # requests a second, whatever the answers do
DISTURBED = "127.0.0.1:8000"  # whose answers are not counted with the others


def probe():
    """The requests of ten seconds and a little."""
    url = f"https://127.0.0.1:{lab.HTTPS}/"
    words = [
        "--url",
        url,
        "--host",
        "localhost",
        "--rate",
        RATE,
        "--seconds",
        SECONDS + 2,
        "--apart",
        DISTURBED,
    ]
    return websocket_clients.probe(*words, "--keep-alive")


def disturbed(disturb):
    """The same while something is done to one instance a second later."""

    def later():
        time.sleep(1)
        disturb()

    thread = threading.Thread(target=later)
    thread.start()
    found = probe()
    thread.join()
    return found


def serving():
    """The process that serves the first port."""
    return json.loads(lab.on_host("tornado-load-status --json"))["ports"]["8000"]["pid"]


def block():
    """One process is stopped, as if a handler slept; the keeper may replace it after ten seconds."""
    pid = serving()
    lab.on_host(f"kill -STOP {pid}; sleep {SECONDS}; kill -CONT {pid} 2> /dev/null || true")


def burn():
    """One process uses all the processor time it can get, but answers meanwhile.

    It keeps itself busy: clients that did so would use a part of the other core.
    """
    lab.on_host(f"curl --silent --fail --data '' {DISTURBED}/burn?seconds={SECONDS} > /dev/null")


def main():
    """The command."""
    websocket_clients.install()
    report = lab.Report(
        "isolation", "p50", "p99", "slowest", "times the p99 undisturbed", "inside it", "not answered"
    )
    probe()
    seen = {name: [] for name in ("undisturbed", "one blocked", "one at 100%")}
    for turn in range(lab.ROUNDS):
        lab.say(f"round {turn + 1} of {lab.ROUNDS}")
        seen["undisturbed"].append(probe())
        seen["one blocked"].append(disturbed(block))
        seen["one at 100%"].append(disturbed(burn))
    for name, found in seen.items():
        p99 = [one["p99"] for one in found]
        times = lab.ratio(p99, [one["p99"] for one in seen["undisturbed"]])
        asked = lab.ROUNDS * RATE * (SECONDS + 2)
        lab.must("each request is counted", sum(one["asked"] for one in found) == asked)
        lab.must(
            "an undisturbed one is answered", name != "undisturbed" or not any(one["bad"] for one in found)
        )
        counts = {key: sum(one[key] for one in found) for key in ("asked", "apart", "bad")}
        report.figure(name, "ms, p99 of the others", p99, **counts)
        report.figure(f"ratio, {name}", "times the undisturbed p99", times)
        report.row(
            name,
            *(lab.show([one[key] for one in found]) + " ms" for key in ("p50", "p99", "max")),
            lab.show(times),
            f"{counts['apart']} of {counts['asked']:,}",
            counts["bad"],
        )
    report.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
