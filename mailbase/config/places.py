"""Where things are: files, and the addresses that a daemon listens on or connects to.

A relative path is taken from the folder of the configuration file, whatever the daemon's working
directory is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from mailbase.documents import Text
from mailbase.documents.problems import shown

FOLDER = "folder"
"""Name of the validation context's entry with the folder of the configuration file."""

_TCP = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})))?:(?P<port>[0-9]{1,5})"
)
_SYSTEMD = re.compile(r"[A-Za-z0-9_.@-]{1,255}")
_MAX_UNIX_PATH = 107
"""sun_path of Linux (unix(7)) without its NUL."""


class ListenError(Exception):
    """An address cannot be listened on; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Tcp:
    """A TCP address; ``host`` is an address or a name, empty for all addresses."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Unix:
    """A UNIX socket."""

    path: str


@dataclass(frozen=True, slots=True)
class Systemd:
    """A socket that systemd hands over, by its FileDescriptorName=."""

    name: str


Place: TypeAlias = Tcp | Unix | Systemd


def parse_place(text: str) -> Place:
    """The place that ``host:port``, ``[v6]:port``, ``unix:/path`` or ``systemd:NAME`` names.

    Raises:
        ValueError: with the message for the operator.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest:
        if len(rest.encode("utf-8", "replace")) > _MAX_UNIX_PATH:
            raise ValueError(f"expected a socket path of at most {_MAX_UNIX_PATH} bytes, got {shown(rest)}")
        return Unix(rest)
    if kind == "systemd" and _SYSTEMD.fullmatch(rest):
        return Systemd(rest)
    found = _TCP.fullmatch(text)
    if found is None or not 0 <= int(found["port"]) <= 65535:
        raise ValueError(f"expected host:port, [v6]:port, unix:/path or systemd:NAME, got {shown(text)}")
    return Tcp(found["v6"] or found["host"] or "", int(found["port"]))


def _beside(path: str, info: ValidationInfo) -> str:
    folder = (info.context or {}).get(FOLDER)
    return path if folder is None or path.startswith("/") else str(Path(folder) / path)


def _path(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a path such as /etc/postwarden/postwarden.yaml, got {shown(value)}")
    return Path(_beside(value, info))


def _socket_path(value: str, info: ValidationInfo) -> str:
    if not value:
        raise ValueError("expected the path of a socket, got ''")
    path = _beside(value, info)
    parse_place("unix:" + path)
    return path


def _listening(value: str, info: ValidationInfo) -> str:
    place = parse_place(value)
    return "unix:" + _beside(place.path, info) if isinstance(place, Unix) else value


def _connecting(value: str, info: ValidationInfo) -> str:
    place = parse_place(value)
    if isinstance(place, Systemd) or (isinstance(place, Tcp) and not (place.host and place.port)):
        raise ValueError(f"expected host:port, [v6]:port or unix:/path to connect to, got {shown(value)}")
    return _listening(value, info)


def _optional_listening(value: str, info: ValidationInfo) -> str:
    return _listening(value, info) if value else ""


def _nothing_as_empty(value: Any) -> Any:
    return "" if value is None else value


FilePath = Annotated[Path, BeforeValidator(_path)]
"""A file or folder."""
SocketPath = Annotated[Text, AfterValidator(_socket_path)]
"""The path of a UNIX socket of ours."""
ListenPlace = Annotated[Text, AfterValidator(_listening)]
"""Where to listen, as text; :func:`parse_place` takes it apart."""
OptionalListenPlace = Annotated[Text, BeforeValidator(_nothing_as_empty), AfterValidator(_optional_listening)]
"""Where to listen; empty for nowhere."""
ConnectPlace = Annotated[Text, AfterValidator(_connecting)]
"""Where to connect to, as text; :func:`parse_place` takes it apart."""
