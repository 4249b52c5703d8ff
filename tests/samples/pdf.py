"""Writes PDF files object by object, so that a test can make them lie."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping

import pikepdf

PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"


def raw_pdf(
    catalog: bytes = b"", objects: Mapping[int, bytes] | None = None, trailer: bytes = b"", base: bytes = b""
) -> bytes:
    """A document, or the next revision of ``base``, with a table and a trailer.

    Arguments:
        catalog: more entries of the catalog.
        objects: further objects, from number 4 on.
        trailer: more entries of the trailer.
        base: what stands before; offsets count from its beginning.
    """
    body = bytearray(base or b"%PDF-1.7\n")
    things = {1: b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog, 2: PAGES, 3: PAGE, **(objects or {})}
    places = {}
    for number, thing in things.items():
        places[number] = len(body)
        body += b"%d 0 obj\n%s\nendobj\n" % (number, thing)
    table = len(body)
    body += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in places.items():
        body += b"%d 1\n%010d 00000 n \n" % (number, place)
    previous = b"/Prev %d" % base.rindex(b"xref\n0 1") if base else b""
    head = b"trailer\n<</Size %d/Root 1 0 R%s%s>>" % (max(things) + 1, previous, trailer)
    return bytes(body) + head + b"\nstartxref\n%d\n%%%%EOF\n" % table


def stream(data: bytes, about: bytes = b"") -> bytes:
    """A stream object."""
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(data), about, data)


def with_object_stream(thing: bytes, padding: int = 0, catalog: bytes = b"/Names 4 0 R") -> bytes:
    """A document whose object 4 lies in a compressed object stream, its table in a stream too."""
    body = b"%PDF-1.5\n"
    places = {}
    packed = zlib.compress(b"4 0 " + thing + b" " * padding, 9)
    about = b"/Type/ObjStm/N 1/First 4/Filter/FlateDecode"
    things = {1: b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog, 2: PAGES, 3: PAGE, 5: stream(packed, about)}
    for number, content in things.items():
        places[number] = len(body)
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    places[6] = len(body)
    rows = b"\0\0\0\0\0\xff"
    for number in range(1, 7):
        in_stream = b"\2\0\0\0\5\0"
        rows += in_stream if number == 4 else b"\1" + places[number].to_bytes(4, "big") + b"\0"
    head = stream(zlib.compress(rows), b"/Type/XRef/Size 7/W[1 4 1]/Root 1 0 R/Filter/FlateDecode")
    return body + b"6 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (head, places[6])


def pdf(
    change: Callable[[pikepdf.Pdf], object] | None = None,
    lock: pikepdf.Encryption | bool = False,
    **saving: object,
) -> bytes:
    """A document as qpdf writes it."""
    document = pikepdf.new()
    document.add_blank_page()
    if change:
        change(document)
    out = io.BytesIO()
    document.save(out, encryption=lock, **saving)  # type: ignore[arg-type]
    return out.getvalue()
