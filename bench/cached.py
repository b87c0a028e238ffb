"""A page that the app lets nginx cache for a second, beside one of the same program that it does not."""

import json
import sys

import lab
import websocket_clients
from wrk import rate

SECONDS = 1 if lab.SMOKE else 4
CLIENTS = [64] if lab.SMOKE else [64, 512]
PORTS = (8000, 8001, 8002, 8003)


def asked():
    """How often the app itself was asked for the page, this question left out."""
    urls = " ".join(f"http://127.0.0.1:{port}/kept" for port in PORTS)
    said = lab.on_host(f"curl --silent --fail --write-out '\\n' {urls}").splitlines()
    return sum(json.loads(line)["asked"] for line in said) - len(PORTS)


def way(url, clients, costs):
    """A function that measures, and adds the processor seconds of nginx and app for each answer to costs."""

    def run():
        before = websocket_clients.spent()
        found = rate(url, clients, SECONDS)
        costs.append((websocket_clients.spent() - before) / (found * SECONDS))
        return found

    return run


def main():
    """The command."""
    report = lab.Report("cached", "uncached", "cached", "times", "less processor time", "the app was asked")
    for scheme, port in (("http", lab.HTTP), ("https", lab.HTTPS)):
        for clients in CLIENTS:
            cell = f"{scheme}, {clients} clients"
            lab.say(f"{cell}: {lab.ROUNDS} rounds")
            urls = {
                "uncached": f"{scheme}://localhost:{port}/",
                "cached": f"{scheme}://localhost:{port}/kept",
            }
            before = asked()
            costs = {name: [] for name in urls}
            found = lab.rounds({name: way(url, clients, costs[name]) for name, url in urls.items()})
            # The questions of asked() itself are counted once in between.
            often = asked() - before - len(PORTS)
            # Once when its second is over, by the first client; a round may begin in the middle of one.
            most = lab.ROUNDS * (SECONDS + 2)
            lab.must(f"the app was asked at most once a second: {often} times", often <= most)
            lab.must("and it was asked", often > 0)
            for name, values in found.items():
                report.figure(f"{name}, {cell}", "requests/s", values, asked=often)
            times = lab.ratio(found["cached"], found["uncached"])
            report.figure(f"ratio, {cell}", "times the uncached page", times)
            # The clients take the same cores, and more of them the more they get.
            less = lab.ratio(costs["uncached"], costs["cached"])
            report.figure(f"processor, {cell}", "times less of nginx and app for an answer", less)
            shown = map(lab.show, (found["uncached"], found["cached"], times, less))
            report.row(cell, *shown, f"{often} times")
    report.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
