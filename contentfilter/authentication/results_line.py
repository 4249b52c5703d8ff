"""Authentication-Results (RFC 8601), as it stands on top of a mail that is delivered. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from authres.arc import ARCAuthenticationResult
from authres.core import (
    AuthenticationResult,
    AuthenticationResultProperty,
    AuthenticationResultsHeader,
    NoneAuthenticationResult,
)
from authres.dmarc import DMARCAuthenticationResult

from contentfilter.authentication.judged import Judged
from contentfilter.authentication.outcome import Signature
from mailbase.replies import printable

FIELD = "Authentication-Results"
MAX_LINE = 900
"""Octets of one line; RFC 5322 allows 998."""

_TOKEN = re.compile(r"[A-Za-z0-9._+/=-]{1,255}")
_IDENTITY = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{0,64}@[A-Za-z0-9._-]{1,255}")
_COMMENT = re.compile(r"[()\\]")


def results_line(authserv_id: str, judged: Judged | None) -> bytes:
    """The field with its line end, folded at each method.

    Arguments:
        authserv_id: under whose name.
        judged: None if nothing could be found out.
    """
    results = list(_results(judged)) if judged is not None else []
    header = AuthenticationResultsHeader(None, authserv_id, results=results or [NoneAuthenticationResult()])
    lines = [f"{FIELD}: {header.authserv_id};", *(f"\t{one};" for one in header.results)]
    lines[-1] = lines[-1].removesuffix(";")
    return "".join(f"{printable(line.lstrip(), MAX_LINE)}\r\n\t" for line in lines)[:-1].encode("ascii")


def _results(judged: Judged) -> Iterator[AuthenticationResult]:
    spf, dmarc, chain = judged.spf, judged.dmarc, judged.found.chain
    if spf.result:
        kind = "helo" if spf.helo else "mailfrom"
        yield _result("spf", spf.result, "", _property("smtp", kind, spf.domain))
    if not judged.found.signatures:
        yield _result("dkim", "none", "")
    for one in judged.found.signatures:
        yield _signature(one)
    if chain.result in ("pass", "fail"):
        properties = [_property("header", "as-d", chain.sets[-1].domain)] if chain.sets else []
        yield ARCAuthenticationResult(
            result=chain.result, result_comment=_said(chain.reason), properties=_there(properties)
        )
    if dmarc.result != "unjudged":
        asks = f"p={dmarc.published}" if dmarc.record else dmarc.reason
        if judged.forwarder:
            asks += f", forwarded by {judged.forwarder}"
        yield DMARCAuthenticationResult(
            result=dmarc.result,
            result_comment=_said(asks),
            properties=_there([_property("header", "from", dmarc.domain)]),
        )


def _signature(one: Signature) -> AuthenticationResult:
    about = [one.reason]
    if one.bits and one.algorithm.startswith("rsa"):
        about.insert(0, f"{one.bits}-bit key")
    if one.testing:
        about.append("in testing")
    return _result(
        "dkim",
        one.result,
        ", ".join(filter(None, about)),
        _property("header", "d", one.domain),
        _property("header", "i", one.identity) if _IDENTITY.fullmatch(one.identity) else None,
        _property("header", "s", one.selector),
        _property("header", "a", one.algorithm),
        _property("header", "b", one.tag),
    )


def _result(
    method: str, result: str, comment: str, *properties: AuthenticationResultProperty | None
) -> AuthenticationResult:
    return AuthenticationResult(
        method, result=result, result_comment=_said(comment), properties=_there(properties)
    )


def _property(kind: str, name: str, value: str) -> AuthenticationResultProperty | None:
    """A property; None for a value that would need quoting: no honest one does."""
    if not _TOKEN.fullmatch(value) and not _IDENTITY.fullmatch(value):
        return None
    return AuthenticationResultProperty(kind, name, value)


def _there(
    properties: list[AuthenticationResultProperty | None] | tuple[AuthenticationResultProperty | None, ...],
) -> list[AuthenticationResultProperty]:
    return [one for one in properties if one is not None]


def _said(text: str) -> str | None:
    """A comment (RFC 5322 3.2.2)."""
    return _COMMENT.sub("?", printable(text, 120)) if text else None
