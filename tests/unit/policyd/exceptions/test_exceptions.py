"""allow and deny: who is named, which rule wins, what it spares, and how long."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.addresses import pack
from mailbase.control import ControlError
from mailbase.store import StoreError
from policyd.evidence.facts import Effect, Named
from policyd.exceptions import book as book_module
from policyd.exceptions.book import READ_AGAIN, Book
from policyd.exceptions.matching import Rules
from policyd.exceptions.rule import Rule, rule_of
from policyd.exceptions.verbs import ExceptionVerbs
from policyd.observability.recorder import Recorder

ALLOW, DENY = Effect.ALLOW, Effect.DENY
RELAY_ONLY = "relay"


class Asked:
    """Gives the commands as the control socket would."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench

    def ask(self, verb: str, **arguments: Any) -> Any:
        verbs = ExceptionVerbs(self.bench.book, self.bench.clock.seconds, self.bench.log)
        result = verbs.table()[verb]({"verb": verb, "peer": "uid:0,pid:1", **arguments})
        if not isinstance(result, Awaitable):
            return result
        answers: list[Any] = []
        Deferred.fromCoroutine(result).addBoth(answers.append)  # type: ignore[arg-type]
        if hasattr(answers[0], "raiseException"):
            answers[0].raiseException()
        return answers[0]

    def allow(self, what: str, named: str | None = None, **more: Any) -> Any:
        return self.put("allow", what, named, **more)

    def deny(self, what: str, named: str | None = None, **more: Any) -> Any:
        return self.put("deny", what, named, **more)

    def put(self, effect: str, what: str, named: str | None = None, **more: Any) -> Any:
        return self.ask(
            "exceptions.put", effect=effect, what=what, **({"as": named} if named else {}), **more
        )


@pytest.fixture
def asked(bench: Any) -> Asked:
    return Asked(bench)


@pytest.mark.parametrize(
    ("what", "named", "kind", "normal", "single"),
    [
        ("192.0.2.1", None, "client", "192.0.2.1", True),
        ("192.0.2.1/32", None, "client", "192.0.2.1", True),
        ("192.0.2.0/24", None, "client", "192.0.2.0/24", False),
        ("2001:DB8::1", None, "client", "2001:db8::1", True),
        ("2001:db8::/32", None, "client", "2001:db8::/32", False),
        ("::ffff:192.0.2.1", None, "client", "192.0.2.1", True),
        (".Mail.Example.org", "client", "client", "mail.example.org", False),
        ("*.example.org", "client", "client", "example.org", False),
        ("Alice@Example.ORG", None, "sender", "alice@example.org", True),
        ("@example.org", None, "sender", "example.org", False),
        ("example.org", "sender", "sender", "example.org", False),
        ("bob@inst.example", "recipient", "recipient", "bob@inst.example", True),
        ("bücher.example", "recipient", "recipient", "xn--bcher-kva.example", False),
        ("Ada", "user", "user", "ada", True),
        ("ada@inst.example", "user", "user", "ada@inst.example", True),
    ],
)
def test_what_is_named(what: str, named: str | None, kind: str, normal: str, single: bool) -> None:
    rule = rule_of(what, ALLOW, Named(named) if named else None)
    assert (rule.named, rule.what, rule.single) == (kind, normal, single)


