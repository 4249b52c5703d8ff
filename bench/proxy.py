"""Messages per second through the content filter: alone, and inside a real Postfix; turn by turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import clamav
import milters
from programs import Programs

from mailbase.config.contentfilter import WorkerSettings
from postwarden.sandbox.gateway import Gateway, Rewired
from postwarden.sandbox.ports import PortReservation
from postwarden.sandbox.postfix import PrivatePostfix
from postwarden.sandbox.wiring import GatewayPorts, gateway_main, gateway_services

CONNECTIONS = 10
DIRECT, NULL, OURS = "direct", "null proxy", "contentfilter"
ALONE, POSTFIX_NULL, POSTFIX_OURS = "Postfix alone", "Postfix + null proxy", "Postfix + contentfilter"
POSTFIX_MILTER = "Postfix + contentfilter as milter"
POSTFIX_RSPAMD = "Postfix + rspamd as milter"
OURS_CLAMD, CLAMSMTP = "contentfilter + clamd", "clamsmtp + clamd"
ALONE_SUFFIX = ", scanners alone"
"""With what reads parts, containers and documents; no rules against spam, no signatures, no DMARC."""
SCANNERS, SCANNERS_CLAMD = OURS + ALONE_SUFFIX, OURS_CLAMD + ALONE_SUFFIX
POSTFIX_SCANNERS, POSTFIX_MILTER_SCANNERS = POSTFIX_OURS + ALONE_SUFFIX, POSTFIX_MILTER + ALONE_SUFFIX
INSIDE = (POSTFIX_OURS, POSTFIX_SCANNERS, POSTFIX_MILTER, POSTFIX_MILTER_SCANNERS)
"""contentfilter before a real Postfix's queue, in each way."""
HALF_LOAD = "W1, half load"
"""Half of what Postfix with contentfilter carries of W1."""
WORKERS = WorkerSettings().count


def measure(
    programs: Programs,
    folder: Path,
    mails: dict[str, list[Path]],
    seconds: float,
    rounds: int,
    with_postfix: bool,
    say: Callable[[str], None],
) -> list[dict]:
    """One result for each way, workload and round.

    Arguments:
        mails: files by workload.
        seconds: how long new messages are started in one run.
        rounds: how often everything is repeated.
        with_postfix: also inside a real Postfix.
    """
    results: list[dict] = []
    with ExitStack() as stack:
        ways = _start(programs, folder, with_postfix, stack)
        for port in ways.values():  # unmeasured, so that processes are up and modules imported
            load(programs, port, 1.0, mails["W2"])
        for number in range(1, rounds + 1):
            for workload, files in mails.items():
                for way, port in ways.items():
                    result = load(programs, port, seconds, files)
                    results.append({"way": way, "workload": workload, "round": number, **result})
                    say(f"round {number}: {workload} {way}: {result['msgs_per_s']:,.1f}/s")
            if with_postfix and "W1" in mails:
                rates = [
                    row["msgs_per_s"]
                    for row in results
                    if (row["way"], row["workload"]) == (POSTFIX_OURS, "W1")
                ]
                for way in (ALONE, POSTFIX_NULL, POSTFIX_OURS):
                    half = statistics.median(rates) / 2
                    result = load(programs, ways[way], max(seconds, 5.0), mails["W1"], half)
                    results.append({"way": way, "workload": HALF_LOAD, "round": number, **result})
                    say(f"round {number}: {HALF_LOAD} {way}: p99 {result['eod_ms_p99']:,.1f} ms")
    return results


def load(programs: Programs, port: int, seconds: float, files: list[Path], rate: float = 0.0) -> dict:
    """What a load of ``files`` comes to.

    Arguments:
        rate: messages that are started in a second; 0: as many as go.
    """
    options = ["-c", CONNECTIONS, "-d", seconds, "-r", rate]
    return programs.load("smtpload", *options, "127.0.0.1", port, *files)


