"""Lessons on the wire, and the model's file while it is read and written."""

from __future__ import annotations

import random
from itertools import repeat
from pathlib import Path

import pytest

from mailbase.statistics.lesson import (
    MAX_PACKED,
    MAX_SLOTS,
    SLOTS,
    decode_lesson,
    encode_lesson,
    lesson_id,
    pack,
    unpack,
)
from mailbase.statistics.model import SIZE, Description, Model, ModelError, make_model, write_model

KNOTS = ((-1.0, -2.0), (0.0, 0.0), (2.0, 5.0), (3.0, 6.0))


@pytest.mark.parametrize("number", [0, 1, 500, MAX_SLOTS])
def test_a_lesson_survives_packing(number: int) -> None:
    slots = random.Random(number).sample(range(SLOTS), number)
    packed = decode_lesson(encode_lesson(pack(slots)))
    assert list(unpack(packed)) == sorted(slots)
    assert len(packed) <= MAX_PACKED
    assert lesson_id(packed) == lesson_id(pack(slots[::-1]))


def test_the_ends_of_the_range_survive() -> None:
    slots = [0, 0xFFFF, 0x10000, SLOTS - 1]
    assert list(unpack(pack(slots))) == slots


def test_what_is_no_lesson_is_refused() -> None:
    good = pack(range(10))
    for bad in (b"", good[:-1], good + b"\0", bytes([good[0] + 1]) + good[1:], good[:20]):
        with pytest.raises(ValueError, match="lesson"):
            unpack(bad)
        with pytest.raises(ValueError, match="lesson"):
            decode_lesson(encode_lesson(bad))
    with pytest.raises(ValueError, match="lesson"):
        decode_lesson("no base64!")
    with pytest.raises(ValueError, match="too long"):
        decode_lesson("A" * 20_000)


def test_a_reader_sees_what_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "model"
    make_model(path)
    model = Model.open(path)
    assert model.score([1, 2, 3]) == (0.0, Description())
    written = Description(100.0, 300, 400, 0.0, KNOTS)
    write_model(path, (1.0 if slot == 2 else 0.0 for slot in range(SLOTS)), written)
    assert model.score([1, 2, 3, 4]) == (0.5, written)


def test_a_model_that_is_being_replaced_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_model(path, repeat(0.0, SLOTS), Description(1.0, 1, 1, 0.0, KNOTS))
    model = Model.open(path)
    with path.open("r+b") as file:
        file.seek(16)
        file.write((99).to_bytes(8, "little"))
    assert model.describe() is None
    assert model.score([1]) is None


def test_what_is_no_model_is_refused_and_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for content in (b"", b"PWSTAT1\n", bytes(SIZE), b"PWSTAT1\n" + bytes(SIZE - 8)):
        path.write_bytes(content)
        with pytest.raises(ModelError):
            Model.open(path)
        make_model(path)
        assert Model.open(path).describe() == Description()


def test_a_new_file_leaves_the_old_one_to_its_readers(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_model(path, repeat(1.0, SLOTS), Description(1.0, 1, 1, 0.0, KNOTS))
    old = Model.open(path)
    path.unlink()
    make_model(path)
    assert old.score([7]) == (1.0, Description(1.0, 1, 1, 0.0, KNOTS))


def test_points_rise_between_the_knots_and_stop_at_the_last() -> None:
    told = Description(knots=KNOTS)
    scores = [-9.0, -1.0, -0.5, 0.0, 1.0, 2.0, 2.5, 3.0, 99.0]
    assert [told.points(score) for score in scores] == [-2.0, -2.0, -1.0, 0.0, 2.5, 5.0, 5.5, 6.0, 6.0]
    assert Description().points(99.0) == 0.0
