"""PDF, from the octets to the objects: nothing but the reasons and findings that there are."""

from __future__ import annotations

import pikepdf

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.pdf import syntax
from contentfilter.pdf.streams import lzw
from contentfilter.scanners.pdf import Pdf
from contentfilter.scanners.xdp import Xdp
from mailbase.config.flows import FINDING_NAMES
from mailbase.vocabulary import UNSCANNED_REASONS, Finding, Unscanned
from tests.samples.pdf import pdf, raw_pdf, stream, with_object_stream

_SCRIPT = b"<</S/JavaScript/JS(x)>>"
SEEDS = [
    raw_pdf(
        b"/OpenAction" + _SCRIPT, {4: b"<</F(a)/EF<</F 5 0 R>>>>", 5: stream(b"x", b"/Type/EmbeddedFile")}
    ),
    raw_pdf(
        base=raw_pdf(b"/AcroForm<</XFA[(a)4 0 R]>>", {4: stream(b"<script>")}), trailer=b"/Encrypt 3 0 R"
    ),
    with_object_stream(b"<</JavaScript<</Names[(a)%s]>>>>" % _SCRIPT),
    pdf(lock=pikepdf.Encryption(user="secret", owner="owner", R=4)),
    pdf(lock=pikepdf.Encryption(user="", owner="owner")),
    raw_pdf() + raw_pdf(),
    b"%FDF-1.2\n1 0 obj\n<</FDF<</JavaScript<</After(x)>>>>>>\nendobj\ntrailer\n<</Root 1 0 R>>\n",
    b'<xdp:xdp xmlns:xdp="http://ns.adobe.com/xdp/"><pdf><chunk>JVBERi0xLjQK</chunk></pdf></xdp:xdp>',
]
OPTIONS = ScanOptions(parts=50, members=50, member_size=1 << 20, password_cost=100_000)


def target(data: bytes) -> None:
    part = Part("1", data)
    for scanner in (Pdf(), Xdp()):
        for found in scanner.scan(part, Context(part, Budget(OPTIONS))):
            match found:
                case Finding(name):
                    assert name in FINDING_NAMES
                case Unscanned(_path, reason):
                    assert reason in UNSCANNED_REASONS
                case Part():
                    assert len(found.data) <= max(len(data), OPTIONS.member_size)
    assert all(0 <= start < end <= len(data) for start, end in syntax.documents(data)[0])
    assert len(lzw(data, 1000)[0]) <= 1000
