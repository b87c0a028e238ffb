"""A release over several hosts that die, lose messages, and lose their controller: no two releases for good.

The rules are those that hosts and controller go by (module_utils/transaction.py); the hosts and the network
are a model. Hypothesis looks for an order of events that leaves two releases.
"""

from ansible_collections.tornadoes.tornadoes.plugins.module_utils.transaction import (
    Act,
    Phase,
    Standing,
    digest_of,
    verdict,
)
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

WORD = "the word"
PATIENCE = {"prepared": 600, "switched": 45, "returned": 600, "confirmed": 600}
SERVES = {Act.SWITCH: "new", Act.FORWARD: "new", Act.TURN_BACK: "old", Act.CALL_OFF: "old"}


class Host:
    """A host, its disk, and what it serves."""

    def __init__(self):
        self.standing = Standing(digest_of(WORD), PATIENCE, now=0)
        self.alive, self.serves, self.disk = True, "old", None
        self.doomed = False  # dies at its next act, half-way

    def do(self, act):
        """Do what was decided, and write it down before or after, as participant.py does."""
        if act in (Act.SWITCH, Act.KEEP, Act.FORWARD):
            self.write_down()
        if act and self.doomed:
            self.alive = self.doomed = False
            return
        self.serves = SERVES.get(act, self.serves)
        if act or self.disk:
            self.write_down()

    def write_down(self):
        """What is there after a death."""
        ended = self.standing.phase is Phase.ENDED
        self.disk = None if ended else (self.standing.phase, self.standing.word)

    def boot(self, now, ask):
        """Be there again, with what the disk knows, and ask the others."""
        self.alive = True
        phase, word = self.disk or (Phase.PREPARED, "")
        self.standing = Standing(digest_of(WORD), PATIENCE, now, phase, word)
        self.doomed = False
        self.do(self.standing.revive(now, ask))


