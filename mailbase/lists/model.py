"""A list, and what an answer of it means."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mailbase.addresses import MAPPED, normal_domain, pack, unpack
from mailbase.config.list_codes import LOOPBACK, Pattern, parse_code
from mailbase.config.lists import ListKind, ListSettings, fact_names
from mailbase.config.url_lists import URL_KIND, UrlListSettings
from mailbase.dns.answers import Answer, Found, NoData, NxDomain, Record
from mailbase.dns.names import reversed_address

REFUSED = parse_code("127.255.255.*")
"""What the large lists answer those whom they do not serve, whatever was asked."""
IPV4, IPV6 = 4, 16
"""Octets of an address."""
MAX_SHOWN = 5
"""Addresses of an answer that are shown."""


class Trouble(enum.StrEnum):
    """What can be wrong with a list."""

    UNANSWERED = "unanswered"
    """No answer, or none that says anything."""
    REFUSED = "refused"
    """It says that it does not answer us."""
    FOREIGN = "foreign"
    """Answers outside 127.0.0.0/8: the domain is sold, or a resolver on the way makes up answers."""
    MISSES = "misses"
    """It does not list what every list must."""
    LISTS_ALL = "lists-all"
    """It lists what no list must."""

    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class Reading:
    """What one answer says.

    Arguments:
        fact: the fact's name; empty where nothing is listed.
        rank: of two facts of a list the one with the lower rank counts.
        trouble: why the answer says nothing about the client; None where it does.
        detail: the addresses that were answered.
    """

    fact: str = ""
    rank: int = 0
    trouble: Trouble | None = None
    detail: str = ""


NOT_LISTED = Reading()
_OCTETS = {"ipv4": IPV4, "ipv6": IPV6}
UNANSWERED = Reading(trouble=Trouble.UNANSWERED)


@dataclass(frozen=True, slots=True)
class DnsList:
    """Arguments:
    name: as in the configuration.
    kind: what is asked after, which is also who asks, in the metrics of DNS.
    suffix: its zone, with a dot in front.
    families: octets of the addresses that it lists.
    codes: names of answers; of several that fit, the first.
    refused: answers that mean "we do not serve you".
    names: which names it is asked after, in the words of the configuration.
    registrable: whether these are reduced to registrable domains.
    shadow: whether its facts are counted only.
    listed: names that must be listed, complete as they are asked for.
    clean: names that must not be.
    """

    name: str
    kind: str
    suffix: str
    families: frozenset[int] = frozenset({IPV4})
    codes: tuple[tuple[str, tuple[Pattern, ...]], ...] = ()
    refused: tuple[Pattern, ...] = (REFUSED,)
    names: frozenset[str] = frozenset()
    registrable: bool = False
    shadow: bool = False
    listed: tuple[str, ...] = ()
    clean: tuple[str, ...] = ()

    @property
    def zone(self) -> str:
        """Where it is in DNS."""
        return self.suffix[1:]

    @property
    def facts(self) -> tuple[str, ...]:
        """Every fact that it can state."""
        return (self.name, *(f"{self.name}.{code}" for code, _patterns in self.codes))

    def read(self, answer: Answer[Record]) -> Reading:
        """What ``answer`` says; of several addresses the first code of the table that fits one counts."""
        match answer:
            case NxDomain() | NoData():
                return NOT_LISTED
            case Found():
                return self._read([record for record in answer.records if isinstance(record, bytes)])
            case _:
                # A name too long for DNS is not listed; all else is a failure.
                return NOT_LISTED if answer.result == "bad-name" else UNANSWERED

    def _read(self, records: list[bytes]) -> Reading:
        shown = ",".join(unpack(record) for record in records[:MAX_SHOWN])
        addresses = [int.from_bytes(record) for record in records]
        if any(address >> 24 != LOOPBACK for address in addresses):
            return Reading(trouble=Trouble.FOREIGN, detail=shown)
        if any(pattern.matches(address) for address in addresses for pattern in self.refused):
            return Reading(trouble=Trouble.REFUSED, detail=shown)
        for rank, (code, patterns) in enumerate(self.codes):
            if any(pattern.matches(address) for address in addresses for pattern in patterns):
                return Reading(f"{self.name}.{code}", rank, detail=shown)
        return Reading(self.name, len(self.codes), detail=shown)

    def judge(self, listed: Iterable[Answer[Record]], clean: Iterable[Answer[Record]]) -> Reading:
        """What the answers to the test points say of the list itself: ``trouble``, and ``detail`` on it.

        Arguments:
            listed: in the order of :attr:`listed`.
            clean: in the order of :attr:`clean`.
        """
        unanswered = ""
        for name, must, answer in (
            *((name, True, answer) for name, answer in zip(self.listed, listed, strict=True)),
            *((name, False, answer) for name, answer in zip(self.clean, clean, strict=True)),
        ):
            point = name.removesuffix(self.suffix)
            reading = self.read(answer)
            if reading.trouble is Trouble.UNANSWERED:
                unanswered = unanswered or f"no answer to {point}"
            elif reading.trouble is not None:
                return Reading(trouble=reading.trouble, detail=f"{reading.detail} for {point}")
            elif bool(reading.fact) is not must:
                trouble = Trouble.MISSES if must else Trouble.LISTS_ALL
                return Reading(trouble=trouble, detail=f"does not list {point}" if must else f"lists {point}")
        return Reading(trouble=Trouble.UNANSWERED, detail=unanswered) if unanswered else NOT_LISTED


def make_list(name: str, settings: ListSettings) -> DnsList:
    """The list of clients or domains that the configuration describes."""
    suffix = "." + settings.zone
    of_names = settings.kind is ListKind.RHSBL
    listed, clean = test_points(
        of_names, () if of_names else settings.families, settings.test_listed, settings.test_clean
    )
    made = DnsList(
        name,
        settings.kind,
        suffix,
        families_of(settings.families),
        codes_of(settings.codes),
        refused_of(settings.refused),
        frozenset(settings.names),
        settings.registrable,
        settings.shadow,
        tuple(_test_name(point, not of_names) + suffix for point in listed),
        tuple(_test_name(point, not of_names) + suffix for point in clean),
    )
    assert made.facts == fact_names(name, settings)
    return made


def make_url_list(name: str, settings: UrlListSettings) -> DnsList:
    """The list of what links lead to that the configuration describes."""
    suffix = "." + settings.zone
    families = [what for what in settings.ask if what in _OCTETS]
    names = frozenset(settings.ask) - frozenset(families)
    listed, clean = test_points(bool(names), families, settings.test_listed, settings.test_clean)
    return DnsList(
        name,
        URL_KIND,
        suffix,
        families_of(families),
        codes_of(settings.codes),
        refused_of(settings.refused),
        names,
        shadow=settings.shadow,
        listed=tuple(_test_name(point, pack(point) is not None) + suffix for point in listed),
        clean=tuple(_test_name(point, pack(point) is not None) + suffix for point in clean),
    )


def families_of(families: Iterable[str]) -> frozenset[int]:
    """Octets of the addresses of ``ipv4`` and ``ipv6``."""
    return frozenset(_OCTETS[family] for family in families)


def codes_of(codes: Mapping[str, Iterable[str]]) -> tuple[tuple[str, tuple[Pattern, ...]], ...]:
    """Names for answers, as they are written in the configuration."""
    return tuple((code, tuple(map(parse_code, texts))) for code, texts in codes.items())


def refused_of(texts: Iterable[str]) -> tuple[Pattern, ...]:
    """Answers that mean "we do not serve you": these, and those of the large lists."""
    return (REFUSED, *map(parse_code, texts))


def test_points(
    of_names: bool, families: Iterable[str], listed: Sequence[str] | None, clean: Sequence[str] | None
) -> tuple[Sequence[str], Sequence[str]]:
    """What a list must have, and must not have: as given, or where that is None by RFC 5782 5."""

    def default(name: str, address: str) -> tuple[str, ...]:
        addresses = (address if family == "ipv4" else "::ffff:" + address for family in families)
        return ((name,) if of_names else ()) + tuple(addresses)

    return (
        default("test", "127.0.0.2") if listed is None else listed,
        default("invalid", "127.0.0.1") if clean is None else clean,
    )


def _test_name(point: str, address: bool) -> str:
    if not address:
        name = normal_domain(point)
        assert name is not None
        return name
    packed = pack(point)
    assert packed is not None
    # An IPv4 address written as an IPv6 one is a test point of the IPv6 side.
    return reversed_address(MAPPED + packed if ":" in point and len(packed) == 4 else packed)
