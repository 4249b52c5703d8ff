"""Hybrid-reference files (ISO 32000-1 7.5.8.4): a table for old readers, and beside it a stream that lists
the objects which the table calls free.

qpdf takes them for free. Where the stream comes last, as the section of a revision of its own, it counts.
"""

from __future__ import annotations

import itertools
import re

import pikepdf

from contentfilter.pdf.syntax import HEADER_WITHIN, Content, name

_MAX_STREAMS = 8
_BESIDE = re.compile(name("XRefStm") + rb"\s{1,20}(\d{1,12})")
_STREAM = re.compile(rb"\s{0,20}\d{1,10}\s{1,20}\d{1,5}\s{1,20}obj\s{0,20}<<")
_START = re.compile(rb"startxref\s{1,20}(\d{1,12})")
_END = b"endstream"


def preferring_streams(data: Content, document: pikepdf.Pdf) -> bytes:
    """``data`` with the streams beside its tables as later revisions; empty if there is none.

    Arguments:
        document: of ``data``, opened; it has the trailer.
    """
    beside = list(itertools.islice(_BESIDE.finditer(data), _MAX_STREAMS))
    if not beside:
        return b""
    starts = [int(match[1]) for match in _START.finditer(data)]
    shift = max(0, data.find(b"%PDF", 0, HEADER_WITHIN + 4))
    about = b"".join(
        b"%s %s" % (key.encode(), document.trailer[key].unparse())
        for key in ("/Root", "/Encrypt", "/ID")
        if key in document.trailer
    )
    whole, last = bytearray(data), starts[-1] if starts else 0
    for place in dict.fromkeys(int(match[1]) + shift for match in beside):
        head = _STREAM.match(data, place)
        end = data.find(_END, place) if head else -1
        if head and end >= 0:
            whole += b"\n"
            start = len(whole) - shift
            whole += head[0].lstrip() + b"%s/Prev %d " % (about, last)
            whole += data[head.end() : end] + _END + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % start
            last = start
    return bytes(whole) if len(whole) > len(data) else b""
