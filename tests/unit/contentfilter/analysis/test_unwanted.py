"""Where nobody wants clues: nothing is read for them, and all else is found as ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contentfilter.analysis import Analysis, Knowledge
from contentfilter.analysis.knowledge import sources_of
from contentfilter.content import scan
from contentfilter.content.scan import scan_message
from contentfilter.learning.bulk import is_counted
from contentfilter.rules.own import OwnRules
from mailbase.config import loads
from tests.samples.messages import multipart

from ..wired import Wired

LINK = b"Content-Type: text/plain\r\n\r\nhttp://134744072/x"
SCRIPT = b'Content-Type: text/plain; name="run.js"\r\n\r\nvar shell = new ActiveXObject("WScript.Shell")'
MAIL = b"From: a@b.example\r\nMIME-Version: 1.0\r\n" + multipart(LINK, SCRIPT)
ON, OFF = (
    loads(f"identity: {{hostname: mx.example.org}}\ncontentfilter: {{analysis: {word}}}")
    for word in ("true", "false")
)
RULES = OwnRules.read(ON.contentfilter.rules)


@pytest.fixture
def wired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wired]:
    made = Wired(tmp_path, monkeypatch)
    yield made
    made.end()


@pytest.fixture
def unwanted() -> Analysis:
    return Analysis(Knowledge.load(sources_of(OFF, RULES)))


def test_clues_are_neither_looked_for_nor_told(unwanted: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = scan_message(MAIL, analysis=Analysis(Knowledge()))
    assert wanted.clues
    assert wanted.traits.hosts
    monkeypatch.delattr(scan, "_header_block")
    result = scan_message(MAIL, analysis=unwanted)
    assert (result.clues, result.traits.hosts) == ((), ())
    assert result.findings == wanted.findings != ()
    assert result.parts == wanted.parts


def test_signatures_are_verified_all_the_same(unwanted: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(scan, "verified", lambda wire, given: asked.append(given) or {"dkim": []})
    result = scan_message(MAIL, analysis=replace(unwanted, task={"authentication": 1}))
    assert asked == [{"authentication": 1}]
    assert result.traits.authentication == {"dkim": []}


def test_bulk_is_counted_only_where_texts_are_read() -> None:
    assert is_counted(ON)
    assert not is_counted(OFF)


def test_a_reload_starts_workers_that_do_otherwise(wired: Wired) -> None:
    path = wired.folder / "c.yaml"
    text = path.read_text().replace("  urls: {lists: {black: {zone: list.example}}}\n", "")
    text += "statistics: {enabled: false}\n"
    path.write_text(text)
    wired.daemon.reload()
    wired.pass_time()
    first = wired.worker
    path.write_text(text.replace("contentfilter:\n", "contentfilter:\n  analysis: false\n", 1))
    wired.daemon.reload()
    wired.pass_time()
    assert wired.worker is not first


def test_workers_want_clues_unless_they_are_told_otherwise() -> None:
    assert Knowledge.load({}).wanted
    assert Knowledge.load(sources_of(ON, RULES)).wanted
    assert sources_of(OFF, RULES) == {"wanted": False}
