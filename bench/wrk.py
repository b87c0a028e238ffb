"""wrk on the bench's host: as many requests as go, and whether all were answered."""

import re
import subprocess
import sys

from lab import ssh


def rate(url, clients, seconds):
    """Answers a second; ends the measurement where one was none."""
    wrk = Wrk([url], clients, seconds)
    found = wrk.requests()
    if wrk.bad:
        sys.exit(f"{url}: {wrk.bad}")
    return found


class Wrk:
    """Some runs at once. urls: what each asks for. clients: connections in all. seconds: how long."""

    def __init__(self, urls, clients, seconds, threads=2):
        each = max(1, clients // len(urls))
        words = f"wrk --threads {max(1, threads // len(urls))} --connections {each} --duration {seconds}s"
        self.running = [
            subprocess.Popen(
                ssh(f"{words} {url}"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            for url in urls
        ]

    def requests(self):
        """Wait for the end: answered requests a second."""
        total = 0.0
        for process in self.running:
            said, _none = process.communicate(timeout=120)
            rate = re.search(r"Requests/sec: +([\d.]+)", said)
            if process.returncode or not rate:
                sys.exit(f"wrk: {said}")
            # A refused or failed request is quick, and would count as throughput.
            if bad := re.search(r"Socket errors.*|Non-2xx.*", said):
                self.bad = bad[0]
            total += float(rate[1])
        return total

    bad = ""
