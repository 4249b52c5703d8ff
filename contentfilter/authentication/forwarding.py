"""Did a mail that fails come by a forwarder or mailing list that we trust to have looked (RFC 8617 7.2)?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contentfilter.authentication.outcome import Chain, Sealed
from mailbase.addresses import is_below


def trusted_forwarder(chain: Chain, author: str, trusted: Sequence[str]) -> str:
    """The sealer who vouches for the author's domain; empty if none does.

    What a sealer says counts if the chain holds and everybody who handled the mail after it is trusted, too.
    The first of those received it from somebody we don't know; it is that one's word that is taken, and it
    must be that the author was authentic then.

    Arguments:
        author: the author's domain.
        trusted: domains of sealers, with all below them.
    """
    if chain.result != "pass":
        return ""
    witness: Sealed | None = None
    for sealed in reversed(chain.sets):
        if not any(is_below(sealed.domain, name) for name in trusted):
            break
        witness = sealed
    if witness is None:
        return ""
    if witness.dmarc == "pass" or (witness.dmarc in ("", "none") and _stands_for(witness.passed, author)):
        return witness.domain
    return ""


def _stands_for(domains: Iterable[str], author: str) -> bool:
    return any(is_below(author, domain) or is_below(domain, author) for domain in domains)
