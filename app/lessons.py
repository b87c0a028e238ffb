"""The tutorial's warning, to try: one handler that blocks, and its twin that does not.

    GET /block?seconds=N      sleeps in the loop: this process answers nobody meanwhile
    GET /wait?seconds=N       sleeps in a thread: all others are answered

On the internet anybody could block all ports, so they exist only with --lessons.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from compat import RequestHandler, in_thread
from tornado import gen
from tornado.web import HTTPError

MOST = 5.0  # seconds; what blocks for 10 is replaced
POOL = ThreadPoolExecutor(4)


class LessonHandler(RequestHandler):
    """Both: how long they took, and on which port."""

    def seconds(self):
        try:
            seconds = float(self.get_argument("seconds", "3"))
        except ValueError:
            seconds = -1
        if not 0 <= seconds <= MOST:
            raise HTTPError(400)
        return seconds


class BlockHandler(LessonHandler):
    """``GET /block``: what not to do."""

    def get(self):
        time.sleep(self.seconds())
        self.write({"port": self.settings["port"]})


class WaitHandler(LessonHandler):
    """``GET /wait``: the same work, in a thread."""

    @gen.coroutine
    def get(self):
        seconds = self.seconds()
        yield in_thread(POOL, lambda: time.sleep(seconds))
        self.write({"port": self.settings["port"]})


class WhereHandler(RequestHandler):
    """``GET /where``: the port that answers; the page asks meanwhile."""

    def get(self):
        self.set_header("Cache-Control", "no-store")
        self.write({"port": self.settings["port"]})
