"""The analysers, which read a letter for clues. A new one is a file of its own and a line in this table."""

from __future__ import annotations

from contentfilter.analysis.analyser import Analyser, Analysis, analyse
from contentfilter.analysis.knowledge import Knowledge
from contentfilter.analysis.rules import Rules
from contentfilter.analysis.statistics import Statistics
from contentfilter.analysis.urls import Urls

__all__ = ["ANALYSERS", "Analyser", "Analysis", "Knowledge", "analyse"]

_TABLE: tuple[Analyser, ...] = (Urls(), Rules(), Statistics())
ANALYSERS: dict[str, Analyser] = {analyser.name: analyser for analyser in _TABLE}
"""By name, in the order in which they read."""
