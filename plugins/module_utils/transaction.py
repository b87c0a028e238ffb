"""A release over several hosts: what a host does when, without doing it. Standard library only.

A host prepares the release on all its ports, then waits to be told. The controller lets nobody switch
before all have prepared, and gives its word only once all have switched well. The word is a secret
of the run, of which each host has known the digest from the beginning: whoever has the word has the
controller's yes, from whomever it comes, so that hosts can ask each other when the controller is gone.

    phase      serves  told to switch  hears the word     told to go back  no word in time    died
    PREPARED   before  -> SWITCHED     -                  -> ENDED         -> ENDED           ENDED
    SWITCHED   new     -               -> CONFIRMED       -> ENDED, back   -> RETURNED, back  RETURNED, back
    RETURNED   before  -               -> CONFIRMED, new  -> ENDED         -> ENDED           RETURNED, back
    CONFIRMED  new     -               -                  -                -> ENDED           CONFIRMED, new
    ENDED      as it is

SWITCHED and RETURNED ask the others for the word, and so does whoever is about to turn back; CONFIRMED gives
it to them. So a word that one of them has heard reaches all that can be reached while they ask; one that
nobody has heard turns all back.
What this can't do, since nothing can: hosts that can reach neither the controller nor each other
in that time, where some have heard the word, run different releases until the next run.
"""

import enum
import hashlib


class Phase(enum.StrEnum):
    """How far a host is with a release."""

    PREPARED = "prepared"
    SWITCHED = "switched"
    RETURNED = "returned"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class Act(enum.StrEnum):
    """What a host has to do now."""

    SWITCH = "switch"  # let the prepared processes take over
    CALL_OFF = "call off"  # end them
    TURN_BACK = "turn back"  # give the ports what they ran before
    KEEP = "keep"  # the new release is for good
    FORWARD = "forward"  # switch once more: another host knows that it is for good


def digest_of(word):
    """What hosts know of a word before they hear it."""
    return hashlib.sha256(word.encode()).hexdigest()


def verdict(votes):
    """Whether a release is for good: only if all have switched well. votes: host to whether it has."""
    return bool(votes) and all(votes.values())


class Standing:
    """Where one host stands. Every method says what there is to do, or None.

    digest: of the word. patience: seconds by phase, after which a host acts by itself.
    """

    def __init__(self, digest, patience, now, phase=Phase.PREPARED, word=""):
        self.digest, self.patience, self.word = digest, patience, word
        self.enter(phase, now)

    def enter(self, phase, now):
        """Be in a phase from now on."""
        self.phase = phase
        self.until = now + self.patience.get(phase, 0)

    @property
    def asks(self):
        """Whether it asks the others for the word."""
        return self.phase in (Phase.SWITCHED, Phase.RETURNED)

    def switch(self, now):
        """The controller says that all have prepared."""
        if self.phase is not Phase.PREPARED:
            return None
        self.enter(Phase.SWITCHED, now)
        return Act.SWITCH

    def hear(self, word, now):
        """The controller, or another host, says a word."""
        if not self.asks or digest_of(word) != self.digest:
            return None
        act = Act.KEEP if self.phase is Phase.SWITCHED else Act.FORWARD
        self.word = word
        self.enter(Phase.CONFIRMED, now)
        return act

    def back(self, now):
        """The controller says that it is off, or this host refuses it: nobody has the word then."""
        before = self.phase
        if before is not Phase.CONFIRMED:
            self.enter(Phase.ENDED, now)
        return {Phase.PREPARED: Act.CALL_OFF, Phase.SWITCHED: Act.TURN_BACK}.get(before)

    def look(self, now, abandoned=False, ask=str):
        """Time passes. abandoned: the run has ended, so that there is nothing to wait for.

        ask: what the others say is the word, just now. That takes a while: who would turn back asks.
        """
        before = self.phase
        given_up = abandoned and before in (Phase.PREPARED, Phase.SWITCHED)
        if before is Phase.ENDED or (now < self.until and not given_up):
            return None
        if before is Phase.SWITCHED:
            if act := self.hear(ask(), now):
                return act
            self.enter(Phase.RETURNED, now)
            return Act.TURN_BACK
        self.enter(Phase.ENDED, now)
        return Act.CALL_OFF if before is Phase.PREPARED else None

    def revive(self, now, ask=str):
        """Its process, or its host, has died and is there again: what runs has to follow the phase.

        ask: as in look().
        """
        if self.asks:
            self.hear(ask(), now)
        if self.phase is Phase.SWITCHED:
            self.phase = Phase.RETURNED
        elif self.phase is Phase.PREPARED:
            self.phase = Phase.ENDED
        self.enter(self.phase, now)
        return {Phase.RETURNED: Act.TURN_BACK, Phase.CONFIRMED: Act.FORWARD}.get(self.phase)
