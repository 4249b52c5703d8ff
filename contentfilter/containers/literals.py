"""Data that is written out in the text of a web page or script: base64, hexadecimal, numbers, data: URLs.

Interface: :func:`flat`, :func:`literals`, :func:`data_urls`. Everything is searched by regular expressions
that run in linear time; nothing is executed. What a script calculates is not seen.
"""

from __future__ import annotations

import binascii
import functools
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from contentfilter.containers import spelled
from contentfilter.containers.zipmember import inflate
from contentfilter.content.limits import MIB

_JOINED = re.compile(rb"[\"'`]\s*[+,]\s*[\"'`]|\\\r?\n")
_ESCAPES = re.compile(
    rb"\\(?:(?:x|u00)[0-9a-fA-F]{2}(?:\\(?:x|u00)[0-9a-fA-F]{2})*"
    rb"|u\{0{0,6}[0-9a-fA-F]{1,2}\}(?:\\u\{0{0,6}[0-9a-fA-F]{1,2}\})*)"
)
"""Runs of them. That they begin with one certain octet makes searching fast."""
_ESCAPE = re.compile(rb"\\(?:(?:x|u00)([0-9a-fA-F]{2})|u\{0{0,6}([0-9a-fA-F]{1,2})\})")
_ENTITY = re.compile(rb"&#(?:x0{0,6}([0-9a-fA-F]{2})|0{0,6}(\d{2,3}));?")
_NAMED = {
    b"&quot;": b'"',
    b"&apos;": b"'",
    b"&lt;": b"<",
    b"&gt;": b">",
    b"&Tab;": b"\t",
    b"&NewLine;": b"\n",
    b"&colon;": b":",
    b"&sol;": b"/",
    b"&comma;": b",",
    b"&amp;": b"&",
}
_BASE64 = re.compile(
    rb"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{64,}+={0,2}(?>(?>(?:\s{1,40}[A-Za-z0-9+/_-]{16,}+={0,2}){1,64})*)"
)
"""Groups are repeated some at a time in atomic groups, so that nothing is kept of those before. Not
possessively: before Python 3.11.5 that takes along what begins like one more and is none."""
_HEX = re.compile(rb"[0-9a-fA-F]{128,}+")
_TEXT = re.compile(rb"[\"'`]((?>(?>[^\"'`\\\r\n]|\\.){64}(?>(?:[^\"'`\\\r\n]++|\\.){1,64})*))")
_SPELT = re.compile(
    rb"\\(?:(?:x|u00)([0-9a-fA-F]{2})|u\{0{0,6}([0-9a-fA-F]{1,2})\}|([0-3]?[0-7]{1,2})|([^xu0-7]))"
)
_DENSE = re.compile(
    rb"\\(?:(?:x|u00)[0-9a-fA-F]{2}|u\{[0-9a-fA-F]{1,8}\})(?:[^\\]{0,12}\\(?:(?:x|u00)[0-9a-fA-F]{2}|u\{[0-9a-fA-F]{1,8}\})){15}"
)
"""Texts of octets have escapes close together; those in scripts that are made small stand alone."""
_OCTAL = re.compile(rb"\\[0-7]{1,3}(?:\\[0-7]{1,3}){7}")
_LEAST_SPELT = 16
"""Characters that must be spelt by number in a text of octets."""
_SPELT_HEAD = 2048
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_REPLACED = re.compile(
    rb"replace(?:All)?\(\s{0,9}(?:/((?:[^/\\\r\n*+?\[(|.]|\\[^\w\s]){1,16})/\w{0,8}|[\"'`]([^\"'`\r\n]{1,16})[\"'`])"
    rb"\s{0,9},\s{0,9}[\"'`]([^\"'`\r\n]{0,16})[\"'`]"
    rb"|split\(\s{0,9}[\"'`]([^\"'`\r\n]{1,16})[\"'`]\s{0,9}\)\s{0,9}\.\s{0,9}join\(\s{0,9}[\"'`]([^\"'`\r\n]{0,16})[\"'`]"
)
"""Calls that put one text in another's place; of regular expressions those that are mere text."""
_LITERAL = re.compile(rb"\\(.)")
_MAX_REPLACED = 16
_LONG_TEXT = re.compile(rb"[\"'`]([^\"'`<>\r\n]{256,}+)[\"'`]")
_ESCAPED_HEX = re.compile(
    rb"(?<![0-9a-fA-F%,:])(?>(?>[%,:\s]?[0-9a-fA-F]{2}[%,:\s]){64}(?>(?:[%,:\s]?[0-9a-fA-F]{2}[%,:\s]){1,64})*)"
    rb"[0-9a-fA-F]{0,2}"
)
_NUMBER = rb"-?(?:0x[0-9a-fA-F]{1,2}|\d{1,3})\s{0,4}[,;|:_.*!#~@$/\s]\s{0,4}"
_NUMBERS = re.compile(
    rb"(?<![\d,;])(?>(?>" + _NUMBER + rb"){64}(?>(?:" + _NUMBER + rb"){1,64})*)"
    rb"(?:0x[0-9a-fA-F]{1,2}|\d{1,3})?"
)
_SEPARATORS = b",;|:_.*!#~@$/ \t\r\n\v\f"
_BLANKED = bytes.maketrans(_SEPARATORS, b" " * len(_SEPARATORS))
_LEAST_ODD, _LEAST_ODD_PIECES = 24, 3072
"""Characters of a piece of base64, and of all together, from which on they are taken for encrypted data."""
_LEAST_DENSE, _DENSE_OCTETS = 1024, 200
"""Numbers of a list, and how many different octets they must be; measured values are fewer, or larger."""
_DENSE_TEXT = re.compile(rb"[\"'`]([^\"'`\s]{2048,}+)[\"'`]")
_DENSE_SAMPLE, _DENSE_BITS = 2048, 5.6
"""Characters that are counted, and bits that one holds: base64 has 6, scripts about 5."""
_QUOTED = re.compile(rb"[\"'`]([A-Za-z0-9+/=_-]{8,})[\"'`]")
_ROW = re.compile(rb"[\"'`][A-Za-z0-9+/=_-]+[\"'`](?>\s{0,40},\s{0,40}[\"'`][A-Za-z0-9+/=_-]+[\"'`])+")
_IN_ROW = re.compile(rb"[A-Za-z0-9+/=_-]+")
_URL = re.compile(rb"data:([\w.+/-]{0,80})((?:;[\w=.+-]{1,80}){0,5}),([^\"'`<>)]{16,}+)", re.IGNORECASE)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BLANK = b" \t\r\n\v\f="
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_PLAIN_BASE64 = _ALPHABET.rstrip(b"-_") + b"="
_NO_BASE64 = bytes(set(range(256)) - set(_ALPHABET))
_OCTETS = {b"%d" % number: number & 0xFF for number in range(-128, 256)}
_OCTETS |= {
    form % number: number for number in range(256) for form in (b"0x%x", b"0x%X", b"0x%02x", b"0x%02X")
}
"""How a number is written in a script."""
MAX_LITERALS = 20_000
"""Literals of one kind in one text."""
_MAX_NUMBERS = 16 * MIB
_MAX_INFLATED = 16 * MIB
_LEAST_PIECES = 96
"""Octets that quoted texts must have together to be looked at as one."""