def _start(programs: Programs, folder: Path, with_postfix: bool, stack: ExitStack) -> dict[str, int]:
    """Start everything; returns the port to send to, by way."""
    ports = stack.enter_context(PortReservation())
    sink = ports.take()
    stack.callback(programs.server("smtpsink", sink).stop)
    return {
        **_direct(programs, folder, ports, sink, stack),
        **(_inside(programs, folder, ports, sink, stack) if with_postfix else {}),
    }


def _direct(
    programs: Programs, folder: Path, ports: PortReservation, sink: int, stack: ExitStack
) -> dict[str, int]:
    """Start what sends straight to the sink."""
    null = ports.take()
    stack.callback(programs.server("nullproxy", null, sink).stop)
    ways = {DIRECT: sink, NULL: null}
    filters = {way: _contentfilter(way, folder, sink, stack) for way in (OURS, SCANNERS)}
    socket = clamav.clamd(programs, stack)
    if socket:
        for way in (OURS_CLAMD, SCANNERS_CLAMD):
            filters[way] = _contentfilter(way, folder, sink, stack, clamd=socket)
    for way, gateway in filters.items():
        gateway.start_contentfilter()
        ways[way] = gateway.ports.before
    if socket and (port := clamav.clamsmtp(programs, socket, ports, sink, stack)):
        ways[CLAMSMTP] = port
    return ways


def _inside(
    programs: Programs, folder: Path, ports: PortReservation, sink: int, stack: ExitStack
) -> dict[str, int]:
    """Start Postfixes, and what they ask."""

    def postfix(name: str, before: int, back: int, milter: int = 0) -> int:
        empty = GatewayPorts(0, 0, 0, 0, 0, 0, 0, 0, 0, sink)
        wires = replace(empty, mx=ports.take(), reinject_before=back, before=before)
        main = gateway_main(wires, f"{name}.bench.example", ("dst.example",))
        if milter:
            main["smtpd_milters"] = f"inet:127.0.0.1:{milter}"
        listening = [wires.mx, back] if back else [wires.mx]
        instance = PrivatePostfix(name, main, gateway_services(wires), listening, programs.guard)
        stack.callback(instance.remove)
        instance.start()
        return wires.mx

    ways = {ALONE: postfix("alone", 0, 0)}
    proxied, back = ports.take(), ports.take()
    stack.callback(programs.server("nullproxy", proxied, back).stop)
    ways[POSTFIX_NULL] = postfix("null", proxied, back)
    for name, way in (("ours", POSTFIX_OURS), ("scanners", POSTFIX_SCANNERS)):
        back = ports.take()
        gateway = _contentfilter(way, folder, back, stack)
        ways[way] = postfix(name, gateway.ports.before, back)
        gateway.start_contentfilter()  # after Postfix: it is ready when the port behind it answers
    for name, way in (("milter", POSTFIX_MILTER), ("milter-scanners", POSTFIX_MILTER_SCANNERS)):
        gateway = _contentfilter(way, folder, sink, stack, milter=True)
        gateway.start_contentfilter()
        ways[way] = postfix(name, 0, 0, gateway.ports.before)
    if asked := milters.rspamd(programs, folder / "rspamd", ports, stack):
        ways[POSTFIX_RSPAMD] = postfix("rspamd", 0, 0, asked)
    return ways


def _contentfilter(
    way: str, folder: Path, behind: int, stack: ExitStack, *, milter: bool = False, clamd: Path | None = None
) -> Gateway:
    """One for ``way``, with its configuration, not started.

    Arguments:
        behind: port that takes its mail.
        clamd: its socket.
    """
    settings: dict[str, Any] = {"workers": {"count": WORKERS, "backlog": 1000}}
    flows: dict[str, Any] = {}
    if way.endswith(ALONE_SUFFIX):
        settings["analysis"] = False
        flows["inbound"] = {"authentication": "off"}
    if clamd:
        settings["clamd"] = {"addresses": [f"unix:{clamd}"], "max_size": "100MiB"}
    place = folder / way.replace(",", "").replace(" ", "-")
    gateway = Gateway(place, settings={"contentfilter": settings, "flows": flows}, milter=milter)
    stack.enter_context(gateway)
    gateway.write_config(Rewired(reinject_before=behind, reinject_after=behind))
    return gateway
