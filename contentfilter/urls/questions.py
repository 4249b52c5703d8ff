"""Which hosts of a mail which lists are asked after. Pure.

The hosts come from a worker, which a mail may have broken into: what is no public name or address is left
out, and no more is asked than the bounds allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from contentfilter.links.common import common_domains
from mailbase.addresses import is_host_name, normal_domain, pack
from mailbase.dns.names import reversed_address
from mailbase.lists.roster import Watched
from mailbase.organisation import organisation
from mailbase.reserved import is_private


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom lists are asked after.

    Arguments:
        host: a name, or an address in presentation form.
        domain: the registrable domain of the name; empty for an address, and for a name that is nobody's.
        address: packed; empty for a name.
    """

    host: str
    domain: str = ""
    address: bytes = b""


@dataclass(frozen=True, slots=True)
class Question:
    """Arguments:
    watched: the list.
    about: what it is asked after, as people write it.
    name: the name that DNS is asked for.
    """

    watched: Watched
    about: str
    name: str


def subjects_of(hosts: Iterable[str], is_exempt: Callable[[str], bool], limit: int) -> tuple[Subject, ...]:
    """Those who are to be looked up, at most ``limit`` different domains and addresses.

    Arguments:
        hosts: as a worker told them, the most telling first.
        is_exempt: whether a name is not looked up.
    """
    found: list[Subject] = []
    counted: set[str] = set()
    for host in hosts:
        subject = _subject(host)
        if subject is None or (not subject.address and is_exempt(subject.host)):
            continue
        key = subject.domain or subject.host
        if key not in counted and len(counted) >= limit:
            continue
        counted.add(key)
        found.append(subject)
    return tuple(found)


def _subject(host: str) -> Subject | None:
    if (packed := pack(host)) is not None:
        return None if is_private(packed) else Subject(host, address=packed)
    name = normal_domain(host)
    if name is None or not is_host_name(name.replace("_", "-")):
        return None
    return Subject(name, organisation(name) or "")


class Exempt:
    """Says which names are not looked up: those of the very common domains, and others with all below them.

    Arguments:
        domains: these others.
    """

    def __init__(self, domains: Iterable[str]) -> None:
        self._domains = frozenset(domains)

    def __call__(self, name: str) -> bool:
        if (organisation(name) or name) in common_domains():
            return True
        while name:
            if name in self._domains:
                return True
            name = name.partition(".")[2]
        return False


def questions(subjects: Sequence[Subject], lists: Sequence[Watched]) -> Iterator[Question]:
    """What each list is asked, each thing once, subject by subject: what is told first is asked first."""
    asked: set[tuple[Watched, str]] = set()
    for subject in subjects:
        for watched in lists:
            for about, label in _labels(subject, watched):
                if (watched, label) not in asked:
                    asked.add((watched, label))
                    yield Question(watched, about, label + watched.definition.suffix)


def _labels(subject: Subject, watched: Watched) -> Iterator[tuple[str, str]]:
    """What stands before the zone of a list."""
    definition = watched.definition
    if subject.address:
        if len(subject.address) in definition.families:
            yield subject.host, reversed_address(subject.address)
        return
    if "host" in definition.names:
        yield subject.host, subject.host
    if "domain" in definition.names and subject.domain:
        yield subject.domain, subject.domain
