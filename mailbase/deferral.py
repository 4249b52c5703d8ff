"""What contentfilter asks of policyd's greylisting at the end of data, for a mail that is to wait once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

VERB = "defer"
"""Of policyd's control socket."""
MAX_TEXT = 1000
"""Characters of an address or a name."""
MAX_WAIT = 7 * 86400
"""Seconds that an answer may tell anybody to wait."""
_DIGEST = re.compile(r"[0-9a-f]{32}")

Why = Literal["waits", "waited", "spared", "unavailable"]
"""It has to wait; it has done so, here or before it came; it need not; nobody can say."""
WHYS: tuple[Why, ...] = get_args(Why)


@dataclass(frozen=True, slots=True)
class DeferralQuestion:
    """Which mail it is about.

    Arguments:
        id: of its ticket; the answer is only for whom that was given for.
        client: address in presentation form.
        name: the client's name, confirmed by DNS; empty without one.
        sender: envelope sender; empty for the null sender.
        digest: 32 hexadecimal digits that the same mail has again, and no other.
    """

    id: str
    client: str
    name: str
    sender: str
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for the control socket."""
        return {name: value[:MAX_TEXT] for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DeferralQuestion:
        """The reverse of :meth:`to_dict`; unknown keys are ignored.

        Raises:
            ValueError: a field is missing or of the wrong type.
        """
        try:
            fields = [_text(data[name]) for name in ("id", "client", "name", "sender", "digest")]
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a question about waiting: {error!r}") from error
        if not _DIGEST.fullmatch(fields[-1]):
            raise ValueError("not a question about waiting: expected a digest of 32 hexadecimal digits")
        return cls(*fields)


@dataclass(frozen=True, slots=True)
class DeferralAnswer:
    """Arguments:
    why: what is known of it.
    wait: seconds until it is taken; 0 if that is now.
    """

    why: Why
    wait: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for the control socket."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DeferralAnswer:
        """The reverse of :meth:`to_dict`; unknown keys are ignored.

        Raises:
            ValueError: a field is missing or of the wrong type.
        """
        why, wait = data.get("why"), data.get("wait")
        known = next((one for one in WHYS if one == why), None)
        if known is None or not isinstance(wait, int) or isinstance(wait, bool) or not 0 <= wait <= MAX_WAIT:
            raise ValueError("not an answer about waiting")
        return cls(known, wait)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise TypeError(f"expected text of at most {MAX_TEXT} characters, got {type(value).__name__}")
    # JSON may hold lone surrogates, which no table and no log can.
    return value.encode("utf-8", "replace").decode("utf-8")
