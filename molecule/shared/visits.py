"""Visitors of several sites, who come again and again while something is done to them."""

import http.client
import threading
import time

from client import Client


class Visits:
    """A visitor of each site as a context.

    client: of the host. targets: what is asked of each site, by its name. heard: status and body, or
    the error in the place of both, by site and in order.
    """

    def __init__(self, client, targets):
        # Where overlap is false they wait until the next release has started.
        self.client = Client(**client.ports, authority=client.authority, timeout=60)
        self.heard = {site: [] for site in targets}
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self.visit, args=one) for one in targets.items()]

    def visit(self, site, target):
        while not self.done.is_set():
            try:
                answer = self.client.ask(target, host=site)
                self.heard[site].append((answer.status, answer.body.decode(errors="replace")))
            except (OSError, http.client.HTTPException) as problem:
                self.heard[site].append((0, repr(problem)))
            time.sleep(0.2)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *problem):
        # Some of what they ask comes after the last change.
        time.sleep(0 if problem[0] else 0.5)
        self.done.set()
        for thread in self.threads:
            thread.join()
