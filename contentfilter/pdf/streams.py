"""Streams of a PDF document (ISO 32000-1 7.4), decoded within a bound."""

from __future__ import annotations

import base64
import binascii
import itertools
import logging
import zlib

import pikepdf

from contentfilter.containers.zipmember import inflate
from contentfilter.content.limits import MIB
from contentfilter.content.part import Content

MAX_FILTERS = 8
LIMIT = 64 * MIB
"""Octets to which qpdf itself may expand one stream."""
_SHORT = {
    "/Fl": "/FlateDecode", "/LZW": "/LZWDecode", "/A85": "/ASCII85Decode", "/AHx": "/ASCIIHexDecode",
    "/RL": "/RunLengthDecode",
}  # fmt: skip
_PICTURES = frozenset({"/DCTDecode", "/JPXDecode", "/CCITTFaxDecode", "/JBIG2Decode"})
_WHITE = b" \t\r\n\0\f"
_NOTHING = 16
"""Octets that a filter may make nothing of."""
_MAX_LZW = 8 * MIB
"""Octets that the slow decoder of a filter nobody uses any more may give."""


def set_bounds() -> None:
    """Bound what qpdf expands on its own, for this process: tables and object streams it reads unasked.

    What it has to say is read as warnings; it belongs in no log.
    """
    logging.getLogger("pikepdf").setLevel(logging.CRITICAL + 1)
    pikepdf.settings.set_qpdf_limits(
        flate_max_memory=LIMIT, png_max_memory=LIMIT, tiff_max_memory=LIMIT, run_length_max_memory=LIMIT,
        max_stream_filters=MAX_FILTERS, dct_max_memory=LIMIT, doc_max_warnings=0,
    )  # fmt: skip


def decode(stream: pikepdf.Stream, limit: int) -> tuple[Content, str]:
    """The octets of a stream, at most ``limit``, and what keeps them from being whole: ``too-large``,
    ``malformed`` or ``unsupported``; empty for nothing.

    Raises:
        pikepdf.PdfError: it cannot be read at all.
    """
    filters = filters_of(stream)
    data: Content = stream.read_raw_bytes()
    if len(filters) > MAX_FILTERS:
        return b"", "too-large"
    problem = ""
    for name, parameters in filters:
        if name in _PICTURES:
            break
        size = len(data)
        data, problem = _apply(name, data, limit, parameters)
        if not data and not problem and size > _NOTHING:
            # So much is more than the mark of an end; another program may find a beginning in it.
            problem = "malformed"
        if problem:
            break
        if parameters.get("/Predictor", 1) not in (0, 1) and name in ("/FlateDecode", "/LZWDecode"):
            # What comes out is no larger than what went in, and that was within the bound.
            return (stream.read_bytes(), "") if len(filters) == 1 else (data, "unsupported")
    if len(data) > limit:
        return data[:limit], "too-large"
    return data, problem


def filters_of(stream: pikepdf.Stream) -> list[tuple[str, pikepdf.Dictionary]]:
    """The names of the filters, and the parameters of each (7.4.1)."""
    value, given = stream.get("/Filter"), stream.get("/DecodeParms", stream.get("/DP"))
    names = [value] if isinstance(value, pikepdf.Name) else list(value) if value is not None else []
    parameters = (
        [given] if isinstance(given, pikepdf.Dictionary) else list(given) if given is not None else []
    )
    return [
        (
            _SHORT.get(str(name), str(name)),
            item if isinstance(item, pikepdf.Dictionary) else pikepdf.Dictionary(),
        )
        for name, item in itertools.zip_longest(names, parameters[: len(names)])
    ]


def _apply(name: str, data: Content, limit: int, parameters: pikepdf.Dictionary) -> tuple[Content, str]:
    match name:
        case "/FlateDecode":
            result = inflate(data, 0, len(data), limit, zlib.MAX_WBITS)
            return result.data, result.problem
        case "/ASCIIHexDecode":
            return _hexadecimal(data), ""
        case "/ASCII85Decode":
            return _ascii85(data)
        case "/RunLengthDecode":
            return _run_lengths(data, limit)
        case "/LZWDecode":
            return lzw(data, min(limit, _MAX_LZW), early=parameters.get("/EarlyChange", 1) != 0)
        case "/Crypt":
            return data, ""
        case _:
            return b"", "unsupported"


def _hexadecimal(data: Content) -> bytes:
    digits = bytes(data).partition(b">")[0].translate(None, _NO_HEXADECIMAL)
    return binascii.unhexlify(digits + b"0" * (len(digits) % 2))


_NO_HEXADECIMAL = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))
_NO_ASCII85 = bytes(set(range(256)) - set(range(33, 118)) - set(b"z"))


def _ascii85(data: Content) -> tuple[bytes, str]:
    # In front of it some write what PostScript has there.
    text = bytes(data).lstrip(_WHITE).removeprefix(b"<~").partition(b"~")[0].translate(None, _NO_ASCII85)
    try:
        return base64.a85decode(text), ""
    except ValueError:
        return b"", "malformed"


def _run_lengths(data: Content, limit: int) -> tuple[bytearray, str]:
    out, at = bytearray(), 0
    while at < len(data) and data[at] != 128:
        length = data[at]
        if length < 128:
            out += data[at + 1 : at + 2 + length]
            at += 2 + length
        else:
            out += bytes(data[at + 1 : at + 2]) * (257 - length)
            at += 2
        if len(out) > limit:
            return out[:limit], "too-large"
    return out, ""


def lzw(data: Content, limit: int, early: bool = True) -> tuple[bytearray, str]:
    """LZW as in TIFF (7.4.4.2).

    Arguments:
        early: codes become longer one code before they have to, as is the default (7.4.4.3).
    """
    out = bytearray()
    table: list[bytes] = [bytes((octet,)) for octet in range(256)] + [b"", b""]
    bits, have, width, last = 0, 0, 9, b""
    for octet in data:
        bits = (bits << 8 | octet) & 0xFFFFFF
        have += 8
        if have < width:
            continue
        have -= width
        code = bits >> have & (1 << width) - 1
        if code == 257:
            return out, ""
        if code == 256:
            del table[258:]
            width, last = 9, b""
            continue
        if code < len(table):
            entry = table[code]
        elif last and code == len(table):
            entry = last + last[:1]
        else:
            return out, "malformed"
        out += entry
        if len(out) > limit:
            return out[:limit], "too-large"
        if last and len(table) < 4096:
            table.append(last + entry[:1])
        last = entry
        # The encoder is always one entry ahead.
        width = min(12, (len(table) + early).bit_length())
    return out, ""
