"""One exception: whom it names, what it does, until when, by whom and why."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from mailbase.addresses import is_host_name, normal_address, normal_domain, unpack
from mailbase.networks import network_named, parse_network
from mailbase.replies import printable
from mailbase.store import NEVER
from policyd.evidence.facts import Effect, ExceptionFact, Named

MAX_WHAT = 320
"""Characters of what a rule names."""
MAX_TEXT = 320
"""Characters of a name or a reason that are kept."""

WIDEST = {4: 8, 16: 16}
"""Prefix lengths by octets of an address: a slip such as ``0.0.0.0/0`` is about everybody."""

SUSPENDED_BY = "policyd (outgoing)"
"""Who sets the rules that suspend somebody for what he sends."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Rule:
    """Made by :func:`rule_of`, which checks it.

    Arguments:
        named: the kind of what it names.
        what: a network or domain (client), a mailbox or domain (sender, recipient), a login name (user), in
            the form in which they are compared.
        effect: allow or deny.
        until: seconds since the epoch, or :data:`~mailbase.store.NEVER`.
        added: seconds since the epoch.
        by: who set it.
        why: for whoever wonders later.
    """

    named: Named
    what: str
    effect: Effect
    until: int = NEVER
    added: int = 0
    by: str = ""
    why: str = ""
    fact: ExceptionFact = field(init=False, compare=False, repr=False)
    """What it establishes, always the same object."""
    single: bool = field(init=False, compare=False, repr=False)
    """Whether it names one address, one mailbox or one user, rather than a network or a domain."""
    suspends: bool = field(init=False, compare=False, repr=False)
    """Whether it was set for what the user or system sent."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fact", ExceptionFact(self.effect, self.named, self.what))
        object.__setattr__(self, "single", _is_single(self.named, self.what))
        suspends = self.effect is Effect.DENY and self.by == SUSPENDED_BY
        object.__setattr__(self, "suspends", suspends)

    @property
    def key(self) -> str:
        """One rule for each: a deny takes the place of an allow, and the reverse."""
        return f"{self.named}:{self.what}"

    @property
    def weight(self) -> int:
        """What names one outweighs what names many; then deny outweighs allow."""
        return 2 * self.single + (self.effect is Effect.DENY)


def rule_of(
    what: str,
    effect: Effect,
    named: Named | None = None,
    *,
    until: float = NEVER,
    added: float = 0,
    by: str = "",
    why: str = "",
) -> Rule:
    """The rule that the operator means.

    Arguments:
        named: None where the form of ``what`` tells it: an IP address or network is a client, a mailbox or
            ``@domain`` a sender.

    Raises:
        ValueError: cannot be understood; the message is for the operator.
    """
    what = what.strip()
    if not what or len(what) > MAX_WHAT or _CONTROL.search(what):
        raise ValueError(f"expected an address, network, mail address or domain, got '{printable(what, 60)}'")
    if named is None:
        named = _guess(what)
    texts = (by.strip()[:MAX_TEXT], why.strip()[:MAX_TEXT])
    rule = Rule(named, _normal(what, named), effect, int(until), int(added), *texts)
    if effect is not Effect.NONE:
        _refuse_slips(rule)
    return rule


def _refuse_slips(rule: Rule) -> None:
    """What is taken back if it stands there, and not set."""
    if rule.named is Named.CLIENT and (network := _network(rule.what)) is not None:
        refuse_wide(*network)
    local, at, domain = rule.what.rpartition("@")
    if at and "*" in local and rule.named is not Named.USER:
        raise ValueError(f"* stands for nothing here; @{domain} names all addresses of it and below it")


def is_narrow(packed: bytes, length: int) -> bool:
    """Whether a network is not about everybody."""
    return length >= WIDEST[len(packed)]


def refuse_wide(packed: bytes, length: int) -> None:
    """Take no network that is about everybody.

    Raises:
        ValueError: it is; the message is for the operator.
    """
    if not is_narrow(packed, length):
        network = f"{unpack(packed)}/{length}"
        raise ValueError(
            f"expected a network of /{WIDEST[4]} or smaller (IPv6: /{WIDEST[16]}), got {network}"
        )


@lru_cache(maxsize=1000)
def client_form(text: str) -> str:
    """A registered system in the form in which a rule for it as a client names it; else empty."""
    try:
        return _normal(text, Named.CLIENT)
    except ValueError:
        return ""


def _guess(what: str) -> Named:
    if network_named(what) is not None:
        return Named.CLIENT
    if "@" in what:
        return Named.SENDER
    if "/" in what:
        # Raises, with what a network looks like.
        parse_network(what)
    raise ValueError(
        f"is '{printable(what, 60)}' the domain of clients, senders or recipients, or a user? "
        "Say --as client, --as sender, --as recipient or --as user"
    )


def _normal(what: str, named: Named) -> str:
    match named:
        case Named.USER:
            return what.lower()
        case Named.CLIENT:
            network = _network(what)
            if network is not None:
                packed, length = network
                return unpack(packed) if length == 8 * len(packed) else f"{unpack(packed)}/{length}"
            if "/" in what or _looks_like_address(what):
                # Raises, with the right network where host bits are set.
                parse_network(what)
            return _domain(what)
        case Named.SENDER | Named.RECIPIENT:
            if "@" in what[1:]:
                mailbox = normal_address(what)
                if mailbox is None or "@" not in mailbox:
                    raise ValueError(f"expected a mail address, got '{printable(what, 60)}'")
                return mailbox
            return _domain(what.removeprefix("@"))


def _domain(what: str) -> str:
    domain = normal_domain(what.removeprefix("*").removeprefix("."))
    if domain is None or not (is_host_name(domain) or domain.isalpha()):
        raise ValueError(f"expected a domain, got '{printable(what, 60)}'")
    return domain


def _network(what: str) -> tuple[bytes, int] | None:
    try:
        return parse_network(what)
    except ValueError:
        return None


def _looks_like_address(what: str) -> bool:
    return ":" in what or what.replace(".", "").isdigit()


def _is_single(named: Named, what: str) -> bool:
    if named is Named.CLIENT:
        return "/" not in what and _network(what) is not None
    return named is Named.USER or "@" in what
