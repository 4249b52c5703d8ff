"""Asks DNS whether the keys' records and the customers' CNAMEs are as they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred, gatherResults

from contentfilter.signing.public import PublicKey
from contentfilter.signing.record import disagreement, record_name, record_text
from mailbase.config.identity import IdentitySettings
from mailbase.dns import Answer, Found, Record, RecordType, Resolver, Temporary, TimedOut
from mailbase.registry import Server
from postwarden.dkim.records import own_name
from postwarden.registry.check.finding import Severity
from postwarden.registry.dns import names as names_of
from postwarden.registry.dns import text_strings

AT_ONCE = 20
"""Names that are looked at at one time."""
CONSUMER = "check"


@dataclass(frozen=True, slots=True)
class DkimFinding:
    """One thing to change.

    Arguments:
        server: registered server that it belongs to; empty for the gateway.
        subject: domain, or what of the gateway.
        selector: whose record it is about; empty for all.
        severity: how bad it is.
        found: what there is; may hold foreign text.
        change: what to do.
    """

    server: str
    subject: str
    selector: str
    severity: Severity
    found: str
    change: str


class DkimChecking:
    """Arguments:
    resolver: has the consumer ``check``.
    identity: the gateway's.
    keys: that there are.
    progress: told how many of how many names are done.
    """

    def __init__(
        self,
        resolver: Resolver,
        identity: IdentitySettings,
        keys: Sequence[PublicKey],
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        self._resolver = resolver
        self._identity = identity
        self._keys = {key.selector: key for key in keys}
        self._progress = progress

    async def run(self, servers: Sequence[Server]) -> list[DkimFinding]:
        """What is to be changed: at the gateway first, then in the order of ``servers``."""
        found: dict[int, list[DkimFinding]] = {}
        subjects = [(server.name, name) for server in servers for name in names_of(server)]
        places = iter(enumerate(subjects))

        async def walk() -> None:
            for place, (server, name) in places:
                found[place] = list(await self._domain(server, name))
                self._progress(len(found), len(subjects))

        own = [finding for key in self._keys.values() for finding in await self._own(key)]
        await gatherResults([Deferred.fromCoroutine(walk()) for _ in range(AT_ONCE)])
        return own + [finding for place in range(len(subjects)) for finding in found[place]]

    async def _own(self, key: PublicKey) -> list[DkimFinding]:
        name = own_name(key.selector, self._identity)
        answer = await self._resolver.resolve(name, RecordType.TXT, consumer=CONSUMER)
        why = _wrong(answer, key)
        if not why:
            return []
        change = f"{name}. IN TXT {text_strings(record_text(key))}"
        return [DkimFinding("", name, key.selector, Severity.ERROR, why, change)]

    async def _domain(self, server: str, domain: str) -> list[DkimFinding]:
        selectors = self._identity.all_selectors
        kinds = [RecordType.TXT if selector in self._keys else RecordType.CNAME for selector in selectors]
        answers = await self._resolver.together(
            [(record_name(selector, domain), kind) for selector, kind in zip(selectors, kinds, strict=True)],
            consumer=CONSUMER,
        )
        findings = [
            finding
            for selector, answer in zip(selectors, answers, strict=True)
            for finding in self._selector(server, domain, selector, answer)
        ]
        good = len(findings) < len(selectors) or not selectors
        if not good and all(not isinstance(answer, (Found, Temporary, TimedOut)) for answer in answers):
            # One line for a customer who has set nothing, and not one for each selector.
            names = "; ".join(self._cname(selector, domain) for selector in selectors)
            why = "no CNAME is set: its mail goes unsigned"
            return [DkimFinding(server, domain, "", Severity.WARNING, why, names)]
        return findings

    def _selector(
        self, server: str, domain: str, selector: str, answer: Answer[Record]
    ) -> Iterator[DkimFinding]:
        target = own_name(selector, self._identity)
        change = self._cname(selector, domain)
        key = self._keys.get(selector)
        if isinstance(answer, (Temporary, TimedOut)):
            change = "ask again later; contentfilter goes on with what it saw last"
            yield DkimFinding(server, domain, selector, Severity.WARNING, _wrong(answer, key), change)
        elif key is None:
            if not isinstance(answer, Found) or target not in answer.records:
                why = "no CNAME for a key to come: the next rollover leaves this domain behind"
                yield DkimFinding(server, domain, selector, Severity.WARNING, why, change)
        elif why := _wrong(answer, key):
            yield DkimFinding(server, domain, selector, Severity.ERROR, why, change)
        elif isinstance(answer, Found) and answer.name != target:
            why = f"the key is there as a copy at {answer.name}: no rollover reaches it"
            yield DkimFinding(server, domain, selector, Severity.WARNING, why, change)

    def _cname(self, selector: str, domain: str) -> str:
        return f"{record_name(selector, domain)}. IN CNAME {own_name(selector, self._identity)}."


def _wrong(answer: Answer[Record], key: PublicKey | None) -> str:
    match answer:
        case Found(records=records):
            texts = [record for record in records if isinstance(record, bytes)]
            return "" if key is None else disagreement(texts, key)
        case Temporary() | TimedOut():
            return f"DNS does not answer: {answer.detail}" if answer.detail else "DNS does not answer"
        case _:
            return "there is no such record"
