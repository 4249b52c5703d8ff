"""policyd as the benchmark starts it: on SQLite with little or much in it, on Redis, with all checks on."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from programs import Programs

from mailbase.store.database import Database
from policyd.state.tables import TABLES
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.waiting import wait_until

DELAY = "1s"
"""Greylisting delay: so short that the hot triplets pass, as most of a real gateway's do."""
REGISTRY = {
    "default_server": "mail.local.example",
    "servers": {"mail.local.example": {"addresses": ["192.0.2.25"], "domains": {"local.example": {}}}},
}
LIST = "bench"
ROWS_AT_ONCE = 100_000
LEARNING = 600.0
"""Seconds that policyd may take to learn which of many keys it has."""


class Policyd:
    """One policyd with a folder, ports and state of its own.

    Arguments:
        folder: emptied of what an earlier run left.
        stack: ends it.
        settings: over the sandbox's.
        triplets: stored before it starts.
    """

    def __init__(
        self, folder: Path, stack: ExitStack, settings: dict[str, Any] | None = None, triplets: int = 0
    ) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        base = {"policyd": {"greylist": {"delay": DELAY}}}
        self._gateway = stack.enter_context(
            Gateway(folder, settings={**base, **(settings or {})}, registry=REGISTRY)
        )
        self._gateway.write_config()
        if triplets:
            # Large: it goes as soon as it was measured.
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            fill(folder / "policyd.sqlite", triplets)
        self._gateway.start_policyd()
        if triplets:
            port = self._gateway.ports.policyd_metrics
            wait_until(lambda: not metric(port, "policyd_store_learning"), LEARNING, "all keys are known")

    @property
    def port(self) -> int:
        """Where it answers."""
        return self._gateway.ports.policyd

    @property
    def resident(self) -> float:
        """MiB of memory that it has."""
        status = Path(f"/proc/{self._gateway.policyd.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def fill(path: Path, triplets: int) -> None:
    """Store triplets that passed; their keys are spread evenly, as hashes are."""
    database = Database(path, TABLES)
    database.open_writer().close()
    table = next(table for table in TABLES if table.name == "greylist_triplets")
    names = ["key", *table.names]
    insert = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    step = (1 << 64) // triplets
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    for start in range(0, triplets, ROWS_AT_ONCE):
        connection.execute("BEGIN")
        connection.executemany(insert, (_row(number, step) for number in range(start, start + ROWS_AT_ONCE)))
        connection.execute("COMMIT")
    connection.close()


def _row(number: int, step: int) -> tuple[Any, ...]:
    key = (number * step).to_bytes(8) + os.urandom(8)
    whose = f" 10.{number >> 8 & 255}.{number & 255}.0/24 ptr:sender{number % 50_000}.example "
    seen = 1_790_000_000
    sender, recipient = f"user{number}@sender{number % 50_000}.example", f"rcpt{number % 5000}@local.example"
    return (key, seen, seen, seen, whose, sender, recipient, 1 << 40)


def all_checks(nameservers: list[int]) -> dict[str, Any]:
    """Settings with every check on that asks DNS, and limits.

    Arguments:
        nameservers: ports on loopback.
    """
    return {
        "dns": {"servers": [f"127.0.0.1:{port}" for port in nameservers]},
        "flows": {
            "inbound": {
                "checks": True,
                "reject_at": 100,
                "limits": {"client": {"per": "client", "of": "messages", "limit": 1_000_000, "within": "1h"}},
            }
        },
        "policyd": {
            "greylist": {"delay": DELAY},
            "lists": {LIST: {"kind": "dnsbl", "zone": "dnsbl.example"}},
        },
    }


def redis_settings(programs: Programs, port: int, folder: Path, stack: ExitStack) -> dict[str, Any]:
    """Settings for a redis-server of our own, which is started; nothing of it goes to disk."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = ["--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"]
    stack.callback(programs.command("redis-server", port, "redis-server", *words).stop)
    return {"store": {"url": f"redis://127.0.0.1:{port}/0"}}
