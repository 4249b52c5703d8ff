"""Keeps a connection to Redis, and says at once when there is none.

Interface: :meth:`RedisClient.start`, :meth:`RedisClient.call`, :meth:`RedisClient.run`,
:meth:`RedisClient.stop`. All commands share one connection, on which they are sent without waiting for the
replies before; those of one turn of the reactor leave together.

Diagnostics: a warning ``redis-down`` when the connection is lost or cannot be made, an info ``redis-up`` when
it is (back); nothing for the attempts between, unless the server begins to say why it does not let us in.

While there is no connection every command fails at once; a new connection is tried behind the requests, and
is used once the server has taken the password and said that it is a master.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from mailbase.logs import Log
from mailbase.store.errors import StoreError
from mailbase.store.redis.breaker import Breaker
from mailbase.store.redis.connecting import Connect, within
from mailbase.store.redis.link import MAX_REASON, Clock, Link, Refused, plain
from mailbase.store.redis.metrics import Now, RedisMetrics
from mailbase.store.redis.pause import Pause
from mailbase.store.redis.script import Script
from mailbase.store.redis.wire import bulk, encoded

MAX_IN_FLIGHT = 20_000
"""Commands without a reply; more fail at once."""
OPENING = 0.45
"""Seconds to connect, and as many to be let in."""
FIRST_MOMENT = 0.9
"""Seconds for which requests wait for the very first connection."""
REFUSED_LOG_EVERY = 10.0
"""Seconds between two warnings about commands that the server refuses."""
NO_CLUSTER = "Redis Cluster cannot serve policyd: let store.url name a server of its own, or Sentinels"
_OF_CLUSTERS = frozenset({"ASK", "CLUSTERDOWN", "CROSSSLOT", "MOVED", "TRYAGAIN"})
"""Errors of servers that are part of a cluster."""


Argument: TypeAlias = "bytes | str | int | float"


class Place(NamedTuple):
    """Where a server is."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Whereabouts(Protocol):
    """Knows where the master is."""

    async def master(self) -> Place:
        """The place to connect to now.

        Raises:
            StoreError: nobody knows.
        """

    def stop(self) -> None:
        """Watch no longer."""


class NotLetIn(StoreError):
    """The server is there, and its answer says what the operator must do."""


class Fixed:
    """:class:`Whereabouts` of a server without Sentinel."""

    def __init__(self, host: str, port: int) -> None:
        self._place = Place(host, port)

    async def master(self) -> Place:
        """See :class:`Whereabouts`."""
        return self._place

    def stop(self) -> None:
        """See :class:`Whereabouts`."""


