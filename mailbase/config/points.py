"""What clues and findings are worth in a mail's total: built in here, and ``flows.FLOW.points`` over it.

A clue is a fact about a mail as spam (:mod:`contentfilter.content.clues`), named ``source.fact``. Who states
clues knows no points; here is the one table that does. 5 points are enough to tag a mail, 15 to refuse it
(docs/points.md): an ordinary clue has 0.5 to 2.5, a sure one 3 to 4.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from mailbase.config.authentication import AUTHENTICATION_POINTS
from mailbase.documents.problems import nearest

CLUE_POINTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "rule": MappingProxyType({}),
        "url": MappingProxyType(
            {
                "mismatch": 2.5,
                "mismatch-author": 0.7,
                "user": 3.5,
                "number": 3.5,
                "lookalike": 3.0,
                "nested": 2.5,
                "encoded": 2.5,
                "script": 2.0,
                "refresh": 2.0,
                "broken": 1.5,
                "address": 1.2,
                "slashes": 0.5,
                "port": 0.5,
                "shortener": 0.5,
                "redirect": 0.3,
            }
        ),
        "statistics": MappingProxyType({"spam": 0.0, "ham": 0.0}),
        "bulk": MappingProxyType({"trapped": 4.0, "many": 0.5}),
        **AUTHENTICATION_POINTS,
        "outgoing": MappingProxyType({}),
        # Their score is worth what contentfilter.rspamd and contentfilter.spamassassin say.
        "rspamd": MappingProxyType({"score": 0.0, "too-large": 0.0}),
        "spamassassin": MappingProxyType({"score": 0.0, "too-large": 0.0}),
    }
)
"""Source → fact → built-in points. A source that stands here is a label of a metric."""
OPEN_SOURCES = frozenset({"rule", "url"})
"""Sources some of whose facts the operator names himself: in a rule file, and in ``contentfilter.urls``."""
FINDING_POINTS: Mapping[str, float] = MappingProxyType(
    {
        "forced-authentication": 2.0,
        "html-smuggling": 2.0,
        "name-mismatch": 1.5,
        "office-dde": 1.5,
        "office-remote-template": 1.0,
        "pdf-launch": 1.5,
        "pdf-owner-restricted": 0.5,
        "virus-suspected": 2.5,
    }
)
"""Finding → built-in points, beside the action that it has. Those that are refused need none."""
CLUE_NAMES: Mapping[str, float] = MappingProxyType(
    {f"{source}.{fact}": points for source, facts in CLUE_POINTS.items() for fact, points in facts.items()}
)
"""Every clue with a name of ours, and its built-in points."""
BUILT_IN: Mapping[str, float] = MappingProxyType({**CLUE_NAMES, **FINDING_POINTS})
TAG_AT, DEFER_AT, REJECT_AT = 5.0, 8.0, 15.0
"""The built-in thresholds."""


def known_points(name: str, findings: Iterable[str]) -> str:
    """``name``, if a clue or a finding has it.

    Arguments:
        findings: names of all findings.

    Raises:
        ValueError: with the message for the operator.
    """
    source, dot, fact = name.partition(".")
    if source in CLUE_POINTS and dot:
        known: list[str] = [f"{source}.{one}" for one in CLUE_POINTS[source]]
        if name in known or (fact and source in OPEN_SOURCES):
            return name
    else:
        known = [*CLUE_NAMES, *findings]
        if name in known:
            return name
    raise ValueError("no clue and no finding has this name" + nearest(name, known))


def points_conflicts(points: Iterable[str], url_facts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names that only the rest of the configuration shows to be wrong, as (name, message).

    Arguments:
        points: names of one flow's table.
        url_facts: what the lists of ``contentfilter.urls`` can state.
    """
    known = {f"url.{fact}" for fact in (*CLUE_POINTS["url"], *url_facts)}
    for name in points:
        if name.startswith("url.") and name not in known:
            yield name, "no clue has this name, nor a list in contentfilter.urls" + nearest(name, known)
