"""A postmaster who meets a name in the log finds it in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contentfilter.disposition.reasons import REASONS, UNSCANNED
from mailbase.config import FINDING_NAMES
from mailbase.vocabulary import UNSCANNED_REASONS

DOCS = Path(__file__).parents[4] / "docs"
PAGES = ("authentication.md", "findings.md", "locked.md", "macros.md", "engines.md", "spam-engines.md")
TEXT = "\n".join((DOCS / page).read_text() for page in PAGES)


@pytest.mark.parametrize("name", sorted({*FINDING_NAMES, *UNSCANNED_REASONS}))
def test_each_finding_and_each_reason_is_explained(name: str) -> None:
    assert re.search(rf"(?m)(`|^#+ .*\b){re.escape(name)}\b", TEXT), f"add {name} to docs/findings.md"


@pytest.mark.parametrize("name", sorted(FINDING_NAMES))
def test_each_finding_that_can_be_refused_has_words_for_the_sender(name: str) -> None:
    assert name in REASONS


@pytest.mark.parametrize("reason", sorted(UNSCANNED_REASONS))
def test_each_reason_for_not_scanning_has_words_for_the_sender(reason: str) -> None:
    assert reason in UNSCANNED
