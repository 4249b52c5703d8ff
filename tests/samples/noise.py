"""Octets that no program packs or reads, the same in each run: a failure can be repeated."""

from __future__ import annotations

import random


def noise(size: int, seed: int = 1) -> bytes:
    """``size`` octets; another ``seed`` gives others."""
    return random.Random(seed).randbytes(size)
