"""How a text begins, whatever its charset: what tells one kind of text from another."""

from __future__ import annotations

from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

HEAD = 4096
"""Octets that are looked at."""

TO_READ = frozenset({"txt", "text", "log", "md", "rst", "csv", "diff", "patch", "asc", "eml", "tex"})
"""Suffixes of text that is opened to be read; a program quoted in it is text."""

_MARKS = (
    (b"\xef\xbb\xbf", ""),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_ANY_MARK = tuple(mark for mark, _charset in _MARKS)
_BLANK = b" \t\r\n\v\f\0"


def opening(data: Content, size: int = HEAD) -> bytes:
    """The first characters as ASCII, lower case, without byte order mark and blanks in front.

    Arguments:
        size: octets that are looked at.
    """
    head = bytes(data[:size])
    charset = ""
    if head.startswith(_ANY_MARK):
        mark, charset = next(known for known in _MARKS if head.startswith(known[0]))
        head = head[len(mark) :]
    elif b"\0" in head[:4]:
        charset = "utf-16-be" if head[:1] == b"\0" else "utf-16-le"
    if charset:
        # What is no ASCII tells nothing here.
        head = head.decode(charset, "replace").encode("ascii", "replace")
    return head.lstrip(_BLANK).lower()
