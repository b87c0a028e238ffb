"""GET / on keep-alive connections: the tutorial's way beside Tornadoes, http and https, few and many."""

import sys

import lab
import tutorial
from wrk import Wrk

SECONDS = 1 if lab.SMOKE else 4
CLIENTS = [64] if lab.SMOKE else [64, 512]
# Of each: the site's name, its ports for http and https.
WAYS = {
    "tutorial": (tutorial.NAME, tutorial.HTTP, tutorial.HTTPS),
    "tornadoes": ("tutorial.example.test", lab.HTTP, lab.HTTPS),
}


def main():
    """The command."""
    tutorial.start()
    report = lab.Report("throughput", "the tutorial's", "Tornadoes", "times", "of the bare ports")
    unanswered = {}

    def way(urls, clients, name):
        def run():
            wrk = Wrk(urls, clients, SECONDS)
            rate = wrk.requests()
            if wrk.bad:
                unanswered.setdefault(name, set()).add(wrk.bad)
            return rate

        return run

    medians = []
    for scheme in ("http", "https"):
        for clients in CLIENTS:
            cell = f"{scheme}, {clients} clients"
            lab.say(f"{cell}: {lab.ROUNDS} rounds")
            ways = {
                name: way(
                    [f"{scheme}://{site}:{https if scheme == 'https' else http}/"], clients, f"{name}, {cell}"
                )
                for name, (site, http, https) in WAYS.items()
            }
            bare = [f"http://127.0.0.1:{port}/" for port in (8100, 8101, 8102, 8103)]
            ways["bare"] = way(bare, clients, f"bare, {cell}")
            found = lab.rounds(ways)
            for name, values in found.items():
                report.figure(f"{name}, {cell}", "requests/s", values)
            times = lab.ratio(found["tornadoes"], found["tutorial"])
            share = lab.ratio(found["tornadoes"], found["bare"])
            report.figure(f"ratio, {cell}", "times the tutorial's", times)
            report.figure(f"share, {cell}", "of the bare ports without nginx", share)
            medians.append(lab.spread(times)["median"])
            report.row(
                cell,
                lab.show(found["tutorial"]),
                lab.show(found["tornadoes"]),
                lab.show(times),
                lab.show(share),
            )
    report.row("median of the cells", "", "", lab.show(medians), "")
    report.figure("ratio, median of the cells", "times the tutorial's", medians)
    report.write()
    tutorial.stop()
    for name, what in sorted(unanswered.items()):
        lab.say(f"Not all was answered: {name}: {'; '.join(sorted(what))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
