"""Where a URL leads that only passes on to another: redirections of large sites, rewriters of other gateways.

What is written in the URL itself is found; nothing is fetched.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote

from contentfilter.links.url import MAX_URL, Url, read_url

MAX_INNER = 3
"""Destinations of one URL that are told."""
_DEPTH = 4
"""How often a destination may be percent-encoded."""

_INNER = re.compile(
    r"(?:https?|ftp)(?::|%(?:25){0,3}3a)(?:[/\\]|%(?:25){0,3}(?:2f|5c)){1,4}[^&\s]++"
    r"|(?<==)(?:(?:[/\\]|%(?:25){0,3}(?:2f|5c)){2}[^&\s]++)",
    re.IGNORECASE,
)
"""A URL within a URL; or, as a parameter's value, one without a scheme."""
_ENCODED = re.compile(r"aHR0c[A-Za-z0-9+/_-]{8,2000}")
"""``http`` in Base64."""
_HINT = re.compile(r"://|%(?:25){0,3}(?:3a|2f)|:\\\\|aHR0c|=[/\\]|-3A|/amp/|/[cv]/", re.IGNORECASE)
_PROOFPOINT = re.compile(r"[?&]u=([^&]+)")
_AMP = re.compile(r"/(?:amp|c|v)/(?:s/)?((?:[^/?#]+\.)[^/?#]+.*)", re.DOTALL)
_TRANSLATED = ".translate.goog"


def destinations(url: Url) -> tuple[Url, ...]:
    """The URLs that ``url`` names to pass on to, at most ``MAX_INNER``."""
    rest, host = url.rest, url.host
    if not url.fetched:
        return ()
    if host.endswith(_TRANSLATED):
        label = host.removesuffix(_TRANSLATED).replace("--", "\0").replace("-", ".").replace("\0", "-")
        return _read([f"https://{label}/"])
    if len(rest) < 8 or not _HINT.search(rest):
        return ()
    if host.endswith("urldefense.proofpoint.com") and (found := _PROOFPOINT.search(rest)):
        return _read([unquote(found[1].replace("-", "%").replace("_", "/"))])
    if (host.endswith(".cdn.ampproject.org") or host.startswith("www.google.")) and (
        found := _AMP.match(rest)
    ):
        return _read(["https://" + found[1]])
    texts = [_plain(found[0]) for found in _INNER.finditer(rest, 1)]
    texts += [_from_base64(found[0]) for found in _ENCODED.finditer(rest)]
    return _read(texts)


def _plain(text: str) -> str:
    for _ in range(_DEPTH):
        if "%" not in text[:12]:
            break
        text = unquote(text)
    # A rewriter's own mark behind the URL.
    return text.partition("__;")[0].removesuffix("__")


def _from_base64(text: str) -> str:
    text = text.translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(text[: len(text) // 4 * 4]).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def _read(texts: list[str]) -> tuple[Url, ...]:
    found: dict[str, Url] = {}
    for text in texts[: 4 * MAX_INNER]:
        inner = read_url(text[:MAX_URL])
        if inner is not None and inner.fetched and ("." in inner.host or inner.address):
            found.setdefault(inner.host, inner)
        if len(found) >= MAX_INNER:
            break
    return tuple(found.values())
