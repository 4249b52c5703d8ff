"""What stands in a reply: our words, the operator's, and nothing that could break it."""

from __future__ import annotations

from typing import Any

import pytest

from mailbase.config import ConfigError, loads
from mailbase.vocabulary import Action
from policyd.engine.texts import Texts
from policyd.engine.verdict import Verdict
from policyd.protocol.delegation import encode
from policyd.protocol.request import request_of

REQUEST = request_of(
    {
        "client_address": "192.0.2.1",
        "client_name": "unknown",
        "helo_name": "{id} \u00e4\x07",
        "sender": "",
        "recipient": "x" * 900 + "@inst.example",
    }
)
GREY = Verdict(Action.DEFER, "DEFER_IF_PERMIT 4.2.0 Greylisted, try again in 60 s", "greylist-new", 60)
NO_PTR = Verdict(Action.REJECT, "554 5.7.1 Refused: no PTR", "fcrdns-no-ptr")


@pytest.mark.parametrize(
    ("contact", "own", "verdict", "reply"),
    [
        ("", {}, GREY, "DEFER_IF_PERMIT 4.2.0 Greylisted, try again in 60 s [abc]"),
        ("https://x/{id}", {}, NO_PTR, "554 5.7.1 Refused: no PTR [abc] https://x/abc"),
        ("", {"greylist": "{wait} s, {id}"}, GREY, "DEFER_IF_PERMIT 4.2.0 60 s, abc"),
        ("", {"greylist": "a", "greylist-new": "b"}, GREY, "DEFER_IF_PERMIT 4.2.0 b"),
        ("", {"greylist": "a"}, NO_PTR, "554 5.7.1 Refused: no PTR [abc]"),
        ("c", {"fcrdns": "{text} {contact}"}, NO_PTR, "554 5.7.1 Refused: no PTR c"),
        ("", {"points": "a"}, NO_PTR, "554 5.7.1 a"),
        ("", {"points": "a", "fcrdns": "b"}, NO_PTR, "554 5.7.1 b"),
        ("", {"points": "a"}, GREY, "DEFER_IF_PERMIT 4.2.0 Greylisted, try again in 60 s [abc]"),
        ("", {"fcrdns": "{sender} {client} {client_name}"}, NO_PTR, "554 5.7.1 <> 192.0.2.1 unknown"),
        ("", {"greylist": "a"}, Verdict(Action.ACCEPT, "DUNNO", "greylist-known"), "DUNNO"),
    ],
)
def test_replies(contact: str, own: dict[str, str], verdict: Verdict, reply: str) -> None:
    assert Texts(contact, own).reply(verdict, "abc", REQUEST) == reply


def test_foreign_text_is_bounded_and_is_no_placeholder_itself() -> None:
    reply = Texts("", {"fcrdns": "{recipient} {helo} [{id}]"}).reply(NO_PTR, "abc", REQUEST)
    assert reply.endswith("... {id} ?? [abc]")
    assert len(reply) < 150
    assert encode(reply).count(b"\n") == 2


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ("{fcrdns-no-prt: x}", "fcrdns states no such fact.*no-ptr"),
        ("{dnsbl-bl: x, spf-helo-fail: x, greylits: x}", "expected a check, or a reason"),
        ("{greylits: x}", "expected a check, or a reason from the log such as greylist-new"),
        ("{greylist: '{when}'}", "expected one of the placeholders client, .* got {when}"),
        ("{greylist: '{id!r}'}", "expected one of the placeholders"),
        ("{greylist: '{id'}", "expected placeholders such as {id}"),
        ('{greylist: "a\\nb"}', "printable ASCII"),
    ],
)
def test_texts_that_cannot_be(replies: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loads(f"policyd: {{replies: {replies}}}")


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("dnsbl-bl", None),
        ("dnsbl-bl.sbl", None),
        ("dnsbl", None),
        ("rate-daily", None),
        ("dnsbl-lb", "no list of kind dnsbl in policyd.lists has this name"),
        ("rhsbl-bl", "no list of kind rhsbl in policyd.lists has this name"),
        ("rate-dialy", "no flow has a limit of this name.*daily"),
    ],
)
def test_a_text_for_what_never_decides_is_a_mistake(reason: str, message: str | None) -> None:
    text = (
        "policyd: {lists: {bl: {kind: dnsbl, zone: bl.example, codes: {sbl: 127.0.0.2}}}, "
        f"replies: {{{reason}: x}}}}\n"
        "flows: {inbound: {limits: {daily: {per: client, of: messages, limit: 5, within: 1d}}}}"
    )
    if message is None:
        loads(text)
        return
    with pytest.raises(ConfigError, match=rf"policyd\.replies\.{reason}: {message}"):
        loads(text)


def test_texts_come_from_the_configuration(make_bench: Any) -> None:
    bench = make_bench("policyd: {replies: {greylist-new: 'Wait {wait} s, {id}'}}")
    decision = bench.decide()
    assert decision.reply == f"DEFER_IF_PERMIT 4.2.0 Wait 300 s, {decision.id}"
