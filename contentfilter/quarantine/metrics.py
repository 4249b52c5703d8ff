"""What is counted of the quarantine, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from contentfilter.quarantine.keeper import Usage
from mailbase.counting import Counter


class QuarantineMetrics:
    """The quarantine's counters, and how full it is.

    Arguments:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.quarantine_failures = Counter(
            "contentfilter_quarantine_failures", "Mails that could not be stored.", registry=registry
        )
        self.quarantine_removed = Counter(
            "contentfilter_quarantine_removed",
            "Mails that left the quarantine: released, deleted by command, or kept long enough.",
            {"how": ("released", "deleted", "expired")},
            registry=registry,
        )
        self.digests = Counter(
            "contentfilter_digests",
            "Digests of the quarantine for the administrators of a domain.",
            {"result": ("sent", "failed")},
            registry=registry,
        )

    def watch_quarantine(self, usage: Callable[[], Usage]) -> None:
        """Show what is in the quarantine, each time somebody asks."""
        messages = Gauge(
            "contentfilter_quarantine_messages", "Mails in the quarantine.", registry=self._registry
        )
        messages.set_function(lambda: usage().messages)
        octets = Gauge("contentfilter_quarantine_bytes", "Octets of the quarantine.", registry=self._registry)
        octets.set_function(lambda: usage().octets)
        filled = Gauge(
            "contentfilter_quarantine_filled",
            "Share of the quarantine's room in use.",
            registry=self._registry,
        )
        filled.set_function(lambda: usage().filled)

    def expired(self, messages: int) -> None:
        """See :class:`contentfilter.quarantine.housekeeping.Meter`."""
        self.quarantine_removed.labels("expired").inc(messages)

    def digested(self, sent: bool) -> None:
        self.digests.labels("sent" if sent else "failed").inc()
