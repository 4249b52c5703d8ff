"""Whether a link leads to another machine."""

from __future__ import annotations

import re

_SCHEME = re.compile(
    r"(?:url:)?(?:https?|ftps?|mhtml|ms-[\w-]+|x-usc|its|search-ms|scriptlet|script|soap|\w+\+https?):", re.I
)
_ACTIVE = re.compile(r"(?:mhtml|ms-msdt|ms-officecmd|search-ms|x-usc|its|scriptlet|script|soap):", re.I)
_CONTROLS = re.compile(r"[\x00-\x1f]")
_PATH = re.compile(r"(file:)?([/\\]{2,})((?:[?.][/\\]+UNC[/\\]+)?)([^/\\]+)[/\\]", re.I)
_DRIVE = re.compile(r"[A-Za-z][:|]")


def is_remote(target: str) -> bool:
    """Whether a link leads to another machine, or to a handler that fetches from one.

    Paths of the network are in any slashes (``\\\\host\\share``, ``file://host/share``); ``file:///folder/``
    is a folder of one's own machine.
    """
    target = _CONTROLS.sub("", target.strip())
    if _SCHEME.match(target):
        return True
    match = _PATH.match(target)
    if match is None:
        return False
    host = match[4].lower()
    own = _DRIVE.match(host) is not None or host in ("?", ".", "localhost", "127.0.0.1")
    return not own and not (match[1] and match[2] == "///")


def is_active(target: str) -> bool:
    """Whether a link is no page to read but starts something where it is followed."""
    return _ACTIVE.match(_CONTROLS.sub("", target.strip())) is not None