@pytest.mark.parametrize(
    ("what", "named", "message"),
    [
        ("example.org", None, "Say --as client, --as sender"),
        ("192.0.2.1/24", None, "expected the network's first address, 192.0.2.0/24"),
        ("192.0.2.1/24", "client", "expected the network's first address, 192.0.2.0/24"),
        ("192.0.2.300", "client", "expected a network such as"),
        ("a b.example", "client", "expected a domain"),
        ("", None, "expected an address"),
        ("x\ny@example.org", None, "expected an address"),
        ("a" * 400, "user", "expected an address"),
        ("@", "sender", "expected a domain"),
        ("a@b@", "sender", "expected a mail address"),
        ("[192.0.2.1]", "recipient", "expected a domain"),
        ("0.0.0.0/0", None, "expected a network of /8 or smaller"),
        ("::/0", "client", "expected a network of /8 or smaller (IPv6: /16)"),
        ("2000::/3", None, "expected a network of /8 or smaller"),
        ("*@example.org", None, "@example.org names all"),
        ("news-*@example.org", "recipient", "@example.org names all"),
    ],
)
def test_what_cannot_be_understood(what: str, named: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        rule_of(what, DENY, Named(named) if named else None)


@pytest.mark.parametrize("what", ["0.0.0.0/0", "*@example.org"])
def test_what_is_not_set_any_more_can_still_be_taken_back(what: str) -> None:
    assert rule_of(what, Effect.NONE).what == what


def test_a_wide_network_of_a_provider_can_be_named() -> None:
    assert rule_of("10.0.0.0/8", DENY).what == "10.0.0.0/8"
    assert rule_of("2001::/16", DENY).what == "2001::/16"


def match(rules: Rules, now: float = 0, **who: str) -> str:
    found = rules.match(
        pack(who.get("client", "198.51.100.9")),
        who.get("name", "unknown"),
        who.get("sender", ""),
        who.get("recipient", ""),
        who.get("user", ""),
        now,
    )
    return "" if found is None else f"{found.effect} {found.what}"


def rules_of(*texts: str) -> Rules:
    rules = Rules()
    for text in texts:
        effect, named, what, *until = text.split()
        rules.put(rule_of(what, Effect(effect), Named(named), until=int(until[0]) if until else 1 << 53))
    return rules


@pytest.mark.parametrize(
    ("rules", "who", "wins"),
    [
        # the most specific of a kind
        (["deny client 10.0.0.0/24", "allow client 10.0.0.7"], {"client": "10.0.0.7"}, "allow 10.0.0.7"),
        (
            ["deny client 10.0.0.0/24", "allow client 10.0.0.7"],
            {"client": "10.0.0.8"},
            "deny 10.0.0.0/24",
        ),
        (
            ["allow client 2001:db8::/32", "deny client 2001:db8:1::/48"],
            {"client": "2001:db8:1::5"},
            "deny 2001:db8:1::/48",
        ),
        (
            ["deny sender x.de", "allow sender a@x.de"],
            {"sender": "A@x.de"},
            "allow a@x.de",
        ),
        (["deny sender x.de"], {"sender": "a@sub.x.de"}, "deny x.de"),
        (["deny sender x.de"], {"sender": "a@notx.de"}, ""),
        (
            ["allow sender s.x.de", "deny sender x.de"],
            {"sender": "a@s.x.de"},
            "allow s.x.de",
        ),
        (["deny sender a@x.de"], {"sender": "a+news@x.de"}, "deny a@x.de"),
        (["deny client x.de"], {"name": "mail.x.de"}, "deny x.de"),
        (["deny client unknown"], {"name": "unknown"}, ""),
        # one that names a single one before one that names many
        (["deny client 10.0.0.0/24", "allow user ada"], {"client": "10.0.0.7", "user": "Ada"}, "allow ada"),
        (
            ["allow client 10.0.0.0/24", "deny recipient b@y.de"],
            {"client": "10.0.0.7", "recipient": "b@y.de"},
            "deny b@y.de",
        ),
        # then deny before allow
        (
            ["allow client 10.0.0.7", "deny sender a@x.de"],
            {"client": "10.0.0.7", "sender": "a@x.de"},
            "deny a@x.de",
        ),
        (
            ["deny client 10.0.0.0/24", "allow sender x.de"],
            {"client": "10.0.0.7", "sender": "a@x.de"},
            "deny 10.0.0.0/24",
        ),
        # what is equal in all this: the client first
        (
            ["allow sender x.de", "allow client 10.0.0.0/24"],
            {"client": "10.0.0.7", "sender": "a@x.de"},
            "allow 10.0.0.0/24",
        ),
        # one key has one rule, the last
        (["deny client 10.0.0.7", "allow client 10.0.0.7"], {"client": "10.0.0.7"}, "allow 10.0.0.7"),
        # the null sender and what is no address
        (["deny sender x.de"], {"sender": ""}, ""),
        (["deny sender x.de"], {"sender": "x.de"}, ""),
        (["deny sender x.de"], {"sender": "a@" + "x." * 300 + "x.de"}, ""),
    ],
)
def test_which_rule_wins(rules: list[str], who: dict[str, str], wins: str) -> None:
    assert match(rules_of(*rules), **who) == wins


def test_an_expired_rule_makes_room_for_the_one_around_it() -> None:
    rules = rules_of(
        "allow client 192.0.2.7 100",
        "deny client 192.0.2.0/28 200",
        "allow client 192.0.2.0/24 300",
        "deny sender a@x.example 100",
        "allow sender x.example 200",
    )
    for now, client, sender in (
        (99, "allow 192.0.2.7", "deny a@x.example"),
        (100, "deny 192.0.2.0/28", "allow x.example"),
        (200, "allow 192.0.2.0/24", ""),
        (300, "", ""),
    ):
        assert match(rules, now, client="192.0.2.7") == client
        assert match(rules, now, sender="a@x.example") == sender
    assert rules.all == {}


def test_a_denied_client_is_refused_at_once_in_both_families(bench: Any, asked: Asked) -> None:
    for client in ("192.0.2.1", "2001:db8:9::1"):
        assert bench.action(client_address=client) == "DEFER_IF_PERMIT"
        asked.deny(client)
        decision = bench.decide(client_address=client)
        assert decision.reply == f"554 5.7.1 Refused by local policy [{decision.id}]"
        assert decision.reason == "exceptions-deny-client"


@pytest.mark.parametrize(
    ("what", "named", "who"),
    [
        ("mail.sender.example", "client", {}),
        ("sender.example", "sender", {}),
        ("person@inst.example", "recipient", {}),
        ("inst.example", "recipient", {}),
        ("ada", "user", {"sasl_username": "ada"}),
    ],
)
def test_each_kind_can_be_denied_and_allowed(
    bench: Any, asked: Asked, what: str, named: str, who: dict[str, str]
) -> None:
    asked.deny(what, named)
    assert bench.action(**who) == "554"
    assert bench.action(**who, policy_context=RELAY_ONLY) == "554"
    asked.allow(what, named)
    assert bench.decide(**who).action == "accept"


def test_an_allowed_client_is_neither_greylisted_nor_weighed(make_bench: Callable[..., Any]) -> None:
    bench = make_bench("flows: {inbound: {checks: true, reject_at: 1}}")
    asked = Asked(bench)
    who = {"client_name": "unknown", "reverse_client_name": "unknown", "helo_name": "friend"}
    assert bench.action(**who) == "554"
    asked.allow("192.0.2.1")
    asked_before = len(bench.resolver.asked)
    decision = bench.decide(**who)
    assert (decision.reply, decision.reason) == ("DUNNO", "greylist-excepted")
    assert decision.weighed is None
    assert len(bench.resolver.asked) == asked_before
    assert bench.store.pending == 1  # the rule


def test_allowing_never_grants_relaying(bench: Any, asked: Asked) -> None:
    for what, named in (
        ("192.0.2.1", None),
        ("sender.example", "sender"),
        ("elsewhere.example", "recipient"),
    ):
        asked.allow(what, named)
        for context in ("", RELAY_ONLY):
            decision = bench.decide(recipient="a@elsewhere.example", policy_context=context)
            assert decision.reply.startswith("554 5.7.1 Relay access denied")


def test_a_denied_client_may_still_complain_unless_that_address_is_denied(bench: Any, asked: Asked) -> None:
    asked.deny("192.0.2.1")
    assert bench.action(recipient="abuse@inst.example") == "DUNNO"
    assert bench.action(recipient="person@inst.example") == "554"
    asked.deny("abuse@inst.example", "recipient")
    assert bench.action(recipient="abuse@inst.example") == "554"


def test_a_hijacked_account_reaches_nobody(bench: Any, asked: Asked) -> None:
    asked.deny("ada", "user")
    assert bench.action(sasl_username="Ada", recipient="abuse@inst.example") == "554"
    assert bench.action(sasl_username="bob") == "OK"


def test_upstream_relays_are_refused_for_themselves_and_not_for_a_sender(bench: Any, asked: Asked) -> None:
    asked.deny("sender.example", "sender")
    assert bench.action(client_address="203.0.113.5") == "DUNNO"
    asked.deny("203.0.113.0/24")
    assert bench.action(client_address="203.0.113.5") == "554"


def test_a_rule_ends_by_itself(bench: Any, asked: Asked) -> None:
    asked.deny("192.0.2.1", seconds=60)
    bench.clock.advance(59)
    assert bench.action() == "554"
    bench.clock.advance(1)
    assert bench.action() == "DEFER_IF_PERMIT"
    assert list(asked.ask("exceptions.list")) == []


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


def test_a_rule_can_be_taken_back(bench: Any, asked: Asked) -> None:
    asked.deny("192.0.2.0/24")
    assert asked.ask("exceptions.remove", what="192.0.2.1")["removed"] is None
    assert asked.ask("exceptions.remove", what="192.0.2.0/24")["removed"]["effect"] == "deny"
    assert bench.action() == "DEFER_IF_PERMIT"
    bench.restart()
    assert bench.action() == "DEFER_IF_PERMIT"


def test_what_has_two_rules_is_taken_back_by_kind(bench: Any, asked: Asked) -> None:
    asked.deny("sender.example", "sender")
    asked.allow("sender.example", "client")
    with pytest.raises(ControlError, match="say --as client or --as sender"):
        asked.ask("exceptions.remove", what="sender.example")
    asked.ask("exceptions.remove", what="sender.example", **{"as": "sender"})
    assert [rule["as"] for rule in asked.ask("exceptions.list")] == ["client"]


def test_setting_a_rule_says_which_it_replaces_and_logs_who_did_it(bench: Any, asked: Asked) -> None:
    asked.deny("192.0.2.1", by="ada")
    answer = asked.allow("192.0.2.1", by="bob", why="mistake")
    assert (answer["rule"]["effect"], answer["before"]["by"]) == ("allow", "ada")
    line = bench.stream.getvalue().splitlines()[-1]
    assert (
        "event=exception-set effect=allow named=client network=192.0.2.1 until=- by=bob why=mistake" in line
    )
    assert "peer=uid:0,pid:1" in line


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"what": 1},
        {"what": "192.0.2.1", "effect": "none"},
        {"what": "192.0.2.1", "seconds": 0},
        {"what": "192.0.2.1", "seconds": -5},
        {"what": "192.0.2.1", "seconds": True},
        {"what": "192.0.2.1", "seconds": 1e300},
        {"what": "192.0.2.1", "as": "planet"},
        {"what": "192.0.2.1", "as": ["client"]},
        {"what": "\ud800\n@x.example"},
        {"what": "192.0.2.1", "by": None},
    ],
)
def test_hostile_commands_change_nothing(bench: Any, asked: Asked, arguments: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        asked.ask("exceptions.put", **{"effect": "deny", **arguments})
    assert bench.book.living() == []


def test_there_are_at_most_so_many_rules(bench: Any, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "MAX_RULES", 2)
    asked.deny("192.0.2.1")
    asked.deny("192.0.2.2")
    with pytest.raises(ControlError, match="2 exceptions already"):
        asked.deny("192.0.2.3")
    asked.allow("192.0.2.2")


def test_the_ticket_names_the_exception(bench: Any, asked: Asked) -> None:
    asked.allow("sender.example", "sender")
    bench.decide(instance="i")
    decision = bench.decide(instance="i", protocol_state="DATA", recipient="")
    ticket = bench.tickets.find(decision.id, "192.0.2.1", "someone@sender.example", bench.clock.seconds())
    assert [(one.name, one.detail) for one in ticket.findings] == [
        ("exceptions.allow", "sender:sender.example")
    ]


def test_what_was_accepted_is_not_denied_at_data(bench: Any, asked: Asked) -> None:
    bench.decide(instance="i", recipient="abuse@inst.example")
    asked.deny("192.0.2.1")
    decision = bench.decide(instance="i", protocol_state="DATA", recipient="")
    assert decision.reply.startswith("PREPEND ")


def test_exceptions_are_counted(bench: Any, asked: Asked) -> None:
    recorder = Recorder(bench.log, bench.metrics)
    recorder.decision(bench.request(), bench.decide(), 0.0)
    assert bench.metrics.exceptions == {ALLOW: 0, DENY: 0}
    asked.deny("192.0.2.1")
    recorder.decision(bench.request(), bench.decide(), 0.0)
    asked.allow("192.0.2.1")
    recorder.decision(bench.request(), bench.decide(), 0.0)
    assert bench.metrics.exceptions == {ALLOW: 1, DENY: 1}


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
