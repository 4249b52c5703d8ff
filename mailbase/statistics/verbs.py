"""Verbs of policyd's control socket by which mail is learned."""

from __future__ import annotations

LEARN = "learn"
UNDO = "learn.undo"
FORGET = "learn.forget"
STATUS = "learn.status"
RUNS = "learn.runs"
MAX_MAILS = 60
"""Lessons in one request: the longest of them fit a line."""
