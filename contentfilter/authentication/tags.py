"""Tag lists, the grammar of signatures and key records (RFC 6376 3.2)."""

from __future__ import annotations

import re

from contentfilter.authentication.grammar import InvalidTagValueList, parse_tag_value

MAX_LIST = 8192
"""Octets of a list; honest ones have a tenth of that."""

_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")


class Malformed(Exception):
    """No tag list, or one that is too long; the text says what is wrong, in words of ours."""


def read_tags(value: bytes) -> dict[bytes, bytes]:
    """The tags of a list in one line, blanks at the ends of names and values taken off.

    Raises:
        Malformed: it is none.
    """
    if len(value) > MAX_LIST:
        raise Malformed("too long")
    try:
        tags: dict[bytes, bytes] = parse_tag_value(value)
    except InvalidTagValueList as error:
        raise Malformed("malformed") from error
    if not all(map(_NAME.fullmatch, tags)):
        raise Malformed("malformed")
    return tags
