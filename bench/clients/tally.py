"""What became of the traffic: every outcome is counted here, for the report."""

import time
from dataclasses import dataclass, field

from clients.http import reason

BUCKET = 0.25  # seconds, of the timeline
FAILURES_SHOWN = 20  # a kind
PLAIN = ("get", "post", "new")  # answered at once, so their latency and order show a deploy


class Wrong(Exception):
    """The right answer's status, with something else in it."""


@dataclass
class Kind:
    """What became of one kind of traffic. sent = answered + failed + wrong + polite."""

    sent: int = 0
    answered: int = 0
    failed: int = 0
    wrong: int = 0
    polite: int = 0
    idle_closed: int = 0
    polite_closed: int = 0
    sent_on: int = 0
    latencies: list = field(default_factory=list)
    failures: list = field(default_factory=list)

    def report(self):
        """For the report."""
        counts = {name: value for name, value in vars(self).items() if name != "latencies"}
        return {**counts, "latency": quantiles(self.latencies)}


def quantiles(values):
    """p50, p99 and max of seconds, in ms; None of nothing."""
    if not values:
        return {"p50": None, "p99": None, "max": None}
    values = sorted(values)
    last = len(values) - 1
    return {
        name: round(values[round(last * share)] * 1000, 2)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))
    }


class Tally:
    """All kinds, the releases that answered, and the timeline."""

    def __init__(self):
        self.kinds = {
            name: Kind() for name in ("get", "post", "new", "slow", "download", "websocket", "poll", "http2")
        }
        self.websockets = {"opened": 0, "ws_closed_clean": 0, "unanswered_at_close": 0, "reconnects": []}
        self.releases = {}
        self.buckets = {}

    def bucket(self):
        """The timeline's entry of now."""
        number = int(time.time() / BUCKET)
        return self.buckets.setdefault(number, {"answered": 0, "failed": 0, "max_ms": 0})

    def answered(self, kind, seconds):
        """The right answer came."""
        self.kinds[kind].answered += 1
        self.kinds[kind].latencies.append(seconds)
        if kind in PLAIN:
            bucket = self.bucket()
            bucket["answered"] += 1
            bucket["max_ms"] = max(bucket["max_ms"], round(seconds * 1000, 1))

    def lost(self, kind, method, problem, reused):
        """No answer came, or not the right one."""
        wrong = isinstance(problem, Wrong)
        counts = self.kinds[kind]
        if wrong:
            counts.wrong += 1
        else:
            counts.failed += 1
        self.bucket()["failed"] += 1
        if len(counts.failures) < FAILURES_SHOWN:
            counts.failures.append(
                {
                    "at": round(time.time(), 3),
                    "kind": kind,
                    "method": method,
                    "reason": f"wrong: {problem}" if wrong else reason(problem),
                    "connection_reused": reused,
                }
            )

    def released(self, release, start):
        """A release answered a request that was sent then."""
        end = time.time()
        seen = self.releases.setdefault(
            release, {"count": 0, "first_start": start, "last_start": start, "first_end": end}
        )
        seen["count"] += 1
        seen["first_start"] = min(seen["first_start"], start)
        seen["last_start"] = max(seen["last_start"], start)
        seen["last_end"] = end

    def report(self):
        """All of it, but the times of the run."""
        kinds = {name: kind.report() for name, kind in self.kinds.items()}
        kinds["websocket"].update(self.websockets)
        numbers = range(min(self.buckets), max(self.buckets) + 1) if self.buckets else ()
        empty = {"answered": 0, "failed": 0, "max_ms": 0}
        return {
            "failed": sum(kind.failed for kind in self.kinds.values()),
            "wrong": sum(kind.wrong for kind in self.kinds.values()),
            "idle_closed": sum(kind.idle_closed for kind in self.kinds.values()),
            "kinds": kinds,
            "releases": self.releases,
            "timeline": [{"t": number * BUCKET, **self.buckets.get(number, empty)} for number in numbers],
        }
