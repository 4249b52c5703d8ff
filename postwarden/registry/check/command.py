"""Runs the check and prints what is to be changed."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailbase.config import Settings, load
from mailbase.dns import build_resolver
from mailbase.printing import wants_json
from mailbase.replies import printable
from policyd.callout.conversation import Outcome, Script
from policyd.callout.dialling import call
from policyd.callout.servers import Place, Servers
from postwarden import table
from postwarden.registry.check.certificate import Certificate, Inspector
from postwarden.registry.check.checking import CONSUMER, Checking
from postwarden.registry.choice import choose, complain
from postwarden.registry.list import WIDTH

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAX_FOUND = 200
"""Characters of foreign text in a finding."""


def run(options: argparse.Namespace) -> int:
    """Check the registry and print what is to be changed; 1 if anything is.

    Arguments:
        options: ``config``, ``set``, ``server``, ``authorities``, ``json``.

    Raises:
        ConfigError: the configuration or the registry has mistakes.
    """
    settings = load(options.config, options.overrides)
    servers, unknown = choose(settings.registry, options.server)
    progress = Progress(sys.stderr)
    findings = in_reactor(
        lambda reactor: _checking(reactor, settings, options.authorities, progress.show).run(servers)
    )
    progress.end()
    if findings is None:
        return complain(["interrupted"])
    write(sys.stdout, findings, wants_json(sys.stdout, options.json))
    if not findings and not unknown and not wants_json(sys.stdout, options.json):
        print(f"{len(servers)} servers are as they are registered")
    return complain(unknown) or int(bool(findings))


class Progress:
    """One line on a terminal that says how far it is; elsewhere nothing.

    Arguments:
        stream: standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0
        self._on = stream.isatty()

    def show(self, done: int, of: int) -> None:
        """So many of so many steps are done."""
        if self._on:
            text = f"checked {done} of {of}"
            self._shown = len(text)
            self._stream.write("\r" + text)
            self._stream.flush()

    def end(self) -> None:
        """Leave no trace."""
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()


def write(stream: TextIO, findings: Sequence[DataclassInstance], as_json: bool) -> None:
    """Print ``findings``: one JSON object a line, or a table."""
    rows = [
        {name: printable(str(value), MAX_FOUND) for name, value in dataclasses.asdict(finding).items()}
        for finding in findings
    ]
    if as_json:
        for row in rows:
            stream.write(json.dumps(row, separators=(",", ":")) + "\n")
    elif rows:
        width = shutil.get_terminal_size((WIDTH, 24)).columns
        stream.write(table.render(tuple(rows[0]), [tuple(row.values()) for row in rows], width))


def _checking(
    reactor: Any, settings: Settings, authorities: str | None, progress: Callable[[int, int], None]
) -> Checking:
    resolver = build_resolver(reactor, settings.dns, (CONSUMER, "callout"))

    def talk(
        place: Place, script: Script, name: str, until: float
    ) -> Deferred[tuple[Outcome, Certificate | None]]:
        inspector = Inspector(name, authorities)
        connect = settings.policyd.callout.connect_timeout
        done = call(reactor, place.host, place.port, script, inspector, connect=connect, until=until)
        return done.addCallback(lambda outcome: (outcome, inspector.certificate() if outcome.tls else None))

    return Checking(settings, resolver, Servers(settings, resolver), talk, reactor.seconds, progress)


def in_reactor(work: Callable[[Any], Any]) -> Any:
    """What ``work`` comes to, given the reactor; None if the reactor was stopped before."""
    from twisted.internet import reactor

    ends: list[Any] = []

    def start() -> None:
        Deferred.fromCoroutine(work(reactor)).addBoth(end)

    def end(result: Any) -> None:
        ends.append(result)
        reactor.stop()

    reactor.callWhenRunning(start)
    reactor.run()
    if ends and isinstance(ends[0], Failure):
        ends[0].raiseException()
    return ends[0] if ends else None
