"""Makes the engines that the configuration asks for, and keeps those that a reload does not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contentfilter.engines.clamd import Clamd
from contentfilter.engines.command import CommandSeat
from contentfilter.engines.endpoint import Endpoint
from contentfilter.engines.engine import Engine
from contentfilter.engines.program import ProgramRunner, Runner
from contentfilter.engines.seat import Name
from contentfilter.engines.watch import Outcome, SelfTest
from mailbase.config import ContentfilterSettings
from mailbase.logs import Log


class Engines:
    """Arguments:
    reactor: Twisted's.
    log: for engines that go and come back.
    tested: told of each self-test.
    runner: runs the second engine's program.

    Attributes:
        active: the engines in force, in the order in which their results count.
    """

    def __init__(
        self, reactor: Any, log: Log, tested: Callable[[Name, Outcome], None], runner: Runner | None = None
    ) -> None:
        self.active: tuple[Engine, ...] = ()
        self._reactor = reactor
        self._log = log
        self._tested = tested
        self._runner = runner or ProgramRunner(reactor)
        self._settings: dict[str, Any] = {}
        self._tests: dict[Engine, SelfTest] = {}
        self._running = False

    def configure(self, content: ContentfilterSettings) -> None:
        """Take other settings. Mail that is with an engine which goes is scanned to the end."""
        old = {engine.name: engine for engine in self.active}
        active: list[Engine] = []
        for name, settings in (("clamd", content.clamd), ("command", content.command)):
            kept = old.get(name)  # type: ignore[call-overload]
            if kept is not None and settings == self._settings.get(name):
                active.append(kept)
            elif settings is not None:
                active.append(self._make(content, name))
            self._settings[name] = settings
        for engine in self.active:
            if engine not in active:
                self._end(engine)
        begun = [engine for engine in active if engine not in self.active]
        self.active = tuple(active)
        if self._running:
            for engine in begun:
                self._begin(engine)

    def start(self) -> None:
        """Begin to look after the engines, and to test them."""
        self._running = True
        for engine in self.active:
            self._begin(engine)

    def stop(self) -> None:
        """Let go of them."""
        self._running = False
        for engine in self.active:
            self._end(engine)

    @property
    def missing(self) -> str:
        """The first engine that no mail can be given to; empty if there is none."""
        for engine in self.active:
            if not any(seat.usable for seat in engine.seats):
                return engine.name
        return ""

    def _make(self, content: ContentfilterSettings, name: str) -> Engine:
        reactor, log = self._reactor, self._log
        if name == "clamd":
            clamd = content.clamd
            assert clamd is not None
            return Engine(
                reactor,
                "clamd",
                clamd,
                lambda changed: [
                    Endpoint(reactor, place, Clamd(clamd), log, changed) for place in clamd.addresses
                ],
            )
        command = content.command
        assert command is not None
        folder = content.spool.folder
        return Engine(
            reactor,
            "command",
            command,
            lambda changed: [CommandSeat(reactor, command, self._runner, folder, log, changed)],
        )

    def _begin(self, engine: Engine) -> None:
        engine.start()
        if self._settings[engine.name].self_test:
            self._tests[engine] = SelfTest(self._reactor, engine, self._log, self._tested)
            self._tests[engine].start()

    def _end(self, engine: Engine) -> None:
        engine.close()
        test = self._tests.pop(engine, None)
        if test is not None:
            test.stop()
