"""The command line of rules: ``list``, ``facts``, ``check`` and ``test``; see :mod:`contentfilter.cli`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailbase.arguments import Command, add_form
from mailbase.commandline import NEGATIVE, OK, USAGE, place
from mailbase.config import Settings
from mailbase.printing import wants_json, write
from mailbase.replies import printable

if TYPE_CHECKING:
    # Loaded where they are needed, since all of contentfilter's commands pass here.
    from contentfilter.rules.matcher import Matcher, Place
    from contentfilter.rules.reading import Reading
    from contentfilter.rules.ruling import RuleSet, Ruling

MAX_MAIL = 64 << 20
"""Octets of a mail that is tried."""
_LISTED = ("rule", "points", "note", "place", "description")
_FIRED = ("mail", "points", "rule", "where", "seen", "description")


def add_commands(commands: Any, command: Command, settings: Callable[[argparse.Namespace], Settings]) -> None:
    """Add them to the subcommands of contentfilter.

    Arguments:
        settings: the configuration that the arguments name; the built-in one where there is none.
    """
    rules = commands.add_parser("rules", help="list, check and try the rules that give points for spam")
    verbs = rules.add_subparsers(metavar="COMMAND", required=True)

    listing = command(verbs, "list", "list all rules with their points", "contentfilter rules list")
    add_form(listing)
    listing.set_defaults(run=lambda options: _list(_rules(settings(options)), options.json))

    facts = command(verbs, "facts", "list the facts that rules can ask for", "contentfilter rules facts")
    add_form(facts)
    facts.set_defaults(run=lambda options: _facts(options.json))

    checking = command(
        verbs,
        "check",
        "read all rules, and try each on the mails that stand with it",
        "contentfilter rules check --set contentfilter.rules.file=new.yaml",
    )
    checking.set_defaults(run=lambda options: _check(_rules(settings(options))))

    trying = command(
        verbs,
        "test",
        "say which rules fire on mails, where and why, and what they come to",
        "contentfilter rules test suspicious.eml",
    )
    trying.add_argument("paths", nargs="+", type=place, metavar="MAIL", help="file that holds one message")
    add_form(trying)
    trying.set_defaults(run=lambda options: _test(_rules(settings(options)), options.paths, options.json))


def _rules(settings: Settings) -> RuleSet:
    from contentfilter.rules.own import OwnRules

    return OwnRules.read(settings.contentfilter.rules).ruleset(checked=True)


def _list(rules: RuleSet, as_json: bool | None) -> int:
    rows = (
        {
            "rule": ruling.name,
            "points": ruling.points,
            "note": _note(ruling),
            "place": f"{ruling.source}:{ruling.line}",
            "description": ruling.description,
        }
        for ruling in rules.rulings.values()
    )
    write(sys.stdout, rows, _LISTED, wants_json(sys.stdout, as_json))
    return OK


def _facts(as_json: bool | None) -> int:
    from contentfilter.rules.facts import FACTS

    rows = ({"fact": name, "holds": _sentence(fact.__doc__)} for name, fact in FACTS.items())
    write(sys.stdout, rows, ("fact", "holds"), wants_json(sys.stdout, as_json))
    return OK


def _sentence(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


def _note(ruling: Ruling) -> str:
    notes = [("off", ruling.off), ("shadow", ruling.shadow), ("with an exception", ruling.unless is not None)]
    return ", ".join(word for word, true in notes if true)


def _check(rules: RuleSet) -> int:
    from contentfilter.content.scan import read_letter
    from contentfilter.rules.samples import check

    failures = list(check(rules, read_letter))
    for failure in failures:
        print(failure, file=sys.stderr)
    rulings = rules.rulings.values()
    untried = [ruling.name for ruling in rulings if ruling.points is not None and not ruling.hits]
    if untried:
        print(f"without a mail that they must fire on: {', '.join(untried)}", file=sys.stderr)
    samples = sum(len(ruling.hits) + len(ruling.misses) for ruling in rulings)
    print(f"{len(rulings)} rules, {samples} mails, {len(failures)} wrong")
    return NEGATIVE if failures else OK


def _test(rules: RuleSet, paths: list[Path], as_json: bool | None) -> int:
    from contentfilter.content.scan import read_letter
    from contentfilter.rules.matcher import Matcher
    from contentfilter.rules.reading import Reading

    matcher = Matcher(rules)
    json_rows = wants_json(sys.stdout, as_json)
    unreadable = False
    for path in paths:
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_MAIL)
        except OSError as error:
            print(f"contentfilter: {printable(str(path), 200)}: {error.strerror}", file=sys.stderr)
            unreadable = True
            continue
        reading = Reading(read_letter(data))
        rows = list(_fired(path, matcher, reading))
        total = sum(row["points"] for row in rows if not row["shadow"])
        if json_rows:
            write(sys.stdout, [{"mail": str(path), "total": round(total, 3), "rules": rows}], (), True)
            continue
        shown = [{**row, "where": _first(row, "where"), "seen": _first(row, "seen")} for row in rows]
        write(sys.stdout, shown, _FIRED[1:], False)
        print(f"{printable(str(path), 200)}: {total:.1f} points from {len(rows)} rules\n")
    return USAGE if unreadable else OK


def _fired(path: Path, matcher: Matcher, reading: Reading) -> Iterator[dict[str, Any]]:
    """A row for each rule that fires, the most telling first."""
    hits = sorted(matcher.hits(reading), key=lambda hit: (-(hit.ruling.points or 0.0), hit.ruling.name))
    for ruling, places in matcher.places(reading, [hit.ruling for hit in hits]):
        yield {
            "points": ruling.points,
            "rule": ruling.name,
            "shadow": ruling.shadow,
            "places": [{"where": place.where, "seen": _visible(place)} for place in places],
            "description": ruling.description + (" (shadow: not counted)" if ruling.shadow else ""),
        }


def _first(row: dict[str, Any], what: str) -> str:
    places = row["places"]
    return str(places[0][what]) if places else ""


def _visible(place: Place) -> str:
    return " ".join(place.text.split())
