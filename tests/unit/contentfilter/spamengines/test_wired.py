"""Spam engines in the daemon as it is wired: what a score does to a mail, and what silence does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailbase.vocabulary import Flow

from .. import spamdoubles
from ..spamdoubles import http
from ..wired import REGISTRY, UPSTREAM, Wired

ENGINES = """
  rspamd: {addresses: ["unix:/r"], factor: 0.5, wait: 1s}
  spamassassin: {addresses: ["unix:/s"], factor: 1, wait: 1s, max_size: 1KiB}
"""


def says(score: float, action: str = "no action") -> bytes:
    return http(json.dumps({"score": score, "action": action, "symbols": {"BAD": {"score": 9}}}).encode())


class Scene(Wired):
    """A daemon with both engines, which think nothing of a mail until they are told to."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, patch)
        self.rspamd = spamdoubles.Server(lambda _: says(0.0), http(b"pong\r\n"))
        self.spamd = spamdoubles.Server(lambda _: spamdoubles.spamd(b"A,B", b"0.0"), b"SPAMD/1.5 0 PONG\r\n")
        self.spam_engines |= {"unix:/r": self.rspamd, "unix:/s": self.spamd}
        self.configure(ENGINES)

    def configure(self, more: str) -> None:
        self.write(REGISTRY, more=more)
        self.daemon.reload()
        assert "reload-refused" not in self.stream.getvalue(), self.stream.getvalue()
        self.pass_time(0.2)

    def notice(self) -> None:
        """A mail finds out that an engine is gone, and waits for it in vain."""
        self.mail()
        self.pass_time(3)

    def logged(self) -> str:
        """The log line of the last mail."""
        return [line for line in self.stream.getvalue().splitlines() if "event=verdict" in line][-1]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    made = Scene(tmp_path, monkeypatch)
    yield made
    made.end()


def test_scores_count_together_and_what_the_engine_would_do_does_not(scene: Scene) -> None:
    scene.rspamd.says = lambda _: says(6.0, "reject")
    assert scene.mail().startswith("250 ")
    assert "action=accept" in scene.logged()
    scene.spamd.says = lambda _: spamdoubles.spamd(b"A", b"1.0")
    assert scene.mail().startswith("250 ")
    assert "action=tag" in scene.logged()


def test_they_are_told_what_policyd_and_postfix_know(scene: Scene) -> None:
    scene.mail("r@inst.example", "q@inst.example", ticket={"user": "ada"})
    (heard,) = scene.rspamd.heard
    head, _, body = heard.partition(b"\r\n\r\n")
    for field in (
        b"From: <s@x.example>",
        b"Rcpt: <r@inst.example>",
        b"Rcpt: <q@inst.example>",
        b"IP: 203.0.113.9",
        b"Helo: helo.example",
        b"User: ada",
        b"Queue-Id: 0123456789abc",
    ):
        assert field in head.split(b"\r\n")
    assert body == scene.spamd.heard[0].partition(b"\r\n\r\n")[2]
    assert body.endswith(b"Subject: hi\r\n\r\nbody\r\n")


def test_a_mail_goes_on_without_the_opinion_of_one_that_is_gone(scene: Scene) -> None:
    scene.rspamd.die()
    scene.notice()
    scene.spamd.says = lambda _: spamdoubles.spamd(b"A", b"4.0")
    assert scene.mail().startswith("250 ")
    assert "action=tag" in scene.logged()
    assert 'failures="unavailable:rspamd' in scene.logged()
    assert scene.samples("contentfilter_scanner_failures")[
        "contentfilter_scanner_failures_total",
        frozenset({("scanner", "rspamd"), ("reason", "unavailable")}),
    ]
    assert scene.samples("contentfilter_panel")[
        "contentfilter_panel_total", frozenset({("name", "rspamd"), ("result", "failed")})
    ]
    assert not scene.daemon.readiness.problem()


def test_where_mail_must_be_looked_at_it_waits(scene: Scene) -> None:
    table = "{" + ", ".join(f"{flow}: {{unscanned: {{spam-engine-failed: defer}}}}" for flow in Flow) + "}"
    text = (scene.folder / "c.yaml").read_text()
    flows = next(line for line in text.splitlines() if line.startswith("flows:"))
    (scene.folder / "c.yaml").write_text(text.replace(flows, f"flows: {table}"))
    scene.daemon.reload()
    scene.spamd.die()
    scene.notice()
    assert scene.mail().startswith("451 4.3.0 ")
    assert scene.mail(client=UPSTREAM).startswith("451 4.3.0 ")
    assert scene.daemon.readiness.problem() == "the spam engine spamassassin does not answer"
    scene.spamd.there = True
    scene.pass_time(4)
    assert scene.mail().startswith("250 ")
    assert not scene.daemon.readiness.problem()


def test_a_mail_that_is_too_large_for_one_is_assessed_by_the_other(scene: Scene) -> None:
    scene.rspamd.says = lambda _: says(8.0)
    assert scene.mail(head=b"X-Long: " + b"x" * 1200 + b"\r\n").startswith("250 ")
    assert "action=tag" in scene.logged()
    assert not scene.spamd.heard


def test_mail_of_a_flow_that_is_left_out_is_not_asked_about(scene: Scene) -> None:
    scene.configure(ENGINES.replace("wait: 1s}", "wait: 1s, flows: [outbound, upstream]}", 1))
    scene.mail()
    assert not scene.rspamd.heard
    assert len(scene.spamd.heard) == 1
    scene.mail(client=UPSTREAM)
    assert len(scene.rspamd.heard) == 1


def test_a_reload_keeps_those_that_it_does_not_change_and_lets_the_others_go(scene: Scene) -> None:
    rspamd, spamd = scene.daemon.engines.spam
    scene.configure(ENGINES.replace("factor: 1,", "factor: 0.5,"))
    kept, other = scene.daemon.engines.spam
    assert kept is rspamd
    assert other is not spamd
    scene.configure("")
    assert scene.daemon.engines.spam == ()
    before = len(scene.rspamd.heard)
    assert scene.mail().startswith("250 ")
    assert len(scene.rspamd.heard) == before


@pytest.mark.parametrize("name", ["rspamd", "spamassassin"])
def test_how_they_stand_is_shown(scene: Scene, name: str) -> None:
    up = "contentfilter_engine_up", frozenset({("engine", name), ("seat", "1")})
    assert scene.samples("contentfilter_engine_up")[up] == 1
    for server in scene.spam_engines.values():
        server.die()
    scene.mail()
    assert scene.samples("contentfilter_engine_up")[up] == 0
