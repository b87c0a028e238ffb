"""One room for the processes on all ports and hosts: its messages are a stream in Redis.

A message is accepted once Redis has it; each process reads the stream, from where it was when
Redis became unavailable. redis-py runs in two threads, since it is the client that is
maintained and every Tornado runs beside threads; the loop itself never waits for Redis.

Of a Redis on several hosts (redis+sentinel://) one is the master, until it dies. A message is accepted, and
delivered, once more than half of the hosts have it: so whoever is the next master has all of these, and gives
none of their ids to another message.
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
SENTINEL_TIMEOUT = 0.5  # seconds that one Sentinel may take until another one is asked
# Milliseconds that another host may take to have a message; less than RedisRoom.say() leaves of its time.
COPIED_TIMEOUT = 400

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
UNSURE = "It is not certain whether your message was sent. Look for it before you send it again."


def options(password):
    """What a client of redis-py is told, whatever its version: it asks once, the threads below retry."""
    more = {
        "decode_responses": True,
        "socket_timeout": ACCEPT_TIMEOUT,
        "socket_connect_timeout": ACCEPT_TIMEOUT,
    }
    try:
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        more["retry"] = Retry(NoBackoff(), 0)
    except ImportError:
        pass  # before 4.0 it asked once anyway
    if password:
        more["password"] = password
    return more


class Single(object):
    """A connection to one Redis. url: redis://USER@HOST:PORT."""

    def __init__(self, url, password, _prefix):
        self.client = redis.Redis.from_url(url, **options(password))

    def check(self):
        """Whether it still is the one to talk to is asked nobody."""

    def say(self, keys, words):
        """Accept a message: its id, None if it is too late for that, or why it is not certain."""
        return self.client.eval(SAY, len(keys), *keys + words)

    def copied(self):
        """Whether all that Redis has said is where it will be found again."""
        return True

    def lost(self):
        """Something went wrong on it."""


class Replicated(object):
    """A connection to the master of several. url: redis+sentinel://USER@HOST:PORT,HOST:PORT,.../NAME.

    One connection and no pool: what copied() says is about what was asked before it, of the same Redis.
    """

    def __init__(self, url, password, prefix):
        from redis.sentinel import Sentinel

        places, _slash, self.name = url.split("://", 1)[1].partition("/")
        user, _at, places = places.rpartition("@")
        more = options(password)
        if user:
            more["username"] = user
        few = dict(more, socket_timeout=SENTINEL_TIMEOUT, socket_connect_timeout=SENTINEL_TIMEOUT)
        hosts = [one.rsplit(":", 1) for one in places.split(",")]
        self.sentinel = Sentinel([(host.strip("[]"), int(port)) for host, port in hosts], sentinel_kwargs=few)
        self.more, self.single, self.due = more, None, 0
        self.mark = prefix + "copied"
        # With the master more than half of all: whoever is chosen next by more than half has it.
        self.copies = max(1, len(hosts) // 2)

    @property
    def client(self):
        """The connection, to whoever is the master when it is made."""
        if self.single is None:
            # Kept, since it closes its connections when nobody has it any more.
            self.pooled = self.sentinel.master_for(self.name, **self.more)
            self.single = self.pooled.client()
        return self.single

    def check(self):
        """Leave a master that the Sentinels know no longer: it may be cut off, and hear nothing of that."""
        if self.single is not None and time.time() > self.due:
            self.due = time.time() + PRESENCE_INTERVAL
            place = self.single.connection.host, self.single.connection.port
            if self.sentinel.discover_master(self.name) != place:
                raise redis.ConnectionError("%s:%s is not the master any more" % place)

    def copied(self):
        """Whether so many other hosts have all that this Redis has said so far."""
        # WAIT is about the last write of this connection, and all before it: one has to be the last of all.
        self.client.set(self.mark, "")
        return self.client.wait(self.copies, COPIED_TIMEOUT) >= self.copies

    def say(self, keys, words):
        """Accept a message: its id, None if it is too late for that, or why it is not certain."""
        client, sent = self.client, False
        try:
            found = client.eval(SAY, len(keys), *keys + words)
            sent = True
            if not found or self.copied():
                return found
            problem = "no other host has it"
        except redis.RedisError as one:
            # Redis's own refusal comes before anything is written.
            if not sent and isinstance(one, redis.ResponseError):
                raise
            problem = one
        self.lost()
        logging.error("It is not certain that Redis accepted a message: %s", problem)
        return Refused(503, UNSURE, again=True)

    def lost(self):
        """Something went wrong on it: the master may be another one by now."""
        if self.single is not None:
            single, self.single = self.single, None
            single.close()
            self.pooled.close()


def connect(url, password, prefix):
    """A connection to the Redis that a URL means."""
    return (Replicated if url.startswith("redis+sentinel://") else Single)(url, password, prefix)


class RedisRoom(Room):
    """A Room whose messages come from Redis.

    url: see connect(). password: text, or None. prefix: of all keys. port: of this process.
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
        line, last, stream = connect(self.url, self.password, self.prefix), "0-0", self.prefix + "messages"
        while True:
            try:
                line.check()
                found = line.client.xread({stream: last}, count=HISTORY, block=BLOCK if last != "0-0" else 1)
                if found and not line.copied():
                    raise redis.ConnectionError("no other host has its messages")
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
                line.lost()
                self.loop.add_callback(self.went_away, str(problem))
                time.sleep(RETRY_INTERVAL)

    def write(self):
        """Write messages to Redis, and count who is here, for ever."""
        line, due = connect(self.url, self.password, self.prefix), 0
        while True:
            if time.time() >= due:
                due = time.time() + PRESENCE_INTERVAL
                try:
                    line.check()
                    self.ahead = self.count(line.client)
                except (redis.RedisError, OSError):
                    line.lost()  # the reader logs it
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
                    answer = line.say(keys, words) or answer
            except (redis.RedisError, OSError) as problem:
                line.lost()
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
