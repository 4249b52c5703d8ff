"""How a check asks its lists: all of them at once, and each states one fact at most."""

from __future__ import annotations

from collections.abc import Sequence

from mailbase.dns.answers import RecordType
from mailbase.dns.names import reversed_address
from policyd.facts import Evidence
from policyd.inquiry import TEMPORARY, Inquiry
from policyd.lists.model import Reading
from policyd.lists.roster import Watched

_A = RecordType.A


def ask_lists(check: str, questions: Sequence[tuple[Watched, str]], labels: Sequence[str] = ()) -> Inquiry:
    """Ask; a list that lists something states it, ``temporary`` stands for all that do not answer.

    Arguments:
        check: the name of the check.
        questions: lists, and what stands before their zone; those of one list one after another.
        labels: what each question is about, for the detail.
    """
    if not questions:
        return ()
    answers = yield tuple([(name + watched.definition.suffix, _A) for watched, name in questions])
    best: dict[str, tuple[Reading, str]] = {}
    silent: dict[str, None] = {}
    for place, answer in enumerate(answers):
        watched = questions[place][0]
        watched.lookups += 1
        reading = watched.definition.read(answer)
        name = watched.definition.name
        if reading.fact:
            watched.hits += 1
            if name not in best or reading.rank < best[name][0].rank:
                label = labels[place] + " " if labels else ""
                best[name] = reading, label + reading.detail
        elif reading.trouble is not None:
            silent[name] = None
    facts = [Evidence(check, reading.fact, detail) for reading, detail in best.values()]
    if silent:
        facts.append(Evidence(check, TEMPORARY, ",".join(silent)))
    return tuple(facts)


def ask_after_address(check: str, lists: Sequence[Watched], address: bytes) -> Inquiry:
    """Ask those that list addresses of its family after a client, 4 or 16 octets."""
    octets = len(address)
    lists = [watched for watched in lists if octets in watched.definition.families]
    if not lists:
        return ask_lists(check, ())
    name = reversed_address(address)
    return ask_lists(check, [(watched, name) for watched in lists])