SIGNATURES = {
    b"MZ": "program",
    b"\x7fELF": "program",
    b"PK\x03\x04": "ZIP",
    b"Rar!\x1a\x07": "RAR",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"MSCF\0\0\0\0": "CAB",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "OLE",
    b"L\0\0\0\x01\x14\x02\0": "shortcut",
    b"%PDF-": "PDF",
    b"{\\rtf": "RTF",
    b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d": "OneNote",
    b"ITSF\3\0\0\0": "HTML help",
    b"\x1f\x8b\x08": "gzip",
    b"vhdxfile": "disk image",
    b"conectix": "disk image",
}
"""Content that is more than what a page shows."""
_DISC_MARK = 0x8001
_STARTS = tuple(SIGNATURES)
SHOWN = (
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"wOFF", b"wOF2", b"\0\1\0\0\0", b"OTTO", b"\0\0\1\0",
    b"ID3", b"OggS", b"\x1aE\xdf\xa3", b"\0\0\0 ftyp", b"\0\0\0\x18ftyp", b"\0\0\0\x1cftyp",
)  # fmt: skip
"""Pictures, fonts, films."""
_HEAD = 64
_LONG_STARTS = tuple(start for start in _STARTS if len(start) > 3)
_ZLIB = (b"\x78\x01", b"\x78\x9c", b"\x78\xda", b"\x78\x5e")


