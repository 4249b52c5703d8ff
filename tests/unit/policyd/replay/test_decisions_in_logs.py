"""policyd's own lines, as it writes them and as syslog or journald keep them."""

from __future__ import annotations

import io
from typing import Any

import pytest

from mailbase.logs import Log
from policyd.evidence.facts import Evidence
from policyd.evidence.weights import Weights
from policyd.observability.recorder import Recorder
from policyd.replay.decisions import decision_of, is_pseudonymised, may_be_decision

START = 1_800_000_000.25


def written(bench: Any, style: str = "kv", key: bytes | None = None, **attributes: str) -> str:
    """The line that a decision leaves in the log."""
    stream = io.StringIO()
    log = Log("policyd", style=style, stream=stream, now=lambda: START, pseudonym_key=key)  # type: ignore[arg-type]
    request = bench.request(**attributes)
    decision = bench.engine.decide(request)
    if "helo_name" in attributes:
        weights = Weights({"fcrdns": {"no-ptr": 2.0}, "helo": {"not-fqdn": 1.5}}, {}, frozenset({"helo"}))
        decision.weighed = weights.weigh((Evidence("fcrdns", "no-ptr"), Evidence("helo", "not-fqdn", "x")))
    Recorder(log, bench.metrics).decision(request, decision, 0.25)
    return stream.getvalue().rstrip("\n")


PREFIXES = (
    "",
    "Nov 26 20:53:17 mx policyd[17400]: ",
    "2026-11-26T20:53:17.123456+01:00 mx policyd[17400]: ",
)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("style", ["kv", "json"])
def test_a_line_gives_back_what_was_decided(bench: Any, style: str, prefix: str) -> None:
    line = prefix + written(bench, style, sender='odd "name"@sender.example')
    assert may_be_decision(line)
    recorded = decision_of(line)
    assert recorded is not None
    # The stamp has milliseconds, and was written a quarter of a second after the request.
    assert recorded.time == pytest.approx(START - 0.25, abs=0.001)
    request = recorded.request
    assert request.stage == "RCPT"
    assert request.client_address == "192.0.2.1"
    assert request.client_name == request.reverse_client_name == "mail.sender.example"
    assert request.sender == 'odd "name"@sender.example'
    assert request.recipient == "person@inst.example"
    assert recorded.answer is not None
    assert (recorded.answer.action, recorded.answer.reason) == ("defer", "greylist-new")
    assert len(recorded.answer.id) == 13
    assert recorded.evidence is None


@pytest.mark.parametrize("style", ["kv", "json"])
def test_evidence_is_in_the_line(bench: Any, style: str) -> None:
    recorded = decision_of(written(bench, style, helo_name="x"))
    assert recorded is not None
    assert recorded.request.get("helo_name") == "x"
    # Of a shadow too; what it is worth is for the configuration to say.
    assert recorded.evidence == (Evidence("fcrdns", "no-ptr"), Evidence("helo", "not-fqdn"))


def test_nobody_and_nothing(bench: Any) -> None:
    recorded = decision_of(written(bench, sender="", protocol_state="DATA", recipient=""))
    assert recorded is not None
    assert (recorded.request.sender, recorded.request.recipient) == ("", "")
    assert recorded.request.stage == "DATA"


def test_a_users_mail_stays_a_users(bench: Any) -> None:
    recorded = decision_of(written(bench, sasl_username="ada"))
    assert recorded is not None
    assert recorded.request.sasl_username


def test_hashes_are_known_for_what_they_are(bench: Any) -> None:
    hashed = decision_of(written(bench, key=b"secret"))
    plain = decision_of(written(bench))
    assert hashed is not None
    assert plain is not None
    assert is_pseudonymised(hashed)
    assert not is_pseudonymised(plain)


@pytest.mark.parametrize(
    "line",
    [
        "x policyd info event=decision ",
        "2026-11-26T20:53:17.123Z policyd info event=decision stage=RCPT",
        "2026-99-26T20:53:17.123Z policyd info event=decision stage=RCPT action=accept",
        "2026-11-26T20:53:17.123Z policyd info event=decision stage=RCPT action=explode",
        "2026-11-26T20:53:17.123Z policyd info event=decision stage=RCPT action=accept seconds=x",
        '{"time":"2026-11-26T20:53:17.123Z","component":"policyd","event":"decision"',
        '{"component":"policyd","event":"decision","time":5,"stage":"RCPT","action":"accept"}',
        '{"component":"policyd","event":"decision"} ' + "[" * 100_000,
    ],
)
def test_damaged_lines_are_none(line: str) -> None:
    assert may_be_decision(line)
    assert decision_of(line) is None


def test_other_lines_are_not_tried() -> None:
    for line in (
        "2026-11-26T20:52:58.423Z policyd info event=listening at=127.0.0.1:52367",
        '{"component":"policyd","event":"ready"}',
        "Nov 26 20:53:17 mx postfix/smtpd[17987]: connect from localhost[127.0.0.1]",
    ):
        assert not may_be_decision(line)
