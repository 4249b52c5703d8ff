"""What a domain's MX records must be."""

from __future__ import annotations

from typing import Any

import pytest

from mailbase.dns.answers import Found, Mx, NoData, NxDomain, Temporary
from postwarden.registry.check import mx
from postwarden.registry.check.finding import Severity

from .looked_at import SERVER

RELAYS = ("mx1.gate.example", "mx2.gate.example")


def judged(*records: tuple[int, str]) -> list[str]:
    answer = Found(tuple(Mx(*record) for record in records), 300.0, "inst.example")
    return [f"{one.severity}: {one.found}" for one in mx.judge(SERVER, "inst.example", answer, RELAYS)]


@pytest.mark.parametrize(
    "records",
    [
        [(10, "mx1.gate.example"), (10, "mx2.gate.example")],
        [(0, "mx2.gate.example"), (0, "mx1.gate.example")],
        [(10, "mail.inst.example")],
        [(10, "mail.inst.example"), (20, "mail2.inst.example")],
    ],
)
def test_mx_records_that_are_right(records: list[tuple[int, str]]) -> None:
    assert judged(*records) == []


@pytest.mark.parametrize(
    ("records", "found"),
    [
        (
            [(10, RELAYS[0]), (10, RELAYS[1]), (20, "mail.inst.example")],
            ["warning: leads to mail.inst.example as well, behind the relays: mail gets around the gateway"],
        ),
        (
            [(10, RELAYS[0]), (10, RELAYS[1]), (10, "mail.inst.example")],
            ["error: mail.inst.example is preferred to a relay, or its equal"],
        ),
        ([(10, RELAYS[0])], ["error: does not lead to mx2.gate.example"]),
        (
            [(10, RELAYS[0]), (20, RELAYS[1])],
            ["error: the relays have different preferences: 10 mx1.gate.example, 20 mx2.gate.example"],
        ),
        ([(10, "mail2.inst.example")], ["error: leads to the backup mail2.inst.example alone"]),
        ([(10, "spam.example")], ["error: leads to spam.example"]),
        (
            [(10, RELAYS[0]), (10, RELAYS[1]), (5, "old.example"), (99, "older.example")],
            ["error: leads to old.example, older.example"],
        ),
        ([(0, "")], ["error: leads to ."]),
        # The lower one of two records for the same host counts.
        (
            [(10, RELAYS[0]), (10, RELAYS[1]), (30, "mail.inst.example"), (5, "mail.inst.example")],
            ["error: mail.inst.example is preferred to a relay, or its equal"],
        ),
    ],
)
def test_mx_records_that_are_wrong(records: list[tuple[int, str]], found: list[str]) -> None:
    assert judged(*records) == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (NoData(), "no MX record"),
        (NxDomain(), "the name is not in DNS"),
        (Temporary(), "DNS could not tell (temporary)"),
    ],
)
def test_without_mx_records(answer: Any, found: str) -> None:
    (finding,) = mx.judge(SERVER, "inst.example", answer, RELAYS)
    assert (finding.found, finding.severity) == (found, Severity.ERROR)
    if found == "no MX record":
        assert finding.change == (
            "set inst.example. MX 10 mx1.gate.example., inst.example. MX 10 mx2.gate.example."
        )
