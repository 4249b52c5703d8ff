"""Places in a text that are marked all at once: in a number with an octet for each place, 1 where it is
marked.

A regular expression takes a quarter of a microsecond for each place that it finds, and hostile text has one
at every second octet. Numbers of a million digits are shifted and joined in some nanoseconds for each octet,
whatever stands in it.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import compress


class Marks:
    """Where octets of some kinds stand in a text.

    The first octet's mark is the highest: shifted to the left by eight bits, what is true of the next octet
    is told of this one (:func:`following`).

    Arguments:
        text: of some MiB at most, since its size is needed a few times.
        kinds: the octets of each kind; eight kinds at most.

    Attributes:
        every: all places.
        kinds: where those of each kind stand, in the order of the arguments.
    """

    __slots__ = ("_text", "every", "kinds")

    def __init__(self, text: bytes, *kinds: bytes) -> None:
        self._text = text
        self.every = every = _every(len(text))
        flags = int.from_bytes(text.translate(_table(kinds)), "big")
        self.kinds = tuple(flags >> number & every for number in range(len(kinds)))

    def without(self, places: int) -> bytes:
        """The text without the octets at these places."""
        text, size = self._text, len(self._text)
        if not places:
            return text
        free = next((octet for octet in range(255, -1, -1) if octet not in text), None)
        if free is None:
            return bytes(compress(text, (places ^ self.every).to_bytes(size, "big")))
        # They become an octet that stands nowhere else.
        number = int.from_bytes(text, "big") | (places << 8) - places
        return (number ^ places * (free ^ 0xFF)).to_bytes(size, "big").translate(None, bytes((free,)))


def following(places: int, distance: int = 1) -> int:
    """The places that have one of ``places`` so many octets behind them, and maybe some before the text."""
    return places << 8 * distance


def runs_before(kind: int, ends: int) -> int:
    """Places of a kind that stand in front of one of ``ends``, with nothing but places of that kind between.

    Arguments:
        kind: places.
        ends: places that are none of that kind.
    """
    # A carry runs through each run at once, from its end to its beginning.
    runs = (kind << 8) - kind
    return runs & ~(runs + (following(ends) & kind)) & kind


@lru_cache(maxsize=4)
def _every(size: int) -> int:
    return int.from_bytes(b"\1" * size, "big")


@lru_cache(maxsize=8)
def _table(kinds: tuple[bytes, ...]) -> bytes:
    return bytes(sum((octet in kind) << number for number, kind in enumerate(kinds)) for octet in range(256))
