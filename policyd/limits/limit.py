"""A limit as the operator set it, and whose bucket a mail takes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

from mailbase.addresses import domain_of, unpack
from mailbase.config.limits import LimitSettings, Of, Per
from mailbase.vocabulary import Action, Flow
from policyd.evidence.flow import Origin
from policyd.greylist.keys import client_network
from policyd.limits.bucket import Rate
from policyd.limits.ledger import Ask, bucket_keys
from policyd.protocol.request import MAX_ADDRESS, Request

NO_DOMAIN = "(no domain)"
"""Stands for the domain of a sender that has none."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Arguments:
    flow: whose mail it is for.
    name: in that flow.
    per: whose use is counted together.
    of: what is counted.
    rate: how its buckets fill.
    warn_at: units in use from which on there is a warning; infinite for never.
    action: what is done with mail beyond it: defer or reject.
    shadow: whether it is only counted.

    Attributes:
        label: its name among those of all flows.
    """

    flow: Flow
    name: str
    per: Per
    of: Of
    rate: Rate
    warn_at: float
    action: Action
    shadow: bool
    label: str = field(init=False)
    _key: Callable[[str], bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", f"{self.flow}.{self.name}")
        # A limit that is changed to count something else begins anew.
        object.__setattr__(self, "_key", bucket_keys(self.flow, self.name, self.per, self.of))

    def ask(self, subject: str, cost: int, *, take: bool) -> Ask:
        """What is asked of the bucket of ``subject``."""
        return Ask(self._key(subject), self.rate, cost, take, self.shadow, self.label, subject)


def limits_of(flow: Flow, settings: Mapping[str, LimitSettings]) -> tuple[Limit, ...]:
    """The limits that the settings of a flow name."""
    return tuple(
        Limit(
            flow,
            name,
            limit.per,
            limit.of,
            Rate(limit.limit, limit.within, limit.capacity),
            inf if limit.warn_at is None else limit.warn_at * limit.capacity,
            Action.REJECT if limit.action == "reject" else Action.DEFER,
            limit.shadow,
        )
        for name, limit in settings.items()
    )


def subject_of(per: Per, request: Request, origin: Origin, prefixes: tuple[int, int]) -> str | None:
    """Whose bucket it is; None if the limit does not concern this mail.

    Arguments:
        per: anything but the recipient's domain, of which a mail may have several.
        prefixes: lengths of a client network, IPv4 and IPv6.
    """
    match per:
        case Per.CLIENT:
            return None if origin.address is None else unpack(origin.address)
        case Per.NETWORK:
            if origin.address is None:
                return None
            return client_network(origin.address, *prefixes, exact=False)
        case Per.USER:
            # Most password stores do not tell Anna from anna, and she must not have two buckets.
            return request.sasl_username[:MAX_ADDRESS].lower() or None
        case Per.SENDER_DOMAIN:
            return (domain_of(request.sender) or NO_DOMAIN) if request.sender else None
        case Per.SYSTEM:
            return None if origin.system is None else origin.system.text
        case Per.RECIPIENT_DOMAIN:
            raise ValueError("a mail may have several")
