"""What can be told from the octets of a PDF file alone: where documents, revisions and telling names stand.

qpdf reads a file by its last cross-reference section. Other programs may start elsewhere: at the second
document of two in a row, at an earlier revision, or at each object when they repair. What stands there is
found here, so that it is looked at too.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

HEADER_WITHIN = 1024
"""Octets in which readers look for the header (ISO 32000-1 annex H.3.4.1)."""
_TAIL = 2048
_MAX_MARKS = 200
_MAX_NAMES = 100_000
_TRAILER_SIZE = 8 * 1024
_HEADER = re.compile(rb"(?:\A|[\r\n]|%%EOF[^\r\n]{0,64})(%PDF-\d)")
_START = re.compile(rb"startxref\s{1,20}(\d{1,12})")
_TRAILER = re.compile(rb"trailer(?:[\s\0]|%[^\r\n]{0,200}[\r\n]){0,100}<<")
_END = re.compile(rb"%%EOF[\r\n]{0,2}")
_OBJECT = re.compile(rb"(?<!\d)(\d{1,7})[ \t\r\n\0\f]{1,9}\d{1,5}[ \t\r\n\0\f]{1,9}obj\b")


def name(text: str) -> bytes:
    """A pattern for the name ``text`` (7.3.5), each character as it is or as ``#`` and two digits."""
    return b"/" + b"".join(b"(?:%s|#%02x|#%02X)" % (re.escape(c), ord(c), ord(c)) for c in _octets(text))


def _octets(text: str) -> Iterable[bytes]:
    return (character.encode() for character in text)


_NO_MORE = rb"(?![^\s()<>\[\]{}/%\0])"
_ENCRYPT = re.compile(name("Encrypt") + _NO_MORE)
_ACTION = name("S") + rb"\s{0,20}"
_BLANK = rb"(?:\s|%[^\r\n]{0,200}[\r\n]){0,20}"
_REFERENCE = rb"\d{1,10}\s{1,20}\d{1,5}\s{1,20}R"
"""Where a digit would do, compressed data would tell something, once in some hundred MiB."""
_BLANKS = rb"(?:\s|\0|%[^\r\n]{0,200}[\r\n]){1,20}"
_LOCK = re.compile(name("Encrypt") + rb"\s{1,20}(\d{1,7})\s{1,20}(\d{1,5})\s{1,20}R")
_TEXT = rb"(?:<[0-9A-Fa-f\s]{0,200}>|\((?:[^()\\]|\\.){0,200}\))\s{0,20}"
_IDENTIFIER = re.compile(rb"/ID\s{0,20}\[\s{0,20}" + _TEXT + _TEXT + rb"\]", re.DOTALL)
_TELLING = re.compile(
    # All begin with a slash, which is looked for first.
    b"/(?=[#SJEO])(?:(?P<JS>%s|%s)|(?P<Launch>%s)|(?P<EmbeddedFile>%s)|(?P<EF>%s)|(?P<ObjStm>%s))"
    % (
        (_ACTION + name("JavaScript") + _NO_MORE)[1:],
        name("JS")[1:] + rb"(?=%s(?:[(<]|%s))" % (_BLANK, _REFERENCE),
        (_ACTION + name("Launch") + _NO_MORE)[1:],
        (name("EmbeddedFile") + _NO_MORE)[1:],
        name("EF")[1:] + rb"(?=%s(?:<<|%s))" % (_BLANK, _REFERENCE),
        (name("ObjStm") + _NO_MORE)[1:],
    )
)


def is_pdf(data: Content) -> bool:
    """Whether programs would open ``data`` as PDF or FDF: by its header near the start, or its end."""
    return has_header(data) or is_form_data(data) or b"startxref" in data[-_TAIL:]


def has_header(data: Content) -> bool:
    """Whether the header is where readers look for it."""
    return b"%PDF" in data[: HEADER_WITHIN + 4]


def is_form_data(data: Content) -> bool:
    """Whether ``data`` is FDF (12.7.7): objects and a trailer as in PDF, but no table and no pages."""
    return b"%FDF" in data[: HEADER_WITHIN + 4]


def documents(data: Content) -> tuple[list[tuple[int, int]], bool]:
    """Where each of several documents in a row begins and ends; none if there is but one.

    A document that is a stream of another, stored as it is, is none of these. The second value says that
    there are more than were looked at.
    """
    if data.find(b"%PDF-", data.find(b"%PDF-") + 1) < 0:
        return [], False
    starts = []
    for match in _HEADER.finditer(data):
        before = bytes(data[max(0, match.start(1) - 8) : match.start(1)])
        if not before.rstrip(b"\r\n").endswith(b"stream"):
            starts.append(match.start(1))
        if len(starts) > MAX_DOCUMENTS:
            break
    if len(starts) < 2:
        return [], False
    many = len(starts) > MAX_DOCUMENTS
    return list(itertools.pairwise([*starts[:MAX_DOCUMENTS], len(data)])), many


