"""dkimpy's grammar of signatures, without the resolver that dkimpy loads as well.

Keys are looked up before a mail is read, and not by dkimpy. Its resolver, dnspython, is a hundred modules
that each worker would load at its start.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import NoReturn

__all__ = ["DKIMException", "InvalidTagValueList", "parse_tag_value", "validate_signature_fields"]


def _look_up(name: bytes, timeout: float = 5) -> NoReturn:
    raise RuntimeError("dkimpy looks nothing up here")


def _without_resolver() -> ModuleType:
    """In place of ``dkim.dnsplug``."""
    module = ModuleType("dkim.dnsplug", "No look-ups.")
    module.get_txt = _look_up  # type: ignore[attr-defined]
    return module


sys.modules.setdefault("dkim.dnsplug", _without_resolver())

from dkim import DKIMException, validate_signature_fields  # noqa: E402
from dkim.util import InvalidTagValueList, parse_tag_value  # noqa: E402
