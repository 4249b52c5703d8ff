"""How a check asks its lists: all of them at once, and each states one fact at most."""

from __future__ import annotations

from collections.abc import Sequence

from mailbase.dns.answers import RecordType
from mailbase.dns.names import reversed_address
from mailbase.lists.model import NOT_LISTED
from mailbase.lists.roster import Watched
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import TEMPORARY, Inquiry

_A = RecordType.A


def ask_lists(check: str, questions: Sequence[tuple[Watched, str]], sources: Sequence[str] = ()) -> Inquiry:
    """Ask; a list that lists something states it, ``temporary`` stands for all that do not answer.

    Arguments:
        check: the name of the check.
        questions: lists, and what stands before their zone.
        sources: where each name comes from, for the detail; none for addresses.
    """
    if not questions:
        return ()
    answers = yield tuple([(name + watched.definition.suffix, _A) for watched, name in questions])
    best: dict[str, tuple[int, Evidence]] = {}
    silent: dict[str, None] = {}
    for place, (watched, name) in enumerate(questions):
        watched.lookups += 1
        definition = watched.definition
        reading = definition.read(answers[place])
        if reading is NOT_LISTED:
            continue
        if reading.trouble is not None:
            silent[definition.name] = None
            continue
        watched.hits += 1
        known = best.get(definition.name)
        if known is None or reading.rank < known[0]:
            detail = f"{sources[place]}={name} {reading.detail}" if sources else reading.detail
            best[definition.name] = reading.rank, Evidence(check, reading.fact, detail)
    facts = [fact for _rank, fact in best.values()]
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