class _Run:
    """Octets of a kind without another between them. What is long and made of them alone is searched for
    only where so many stand together: that is seen in a tenth of the time.

    Arguments:
        octets: those of the kind.
        least: how many.
    """

    def __init__(self, octets: bytes, least: int) -> None:
        self._table = bytes(octet in octets for octet in range(256))
        self._run = b"\1" * least

    def stands_in(self, text: bytes) -> bool:
        """Whether there is such a run in ``text``."""
        return self._run in text.translate(self._table)


_RUN_OF_BASE64 = _Run(_ALPHABET, 64)
_RUN_OF_HEX = _Run(b"0123456789abcdefABCDEF%,: \t\r\n\v\f", 3 * 64)
_RUN_OF_NUMBERS = _Run(b"0123456789abcdefABCDEFx-" + _SEPARATORS, 2 * 64)
"""What the expressions for base64, :data:`_ESCAPED_HEX` and :data:`_NUMBERS` take at least."""


class TooManyError(ValueError):
    """There are more literals than are looked at."""


def flat(page: bytes) -> bytes:
    """A page whose character references and escapes are resolved and whose neighbouring texts are joined."""
    if b"&" in page:
        page = _ENTITY.sub(_character, page)
        for name, character in _NAMED.items():
            page = page.replace(name, character)
    if b"\\x" in page or b"\\u" in page:
        page = _ESCAPES.sub(_characters, page) if b"\\u{" in page else spelled.escaped(page)
    if b"%u00" in page:
        # As unescape() reads it.
        page = page.replace(b"%u00", b"%")
    return _JOINED.sub(b"", page)


def _character(match: re.Match[bytes]) -> bytes:
    return _spelt(match[0])


@functools.lru_cache(maxsize=1024)
def _spelt(reference: bytes) -> bytes:
    match = _ENTITY.fullmatch(reference)
    assert match is not None
    number = int(match[1], 16) if match[1] else int(match[2])
    return bytes((number,)) if number < 128 else reference


def _characters(match: re.Match[bytes]) -> bytes:
    return binascii.unhexlify(b"".join((two or one).zfill(2) for two, one in _ESCAPE.findall(match[0])))


def octets(page: bytes) -> Iterator[bytes]:
    """Known content in texts that hold octets as they are, spelt by number: ``"MZ\\x90\\0"``.

    Arguments:
        page: as it stands, since these texts are none any more where their escapes are resolved.

    Raises:
        TooManyError: after the last that is looked at.
    """
    if not _DENSE.search(page) and not _OCTAL.search(page):
        return
    number = 0
    for match in _TEXT.finditer(_JOINED.sub(b"", page)):
        if match[1].count(b"\\") >= _LEAST_SPELT:
            number += 1
            if number > MAX_LITERALS:
                raise TooManyError
            head = _SPELT.sub(_octet, match[1][:_SPELT_HEAD])
            if any(kind_of(content) for content, _data in _known(head, False)):
                whole = _SPELT.sub(_octet, match[1])
                yield from (content for content, _data in _known(whole, False) if kind_of(content))


def _octet(match: re.Match[bytes]) -> bytes:
    if digits := match[1] or match[2]:
        return binascii.unhexlify(digits.zfill(2))
    return bytes((int(match[3], 8),)) if match[3] else _PLAIN.get(match[4], match[4])


def data_urls(text: bytes, shown: bool = False) -> Iterator[tuple[str, bytes]]:
    """Media type and content of each data: URL (RFC 2397).

    Arguments:
        shown: also of pictures, fonts and films.

    Raises:
        TooManyError: after the last that is looked at.
    """
    for number, match in enumerate(_URL.finditer(text) if b"data:" in text.lower() else ()):
        if number >= MAX_LITERALS:
            raise TooManyError
        content = match[3]
        if b"%" in content:
            content = unquoted(content)
        if b";base64" in match[2].lower():
            if not shown and from_base64(content[:_HEAD]).startswith(SHOWN):
                continue
            content = from_base64(content)
        yield match[1].decode("latin-1").lower(), content


