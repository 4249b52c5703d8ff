"""A daemon's life: sockets, systemd, signals, draining.

Addresses are written as in the configuration: ``127.0.0.1:10023``, ``[::1]:10023``, ``unix:/run/x.sock``, or
``systemd:NAME`` for a socket that systemd hands over (sd_listen_fds(3), FileDescriptorName=NAME).
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, assert_never

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

from mailbase.config.places import ListenError, Systemd, Tcp, Unix, parse_place
from mailbase.logs import Log

BACKLOG = 1024
"""Connections the kernel holds for us while we are busy."""


class Service:
    """Opens sockets, announces readiness, and ends in order when told to.

    Arguments:
        reactor: Twisted's.
        log: for starting, reloading and ending.
        drain: awaited at SIGTERM after the listening sockets are closed: it returns when what is in flight
            has ended.
        drain_timeout: seconds after which the daemon ends all the same.
        reload: called at SIGHUP; it keeps the old configuration when the new one is bad.
        inherited: sockets that systemd handed over, see :mod:`mailbase.inherited`.
    """

    def __init__(
        self,
        reactor: Any,
        log: Log,
        *,
        drain: Callable[[], Awaitable[None]],
        reload: Callable[[], None],
        drain_timeout: float = 90.0,
        inherited: Mapping[str, socket.socket] | None = None,
    ) -> None:
        self._reactor = reactor
        self._log = log
        self._drain = drain
        self._reload = reload
        self._drain_timeout = drain_timeout
        self._ports: list[IListeningPort] = []
        self._files: dict[str, os.stat_result] = {}
        self._inherited = dict(inherited or {})
        self._alive_every = watchdog_interval()
        self._stopping = False

    def listen(self, address: str, factory: Factory, mode: int = 0o660) -> IListeningPort:
        """Listen on ``address``.

        Arguments:
            mode: permissions of a UNIX socket's file.

        Raises:
            ListenError: the address is in use, not ours, or not permitted.
        """
        try:
            port = self._listen(address, factory, mode)
        except CannotListenError as error:
            raise ListenError(f"cannot listen on {address}: {_advice(error.socketError, address)}") from error
        except OSError as error:
            raise ListenError(f"cannot listen on {address}: {_advice(error, address)}") from error
        self._ports.append(port)
        self._log.info("listening", at=address)
        return port

    def _listen(self, address: str, factory: Factory, mode: int) -> IListeningPort:
        match parse_place(address):
            case Systemd(name):
                return self._adopt(name, factory)
            case Unix(path):
                remove_stale_socket(path)
                # The file must not exist with wider permissions even for a moment.
                before = os.umask(0o777 & ~mode)
                try:
                    unix: IListeningPort = self._reactor.listenUNIX(path, factory, backlog=BACKLOG, mode=mode)
                finally:
                    os.umask(before)
                # Twisted removes the file when it stops listening, whoever's it is by then; if there is none,
                # it never says that it has stopped. So we do it; what begins with NUL is no file (unix(7)).
                with suppress(FileNotFoundError):
                    self._files[path] = os.lstat(path)
                unix._bindPath = b"\0"  # type: ignore[attr-defined]
                return unix
            case Tcp(host, port):
                tcp: IListeningPort = self._reactor.listenTCP(port, factory, backlog=BACKLOG, interface=host)
                return tcp
            case other:
                assert_never(other)

    def _adopt(self, name: str, factory: Factory) -> IListeningPort:
        try:
            inherited = self._inherited.pop(name)
        except KeyError:
            raise ListenError(
                f"systemd handed over no socket named {name!r}; "
                f"set FileDescriptorName={name} in the .socket unit"
            ) from None
        # Twisted duplicates the descriptor; ours is closed with the socket object.
        with inherited:
            port: IListeningPort = self._reactor.adoptStreamPort(
                inherited.fileno(), inherited.family, factory
            )
        if inherited.family == socket.AF_UNIX:
            # Twisted removes a UNIX socket's file when it stops listening; this one is systemd's, which goes
            # on listening while we restart. A path that begins with NUL has no file (unix(7)).
            port._bindPath = b"\0"  # type: ignore[attr-defined]
        return port

    def run(self) -> None:
        """Announce readiness, serve until SIGTERM or SIGINT, drain, return."""
        self._reactor.callWhenRunning(self._started)
        self._reactor.run()
        self._log.flush()

    def _started(self) -> None:
        # Twisted's own handlers, which end at once, are in place by now (it needs the one for SIGCHLD).
        signal.signal(signal.SIGTERM, self._signalled)
        signal.signal(signal.SIGINT, self._signalled)
        signal.signal(signal.SIGHUP, self._hung_up)
        notify("READY=1")
        self._log.info("ready", pid=os.getpid())
        if self._alive_every is not None:
            self._say_alive(self._alive_every)

    def _say_alive(self, every: float) -> None:
        """Tell systemd's watchdog that the reactor turns; one that stands still is replaced."""
        notify("WATCHDOG=1")
        self._reactor.callLater(every, self._say_alive, every)

    def _signalled(self, number: int, _frame: object) -> None:
        self._reactor.callFromThread(self.stop, signal.Signals(number).name)

    def _hung_up(self, _number: int, _frame: object) -> None:
        self._reactor.callFromThread(self._reload_now)

    def _reload_now(self) -> None:
        notify("RELOADING=1")
        self._reload()
        notify("READY=1")

    def stop(self, why: str) -> None:
        """Close the listening sockets, let what is in flight end, stop the reactor; a second call hurries."""
        if self._stopping:
            self._log.warning("stopping-at-once", signal=why)
            self._end()
            return
        self._stopping = True
        self._log.info("stopping", signal=why)
        notify("STOPPING=1")
        Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for path, made in self._files.items():
            self._remove(path, made)
        for port in self._ports:
            await _maybe(port.stopListening())
        in_time: Deferred[bool] = Deferred()
        timer = self._reactor.callLater(self._drain_timeout, in_time.callback, False)

        async def drain() -> None:
            try:
                await self._drain()
            except Exception as error:  # noqa: BLE001 - the boundary: logged, and the daemon ends anyway
                self._log.exception("drain-failed", error)
            if timer.active():
                timer.cancel()
                in_time.callback(True)

        Deferred.fromCoroutine(drain())
        if not await in_time:
            self._log.warning("drain-timed-out", seconds=self._drain_timeout)
        self._log.info("stopped")
        self._end()

    def _remove(self, path: str, made: os.stat_result) -> None:
        """Remove a UNIX socket's file, if it is still the one that we made."""
        try:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.lstat(path), made):
                    os.unlink(path)
        except OSError as error:
            self._log.warning("socket-not-removed", file=path, error=str(error))

    def _end(self) -> None:
        # What is closed behind the reactor has turns no more, and may have to tell what was lost.
        self._log.write_at_once()
        if self._reactor.running:
            self._reactor.stop()


