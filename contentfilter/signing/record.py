"""The records of DKIM keys in DNS (RFC 6376 3.6.1): made from a key, and compared with one. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from contentfilter.signing.public import PublicKey

MAX_RECORD = 8 * 1024
"""Octets of a record that is looked at."""

_KINDS = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")


def record_text(key: PublicKey) -> str:
    """What the TXT record of a key says."""
    return f"v=DKIM1; k={_KINDS[key.algorithm]}; p={base64.b64encode(key.material).decode('ascii')}"


def record_name(selector: str, domain: str) -> str:
    """Where verifiers look for the key of a domain's signature."""
    return f"{selector}._domainkey.{domain}"


def disagreement(records: Sequence[bytes], key: PublicKey) -> str:
    """Why signatures with ``key`` would not be verified by these TXT records; empty if they would.

    Arguments:
        records: each with its strings put together.
    """
    own = [record for record in records if _is_key(record)]
    if len(own) != 1:
        return "several records, of which a verifier takes any" if own else "no DKIM record there"
    tags = parse(own[0])
    if tags is None:
        return "the record cannot be read"
    kind = _KINDS[key.algorithm]
    if tags.get("k", "rsa") != kind:
        return f"the record is for k={_shown(tags.get('k', 'rsa'))}, and the key is for k={kind}"
    if "h" in tags and "sha256" not in tags["h"].split(":"):
        return f"the record wants h={_shown(tags['h'])}, and we sign with sha256"
    if "s" in tags and not {"*", "email"} & set(tags["s"].split(":")):
        return f"the record is not for mail: s={_shown(tags['s'])}"
    published = tags.get("p", "")
    if not published:
        return "the record says that the key is revoked (p= is empty)"
    try:
        material = base64.b64decode(published, validate=True)
    except (binascii.Error, ValueError):
        return "the record's p= cannot be read"
    return "" if material == key.material else "the record has another key (p=) than the key file"


def parse(record: bytes) -> dict[str, str] | None:
    """The tags of a record, without blanks; None if it is none.

    A ``v=`` must be the first, and ``DKIM1``; of a tag that stands twice nobody knows which one counts.
    """
    if len(record) > MAX_RECORD:
        return None
    tags: dict[str, str] = {}
    for item in record.decode("latin-1").split(";"):
        if not item.strip():
            continue
        name, equals, value = item.partition("=")
        name = name.strip()
        if not equals or not _TAG.fullmatch(name) or name in tags:
            return None
        if name == "v" and (tags or value.strip() != "DKIM1"):
            return None
        tags[name] = "".join(value.split())
    return tags if "p" in tags else None


def _is_key(record: bytes) -> bool:
    """Whether a text may be meant as a key; others may stand at the same name, where a wildcard put them."""
    return b"p=" in record or record.lstrip().startswith(b"v=DKIM1")


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() and letter.isascii() else "?" for letter in text[:40])