def replacements(page: bytes) -> list[tuple[bytes, bytes]]:
    """What a script replaces by what, in the order in which that is written: texts of a few characters.

    Arguments:
        page: as it stands, since :func:`flat` joins neighbouring texts.
    """
    found = []
    if b"replace" in page or b"split" in page:
        for match in islice(_REPLACED.finditer(page), _MAX_REPLACED):
            pattern, text, by, cut, joint = match.groups()
            old = _LITERAL.sub(rb"\1", pattern) if pattern else text or cut
            found.append((old, by or joint or b""))
    return found


def literals(text: bytes, replaced: Sequence[tuple[bytes, bytes]] = ()) -> Iterator[tuple[bytes, bool]]:
    """Content of the literals in ``text``, as :func:`flat` makes it, and whether it looks like anything but
    written text: then it is data even if nothing in it is known.

    Arguments:
        replaced: what its scripts replace before they decode it.

    Raises:
        TooManyError: after the last that is looked at.
    """
    for number, match in enumerate(_BASE64.finditer(text) if _RUN_OF_BASE64.stands_in(text) else ()):
        if number >= MAX_LITERALS:
            raise TooManyError
        raw = match[0]
        if _HEX.fullmatch(raw.translate(None, _BLANK)):
            digits = raw.translate(None, _BLANK)
            yield from _known(_unhex(digits), True)
            if kind_of(backwards := _unhex(digits[::-1])):
                yield backwards, True
        else:
            # A comment begins with two that are also characters of base64.
            yield from _from_text(raw.removeprefix(b"--"))
    pieces = [match[1] for match in _QUOTED.finditer(text)]
    if len(pieces) > 1 and sum(map(len, pieces)) >= _LEAST_PIECES:
        for order in (pieces, pieces[::-1]):
            content = from_base64(b"".join(order))
            if content.startswith(_LONG_STARTS) or _is_program(content):
                yield content, True
                break
        else:
            # In another order, or encrypted: what nobody can name may be a file as well.
            odd = b"".join(piece for piece in pieces if len(piece) >= _LEAST_ODD and _is_random(piece))
            if len(odd) >= _LEAST_ODD_PIECES:
                yield from_base64(odd), True
    if b"replace" in text or b"split" in text:
        yield from _filled(text, replaced)
    for run, pattern, decode in (
        (_RUN_OF_HEX, _ESCAPED_HEX, _unhex),
        (_RUN_OF_NUMBERS, _NUMBERS, _from_numbers),
    ):
        for number, match in enumerate(pattern.finditer(text) if run.stands_in(text) else ()):
            if number >= MAX_LITERALS:
                raise TooManyError
            content = decode(match[0])
            yield from _known(content, len(content) >= _LEAST_DENSE and len(set(content)) >= _DENSE_OCTETS)


def dense_text(page: bytes) -> int:
    """Characters of the first long text that is neither words nor base64 but uses most of the characters that
    there are, as other encodings do; 0 if there is none.

    Arguments:
        page: as it stands.
    """
    for match in islice(_DENSE_TEXT.finditer(page), MAX_LITERALS):
        raw = match[1]
        if b"data:" not in raw and raw.translate(None, _PLAIN_BASE64):
            sample = raw[:_DENSE_SAMPLE]
            shares = [count / len(sample) for count in Counter(sample).values()]
            if -sum(share * math.log2(share) for share in shares) >= _DENSE_BITS:
                return len(raw)
    return 0


def turned_round(page: bytes) -> Iterator[bytes]:
    """Known content in rows of base64 texts that a script puts in reverse order.

    Arguments:
        page: as it stands, since :func:`flat` joins neighbouring texts.
    """
    if b"reverse" in page:
        for match in islice(_ROW.finditer(page), MAX_LITERALS):
            content = from_base64(b"".join(_IN_ROW.findall(match[0])[::-1]))
            if content.startswith(_LONG_STARTS) or _is_program(content):
                yield content


def _filled(text: bytes, replaced: Sequence[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bool]]:
    """Known content in base64 with characters in it that a script takes out, or replaces by others."""
    for number, match in enumerate(_LONG_TEXT.finditer(text)):
        if number >= MAX_LITERALS:
            raise TooManyError
        raw = match[1]
        if replaced and _begins_known(_with_replaced(raw[:4096], replaced)):
            yield from_base64(_with_replaced(raw, replaced)), True
        if not raw.translate(None, _PLAIN_BASE64):
            continue
        for filled in dict.fromkeys((raw, raw.translate(None, b"-_"))):
            if _begins_known(filled[:4096]):
                yield from_base64(filled), True


