"""What is known of a mail's authentication once everybody was asked, and the clues that follow. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contentfilter.authentication.dmarc import Dmarc, Spf
from contentfilter.authentication.outcome import SOUND_BITS, Authentication, Signature
from contentfilter.content.clues import MAX_DETAIL, Clue

DMARC_REJECT, DMARC_QUARANTINE = "dmarc-reject", "dmarc-quarantine"
"""Findings: the mail fails DMARC, and the author's domain asks for this."""
FOREIGN_RESULTS = "foreign-results"
"""A finding: somebody else has written results under our name."""
BEST = ("pass", "temperror", "neutral", "fail", "policy", "permerror")
"""Results of signatures; the first that any has is the mail's. One that may yet be good is no bad one."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Arguments:
    found: what the workers verified.
    spf: what policyd found out.
    dmarc: what follows.
    forwarder: the trusted sealer who vouches for a mail that fails; empty if none does.
    forged: somebody else has written results under our name.
    """

    found: Authentication
    spf: Spf
    dmarc: Dmarc
    forwarder: str = ""
    forged: bool = False

    @property
    def dkim(self) -> str:
        """The result of all signatures together; ``none`` without any."""
        results = {_result(one) for one in self.found.signatures}
        return next((result for result in BEST if result in results), "none")

    @property
    def enforced(self) -> str:
        """The policy that may be enforced: ``quarantine``, ``reject``, or empty."""
        failed = self.dmarc.result == "fail" and not self.forwarder
        return self.dmarc.policy if failed and self.dmarc.policy != "none" else ""


def _result(signature: Signature) -> str:
    # A failure of a key in testing is that of no signature at all (RFC 6376 3.6.1).
    return "none" if signature.testing and signature.result == "fail" else signature.result


def clues_of(judged: Judged) -> Iterator[Clue]:
    """The clues, each name once. What DMARC has counted in is not counted again for itself."""
    found, dmarc = judged.found, judged.dmarc
    if judged.dmarc.result == "fail" and judged.forwarder:
        yield _clue("dmarc.forwarded", f"{dmarc.domain} by {judged.forwarder}")
    elif dmarc.result == "fail":
        fact = judged.enforced or "fail"
        finding = {"reject": DMARC_REJECT, "quarantine": DMARC_QUARANTINE}.get(judged.enforced, "")
        yield Clue(f"dmarc.{fact}", dmarc.domain[:MAX_DETAIL], finding=finding)
    else:
        yield _clue(f"dmarc.{dmarc.result}", dmarc.domain or dmarc.reason)
    if not judged.enforced:
        yield _clue(f"dkim.{judged.dkim}", _of_signatures(judged))
    passed = [one for one in found.signatures if one.result == "pass"]
    if passed and all(one.algorithm.startswith("rsa") and one.bits < SOUND_BITS for one in passed):
        yield _clue("dkim.short-key", f"{passed[0].domain} {passed[0].bits}")
    partial = next((one for one in found.signatures if one.unsigned), None)
    if partial is not None:
        yield _clue("dkim.partial", f"{partial.domain} {partial.unsigned}")
    if found.chain.result != "none":
        sealers = [sealed.domain for sealed in found.chain.sets]
        yield _clue(f"arc.{found.chain.result}", found.chain.reason or ", ".join(sealers))
    if found.from_fields > 1:
        yield _clue("auth.several-from", str(found.from_fields))
    if len(found.authors) > 1:
        yield _clue("auth.several-authors", ", ".join(found.authors))
    if judged.forged:
        yield Clue("auth.foreign-results", finding=FOREIGN_RESULTS)


def _of_signatures(judged: Judged) -> str:
    return next(
        (
            f"{one.domain}: {one.reason}" if one.reason else one.domain
            for one in judged.found.signatures
            if _result(one) == judged.dkim
        ),
        "",
    )


def _clue(name: str, detail: str) -> Clue:
    return Clue(name, detail[:MAX_DETAIL])
