"""Free loopback ports, kept free until the server that is to have them is up.

Several sandboxes run side by side (tests in parallel, a demo beside them), so ports are picked by the
kernel and stay reserved: a bound socket that never listens keeps everybody else off the port, while a
server that sets SO_REUSEADDR, as Postfix, Twisted and asyncio do, can still bind it and listen.
"""

from __future__ import annotations

import socket
from types import TracebackType

LOOPBACK = "127.0.0.1"


class PortInUse(Exception):
    """A port that was asked for belongs to somebody else."""


class PortReservation:
    """A set of reserved TCP ports on 127.0.0.1; a context manager."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def take(self, wanted: int = 0) -> int:
        """Reserve a port and return its number.

        Arguments:
            wanted: this very port; 0 lets the kernel choose.

        Raises:
            PortInUse: ``wanted`` is taken.
        """
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            # Without SO_REUSEADDR while binding, or the kernel could hand out a port that another
            # reservation holds; with it afterwards, so that the server can bind beside us. A wanted port
            # needs it from the start: connections in TIME_WAIT of an earlier run may linger on it.
            if wanted:
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                _refuse_if_answered(wanted)
            holder.bind((LOOPBACK, wanted))
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        except OSError as error:
            holder.close()
            raise PortInUse(f"port {wanted} on {LOOPBACK} is in use") from error
        self._sockets.append(holder)
        return int(holder.getsockname()[1])

    def close(self) -> None:
        """Give all ports back."""
        while self._sockets:
            self._sockets.pop().close()

    def __enter__(self) -> PortReservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def answers(port: int, host: str = LOOPBACK, timeout: float = 1.0) -> bool:
    """Whether something accepts connections on ``port`` within ``timeout`` seconds."""
    try:
        with socket.create_connection((host, port), timeout):
            return True
    except OSError:
        return False


def _refuse_if_answered(port: int) -> None:
    if answers(port):
        raise PortInUse(f"port {port} on {LOOPBACK} is in use")
