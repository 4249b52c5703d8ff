"""The rules in force: those that come with the program, with an operator's own file laid over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import resources
from types import MappingProxyType

from contentfilter.rules.condition import named
from contentfilter.rules.model import MAX_RULES, Rule, RuleFile
from contentfilter.rules.ruling import RuleSet, Ruling
from mailbase.documents import ConfigError, Document, Location, Problem, build, parse
from mailbase.documents.problems import dotted, nearest


def shipped_documents() -> Iterator[Document]:
    """The program's own rule files."""
    folder = resources.files(__package__) / "data"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".yaml"):
            yield parse(file.read_bytes(), file.name)


def assemble(documents: Sequence[Document], checked: bool = False) -> RuleSet:
    """The rules of several files, the later laid over the earlier.

    Arguments:
        checked: expressions and phrases are known to be right, and not checked again.

    Raises:
        ConfigError: with every problem found, each with file and line.
    """
    problems: list[Problem] = []
    rulings: dict[str, Ruling] = {}
    for document in documents:
        try:
            file = build(RuleFile, document.data, document, {"checked": checked})
        except ConfigError as error:
            problems += error.problems
            continue
        problems += _lay_over(rulings, file, document)
    if len(rulings) > MAX_RULES:
        problems.append(
            Problem(documents[-1].source, 0, "rules", f"{len(rulings)} rules; at most {MAX_RULES}")
        )
    if problems:
        # What a broken file would have defined is not missing elsewhere.
        raise ConfigError(problems)
    return RuleSet(MappingProxyType(_in_order(rulings)))


def _lay_over(rulings: dict[str, Ruling], file: RuleFile, document: Document) -> Iterator[Problem]:
    def at(*location: str | int) -> tuple[str, int]:
        return document.where(location)

    for name, rule in file.rules.items():
        rulings[name] = _ruling(name, rule, *at("rules", name))

    def known(name: str, *location: str | int) -> Iterator[Problem]:
        if name not in rulings:
            yield Problem(
                *at(*location), dotted(location), f"there is no rule '{name}'{nearest(name, rulings)}"
            )

    def pointed(name: str, *location: str | int) -> Iterator[Problem]:
        if name in rulings and rulings[name].points is None:
            message = "this rule has no points: it is only named by others"
            yield Problem(*at(*location), dotted(location), message)

    for name, points in file.points.items():
        yield from known(name, "points", name)
        yield from pointed(name, "points", name)
        if name in rulings:
            rulings[name] = replace(rulings[name], points=points)
    for index, name in enumerate(file.shadow):
        yield from known(name, "shadow", index)
        yield from pointed(name, "shadow", index)
        if name in rulings:
            rulings[name] = replace(rulings[name], shadow=True)
    for index, name in enumerate(file.off):
        yield from known(name, "off", index)
        if name in rulings:
            rulings[name] = replace(rulings[name], off=True)
    for name, condition in file.unless.items():
        yield from known(name, "unless", name)
        if name in rulings:
            rulings[name] = replace(rulings[name], unless=condition.plain())


def _ruling(name: str, rule: Rule, source: str, line: int) -> Ruling:
    return Ruling(
        name,
        rule.plain(),
        rule.points,
        rule.shadow,
        source=source,
        line=line,
        description=rule.description,
        hits=rule.hits,
        misses=rule.misses,
    )


def _in_order(rulings: dict[str, Ruling]) -> dict[str, Ruling]:
    """``rulings`` so that each comes after those it names.

    Raises:
        ConfigError: one is named that is not there, or names itself in the end.
    """
    ordered: dict[str, Ruling] = {}
    problems: list[Problem] = []
    open_: dict[str, None] = {}

    def place(name: str) -> None:
        ruling = rulings[name]
        open_[name] = None
        wanted = list(named(ruling.condition))
        if ruling.unless is not None:
            wanted += named(ruling.unless)
        for other in wanted:
            location: Location = ("rules", name)
            if other in open_:
                way = " names ".join([*list(open_)[list(open_).index(other) :], other])
                problems.append(
                    Problem(ruling.source, ruling.line, dotted(location), f"goes in a circle: {way}")
                )
            elif other not in rulings:
                text = f"names a rule that is not there: '{other}'{nearest(other, rulings)}"
                problems.append(Problem(ruling.source, ruling.line, dotted(location), text))
            elif other not in ordered:
                if len(open_) >= MAX_CHAIN:
                    text = f"a chain of more than {MAX_CHAIN} rules that name one another"
                    problems.append(Problem(ruling.source, ruling.line, dotted(location), text))
                else:
                    place(other)
        del open_[name]
        ordered[name] = ruling

    for name in rulings:
        if name not in ordered:
            place(name)
    if problems:
        raise ConfigError(problems)
    return ordered


MAX_CHAIN = 30
"""Rules that name one another in a row."""
