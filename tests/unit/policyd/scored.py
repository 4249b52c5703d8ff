"""A policyd whose checks give points, and the DNS that they ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailbase.dns import TableResolver
from policyd.engine.decision import Decision
from policyd.observability.recorder import Recorder

CLIENT = "198.18.0.7"

BAD = {
    "client_address": CLIENT,
    "client_name": "unknown",
    "reverse_client_name": "unknown",
    "helo_name": "friend",
    "sender": "a@gone.example",
}
"""No PTR (2), no full host name (1.5), no mail host (4): 7.5 points."""
GOOD = {
    "client_address": CLIENT,
    "client_name": "mail.sender.example",
    "helo_name": "mail.sender.example",
    "sender": "a@sender.example",
}
TABLE = {("sender.example", "MX"): [(10, "mail.sender.example")], ("mail.sender.example", "A"): CLIENT}
FREE = "person@quiet.example"
"""Not greylisted."""


def settings(extra: str = "checks: true", **thresholds: float) -> str:
    limits = "".join(f"{name}: {value}, " for name, value in thresholds.items())
    return f"flows: {{inbound: {{{limits}{extra}}}}}"


def make(make_bench: Callable[..., Any], configuration: str, table: Any = TABLE, **slow: float) -> Any:
    bench = make_bench(configuration)
    bench.resolver = TableResolver(
        table, clock=bench.clock, slow={name.replace("_", "."): time for name, time in slow.items()}
    )
    bench.restart()
    bench.recorder = Recorder(bench.log, bench.metrics)
    return bench


def line(bench: Any, decision: Decision, **attributes: str) -> str:
    bench.recorder.decision(bench.request(**attributes), decision, 0.001)
    return str(bench.stream.getvalue().splitlines()[-1])
