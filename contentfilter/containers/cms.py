"""Cryptographic messages (RFC 5652, PKCS #7) as far as anybody can read them: signed or compressed ones."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pybase64

from contentfilter.containers.ber import CONTEXT_0, OID, SEQUENCE, Ber, BerError, Element
from contentfilter.content.limits import KIB
from contentfilter.content.part import Content

_PKCS7 = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07"
_SMIME_CT = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01"
KINDS = {
    _PKCS7 + b"\x01": "data",
    _PKCS7 + b"\x02": "signed-data",
    _PKCS7 + b"\x03": "enveloped-data",
    _PKCS7 + b"\x04": "signed-and-enveloped-data",
    _PKCS7 + b"\x05": "digested-data",
    _PKCS7 + b"\x06": "encrypted-data",
    _SMIME_CT + b"\x02": "authenticated-data",
    _SMIME_CT + b"\x09": "compressed-data",
    _SMIME_CT + b"\x17": "auth-enveloped-data",
}
ENCRYPTED = frozenset(
    {"enveloped-data", "signed-and-enveloped-data", "encrypted-data", "auth-enveloped-data"}
)

_OIDS = (b"\x06\x09" + _PKCS7, b"\x06\x0b" + _SMIME_CT)
_HEAD = 64
_PEM = re.compile(rb"-----BEGIN (?:PKCS7|PKCS #7 SIGNED DATA|CMS|SIGNED MESSAGE)-----([A-Za-z0-9+/=\s]*)")
_BASE64 = re.compile(rb"\s{0,16}MI[A-Za-z0-9+/]")
_BLANK = b" \t\r\n"
_KEY_STORE = re.compile(rb"0(?:[\0-\x80]|\x81.|\x82..|\x83...|\x84....)\x02\x01\x03", re.DOTALL)
"""PKCS #12 (RFC 7292 4): version 3, and then a message like those here, which holds certificates and keys."""


@dataclass(frozen=True, slots=True)
class Cms:
    """Arguments:
    kind: one of :data:`KINDS`.
    content: what it carries, still compressed in compressed-data; None if that lies elsewhere.
    """

    kind: str
    content: bytes | None = None


def find(data: Content) -> bytes | None:
    """The message in BER, out of PEM or base64 if need be; None if ``data`` is none."""
    if data[:1] == b"0" and any(oid in data[:_HEAD] for oid in _OIDS):
        return None if _KEY_STORE.match(data) else bytes(data)
    text: bytes | None = None
    if _BASE64.match(data):
        text = bytes(data)
    elif b"-----BEGIN " in data[: 4 * KIB] and (match := _PEM.search(data, 0)):
        text = match[1]
    if text is None:
        return None
    try:
        decoded = pybase64.b64decode(text.translate(None, _BLANK), validate=True)
    except ValueError:
        return None
    return decoded if decoded[:1] == b"0" and any(oid in decoded[:_HEAD] for oid in _OIDS) else None


def read(data: bytes) -> Cms:
    """A message in BER (RFC 5652 3).

    Raises:
        BerError: it cannot be read.
    """
    ber = Ber(data)
    outer = list(ber.children(ber.element(0, len(data))))
    if len(outer) < 2 or outer[0].tag != OID or outer[1].tag != CONTEXT_0:
        raise BerError("no content")
    kind = KINDS.get(data[outer[0].start : outer[0].stop])
    if kind is None:
        raise BerError("an unknown content type")
    if kind == "data":
        return Cms(kind, _string_in(ber, outer[1]))
    if kind in ENCRYPTED:
        return Cms(kind)
    body = next(ber.children(outer[1]))
    for child in ber.children(body):
        if child.tag != SEQUENCE:
            continue
        # EncapsulatedContentInfo is the sequence of a content type and, maybe, the content.
        inner = list(ber.children(child))
        if len(inner) == 2 and inner[0].tag == OID and inner[1].tag == CONTEXT_0:
            return Cms(kind, _string_in(ber, inner[1]))
    return Cms(kind)


def _string_in(ber: Ber, explicit: Element) -> bytes:
    """The content in its explicit tag; PKCS #7 has other types than octet strings there, taken as such."""
    parts = []
    for child in ber.children(explicit):
        if child.tag & 0xDF == 4:
            parts.append(ber.string(child))
        else:
            parts.append(bytes(ber.data[child.start : child.stop]))
    return b"".join(parts)
