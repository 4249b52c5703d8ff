"""What the engine tells of mail in passing: each mail of one's own once, and nothing of strangers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policyd.callout.result import Result
from policyd.evidence.flow import Origin
from policyd.outgoing.measures import Kind, Whose, whose
from policyd.protocol.request import Request

FOREIGN = "x@elsewhere.example"
USER = {"sasl_username": "Ada"}
SYSTEM = {"client_address": "198.51.100.7"}


class Told:
    def __init__(self) -> None:
        self.mails: list[tuple[Whose | None, tuple[str, ...]]] = []
        self.failed: list[Whose | None] = []

    def mailed(self, origin: Origin, request: Request, recipients: tuple[str, ...]) -> None:
        self.mails.append((self._who(origin, request), recipients))

    def unknown(self, origin: Origin, request: Request) -> None:
        self.failed.append(self._who(origin, request))

    @staticmethod
    def _who(origin: Origin, request: Request) -> Whose | None:
        return whose(origin.flow, request.sasl_username, origin.system.text if origin.system else "")


class Servers:
    def ask(self, *_: Any, **__: Any) -> Result:
        return Result.UNKNOWN


@pytest.fixture
def told() -> Told:
    return Told()


def world(make_bench: Callable[..., Any], told: Told, configuration: str = "") -> Any:
    bench = make_bench(configuration)
    bench.callout = Servers()
    bench.restart()
    bench.engine._own = told
    return bench


def send(bench: Any, *recipients: str, **who: str) -> None:
    for recipient in recipients:
        bench.decide(**who, recipient=recipient)
    bench.decide(**who, recipient="", protocol_state="DATA")


def test_a_mail_is_told_once_with_the_recipients_that_were_accepted(
    make_bench: Callable[..., Any], told: Told
) -> None:
    bench = world(make_bench, told)
    send(bench, FOREIGN, "y@elsewhere.example", **USER, instance="1")
    # Postfix asks again after a lost connection, and maybe at two places.
    send(bench, **USER, instance="1")
    send(bench, **USER, instance="1", policy_context="recipient")
    send(bench, FOREIGN, **SYSTEM, instance="2")
    assert told.mails == [
        (Whose(Kind.USER, "ada"), (FOREIGN, "y@elsewhere.example")),
        (Whose(Kind.SYSTEM, "198.51.100.0/24"), (FOREIGN,)),
    ]


def test_without_contentfilter_too(make_bench: Callable[..., Any], told: Told) -> None:
    bench = world(
        make_bench,
        told,
        "policyd: {spf: {received_header: true}}\nflows: {inbound: {checks: {spf: true}}}",
    )
    send(bench, FOREIGN, **USER, instance="1")
    assert len(told.mails) == 1


@pytest.mark.parametrize("who", [{}, {"client_address": "203.0.113.5"}])
def test_strangers_and_relays_are_not_told_of_by_name(
    make_bench: Callable[..., Any], told: Told, who: dict[str, str]
) -> None:
    send(world(make_bench, told), "p@quiet.example", **who, instance="1")
    assert {about for about, _ in told.mails} <= {None}


def test_a_mail_that_is_refused_at_data_is_none(make_bench: Callable[..., Any], told: Told) -> None:
    limit = "flows: {submission: {limits: {few: {per: user, of: messages, limit: 1, within: 1h}}}}"
    bench = world(make_bench, told, limit)
    send(bench, FOREIGN, **USER, instance="1")
    send(bench, **USER, instance="2")
    assert len(told.mails) == 1


def test_a_question_of_the_operator_is_no_mail(make_bench: Callable[..., Any], told: Told) -> None:
    bench = world(make_bench, told)
    bench.engine.query(bench.request(**USER, recipient=FOREIGN, protocol_state="DATA"))
    assert told.mails == []


@pytest.mark.parametrize(
    ("flow", "who", "failed"),
    [
        ("submission", USER, [Whose(Kind.USER, "ada")]),
        ("outbound", SYSTEM, [Whose(Kind.SYSTEM, "198.51.100.0/24")]),
        ("inbound", {}, []),
    ],
)
def test_recipients_that_do_not_exist(
    make_bench: Callable[..., Any], told: Told, flow: str, who: dict[str, str], failed: list[Whose]
) -> None:
    bench = world(make_bench, told, f"flows: {{{flow}: {{callout: true}}}}")
    bench.decide(**who, recipient="nobody@quiet.example", instance="1")
    bench.decide(**who, recipient="nobody@quiet.example", instance="1")
    bench.engine.query(bench.request(**who, recipient="nobody@quiet.example"))
    assert told.failed == failed
