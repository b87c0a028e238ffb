"""What is done to test hosts from outside, as to machines."""

import os
import subprocess
import threading


def podman(*words):
    """Do something to a container; what podman prints."""
    sudo = [] if os.getuid() == 0 else ["sudo"]
    return subprocess.run([*sudo, "podman", *words], check=True, capture_output=True, text=True).stdout


class Restarts:
    """With it a container that ends itself starts again, as a machine that reboots does. seen: which did."""

    def __init__(self, *names):
        self.names, self.seen, self.over = names, [], threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        """Look after them."""
        while not self.over.wait(0.5):
            for name in self.names:
                if podman("container", "inspect", "--format={{.State.Status}}", name).strip() == "exited":
                    podman("start", name)
                    self.seen.append(name)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *problem):
        self.over.set()
        self.thread.join()
