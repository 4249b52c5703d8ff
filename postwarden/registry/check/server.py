"""What a server says in SMTP: whom it knows, how large a mail may be, and what its TLS is worth."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailbase.config.units import format_size
from mailbase.registry import Domain, Server
from mailbase.replies import Reply
from policyd.callout.conversation import Outcome
from policyd.callout.result import Result, result_of
from policyd.callout.servers import Place
from postwarden.registry.check.certificate import Certificate
from postwarden.registry.check.finding import Check, Finding, Severity

SIZE = 50 << 20
"""Octets that a message must be allowed to have."""
SOON = 14 * 86400.0
"""Seconds before the end of a certificate from which on it should be renewed."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A recipient to be asked for.

    Arguments:
        domain: registered.
        address: whole.
        exists: what the registration says of it.
    """

    domain: str
    address: str
    exists: bool


def trials(domain: Domain) -> tuple[list[Trial], list[Finding]]:
    """The recipients that a domain's registration names, and what it lacks."""
    found = [Trial(domain.name, address, True) for address in domain.existing]
    found += [Trial(domain.name, address, False) for address in domain.unknown]
    lacking = [
        Finding(
            domain.server,
            domain.name,
            Check.CALLOUT,
            Severity.WARNING,
            f"its registration names no {word} address",
            f"register one ({key}), so that callouts can be tested",
        )
        for key, word, addresses in (
            ("existing", "existing", domain.existing),
            ("unknown", "unknown", domain.unknown),
        )
        if not addresses
    ]
    return found, lacking


def judge_recipient(server: str, trial: Trial, reply: Reply | None, failure: str) -> Iterator[Finding]:
    """What is wrong with the answer to a recipient.

    Arguments:
        reply: None if there was none.
        failure: why.
    """

    def finding(found: str, change: str) -> Finding:
        return Finding(server, trial.address, Check.CALLOUT, Severity.ERROR, found, change)

    if reply is None:
        yield finding(f"could not be asked for: {failure}", "see what the server's log says")
        return
    result = result_of(reply)
    if result is Result.TEMPORARY:
        yield finding(f"neither known nor unknown: {reply}", "let the server trust the gateway")
    elif trial.exists and result is Result.UNKNOWN:
        yield finding(
            f"should exist, and is refused: {reply}",
            "register an address that exists, or correct the server: unless another one is registered, "
            f"nobody at {trial.domain} is refused as unknown until then, such mail hears 450",
        )
    elif not trial.exists and result is Result.KNOWN:
        yield finding(
            f"should not exist, and is accepted: {reply}",
            "let the server refuse unknown recipients at RCPT, or it will bounce to forged senders",
        )


def judge_connection(
    server: Server, place: Place, outcome: Outcome, certificate: Certificate | None, now: float
) -> Iterator[Finding]:
    """What is wrong with the dialogue up to EHLO.

    Arguments:
        certificate: that it showed under TLS.
        now: seconds since the epoch.
    """

    def finding(check: Check, severity: Severity, found: str, change: str) -> Finding:
        return Finding(server.name, place.host, check, severity, found, change)

    if outcome.handshake_failed:
        yield finding(
            Check.STARTTLS, Severity.WARNING, f"TLS comes to nothing: {outcome.failure}", "repair its TLS"
        )
        return
    if outcome.failure:
        yield finding(
            Check.CONNECTION,
            Severity.ERROR,
            f"no SMTP: {outcome.failure} (at {outcome.stage})",
            "let the gateway reach it on port 25",
        )
        return
    if not outcome.tls:
        refused = "is offered and refused" if "STARTTLS" in outcome.keywords else "is not offered"
        yield finding(Check.STARTTLS, Severity.WARNING, f"STARTTLS {refused}", "let the server offer it")
    elif certificate is not None:
        for found, change in _certificate(certificate, now):
            yield finding(Check.CERTIFICATE, Severity.WARNING, found, change)
    yield from (
        finding(Check.SIZE, severity, found, f"allow at least {format_size(SIZE)}")
        for severity, found in _size(outcome.keywords.get("SIZE"))
    )


def _size(announced: Sequence[str] | None) -> Iterator[tuple[Severity, str]]:
    if announced is None:
        yield Severity.WARNING, "SIZE is not announced"
        return
    limit = announced[0] if announced else "0"
    # 0 is no limit (RFC 1870 3: at most 20 digits).
    if limit.isascii() and limit.isdigit() and len(limit) <= 20 and 0 < int(limit) < SIZE:
        yield Severity.ERROR, f"takes messages up to {limit} octets only"


def _certificate(certificate: Certificate, now: float) -> Iterator[tuple[str, str]]:
    if not certificate.matches:
        yield "the certificate is for another name", "get one for the server's name"
    if now < certificate.begins:
        yield f"the certificate begins {_day(certificate.begins)}", "set the clock, or get another"
    elif now >= certificate.ends:
        yield f"the certificate ended {_day(certificate.ends)}", "renew it"
    elif now >= certificate.ends - SOON:
        yield f"the certificate ends {_day(certificate.ends)}", "renew it"
    if certificate.distrust:
        yield f"the certificate is not trusted: {certificate.distrust}", "get one of a known authority"


def _day(seconds: float) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d}"
