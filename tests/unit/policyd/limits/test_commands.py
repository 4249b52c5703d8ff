"""policyd limits: what is in use, and setting it free; the verbs and the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mailbase.control import ControlError
from mailbase.store import StoreError
from mailbase.vocabulary import Action
from policyd import cli
from policyd.control.pausing import pause
from policyd.limits import commands, verbs
from policyd.limits.ledger import PAGE
from policyd.limits.verbs import MAX_FORGOTTEN, LimitVerbs
from tests.unit.awaited import result_of

from ..answering import Daemon

LIMITS = (
    "flows: {inbound: {limits: {"
    "mails: {per: client, of: messages, limit: 10, within: 1h},"
    "net: {per: network, of: messages, limit: 10, within: 1h},"
    "dom: {per: sender_domain, of: messages, limit: 10, within: 1h}}}}"
)


class Socket:
    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.verbs = LimitVerbs(bench.limits, lambda: bench.engine.policy.limits, bench.clock).table()

    def rows(self, verb: str, **arguments: Any) -> list[dict[str, Any]]:
        async def collect() -> list[dict[str, Any]]:
            return [row async for row in self.verbs[verb](arguments)]  # type: ignore[union-attr]

        return self.wait(collect())

    def ask(self, verb: str, **arguments: Any) -> Any:
        return self.wait(self.verbs[verb](arguments))

    def wait(self, coroutine: Any) -> Any:
        return result_of(coroutine, lambda: self.bench.clock.advance(0))


@pytest.fixture
def socket(make_bench: Callable[..., Any]) -> Socket:
    bench = make_bench(LIMITS)
    for number, client in enumerate(("192.0.2.1", "192.0.2.1", "192.0.2.9", "2001:db8:5::1")):
        bench.decide(
            protocol_state="DATA", client_address=client, sender=f"a@{'other' if number else 'first'}.example"
        )
    return Socket(bench)


def test_the_listing_has_every_bucket_in_use(socket: Socket) -> None:
    rows = socket.rows("limits.list")
    now = int(socket.bench.clock.seconds())
    assert {"limit": "inbound.mails", "subject": "192.0.2.1", "of": "messages", "used": 2, "allowed": 10,
            "expires": now + 720} in rows  # fmt: skip
    assert len(rows) == 3 + 2 + 2
    socket.bench.clock.advance(3600)
    assert socket.rows("limits.list") == []


@pytest.mark.parametrize(
    ("term", "subjects"),
    [
        ("192.0.2.1", ["192.0.2.1", "192.0.2.0/24"]),
        ("192.0.2.0/28", ["192.0.2.1", "192.0.2.0/24", "192.0.2.9"]),
        ("2001:db8:5::/48", ["2001:db8:5::1", "2001:db8:5::/64"]),
        ("Other.example", ["other.example"]),
        ("net", ["192.0.2.0/24", "2001:db8:5::/64"]),
        ("inbound.net", ["192.0.2.0/24", "2001:db8:5::/64"]),
        ("nobody", []),
        ("192.0.2", []),
    ],
)
def test_what_a_term_has_in_use(socket: Socket, term: str, subjects: list[str]) -> None:
    assert {row["subject"] for row in socket.rows("limits.show", term=term)} == set(subjects)


def test_setting_free(socket: Socket) -> None:
    assert socket.ask("limits.forget", term="192.0.2.1") == {"forgotten": 2, "more": False}
    assert socket.rows("limits.show", term="192.0.2.1") == []
    assert socket.ask("limits.forget", term="192.0.2.1")["forgotten"] == 0


@pytest.mark.parametrize("verb", ["limits.show", "limits.forget"])
def test_mail_is_decided_while_many_buckets_are_looked_through(
    socket: Socket, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = []
    monkeypatch.setattr(verbs, "pause", lambda clock: pauses.append(clock) or pause(clock))
    for number in range(PAGE):
        client = f"198.18.{number}.1"
        socket.bench.decide(protocol_state="DATA", client_address=client, sender=f"a@{number}.example")
    if verb == "limits.show":
        assert socket.rows(verb, term="nobody") == []
    else:
        assert socket.ask(verb, term="nobody")["forgotten"] == 0
    assert len(pauses) >= 2


def test_a_limit_that_is_gone_is_listed_without_numbers(socket: Socket) -> None:
    socket.verbs = LimitVerbs(socket.bench.limits, tuple, socket.bench.clock).table()
    (row,) = socket.rows("limits.show", term="first.example")
    assert (row["limit"], row["used"]) == ("inbound.dom", None)


def test_what_was_used_before_the_clock_was_set_back_is_not_used(socket: Socket) -> None:
    socket.bench.clock.rightNow -= 86400
    assert {row["used"] for row in socket.rows("limits.list")} == {0}
    decided = socket.bench.decide(protocol_state="DATA", client_address="192.0.2.1", sender="a@other.example")
    assert decided.action is not Action.DEFER
    assert {row["used"] for row in socket.rows("limits.show", term="192.0.2.1")} == {1}


@pytest.mark.parametrize("term", [None, 5, ""])
def test_a_term_is_needed(socket: Socket, term: Any) -> None:
    with pytest.raises(ControlError, match="expected an address, network, user, domain or limit"):
        socket.rows("limits.show", term=term)


@pytest.mark.parametrize("verb", ["limits.show", "limits.forget"])
def test_what_should_be_a_network_is_not_taken_for_unknown(socket: Socket, verb: str) -> None:
    with pytest.raises(ControlError, match=r"first address, 192\.0\.2\.0/24"):
        socket.rows(verb, term="192.0.2.1/24") if verb == "limits.show" else socket.ask(
            verb, term="192.0.2.1/24"
        )


def test_a_store_that_cannot_tell_is_said(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise StoreError("gone")

    monkeypatch.setattr(socket.bench.limits, "forget", fail)
    with pytest.raises(ControlError, match="in part: gone"):
        socket.ask("limits.forget", term="192.0.2.1")
    monkeypatch.setattr(socket.bench.limits, "pages", fail)
    with pytest.raises(ControlError, match="gone"):
        socket.rows("limits.list")


def test_forgetting_is_bounded(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policyd.limits.verbs.MAX_FORGOTTEN", 1)
    assert MAX_FORGOTTEN > 1
    assert socket.ask("limits.forget", term="net") == {"forgotten": 1, "more": True}


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    daemon = Daemon()
    monkeypatch.setattr(commands, "ask", daemon.ask)
    return daemon


@pytest.fixture
def run(config: str) -> Callable[..., int]:
    return lambda *words: cli.main(["limits", *words, "--config", config])


def test_commands_print_what_the_daemon_says(daemon: Daemon, run: Any, capsys: Any) -> None:
    daemon.rows = [{"limit": "submission.few", "subject": "anna", "used": 3, "allowed": 5}]
    assert run("list") == 0
    assert run("show", "anna", "--json") == 0
    assert daemon.asked == [("limits.list", {}), ("limits.show", {"term": "anna"})]
    assert json.loads(capsys.readouterr().out.splitlines()[1])["used"] == 3


def test_nothing_in_use_is_a_negative_answer_to_a_question_after_it(
    daemon: Daemon, run: Any, capsys: Any
) -> None:
    assert (run("list"), run("show", "anna")) == (0, 1)
    assert capsys.readouterr().err == "nothing is in use\n" * 2


def test_the_command_sets_free(daemon: Daemon, run: Any, capsys: Any) -> None:
    daemon.final = {"forgotten": 2, "more": True}
    assert run("forget", "anna") == 0
    assert capsys.readouterr().out == "2 set free; there are more, ask again\n"
    daemon.final = {"forgotten": 0, "more": False}
    assert run("forget", "anna") == 1
