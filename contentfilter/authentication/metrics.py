"""What the authentication of mail came to, counted for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from contentfilter.authentication.dmarc import RESULTS
from contentfilter.authentication.judged import BEST, Judged
from mailbase.counting import Counter

FORWARDED = "forwarded"
"""DMARC failed, but a trusted sealer vouches for the mail."""
UNKNOWN = "unknown"
"""SPF was not looked at."""
METHODS: dict[str, tuple[str, ...]] = {
    "spf": ("pass", "fail", "softfail", "neutral", "none", "permerror", "temperror", UNKNOWN),
    "dkim": (*BEST, "none"),
    "arc": ("none", "pass", "fail", "temperror"),
    "dmarc": (*RESULTS, FORWARDED),
}
"""Method → results."""


class AuthenticationMetrics:
    """Arguments:
    registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.results = Counter(
            "contentfilter_authentication",
            "Mails whose authentication was judged, by method and result.",
            ["method", "result"],
            registry=registry,
        )
        for method, results in METHODS.items():
            for result in results:
                self.results.labels(method, result)

    def authenticated(self, judged: Judged) -> None:
        """See :class:`contentfilter.authentication.judging.Meter`."""
        for method, result in (
            ("spf", judged.spf.result or UNKNOWN),
            ("dkim", judged.dkim),
            ("arc", judged.found.chain.result),
            ("dmarc", FORWARDED if judged.forwarder else judged.dmarc.result),
        ):
            self.results.labels(method, result).inc()
