"""Whether a link leads to another machine."""

from __future__ import annotations

import re

_SCHEMES = r"https?|ftps?|mhtml|ms-[\w-]+|x-usc|its|search-ms|(?:sc)?riptlet|script|soap|\w+\+https?"
_REMOTE = re.compile(
    rf"(?:url:)?(?:(?:{_SCHEMES}):|(?:file:)?[/\\]{{2,}}[^/\\\s]*[^/\\:\s]{{2,}}[/\\])", re.I
)
_ACTIVE = re.compile(r"(?:mhtml|ms-msdt|ms-officecmd|search-ms|x-usc|its|scriptlet|script|soap):", re.I)


def is_remote(target: str) -> bool:
    """Whether a link leads to another machine, or to a handler that fetches from one."""
    return _REMOTE.match(target.strip().replace("\0", "")) is not None


def is_active(target: str) -> bool:
    """Whether a link is no page to read but starts something where it is followed."""
    return _ACTIVE.match(target.strip()) is not None
