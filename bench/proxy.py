"""Messages per second through the content filter: alone, and inside a real Postfix; turn by turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

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
SCANNERS = "contentfilter, scanners alone"
"""What reads parts, containers and documents; no rules against spam, no signatures, no DMARC."""
OURS_CLAMD, CLAMSMTP = "contentfilter + clamd", "clamsmtp + clamd"
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
    null = ports.take()
    stack.callback(programs.server("nullproxy", null, sink).stop)
    settings = {"contentfilter": {"workers": {"count": WORKERS, "backlog": 1000}}}
    gateway = stack.enter_context(Gateway(folder / "contentfilter", settings=settings))
    gateway.write_config(Rewired(reinject_before=sink, reinject_after=sink))
    gateway.start_contentfilter()
    scanning = {
        "contentfilter": {**settings["contentfilter"], "rules": {"shipped": False}},
        "flows": {"inbound": {"authentication": "off"}},
    }
    bare = stack.enter_context(Gateway(folder / "contentfilter-scanners", settings=scanning))
    bare.write_config(Rewired(reinject_before=sink, reinject_after=sink))
    bare.start_contentfilter()
    ways = {DIRECT: sink, NULL: null, OURS: gateway.ports.before, SCANNERS: bare.ports.before}
    if socket := clamav.clamd(programs, stack):
        engine = {"addresses": [f"unix:{socket}"], "max_size": "100MiB"}
        with_clamd = {"contentfilter": {**settings["contentfilter"], "clamd": engine}}
        other = stack.enter_context(Gateway(folder / "contentfilter-with-clamd", settings=with_clamd))
        other.write_config(Rewired(reinject_before=sink, reinject_after=sink))
        other.start_contentfilter()
        ways[OURS_CLAMD] = other.ports.before
        if port := clamav.clamsmtp(programs, socket, ports, sink, stack):
            ways[CLAMSMTP] = port
    if not with_postfix:
        return ways
    empty = GatewayPorts(0, 0, 0, 0, 0, 0, 0, 0, 0, sink)

    def postfix(name: str, before: int, back: int, milter: int = 0) -> int:
        wires = replace(empty, mx=ports.take(), reinject_before=back, before=before)
        main = gateway_main(wires, f"{name}.bench.example", ("dst.example",))
        if milter:
            main["smtpd_milters"] = f"inet:127.0.0.1:{milter}"
        listening = [wires.mx, back] if back else [wires.mx]
        instance = PrivatePostfix(name, main, gateway_services(wires), listening, gateway.guard)
        stack.callback(instance.remove)
        instance.start()
        return wires.mx

    ways[ALONE] = postfix("alone", 0, 0)
    proxied, back_null, back_ours = ports.take(), ports.take(), ports.take()
    stack.callback(programs.server("nullproxy", proxied, back_null).stop)
    ways[POSTFIX_NULL] = postfix("null", proxied, back_null)
    inner = stack.enter_context(Gateway(folder / "contentfilter-in-postfix", settings=settings))
    inner.write_config(Rewired(reinject_before=back_ours, reinject_after=back_ours))
    ways[POSTFIX_OURS] = postfix("ours", inner.ports.before, back_ours)
    asked = stack.enter_context(Gateway(folder / "contentfilter-as-milter", settings=settings, milter=True))
    asked.write_config(Rewired(reinject_before=back_ours, reinject_after=back_ours))
    asked.start_contentfilter()
    ways[POSTFIX_MILTER] = postfix("milter", 0, 0, asked.ports.before)
    if milter := milters.rspamd(programs, folder / "rspamd", ports, stack):
        ways[POSTFIX_RSPAMD] = postfix("rspamd", 0, 0, milter)
    inner.start_contentfilter()  # after Postfix: it is ready when the port behind it answers
    return ways
