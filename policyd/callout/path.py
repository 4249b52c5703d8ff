"""A recipient as it stands in RCPT (RFC 5321 4.1.2, RFC 6531)."""

from __future__ import annotations

import re

MAX_PATH = 500
"""Octets of a path: ``RCPT TO:`` and CRLF make it a line of 512 (RFC 5321 4.5.3.1.4)."""

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_DOT_STRING = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")
_QUOTED_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_UNQUOTABLE = re.compile(r"[\x00-\x1f\x7f]")
_SPECIAL = re.compile(r'(["\\])')


def forward_path(local: str, domain: str) -> bytes | None:
    """The path with its angle brackets; None for what no path can be made of.

    Arguments:
        local: local part. Postfix gives it without the quotes of SMTP; with them it is taken as well.
        domain: normalised, A-labels.
    """
    if not _DOT_STRING.fullmatch(local):
        if _UNQUOTABLE.search(local):
            return None
        # Whatever stands in it, nothing of it may be outside of the quotes.
        if not _QUOTED_STRING.fullmatch(local):
            local = '"' + _SPECIAL.sub(r"\\\1", local) + '"'
    try:
        path = f"<{local}@{domain}>".encode()
    except UnicodeEncodeError:
        return None
    return path if len(path) <= MAX_PATH else None
