"""The total in the daemon as it is wired: points and thresholds, and how a reload changes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contentfilter.content.results import ScanResult
from mailbase.vocabulary import Finding

from ..wired import Wired

RESTRICTED = ScanResult((Finding("pdf-owner-restricted", "2/a.pdf"),), parts=2)
BEFORE = "inbound: {tag_at: 4, checks: {helo: true}}"


@pytest.fixture
def wired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wired]:
    made = Wired(tmp_path, monkeypatch)
    made.result = RESTRICTED
    yield made
    made.end()


def reload(wired: Wired, inbound: str, registry: str | None = None) -> None:
    path = wired.folder / "c.yaml"
    text = path.read_text()
    assert BEFORE in text
    path.write_text(text.replace(BEFORE, f"inbound: {{{inbound}}}"))
    if registry is not None:
        (wired.folder / "registry.yaml").write_text(registry)
    wired.daemon.reload()
    wired.pass_time(0.2)


def reloads(wired: Wired, result: str) -> float:
    name = "contentfilter_reloads_total", frozenset({("result", result)})
    return wired.samples("contentfilter_reloads")[name]


def test_a_reload_changes_what_a_finding_is_worth(wired: Wired) -> None:
    assert wired.mail().startswith("250 ")
    reload(wired, "points: {pdf-owner-restricted: 15}")
    assert reloads(wired, "ok") == 1
    assert wired.mail().startswith("554 5.7.1 This message looks like spam: what is attached to it")


def test_a_reload_changes_thresholds_of_flow_and_domain(wired: Wired) -> None:
    reload(wired, "reject_at: 0.5")
    assert wired.mail().startswith("554 5.7.1 This message looks like spam")
    registry = (wired.folder / "registry.yaml").read_text()
    own = registry.replace(
        "      inst.example:\n", "      inst.example: {reject_at: null, defer_at: null}\n", 1
    )
    assert own != registry
    (wired.folder / "registry.yaml").write_text(own)
    wired.daemon.reload()
    wired.pass_time(0.2)
    assert wired.mail().startswith("250 ")


@pytest.mark.parametrize(
    "inbound", ["points: {pdf-owner-restrictd: 15}", "tag_at: 9, defer_at: 8", "reject_at: much"]
)
def test_a_reload_with_a_mistake_changes_nothing(wired: Wired, inbound: str) -> None:
    reload(wired, inbound)
    assert reloads(wired, "refused") == 1
    assert wired.mail().startswith("250 ")
    assert "c.yaml:" in wired.stream.getvalue()


def test_what_policyd_and_the_content_say_makes_one_total(wired: Wired) -> None:
    ticket = {"points": 14.5, "facts": ["helo.forged-own-name:14.5"]}
    assert wired.mail(ticket=ticket).startswith("554 5.7.1 This message looks like spam: the sending server")
    assert wired.mail(ticket={**ticket, "points": 14.0}).startswith("250 ")
