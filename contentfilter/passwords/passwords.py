"""Which passwords are tried on a locked part, in which order, and until when.

A message is read for its words when the first locked part asks for them, and never otherwise. So the order
of its parts does not matter, and mail without locked parts pays nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from contentfilter.content.limits import Budget

Tell: TypeAlias = Callable[[], Iterable[str]]
"""Reads the message for words that may be passwords, the likeliest first, each at most once."""


@dataclass(frozen=True, slots=True)
class Password:
    """One password to try.

    Arguments:
        text: the password.
        told: by the mail. What only such a password opens stays locked for whoever judges the mail; what any
            other opens is open to everybody.
    """

    text: str
    told: bool = False


def none_told() -> Iterable[str]:
    """For what came without a message around it."""
    return ()


class Passwords:
    """The passwords for one message, and the account of attempts.

    Arguments:
        budget: bounds the attempts.
        tell: called once, if a locked part needs it.
    """

    __slots__ = ("_budget", "_opened", "_tell", "_told")

    def __init__(self, budget: Budget, tell: Tell = none_told) -> None:
        self._budget = budget
        self._tell = tell
        self._told: tuple[str, ...] | None = None
        self._opened: dict[Password, None] = {}

    def attempts(self, cost: int, known: Iterable[str] = ("",)) -> Iterator[Password]:
        """Passwords to try on one lock, each once, as long as the message's budget lasts.

        Arguments:
            cost: microseconds of processor time that one attempt takes, roughly.
            known: those that programs try by themselves or everybody may leave out.
        """
        seen: set[str] = set()
        everybodys = (Password(text) for text in known)
        earlier = [password for password in self._opened if password.told or password.text in known]
        for password in itertools.chain(earlier, everybodys, self._of_the_mail()):
            if password.text in seen:
                continue
            seen.add(password.text)
            if not self._budget.take_password(cost):
                return
            yield password

    def opened(self, password: Password) -> None:
        """Tell that ``password`` was right: a mail that locks several things locks them alike."""
        self._opened[password] = None

    def _of_the_mail(self) -> Iterator[Password]:
        if self._told is None:
            self._told = tuple(itertools.islice(self._tell(), self._budget.options.told_passwords))
        for text in self._told:
            yield Password(text, told=True)
