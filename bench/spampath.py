"""Messages per second through contentfilter with all that looks for spam: rules, links, statistics, DKIM."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import proxy
import teaching
import workloads
from programs import Programs

from postwarden.sandbox.gateway import Gateway, Rewired, metric
from postwarden.sandbox.ports import PortReservation

SIGNED = "W1, signed"
PLAIN, FILTERING = "contentfilter, no lists, not taught", "contentfilter, all for spam"
"""Without DNS lists after which links are looked up, and without statistics and texts that are counted; with
them. Both verify signatures and DMARC."""
LESSONS = 300
"""Mails of each kind that statistics learn."""
WARM = 3.0
"""Seconds of mail that is not measured: names are asked for and answers kept."""
VERIFIED = 'contentfilter_panel_total{name="authentication",result="answered"}'
LISTS = {
    "uribl": {"zone": "uribl.example", "ask": ["domain"]},
    "dbl": {"zone": "dbl.example", "ask": ["domain"]},
}
ZONE = """
{key}
_dmarc.src.example. TXT "v=DMARC1; p=reject"
src.example. TXT "v=spf1 -all"
test.uribl.example. A 127.0.0.2
test.dbl.example. A 127.0.0.2
"""


def measure(
    programs: Programs, folder: Path, seconds: float, rounds: int, say: Callable[[str], None]
) -> list[dict]:
    """One result for each round and way; DNS is a server on loopback, and its answers are warm.

    Arguments:
        seconds: how long new messages are started in one run.
    """
    say("Signing the mails …")
    mails, key = workloads.signed(folder / "mail-signed")
    results: list[dict] = []
    with ExitStack() as stack:
        ports = stack.enter_context(PortReservation())
        sink, dns = ports.take(), ports.take()
        stack.callback(programs.server("smtpsink", sink).stop)
        zone = folder / "points.zone"
        zone.write_text(ZONE.format(key=key))
        words = [sys.executable, "-m", "postwarden.sandbox.nameserver", zone, "--port", dns]
        stack.callback(programs.command("nameserver", dns, *words).stop)
        ways = {
            PLAIN: _start(folder, stack, sink, dns, {}),
            FILTERING: _start(folder, stack, sink, dns, LISTS),
        }
        _teach(ways[FILTERING], folder, say)
        for gateway in ways.values():
            gateway.start_contentfilter()
            proxy.load(programs, gateway.ports.before, WARM, mails)
        for number in range(1, rounds + 1):
            for way, gateway in ways.items():
                result = proxy.load(programs, gateway.ports.before, seconds, mails)
                results.append({"way": way, "workload": SIGNED, "round": number, **result})
                say(f"round {number}: {SIGNED} {way}: {result['msgs_per_s']:,.1f}/s")
        if not metric(ways[FILTERING].ports.filter_metrics, VERIFIED):
            say("No signature was verified: authentication is not on the panel.")
    return results


def _start(folder: Path, stack: ExitStack, sink: int, dns: int, lists: dict) -> Gateway:
    """A gateway that is configured, and not started."""
    settings = {
        "dns": {"servers": [f"127.0.0.1:{dns}"]},
        "contentfilter": {
            "workers": {"count": proxy.WORKERS, "backlog": 1000},
            "urls": {"lists": lists},
        },
    }
    here = folder / ("spampath" if lists else "spampath-plain")
    # Of an earlier run nothing is to be known.
    shutil.rmtree(here, ignore_errors=True)
    settings |= teaching.model_in(here)
    gateway = stack.enter_context(Gateway(here, settings=settings))
    gateway.write_config(Rewired(reinject_before=sink, reinject_after=sink))
    return gateway


def _teach(gateway: Gateway, folder: Path, say: Callable[[str], None]) -> None:
    """Let statistics learn made-up ham and spam; the measured mails are like the ham."""
    for kind in ("ham", "spam"):
        workloads.lessons(folder / "lessons" / kind, kind == "spam", LESSONS)
    try:
        teaching.teach(gateway, folder / "lessons", say)
    except teaching.NotTaught as error:
        say(f"Without statistics: {error}")
