"""Gives messages to the seats of an engine, and knows what to do while one is gone.

A message goes to the seat that has the fewest, among those that answer; to the first of these in the
configuration where several have as few. One that is lost on the way goes to another, or again to the same.
While no seat answers, messages wait for one to come back, but not long after the last one went: a clamd that
is being restarted costs a moment, one that is gone must not hold up Postfix.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from twisted.internet.defer import Deferred

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.seat import Message, Name, Seat
from mailbase.vocabulary import Unscanned

MAX_LOST = 2
"""Times that a message may be lost under way: more of them, and it may be the message that ends the
engine."""

_Turn: TypeAlias = "Deferred[Seat | ScanFailed]"
"""Fires when it is a message's turn, with its seat, or with why there is none."""


class Terms(Protocol):
    """What every engine has in the configuration.

    Attributes:
        timeout: seconds for a message, waiting included.
        max_size: octets of the largest message.
        at_once: messages at once at each seat.
        wait: seconds that messages wait for a seat to come back, from when the last one went.
    """

    @property
    def timeout(self) -> float: ...
    @property
    def max_size(self) -> int: ...
    @property
    def at_once(self) -> int: ...
    @property
    def wait(self) -> float: ...


class Engine:
    """A virus engine.

    Arguments:
        clock: the reactor's.
        name: of the engine.
        terms: of the configuration.
        make: makes the seats, in the order of the configuration; each is to call what it is given when it
        becomes
            usable, or no more so.

    Attributes:
        moved: messages that were given to another seat, or again, since the first did not answer.
    """

    def __init__(
        self, clock: Any, name: Name, terms: Terms, make: Callable[[Callable[[], None]], Sequence[Seat]]
    ) -> None:
        self.name = name
        self.moved = 0
        self._clock = clock
        self._terms = terms
        self._waiting: deque[_Turn] = deque()
        self._patience: Any = None
        self._given_up = False
        self.seats: Sequence[Seat] = tuple(make(self.reseat))

    @property
    def waiting(self) -> int:
        """Messages that wait for a seat."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether it could look at a message at once, and has no other."""
        usable = any(seat.usable for seat in self.seats)
        return usable and not self._waiting and not any(seat.busy for seat in self.seats)

    async def scan(self, message: Message, timeout: float | None = None) -> ScanResult | ScanFailed:
        """What the engine says of ``message``.

        Arguments:
            timeout: seconds, waiting included; at most, and by default, the configured ones.

        Raises:
            OSError: the message cannot be read, or is not what came in.
        """
        terms = self._terms
        if message.size > terms.max_size:
            detail = f"{message.size} octets; {self.name} gets at most {terms.max_size}"
            return ScanResult(unscanned=(Unscanned("", "too-large", detail),))
        seconds = terms.timeout if timeout is None else min(timeout, terms.timeout)
        end = self._clock.seconds() + seconds
        tries = lost = 0
        while True:
            seat = self._free() if not self._waiting else None
            if seat is None:
                turn = await self._turn(end)
                if isinstance(turn, ScanFailed):
                    return turn
                seat = turn
            left = end - self._clock.seconds()
            others = any(other.usable for other in self.seats if other is not seat)
            tries += 1
            try:
                outcome = await seat.look(message, left / 2 if others else left)
            finally:
                self.reseat()
            if isinstance(outcome, ScanResult):
                return outcome
            # Where no connection could be made, neither has done anything to the other.
            lost += outcome.reason != "unavailable"
            if lost >= MAX_LOST or tries >= MAX_LOST + len(self.seats) or self._clock.seconds() >= end:
                return outcome
            self.moved += 1

    def reseat(self) -> None:
        """A seat may have become usable, or no more so: look who can be given what waits."""
        if any(seat.usable for seat in self.seats):
            self._given_up = False
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None
        elif self._patience is None and not self._given_up:
            self._patience = self._clock.callLater(self._terms.wait, self._give_up)
        while self._waiting and (seat := self._free()) is not None:
            self._waiting.popleft().callback(seat)

    def start(self) -> None:
        """Begin to look after the seats."""
        for seat in self.seats:
            seat.start()

    def close(self) -> None:
        """Let go of what is kept for later; what is under way ends as it will."""
        for seat in self.seats:
            seat.close()

    def _free(self) -> Seat | None:
        """The seat for the next message; one where something went wrong just now is not usable."""
        free = [seat for seat in self.seats if seat.usable and seat.busy < self._terms.at_once]
        return min(free, key=lambda seat: seat.busy, default=None)

    async def _turn(self, end: float) -> Seat | ScanFailed:
        """Wait for a seat that has time for one more message."""
        if self._given_up:
            return self._gone()
        seconds = end - self._clock.seconds()
        if seconds <= 0:
            return ScanFailed(self.name, "timed-out", "no time left")
        turn: _Turn = Deferred(self._waiting.remove)
        self._waiting.append(turn)
        timer = self._clock.callLater(seconds, self._late, turn, seconds)
        try:
            return await turn
        finally:
            if timer.active():
                timer.cancel()

    def _late(self, turn: _Turn, seconds: float) -> None:
        self._waiting.remove(turn)
        if any(seat.usable for seat in self.seats):
            turn.callback(
                ScanFailed(self.name, "overload", f"waited {seconds:g} s for {self.name} to have time")
            )
        else:
            turn.callback(self._gone())

    def _gone(self) -> ScanFailed:
        return ScanFailed(self.name, "unavailable", f"{self.name} does not answer")

    def _give_up(self) -> None:
        """None has come back: from now on messages do not wait for that."""
        self._patience = None
        self._given_up = True
        while self._waiting:
            self._waiting.popleft().callback(self._gone())
