"""Where exceptions are kept: over a restart, with other nodes, and while the store cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from mailbase.store import NEVER, StoreError
from policyd.exceptions.book import EXCEPTIONS, READ_AGAIN, Book
from policyd.exceptions.rule import Rule, rule_of

from .asked import ALLOW, DENY, Asked


def test_rules_are_remembered_over_a_restart(bench: Any, asked: Asked) -> None:
    asked.deny("192.0.2.0/24", seconds=600, by="ada", why="Spam, Ticket 7 ☃")
    asked.allow("x@ü.example", "sender")
    before = list(asked.ask("exceptions.list"))
    bench.restart()
    assert bench.action() == "554"
    assert list(asked.ask("exceptions.list")) == before
    assert before[0] == {
        "effect": "deny",
        "as": "client",
        "what": "192.0.2.0/24",
        "expires": int(bench.clock.seconds()) + 600,
        "added": int(bench.clock.seconds()),
        "by": "ada",
        "why": "Spam, Ticket 7 ☃",
    }
    bench.clock.advance(600)
    bench.restart()
    assert [rule["what"] for rule in asked.ask("exceptions.list")] == ["x@xn--tda.example"]


def test_what_a_later_version_has_written_hides_no_other_rule(bench: Any, asked: Asked) -> None:
    asked.deny("192.0.2.0/24")
    asked.deny("sender.example", "sender")
    table = bench.store.table(EXCEPTIONS.name)
    for key, effect in (
        ("asn:64496", "deny"),
        ("client:asn/64496", "deny"),
        ("client:192.0.2.9", "tag"),
        ("sender", "deny"),
    ):
        table.put(key.encode(), (effect, 0, "root", "", NEVER))
    table.put(b"\xff", ("deny", 0, "root", "", NEVER))
    bench.restart()
    assert sorted(rule["what"] for rule in asked.ask("exceptions.list")) == ["192.0.2.0/24", "sender.example"]
    assert bench.action() == "554"
    assert "exceptions-not-read" not in bench.stream.getvalue()


class SharedShelf:
    """A shelf that another node changes, and that can be away."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.waiting: list[Deferred[Any]] = []
        self.away = False
        self.changed: Callable[[], object] = lambda: None

    async def load(self, now: float) -> list[Rule]:
        if self.away:
            raise StoreError("away")
        await self.later()
        return list(self.rules.values())

    async def put(self, rule: Rule) -> None:
        await self.later()
        self.rules[rule.key] = rule

    async def delete(self, key: str) -> None:
        await self.later()
        self.rules.pop(key, None)

    def watch(self, changed: Callable[[], object]) -> None:
        self.changed = changed

    def later(self) -> Deferred[Any]:
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def answer(self) -> None:
        while self.waiting:
            self.waiting.pop(0).callback(None)


def test_a_shared_shelf_is_followed(bench: Any) -> None:
    shelf = SharedShelf()
    book = Book(shelf, bench.clock, bench.log)
    book.start()
    shelf.answer()
    rule = rule_of("192.0.2.1", DENY)
    done = Deferred.fromCoroutine(book.put(rule))
    assert book.living() == []
    shelf.answer()
    assert done.called
    assert book.living() == [rule]
    other = rule_of("192.0.2.2", ALLOW)
    shelf.rules[other.key] = other
    shelf.changed()
    third = rule_of("192.0.2.3", ALLOW)
    waiting = shelf.waiting.pop()
    shelf.changed()
    assert shelf.waiting == []
    waiting.callback(None)
    shelf.rules[third.key] = third
    shelf.answer()
    assert book.living() == [rule, other, third]


def test_rules_that_cannot_be_read_stay_in_force_and_are_read_again(bench: Any) -> None:
    shelf = SharedShelf()
    shelf.away = True
    book = Book(shelf, bench.clock, bench.log)
    book.start()
    assert "event=exceptions-not-read error=away" in bench.stream.getvalue()
    rule = rule_of("192.0.2.1", DENY)
    book.rules.put(rule)
    shelf.changed()
    assert book.living() == [rule]
    shelf.away = False
    bench.clock.advance(READ_AGAIN)
    shelf.answer()
    assert book.living() == []
