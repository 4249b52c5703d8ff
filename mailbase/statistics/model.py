"""The model: a weight for each number that a lesson can have, and what a score is worth in points.

It is a file of fixed size. One process writes it, many map it and read it without asking anybody, confined
workers among them, which could not. A new model is written into the same file, so that all see it at once;
a counter in the header is odd meanwhile, and a reader who saw it change reads again.
"""

from __future__ import annotations

import mmap
import os
import struct
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from mailbase.statistics.lesson import FORMAT, SLOTS

MAGIC = b"PWSTAT1\n"
HEADER = 4096
"""Octets in front of the weights."""
SIZE = HEADER + 4 * SLOTS
"""Octets of the file."""
MAX_KNOTS = 16
ATTEMPTS = 3
"""Readings of a model that is being replaced; then there is no answer for this mail."""

_FIXED = struct.Struct("<8sIIQdIIf4xI4x")
"""Magic, byte order mark, format, generation, when trained, mails of spam and of ham, bias, knots."""
_KNOT = struct.Struct("<ff")
_GENERATION = struct.Struct("<Q")
_GENERATION_AT = 16
_ORDER = int.from_bytes(b"\1\2\3\4", "little")


@dataclass(frozen=True, slots=True)
class Description:
    """What a model says of itself.

    Arguments:
        trained: when, in seconds since the epoch; 0: never.
        spam: mails that it learned as spam.
        ham: as ham.
        bias: the score of a mail in which nothing known is seen.
        knots: (score, points), both rising; between two of them the points rise evenly. None: not enough was
            learned to say anything.
    """

    trained: float = 0.0
    spam: int = 0
    ham: int = 0
    bias: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def points(self, score: float) -> float:
        """What a score is worth."""
        knots = self.knots
        if not knots:
            return 0.0
        at = bisect_right(knots, (score, float("inf")))
        if at == 0:
            return knots[0][1]
        if at == len(knots):
            return knots[-1][1]
        (low, from_), (high, to) = knots[at - 1], knots[at]
        return from_ + (to - from_) * (score - low) / (high - low)


class ModelError(ValueError):
    """A file that is no model of this version."""


class Model:
    """A model that is mapped; readable after the process has given up all files.

    Arguments:
        memory: the file, mapped or read.
    """

    def __init__(self, memory: mmap.mmap | bytes) -> None:
        if len(memory) != SIZE or memory[: len(MAGIC)] != MAGIC:
            raise ModelError("not a model")
        self._memory = memory
        self._weights = memoryview(memory)[HEADER:].cast("f")
        self._known: tuple[int, Description] | None = None
        self.describe()

    @classmethod
    def open(cls, path: Path) -> Model:
        """Map the file at ``path``.

        Raises:
            OSError: it cannot be read.
            ModelError: it is none, or of another version.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size != SIZE:
                raise ModelError("not a model")
            return cls(mmap.mmap(descriptor, SIZE, access=mmap.ACCESS_READ))
        finally:
            os.close(descriptor)

    @property
    def generation(self) -> int:
        """Changes with the model; odd while it is being replaced."""
        return int(_GENERATION.unpack_from(self._memory, _GENERATION_AT)[0])

    def describe(self) -> Description | None:
        """What it says of itself; None while it is being replaced.

        Raises:
            ModelError: it is of another version.
        """
        generation = self.generation
        if self._known is not None and self._known[0] == generation:
            return self._known[1]
        magic, order, form, generation, trained, spam, ham, bias, count = _FIXED.unpack_from(self._memory)
        if magic != MAGIC or order != _ORDER or form != FORMAT or count > MAX_KNOTS:
            raise ModelError("a model of another version")
        knots = tuple(_KNOT.unpack_from(self._memory, _FIXED.size + i * _KNOT.size) for i in range(count))
        if generation % 2 or generation != self.generation:
            return None
        description = Description(trained, spam, ham, bias, knots)
        self._known = generation, description
        return description

    def score(self, slots: Collection[int]) -> tuple[float, Description] | None:
        """The score of a mail and the model that gave it; None where that was being replaced all the while.

        Arguments:
            slots: of its lesson; at least one.
        """
        for _attempt in range(ATTEMPTS):
            before = self.generation
            description = self.describe()
            score = sum(self._weigh(slots)) / len(slots) ** 0.5
            if description is not None and before == self.generation:
                return score + description.bias, description
        return None

    def _weigh(self, slots: Collection[int]) -> Iterable[float]:
        # All of them in one call, which for one number alone would make no tuple.
        if len(slots) == 1:
            return map(self._weights.__getitem__, slots)
        return itemgetter(*slots)(self._weights)  # type: ignore[no-any-return]


def write_model(path: Path, weights: Iterable[float] | None, description: Description) -> None:
    """Put a model into the file at ``path``, which is made where there is none, or none of this version.

    Arguments:
        weights: ``SLOTS`` of them; None: the file is a new one, and all are nought.

    Raises:
        OSError: it cannot be written.
    """
    packed = None if weights is None else memoryview(array("f", weights)).cast("B")
    descriptor = _open(path)
    try:
        with mmap.mmap(descriptor, SIZE) as memory:
            generation = int(_GENERATION.unpack_from(memory, _GENERATION_AT)[0]) | 1
            _GENERATION.pack_into(memory, _GENERATION_AT, generation)
            if packed is not None:
                memory[HEADER:] = packed
            knots = description.knots[:MAX_KNOTS]
            for i, knot in enumerate(knots):
                _KNOT.pack_into(memory, _FIXED.size + i * _KNOT.size, *knot)
            _FIXED.pack_into(
                memory,
                0,
                MAGIC,
                _ORDER,
                FORMAT,
                generation,
                description.trained,
                description.spam,
                description.ham,
                description.bias,
                len(knots),
            )
            _GENERATION.pack_into(memory, _GENERATION_AT, generation + 1)
            memory.flush()
    finally:
        os.close(descriptor)


def make_model(path: Path) -> None:
    """Make sure that there is a model at ``path``, which may know nothing yet.

    Raises:
        OSError: it cannot be made.
    """
    try:
        Model.open(path)
    except (FileNotFoundError, ModelError):
        write_model(path, None, Description())


def _open(path: Path) -> int:
    """A descriptor of a file that has the right size, or is in the place of one that had not."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
        status = os.fstat(descriptor)
        head = os.pread(descriptor, _FIXED.size, 0)
        if status.st_size == SIZE and head[:8] == MAGIC and _FIXED.unpack(head)[1:3] == (_ORDER, FORMAT):
            return descriptor
        os.close(descriptor)
    except FileNotFoundError:
        pass
    # Whoever has the old one mapped keeps it: a file that shrinks below its reader ends him.
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, flags | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        os.ftruncate(descriptor, SIZE)
        os.replace(new, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
