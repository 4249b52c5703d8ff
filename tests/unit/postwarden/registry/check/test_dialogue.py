"""What follows from a dialogue with a registered server."""

from __future__ import annotations

import pytest

from policyd.callout.conversation import Outcome
from policyd.callout.servers import Place
from postwarden.registry.check.certificate import Certificate
from postwarden.registry.check.finding import Check, Severity
from postwarden.registry.check.server import SIZE, SOON, judge_connection

from .looked_at import GOOD, NOW, SERVER, TLS


def connection(outcome: Outcome, certificate: Certificate | None = None) -> list[tuple[Check, Severity, str]]:
    findings = judge_connection(SERVER, Place("192.0.2.25", 25), outcome, certificate, NOW)
    return [(one.check, one.severity, one.found) for one in findings]


def test_a_server_in_order() -> None:
    assert connection(Outcome(keywords=TLS, tls=True), GOOD) == []


@pytest.mark.parametrize("size", [("0",), (), ("104857600",), (str(SIZE), "X"), ("1" * 30,), ("x",)])
def test_sizes_that_are_enough_or_say_nothing(size: tuple[str, ...]) -> None:
    assert connection(Outcome(keywords={"SIZE": size}, tls=True), GOOD) == []


@pytest.mark.parametrize(
    ("outcome", "certificate", "check", "severity", "found"),
    [
        (
            Outcome(failure="timed out", stage="banner"),
            None,
            "connection",
            "error",
            "no SMTP: timed out (at banner)",
        ),
        (
            Outcome(keywords={"SIZE": ("10485760",)}, tls=True),
            GOOD,
            "size",
            "error",
            "takes messages up to 10485760",
        ),
        (Outcome(tls=True), GOOD, "size", "warning", "SIZE is not announced"),
        (Outcome(keywords=TLS), None, "starttls", "warning", "STARTTLS is not offered"),
        (
            Outcome(keywords={**TLS, "STARTTLS": ()}),
            None,
            "starttls",
            "warning",
            "STARTTLS is offered and refused",
        ),
        (
            Outcome(failure="lost", handshake_failed=True),
            None,
            "starttls",
            "warning",
            "TLS comes to nothing: lost",
        ),
        (
            Outcome(keywords=TLS, tls=True),
            Certificate(0, NOW + SOON, False),
            "certificate",
            "warning",
            "is for another",
        ),
        (
            Outcome(keywords=TLS, tls=True),
            Certificate(0, NOW, True),
            "certificate",
            "warning",
            "ended 2027-01-15",
        ),
        (
            Outcome(keywords=TLS, tls=True),
            Certificate(0, NOW + SOON, True),
            "certificate",
            "warning",
            "ends 2027-01-29",
        ),
        (
            Outcome(keywords=TLS, tls=True),
            Certificate(NOW + 86400, NOW + 9e6, True),
            "certificate",
            "warning",
            "begins 2027-01-16",
        ),
        (
            Outcome(keywords=TLS, tls=True),
            Certificate(0, NOW + 9e6, True, "its issuer is not trusted here"),
            "certificate",
            "warning",
            "not trusted: its issuer",
        ),
    ],
)
def test_a_server_that_is_not(
    outcome: Outcome, certificate: Certificate | None, check: str, severity: str, found: str
) -> None:
    first, *_ = connection(outcome, certificate)
    assert first[:2] == (check, severity)
    assert found in first[2]
