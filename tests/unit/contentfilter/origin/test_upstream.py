"""Finding the client of an upstream relay, and having policyd look at it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from contentfilter.origin.upstream import GRACE, MAX_UNDER_WAY, Investigator
from contentfilter.session.envelope import Client, Envelope, Path
from mailbase.addresses import pack
from mailbase.config import loads
from mailbase.control import ControlError
from mailbase.evidence import Evidence, Question
from mailbase.logs import Log
from mailbase.registry import load_registry

HEAD = (
    b"Received: from out.up.example (out.up.example [203.0.113.5]) by mx.gateway.example (Postfix); now\r\n"
    b"Received: from cm (localhost [127.0.0.1]) by out.up.example (Postfix); now\r\n"
    b"Received: from in.up.example (in.up.example [203.0.113.9]) by out.up.example (Postfix); now\r\n"
    b"Received: from h.example (m.example [2001:db8::7]) by in.up.example (Postfix); now\r\n"
    b"Received: from liar (liar [192.0.2.1]) by nowhere; now\r\n\r\n"
)
ENVELOPE = Envelope(Path("a@x.example", b"<a@x.example>"), Client("out.up.example", "203.0.113.5"))


class Scene:
    def __init__(self, tmp_path: Any) -> None:
        (tmp_path / "registry.yaml").write_text("upstreams: [203.0.113.0/24]\n")
        self.settings = loads("flows: {upstream: {checks: true}}").with_registry(
            load_registry(tmp_path / "registry.yaml")
        )
        self.asked: list[tuple[dict[str, Any], float, Deferred[dict[str, Any]]]] = []
        self.results: list[str] = []
        self.output = io.StringIO()
        self.investigator = Investigator(self.ask, Log("test", stream=self.output), self.results.append)

    def ask(self, question: dict[str, Any], timeout: float) -> Deferred[dict[str, Any]]:
        self.asked.append((question, timeout, Deferred()))
        return self.asked[-1][2]

    def look(self, head: bytes = HEAD, patience: float = 60.0) -> list[Any]:
        found: list[Any] = []
        looking = self.investigator.look(self.settings, ENVELOPE, head, "1234", patience)
        Deferred.fromCoroutine(looking).addBoth(found.append)
        return found


@pytest.fixture
def scene(tmp_path: Any) -> Scene:
    return Scene(tmp_path)


def test_policyd_is_asked_about_the_first_stranger(scene: Scene) -> None:
    found = scene.look()
    question, timeout, answer = scene.asked[0]
    assert Question.from_dict(question) == Question(
        "1234", "2001:db8::7", "h.example", "m.example", "a@x.example"
    )
    assert timeout == 8.0 + GRACE
    evidence = Evidence(3.5, ("helo.not-fqdn:1.5", "fcrdns.no-ptr:2"), True)
    answer.callback({"ok": True, **evidence.to_dict()})
    assert found[0][0].address == pack("2001:db8::7")
    assert found[0][1] == evidence
    assert scene.results == ["found"]


@pytest.mark.parametrize("head", [b"\r\n", HEAD.splitlines(True)[0] + b"\r\n", b"Received: garbage\r\n\r\n"])
def test_without_a_line_that_names_one_nobody_is_asked(scene: Scene, head: bytes) -> None:
    assert scene.look(head) == [(None, None)]
    assert (scene.asked, scene.results) == ([], ["unreadable"])


@pytest.mark.parametrize(
    "answer",
    [{}, {"points": "x", "facts": []}, {"points": 1, "facts": "x"}, {"points": float("nan"), "facts": []}],
)
def test_an_answer_that_is_none_is_no_evidence(scene: Scene, answer: dict[str, Any]) -> None:
    found = scene.look()
    scene.asked[0][2].callback({"ok": True, **answer})
    assert found[0][1] is None
    assert scene.results == ["unavailable"]


def test_without_policyd_the_mail_goes_on(scene: Scene) -> None:
    found = scene.look()
    scene.asked[0][2].errback(ControlError("no answer in time"))
    assert found[0][1] is None
    assert scene.results == ["unavailable"]
    assert "event=evidence-unavailable id=1234" in scene.output.getvalue()


def test_a_mail_waits_no_longer_than_it_can(scene: Scene) -> None:
    scene.look(patience=3.0)
    assert scene.asked[0][1] == 3.0
    assert scene.look(patience=0.0)[0][1] is None
    assert len(scene.asked) == 1


def test_there_is_a_bound_on_what_is_asked_at_one_time(scene: Scene) -> None:
    for _ in range(MAX_UNDER_WAY):
        assert not scene.look()
    assert scene.look()[0][1] is None
    assert len(scene.asked) == MAX_UNDER_WAY
    scene.asked[0][2].callback(Evidence().to_dict())
    assert not scene.look()


def test_what_a_client_says_of_itself_is_bounded(scene: Scene) -> None:
    line = f"Received: from {'h' * 1500} (m.example [192.0.2.1]) by in.up.example; now\r\n\r\n"
    scene.look(line.encode())
    assert len(scene.asked[0][0]["helo"]) == 1000
