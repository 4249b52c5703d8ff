"""Looks the gateway's own addresses up in the DNSBLs that it asks about others.

Each round tests every list first (RFC 5782 5), as for mails: a list that answers wrongly says nothing of us.
Diagnostics: ``own-address-listed`` when an address is found on a list, and once a day while it is;
``own-address-clear`` when it is not any more; ``own-addresses-unknown`` where none is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from twisted.internet.defer import Deferred

from mailbase.addresses import pack, unpack
from mailbase.config import Settings
from mailbase.config.lists import ListKind
from mailbase.dns.answers import Found, RecordType
from mailbase.dns.names import reversed_address
from mailbase.dns.resolver import Resolver
from mailbase.lists.model import DnsList, make_list
from mailbase.logs import Log
from mailbase.reserved import is_private
from policyd.outgoing.notice import Notice

CONSUMER = "own-address"
"""Who asks, in the metrics of DNS."""
FIRST = 60.0
"""Seconds until the first round: DNS has other things to do at a start."""
MAX_ADDRESSES = 64
SAY_AGAIN = 86400.0
"""Seconds until it is said again of an address that it is still listed."""

Result = Literal["clean", "listed", "failed"]
RESULTS: tuple[Result, ...] = get_args(Result)


@dataclass(slots=True)
class Listing:
    """An address of ours on a list.

    Arguments:
        detail: what the list answers.
        since: when it was found there first, seconds since the epoch.
        said: when it was last said.
    """

    detail: str
    since: float
    said: float


class OwnAddresses:
    """Arguments:
    clock: the reactor; seconds since the epoch.
    resolver: asks.
    log: see the module's diagnostics.
    tell: gives a notice to the postmasters.
    """

    def __init__(self, clock: Any, resolver: Resolver, log: Log, tell: Callable[[Notice], None]) -> None:
        self._clock = clock
        self._resolver = resolver
        self._log = log
        self._tell = tell
        self._timer: Any = None
        self._stopped = False
        self._lists: tuple[DnsList, ...] = ()
        self._fixed: tuple[bytes, ...] = ()
        self._names: tuple[str, ...] = ()
        self._interval = 3600.0
        self._hostname = ""
        self._none_said = False
        self.known: tuple[bytes, ...] = ()
        """The addresses of the last round."""
        self.listed: dict[tuple[str, bytes], Listing] = {}
        """By list and address."""
        self.counted: dict[Result, int] = dict.fromkeys(RESULTS, 0)

    def configure(self, settings: Settings) -> None:
        """Look up these addresses in these lists; the next round is soon if anything has changed."""
        own = settings.policyd.outgoing.own
        lists = tuple(
            make_list(name, one)
            for name, one in settings.policyd.lists.items()
            if own.enabled and one.kind is ListKind.DNSBL
        )
        fixed = tuple(packed for address in own.addresses if (packed := pack(address)) is not None)
        names = () if fixed else settings.identity.relay_names
        changed = (lists, fixed, names) != (self._lists, self._fixed, self._names)
        self._lists, self._fixed, self._names = lists, fixed, names
        self._interval, self._hostname = own.interval, settings.identity.hostname
        there = {one.name for one in lists}
        self.listed = {key: listing for key, listing in self.listed.items() if key[0] in there}
        if changed or self._timer is None:
            self._none_said = False
            self._schedule(FIRST)

    def stop(self) -> None:
        """Begin no other round."""
        self._stopped = True
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _schedule(self, delay: float) -> None:
        self._cancel()
        if self._lists and not self._stopped:
            self._timer = self._clock.callLater(delay, self._begin)

    def _begin(self) -> None:
        Deferred.fromCoroutine(self.round()).addErrback(self._failed).addBoth(self._ended)

    def _failed(self, failure: Any) -> None:
        self._log.exception("own-addresses-failed", failure.value)

    def _ended(self, _result: object) -> None:
        if self._timer is None or not self._timer.active():
            self._schedule(self._interval)

    async def round(self) -> None:
        """Look up every address in every list."""
        addresses = await self._addresses()
        if addresses:
            self.known = addresses
            for definition in self._lists:
                await self._ask(definition, addresses)
            kept = set(addresses)
            self.listed = {key: listing for key, listing in self.listed.items() if key[1] in kept}
        elif not self._none_said:
            self._none_said = True
            self._log.warning("own-addresses-unknown", names=", ".join(self._names))

    async def _addresses(self) -> tuple[bytes, ...]:
        if self._fixed:
            return self._fixed[:MAX_ADDRESSES]
        found: dict[bytes, None] = {}
        for name in self._names:
            answer = await self._resolver.addresses(name, consumer=CONSUMER)
            if isinstance(answer, Found):
                found.update(dict.fromkeys(one for one in answer.records if not is_private(one)))
            else:
                # Not to be found now is not to be gone.
                found.update(dict.fromkeys(self.known))
        return tuple(found)[:MAX_ADDRESSES]

    async def _ask(self, definition: DnsList, addresses: Sequence[bytes]) -> None:
        mine = [address for address in addresses if len(address) in definition.families]
        names = [reversed_address(address) + definition.suffix for address in mine]
        points = [*definition.listed, *definition.clean]
        for name in (*points, *names):
            self._resolver.forget(name)
        questions = [(name, RecordType.A) for name in (*points, *names)]
        answers = await self._resolver.together(questions, consumer=CONSUMER)
        tested = len(definition.listed)
        trouble = definition.judge(answers[:tested], answers[tested : len(points)]).trouble
        for address, answer in zip(mine, answers[len(points) :], strict=True):
            reading = definition.read(answer)
            if trouble is not None or reading.trouble is not None:
                self.counted["failed"] += 1
            elif reading.fact:
                self.counted["listed"] += 1
                self._found(definition, address, f"{reading.fact} {reading.detail}")
            else:
                self.counted["clean"] += 1
                self._cleared(definition, address)

    def _found(self, definition: DnsList, address: bytes, detail: str) -> None:
        now, key = self._clock.seconds(), (definition.name, address)
        listing = self.listed.get(key)
        if listing is None:
            listing = self.listed[key] = Listing(detail, now, float("-inf"))
        listing.detail = detail
        if now < listing.said + SAY_AGAIN:
            return
        listing.said = now
        text = unpack(address)
        self._log.error("own-address-listed", own=text, list=definition.name, detail=detail)
        lines = (
            f"Our own address {text} is on the list {definition.name} ({definition.zone}): {detail}.",
            "Others refuse mail from it, or will soon. First stop whoever sends what he should not:",
            "    policyd outgoing list --odd",
            "Then ask the list's operator to take it off.",
        )
        data = {"address": text, "list": definition.name, "zone": definition.zone, "detail": detail}
        subject = f"Mail gateway: {text} is on {definition.name}"
        self._tell(Notice("own-address-listed", "", now, subject, lines, None, data))

    def _cleared(self, definition: DnsList, address: bytes) -> None:
        if self.listed.pop((definition.name, address), None) is not None:
            self._log.info("own-address-clear", own=unpack(address), list=definition.name)

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        yield GaugeMetricFamily(
            "policyd_own_addresses", "The gateway's addresses that are looked up.", value=len(self.known)
        )
        listed = GaugeMetricFamily("policyd_own_addresses_listed", "Those on a list.", labels=("list",))
        for definition in self._lists:
            listed.add_metric((definition.name,), sum(name == definition.name for name, _ in self.listed))
        yield listed
        lookups = CounterMetricFamily(
            "policyd_own_address_lookups", "Look-ups of the gateway's addresses.", labels=("result",)
        )
        for result, count in self.counted.items():
            lookups.add_metric((result,), count)
        yield lookups
