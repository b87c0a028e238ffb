"""Who is here, and the messages of one process. redis_room.py makes one room of many.

A message has an id, "EPOCH-NUMBER": the epoch is when the room began (milliseconds), the
number counts up without a gap. A client names the last id it has seen (its
cursor) and gets what came after it, wherever it reconnects.
"""

import collections
import time

from compat import resolve
from tornado.concurrent import Future
from tornado.ioloop import IOLoop, PeriodicCallback

AT_A_TIME = 50  # clients that are served before others have their turn
COUNTS = 100  # listeners a second that get a new count and nothing else
HISTORY = 1000  # messages that are stored for clients that missed them
TEXT_MAX = 1000  # characters of a message
START = "0-0"  # the cursor of a new client
KEY_SECONDS = 600  # as long as the same key is the same message


class Refused(Exception):
    """A message that was not accepted: an HTTP status and a sentence for its author.

    again: whether it may have been all the same, so that asking again, with the same key, makes it certain.
    """

    def __init__(self, status, sentence, again=False):
        Exception.__init__(self, sentence)
        self.status, self.again = status, again


def position(cursor):
    """A cursor as a pair that can be compared; None for what is none."""
    try:
        epoch, number = cursor.split("-")
        return int(epoch), int(number)
    except ValueError:
        return None


def in_turns(some, call):
    """Call something with each of a list, and let others run in between: nobody waits for thousands."""
    for one in some[:AT_A_TIME]:
        call(one)
    if len(some) > AT_A_TIME:
        IOLoop.current().add_callback(in_turns, some[AT_A_TIME:], call)


class Room(object):
    """The messages, and the listeners that wait for them: objects with ``wake()``."""

    def __init__(self):
        self.messages = collections.deque(maxlen=HISTORY)
        self.listeners = set()
        self.keys = collections.OrderedDict()
        self.epoch, self.number = int(time.time() * 1000), 0
        self.ready, self.draining = True, False
        self.away = False  # whether new messages can't be accepted at the moment
        self.announced, self.due = None, 0
        # When ten thousand come at once, the count is announced now and then, not ten thousand times.
        self.clock = PeriodicCallback(self.tell, 1000)
        self.clock.start()

    def state(self):
        """The public state: how many are here, whether messages are accepted."""
        return {"connected": self.connected(), "away": self.away}

    def connected(self):
        return len(self.listeners)

    def join(self, listener):
        self.listeners.add(listener)

    def leave(self, listener):
        self.listeners.discard(listener)

    def wake(self):
        in_turns(list(self.listeners), lambda listener: listener.wake())

    def tell(self):
        """Wake all listeners when something other than the messages has changed."""
        state, now = self.state(), time.time()
        urgent = self.announced is None or state["away"] != self.announced["away"]
        # While draining, clients get the count from the process that they go to.
        if urgent or (state != self.announced and now >= self.due and not self.draining):
            self.announced, self.due = state, now + len(self.listeners) / float(COUNTS)
            self.wake()

    def say(self, text, key):
        """Accept a message (text), a Future of its id; the same key (text) is the same message."""
        done = Future()
        if key not in self.keys:
            self.number += 1
            self.keys[key] = "%d-%d" % (self.epoch, self.number)
            while len(self.keys) > HISTORY:
                self.keys.popitem(last=False)
            self.arrived([{"id": self.keys[key], "text": text, "at": int(time.time())}])
        resolve(done, self.keys[key])
        return done

    def arrived(self, messages):
        """New messages, for everybody."""
        self.messages.extend(messages)
        if messages:
            self.wake()

    def start(self):
        """The cursor of a room without messages."""
        return "%d-0" % self.epoch

    def after(self, cursor):
        """What came after a cursor: the messages, the next cursor, and whether nothing is missing."""
        since = position(cursor) or (0, 0)
        missed = collections.deque()
        # From the newest on: most clients have missed only one, and there may be thousands of clients.
        for one in reversed(self.messages):
            if position(one["id"]) <= since:
                break
            missed.appendleft(one)
        missed = list(missed)
        whole = self.follows(since, missed) if position(cursor) else False
        last = self.messages[-1]["id"] if self.messages else self.start()
        return missed, last if missed or not whole else max(last, cursor, key=position), whole

    def follows(self, since, missed):
        """Whether nothing lies between a position and the messages after it."""
        if since == position(START):
            return True
        if not missed:
            return since[0] == self.epoch
        return position(missed[0]["id"]) == (since[0], since[1] + 1)

    def drain(self):
        """This process ends: clients that wait here must ask another one."""
        self.draining = True
        self.wake()