class Release(RuleBasedStateMachine):
    """Three hosts that have all prepared, and a controller."""

    hosts = st.integers(0, 2)

    def __init__(self):
        super().__init__()
        self.all = [Host() for _number in range(3)]
        self.now, self.controller, self.decided = 0, True, None
        self.votes = dict.fromkeys(range(3))  # what the controller has heard
        self.switching = [0, 1, 2]  # messages that are under way
        self.telling = []

    @initialize(switched=st.sampled_from([(), (0,), (0, 1), (0, 1, 2), (0, 1, 2), (0, 1, 2)]))
    def most_runs_go_well_at_first(self, switched):
        """Else few would come to the word, which is where it gets difficult."""
        for number in switched:
            self.a_host_is_told_to_switch(number, well=True, heard=True)

    @rule(number=hosts, well=st.booleans(), heard=st.booleans())
    def a_host_is_told_to_switch(self, number, well, heard):
        """However late; it may refuse, and its answer may be lost."""
        host = self.all[number]
        if number not in self.switching or not host.alive:
            return
        self.switching.remove(number)
        host.do(host.standing.switch(self.now))
        if host.alive and not well:
            host.do(host.standing.back(self.now))
        if heard and host.alive and self.controller and self.decided is None:
            self.votes[number] = well and host.standing.phase is Phase.SWITCHED

    @precondition(lambda self: self.controller and self.decided is None)
    @rule()
    def the_controller_decides(self):
        """It has heard of all, or has waited long enough."""
        self.decided = verdict({number: bool(vote) for number, vote in self.votes.items()})
        self.telling = [0, 1, 2]

    @rule(number=hosts)
    def a_host_is_told(self, number):
        """However late."""
        host = self.all[number]
        if number not in self.telling or not host.alive:
            return
        self.telling.remove(number)
        host.do(host.standing.hear(WORD, self.now) if self.decided else host.standing.back(self.now))

    @rule(number=hosts, switch=st.booleans())
    def a_message_is_lost(self, number, switch):
        """The host can't be reached."""
        under_way = self.switching if switch else self.telling
        if number in under_way:
            under_way.remove(number)

    @rule()
    def the_controller_dies(self):
        """Nothing that it has not sent yet is ever said."""
        self.controller = False
        if self.decided is None:
            self.telling = []

    @rule(number=hosts, doomed=st.booleans())
    def a_host_dies(self, number, doomed):
        """Now, or half-way through what it does next."""
        self.all[number].doomed = doomed
        self.all[number].alive &= doomed

    def heard(self, number, reached):
        """What a host hears when it asks those of the others that it reaches."""
        others = [self.all[other].standing for other in reached if other != number and self.all[other].alive]
        return max((one.word for one in others if one.phase is not Phase.ENDED), default="")

    @rule(number=hosts, reached=st.sets(hosts))
    def a_host_boots(self, number, reached):
        """And goes by its disk, and by the others that it reaches."""
        host = self.all[number]
        if not host.alive:
            host.boot(self.now, lambda: self.heard(number, reached))
            assert host.standing.phase is not Phase.RETURNED or not self.heard(number, reached)

    @rule(number=hosts, other=hosts)
    def a_host_asks_another(self, number, other):
        """And hears the word, if that one has it."""
        host, asked = self.all[number], self.all[other]
        if host.alive and asked.alive and host.standing.asks and asked.standing.phase is not Phase.ENDED:
            host.do(host.standing.hear(asked.standing.word, self.now))

    @rule(seconds=st.sampled_from([1, 20, 50]), knows=st.sets(hosts), reached=st.sets(hosts))
    def time_passes(self, seconds, knows, reached):
        """Some notice that the run has ended, some can be asked. None turns back that hears the word."""
        if self.now > 400:
            return  # longer than hosts ask, and only the next run helps
        self.now += seconds
        for number, host in enumerate(self.all):
            if host.alive:
                words, over = self.heard(number, reached), number in knows and not self.controller
                act = host.standing.look(self.now, abandoned=over, ask=lambda words=words: words)
                assert act is not Act.TURN_BACK or not words
                host.do(act)

    @invariant()
    def what_a_host_serves_follows_from_its_phase(self):
        """So a death in any phase can be put right."""
        for host in self.all:
            if host.alive and host.standing.phase is not Phase.ENDED:
                new = host.standing.phase in (Phase.SWITCHED, Phase.CONFIRMED)
                assert host.serves == ("new" if new else "old")

    @invariant()
    def no_host_keeps_what_another_has_refused(self):
        """The word is said only when all have switched."""
        if any(host.alive and host.standing.phase is Phase.CONFIRMED for host in self.all):
            assert self.decided

    def teardown(self):
        """The controller is dead, the hosts are there and reach each other: one release, within the time."""
        self.controller = False
        for host in self.all:
            host.doomed = False
            if not host.alive:
                host.boot(self.now, str)
        for _second in range(60):
            self.now += 1
            for number in range(3):
                for other in range(3):
                    self.a_host_asks_another(number, other)
            for host in self.all:
                host.do(host.standing.look(self.now, abandoned=True))
        assert len({host.serves for host in self.all}) == 1, [host.serves for host in self.all]
        # What is still under way comes too late to part them.
        for number in list(self.switching):
            host = self.all[number]
            host.do(host.standing.switch(self.now))
            host.do(host.standing.look(self.now, abandoned=True))
        assert len({host.serves for host in self.all}) == 1, "a late message"


TestRelease = Release.TestCase
TestRelease.settings = settings(
    max_examples=500,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_a_word_is_believed_from_anybody_and_nothing_else_is():
    standing = Standing(digest_of(WORD), PATIENCE, now=0)
    assert standing.switch(now=0) is Act.SWITCH
    assert standing.hear("another word", now=1) is None
    assert standing.hear("", now=1) is None
    assert standing.hear(WORD, now=1) is Act.KEEP


def test_a_host_that_hears_nothing_turns_back_within_a_minute():
    standing = Standing(digest_of(WORD), PATIENCE, now=0)
    standing.switch(now=0)
    assert standing.look(now=44) is None
    assert standing.look(now=45) is Act.TURN_BACK


def test_a_host_that_dies_on_its_way_to_what_the_others_run_goes_there_again():
    standing = Standing(digest_of(WORD), PATIENCE, now=0, phase=Phase.CONFIRMED, word=WORD)
    assert standing.revive(now=1) is Act.FORWARD


def test_a_host_asks_the_others_before_it_turns_back():
    standing = Standing(digest_of(WORD), PATIENCE, now=0)
    standing.switch(now=0)
    assert standing.look(now=1, abandoned=True, ask=lambda: WORD) is Act.KEEP
    assert standing.word == WORD


def test_a_host_that_was_off_when_the_word_was_said_does_not_go_back_and_forth():
    standing = Standing(digest_of(WORD), PATIENCE, now=0, phase=Phase.SWITCHED)
    assert standing.revive(now=1, ask=lambda: WORD) is Act.FORWARD
    assert standing.phase is Phase.CONFIRMED


def test_a_host_whose_run_has_ended_does_not_wait():
    standing = Standing(digest_of(WORD), PATIENCE, now=0)
    assert standing.look(now=1, abandoned=True) is Act.CALL_OFF
