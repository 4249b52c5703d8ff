"""Decisions per second: policyd in several states beside null servers and neighbours, turn by turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import neighbours
from ours import Policyd, all_checks, redis_settings
from programs import Programs

CONNECTIONS, MANY_CONNECTIONS = 50, 1000
MODES = ("new", "hot", "mix", "retry")
NULL_C, NULL_TWISTED = "null server in C", "null server in Twisted"
OURS, FULL, REDIS = "policyd", "policyd, {} triplets stored", "policyd on Redis"
WARM, DEAD, BESIDE = (
    "all checks, warm DNS",
    "the same, first DNS server dead",
    "the same, beside silent domains",
)
COLD = "all checks, cold DNS of 50 ms, 1,000 connections"
DELAY = 1.2
"""Seconds until retries pass; see ours.DELAY."""
COLD_MS = 50
SILENT = 200
"""Requests under way after domains whose servers never answer."""


@dataclass(slots=True)
class Server:
    """What is measured.

    Arguments:
        name: in the tables.
        port: where it answers.
        modes: of the load.
        connections: of the load.
        share: of the requests, for what is slow.
        memory: MiB resident, for what we look at.
        beside: called with a flag that is set when the load has ended; makes trouble meanwhile.
    """

    name: str
    port: int
    modes: tuple[str, ...] = MODES
    connections: int = CONNECTIONS
    share: float = 1.0
    memory: Callable[[], float] | None = None
    beside: Callable[[], None] | None = None


class Bench:
    """Arguments:
    programs: load generators.
    folder: for state and logs.
    requests: in one run against a fast server.
    triplets: that a full store holds; 0 to leave that out.
    say: is told of the progress.
    """

    def __init__(
        self, programs: Programs, folder: Path, requests: int, triplets: int, say: Callable[[str], None]
    ) -> None:
        self._programs = programs
        self._folder = folder
        self._requests = requests
        self._triplets = triplets
        self._say = say
        self._seed = 100

    def measure(self, rounds: int) -> list[dict]:
        """One result for each server, mode and round; everything is repeated ``rounds`` times."""
        results: list[dict] = []
        with ExitStack() as stack:
            servers = list(self._servers(stack))
            for server in servers:
                self._warm_up(server)
            for number in range(1, rounds + 1):
                for mode in dict.fromkeys(mode for server in servers for mode in server.modes):
                    for server in servers:
                        if mode in server.modes:
                            result = self._measure(server, mode)
                            results.append({**result, "server": server.name, "mode": mode, "round": number})
                            self._say(f"round {number}: {mode} {server.name}: {result['per_s']:,.0f}/s")
        return results

    def _warm_up(self, server: Server) -> None:
        # The hot triplets become known and pass their delay, caches and pages get warm.
        self._load(server, "hot", 1, 2000)
        time.sleep(DELAY)
        self._load(server, "hot", 2, 4000)
        if "mix" in server.modes:
            self._load(server, "mix", 3, int(self._requests * server.share) // 4)

    def _measure(self, server: Server, mode: str) -> dict:
        self._seed += 1
        amount = max(2000, int(self._requests * server.share))
        if mode == "retry":
            # The same triplets again, in other transactions.
            self._load(server, "new", self._seed, amount)
            time.sleep(DELAY)
            result = self._load(server, "new", self._seed, amount)
        else:
            trouble = server.beside and threading.Thread(target=server.beside)
            if trouble:
                trouble.start()
            result = self._load(server, mode, self._seed, amount)
            if trouble:
                trouble.join()
        if server.memory is not None:
            result["memory_mib"] = server.memory()
        return result

    def _load(self, server: Server, mode: str, seed: int, amount: int) -> dict:
        return self._programs.load(
            "policyload", "127.0.0.1", server.port, server.connections, amount, mode, seed
        )

    def _servers(self, stack: ExitStack) -> Iterator[Server]:
        """Start everything; what is not installed is said and left out."""
        programs, folder, say = self._programs, self._folder, self._say
        taken = neighbours.Ports(stack)
        null = taken.port()
        stack.callback(programs.server("nullpolicy", null).stop)
        yield Server(NULL_C, null)
        yield Server(NULL_TWISTED, programs.null_twisted(taken.port(), stack))
        ours = Policyd(folder / "policyd", stack)
        yield Server(OURS, ours.port, memory=lambda: ours.resident)
        if self._triplets:
            say(f"Storing {self._triplets:,} triplets and learning their keys: some minutes …")
            full = Policyd(folder / "policyd-full", stack, triplets=self._triplets)
            yield Server(full_name(self._triplets), full.port, memory=lambda: full.resident)
        if neighbours.installed("redis-server"):
            settings = redis_settings(programs, taken.port(), folder / "redis", stack)
            yield Server(REDIS, Policyd(folder / "policyd-redis", stack, settings).port, MODES, share=0.3)
        else:
            say("Without Redis: redis-server is not installed.")
        yield from self._with_dns(stack, taken)
        yield from neighbours.start(programs, taken, stack, say)

    def _with_dns(self, stack: ExitStack, taken: neighbours.Ports) -> Iterator[Server]:
        programs, folder = self._programs, self._folder
        quick, slow, dead = taken.port(), taken.port(), taken.port()
        stack.callback(programs.nameserver(quick, 0).stop)
        stack.callback(programs.nameserver(slow, COLD_MS).stop)
        stack.enter_context(neighbours.silent_udp(dead))
        warm = Policyd(folder / "policyd-warm", stack, all_checks([quick])).port
        yield Server(WARM, warm, ("hot",), share=0.2)
        yield Server(
            BESIDE,
            warm,
            ("hot",),
            share=0.2,
            beside=lambda: self._silence(warm),
        )
        yield Server(
            DEAD, Policyd(folder / "policyd-dead", stack, all_checks([dead, quick])).port, ("hot",), share=0.2
        )
        cold = Policyd(folder / "policyd-cold", stack, all_checks([slow])).port
        yield Server(COLD, cold, ("cold",), MANY_CONNECTIONS, share=0.2)

    def _silence(self, port: int) -> None:
        self._seed += 1
        self._programs.load("policyload", "127.0.0.1", port, SILENT, SILENT, "silent", self._seed)


def full_name(triplets: int) -> str:
    """The name of the server with so many triplets."""
    return FULL.format(f"{triplets / 1e6:g} million")
