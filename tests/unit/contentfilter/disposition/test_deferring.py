"""Mails that have to wait for their total: who may, what policyd is asked, what follows from its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanResult
from contentfilter.disposition.deferring import MAX_DIGESTED, TIMEOUT, digest
from contentfilter.disposition.disposition import Answer, Deliver
from contentfilter.spool.spool import Spool
from contentfilter.spool.unstuffing import stuffed
from mailbase.control import ControlError

from ..inspecting import AFTER_QUEUE, ID, MACRO, TICKETED, Scene, reply

REGISTRY = """
default_server: mail.inst.example
servers:
  mail.inst.example:
    addresses: [192.0.2.25]
    domains:
      inst.example:
      mild.example: {tag_at: null, defer_at: null, reject_at: null}
      strict.example: {reject_at: 8.5}
      untagged.example: {tag_at: null}
"""


class Policyd:
    """Gives tickets, and says who waits."""

    def __init__(self) -> None:
        self.ticket: dict[str, Any] = {"found": True, "flow": "inbound"}
        self.says: Any = {"why": "waits", "wait": 300}
        self.asked: list[tuple[dict[str, Any], float]] = []

    async def request(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]:
        if verb == "ticket":
            return self.ticket
        self.asked.append((arguments, timeout))
        if isinstance(self.says, Exception):
            raise self.says
        assert isinstance(self.says, dict)
        return self.says


@pytest.fixture
def scene(tmp_path):
    scene = Scene(tmp_path, registry=REGISTRY)
    scene.backends.policyd = scene.policyd = Policyd()  # type: ignore[assignment]
    scene.pool.result = ScanResult(clues=(Clue("url.listed", "", 9.0),))
    return scene


def test_a_middle_total_waits_once_and_is_tagged_then(scene):
    decision, disposition = scene.inspect(TICKETED)
    assert reply(disposition) == (451, "4.7.1")
    assert disposition.reply.text.startswith("This message looks like spam and has to wait, ")
    assert disposition.reply.text.endswith(f"in 300 s https://help.example [{decision}]")
    ((question, timeout),) = scene.policyd.asked
    assert question == {
        "id": ID,
        "client": "203.0.113.9",
        "name": "c.example",
        "sender": "Sender@x.example",
        "digest": question["digest"],
    }
    assert timeout == TIMEOUT
    assert scene.reports[-1].action == "defer"
    scene.policyd.says = {"why": "waited", "wait": 0}
    _, disposition = scene.inspect(TICKETED)
    assert isinstance(disposition, Deliver)
    assert b" tag flow=inbound\r\nX-Postwarden-Flag: YES\r\n" in disposition.header
    assert scene.policyd.asked[1][0] == question
    for why, count in (("waits", 1), ("waited", 1), ("spared", 0), ("unavailable", 0)):
        assert scene.count("contentfilter_deferrals_total", result=why) == count
    for action in ("defer", "tag"):
        assert scene.count("contentfilter_by_points_total", flow="inbound", action=action) == 1


@pytest.mark.parametrize("points", [0.0, 5.0, 7.9])
def test_a_low_total_waits_for_nobody(scene, points):
    scene.pool.result = ScanResult(clues=(Clue("url.listed", "", points),))
    assert isinstance(scene.inspect(TICKETED)[1], Deliver)
    assert scene.policyd.asked == []


def test_a_high_total_is_refused_at_once(scene):
    scene.pool.result = ScanResult(clues=(Clue("url.listed", "", 15.0),))
    decision, disposition = scene.inspect(TICKETED)
    assert reply(disposition) == (554, "5.7.1")
    assert " score=15 clues=url.listed:15 " in scene.output.getvalue()
    assert disposition.reply.text.startswith("This message looks like spam: it links to ")
    assert disposition.reply.text.endswith(f"https://help.example [{decision}]")
    assert scene.policyd.asked == []


@pytest.mark.parametrize(
    "says",
    [
        ControlError("not reachable"),
        {},
        {"why": "waits"},
        {"why": "waits", "wait": "long"},
        {"why": "waits", "wait": 10**12},
        {"why": "spared", "wait": 0},
        {"why": "unavailable", "wait": 0},
    ],
)
def test_without_an_answer_the_mail_goes_on(scene, says):
    scene.policyd.says = says
    _, disposition = scene.inspect(TICKETED)
    assert isinstance(disposition, Deliver)
    assert b" tag " in disposition.header
    why = says.get("why") if isinstance(says, dict) and says.get("wait") == 0 else "unavailable"
    assert scene.count("contentfilter_deferrals_total", result=why) == 1


def test_without_a_ticket_nobody_waits(scene):
    scene.policyd.ticket = {"found": False}
    assert isinstance(scene.inspect(TICKETED)[1], Deliver)
    assert isinstance(scene.inspect()[1], Deliver)
    assert scene.policyd.asked == []


@pytest.mark.parametrize("flow", ["outbound", "submission", "upstream"])
def test_only_mail_of_strangers_waits(scene, flow):
    scene.policyd.ticket["flow"] = flow
    assert isinstance(scene.inspect(TICKETED)[1], Deliver)
    assert scene.policyd.asked == []


def test_what_postfix_has_queued_does_not_wait(scene):
    assert isinstance(scene.inspect(TICKETED, listener=AFTER_QUEUE, lmtp=True)[1], Deliver)
    assert scene.policyd.asked == []


def test_nor_over_smtp(scene):
    assert isinstance(scene.inspect(TICKETED, listener=AFTER_QUEUE)[1], Deliver)
    scene.ident = "4XYZ"
    assert isinstance(scene.inspect(TICKETED)[1], Deliver)
    assert scene.policyd.asked == []


def test_no_mail_waits_that_is_for_abuse_as_well(scene):
    for recipients in (("abuse@inst.example",), ("r@inst.example", "abuse@inst.example")):
        assert isinstance(scene.inspect(TICKETED, recipients=recipients)[1], Deliver)
    assert scene.policyd.asked == []


def test_whom_the_operator_allows_has_no_points(scene):
    scene.policyd.ticket["findings"] = [{"name": "exceptions.allow", "detail": "client:x"}]
    scene.policyd.ticket["points"] = 99
    _, disposition = scene.inspect(TICKETED)
    assert b" accept " in disposition.header
    assert b"Score" not in disposition.header
    assert scene.policyd.asked == []


def test_who_would_not_wait_by_himself_waits_with_the_others(scene):
    _, disposition = scene.inspect(TICKETED, recipients=("r@inst.example", "m@mild.example"))
    assert reply(disposition) == (451, "4.7.1")
    assert len(scene.inspector._splits) == 0
    scene.policyd.says = {"why": "waited", "wait": 0}
    _, disposition = scene.inspect(TICKETED, recipients=("r@inst.example", "m@mild.example"))
    assert isinstance(disposition, Deliver)
    assert not disposition.apart


def test_recipients_with_other_thresholds_come_apart_where_some_are_refused(scene):
    recipients = ("s@strict.example", "m@mild.example")
    _, disposition = scene.inspect(TICKETED, recipients=recipients)
    assert reply(disposition) == (451, "4.5.3")
    # Meanwhile the time of those who have to wait runs.
    assert scene.policyd.asked == []
    _, disposition = scene.inspect(TICKETED, recipients=("s@strict.example", "r@inst.example"))
    assert reply(disposition) == (451, "4.5.3")
    assert len(scene.policyd.asked) == 1
    assert reply(scene.inspect(TICKETED, recipients=("s@strict.example",))[1]) == (554, "5.7.1")


def test_who_wants_no_tag_has_none_after_the_wait(scene):
    scene.policyd.says = {"why": "waited", "wait": 0}
    _, disposition = scene.inspect(TICKETED, recipients=("u@untagged.example",))
    assert b" accept " in disposition.header
    assert b"Flag: NO\r\n" in disposition.header


def test_what_is_found_decides_as_ever(scene):
    scene.pool.result = ScanResult((MACRO,), clues=(Clue("url.listed", "", 9.0),))
    assert reply(scene.inspect(TICKETED)[1]) == (554, "5.7.1")
    assert scene.policyd.asked == []


def test_each_attempt_is_asked_about_by_the_same_digest(scene):
    for _ in range(3):
        assert isinstance(scene.inspect(TICKETED)[1], Answer)
    assert len({question["digest"] for question, _ in scene.policyd.asked}) == 1


# The digest


def spooled(folder: Path, message: bytes) -> str:
    spool = Spool(folder, 1 << 20)
    try:
        spool.write(b"".join(stuffed([message])))
        return digest(spool)
    finally:
        spool.close()


MAIL = b"Message-ID: <1@x.example>\r\nSubject: hi\r\n\r\nbody\r\n.dot\r\n"


@pytest.mark.parametrize(
    "again",
    [
        b"Received: from a by b; now\r\n" + MAIL,
        b"X-Postwarden-Id: 0123456789abc\r\n" + MAIL,
        MAIL.replace(b"Subject: hi", b"Subject: ho"),
        MAIL.replace(b"Message-ID: <", b"message-id:\r\n <"),
        MAIL.replace(b"Message-ID: <", b"MESSAGE-ID:\t<"),
    ],
)
def test_the_same_mail_is_known_again(tmp_path, again):
    assert spooled(tmp_path, again) == spooled(tmp_path, MAIL)


@pytest.mark.parametrize(
    "other",
    [
        MAIL.replace(b"<1@", b"<2@"),
        MAIL.replace(b"Message-ID: <1@x.example>\r\n", b""),
        MAIL.replace(b"body", b"Body"),
        MAIL + b"\r\n",
        MAIL.replace(b"\r\n\r\n", b"\r\n\r\nMessage-ID: <1@x.example>\r\n"),
        b"",
        b"no header at all",
    ],
)
def test_another_mail_is_another(tmp_path, other):
    assert spooled(tmp_path, other) != spooled(tmp_path, MAIL)


def test_a_message_id_in_the_body_is_not_the_mails(tmp_path):
    bare = b"Subject: hi\r\n\r\nMessage-ID: <1@x.example>\r\n"
    assert spooled(tmp_path, bare) == spooled(tmp_path, bare.replace(b"hi", b"ho"))


def test_every_mail_has_a_digest_however_it_is_made(tmp_path):
    seen = set()
    for end in range(len(MAIL) + 1):
        seen.add(spooled(tmp_path, MAIL[:end]))
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in seen)
    long = b"X: y\r\n" * 20_000 + MAIL
    assert spooled(tmp_path, long) == spooled(tmp_path, long)


def test_only_the_beginning_of_a_large_body_is_read_and_its_length_counts(tmp_path):
    body = b"x" * 1000 + b"\r\n"
    large = MAIL + body * (2 * MAX_DIGESTED // len(body))
    tail = large[:-3] + b"y\r\n"
    assert spooled(tmp_path, tail) == spooled(tmp_path, large)
    assert spooled(tmp_path, large + body) != spooled(tmp_path, large)
    assert spooled(tmp_path, large.replace(b"body", b"Body", 1)) != spooled(tmp_path, large)
