"""The organisation behind a host name, by the Public Suffix List (https://publicsuffix.org)."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

from publicsuffixlist import PublicSuffixList

REMEMBERED = 8_000
"""Names above hosts whose organisation is remembered."""


def organisation(name: str) -> str | None:
    """The registrable domain of a host name: what one organisation was given.

    None where the name belongs to nobody alone: a public suffix, such as the names of a cloud's machines.

    Arguments:
        name: lower case.
    """
    label, _, above = name.partition(".")
    if not (label and above):
        return None
    named, starred = _special()
    below, _, top = above.partition(".")
    if below and top and "." not in top and above not in named and top not in starred:
        # What most are: no rule is longer than the top level. Sooner said than remembered.
        return above
    known = _above(above)
    if known is None:
        return suffix_list().privatesuffix(name)
    return known or name


def is_top_level(label: str) -> bool:
    """Whether names end like that: ``org``, or ``xn--p1ai``.

    Arguments:
        label: lower case, an A-label.
    """
    return label in _rules()[1]


def prepare() -> None:
    """Read the list now: the first name would wait for it, and the reactor with it."""
    suffix_list()
    _special()


@lru_cache(maxsize=REMEMBERED)
def _above(above: str) -> str | None:
    """The organisation of all names one label below ``above``.

    Empty where each is its own, None where it depends on the label.
    """
    if not above or above in _rules()[0]:
        return None
    return suffix_list().privatesuffix(above) or ""


@lru_cache(maxsize=1)
def _special() -> tuple[frozenset[str], frozenset[str]]:
    """Names that rules name, or below which they name some; and those below which all are public suffixes."""
    divided, _, rules = _rules()
    return divided | rules, frozenset(rule[2:] for rule in rules if rule.startswith("*."))


@lru_cache(maxsize=1)
def suffix_list() -> PublicSuffixList:
    """The list, as its library has it."""
    # Left alone, it would encode each rule again, in a tenth of a second.
    return PublicSuffixList(_rules()[2], accept_encoded_idn=False)


@lru_cache(maxsize=1)
def _rules() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The names below which some labels, or all, are public suffixes; and the top levels; both in A-labels.

    And all rules, those with U-labels in both forms.
    """
    text = resources.files("publicsuffixlist").joinpath("public_suffix_list.dat").read_text("utf-8").lower()
    divided, top, rules = set(), set(), set()
    for line in text.split("\n"):
        rule = line.partition(" ")[0].strip()
        if rule and not rule.startswith("//"):
            rules.add(rule)
            if not rule.isascii():
                rule = rule.encode("idna").decode("ascii")
                rules.add(rule)
            divided.add(rule.partition(".")[2])
            if rule.startswith("*."):
                # The name itself is a public suffix too, as the library has it.
                divided.add(rule.split(".", 2)[2] if rule.count(".") > 1 else "")
            top.add(rule.rpartition(".")[2])
    divided.discard("")
    return frozenset(divided), frozenset(top), frozenset(rules)
