"""What is known of who vouches for a mail, for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contentfilter.authentication.dmarc import Dmarc, Spf
from contentfilter.authentication.outcome import Authentication, Signature

KEY = "s._domainkey.example.org"
NOW = 1_800_000_000.0
FAIL = Spf("fail", "bulk.example")
GOOD = Signature("pass", "example.org", "s", "", "rsa-sha256", 2048, tag="abcdefgh")
AUTHOR = Authentication((), authors=("example.org",), from_fields=1)
REJECT = Dmarc("fail", "example.org", "reject", "reject", "example.org")


def signed_by(*signatures: Signature, **more: Any) -> Authentication:
    return replace(AUTHOR, signatures=signatures, **more)