async def _maybe(result: object) -> None:
    if isinstance(result, Deferred):
        await result


def remove_stale_socket(path: str) -> None:
    """Remove a UNIX socket that a killed daemon left behind.

    Raises:
        OSError: a living daemon answers there, or the file is no socket.
    """
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, f"{path} exists and is no socket; remove it or name another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except (BlockingIOError, TimeoutError):
            pass
    raise OSError(errno.EADDRINUSE, "another daemon answers there")


def watchdog_interval() -> float | None:
    """Seconds between two signs of life that systemd's watchdog wants; None if it wants none.

    The environment is cleared, so that no child takes it for its own (sd_watchdog_enabled(3)).
    """
    limit = os.environ.pop("WATCHDOG_USEC", "")
    pid = os.environ.pop("WATCHDOG_PID", str(os.getpid()))
    if pid != str(os.getpid()) or not limit.isdigit() or int(limit) == 0:
        return None
    return int(limit) / 2e6


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing happens when nobody listens."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(state.encode(), "\0" + path[1:] if path.startswith("@") else path)
        except OSError:
            return


def _advice(error: OSError, address: str) -> str:
    kind = "lx" if address.startswith("unix:") else "ltn"
    text = error.strerror or str(error)
    match error.errno:
        case errno.EADDRINUSE:
            return f"{text}; another program has it (ss -{kind}p shows which), or another instance runs"
        case errno.EACCES | errno.EPERM:
            return f"{text}; the user the daemon runs as may not open it"
        case errno.EADDRNOTAVAIL:
            return f"{text}; no interface of this machine has that address"
        case errno.ENOENT:
            return f"{text}; the folder does not exist, create it for the daemon's user"
        case _:
            return text
