"""One room for the processes on all ports and hosts: its messages are a stream in Redis.

A message is accepted once Redis has it; each process reads the stream, from where it was when
Redis became unavailable. redis-py runs in two threads, since it is the client that is
maintained and every Tornado runs beside threads; the loop itself never waits for Redis.
"""

import logging
import os
import socket
import threading
import time

import redis
from compat import resolve
from room import HISTORY, KEY_SECONDS, START, Refused, Room
from tornado.concurrent import Future
from tornado.ioloop import IOLoop

try:
    import queue
except ImportError:  # Python 2
    import Queue as queue

ACCEPT_TIMEOUT = 2  # seconds that Redis may take to accept a message
BLOCK = 1000  # milliseconds that a read waits
RETRY_INTERVAL = 0.5  # seconds until Redis is asked again after it did not answer
PRESENCE_INTERVAL = 2  # seconds from one count to the next
PRESENCE_TIMEOUT = 10  # seconds after which a silent process is no longer counted
QUEUE_MAX = 100  # messages in flight to Redis

# One step for Redis, so that numbers have no gap and a key is used once. A message that reaches
# it too late, because it was stopped, has been refused long ago.
SAY = """
local now = redis.call('TIME')
if now[1] * 1000 + now[2] / 1000 > tonumber(ARGV[4]) then return false end
local id = redis.call('GET', KEYS[3])
if id then return id end
local epoch = redis.call('GET', KEYS[2])
if not epoch then
    epoch = now[1] .. string.format('%03d', math.floor(now[2] / 1000))
    redis.call('SET', KEYS[2], epoch)
end
id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], epoch .. '-*', 'text', ARGV[1], 'at', now[1])
redis.call('SET', KEYS[3], id, 'EX', ARGV[3])
return id
"""
AWAY = "Messages can't be accepted at the moment. Nothing was sent; try again soon."


def connect(url, password):
    """A client of redis-py, whatever its version: it asks once, the threads below retry."""
    more = {}
    try:
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        more["retry"] = Retry(NoBackoff(), 0)
    except ImportError:
        pass  # before 4.0 it asked once anyway
    if password:
        more["password"] = password
    more["socket_timeout"] = more["socket_connect_timeout"] = ACCEPT_TIMEOUT
    return redis.Redis.from_url(url, decode_responses=True, **more)


class RedisRoom(Room):
    """A Room whose messages come from Redis.

    url: redis://USER@HOST:PORT. password: text, or None. prefix: of all keys. port: of this process.
    """

    def __init__(self, url, password, prefix, port):
        Room.__init__(self)
        self.ready, self.away = False, True
        self.url, self.password, self.prefix = url, password, prefix
        self.me = "%s:%s:%s" % (socket.gethostname(), port, os.getpid())
        self.others = 0
        self.ahead = 0.0  # seconds that Redis's clock is ahead of ours
        self.loop = IOLoop.current()
        self.jobs = queue.Queue(QUEUE_MAX)
        for work in (self.read, self.write):
            thread = threading.Thread(target=work)
            thread.daemon = True
            thread.start()

    def connected(self):
        return len(self.listeners) + self.others

    def start(self):
        return START

    def follows(self, since, missed):
        # A client that was elsewhere may have seen more than this process has read yet.
        return not missed or Room.follows(self, since, missed)

    def say(self, text, key):
        done = Future()
        try:
            if self.away:
                raise queue.Full
            # Half a second less than the answer is waited for: never refused and sent all the same.
            self.jobs.put_nowait((text, key, time.time() + ACCEPT_TIMEOUT - 0.5, done))
        except queue.Full:
            done.set_exception(Refused(503, AWAY))
        return done

    # In the loop, called by the threads.

    def came_back(self):
        if self.away:
            logging.info("Redis answers at %s", self.url)
        self.ready, self.away = True, False
        self.tell()

    def went_away(self, problem):
        if not self.away or not self.ready:
            logging.error("Redis does not answer at %s: %s", self.url, problem)
        # Ready all the same: the pages are served, and say what is missing.
        self.ready, self.away = True, True
        self.tell()

    # Threads.

    def read(self):
        """Read new messages from the stream, for ever."""
        client, last, stream = connect(self.url, self.password), "0-0", self.prefix + "messages"
        while True:
            try:
                found = client.xread({stream: last}, count=HISTORY, block=BLOCK if last != "0-0" else 1)
                entries = [one for _name, some in found or [] for one in some]
                messages = [
                    {"id": name, "text": fields["text"], "at": int(fields["at"])} for name, fields in entries
                ]
                if messages:
                    last = messages[-1]["id"]
                    self.loop.add_callback(self.arrived, messages)
                if not self.ready or self.away:
                    self.loop.add_callback(self.came_back)
                if last == "0-0":
                    time.sleep(RETRY_INTERVAL / 5)
            except (redis.RedisError, OSError) as problem:
                self.loop.add_callback(self.went_away, str(problem))
                time.sleep(RETRY_INTERVAL)

    def write(self):
        """Write messages to Redis, and count who is here, for ever."""
        client, due = connect(self.url, self.password), 0
        while True:
            if time.time() >= due:
                due = time.time() + PRESENCE_INTERVAL
                try:
                    self.ahead = self.count(client)
                except (redis.RedisError, OSError):
                    pass  # the reader logs it
            try:
                text, key, end, done = self.jobs.get(timeout=max(0, due - time.time()))
            except queue.Empty:
                continue
            answer = Refused(503, AWAY)
            try:
                if time.time() < end:
                    keys = [self.prefix + "messages", self.prefix + "epoch", self.prefix + "said:" + key]
                    # By Redis's own clock, which may be another host's.
                    words = [text, HISTORY, KEY_SECONDS, int(1000 * (end + self.ahead))]
                    answer = client.eval(SAY, len(keys), *keys + words) or answer
            except (redis.RedisError, OSError) as problem:
                logging.error("Redis did not accept a message: %s", problem)
            self.loop.add_callback(self.answer, done, answer)

    def answer(self, done, answer):
        if isinstance(answer, Refused):
            done.set_exception(answer)
        else:
            resolve(done, answer)

    def count(self, client):
        """Share how many are here, count how many are elsewhere; how far Redis's clock is ahead (seconds)."""
        seconds, more = client.time()
        ahead, now = seconds + more / 1e6 - time.time(), seconds
        client.hset(self.prefix + "present", self.me, "%d %d" % (len(self.listeners), now))
        others = 0
        for name, value in client.hgetall(self.prefix + "present").items():
            number, seen = value.split()
            if int(seen) < now - PRESENCE_TIMEOUT:
                client.hdel(self.prefix + "present", name)
            elif name != self.me:
                others += int(number)
        self.others = others
        return ahead
