"""``store``: where policyd keeps its state."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationInfo

from mailbase.config.places import FOLDER
from mailbase.config.units import Duration, between
from mailbase.documents import Section, Text
from mailbase.documents.problems import shown

SQLITE = "sqlite:"
MEMORY = ":memory:"


def _url(value: str, info: ValidationInfo) -> str:
    path = value.removeprefix(SQLITE)
    if path == value or not path:
        raise ValueError(
            f"expected sqlite:PATH such as sqlite:/var/lib/postwarden/policyd.sqlite, got {shown(value)}"
        )
    folder = (info.context or {}).get(FOLDER)
    if folder is None or path == MEMORY or path.startswith("/"):
        return value
    return f"{SQLITE}{Path(folder) / path}"


class StoreSettings(Section):
    url: Annotated[Text, AfterValidator(_url)] = "sqlite:/var/lib/postwarden/policyd.sqlite"
    """``sqlite:PATH``."""
    on_error: Literal["pass", "defer"] = "pass"
    """What greylisting answers while the store is broken."""
    commit_interval: Annotated[Duration, between("10ms", "10s")] = 0.2
    """Seconds until new entries are on disk, at most."""

    @property
    def path(self) -> str:
        """The database file, or ``:memory:``."""
        return self.url.removeprefix(SQLITE)
