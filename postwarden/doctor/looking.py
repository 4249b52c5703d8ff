"""Asks DNS about the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mailbase.addresses import pack
from mailbase.config import Settings
from mailbase.config.lists import ListKind
from mailbase.dns.answers import Answer, Found, RecordType
from mailbase.dns.names import reversed_address
from mailbase.dns.resolver import Resolver
from mailbase.lists.model import DnsList, make_list
from mailbase.organisation import organisation
from policyd.spf.evaluation import Identity, evaluate
from policyd.spf.outcome import Result
from postwarden.doctor import identity
from postwarden.doctor.symptom import Symptom

CONSUMER = "doctor"
MAX_ADDRESSES = 64


class Looking:
    """Arguments:
    settings: identity, and the lists of policyd.
    resolver: has the consumer ``doctor``.
    """

    def __init__(self, settings: Settings, resolver: Resolver) -> None:
        self._settings = settings
        self._resolver = resolver

    async def run(self) -> list[Symptom]:
        """Everything that is to be changed."""
        own = self._settings.identity
        found: list[Symptom] = []
        addresses: dict[bytes, None] = {}
        for relay in own.relay_names:
            answer = await self._resolver.addresses(relay, consumer=CONSUMER)
            found += identity.judge_name(relay, answer)
            for address in answer.records if isinstance(answer, Found) else ():
                addresses[address] = None
                found += await self._reverse(relay, address)
        fixed = [packed for text in self._settings.policyd.outgoing.own.addresses if (packed := pack(text))]
        ours = [*addresses, *(one for one in fixed if one not in addresses)][:MAX_ADDRESSES]
        said: set[Symptom] = set()
        for address in ours:
            for symptom in identity.judge_spf(own.spf_name, address, await self._spf(address)):
                if symptom not in said:
                    said.add(symptom)
                    found.append(symptom)
        for definition in self._lists():
            found += await self._listed(definition, ours)
        domain = organisation(own.hostname) or own.hostname
        record = await self._resolver.txt(f"_dmarc.{domain}", consumer=CONSUMER)
        return [*found, *identity.judge_dmarc(domain, record)]

    async def _reverse(self, relay: str, address: bytes) -> list[Symptom]:
        names = await self._resolver.ptr(address, consumer=CONSUMER)
        forward: dict[str, Answer[bytes]] = {}
        for name in names.records if isinstance(names, Found) else ():
            forward[name] = await self._resolver.addresses(name, consumer=CONSUMER)
        return list(identity.judge_reverse(relay, address, names, forward))

    async def _spf(self, address: bytes) -> Result:
        own = self._settings.identity
        asking = evaluate(address, Identity(own.spf_name), own.hostname, own.hostname)
        answers: Any = None
        while True:
            try:
                questions = asking.send(answers)
            except StopIteration as ended:
                outcome: Result = ended.value.result
                return outcome
            answers = await self._resolver.together(questions, consumer=CONSUMER)

    def _lists(self) -> Iterator[DnsList]:
        for name, one in self._settings.policyd.lists.items():
            if one.kind is ListKind.DNSBL:
                yield make_list(name, one)

    async def _listed(self, definition: DnsList, ours: list[bytes]) -> list[Symptom]:
        mine = [address for address in ours if len(address) in definition.families]
        points = [*definition.listed, *definition.clean]
        names = [*points, *(reversed_address(address) + definition.suffix for address in mine)]
        answers = await self._resolver.together([(name, RecordType.A) for name in names], consumer=CONSUMER)
        tested, asked = len(definition.listed), len(points)
        if definition.judge(answers[:tested], answers[tested:asked]).trouble is not None:
            # What it says is worth nothing; "policyd lists" tells of it.
            return []
        readings = zip(mine, map(definition.read, answers[asked:]), strict=True)
        return [
            symptom
            for address, reading in readings
            for symptom in identity.judge_listing(
                address, definition.name, [f"{reading.fact} {reading.detail}"] if reading.fact else []
            )
        ]
