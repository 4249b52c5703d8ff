"""A Redis (or Valkey) server of our own, or a Sentinel: on loopback, in its own folder, nothing on disk."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from postwarden.sandbox.guard import Guard
from postwarden.sandbox.ports import LOOPBACK, PortReservation
from postwarden.sandbox.processes import Process

PROGRAMS = ("redis-server", "valkey-server")


class RedisUnavailable(Exception):
    """No server program is installed."""


class RedisError(Exception):
    """The server's answer is an error."""


def redis_program() -> str:
    """Path of the server program.

    Raises:
        RedisUnavailable: there is none.
    """
    for name in PROGRAMS:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if path is not None:
            return path
    raise RedisUnavailable("redis-server is not installed: apt-get install redis-server")


class Redis:
    """One server; a context manager that ends it.

    Arguments:
        folder: for configuration and log; made if missing.
        guard: told of the process, so that nothing outlives us.
        options: lines of redis.conf over the sandbox's own.
        sentinel: whether it is a Sentinel.
        tls: whether its port speaks TLS only (``tls-port``); nobody but clients with TLS can ask it then.
    """

    def __init__(
        self,
        folder: Path,
        guard: Guard,
        options: Mapping[str, str] | None = None,
        *,
        sentinel: bool = False,
        tls: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._reservation = PortReservation()
        self.port = self._reservation.take()
        self._tls = tls
        settings = {
            "bind": LOOPBACK,
            "port": "0" if tls else str(self.port),
            **({"tls-port": str(self.port)} if tls else {}),
            "dir": str(folder),
            "protected-mode": "no",
            **({} if sentinel else {"save": '""', "appendonly": "no", "repl-diskless-sync-delay": "0"}),
            **(options or {}),
        }
        config = folder / "redis.conf"
        # A directive of several words (sentinel monitor …) is one key here; its value follows it.
        config.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        command = [redis_program(), str(config), *(["--sentinel"] if sentinel else [])]
        self.process = Process("redis-server", command, folder / "redis.log", guard)
        self._password = settings.get("requirepass", "")

    def start(self) -> None:
        """Start it; returns when it answers."""
        self.process.start(self._answers)

    def close(self) -> None:
        """End it."""
        self.process.stop()
        self._reservation.close()

    def __enter__(self) -> Redis:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def ask(self, *words: str | bytes | int | float) -> Any:
        """The server's answer to one command.

        Raises:
            RedisError: it is an error.
            OSError: there is none.
        """
        with Asking(self.port) as asking:
            if self._password:
                asking.ask("AUTH", self._password)
            return asking.ask(*words)

    def _answers(self) -> bool:
        try:
            if self._tls:
                socket.create_connection((LOOPBACK, self.port), 1.0).close()
            else:
                self.ask("PING")
        except RedisError as error:
            return "LOADING" not in str(error)
        except OSError:
            return False
        return True


class Asking:
    """A connection that waits for each answer; a context manager."""

    def __init__(self, port: int, timeout: float = 5.0) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), timeout)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        self._file.close()
        self._socket.close()

    def ask(self, *words: str | bytes | int | float) -> Any:
        """See :meth:`Redis.ask`."""
        octets = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        parts = [b"$%d\r\n%b\r\n" % (len(one), one) for one in octets]
        self._socket.sendall(b"*%d\r\n" % len(parts) + b"".join(parts))
        return self._answer()

    def _answer(self) -> Any:
        line = self._file.readline()
        if line[-2:] != b"\r\n":
            raise ConnectionError("the server closed the connection")
        kind, text = line[:1], line[1:-2]
        match kind:
            case b"+":
                return text.decode()
            case b"-":
                raise RedisError(text.decode())
            case b":":
                return int(text)
            case b"$":
                size = int(text)
                return None if size < 0 else self._file.read(size + 2)[:-2]
            case b"*":
                return None if int(text) < 0 else [self._answer() for _ in range(int(text))]
            case _:
                raise ConnectionError(f"no answer of Redis: {line[:40]!r}")
