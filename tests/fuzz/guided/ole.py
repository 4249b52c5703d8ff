"""The readers of compound files, VBA projects, and Word's binary format."""

from __future__ import annotations

from contentfilter.containers import ovba
from contentfilter.containers.cfb import CompoundError, CompoundFile
from contentfilter.containers.word_binary import WordDocument
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.scanners.ole_links import OleLinks
from contentfilter.scanners.ole_objects import OleObjects
from tests.samples.compound import compound_file, vba_compress, vba_storage
from tests.samples.office import EMPTY, MACRO, doc
from tests.samples.word import word_6, word_document

SEEDS = [
    compound_file({"VBA": vba_storage({"a": MACRO, "b": EMPTY}), "\x01Ole": b"http://x.example/"}),
    doc(),
    word_document(b"\x13DDE x\x15", ["\x13D", b"DE x"], "http://x.example/t"),
    word_6(b"\xff\x01\x01\x00"),
    vba_compress(b"Attribute VB_Name\r\nSub x()\r\n" * 20),
]
LIMIT = 20_000


def target(data: bytes) -> None:
    assert len(ovba.decompress(data, LIMIT)) < LIMIT + 2 * 4098
    assert len(ovba.carve(data, LIMIT)) <= LIMIT
    try:
        file = CompoundFile.find(data)
    except CompoundError:
        return
    if file is None:
        return
    assert sum(len(module.code) for module in ovba.modules(file, LIMIT, [])) <= LIMIT + 2 * 4098
    for stream in file.streams[:20]:
        document = WordDocument(file, stream)
        assert len(document.text()) <= 2 * len(data)
        document.template()
        document.has_word_basic()
    part = Part("1", data)
    for scanner in (OleLinks(), OleObjects()):
        for item in scanner.scan(part, Context(part, Budget(ScanOptions(members=50, member_size=1 << 16)))):
            assert not isinstance(item, Part) or len(item.data) <= max(len(data), 1 << 16)
