"""What an operator may ask after, and what is found."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from mailbase.logs import Log
from mailbase.report import Content, ContentFact
from mailbase.vocabulary import Action
from policyd.journal import finding
from policyd.journal.masks import Masks
from policyd.journal.search import search_for

CONTENT = Content(
    flow="inbound",
    cause="ole-object:2/a.docm(x)",
    actions=["tag 1"],
    facts=[ContentFact(kind="finding", name="ole-object", part="2/a.docm", detail="in a.docm")],
    parts=3,
    seconds={"workers": 0.4, "total": 0.5},
)


def secret() -> Callable[[str], str]:
    return Log("policyd", stream=io.StringIO(), pseudonym_key=b"key").pseudonym


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("192.0.2.1", [0]),
        ("::ffff:192.0.2.1", [0]),
        ("192.0.2.0/24", [0, 1]),
        ("192.0.2.0/31", [0]),
        ("0.0.0.0/0", [0, 1, 3]),
        ("2001:db8::/32", [2]),
        ("2001:DB8::5", [2]),
        ("::/0", [2]),
        ("10.0.0.0/8", []),
        ("a@x.example", [0]),
        ("A@X.Example", [0]),
        ("p@inst.example", [0, 2]),
        ("x.example", [0, 1]),
        ("X.EXAMPLE.", [0, 1]),
        ("@x.example", [0, 1]),
        ("inst.example", [0, 1, 2]),
        ("bücher.example", [2]),
        ("sub.x.example", []),
        ("ple", []),
        ("ada", [1]),
        ("ADA", [1]),
        ("ada.l@login.example", [2]),
        ("4XyzQUEUE1", [1]),
        ("4xyzqueue1", []),
        ("d/inst@x400.example", [3]),
        ("inst/eve", [3]),
    ],
)
def test_what_is_found(desk: Any, term: str, found: list[int]) -> None:
    first = desk.note(client_address="192.0.2.1", sender="a@x.example", recipient="p@inst.example")
    second = desk.note(
        client_address="192.0.2.3",
        sender="b@x.example",
        recipient="q@inst.example",
        sasl_username="ada",
        queue_id="4XyzQUEUE1",
    )
    third = desk.note(
        client_address="2001:db8::5",
        sender="c@bücher.example",
        recipient="P@inst.example",
        sasl_username="ada.l@login.example",
    )
    fourth = desk.note(
        client_address="198.51.100.9",
        sender="d/INST@x400.example",
        recipient="r@other.example",
        sasl_username="inst/eve",
    )
    assert desk.ids(term) == [[first, second, third, fourth][place].id for place in found]


@pytest.mark.parametrize("term", ["", " ", "x" * 400, "a\nb", "a\0b", "192.0.2.1/24", "192.0.2.0/33"])
def test_what_cannot_be_understood(desk: Any, term: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        desk.explain(term)


@pytest.mark.parametrize(
    "term", ["%", "_", "'", '"; DROP TABLE decisions; --', "*", "\ud800", "☃", "<>", "@", "a b@x.example"]
)
def test_hostile_terms_find_nothing_and_do_no_harm(desk: Any, term: str) -> None:
    decision = desk.note(recipient="a b@x.example" if " b@" in term else "p@inst.example")
    if "\ud800" not in term:
        found = desk.ids(term)
        assert found == ([decision.id] if " b@" in term else [])
    assert desk.ids(decision.id) == [decision.id]


def test_odd_addresses_are_found_as_they_are(desk: Any) -> None:
    for recipient in (
        "postmaster",
        '"a b"@x.example',
        "no.at.sign",
        "a@[192.0.2.1]",
        "x" * 400 + "@x.example",
    ):
        decision = desk.note(recipient=recipient, sender="")
        assert desk.ids(decision.id) == [decision.id]
    assert len(desk.ids("x.example")) == 2


def test_an_id_leads_to_the_whole_mail_and_in_capitals_too(desk: Any) -> None:
    mails = [
        desk.note(instance="i", recipient="a@inst.example"),
        desk.note(instance="i", recipient="b@inst.example", queue_id="QID12345"),
        desk.note(instance="j", recipient="c@inst.example"),
        desk.note(instance="i", protocol_state="DATA", recipient="", queue_id="QID12345"),
        desk.note(instance=""),
        desk.note(instance=""),
    ]
    ids = [mail.id for mail in mails]
    whole = [ids[0], ids[1], ids[3]]
    assert desk.ids(ids[0]) == desk.ids(ids[3].upper()) == desk.ids("QID12345") == whole
    assert desk.ids(ids[2]) == [ids[2]]
    assert desk.ids(ids[4]) == [ids[4]]


def test_a_mail_to_many_is_told_whole_and_never_without_what_is_asked_after(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [desk.note(instance="i", recipient=f"r{number}@inst.example").id for number in range(30)]
    assert desk.ids(ids[0], 5) == ids
    monkeypatch.setattr(finding, "MAX_OF_THEM", 10)
    assert desk.ids(ids[0], 5) == [ids[0], *ids[-10:]]


def test_a_queue_id_that_is_used_again_shows_both_mails(desk: Any) -> None:
    first = desk.note(instance="i", queue_id="8E32021845")
    second = desk.note(instance="j", queue_id="8E32021845")
    assert desk.ids("8E32021845") == [first.id, second.id]


def test_what_became_of_the_mail_stands_with_it(desk: Any) -> None:
    rcpt = desk.note(Action.ACCEPT, instance="i")
    data = desk.note(Action.ACCEPT, instance="i", protocol_state="DATA", recipient="")
    desk.clock.advance(1.0)
    desk.journal.outcome(
        data.id,
        "accept",
        reply="250 Ok",
        queue_id="9F00AA11",
        findings=("ole-object",),
        seconds=0.5,
        content=CONTENT,
    )
    outcome = {
        "kind": "outcome",
        "time": desk.clock.seconds(),
        "id": data.id,
        "queue_id": "9F00AA11",
        "action": "accept",
        "reply": "250 Ok",
        "findings": ["ole-object"],
        "seconds": 0.5,
        "content": CONTENT,
    }
    for term in (rcpt.id, data.id, "9F00AA11", "192.0.2.1"):
        told = desk.explain(term)
        assert [one["id"] for one in told] == [rcpt.id, data.id, data.id]
        assert told[-1] == outcome


def test_the_latest_are_given(desk: Any) -> None:
    ids = [desk.note().id for _ in range(30)]
    for term in ("192.0.2.1", "192.0.2.0/24", "inst.example", "person@inst.example"):
        assert desk.ids(term, 7) == ids[-7:]


def test_all_that_waits_is_found_however_low_the_rate(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(rate=1)
    ids = [desk.note().id for _ in range(50)]
    assert desk.ids("192.0.2.1") == ids


def test_the_latest_of_very_many_are_given(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MANY", 10)
    ids = [desk.note(client_address=f"192.0.2.{number}").id for number in range(30)]
    for term in ("192.0.2.0/24", "inst.example"):
        assert desk.ids(term, 7) == ids[-7:]


def test_a_search_that_takes_too_long_is_given_up(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(20):
        desk.note()
    monkeypatch.setattr(finding, "SEARCH_SECONDS", -1.0)
    monkeypatch.setattr(finding, "STEPS", 1)
    with pytest.raises(ValueError, match="takes too long"):
        desk.explain("192.0.2.0/24")
    monkeypatch.setattr(finding, "SEARCH_SECONDS", 10.0)
    assert len(desk.ids("192.0.2.0/24")) == 20


def test_every_search_uses_an_index(desk: Any) -> None:
    desk.note()
    desk.pass_time(1.0)
    plans: list[str] = []
    connection = desk.file._connection
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    for term in ("192.0.2.1", "192.0.2.0/24", "a@x.example", "x.example", "ada", "0000000000001", "QID12345"):
        desk.explain(term)
    connection.set_trace_callback(None)
    for statement in statements:
        if statement.startswith("SELECT"):
            plans += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN") and "CONSTANT" not in plan]
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]


def test_names_of_attachments_are_personal_too(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(pseudonym=secret())
    data = desk.note(Action.REJECT, protocol_state="DATA", recipient="")
    desk.journal.outcome(data.id, "reject", reply="554 a.docm", content=CONTENT)
    told = desk.explain(data.id)[-1]
    assert "a.docm" not in json.dumps(told)
    assert told["content"]["facts"] == [{**CONTENT["facts"][0], "part": "", "detail": ""}]
    assert told["content"]["seconds"] == CONTENT["seconds"]


def test_pseudonyms_are_kept_in_place_of_people(make_desk: Callable[..., Any]) -> None:
    pseudonym = secret()
    desk = make_desk(pseudonym=pseudonym)
    decision = desk.note(sasl_username="Ada", sender="Some.One@sender.example")
    (told,) = desk.explain(decision.id)
    assert told["client"] == pseudonym("192.0.2.1")
    assert told["client_name"] == pseudonym("mail.sender.example")
    assert told["helo"] == pseudonym("helo.sender.example")
    assert told["user"] == pseudonym("ada")
    assert told["sender"] == pseudonym("some.one@sender.example")
    assert told["recipient"] == pseudonym("person@inst.example")
    assert (told["reply"], told["pseudonymised"]) == ("", True)
    assert told["facts"][0] == {"check": "relay", "fact": "served", "reason": "registered-domain"}
    desk.journal.close()
    content = b"".join(file.read_bytes() for file in desk.path.parent.glob("journal.sqlite*"))
    for personal in (
        b"sender.example",
        b"inst.example",
        b"192.0.2",
        b"\xc0\x00\x02\x01",
        b"some.one",
        b"ada",
    ):
        assert personal not in content.lower()


@pytest.mark.parametrize(
    "term", ["192.0.2.1", "Some.One@sender.example", "sender.example", "person@inst.example", "ADA"]
)
def test_pseudonyms_are_found_by_what_they_stand_for(make_desk: Callable[..., Any], term: str) -> None:
    desk = make_desk(pseudonym=secret())
    decision = desk.note(sasl_username="Ada", sender="some.one@Sender.example")
    desk.note(client_address="192.0.2.2", sender="b@other.example", recipient="q@other.example")
    assert desk.ids(term) == [decision.id]


def test_networks_of_pseudonyms_cannot_be_found() -> None:
    with pytest.raises(ValueError, match="only single addresses"):
        search_for("192.0.2.0/24", Masks(secret()))


def test_details_of_facts_are_left_out_with_pseudonyms(make_desk: Callable[..., Any]) -> None:
    from policyd.evidence.facts import Effect, ExceptionFact, Named

    desk = make_desk(pseudonym=secret())
    decision = desk.note()
    decision.facts = (ExceptionFact(Effect.DENY, Named.SENDER, "someone@sender.example"),)
    (told,) = desk.explain(decision.id)
    assert told["facts"] == [{"check": "exceptions", "fact": "deny", "named": "sender"}]
