"""Parameters of structured header fields (RFC 2045 5.1, RFC 2231) and encoded words (RFC 2047)."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse

MAX_RAW_NAME = 2048
_MAX_PARAMETERS = 2000

_PARAMETER = re.compile(rb';\s*"?([^\s=;"]{1,80})"?\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
"""Some programs take a name in quotes for one."""
_COMMENT = re.compile(rb"\([^()]{0,1000}\)")
_COMMENT_OR_QUOTED = re.compile(rb'("(?>(?>(?:[^"\\]++|\\.){1,64})*)")|\([^()]{0,1000}\)', re.DOTALL)
_MAX_QUOTED = 2048
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_WORD = re.compile(r"=\?([^?\r\n]{1,40})\?([bBqQ])\?([^?]{0,2000})\?=(?:\s+(?==\?))?")
_CONTINUED = re.compile(r"(.+?)\*(\d{1,3})(\*?)\Z", re.DOTALL)


def pairs(value: bytes) -> list[tuple[bytes, bytes]]:
    """The parameters of a structured value (RFC 2045 5.1), names in lower case, quotes resolved."""
    found = []
    head, _semicolon, rest = value.partition(b";")
    # Where the value itself is missing, programs take what stands in its place for a parameter all the same.
    for match in _PARAMETER.finditer(b";" + (value if b"=" in head else rest)):
        text = match[2]
        if text.startswith(b'"'):
            text = text[1:].removesuffix(b'"')
            if b"\\" in text:
                text = _ESCAPED.sub(rb"\1", text)
        else:
            text = text.rstrip()
        found.append((match[1].lower(), text))
        if len(found) >= _MAX_PARAMETERS:
            break
    return found


def parameter(value: bytes, key: str) -> str:
    """The parameter ``key`` of a structured value, decoded (RFC 2231, RFC 2047); empty if there is none."""
    found = parameters(value, key)
    return found[0] if found else ""


def parameters(value: bytes, key: str) -> list[str]:
    """Every value that a program may read for the parameter ``key``, the one by the rules first.

    A parameter may stand twice, plain and extended, and its pieces may come in any order and twice.
    """
    plain: list[str] = []
    pieces: dict[int, str] = {}
    written: list[str] = []
    extended = False
    for raw_name, raw_text in pairs(value):
        name = raw_name.decode("latin-1")
        if not name.startswith(key):
            continue
        text = decode_text(_shortened(raw_text))
        if name == key:
            plain.append(text)
        elif name == key + "*":
            pieces.setdefault(0, text)
            written.append(text)
            extended = True
        elif (match := _CONTINUED.match(name)) and match[1] == key:
            text = text if match[3] else urllib.parse.quote(text, safe="' ")
            pieces.setdefault(int(match[2]), text)
            written.append(text)
            extended |= bool(match[3])
    found = []
    if pieces:
        by_number = "".join(pieces[number] for number in sorted(pieces))
        # Some take the pieces as they stand, some the last of two with one number.
        bare = "".join(text.strip() for text in written)
        joined = (by_number, "".join(written), "".join(written[1:]), pieces[min(pieces)], bare)
        found = [_decode_extended(text[:MAX_RAW_NAME], extended) for text in dict.fromkeys(joined)]
    return [text for text in dict.fromkeys((*found[:1], *plain, *found[1:])) if text]


def without_comments(value: bytes) -> bytes:
    """A structured value without its comments (RFC 5322 3.2.2), nested ones up to three levels.

    What stands in quotes is none, in values of ordinary length.
    """
    for _level in range(3):
        if b"(" not in value:
            break
        if len(value) > _MAX_QUOTED:
            value = _COMMENT.sub(b"", value)
        else:
            value = _COMMENT_OR_QUOTED.sub(lambda match: match[1] or b"", value)
    return value


def _shortened(raw: bytes) -> bytes:
    """A long name by its ends: the suffix is what people look at."""
    return raw if len(raw) <= MAX_RAW_NAME else raw[: MAX_RAW_NAME // 2] + raw[-MAX_RAW_NAME // 2 :]


def decode_text(raw: bytes) -> str:
    """Octets that no charset is declared for."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _decode_extended(text: str, extended: bool) -> str:
    """RFC 2231 4: ``charset'language'percent-encoded``."""
    charset, rest = "utf-8", text
    if extended and text.count("'") >= 2:
        charset, _language, rest = text.split("'", 2)
    return _decode_charset(urllib.parse.unquote_to_bytes(rest), charset)


def _decode_charset(raw: bytes, charset: str) -> str:
    raw = raw[:MAX_RAW_NAME]
    try:
        if charset.lower() in ("utf-16", "utf16") and raw[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            charset = "utf-16-be" if raw[:1] == b"\0" else "utf-16-le"
        return raw.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return raw.decode("latin-1")


def decode_words(text: str) -> str:
    """``text`` with its encoded words (RFC 2047) decoded; a broken one stays as it is."""
    if "=?" not in text:
        return text

    def word(match: re.Match[str]) -> str:
        charset = match[1].split("*")[0].strip()
        coded = match[3].encode("utf-8", "replace")
        try:
            if match[2] in "bB":
                raw = base64.b64decode(coded + b"===")
            else:
                raw = binascii.a2b_qp(coded, header=True)
        except (binascii.Error, ValueError):
            return match[0]
        return _decode_charset(raw, charset)

    return _WORD.sub(word, text[: 4 * MAX_RAW_NAME])