def _with_replaced(text: bytes, replaced: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The text, but for replacements that would make it twice as long, as no decoder needs."""
    most = 2 * len(text)
    for old, new in replaced:
        more = len(new) - len(old)
        if more <= 0 or len(text) + text.count(old) * more <= most:
            text = text.replace(old, new)
    return text


def _begins_known(text: bytes) -> bool:
    """Whether what stands in base64 is known by how it begins."""
    head = from_base64(text)
    return head.startswith(_LONG_STARTS) or _is_program(head)


def _from_text(raw: bytes) -> Iterator[tuple[bytes, bool]]:
    """A base64 text, as it stands and from its end."""
    content = from_base64(raw)
    if not content.startswith(_STARTS):
        backwards = from_base64(raw[::-1].translate(None, _BLANK))
        if backwards.startswith(_LONG_STARTS) or _is_program(backwards):
            yield backwards, True
    yield from _known(content, _is_random(raw))


def _known(content: bytes, data: bool) -> Iterator[tuple[bytes, bool]]:
    """The content, and what a single octet of XOR, zlib or UTF-16 hides in it."""
    if len(content) < 16:
        return
    yield content, data
    for first in (0, 1):
        if len(content) >= _HEAD and not any(content[1 - first : _HEAD : 2]):
            yield content[first::2], data
    if content.startswith(_ZLIB):
        if plain := bytes(inflate(content, 0, len(content), _MAX_INFLATED, zlib.MAX_WBITS).data):
            yield plain, True
    elif not content.startswith(_LONG_STARTS):
        for key in {content[0] ^ start[0] for start in _STARTS} - {0}:
            table = _xor_table(key)
            head = content[:4096].translate(table)
            if head.startswith(_LONG_STARTS) or _is_program(head):
                yield content.translate(table), True


@functools.cache
def _xor_table(key: int) -> bytes:
    return bytes(octet ^ key for octet in range(256))


def kind_of(content: bytes) -> str:
    """What of :data:`SIGNATURES` this is; empty if nothing."""
    if content.startswith(b"MZ"):
        return "program" if _is_program(content) else ""
    if content[_DISC_MARK : _DISC_MARK + 5] in (b"CD001", b"BEA01"):
        return "disc image"
    return next((kind for start, kind in SIGNATURES.items() if content.startswith(start)), "")


def from_base64(text: bytes) -> bytes:
    """``text`` decoded, in either alphabet; whatever belongs to none is left out, padding too."""
    text = text.translate(_URL_SAFE, _NO_BASE64)
    text = text[:-1] if len(text) % 4 == 1 else text
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))


def _unhex(text: bytes) -> bytes:
    digits = text.translate(None, b"%,: \t\r\n")
    return binascii.unhexlify(digits[: len(digits) & ~1])


def _from_numbers(text: bytes) -> bytes:
    *numbers, last = text[:_MAX_NUMBERS].translate(_BLANKED).split()
    try:
        octets = bytes(map(_OCTETS.__getitem__, numbers))
    except KeyError:
        return b""
    # It may be an end mark, or the beginning of a longer number, which Python before 3.11.5 takes along.
    return octets + bytes((_OCTETS[last],)) if last in _OCTETS else octets


def unquoted(text: bytes) -> bytes:
    """``text`` without its percent-encoding (RFC 3986 2.1)."""
    return spelled.percent(text)


def _is_random(text: bytes) -> bool:
    """Whether digits and letters of either case are mixed as in encoded data, not as in words."""
    size = len(text)
    digits = size - len(text.translate(None, b"0123456789"))
    upper = size - len(text.translate(None, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    lower = size - len(text.translate(None, b"abcdefghijklmnopqrstuvwxyz"))
    return digits * 20 > size and upper * 7 > size and lower * 7 > size


def _is_program(content: bytes) -> bool:
    at = int.from_bytes(content[60:64], "little")
    return content.startswith(b"MZ") and content[at : at + 4] == b"PE\0\0"
