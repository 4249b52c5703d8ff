"""The Lua scripts that come with policyd."""

from __future__ import annotations

from importlib.resources import files

from mailbase.store.redis.script import Script


def _script(name: str) -> Script:
    return Script((files("policyd") / "data" / f"{name}.lua").read_bytes())


GREYLIST = _script("greylist")
TAKE = _script("take")
GIVE_BACK = _script("give_back")
SCRIPTS = (GREYLIST, TAKE, GIVE_BACK)
