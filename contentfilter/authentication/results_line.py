"""Authentication-Results (RFC 8601), as it stands on top of a mail that is delivered. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from authres.core import AuthenticationResult, AuthenticationResultProperty, AuthenticationResultsHeader

from contentfilter.authentication.judged import Judged
from contentfilter.authentication.outcome import Signature
from mailbase.replies import printable

FIELD = "Authentication-Results"
MAX_LINE = 900
"""Octets of one line; RFC 5322 allows 998."""
KEPT = 1024
"""Results that are kept as texts."""

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
    lines = [f"{_beginning(authserv_id)};", *(f"{one};" for one in results or ["none"])]
    lines[-1] = lines[-1].removesuffix(";")
    return "".join(f"{printable(line, MAX_LINE)}\r\n\t" for line in lines)[:-1].encode("ascii")


def _results(judged: Judged) -> Iterator[str]:
    spf, dmarc, chain = judged.spf, judged.dmarc, judged.found.chain
    if spf.result:
        kind = "helo" if spf.helo else "mailfrom"
        yield _result("spf", spf.result, "", ("smtp", kind, spf.domain))
    if not judged.found.signatures:
        yield _result("dkim", "none", "")
    for one in judged.found.signatures:
        yield _signature(one)
    if chain.result in ("pass", "fail"):
        sealers = [("header", "as-d", chain.sets[-1].domain)] if chain.sets else []
        yield _result("arc", chain.result, chain.reason, *sealers)
    if dmarc.result != "unjudged":
        asks = f"p={dmarc.published}" if dmarc.record else dmarc.reason
        if judged.forwarder:
            asks += f", forwarded by {judged.forwarder}"
        yield _result("dmarc", dmarc.result, asks, ("header", "from", dmarc.domain))


def _signature(one: Signature) -> str:
    about = [one.reason]
    if one.bits and one.algorithm.startswith("rsa"):
        about.insert(0, f"{one.bits}-bit key")
    if one.testing:
        about.append("in testing")
    result = _result(
        "dkim",
        one.result,
        ", ".join(filter(None, about)),
        ("header", "d", one.domain),
        ("header", "i", one.identity if _IDENTITY.fullmatch(one.identity) else ""),
        ("header", "s", one.selector),
        ("header", "a", one.algorithm),
    )
    # The one thing that is another with each mail.
    return f"{result} {AuthenticationResultProperty('header', 'b', one.tag)}" if _fits(one.tag) else result


@functools.lru_cache(maxsize=KEPT)
def _beginning(authserv_id: str) -> str:
    return f"{FIELD}: {AuthenticationResultsHeader(None, authserv_id).authserv_id}"


@functools.lru_cache(maxsize=KEPT)
def _result(method: str, result: str, comment: str, *properties: tuple[str, str, str]) -> str:
    """One method's result. Most mail is of few domains, and making it takes longer than looking them up."""
    there = [AuthenticationResultProperty(*one) for one in properties if _fits(one[2])]
    return str(AuthenticationResult(method, result=result, result_comment=_said(comment), properties=there))


def _fits(value: str) -> bool:
    """Whether a value needs no quoting: no honest one does, and others are left out."""
    return bool(_TOKEN.fullmatch(value) or _IDENTITY.fullmatch(value))


def _said(text: str) -> str | None:
    """A comment (RFC 5322 3.2.2)."""
    return _COMMENT.sub("?", printable(text, 120)) if text else None
