"""The verb by which contentfilter has policyd count mails of nearly the same text."""

from __future__ import annotations

VERB = "bulk"
KEY_SIZE = 8
"""Octets of a key."""
MAX_KEYS = 8
"""Keys of one digest."""
ALIKE = 2
"""Keys that two texts must share to count as alike."""
