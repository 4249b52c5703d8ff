"""What others say they found: ARC-Authentication-Results, and whose name stands in Authentication-Results."""

from __future__ import annotations

from collections.abc import Iterable

from authres import SyntaxError as NotResults
from authres import all_features
from authres.core import AuthenticationResult, AuthResError

from contentfilter.authentication.fields import Field, unfolded
from contentfilter.authentication.outcome import MAX_CLAIMS, MAX_NAME, MAX_PASSED
from contentfilter.message.parameters import without_comments
from mailbase.addresses import normal_domain

MAX_RESULTS = 2048
"""Octets of one ARC-Authentication-Results that are read; the reader takes longer the longer it is."""
MAX_LINES = 40
"""Authentication-Results that are looked at."""
_SHOWN = 1024
"""Octets of one in which the name must stand."""

_features = all_features()
_DOMAINS = (("header", "d"), ("header", "i"), ("smtp", "mailfrom"), ("smtp", "mfrom"))


def reported(value: bytes) -> tuple[str, tuple[str, ...]]:
    """The DMARC result in an ARC-Authentication-Results, and the domains that passed DKIM or SPF.

    Arguments:
        value: in one line.
    """
    if len(value) > MAX_RESULTS:
        return "", ()
    text = value.partition(b";")[2].decode("utf-8", "replace")
    try:
        results = _features.parse_value(text).results
    except (AuthResError, NotResults, RecursionError, ValueError, AttributeError, TypeError):
        return "", ()
    dmarc = ""
    passed: dict[str, None] = {}
    for result in results:
        if not isinstance(result, AuthenticationResult):
            continue
        method, word = str(result.method).lower(), str(result.result).lower()
        if method == "dmarc" and not dmarc:
            dmarc = word if word.isalpha() and len(word) <= MAX_NAME else ""
        elif method in ("dkim", "spf") and word == "pass":
            for domain in _domains(result):
                passed[domain] = None
    return dmarc, tuple(passed)[:MAX_PASSED]


def _domains(result: AuthenticationResult) -> Iterable[str]:
    for one in result.properties:
        if (one.type, one.name) in _DOMAINS and one.value:
            domain = normal_domain(str(one.value).rpartition("@")[2])
            if domain is not None:
                yield domain


def claims(fields: Iterable[Field]) -> tuple[str, ...]:
    """The names (authserv-id, RFC 8601 2.5) in Authentication-Results fields, lower case, each once."""
    names: dict[str, None] = {}
    for field in list(fields)[:MAX_LINES]:
        value = without_comments(unfolded(field.value)[:_SHOWN])
        name = value.partition(b";")[0].split()
        if name:
            text = name[0].strip(b'"').decode("utf-8", "replace").lower()[:MAX_NAME]
            if text.isprintable():
                names[text] = None
    return tuple(names)[:MAX_CLAIMS]
