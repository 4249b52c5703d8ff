"""The ids of questions: two octets each that nobody can guess (RFC 5452 9.2)."""

from __future__ import annotations

import os
from collections.abc import Iterator

AT_ONCE = 256
"""Ids that are drawn from the system's generator in one call: it takes as long for all as for one."""


def _draw() -> Iterator[bytes]:
    while True:
        octets = os.urandom(2 * AT_ONCE)
        yield from [octets[at : at + 2] for at in range(0, 2 * AT_ONCE, 2)]


draw = _draw().__next__
"""The next id; each is given once. A child process must not use those of its parent."""
