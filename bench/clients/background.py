"""The load client beside what it is there for."""

import json
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "load.py"


class BackgroundLoad:
    """load.py in a process of its own, as a context that begins when all kinds have connected.

    words: of its command line. ``begun`` is when that was (seconds since 1970), ``report``
    is there afterwards. RuntimeError where it can't do its work.
    """

    def __init__(self, *words):
        self.command = [sys.executable, PROGRAM, "--until-eof", *words]

    def __enter__(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        if self.process.stderr.readline().strip() != "started":
            raise RuntimeError(f"load.py does not start: {self.process.communicate()[1]}")
        self.begun = time.time()
        return self

    def __exit__(self, problem, *_more):
        if problem:
            self.process.kill()
            self.process.communicate()
            return
        if self.process.poll() is not None:
            raise RuntimeError("load.py was over before what it was to be there for")
        output, complaints = self.process.communicate(timeout=120)
        if self.process.returncode:
            raise RuntimeError(f"load.py: {complaints}")
        self.report = json.loads(output)
