"""What rules can ask of a mail that an expression cannot tell: times, differences, shares, shapes.

A fact holds or not, whatever it is worth; the rule files say that. Each is a pure function of a
:class:`contentfilter.rules.reading.Reading` and takes time linear in what the reading bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from contentfilter.rules.facts import brands, heading, hosts, pages, people, route, wording

if TYPE_CHECKING:
    from contentfilter.rules.reading import Reading

Fact: TypeAlias = "Callable[[Reading], str | None]"
"""What was seen, for people; empty if there is nothing to say; None where the fact does not hold."""

FACTS: Mapping[str, Fact] = {
    function.__name__.replace("_", "-"): function
    for module in (heading, route, people, brands, wording, pages, hosts)
    for function in module.FACTS
}
