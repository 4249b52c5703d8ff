"""What an SPF evaluation ends with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Result: TypeAlias = Literal["pass", "fail", "softfail", "neutral", "none", "permerror", "temperror"]
"""RFC 7208 2.6."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Arguments:
    result: of check_host().
    anybody: whether it is a pass that everybody would get (``+all``), or a large part of all addresses.
    explanation: the domain's own, of a fail; foreign text, at most :data:`MAX_EXPLANATION` characters.
    ttl: seconds for which the answers that it rests on are good.
    personal: whether it depends on the local part or the HELO name, too.
    """

    result: Result
    anybody: bool = False
    explanation: str = ""
    ttl: float = 0.0
    personal: bool = False


MAX_EXPLANATION = 200
MAX_NAME = 255
"""Characters of the client's local part and HELO name that an outcome may depend on."""
