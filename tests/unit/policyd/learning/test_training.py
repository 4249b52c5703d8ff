"""From lessons to a model, and from scores to points."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailbase.config.points import TAG_AT
from mailbase.statistics.lesson import SLOTS, pack
from mailbase.statistics.model import Description
from policyd.learning import trainer
from policyd.learning.calibration import BOTTOM, TOP, calibrate
from policyd.learning.training import Example, train

SPAM_WORDS = range(300)
HAM_WORDS = range(1000, 1300)
COMMON_WORDS = range(2000, 2400)


def mail(spam: bool, chance: random.Random) -> Example:
    """A mail of words that all use, and some that one kind uses more often."""
    own, other = (SPAM_WORDS, HAM_WORDS) if spam else (HAM_WORDS, SPAM_WORDS)
    words = chance.sample(COMMON_WORDS, 40) + chance.sample(own, 15) + chance.sample(other, 2)
    return Example(sorted(words), spam)


def mails(spam: int, ham: int, seed: int = 1) -> list[Example]:
    chance = random.Random(seed)
    return [mail(True, chance) for _ in range(spam)] + [mail(False, chance) for _ in range(ham)]


def score(weights: Sequence[float], example: Example) -> float:
    return sum(weights[slot] for slot in example.slots) / len(example.slots) ** 0.5


@pytest.mark.parametrize(("spam", "ham"), [(250, 250), (60, 300)], ids=["balanced", "little spam"])
def test_kinds_are_told_apart_in_mail_that_was_not_learned(spam: int, ham: int) -> None:
    trained = train(mails(spam, ham), 5.0)
    judged = [(score(trained.weights, example), example.spam) for example in mails(50, 50, seed=2)]
    assert min(one for one, is_spam in judged if is_spam) > max(one for one, is_spam in judged if not is_spam)
    assert trained.description.trained == 5.0
    assert (trained.description.spam, trained.description.ham) == (spam, ham)
    assert len(trained.weights) == SLOTS


def test_the_same_lessons_give_the_same_model() -> None:
    first, second = train(mails(40, 40), 1.0), train(mails(40, 40), 2.0)
    assert first.weights == second.weights


def test_nothing_is_said_before_enough_was_learned() -> None:
    assert train(mails(150, 400), 0.0).description.knots == ()
    assert train(mails(250, 250), 0.0).description.knots
    assert train([], 0.0).description == Description()


def test_the_points_follow_from_how_seldom_ham_reaches_a_score() -> None:
    chance = random.Random(3)
    ham = [chance.gauss(-2, 1) for _ in range(4000)]
    spam = [chance.gauss(3, 1) for _ in range(1000)]
    told = Description(knots=calibrate(spam, ham))
    assert sum(told.points(one) >= TAG_AT for one in ham) <= 8
    assert sum(told.points(one) >= TAG_AT for one in spam) > 900
    assert told.points(-9) == BOTTOM
    assert sum(told.points(one) < 0 for one in spam) < 20
    scores = [-6 + 0.1 * step for step in range(120)]
    points = [told.points(one) for one in scores]
    assert points == sorted(points)


def test_kinds_that_cannot_be_told_apart_get_no_mail_tagged() -> None:
    chance = random.Random(4)
    ham, spam = ([chance.gauss(0, 1) for _ in range(1000)] for _ in range(2))
    told = Description(knots=calibrate(spam, ham))
    assert sum(told.points(one) >= TAG_AT for one in ham) <= 4
    assert sum(told.points(one) >= TAG_AT for one in spam) <= 8


@pytest.mark.parametrize("wrong", [4, 20, 40], ids=["0.2 %", "1 %", "2 %"])
def test_spam_that_was_given_as_ham_hardly_changes_what_scores_are_worth(wrong: int) -> None:
    chance = random.Random(5)
    ham = [chance.gauss(-3, 1) for _ in range(2000)]
    spam = [chance.gauss(3, 1) for _ in range(2000)]
    told = Description(knots=calibrate(spam, [*ham, *spam[:wrong]]))
    assert sum(told.points(one) >= TAG_AT for one in spam) > 1800
    assert sum(told.points(one) >= TAG_AT for one in ham) <= 6


def test_one_odd_mail_does_not_decide() -> None:
    chance = random.Random(6)
    ham = sorted(chance.gauss(-3, 1) for _ in range(1000))
    spam = [chance.gauss(3, 1) for _ in range(1000)]
    caught = [
        sum(Description(knots=calibrate(spam, some)).points(one) >= TAG_AT for one in spam)
        for some in (ham, [*ham[:-1], 2.5])
    ]
    assert abs(caught[0] - caught[1]) < 200


def test_a_mail_that_is_unlike_anything_learned_gets_hardly_any_points() -> None:
    trained = train(mails(210, 210), 0.0)
    unknown = Example(range(5000, 5060), False)
    assert -1.0 <= trained.description.points(score(trained.weights, unknown)) <= 2.5
    assert max(points for _score, points in trained.description.knots) == TOP


def test_numbers_of_one_mail_alone_have_no_weight() -> None:
    examples = [Example([1, 2, 100 + place], place % 2 == 0) for place in range(20)]
    trained = train(examples, 0.0)
    assert trained.known <= 2
    assert not any(trained.weights[100:120])


def test_the_order_of_slots_does_not_matter() -> None:
    some = mails(25, 25)
    turned = [Example(tuple(reversed(example.slots)), example.spam) for example in some]
    pairs = zip(train(turned, 0.0).weights, train(some, 0.0).weights, strict=True)
    assert max(abs(one - other) for one, other in pairs) < 1e-9


def test_scores_that_are_all_the_same_break_nothing() -> None:
    knots = calibrate([1.0] * 300, [1.0] * 300)
    assert Description(knots=knots).points(1.0) < TAG_AT
    assert list(knots) == sorted(knots)
    assert len({score for score, _points in knots}) == len(knots)


def test_a_trainer_reads_what_it_is_given_and_nothing_cut_off() -> None:
    stream = trainer.frame(True, pack([1, 2])) + trainer.frame(False, pack([3]))
    found = trainer.read(io.BytesIO(stream))
    assert [(list(one.slots), one.spam) for one in found] == [([1, 2], True), ([3], False)]
    for end in range(1, len(stream)):
        if end == len(trainer.frame(True, pack([1, 2]))):
            continue
        with pytest.raises(ValueError, match="stream"):
            trainer.read(io.BytesIO(stream[:end]))


def test_lessons_of_another_version_are_left_out() -> None:
    old = bytes([99]) + pack([1])[1:]
    stream = trainer.frame(True, old) + trainer.frame(False, pack([3]))
    assert [list(one.slots) for one in trainer.read(io.BytesIO(stream))] == [[3]]


def test_a_model_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    monkeypatch.setattr("os.nice", lambda _by: 0)
    assert trainer.main(str(tmp_path / "missing" / "model")) == 1
    assert '"error"' in capsys.readouterr().out