class RedisClient:
    """Arguments:
    clock: the reactor.
    connect: see :mod:`mailbase.store.redis.connecting`.
    where: the master.
    log: see the module's diagnostics.
    credentials: user (empty for the default) and password (empty for none), asked for each connection.
    database: number.
    scripts: made known to the server at each connection.
    timeout: seconds after which a server that is silent counts as gone.
    """

    def __init__(
        self,
        clock: Clock,
        connect: Connect,
        where: Whereabouts,
        log: Log,
        *,
        credentials: Callable[[], tuple[str, str]] = lambda: ("", ""),
        database: int = 0,
        scripts: Sequence[Script] = (),
        timeout: float = 0.25,
    ) -> None:
        self._clock = clock
        self._connect = connect
        self._where = where
        self._log = log
        self._credentials = credentials
        self._database = database
        self._scripts = tuple(scripts)
        self._timeout = timeout
        self._breaker = Breaker()
        self._link: Link | None = None
        self._place: Place | None = None
        self._first: list[Deferred[None]] | None = []
        """What waits for the very first attempt, also before it begins; None once that is over."""
        self._moment: Any = None
        self._stopped = False
        self._pause = Pause(clock)
        self._connecting: Deferred[Link] | None = None
        self._newcomer: Link | None = None
        """Connected, and not let in yet."""
        self._reason = ""
        self._refusal_logged = float("-inf")
        self.metrics = RedisMetrics()
        self.metrics.now = lambda: Now(self.up, 0 if self._link is None else self._link.in_flight)
        self.on_connect: list[Callable[[], None]] = []
        """Called whenever there is a connection again."""

    @property
    def up(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None

    def start(self) -> None:
        """Connect, and go on connecting whenever the connection is lost."""
        self._moment = self._clock.callLater(FIRST_MOMENT, self._end_first)
        Deferred.fromCoroutine(self._keep())

    def stop(self) -> None:
        """Close the connection and make no more."""
        self._stopped = True
        self._where.stop()
        for link in (self._link, self._newcomer):
            if link is not None:
                link.drop("the daemon ends")
        if self._connecting is not None:
            self._connecting.cancel()
        self._end_first()
        self._pause.end()

    def call(self, *args: Any) -> Deferred[Any]:
        """Run a command.

        Arguments:
            args: its name and arguments: octets, text or numbers.

        Returns:
            The reply: octets, text (of a status), a number, None, or a list of such.

        Raises (at once or when awaited):
            StoreError: there is no connection, no reply, or one that is an error (:class:`Refused`).
        """
        return self._send(encoded(args))

    def _send(self, command: bytes) -> Deferred[Any]:
        link = self._link
        if link is None:
            if self._first is None:
                self.metrics.commands["refused"] += 1
                raise StoreError("redis: no connection")
            return Deferred.fromCoroutine(self._after_first(self._first, command))
        if link.in_flight >= MAX_IN_FLIGHT:
            self.metrics.commands["overload"] += 1
            raise StoreError("redis: too many commands wait for replies")
        return link.send(command)

    def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Argument]) -> Deferred[Any]:
        """Run a script; as :meth:`call`."""
        return self.ask(script, len(keys), [bulk(one) for one in (*keys, *args)])

    def ask(self, script: Script, keys: int, words: Sequence[bytes]) -> Deferred[Any]:
        """As :meth:`run`, for who encodes what it asks for itself.

        Arguments:
            keys: how many of ``words`` are keys: the first ones.
            words: keys and arguments as :func:`mailbase.store.redis.wire.bulk` has them.
        """
        reply = self._send(script.known(len(words), keys) + b"".join(words))
        return reply.addErrback(self._run_failed, script, keys, words)

    def _run_failed(self, failure: Failure, script: Script, keys: int, words: Sequence[bytes]) -> Any:
        refused = failure.value
        if not isinstance(refused, Refused):
            return failure
        if refused.code == "NOSCRIPT":
            # Somebody emptied the server's memory of scripts. It keeps this one.
            return self._send(script.unknown(len(words), keys) + b"".join(words))
        self._note_refusal(refused)
        return failure

    def _note_refusal(self, refused: Refused) -> None:
        """Log, now and then, that the server refuses what we ask."""
        now = self._clock.seconds()
        if now - self._refusal_logged >= REFUSED_LOG_EVERY:
            self._refusal_logged = now
            advice = {"advice": NO_CLUSTER} if refused.code in _OF_CLUSTERS else {}
            self._log.warning(
                "redis-refuses", error=str(refused), refusals=self.metrics.commands["error"], **advice
            )

    async def _after_first(self, waiting: list[Deferred[None]], command: bytes) -> Any:
        if len(waiting) >= MAX_IN_FLIGHT:
            raise StoreError("redis: too many commands wait for the connection")
        turn: Deferred[None] = Deferred()
        waiting.append(turn)
        await turn
        return await self._send(command)

    def moved(self, host: str, port: int) -> None:
        """Somebody who knows says where the master is now."""
        if self._link is not None and (self._place is None or self._place != (host, port)):
            self._link.drop(f"the master moved to {Place(host, port)}")
        elif self._link is None:
            self._pause.end()

    async def _keep(self) -> None:
        while not self._stopped:
            try:
                link = await self._open()
            except Exception as error:  # noqa: BLE001 - the boundary: whatever keeps us from connecting, we try again
                self._down(_why(error), advice=isinstance(error, NotLetIn))
            else:
                self._up(link)
                self._down(await link.ended)
            if not self._stopped:
                await self._pause.take(self._breaker.failed(self._clock.seconds()))

    async def _open(self) -> Link:
        self._place = place = await self._where.master()
        user, password = self._credentials()
        connecting = self._connect(place.host, place.port, lambda: Link(self._clock, OPENING, self.metrics))
        self._connecting = within(OPENING, connecting, self._clock)
        self._newcomer = link = await self._connecting
        try:
            await self._introduce(link, user, password)
        except Exception:
            link.drop("not let in")
            raise
        finally:
            self._newcomer = None
        link.hasten(self._timeout)
        return link

    async def _introduce(self, link: Link, user: str, password: str) -> None:
        """Everything that the server must be told first, in one go."""
        commands: list[tuple[Any, ...]] = []
        if password:
            commands.append(("AUTH", user, password) if user else ("AUTH", password))
        if self._database:
            commands.append(("SELECT", self._database))
        commands.append(("ROLE",))
        commands += [("SCRIPT", "LOAD", script.source) for script in self._scripts]
        replies = await DeferredList(
            [link.execute_command(*command) for command in commands], consumeErrors=True
        )
        for command, (ok, reply) in zip(commands, replies, strict=True):
            if command[0] == "ROLE" and ok and reply[0] != b"master":
                raise NotLetIn(f"it is a {reply[0].decode('ascii', 'replace')}, not a master")
            if ok or (command[0] == "ROLE" and _code(reply) == "NOPERM"):
                continue
            why = reply.value
            raise NotLetIn(_advice(command[0], why)) if isinstance(why, Refused) else why

    def _up(self, link: Link) -> None:
        self._link = link
        now = self._clock.seconds()
        self._breaker.connected(now)
        self.metrics.connections += 1
        self._log.info("redis-up", server=str(self._place))
        self._reason = ""
        self._end_first()
        for told in self.on_connect:
            try:
                told()
            except Exception as error:  # noqa: BLE001 - the boundary: nobody's fault ends the connecting
                self._log.exception("redis-failed", error)

    def _down(self, reason: str, *, advice: bool = False) -> None:
        was_up, self._link = self._link is not None, None
        if self._stopped:
            return
        self.metrics.failures += 1
        if was_up or not self._reason or (advice and reason != self._reason):
            self._reason = reason
            self._log.warning("redis-down", server=str(self._place or "unknown"), reason=reason)
        self._end_first()

    def _end_first(self) -> None:
        if self._moment is not None and self._moment.active():
            self._moment.cancel()
        first, self._first = self._first, None
        for turn in first or ():
            turn.callback(None)


def _code(failure: Failure) -> str:
    return failure.value.code if isinstance(failure.value, Refused) else ""


def _advice(command: str, refused: Refused) -> str:
    if refused.code == "NOAUTH":
        return f"the server wants a password: set store.password_file ({refused})"
    if command == "AUTH":
        return f"the server refuses the password of store.url or store.password_file ({refused})"
    if command == "SELECT":
        return f"the server refuses the database's number in store.url ({refused})"
    return f"{command}: {refused}"


def _why(error: BaseException) -> str:
    return plain(error)[:MAX_REASON]
