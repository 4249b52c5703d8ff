"""Judges who vouches for a mail, once the workers have verified what there is, and writes it on its top."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from contentfilter.assessing import Assessment, Mail, Name
from contentfilter.authentication.dmarc import Dmarc, Spf, evaluate
from contentfilter.authentication.forwarding import trusted_forwarder
from contentfilter.authentication.judged import Judged, clues_of
from contentfilter.authentication.outcome import Authentication
from contentfilter.authentication.preparing import CONSUMER, PATIENCE
from contentfilter.authentication.results_line import results_line
from contentfilter.disposition.recipients import Share
from mailbase.addresses import domain_of, normal_domain
from mailbase.config.authentication import Enforcement
from mailbase.dns import Resolver
from mailbase.logs import Log
from mailbase.vocabulary import Flow

MAX_KEPT = 1000
"""Mails between their assessment and their stamp."""
FAILED = "the workers have verified nothing"

_SPF = frozenset({"pass", "fail", "softfail", "neutral", "none", "permerror", "temporary"})


class Meter(Protocol):
    """Counts."""

    def authenticated(self, judged: Judged) -> None:
        """A mail was judged."""


class Authenticator:
    """Assessor and stamper in one.

    Arguments:
        resolver: shared by everybody.
        seconds: the reactor's clock.
        log: gets a line for each mail.
        meter: counts.
        authserv_id: our name in Authentication-Results.
        trusted: domains of sealers whose word is taken.
        flows: what is done in each.
    """

    name: Name = "authentication"

    def __init__(
        self,
        resolver: Resolver,
        seconds: Callable[[], float],
        log: Log,
        meter: Meter,
        authserv_id: str,
        trusted: Sequence[str],
        flows: Mapping[Flow, Enforcement],
    ) -> None:
        self._resolver = resolver
        self._seconds = seconds
        self._log = log
        self._meter = meter
        self._authserv_id = authserv_id
        self._trusted = trusted
        self._flows = flows
        self._judged: OrderedDict[tuple[str, bytes], Judged] = OrderedDict()

    async def assess(self, mail: Mail) -> Assessment:
        """See :class:`contentfilter.assessing.Assessor`."""
        if self._flows[mail.flow] is Enforcement.OFF:
            return Assessment()
        found = mail.result.traits.authentication if mail.result is not None else None
        if found is None:
            return Assessment(failed=FAILED)
        judged = await self._judge(found, spf_of(mail))
        self._judged[mail.id, mail.spool.digest] = judged
        while len(self._judged) > MAX_KEPT:
            self._judged.popitem(last=False)
        self._meter.authenticated(judged)
        self._log.info("authenticated", id=mail.id, **_told(judged, self._log.pseudonym))
        return Assessment(tuple(clues_of(judged)))

    async def stamp(self, mail: Mail, shares: Sequence[Share]) -> bytes:
        """See :class:`contentfilter.assessing.Stamper`.

        The line is there even if nothing could be found out, so that no other is the topmost.
        """
        if self._flows[mail.flow] is Enforcement.OFF:
            return b""
        return results_line(self._authserv_id, self._judged.pop((mail.id, mail.spool.digest), None))

    async def _judge(self, found: Authentication, spf: Spf) -> Judged:
        dmarc = await self._evaluate(found, spf)
        forwarder = ""
        if dmarc.result == "fail" and len(found.authors) == 1:
            forwarder = trusted_forwarder(found.chain, dmarc.domain, self._trusted)
        return Judged(found, spf, dmarc, forwarder, self._authserv_id in found.claims)

    async def _evaluate(self, found: Authentication, spf: Spf) -> Dmarc:
        deadline = self._seconds() + PATIENCE
        work = evaluate(found, spf)
        try:
            questions = next(work)
            while True:
                answers = await self._resolver.together(questions, consumer=CONSUMER, deadline=deadline)
                questions = work.send(answers)
        except StopIteration as stop:
            outcome: Dmarc = stop.value
            return outcome


def spf_of(mail: Mail) -> Spf:
    """What policyd found out by SPF of the envelope sender, or of HELO where there is none (RFC 7208 2.4)."""
    helo = not mail.envelope.sender.address
    if helo:
        hop = mail.client.helo if mail.client is not None else mail.envelope.client.helo
        domain = normal_domain(hop) or ""
    else:
        domain = domain_of(mail.envelope.sender.address) or ""
    facts = mail.evidence.facts if mail.evidence is not None else ()
    for fact in facts:
        # In brackets if it is a shadow, with points behind it if they are known.
        check, _, result = fact.strip("()").partition(":")[0].partition(".")
        if check == "spf" and result in _SPF:
            return Spf("temperror" if result == "temporary" else result, domain, helo)
    return Spf("", domain, helo)


def _told(judged: Judged, name: Callable[[str], str]) -> dict[str, str]:
    """For the log.

    Arguments:
        name: how a domain is written there; one may be a person's.
    """
    dmarc, chain = judged.dmarc, judged.found.chain
    signatures = [
        f"{one.result}:{name(one.domain)}" + (f" ({one.reason})" if one.reason else "")
        for one in judged.found.signatures
    ]
    told = {
        "author": ",".join(map(name, judged.found.authors)),
        "spf": f"{judged.spf.result or 'unknown'}:{name(judged.spf.domain)}",
        "dkim": ", ".join(signatures) or "none",
        "arc": f"{chain.result}: {chain.reason}" if chain.reason else chain.result,
        "dmarc": dmarc.result,
        "policy": dmarc.published if dmarc.record else "",
        "aligned": name(dmarc.by),
        "forwarder": name(judged.forwarder),
    }
    return {field: text for field, text in told.items() if text}
