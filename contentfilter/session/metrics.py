"""What the proxy counts of its clients and their transactions, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from contentfilter.session.intake import SHORTAGES, Intake, Shortage
from contentfilter.session.steps import End
from mailbase.counting import Counter, Histogram

PROTOCOLS = ("smtp", "lmtp", "milter")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Buckets of whatever takes time between DATA and our reply."""


class ProxyMetrics:
    """The edge's counters; see :class:`contentfilter.metering.ProxyMeter`.

    Arguments:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.transactions = Counter(
            "contentfilter_transactions",
            "Transactions that reached DATA, by how they ended.",
            {"protocol": PROTOCOLS, "end": End},
            registry=registry,
        )
        self.transaction_seconds = Histogram(
            "contentfilter_transaction_seconds",
            "Time from DATA to our reply.",
            {"protocol": PROTOCOLS},
            buckets=SECONDS,
            registry=registry,
        )
        self.connections = Gauge(
            "contentfilter_connections", "Clients connected.", ["protocol"], registry=registry
        )
        self.refused = Counter(
            "contentfilter_connections_refused",
            "Connections turned away: too many, not ready, or shutting down.",
            {"protocol": PROTOCOLS},
            registry=registry,
        )
        self.mails_kept_out = Counter(
            "contentfilter_messages_kept_out",
            "Messages not let in: too many wait for a worker, or too much is on its way.",
            {"shortage": SHORTAGES},
            registry=registry,
        )
        self.bodies = Counter(
            "contentfilter_bodies_compared",
            "Mails whose outgoing octets were compared with the incoming ones: each that is passed.",
            registry=registry,
        )
        self.mismatches = Counter(
            "contentfilter_body_mismatches",
            "Mails whose outgoing octets were not the incoming ones; always 0.",
            registry=registry,
        )
        self.probes = Counter(
            "contentfilter_reinjection_probes",
            "Probes of reinjection ports.",
            {"result": ("answered", "failed")},
            registry=registry,
        )
        for protocol in PROTOCOLS:
            self.connections.labels(protocol)

    def connected(self, protocol: str) -> None:
        self.connections.labels(protocol).inc()

    def disconnected(self, protocol: str) -> None:
        self.connections.labels(protocol).dec()

    def turned_away(self, protocol: str) -> None:
        self.refused.labels(protocol).inc()

    def kept_out(self, shortage: Shortage) -> None:
        self.mails_kept_out.labels(shortage).inc()

    def watch_intake(self, intake: Intake) -> None:
        """Show how much mail is on its way, each time somebody asks."""
        octets = Gauge(
            "contentfilter_spool_bytes",
            "Octets of messages in hand, in memory and in files.",
            registry=self._registry,
        )
        octets.set_function(lambda: intake.octets)

    def ended(self, protocol: str, end: End, size: int, seconds: float) -> None:
        self.transactions.labels(protocol, end).inc()
        self.transaction_seconds.labels(protocol).observe(max(0.0, seconds))

    def compared(self, same: bool) -> None:
        self.bodies.inc()
        if not same:
            self.mismatches.inc()

    def probed(self, ready: bool) -> None:
        self.probes.labels("answered" if ready else "failed").inc()
