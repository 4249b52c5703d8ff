"""Memory that contentfilter takes for ten mails of 50 MiB on their way, above what it has when idle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import proxy
from programs import Programs

from postwarden.sandbox.gateway import Gateway, Rewired
from postwarden.sandbox.ports import PortReservation

WORKLOAD = "W4"
EVERY = 0.05
"""Seconds between two looks."""


def measure(
    programs: Programs, folder: Path, mails: dict[str, list[Path]], seconds: float, say: Callable[[str], None]
) -> dict:
    """MiB of the daemon and its workers, proportional to what they share (PSS): idle, and at the worst."""
    with ExitStack() as stack:
        ports = stack.enter_context(PortReservation())
        sink = ports.take()
        stack.callback(programs.server("smtpsink", sink).stop)
        settings = {"contentfilter": {"workers": {"count": proxy.WORKERS}}}
        gateway = stack.enter_context(Gateway(folder / "memory", settings=settings))
        gateway.write_config(Rewired(reinject_before=sink, reinject_after=sink))
        gateway.start_contentfilter()
        load = ("smtpload", "-c", proxy.CONNECTIONS, "-d")
        programs.load(*load, 1.0, "127.0.0.1", gateway.ports.before, *mails["W1"])
        pid = gateway.contentfilter.pid
        idle = resident(pid)
        stop = threading.Event()
        peaks: list[float] = [idle]

        def watch() -> None:
            while not stop.wait(EVERY):
                peaks.append(resident(pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            result = programs.load(*load, seconds, "127.0.0.1", gateway.ports.before, *mails[WORKLOAD])
        finally:
            stop.set()
            watcher.join()
        each = (max(peaks) - idle) / proxy.CONNECTIONS
        say(f"memory: {idle:.0f} MiB idle, {max(peaks):.0f} MiB at the worst: {each:.1f} MiB for each mail")
        return {
            "idle_mib": idle,
            "peak_mib": max(peaks),
            "each_mib": each,
            "msgs_per_s": result["msgs_per_s"],
        }


def resident(pid: int) -> float:
    """MiB of a process and its children; what several share counts once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(_pss(one) for one in (str(pid), *children)) / 1024


def _pss(pid: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        # A worker that was replaced meanwhile.
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
