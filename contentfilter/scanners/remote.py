"""Whether a link leads to another machine."""

from __future__ import annotations

import re

_SCHEME = re.compile(
    r"(?:url:)?(?:https?|ftps?|mhtml|ms-[\w-]+|x-usc|its|search-ms|scriptlet|script|soap|\w+\+https?):", re.I
)
_ACTIVE = re.compile(r"(?:mhtml|ms-msdt|ms-officecmd|search-ms|x-usc|its|scriptlet|script|soap):", re.I)
_STARTS = re.compile(
    r"(?:ms-msdt|ms-officecmd|ms-appinstaller|search-ms|scriptlet|script):|search:[^<>]*\bcrumb\b"
    r"|soap:wsdl=|mhtml:.*!x-usc:",
    re.I | re.DOTALL,
)
_CONTROLS = re.compile(r"[\x00-\x1f]")
_PATH = re.compile(r"(file:)?([/\\]{2,})((?:[?.][/\\]+UNC[/\\]+)?)([^/\\]+)[/\\]", re.I)
_DRIVE = re.compile(r"[A-Za-z][:|]")


def is_remote(target: str) -> bool:
    """Whether a link leads to another machine, or to a handler that fetches from one.

    Paths of the network are in any slashes (``\\\\host\\share``, ``file://host/share``); ``file:///folder/``
    is a folder of one's own machine.
    """
    return _SCHEME.match(_CONTROLS.sub("", target.strip())) is not None or is_share(target)


def is_share(target: str) -> bool:
    """Whether a link is a path of the network. Windows tells that machine who the user is."""
    match = _PATH.match(_CONTROLS.sub("", target.strip()))
    if match is None:
        return False
    host = match[4].lower()
    own = _DRIVE.match(host) is not None or host in ("?", ".", "localhost", "127.0.0.1")
    return not own and not (match[1] and match[2] == "///")


def is_active(target: str) -> bool:
    """Whether a link is no page to read but starts something where it is followed."""
    return _ACTIVE.match(_CONTROLS.sub("", target.strip())) is not None


def starts_program(target: str) -> bool:
    """Whether nobody writes such a link but to run something, or to show what another machine has to run."""
    return _STARTS.match(_CONTROLS.sub("", target.strip())) is not None
