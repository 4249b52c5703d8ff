"""Makes the engines that the configuration asks for, and keeps those that a reload does not change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from contentfilter.engines.clamd import Clamd
from contentfilter.engines.command import CommandSeat
from contentfilter.engines.dialect import Dialect
from contentfilter.engines.endpoint import Endpoint
from contentfilter.engines.engine import Engine
from contentfilter.engines.program import ProgramRunner, Runner
from contentfilter.engines.seat import NAMES, SPAM, VIRUS, Name
from contentfilter.engines.watch import Outcome, SelfTest
from contentfilter.spamengines.dialects import Rspamd, Spamd
from mailbase.config import ContentfilterSettings
from mailbase.logs import Log

_DIALECTS: dict[Name, Callable[[Any], Dialect[Any]]] = {
    "clamd": Clamd,
    "rspamd": Rspamd,
    "spamassassin": Spamd,
}
"""How those behind a socket are spoken to."""


def missing(engines: Iterable[Engine]) -> str:
    """The first of ``engines`` that no mail can be given to; empty if there is none."""
    for engine in engines:
        if not any(seat.usable for seat in engine.seats):
            return engine.name
    return ""


class Engines:
    """Arguments:
    reactor: Twisted's.
    log: for engines that go and come back.
    tested: told of each self-test.
    runner: runs the second engine's program.

    Attributes:
        active: the virus engines in force, in the order in which their results count.
        spam: the spam engines in force, likewise.
    """

    def __init__(
        self, reactor: Any, log: Log, tested: Callable[[Name, Outcome], None], runner: Runner | None = None
    ) -> None:
        self.active: tuple[Engine, ...] = ()
        self.spam: tuple[Engine, ...] = ()
        self._reactor = reactor
        self._log = log
        self._tested = tested
        self._runner = runner or ProgramRunner(reactor)
        self._settings: dict[str, Any] = {}
        self._tests: dict[Engine, SelfTest] = {}
        self._running = False

    def configure(self, content: ContentfilterSettings) -> None:
        """Take other settings. Mail that is with an engine which goes is scanned to the end."""
        old = {engine.name: engine for engine in self.all}
        new: dict[Name, Engine] = {}
        for name in NAMES:
            settings = getattr(content, name)
            kept = old.get(name)
            if kept is not None and settings == self._settings.get(name):
                new[name] = kept
            elif settings is not None:
                new[name] = self._make(content, name)
            self._settings[name] = settings
        for engine in old.values():
            if engine not in new.values():
                self._end(engine)
        begun = [engine for engine in new.values() if engine not in old.values()]
        self.active = tuple(new[name] for name in VIRUS if name in new)
        self.spam = tuple(new[name] for name in SPAM if name in new)
        if self._running:
            for engine in begun:
                self._begin(engine)

    def start(self) -> None:
        """Begin to look after the engines, and to test them."""
        self._running = True
        for engine in self.all:
            self._begin(engine)

    def stop(self) -> None:
        """Let go of them."""
        self._running = False
        for engine in self.all:
            self._end(engine)

    @property
    def all(self) -> tuple[Engine, ...]:
        """Every engine in force."""
        return self.active + self.spam

    def _make(self, content: ContentfilterSettings, name: Name) -> Engine:
        reactor, log, settings = self._reactor, self._log, getattr(content, name)
        if name == "command":
            folder = content.spool.folder
            return Engine(
                reactor,
                name,
                settings,
                lambda changed: [CommandSeat(reactor, settings, self._runner, folder, log, changed)],
            )
        dialect = _DIALECTS[name](settings)
        return Engine(
            reactor,
            name,
            settings,
            lambda changed: [Endpoint(reactor, place, dialect, log, changed) for place in settings.addresses],
        )

    def _begin(self, engine: Engine) -> None:
        engine.start()
        if engine.name in VIRUS and self._settings[engine.name].self_test:
            self._tests[engine] = SelfTest(self._reactor, engine, self._log, self._tested)
            self._tests[engine].start()

    def _end(self, engine: Engine) -> None:
        engine.close()
        test = self._tests.pop(engine, None)
        if test is not None:
            test.stop()
