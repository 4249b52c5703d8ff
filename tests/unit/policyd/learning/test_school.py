"""When a model is trained, and what becomes of a training that fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailbase.statistics.lesson import encode_lesson, pack
from mailbase.statistics.model import Description, Model, write_model
from policyd.learning import school as module
from policyd.learning.trainer import frame

from ..wired import TRAINED, Wired


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Wired]]:
    made: list[Wired] = []

    def make() -> Wired:
        made.append(Wired(tmp_path, monkeypatch))
        return made[-1]

    yield make
    made[-1].end()


def learn(wired: Wired, *numbers: int, spam: bool = True) -> None:
    about: dict[str, Any] = {"spam": spam, "source": "command", "run": "r"}
    mails = [encode_lesson(pack([number])) for number in numbers]
    wired.verb(wired.daemon.learning.verbs, "learn", mails=mails, **about)


def given(wired: Wired) -> list[bytes]:
    return [child.given for child in wired.reactor.children]


def test_what_was_learned_is_trained_at_once_and_together(make: Callable[[], Wired]) -> None:
    wired = make()
    learn(wired, 1)
    learn(wired, 2, spam=False)
    wired.pass_time(module.SOON + 1)
    assert sorted(given(wired)[-1:]) == [max(given(wired), key=len)]
    assert frame(True, pack([1])) in given(wired)[-1]
    assert frame(False, pack([2])) in given(wired)[-1]
    trainings = len(wired.reactor.children)
    learn(wired, 1)
    wired.pass_time(200, step=1)
    assert len(wired.reactor.children) == trainings


def test_a_training_that_fails_is_tried_again(make: Callable[[], Wired]) -> None:
    wired = make()
    wired.reactor.output = b'{"error": "no space left"}'
    learn(wired, 1)
    wired.pass_time(3)
    assert "no space left" in wired.stream.getvalue()
    failed = len(wired.reactor.children)
    wired.reactor.output = TRAINED
    wired.pass_time(2 * module.AGAIN + 5, step=1)
    assert len(wired.reactor.children) == failed + 1
    assert "statistics-trained" in wired.stream.getvalue()
    # A failure long ago delays nothing.
    learn(wired, 2)
    wired.pass_time(5)
    assert len(wired.reactor.children) == failed + 2


@pytest.mark.parametrize(
    "output", [b"", b"noise", b"[]", b"{" * 9000], ids=["nothing", "noise", "list", "much"]
)
def test_a_trainer_that_says_nonsense_changes_nothing(make: Callable[[], Wired], output: bytes) -> None:
    wired = make()
    wired.reactor.output = output
    learn(wired, 1)
    wired.pass_time(3)
    assert "statistics-not-trained" in wired.stream.getvalue()
    assert wired.verb(wired.daemon.learning.verbs, "learn.status")["training"] is True


def test_a_restart_trains_only_what_the_model_does_not_know(
    make: Callable[[], Wired], tmp_path: Path
) -> None:
    wired = make()
    learn(wired, 1, 2)
    wired.pass_time(3)
    now = wired.reactor.seconds()
    wired.end()
    for trained, trainings in ((now + 1, 0), (now - 100, 1)):
        write_model(tmp_path / "model", None, Description(trained, 2, 0))
        assert Model.open(tmp_path / "model").describe() == Description(trained, 2, 0)
        before = len(wired.reactor.children)
        wired.begin()
        wired.pass_time(5)
        assert len(wired.reactor.children) - before == trainings
        if not trainings:
            wired.daemon.stop()
            wired.daemon.state.close()


def test_what_is_undone_is_trained_away(make: Callable[[], Wired]) -> None:
    wired = make()
    learn(wired, 1, 2)
    wired.pass_time(3)
    wired.verb(wired.daemon.learning.verbs, "learn.undo", mails=[encode_lesson(pack([2]))])
    wired.pass_time(5)
    assert given(wired)[-1] == frame(True, pack([1]))
    assert json.loads(TRAINED)["judges"] is True
