"""What signing counts, and how its keys stand, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from contentfilter.pool.member import Fate
from contentfilter.signing.public import ALGORITHMS, Algorithm
from contentfilter.signing.reasons import REASONS, Reason
from contentfilter.signing.standing import Sight
from mailbase.counting import Counter


@dataclass(frozen=True, slots=True)
class KeyState:
    """How a key stands.

    Arguments:
        selector: its selector.
        age: seconds since it was made; 0 without a key.
        domains: how many domains sign with it.
    """

    selector: str
    age: float
    domains: int


class SigningMetrics:
    """Arguments:
    registry: of the daemon.
    states: tells how the keys stand.
    """

    def __init__(self, registry: CollectorRegistry, states: Callable[[], Sequence[KeyState]]) -> None:
        self._states = states
        self.signatures = Counter(
            "contentfilter_signatures",
            "DKIM signatures that were made.",
            {"algorithm": ALGORITHMS},
            registry=registry,
        )
        self.unsigned_mails = Counter(
            "contentfilter_unsigned",
            "Mails of registered systems and users that went without a signature.",
            {"reason": REASONS},
            registry=registry,
        )
        self.looks = Counter(
            "contentfilter_signing_looks",
            "Looks at the DKIM records of registered domains.",
            {"result": [sight.value for sight in Sight]},
            registry=registry,
        )
        self.changes = Counter(
            "contentfilter_signing_changes",
            "Domains that can sign with a key from now on, or no longer.",
            {"change": ("gained", "lost")},
            registry=registry,
        )
        self.signers_ended = Counter(
            "contentfilter_signers_ended",
            "Signer processes that ended.",
            {"fate": get_args(Fate)},
            registry=registry,
        )
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client.registry.Collector."""
        age = GaugeMetricFamily(
            "contentfilter_signing_key_age_seconds",
            "Time since a selector's key was made; 0 if it has none.",
            labels=["selector"],
        )
        domains = GaugeMetricFamily(
            "contentfilter_signing_key_domains",
            "Domains that sign with a selector's key.",
            labels=["selector"],
        )
        for state in self._states():
            age.add_metric([state.selector], state.age)
            domains.add_metric([state.selector], state.domains)
        yield age
        yield domains

    # The stamper's

    def signed(self, algorithm: Algorithm) -> None:
        """A signature was made."""
        self.signatures.labels(algorithm).inc()

    def unsigned(self, reason: Reason) -> None:
        """A mail of our customers goes without."""
        self.unsigned_mails.labels(reason).inc()

    # The watch's

    def looked(self, sight: Sight) -> None:
        """A look at a record."""
        self.looks.labels(sight.value).inc()

    def changed(self, gained: bool) -> None:
        """A domain can sign with a key, or no longer."""
        self.changes.labels("gained" if gained else "lost").inc()

    # The pool's

    def worker_ended(self, fate: Fate) -> None:
        """See :class:`contentfilter.pool.crew.Observer`."""
        self.signers_ended.labels(fate).inc()
