"""Where the keys of a mail's signatures lie in DNS, told from its beginning so that they are looked up first.

It runs in the daemon, on what strangers sent: linear, bounded, and nothing in it raises.
"""

from __future__ import annotations

import re

from contentfilter.authentication.outcome import MAX_INSTANCES, MAX_SIGNATURES
from mailbase.addresses import normal_domain

MAX_KEYS = 24
"""Keys that are looked up for one mail; honest mail has up to three, with a chain of sealers ten."""
_SHOWN = 8 * 1024
"""Octets of one signature that are looked at."""

# Behind a line end, which is looked for more quickly than the beginning of a line.
_SIGNATURE = re.compile(
    rb"(?i)\n(dkim-signature|arc-seal|arc-message-signature)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)(?=\n)"
)
_END = re.compile(rb"\n\r?\n")
_BOTH = re.compile(rb"(?:^|;)\s*([ds])\s*=\s*([^;\s]{1,255})\s*(?=;|\Z)")


def key_name(domain: str, selector: str) -> str | None:
    """The name of a key's record (RFC 6376 3.6.2.1); None if there cannot be one.

    Arguments:
        domain: normalised.
        selector: as it stands there.
    """
    if not domain or selector[:1] in ("", "["):
        return None
    return normal_domain(f"{selector}._domainkey.{domain}")


def key_names(head: bytes) -> list[str]:
    """The names of the keys that a mail's signatures need, each once.

    Arguments:
        head: how the mail begins.
    """
    end = _END.search(head)
    header = head[: end.start() + 1] if end else head
    left = {
        b"dkim-signature": MAX_SIGNATURES,
        b"arc-seal": MAX_INSTANCES,
        b"arc-message-signature": MAX_INSTANCES,
    }
    names: dict[str, None] = {}
    small = header.lower()
    if not any(kind in small for kind in left):
        # Looking at the beginning of each line takes much longer.
        return []
    for found in _SIGNATURE.finditer(b"\n" + header):
        kind = found[1].lower()
        if not left[kind]:
            continue
        left[kind] -= 1
        tags: dict[bytes, bytes] = dict(_BOTH.findall(_unfolded((found[2] + b"\n")[:_SHOWN])))
        domain = normal_domain(tags.get(b"d", b""))
        name = key_name(domain or "", tags.get(b"s", b"").decode("latin-1"))
        if name is not None:
            names[name] = None
            if len(names) >= MAX_KEYS:
                break
    return list(names)


def _unfolded(value: bytes) -> bytes:
    return value.replace(b"\r\n", b"").replace(b"\n", b"")
