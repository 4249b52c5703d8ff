"""A gateway whose traffic is recorded, and worlds that decide it again."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailbase.config import loads
from mailbase.dns import TableResolver
from mailbase.logs import Log
from policyd import cli
from policyd.engine.decision import Decision
from policyd.replay.past import Line
from policyd.replay.recording import header, line_of, row_of
from policyd.replay.world import World

START = 1_800_000_000.0


class Gateway:
    """A daemon that runs for some days; its traffic is recorded."""

    def __init__(self, bench: Any, configuration: str) -> None:
        self.bench = bench
        self.configuration = (
            "identity: {hostname: mx.gate.example}\nregistry: registry.yaml\n" + configuration
        )
        bench.resolver = TableResolver({}, clock=bench.clock)
        bench.restart()
        self.rows: list[dict[str, Any]] = []

    def decide(self, **attributes: str) -> Decision:
        request = self.bench.request(**attributes)
        decision = self.bench.engine.decide(request)
        assert isinstance(decision, Decision)
        self.rows.append(json.loads(json.dumps(row_of(self.bench.clock.seconds(), request, decision))))
        return decision

    def request(self, **attributes: str) -> str:
        """The reason of the answer."""
        return self.decide(**attributes).reason

    def wait(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)

    def lines(self) -> Iterator[Line]:
        return (line_of(row) for row in self.rows)

    def write(self, path: Path) -> Path:
        rows = [header(START, "mx"), *self.rows]
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "wt") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
        return path


@pytest.fixture
def make_gateway(make_bench: Callable[..., Any]) -> Callable[..., Gateway]:
    def make(configuration: str = "flows: {inbound: {checks: false}}") -> Gateway:
        return Gateway(make_bench(configuration), configuration)

    return make


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(gateway: Gateway, *overrides: str, **how: Any) -> World:
        folder = tmp_path / f"world{len(made)}"
        folder.mkdir()
        settings = loads(gateway.configuration, overrides, folder=gateway.bench.folder)
        made.append(World(settings, folder, Log("policyd", stream=io.StringIO()), **how))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def run(capsys: Any) -> Callable[..., tuple[int, str, str]]:
    """Runs a subcommand of policyd over a gateway's configuration: status, output, errors."""

    def run(gateway: Gateway, command: str, *words: str) -> tuple[int, str, str]:
        config = gateway.bench.folder / "c.yaml"
        config.write_text(gateway.configuration)
        status = cli.main([*command.split(), "--config", str(config), *words])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run
