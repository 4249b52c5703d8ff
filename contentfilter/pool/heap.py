"""Memory that this process, or one that it starts, keeps for the next large mail (mallopt(3)).

glibc gives large blocks, and what is free at the end of the heap, back to the kernel. By its own measure it
does so after each mail of some MiB, and the next one fetches all of it page by page.
"""

from __future__ import annotations

import ctypes

from contentfilter.content.limits import MIB

_BLOCK = 8 * MIB
"""Octets of a block above which it is the kernel's again once it is free."""
_FREE = 16 * MIB
"""Octets free at the end of the heap above which they are given back."""
VARIABLES = {"MALLOC_MMAP_THRESHOLD_": str(_BLOCK), "MALLOC_TRIM_THRESHOLD_": str(_FREE)}
"""Environment of a process that is to keep memory from its start."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_memory() -> bool:
    """Keep memory from now on; false where the C library has no such setting, as musl."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _BLOCK) and mallopt(_M_TRIM_THRESHOLD, _FREE))
