"""Rspamd and spamd as engines: connections, probes, failover, deadlines, and what becomes of a score."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from contentfilter.assessing import Assessment, Mail
from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.endpoint import IDLE
from contentfilter.origin.received import Hop
from contentfilter.session.envelope import Client, Envelope, Path
from contentfilter.spamengines.assessor import SpamEngine, question
from contentfilter.spamengines.dialects import points
from contentfilter.spamengines.opinion import Opinion
from contentfilter.spamengines.question import Asked
from contentfilter.spool.spool import Spool
from mailbase.ticket import Ticket
from mailbase.vocabulary import Flow

from ..enginedoubles import Message
from ..spamdoubles import HAM, Scene, Settings, http, spamd

BOTH = pytest.mark.parametrize("name", ["rspamd", "spamassassin"])


def reasons(scene: Scene) -> list[str]:
    return [result.reason for result in scene.results if isinstance(result, ScanFailed)]


def score(scene: Scene) -> Clue:
    (result,) = scene.results
    (clue,) = result.clues
    assert isinstance(clue, Clue)
    return clue


# A score


@BOTH
def test_its_score_becomes_a_clue_with_points(name):
    scene = Scene(name, factor=0.5)
    scene.ask(b"Subject: x\r\n\r\nbody\r\n")
    clue = score(scene)
    assert (clue.name, clue.points, clue.shadow) == (f"{name}.score", 0.75, False)
    assert clue.detail.startswith("1.5 of ")
    (heard,) = scene[0].heard
    assert heard.endswith(b"\r\n\r\nSubject: x\r\n\r\nbody\r\n")


@pytest.mark.parametrize(
    ("its", "ours"),
    [(0.0, 0.0), (3.0, 1.5), (16.0, 8.0), (17.0, 8.0), (1e9, 8.0), (-4.0, -2.0), (-99.0, -2.0)],
)
def test_points_are_the_score_times_the_factor_within_bounds(its, ours):
    assert points(Opinion(its), Settings(factor=0.5)) == ours


def test_what_it_would_do_with_the_mail_is_told_and_nothing_else():
    scene = Scene()
    body = {
        "score": 0.5,
        "required_score": 15,
        "action": "soft reject",
        "symbols": {"GREYLIST": {"score": 0}},
    }
    scene[0].says = lambda _: http(json.dumps(body).encode())
    scene.ask()
    assert scene.results == [
        ScanResult(clues=(Clue("rspamd.score", "0.5 of 15, soft reject: GREYLIST 0", 0.5),))
    ]


# Connections


def test_a_connection_that_rspamd_keeps_is_used_for_the_next_mail_and_closed_when_there_is_none():
    scene = Scene()
    scene[0].keeps = True
    scene[0].says = lambda _: http(HAM, close=False)
    for _ in range(3):
        scene.ask()
    (connection,) = scene[0].connections
    assert connection.open
    assert len(scene[0].heard) == 3
    scene.pass_time(IDLE + 1, 1)
    assert not connection.open
    assert not scene.reactor.getDelayedCalls()


@BOTH
def test_an_engine_that_closes_after_each_answer_is_as_good(name):
    scene = Scene(name)
    for _ in range(3):
        scene.ask()
    assert len(scene.results) == 3
    assert not reasons(scene)
    assert len(scene[0].connections) == 3
    assert not any(connection.open for connection in scene[0].connections)
    assert scene.engine.seats[0].usable


def test_spamd_is_told_that_nothing_follows_and_rspamd_is_not():
    for name, finished in (("spamassassin", True), ("rspamd", False)):
        scene = Scene(name)
        scene.ask()
        assert scene[0].connections[0].finished is finished


def test_reads_no_further_than_it_takes():
    scene = Scene()
    scene[0].says = None
    message = Message(*[b"x" * 65_536] * 50)
    Deferred.fromCoroutine(scene.engine.scan(Asked(message)))
    scene.settle()
    assert scene.results == []
    assert message.size > 1 << 20 or message.read <= 2


@BOTH
def test_what_nobody_asked_for_ends_the_connection(name):
    scene = Scene(name)
    scene[0].says = None
    scene.ask()
    (connection,) = scene[0].connections
    connection.protocol.dataReceived(http(HAM) if name == "rspamd" else spamd())
    assert not connection.open
    scene[0].there = False
    scene.pass_time(30, 0.5)
    assert reasons(scene)


def test_an_error_before_the_end_of_a_large_mail_is_told_in_its_words():
    scene = Scene(wait=0.0)
    scene[0].says = None
    scene.ask(*[b"x" * 65_536] * 10)
    connection = scene[0].connections[0]
    scene[0].there = False
    connection.protocol.dataReceived(http(b"", b"413 Too large"))
    scene.pass_time(1)
    assert "413 Too large" in scene.output.getvalue()


# Trouble


@BOTH
@pytest.mark.parametrize("what", ["refuses", "closes", "garbage", "error", "silence"])
def test_one_in_trouble_costs_no_opinion(name, what):
    scene = Scene(name, 2)
    answers = {"garbage": b"220 mail.example ESMTP\r\n\r\n", "silence": b"", "closes": b""}
    answers["error"] = http(b"{}", b"500 no") if name == "rspamd" else b"SPAMD/1.0 70 no\r\n"
    if what == "refuses":
        scene[0].there = False
    elif what == "closes":
        scene[0].says = None
    else:
        scene[0].says = lambda _: answers[what]
    scene.ask()
    if what == "closes":
        scene[0].connections[0].close()
    scene.pass_time(6, 0.5)
    assert score(scene).points == 1.5
    assert len(scene[1].heard) == 1


@BOTH
def test_one_that_says_nothing_at_all_is_given_up_in_time(name):
    scene = Scene(name, timeout=10.0)
    scene[0].says, scene[0].pong = (lambda _: b""), b""
    scene.ask()
    scene.pass_time(9.9, 0.1)
    assert scene.results == []
    scene.pass_time(0.2, 0.1)
    assert reasons(scene) == ["timed-out"]


@BOTH
def test_while_none_is_there_mail_waits_but_not_for_ever(name):
    scene = Scene(name, wait=5.0)
    scene[0].there = False
    scene.ask()
    scene.pass_time(6, 0.25)
    assert reasons(scene) == ["unavailable"]
    scene.ask()
    assert reasons(scene) == ["unavailable"] * 2
    scene[0].there = True
    scene.pass_time(3, 0.25)
    scene.ask()
    assert len(reasons(scene)) == 2
    assert "engine-down" in scene.output.getvalue()
    assert "engine-answers" in scene.output.getvalue()


@BOTH
def test_what_is_another_server_gets_no_mail(name):
    scene = Scene(name, wait=0.0)
    scene[0].pong = http(b"hello") if name == "rspamd" else b"SPAMD/1.5 0 EX_OK\r\n"
    scene.engine.start()
    scene.settle()
    scene.ask()
    assert reasons(scene) == ["unavailable"]
    assert scene[0].heard == []


def test_that_spamd_had_no_time_is_told():
    scene = Scene("spamassassin")
    scene[0].says = lambda _: b"SPAMD/1.0 79 Timeout: (30 second timeout)\r\n"
    scene.ask()
    scene.pass_time(4, 0.25)
    assert reasons(scene) == ["timed-out"]


@BOTH
def test_nobody_waits_any_more(name):
    scene = Scene(name)
    scene[0].says = None
    scene.ask().cancel()
    (cancelled,) = scene.results
    assert cancelled.check(CancelledError)
    assert not any(connection.open for connection in scene[0].connections)
    assert scene.engine.seats[0].busy == 0
    assert scene.engine.seats[0].usable


@BOTH
def test_a_spool_that_breaks_is_no_trouble_of_the_engine(name):
    class Broken(Message):
        def chunks(self) -> Iterator[bytes]:
            yield b"begin"
            raise OSError("gone")

    scene = Scene(name)
    outcome: list[object] = []
    Deferred.fromCoroutine(scene.engine.scan(Asked(Broken(b"begin and end")))).addBoth(outcome.append)
    scene.settle()
    assert isinstance(outcome[0], Failure)
    assert scene.engine.seats[0].usable
    assert scene.engine.seats[0].busy == 0


# On the panel


def mail(folder: File, content: bytes = b"Subject: x\r\n\r\nx\r\n", **known: Any) -> Mail:
    client = Client("client.example", "192.0.2.1", helo="helo.example", ident="QUEUED")
    paths = [Path("b@y.example", b"<b@y.example>"), Path("c@y.example", b"<c@y.example>")]
    envelope = Envelope(Path("a@x.example", b"<a@x.example>"), client, [], paths)
    spool = Spool(folder, 1 << 20)
    spool.write(content)
    return Mail("0123456789abc", envelope, spool, known.pop("flow", Flow.INBOUND), **known)


def assess(scene: Scene, letter: Mail) -> Any:
    assessor = SpamEngine(scene.engine, Settings(max_size=100))
    results: list[Any] = []
    Deferred.fromCoroutine(assessor.assess(letter)).addBoth(results.append)
    scene.settle()
    return results


def test_it_is_told_of_the_client_and_of_who_sends_to_whom(tmp_path):
    ticket = Ticket("0123456789abc", Flow.INBOUND, "192.0.2.1", "a@x.example", user="ada")
    letter = mail(tmp_path, ticket=ticket)
    assert question(letter) == Asked(
        letter.spool,
        "a@x.example",
        ("b@y.example", "c@y.example"),
        "192.0.2.1",
        "client.example",
        "helo.example",
        "ada",
        "0123456789abc",
    )


def test_behind_an_upstream_relay_the_client_is_whom_it_names_or_nobody(tmp_path):
    hop = Hop(bytes((203, 0, 113, 9)), "their.helo", "their.name")
    asked = question(mail(tmp_path, flow=Flow.UPSTREAM, client=hop))
    assert (asked.address, asked.name, asked.helo) == ("203.0.113.9", "their.name", "their.helo")
    asked = question(mail(tmp_path, flow=Flow.UPSTREAM))
    assert (asked.address, asked.name, asked.helo) == ("", "", "")


@BOTH
def test_a_mail_that_is_too_large_is_not_asked_about_and_that_is_said(name, tmp_path):
    scene = Scene(name)
    (said,) = assess(scene, mail(tmp_path, b"x" * 101))
    assert said == Assessment((Clue(f"{name}.too-large", "101 octets; it is asked about at most 100", 0.0),))
    assert not scene[0].heard
    assert assess(scene, mail(tmp_path, b"x" * 98 + b"\r\n"))
    assert len(scene[0].heard) == 1


def test_the_limit_is_of_the_mail_and_not_of_its_wire_form(tmp_path):
    scene = Scene()
    letter = mail(tmp_path, b"..\r\n" * 25)
    assert (letter.spool.size, letter.spool.wire_size) == (75, 100)
    assess(scene, letter)
    assert scene[0].heard[0].endswith(b"\r\n\r\n" + b".\r\n" * 25)


@BOTH
def test_a_failure_is_told_with_its_reason(name, tmp_path):
    scene = Scene(name, wait=0.0)
    scene[0].there = False
    scene.ask()
    (said,) = assess(scene, mail(tmp_path))
    assert said == Assessment(failed=f"{name} does not answer", reason="unavailable")
