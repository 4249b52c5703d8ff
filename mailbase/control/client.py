"""The operator's end of the control socket: blocking, for the command line."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from mailbase.control.protocol import ControlError, Lines, decode, encode
from mailbase.documents.problems import readable

MAX_ERROR = 1000
"""Characters of what a daemon says against a request."""


class Fields(dict[str, Any]):
    """What a daemon said. A daemon of another version may leave out what a command looks for."""

    def __missing__(self, name: str) -> Any:
        raise ControlError(
            f"the daemon's answer lacks '{name}': it is of another version, or another program; restart it"
        )


class Answer:
    """The answer to one request: iterate over its rows, then look at ``final``.

    ``final`` holds the fields of the last line; it is filled when the rows are used up.
    """

    def __init__(self, messages: Iterator[dict[str, Any]]) -> None:
        self._messages = messages
        self.final: dict[str, Any] = Fields()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for message in self._messages:
            if "row" in message:
                yield Fields(message["row"]) if isinstance(message["row"], dict) else message["row"]
                continue
            if not message.get("ok"):
                raise ControlError(readable(str(message.get("error", "refused without a reason")), MAX_ERROR))
            self.final = Fields(message)
            return
        raise ControlError("the daemon closed the connection in the middle of its answer")

    def wait(self) -> dict[str, Any]:
        """The final line; rows before it are dropped."""
        for _row in self:
            pass
        return self.final


def ask(path: str, verb: str, timeout: float = 10.0, **arguments: Any) -> Answer:
    """Ask the daemon that listens at ``path``.

    Arguments:
        path: of the control socket.
        verb: what is asked for.
        timeout: seconds to wait for each piece of the answer.
        arguments: fields of the request.

    Raises:
        ControlError: nobody listens, no permission, no answer, or the daemon refused.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise ControlError(_why_not(path, error)) from error
    return Answer(_messages(connection, encode({"verb": verb, **arguments}), path))


def _messages(connection: socket.socket, request: bytes, path: str) -> Iterator[dict[str, Any]]:
    lines = Lines()
    with connection:
        try:
            connection.sendall(request)
            while data := connection.recv(65536):
                for line in lines.feed(data):
                    yield decode(line)
        except OSError as error:
            raise ControlError(_why_not(path, error)) from error
        except ControlError as error:
            raise ControlError(
                f"{path}: another program listens there, by its answer ({error}); "
                "does --config name the daemon's configuration?"
            ) from error


def _why_not(path: str, error: OSError) -> str:
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            return (
                f"{path}: no daemon listens there; is it running, and does --config name its configuration?"
            )
        case PermissionError():
            return f"{path}: not allowed; join the group that owns the socket, or use sudo"
        case BrokenPipeError() | ConnectionResetError():
            return f"{path}: the daemon closed the connection; its log says why"
        case TimeoutError():
            return f"{path}: the daemon did not answer in time"
        case _:
            return f"{path}: {error.strerror or error}"
