"""Greylisting decisions per second: policyd beside null servers and postgrey, turn by turn."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from programs import Programs

from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.processes import Process

CONNECTIONS = 50
MODES = ("new", "hot", "mix")
NULL_C, NULL_TWISTED, OURS, POSTGREY = "null server in C", "null server in Twisted", "policyd", "postgrey"
POSTGREY_PROGRAM = "/usr/sbin/postgrey"
DELAY = "1s"
"""Greylisting delay: so short that the hot triplets pass, as most of a real gateway's do."""
REGISTRY = {
    "default_server": "mail.local.example",
    "servers": {"mail.local.example": {"addresses": ["192.0.2.25"], "domains": {"local.example": {}}}},
}


def measure(
    programs: Programs, folder: Path, requests: int, rounds: int, say: Callable[[str], None]
) -> list[dict]:
    """One result for each server, mode and round.

    Arguments:
        requests: in one run against a fast server.
        rounds: how often everything is repeated.
    """
    results: list[dict] = []
    with ExitStack() as stack:
        servers = _start(programs, folder, stack)
        # Once unmeasured: the hot triplets become known and pass their delay, caches and pages get warm.
        for name, port in servers.items():
            _load(programs, port, 2000, "hot", 1)
            _load(programs, port, _amount(name, requests) // 4, "mix", 2)
        seed = 100
        for number in range(1, rounds + 1):
            for mode in MODES:
                for name, port in servers.items():
                    seed += 1
                    result = _load(programs, port, _amount(name, requests), mode, seed)
                    results.append({"server": name, "mode": mode, "round": number, **result})
                    say(f"round {number}: {mode} {name}: {result['per_s']:,.0f}/s")
    return results


def _amount(name: str, requests: int) -> int:
    return max(2000, requests // 10) if name == POSTGREY else requests


def _load(programs: Programs, port: int, requests: int, mode: str, seed: int) -> dict:
    return programs.load("policyload", "127.0.0.1", port, CONNECTIONS, requests, mode, seed)


def _start(programs: Programs, folder: Path, stack: ExitStack) -> dict[str, int]:
    """Start all servers; returns their ports."""
    gateway = stack.enter_context(
        Gateway(folder / "policyd", settings={"policyd": {"greylist": {"delay": DELAY}}}, registry=REGISTRY)
    )
    for leftover in gateway.folder.glob("policyd.sqlite*"):
        leftover.unlink()
    gateway.write_config()
    gateway.start_policyd()

    def run(process: Process) -> None:
        stack.callback(process.stop)

    # Ports that this gateway reserved and has no use for.
    spare = [gateway.ports.mx, gateway.ports.submission, gateway.ports.submission_smtp]
    run(programs.server("nullpolicy", spare[0]))
    script = Path(__file__).with_name("nulltwisted.py")
    run(programs.command("nulltwisted", spare[1], sys.executable, script, spare[1]))
    ports = {NULL_C: spare[0], NULL_TWISTED: spare[1], OURS: gateway.ports.policyd}
    if Path(POSTGREY_PROGRAM).exists():
        database = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postwarden-postgrey-")))
        shutil.chown(database, "postgrey", "postgrey")
        arguments = (
            f"--inet=127.0.0.1:{spare[2]}",
            f"--dbdir={database}",
            "--delay=1",
            f"--pidfile={database}/pid",
        )
        run(programs.command("postgrey", spare[2], POSTGREY_PROGRAM, *arguments))
        ports[POSTGREY] = spare[2]
    return ports
