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
    facts=("spf.fail:2.5", "(helo.not-fqdn:1.5)"),
    greylisting="waited",
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
        {"facts": [1]},
        {"facts": 7},
    ],
)
def test_what_is_no_ticket_is_refused(change):
    with pytest.raises(ValueError, match=r"ticket|Flow|float"):
        Ticket.from_dict({**TICKET.to_dict(), **change})


def test_a_ticket_of_an_older_policyd_says_nothing_of_facts_and_greylisting():
    older = {name: value for name, value in TICKET.to_dict().items() if name not in ("facts", "greylisting")}
    ticket = Ticket.from_dict(older)
    assert (ticket.points, ticket.facts, ticket.greylisting) == (1.5, (), "")


@pytest.mark.parametrize("word", ["held", 7, None, ["waited"]])
def test_what_a_newer_policyd_says_of_greylisting_leads_to_no_second_wait(word):
    assert Ticket.from_dict({**TICKET.to_dict(), "greylisting": word}).greylisting == "spared"


def test_a_missing_field_is_refused():
    with pytest.raises(ValueError, match="not a ticket"):
        Ticket.from_dict({"id": "x"})