MAX_DOCUMENTS = 8


def encrypted_revisions(data: Content) -> list[int]:
    """Where each revision ends (7.5.6) whose trailer, or cross-reference stream, speaks of encryption.

    The last revision counts as well; a caller asks only where that is not encrypted.
    """
    endings = [match.end() for match in itertools.islice(_END.finditer(data), _MAX_NAMES)]
    ends: dict[int, None] = {}
    for start in _sections(data):
        if match := _ENCRYPT.search(data, start, start + _TRAILER_SIZE):
            after = bisect.bisect(endings, match.end())
            ends[endings[after] if after < len(endings) else len(data)] = None
    return list(ends)


def _sections(data: Content) -> Iterator[int]:
    """Where trailers and cross-reference streams begin: by their keyword, and by what points at them."""
    for match in itertools.islice(_TRAILER.finditer(data), _MAX_MARKS):
        yield match.start()
    shift = max(0, data.find(b"%PDF", 0, HEADER_WITHIN + 4))
    for match in itertools.islice(_START.finditer(data), _MAX_MARKS):
        for place in {int(match[1]), int(match[1]) + shift}:
            # A table is followed by its trailer, whose keyword was met above.
            if place < len(data) and data[place : place + 4] != b"xref":
                yield place


def telling_names(data: Content) -> Counter[str]:
    """How often each of ``JS``, ``Launch``, ``EmbeddedFile``, ``EF`` (the files of a specification) and
    ``ObjStm`` (a stream of objects) stands in the file as it is, escaped or not."""
    return Counter(match.lastgroup or "" for match in itertools.islice(_TELLING.finditer(data), _MAX_NAMES))


def with_trailer(data: Content, lock: bytes = b"") -> bytes:
    """``data`` with a catalog and a page of ours at its end, for a file that has lost its own or never had
    one (FDF): then qpdf puts a table together and takes every object it meets.

    Arguments:
        lock: entries of the trailer that say how it is encrypted.
    """
    numbers = (int(match[1]) for match in itertools.islice(_OBJECT.finditer(data), _MAX_NAMES))
    root = max(numbers, default=0) + 1
    ours = b"\n%d 0 obj\n<</Type/Catalog/Pages %d 0 R>>\nendobj\n" % (root, root + 1)
    ours += b"%d 0 obj\n<</Type/Pages/Kids[%d 0 R]/Count 1>>\nendobj\n" % (root + 1, root + 2)
    ours += b"%d 0 obj\n<</Type/Page/Parent %d 0 R>>\nendobj\n" % (root + 2, root + 1)
    return b"%s%strailer\n<</Root %d 0 R%s>>\nstartxref\n0\n%%%%EOF\n" % (data, ours, root, lock)


def lock_of_torso(data: Content) -> bytes:
    """What the trailer of a file that was cut off said of its lock, as far as there is no doubt: all trailers
    lead to one dictionary. Empty if there is none, or the file has an end."""
    if b"startxref" in data[-HEADER_WITHIN:]:
        return b""
    named = list(itertools.islice(_ENCRYPT.finditer(data), _MAX_MARKS))
    locks = {(match[1], match[2]) for match in itertools.islice(_LOCK.finditer(data), _MAX_MARKS)}
    identifier = _IDENTIFIER.search(data)
    if len(locks) != 1 or identifier is None or len(list(_LOCK.finditer(data))) != len(named):
        return b""
    number, generation = locks.pop()
    objects = re.finditer(rb"(?<!\d)0{0,9}%s%s\d{1,5}%sobj" % (number, _BLANKS, _BLANKS), data)
    if len(list(itertools.islice(objects, 2))) != 1:
        return b""
    return b"/Encrypt %s %s R%s" % (number, generation, identifier[0])


def without_table(data: Content, packed: Iterable[Content] = ()) -> bytes:
    """``data`` for a reading that trusts no table: qpdf then takes every object it meets.

    Arguments:
        packed: what object streams hold, decoded; each becomes an array, whatever it says of its numbers.
    """
    ours, number = bytearray(), _free_number(data)
    for content in packed:
        ours += b"\n%d 0 obj\n[%s\n]\nendobj" % (number, content)
        number += 1
    return b"%s%s\nstartxref\n0\n%%%%EOF\n" % (data, ours)


def _free_number(data: Content) -> int:
    """A number above those of the objects; qpdf takes none that is too high for the size of the file."""
    numbers = (int(match[1]) for match in itertools.islice(_OBJECT.finditer(data), _MAX_NAMES))
    return max((number for number in numbers if number < len(data) // 4), default=0) + 1
