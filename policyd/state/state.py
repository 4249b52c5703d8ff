"""What the rest of the daemon takes of all that policyd remembers, wherever it is kept.

What is in this process answers at once, what several nodes share answers later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from prometheus_client.core import Metric

from mailbase.store import Memory, Row
from policyd.end_of_data.tickets import Tickets
from policyd.exceptions.book import Shelf
from policyd.greylist.ledger import Records
from policyd.learning.lessons import Shelf as LessonShelf
from policyd.limits.ledger import Limits


@dataclass(frozen=True, slots=True)
class State:
    """Arguments:
    ledger: of greylisting.
    tickets: for contentfilter.
    limits: how much of each is used.
    shelf: exceptions by command.
    lessons: what was learned from mail.
    memory: a table of :mod:`policyd.state.tables` by its name.
    start: opens it; to be called once, before the first request.
    close: writes what is pending and closes it; whether nothing was lost.
    collect: its metrics, their names beginning with the text given.
    pages: lists such a table, as key and all columns, some rows at a time; from the time on.
    shared: whether other nodes write it too.
    """

    ledger: Records
    tickets: Tickets
    limits: Limits
    shelf: Shelf
    lessons: LessonShelf
    memory: Callable[[str], Memory]
    start: Callable[[], None]
    close: Callable[[], bool]
    collect: Callable[[str], Iterable[Metric]]
    pages: Callable[[str, float], AsyncIterator[list[tuple[bytes, Row]]]]
    shared: bool
