"""Where the master is, by what Sentinels say ("Guidelines for Redis clients with support for Sentinel").

One is asked before each connection; the one that answered last comes first. One is subscribed to, and says at
once when another server becomes the master.

Diagnostics: none of its own; what nobody knows becomes the client's reason for being without connection.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from mailbase.store.errors import StoreError
from mailbase.store.redis.client import Place
from mailbase.store.redis.connecting import Connect, within
from mailbase.store.redis.link import Clock, Link, plain
from mailbase.store.redis.metrics import RedisMetrics
from mailbase.store.redis.pause import Pause

SWITCH = b"+switch-master"
ANSWER = 0.25
"""Seconds to connect to a Sentinel, and for each of its answers; the next one is asked then."""
WATCH_AGAIN = 1.0
"""Seconds until another Sentinel is subscribed to."""
PING_EVERY = 5.0
"""Seconds between two signs of life of the Sentinel that is subscribed to."""


class Subscription(Link):
    """A connection on which a Sentinel tells of new masters.

    Arguments:
        told: gets name, host and port.
    """

    def __init__(
        self, clock: Clock, timeout: float, metrics: RedisMetrics, told: Callable[[str, str, int], None]
    ) -> None:
        super().__init__(clock, timeout, metrics)
        self._told = told

    def replyReceived(self, reply: Any) -> None:
        if isinstance(reply, list) and reply[:2] == [b"message", SWITCH]:
            words = bytes(reply[2]).decode("utf-8", "replace").split(" ")
            if len(words) == 5 and words[4].isdigit():
                self._told(words[0], words[3], int(words[4]))
        else:
            super().replyReceived(reply)


class Sentinels:
    """:class:`mailbase.store.redis.client.Whereabouts` of a master that Sentinels look after.

    Arguments:
        clock: the reactor.
        connect: to Sentinels.
        hosts: of Sentinels.
        name: of the master.
        password: of the Sentinels; empty for none.
    """

    def __init__(
        self,
        clock: Clock,
        connect: Connect,
        hosts: Sequence[tuple[str, int]],
        name: str,
        password: Callable[[], str] = lambda: "",
    ) -> None:
        self._clock = clock
        self._connect = connect
        self._hosts = deque(Place(host, port) for host, port in hosts)
        self._name = name
        self._password = password
        self._metrics = RedisMetrics()  # not the store's commands, so nobody sees them
        self._pause = Pause(clock)
        self._watching: Link | None = None
        self._stopped = False
        self.moved: Callable[[str, int], None] = lambda host, port: None
        """Told of the master whenever there is a new one."""

    def watch(self) -> None:
        """Begin to tell :attr:`moved`."""
        Deferred.fromCoroutine(self._watch())

    def stop(self) -> None:
        """Watch no longer."""
        self._stopped = True
        if self._watching is not None:
            self._watching.drop("the daemon ends")
        self._pause.end()

    async def master(self) -> Place:
        """See :class:`mailbase.store.redis.client.Whereabouts`."""
        problems = []
        for place in tuple(self._hosts):
            try:
                return await self._ask(place)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one, there is the next
                problems.append(f"{place}: {plain(error)}")
                if self._hosts[0] == place:
                    self._hosts.rotate(-1)
        raise StoreError("no Sentinel knows the master; " + "; ".join(problems))

    async def _ask(self, place: Place) -> Place:
        link = await self._open(place, lambda: Link(self._clock, ANSWER, self._metrics))
        try:
            reply = await link.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)
        finally:
            link.drop("answered")
        if not isinstance(reply, list) or len(reply) != 2:
            raise StoreError(f"knows no master named {self._name}")
        return Place(reply[0].decode("utf-8", "replace"), int(reply[1]))

    async def _open(self, place: Place, make: Callable[[], Link]) -> Link:
        link = await within(ANSWER, self._connect(place.host, place.port, make), self._clock)
        password = self._password()
        if password:
            try:
                await link.execute_command("AUTH", password)
            except StoreError as error:
                link.drop("not let in")
                raise StoreError(f"refuses store.sentinel_password_file ({error})") from None
        return link

    async def _watch(self) -> None:
        while not self._stopped:
            place = self._hosts[0]
            with contextlib.suppress(Exception):  # as above
                await self._follow(place)
            if self._hosts[0] == place:
                self._hosts.rotate(-1)
            self._watching = None
            if not self._stopped:
                await self._pause.take(WATCH_AGAIN)

    async def _follow(self, place: Place) -> None:
        def told(name: str, host: str, port: int) -> None:
            if name == self._name:
                self.moved(host, port)

        link = await self._open(place, lambda: Subscription(self._clock, ANSWER, self._metrics, told))
        self._watching = link
        try:
            await link.execute_command("SUBSCRIBE", SWITCH)
            # What was said before we listened.
            self.moved(*await self._ask(place))
            self._ping(link)
            await link.ended
        except Exception:
            link.drop("no use")
            raise

    def _ping(self, link: Link) -> None:
        if not link.over:
            link.execute_command("PING").addErrback(lambda failure: None)
            self._clock.callLater(PING_EVERY, self._ping, link)
