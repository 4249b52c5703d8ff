"""Asks DNS and every server, many at one time and none too much."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from twisted.internet.defer import Deferred, gatherResults

from mailbase.addresses import pack, split_mailbox
from mailbase.config import Settings
from mailbase.dns.answers import Found
from mailbase.dns.resolver import Resolver
from mailbase.registry import Server
from policyd.callout.conversation import Outcome, Script
from policyd.callout.path import forward_path
from policyd.callout.servers import Place, Servers
from postwarden.registry.check import mx, names
from postwarden.registry.check.certificate import Certificate
from postwarden.registry.check.finding import Check, Finding, Severity
from postwarden.registry.check.server import Trial, judge_connection, judge_recipient, trials
from postwarden.registry.dns import names as names_of

AT_ONCE = 20
"""Names and servers that are looked at at one time; one server is asked one thing after the other."""
TOGETHER = 20
"""Recipients in one conversation: many servers hang up at more."""
CONSUMER = "check"


class Talk(Protocol):
    """Speaks with a server."""

    def __call__(
        self, place: Place, script: Script, name: str, until: float
    ) -> Deferred[tuple[Outcome, Certificate | None]]:
        """What came of it, and the certificate that was seen; never fails.

        Arguments:
            until: seconds since the epoch at which it is given up.
        """


class Checking:
    """Arguments:
    settings: registry and identity.
    resolver: has the consumers ``check`` and ``callout``.
    servers: knows where servers are called.
    talk: speaks with them.
    seconds: the clock, since the epoch.
    progress: told how many of how many steps are done.
    """

    def __init__(
        self,
        settings: Settings,
        resolver: Resolver,
        servers: Servers,
        talk: Talk,
        seconds: Callable[[], float],
        progress: Callable[[int, int], None] = lambda done, all_: None,
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._servers = servers
        self._talk = talk
        self._seconds = seconds
        self._progress = progress
        self._hello = settings.identity.hostname

    async def run(self, servers: Sequence[Server]) -> list[Finding]:
        """Everything that is to be changed, in the order of the registry."""
        steps: list[Callable[[], Coroutine[Any, Any, list[Finding]]]] = []
        for server in servers:
            steps += self._steps(server)
        found: list[list[Finding]] = [[] for _ in steps]
        left = iter(enumerate(steps))
        done = 0

        async def work() -> None:
            nonlocal done
            for place, step in left:
                found[place] = await step()
                done += 1
                self._progress(done, len(steps))

        await gatherResults([Deferred.fromCoroutine(work()) for _ in range(AT_ONCE)], consumeErrors=True)
        return [finding for part in found for finding in part]

    def _steps(self, server: Server) -> Iterator[Callable[[], Coroutine[Any, Any, list[Finding]]]]:
        for name in names_of(server):
            yield lambda name=name: self._mx(server, name)  # type: ignore[misc]
        yield lambda: self._names(server)
        yield lambda: self._server(server)

    async def _mx(self, server: Server, name: str) -> list[Finding]:
        answer = await self._resolver.mx(name, consumer=CONSUMER)
        return list(mx.judge(server, name, answer, self._settings.identity.relay_names))

    async def _names(self, server: Server) -> list[Finding]:
        ask = self._resolver
        answer = await ask.addresses(server.name, consumer=CONSUMER)
        found = list(names.judge_forward(server, answer))
        addresses = [packed for text in server.addresses if (packed := pack(text)) is not None]
        if not addresses and isinstance(answer, Found):
            addresses = list(answer.records)
        for address in addresses:
            reverse = await ask.ptr(address, consumer=CONSUMER)
            forward = {}
            if isinstance(reverse, Found):
                for name in reverse.records:
                    forward[name] = await ask.addresses(name, consumer=CONSUMER)
            found += names.judge_reverse(server, address, reverse, forward)
        return found

    async def _server(self, server: Server) -> list[Finding]:
        asked: list[Trial] = []
        found: list[Finding] = []
        for domain in server.domains:
            wanted, lacking = trials(domain)
            asked += wanted
            found += lacking
        # Without any it is the gateway itself.
        for name in self._servers.names(server.name):
            there = await self._host(server, name, asked)
            found += there if name == server.name else _of_backup(name, there)
        return found

    async def _host(self, server: Server, name: str, asked: Sequence[Trial]) -> list[Finding]:
        """What the server, or its backup, says at each of its addresses."""
        places = await self._servers.places(name, self._until())
        if not places.places:
            change = "register its addresses, or set its name in DNS"
            return [
                Finding(server.name, name, Check.CONNECTION, Severity.ERROR, places.detail, change),
            ]
        found: list[Finding] = []
        answering: tuple[Place, bool] | None = None
        for place in places.places:
            script = Script(self._hello)
            outcome, certificate = await self._talk(place, script, name, self._until())
            found += judge_connection(server, place, outcome, certificate, self._seconds())
            if outcome.handshake_failed:
                outcome, _ = await self._talk(place, Script(self._hello, tls=False), name, self._until())
                rest = judge_connection(server, place, outcome, None, self._seconds())
                found += [one for one in rest if one.check is not Check.STARTTLS]
            if answering is None and not outcome.failure:
                answering = place, outcome.tls
        if answering is not None:
            found += await self._recipients(server, name, *answering, asked)
        return found

    async def _recipients(
        self, server: Server, name: str, place: Place, tls: bool, asked: Sequence[Trial]
    ) -> list[Finding]:
        found: list[Finding] = []
        for group in _groups(asked):
            paths = [path for _, path in group]
            smtputf8 = not all(path.isascii() for path in paths)
            script = Script(self._hello, paths, smtputf8=smtputf8, tls=tls)
            outcome, _ = await self._talk(place, script, name, self._until())
            for number, (trial, _) in enumerate(group):
                reply = outcome.replies[number] if number < len(outcome.replies) else None
                found += judge_recipient(server.name, trial, reply, outcome.failure)
        return found

    def _until(self) -> float:
        return self._seconds() + self._settings.policyd.callout.deadline


def _of_backup(name: str, found: Sequence[Finding]) -> Iterator[Finding]:
    """What was found at a backup: it is asked, and mail goes there, while its server does not answer."""
    for one in found:
        yield replace(one, found=f"the backup {name}: {one.found}")


def _groups(asked: Sequence[Trial]) -> Iterator[list[tuple[Trial, bytes]]]:
    """The recipients of each conversation; those that need SMTPUTF8 by themselves."""
    for ascii_only in (True, False):
        group: list[tuple[Trial, bytes]] = []
        for trial in asked:
            mailbox = split_mailbox(trial.address)
            path = forward_path(mailbox.local, mailbox.domain) if mailbox is not None else None
            if path is None or path.isascii() is not ascii_only:
                continue
            group.append((trial, path))
            if len(group) == TOGETHER:
                yield group
                group = []
        if group:
            yield group
