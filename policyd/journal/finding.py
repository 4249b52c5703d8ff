"""Finds decisions in the journal's file, always by an index, and never for long."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from policyd.journal.entry import describe_decision, describe_outcome
from policyd.journal.search import Condition, Search
from policyd.journal.tables import select_from

MANY = 20_000
"""Entries that are sorted; of more, the latest are found by looking through the file from its end."""
SEARCH_SECONDS = 10.0
"""Seconds after which a search is given up: nothing is written meanwhile."""
STEPS = 20_000
"""Steps of SQLite between two looks at the clock."""
MAX_TRANSACTIONS = 50
"""Mail transactions that one queue id may belong to: Postfix uses short ones again."""
MAX_OF_THEM = 1_000
"""Decisions of these that are told: those asked after, and the latest of the others."""


def find(connection: sqlite3.Connection, search: Search, limit: int) -> list[dict[str, Any]]:
    """Decisions, and what became of their mails, in the order of time.

    Arguments:
        limit: decisions at most, of those that are not a mail transaction's that is asked after; the latest.

    Raises:
        ValueError: takes too long; the message is for the operator.
        sqlite3.Error: cannot be read now.
    """
    end = time.monotonic() + SEARCH_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    try:
        latest = set(chain.from_iterable(_latest(connection, one, limit) for one in search.decisions))
        numbers = set(sorted(latest)[-limit:])
        ids: set[str] = set()
        if search.transactions:
            asked, others, ids = _transactions(connection, search.transactions)
            numbers.update(sorted(asked)[-MAX_OF_THEM:], sorted(others)[-MAX_OF_THEM:])
        chosen = _among(connection, select_from("decisions"), "number", sorted(numbers))
        decisions = [describe_decision(row) for row in chosen]
        ids.update(told["id"] for told in decisions)
        ends = _among(connection, select_from("outcomes"), "id", sorted(ids))
        outcomes = [describe_outcome(row) for row in ends]
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise ValueError("takes too long: ask after a smaller network, or an id") from error
        raise
    finally:
        connection.set_progress_handler(None, 0)
    return sorted(decisions + outcomes, key=lambda told: (told["time"], told["kind"]))


def _where(one: Condition) -> tuple[str, list[Any]]:
    # The index knows no empty ones, and SQLite must be told that none is asked for.
    column = one.column
    if one.high is None:
        return f"{column} = ? AND {column} <> ''", [one.low]
    text, values = f"{column} >= ? AND {column} < ? AND {column} <> ''", [one.low, one.high]
    if one.octets:
        text += f" AND length({column}) = {one.octets}"
    return text, values


def _latest(connection: sqlite3.Connection, one: Condition, limit: int) -> Iterable[int]:
    """Numbers of the latest decisions that fit."""
    where, values = _where(one)
    if one.high is None:
        # In the index those of one value stand in the order of their numbers.
        query = f"SELECT number FROM decisions WHERE {where} ORDER BY number DESC LIMIT ?"  # noqa: S608
        return [number for (number,) in connection.execute(query, (*values, limit))]
    some = f"SELECT number FROM decisions WHERE {where} LIMIT ?"  # noqa: S608
    found = [number for (number,) in connection.execute(some, (*values, MANY))]
    if len(found) < MANY:
        return sorted(found)[-limit:]
    latest = f"SELECT number FROM decisions NOT INDEXED WHERE {where} ORDER BY number DESC LIMIT ?"  # noqa: S608
    return [number for (number,) in connection.execute(latest, (*values, limit))]


def _transactions(
    connection: sqlite3.Connection, conditions: Sequence[Condition]
) -> tuple[set[int], set[int], set[str]]:
    """Numbers of the decisions that fit, of all others of their mails, and the tickets asked after."""
    asked: set[int] = set()
    tickets: set[str] = set()
    instances: set[str] = set()
    select = "SELECT number, instance FROM decisions"
    for one in conditions:
        where, values = _where(one)
        # The queue behind the filter has ids of its own, and what lies there began with a ticket.
        queued = f"SELECT id FROM outcomes WHERE {where}"  # noqa: S608
        tickets.update(ticket for (ticket,) in connection.execute(queued, values))
        for number, instance in connection.execute(f"{select} WHERE {where}", values):
            asked.add(number)
            instances.add(instance)
    for number, instance in _among(connection, select, "id", sorted(tickets)):
        asked.add(number)
        instances.add(instance)
    latest = sorted(instances)[-MAX_TRANSACTIONS:]
    whole = _among(connection, "SELECT number FROM decisions", "instance", latest)
    return asked, {number for (number,) in whole}, tickets


def _among(
    connection: sqlite3.Connection, select: str, column: str, values: Sequence[Any]
) -> Iterator[tuple[Any, ...]]:
    """The rows whose ``column`` is one of ``values``."""
    for start in range(0, len(values), 500):
        some = values[start : start + 500]
        places = ", ".join("?" * len(some))
        empty = "" if column == "number" else f" AND {column} <> ''"
        yield from connection.execute(f"{select} WHERE {column} IN ({places}){empty}", some)
