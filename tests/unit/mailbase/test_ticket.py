"""The ticket survives the way between the daemons, and nothing else passes for one."""

import json

import pytest

from mailbase.ticket import Ticket
from mailbase.vocabulary import Finding, Flow

TICKET = Ticket(
    id="0123456789abc",
    flow=Flow.INBOUND,
    client="192.0.2.1",
    sender="joe@example.org",
    recipients=("a@inst.example",),
    findings=(Finding("spf-fail", "", "example.org"),),
    points=1.5,
    system="192.0.2.0/28",
)


def test_it_survives_the_control_socket():
    assert Ticket.from_dict(json.loads(json.dumps(TICKET.to_dict()))) == TICKET


def test_unknown_keys_are_ignored():
    assert Ticket.from_dict({**TICKET.to_dict(), "later": 1}) == TICKET


@pytest.mark.parametrize(
    "change",
    [
        {"flow": "sideways"},
        {"id": 5},
        {"recipients": [1]},
        {"findings": ["x"]},
        {"points": "many"},
        {"recipients": 3},
        {"system": 5},
    ],
)
def test_what_is_no_ticket_is_refused(change):
    with pytest.raises(ValueError, match=r"ticket|Flow|float"):
        Ticket.from_dict({**TICKET.to_dict(), **change})


def test_a_missing_field_is_refused():
    with pytest.raises(ValueError, match="not a ticket"):
        Ticket.from_dict({"id": "x"})
