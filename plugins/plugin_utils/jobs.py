"""Processes of an app that have no port, as the variables describe them: workers, and jobs that timers start."""

import re
import shlex
from dataclasses import asdict, dataclass, fields

from .command import command
from .values import listed, twice

NAME = re.compile("(?!(?:build|compile)$)[a-z][a-z0-9-]{0,23}")
CALENDAR = re.compile("[A-Za-z0-9*:/,.~+_ -]+")  # what systemd.time(7) has in one
EXAMPLE = "Write it as systemd does (man systemd.time), as daily, 03:30 or Mon *-*-* 04:00:00"


class Job:
    """What both have."""

    @classmethod
    def read(cls, entry):
        """One of them from its entry, whose types are checked already. Given with -e, a number is text."""
        types = {one.name: one.type for one in fields(cls)}
        return cls(**{name: int(value) if types[name] is int else value for name, value in entry.items()})

    def settings(self):
        """What a release says of it."""
        return {**asdict(self), "command": shlex.join(command(self.command))}

    def refusals(self):
        """A sentence for each value that is invalid."""
        if not NAME.fullmatch(self.name):
            yield (
                f"{self.variable}: '{self.name}' can't name a unit. Take up to 24 lowercase letters, digits and dashes, "
                "a letter first, and neither build nor compile."
            )
        if not command(self.command):
            yield (
                f"{self.variable}: {self.name}: '{self.command}' can't be started. Give a script of the source "
                "(clean.py), -m and a module (-m chat.clean), or a command that the requirements install "
                "(celery -A tasks worker)."
            )


@dataclass(frozen=True)
class Worker(Job):
    """A process that runs beside the ports. count: how many of them. stop_timeout: seconds to finish what it does."""

    name: str
    command: str
    count: int = 1
    stop_timeout: int = 30

    variable = "tornado_app_workers"

    def refusals(self):
        """A sentence for each value that is invalid."""
        yield from super().refusals()
        for key, value in (("count", self.count), ("stop_timeout", self.stop_timeout)):
            if value < 1:
                yield f"{self.variable}: {self.name}: {key} {value} is too little. Give at least 1, or remove the worker."


@dataclass(frozen=True)
class Timer(Job):
    """A job that is started by the calendar. calendar: systemd's. timeout: seconds that it may take, 0 for any."""

    name: str
    command: str
    calendar: str
    timeout: int = 3600

    variable = "tornado_app_timers"

    def refusals(self):
        """A sentence for each value that is invalid."""
        yield from super().refusals()
        if not CALENDAR.fullmatch(self.calendar):
            yield f"{self.variable}: {self.name}: calendar '{self.calendar}' is invalid. {EXAMPLE}."
        if self.timeout < 0:
            yield f"{self.variable}: {self.name}: timeout {self.timeout} is invalid. Give seconds, or 0 for no limit."

    def answers(self, calendars, host):
        """A sentence where the host's systemd does not take the calendar. calendars: text to what is wrong with it."""
        if why := calendars.get(self.calendar):
            yield f"{self.variable}: {self.name}: calendar '{self.calendar}' {why} on {host}. {EXAMPLE}."


def read(workers, timers):
    """Both kinds, from the entries of the two variables."""
    return [*map(Worker.read, workers), *map(Timer.read, timers)]


def settings(jobs):
    """What a release says of all of them."""
    kinds = {"workers": Worker, "timers": Timer}
    return {name: [one.settings() for one in jobs if isinstance(one, kind)] for name, kind in kinds.items()}


def refusals(jobs):
    """A sentence for each value that is invalid."""
    for job in jobs:
        yield from job.refusals()
    if again := twice([job.name for job in jobs]):
        variables = listed(dict.fromkeys(job.variable for job in jobs if job.name in again))
        yield f"{variables}: {listed(again)} is given twice. Each worker and each timer has its own name."
