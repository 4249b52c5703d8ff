"""``store``: where policyd keeps its state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationInfo

from mailbase.config.places import FOLDER, FilePath
from mailbase.config.redis import FORMS, RedisPlace, is_redis, parse_redis
from mailbase.config.units import Duration, between
from mailbase.documents import Location, Section, Text
from mailbase.documents.problems import shown

SQLITE = "sqlite:"
MEMORY = ":memory:"

_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,40}")


def _url(value: str, info: ValidationInfo) -> str:
    if is_redis(value):
        parse_redis(value)
        return value
    if "@" in value:
        # What comes before may be a password.
        raise ValueError(f"expected sqlite:PATH, {FORMS}")
    path = value.removeprefix(SQLITE)
    if path == value or not path:
        raise ValueError(
            "expected sqlite:PATH such as sqlite:/var/lib/postwarden/policyd.sqlite, "
            f"or redis://HOST:PORT/DB, got {shown(value)}"
        )
    folder = (info.context or {}).get(FOLDER)
    if folder is None or path == MEMORY or path.startswith("/"):
        return value
    return f"{SQLITE}{Path(folder) / path}"


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError(f"expected 1 to 40 letters, digits and _.-, got {shown(value)}")
    return value


class StoreSettings(Section):
    url: Annotated[Text, AfterValidator(_url)] = "sqlite:/var/lib/postwarden/policyd.sqlite"
    """``sqlite:PATH``, or a server that several nodes share; see :mod:`mailbase.config.redis`."""
    on_error: Literal["pass", "defer"] = "pass"
    """What greylisting answers while the store is broken."""
    commit_interval: Annotated[Duration, between("10ms", "10s")] = 0.5
    """SQLite: seconds until new entries are on disk, at most."""
    timeout: Annotated[Duration, between("20ms", "900ms")] = 0.25
    """Redis: seconds after which a server that is silent counts as gone."""
    prefix: Annotated[Text, AfterValidator(_prefix)] = "postwarden"
    """Redis: what every key begins with; a colon follows."""
    password_file: FilePath | None = None
    """Redis: holds the server's password."""
    sentinel_password_file: FilePath | None = None
    """Redis: holds the Sentinels' password."""
    ca_file: FilePath | None = None
    """Redis: certificates (PEM) of those that may sign the server's; None: the system's."""

    @property
    def path(self) -> str:
        """The database file, or ``:memory:``."""
        return self.url.removeprefix(SQLITE)

    @property
    def redis(self) -> RedisPlace | None:
        """Where Redis is; None with SQLite."""
        return parse_redis(self.url) if is_redis(self.url) else None


def store_conflicts(store: StoreSettings) -> Iterator[tuple[Location, str]]:
    """What is wrong between the keys of ``store``, as (location, message)."""
    redis = store.redis
    if redis is None:
        return
    if redis.password and store.password_file is not None:
        yield ("password_file",), "expected one password; there is another in store.url"
    if store.ca_file is not None and not redis.tls:
        yield ("ca_file",), "has no use without TLS; expected a store.url that begins with rediss"
    if store.sentinel_password_file is not None and not redis.master:
        yield ("sentinel_password_file",), "has no use without Sentinel; expected a store.url with +sentinel"
