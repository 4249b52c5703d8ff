"""How spam filters are compared: which mails are learned and judged, and what the figures are made of."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[3] / "bench"


@pytest.fixture
def bench(monkeypatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("spam")


@pytest.fixture
def corpus(bench, tmp_path) -> Any:
    """Eight mails: ham 0 to 3, spam 0 to 3; the body of the last stands in a learned one too."""
    for number in range(8):
        folder = tmp_path / ("ham-1" if number < 4 else "spam-1")
        folder.mkdir(exist_ok=True)
        body = 6 if number == 7 else number
        mail = f"Subject: {number}\n\nbody {body}\n"
        (folder / f"{number}.txt").write_text(mail.replace("\n", "\r\n") if number == 7 else mail)
    (tmp_path / "list.json").write_text("[]")
    return bench.spamcorpus.read(tmp_path)


def test_every_second_mail_by_path_is_learned_beginning_with_the_first(corpus):
    assert [mail.path.name for mail in corpus.learned] == ["0.txt", "2.txt", "4.txt", "6.txt"]
    assert [mail.path.name for mail in corpus.judged] == ["1.txt", "3.txt", "5.txt", "7.txt"]
    assert [mail.spam for mail in corpus.judged] == [False, False, True, True]


def test_bodies_that_were_learned_are_told_whatever_their_line_ends(corpus):
    assert sorted(path.name for path in corpus.new) == ["1.txt", "3.txt", "5.txt"]


def test_a_part_of_the_corpus_keeps_the_halves(bench, corpus, tmp_path):
    some = bench.spamcorpus.read(tmp_path, 2)
    assert [mail.path.name for mail in some.learned] == ["0.txt", "4.txt"]
    assert [mail.path.name for mail in some.judged] == ["1.txt", "5.txt"]


def test_the_mails_are_laid_out_by_half_and_kind(corpus, tmp_path):
    folder = corpus.folders(tmp_path / "laid")
    assert sorted(path.name for path in (folder / "judged" / "spam").iterdir()) == [
        "spam-1-5.txt",
        "spam-1-7.txt",
    ]
    assert (folder / "learned" / "ham" / "ham-1-0.txt").read_text().startswith("Subject: 0")


def test_a_folder_with_mails_of_one_kind_is_none(bench, tmp_path):
    (tmp_path / "ham").mkdir()
    (tmp_path / "ham" / "1.eml").write_text("Subject: x\n\n")
    with pytest.raises(bench.spamcorpus.CorpusMissing):
        bench.spamcorpus.read(tmp_path)


def test_spam_counts_that_lies_above_all_ham_but_a_share(bench):
    ham = [0.0] * 998 + [3.0, 7.0]
    assert bench.caught_at(ham, [8.0, 7.0, 3.0, 1.0], 0.0) == 0.25
    assert bench.caught_at(ham, [8.0, 7.0, 3.0, 1.0], 0.001) == 0.5
    assert bench.caught_at(ham, [8.0, 7.0, 3.0, 1.0], 0.002) == 1.0
    assert bench.caught_at([1.0], [1.0], 0.0) == 0.0
    assert bench.caught_at([1.0], [0.5], 1.0) == 1.0
    assert bench.caught_at(ham, [], 0.001) == 0.0


def test_the_figures_of_a_filter(bench, corpus):
    points = dict(zip((str(mail.path) for mail in corpus.judged), (6.0, 0.0, 5.0, 9.0), strict=True))
    scores = bench.Scores("A", 5.0, points, seconds=2.0)
    everything = frozenset(mail.path for mail in corpus.judged)
    one = bench.figures(corpus, scores, everything)
    assert (one["caught"], one["wrong"], one["false"], one["ms"]) == (1.0, 1, 0.5, 500.0)
    assert one["caught_at_0.001"] == 0.5
    assert bench.figures(corpus, scores, corpus.new)["caught_at_0.001"] == 0.0
    assert bench.split(corpus, scores, corpus.new) == ([6.0, 0.0], [5.0])
