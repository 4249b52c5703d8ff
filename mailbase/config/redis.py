"""Where a Redis or Valkey server is, as ``store.url`` says it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

PORT, SENTINEL_PORT = 6379, 26379
SCHEMES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel")
FORMS = "redis://HOST:PORT/DB, rediss://HOST:PORT/DB or redis+sentinel://HOST:PORT,HOST:PORT/MASTER/DB"

_HOST = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9_.-]{1,253}))(?::(?P<port>\d{1,5}))?"
)
_MASTER = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """Arguments:
    hosts: name or address, and port: of the server, or of the Sentinels if there is a ``master``.
    tls: whether connections are encrypted.
    user: of the access control list; empty for the default user.
    password: empty for none.
    master: what the Sentinels call the server; empty without Sentinel.
    database: number.
    """

    hosts: tuple[tuple[str, int], ...]
    tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    master: str = ""
    database: int = 0


def is_redis(url: str) -> bool:
    """Whether ``url`` names Redis, rightly or not."""
    return url.partition("://")[0].lower() in SCHEMES


def parse_redis(url: str) -> RedisPlace:
    """The place that ``url`` names; user and password in it are percent-encoded.

    Raises:
        ValueError: with the message for the operator, which never quotes a password.
    """
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        raise ValueError(f"expected {FORMS}")
    sentinel = scheme.endswith("+sentinel")
    hosts, *path = rest.split("/")
    # The last @ ends the password, which then may hold one itself; a host name has none.
    credentials, _, hosts = hosts.rpartition("@")
    user, _, password = credentials.partition(":")
    master = path.pop(0) if sentinel and path else ""
    if sentinel and not _MASTER.fullmatch(master):
        raise ValueError(f"expected the master's name after the Sentinels: {FORMS}")
    if len(path) > 1:
        raise ValueError(f"expected nothing behind the number of the database: {FORMS}")
    database = path[0] if path else ""
    if database and not (database.isascii() and database.isdigit() and len(database) < 6):
        raise ValueError(f"expected the number of the database at the end: {FORMS}")
    listed = hosts.split(",") if sentinel else [hosts]
    return RedisPlace(
        hosts=tuple(_host(text, SENTINEL_PORT if sentinel else PORT) for text in listed),
        tls=scheme.startswith("rediss"),
        user=unquote(user),
        password=unquote(password),
        master=master,
        database=int(database or 0),
    )


def _host(text: str, port: int) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    number = int(found["port"] or port) if found else 0
    if found is None or not 0 < number < 65536:
        # The text may be the rest of a password with a / in it, so it is not shown.
        raise ValueError(f"expected HOST:PORT (a / in a password is written %2F): {FORMS}")
    return found["v6"] or found["name"], number
