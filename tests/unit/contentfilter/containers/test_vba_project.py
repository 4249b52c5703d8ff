"""VBA source out of compound files, with oletools as the reference."""

from __future__ import annotations

import random

import pytest

from contentfilter.containers import ovba
from contentfilter.containers.cfb import CompoundFile
from contentfilter.containers.ovba import Module, carve, decompress, modules
from contentfilter.containers.vba_source import has_code, normal_source
from contentfilter.scanners.vba import load_olevba
from tests.samples.compound import Tree, compound_file, vba_compress, vba_storage
from tests.samples.office import EMPTY, MACRO, TAME

LIMIT = 1 << 20
olevba = load_olevba()


def read(tree: Tree, limit: int = LIMIT) -> list[Module]:
    file = CompoundFile.find(compound_file(tree))
    assert file is not None
    return list(modules(file, limit))


SOURCES = [
    b"",
    b"a",
    MACRO.encode(),
    b"x" * 4096,
    b"x" * 4097,
    b"abcabcabc" * 2000,
    random.Random(1).randbytes(4096),
    random.Random(2).randbytes(10_000) + b"\0" * 10_000,
]


@pytest.mark.parametrize("source", SOURCES)
def test_decompression_agrees_with_olevba(source: bytes):
    packed = vba_compress(source)
    expected = bytes(olevba.decompress_stream(bytearray(packed)))
    assert expected.startswith(source)
    assert decompress(packed) == expected


def token(offset: int, length: int, done: int) -> bytes:
    bits = max(4, (done - 1).bit_length())
    return ((offset - 1) << (16 - bits) | (length - 3)).to_bytes(2, "little")


@pytest.mark.parametrize("done", [3, 16, 17, 32, 33, 100, 2048, 2049, 3600])
def test_copy_tokens_at_every_width(done: int):
    literals = bytes(n & 0x7F for n in range(done))
    body = b"".join(b"\0" + literals[at : at + 8] for at in range(0, done - done % 8, 8))
    rest = literals[done - done % 8 :]
    body += bytes((1 << len(rest),)) + rest + token(min(done, 3), 5, done)
    packed = b"\x01" + (0xB000 | (len(body) - 1)).to_bytes(2, "little") + body
    assert decompress(packed) == bytes(olevba.decompress_stream(bytearray(packed)))


@pytest.mark.parametrize("source", SOURCES)
def test_what_a_compressor_writes_is_expanded_the_quick_way(source: bytes):
    packed, at = vba_compress(source), 1
    while at < len(packed):
        header = int.from_bytes(packed[at : at + 2], "little")
        stop = at + (header & 0x0FFF) + 3
        assert not header & 0x8000 or ovba._expand_sound(packed[at + 2 : stop]) is not None
        at = stop


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_damaged_containers_are_no_crash(cut: int):
    packed = vba_compress(MACRO.encode())
    decompress(packed[:cut])
    decompress(packed[:cut] + b"\xff" * 50)


def test_decompression_stops_at_its_limit():
    assert len(decompress(vba_compress(b"x" * 100_000), 10_000)) < 10_000 + 4097


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", False),
        (EMPTY, False),
        (MACRO, True),
        (TAME, True),
        ('Attribute VB_Name = "x"\r\n', False),
        ("Option Explicit\nOption Base 1", False),
        ("' comment _\r\n still comment _\r\n and this\r\n", False),
        ("' comment _\r\n still comment\r\nx = 1\r\n", True),
        ("REM a\r\nrem\r\n   \t\r\n", False),
        ("remove = 1", True),
        ("attributes = 1", True),
        ("Dim x", True),
        ("\rSub x()\rEnd Sub", True),
    ],
)
def test_what_is_code(source: str, code: bool):
    assert has_code(normal_source(source)) is code


def test_modules_are_those_that_olevba_reads():
    tree: Tree = {"Macros": {"VBA": vba_storage({"ThisDocument": EMPTY, "Module1": MACRO, "Modul_ä": TAME})}}
    parser = olevba.VBA_Parser("x", data=compound_file(tree))
    expected = {stream: code for _file, stream, _name, code in parser.extract_macros()}
    found = {module.stream.rsplit("/")[-1]: module.code for module in read(tree)}
    assert found.keys() == expected.keys()
    assert [module.executable for module in read(tree)] == [False, True, True]


def test_names_are_compared_without_case():
    storage = vba_storage({"Module1": MACRO})
    tree: Tree = {"vBa": {name.upper(): value for name, value in storage.items()}}
    assert [module.executable for module in read(tree)] == [True]


def test_two_projects_with_modules_of_the_same_name():
    tree: Tree = {"A": {"VBA": vba_storage({"M": EMPTY})}, "B": {"VBA": vba_storage({"M": MACRO})}}
    assert {module.stream: module.executable for module in read(tree)} == {"A/VBA/M": False, "B/VBA/M": True}


def test_source_that_no_directory_names_is_found():
    storage = vba_storage({"Module1": MACRO})
    del storage["dir"]
    [module] = read({"Somewhere": storage})
    assert module.executable


def test_directory_with_a_wrong_offset_hides_nothing():
    storage = vba_storage({"Module1": MACRO})
    module = storage["Module1"]
    assert isinstance(module, bytes)
    storage["Module1"] = b"more cache" + module
    [found] = read({"VBA": storage})
    assert found.executable


def stomped(lines: list[int]) -> bytes:
    """A performance cache with compiled lines of those lengths."""
    table = b"".join(b"\0\0\0\0" + length.to_bytes(2, "little") + bytes(6) for length in lines)
    return b"\x01\x16\x03" + b"\xfe\xca\x01\x00" + len(lines).to_bytes(2, "little") + table + bytes(100)


@pytest.mark.parametrize(
    ("cache", "code", "executable"),
    [
        (stomped([]), EMPTY, False),
        (stomped([8, 8]), EMPTY, False),  # the comment and the option
        (stomped([8, 8, 20]), EMPTY, True),
        (stomped([0, 0, 0, 0]), "", False),
        (stomped([12]), "", True),
    ],
)
def test_compiled_code_without_source_is_code(cache: bytes, code: str, executable: bool):
    [module] = read({"VBA": vba_storage({"M": code}, cache)})
    assert module.executable is executable


def test_source_is_bounded():
    tree: Tree = {"VBA": vba_storage({f"M{n}": "x = 1\r\n" * 1000 for n in range(10)})}
    assert len(read(tree)) == 10
    found = read(tree, 20_000)
    assert len(found) < 5
    assert found[-1].cut


def test_carving_is_bounded():
    packed = vba_compress(b"Attribute VB_Name\r\n" + b"x" * 4000) * 1000
    assert len(carve(packed, 50_000)) == 50_000


def test_what_only_begins_like_source_is_bounded(monkeypatch: pytest.MonkeyPatch):
    """Each mark may be the beginning of a module: there may be millions."""
    tried = []
    real = ovba.expanded

    def counting(data: bytes, limit: int) -> tuple[bytes, int]:
        tried.append(limit)
        return real(data, limit)

    monkeypatch.setattr(ovba, "expanded", counting)
    mark = b"\x01\x00\xb0\x00Attribut\x00"
    code, spent = ovba.carved(mark * 10_000, 100_000)
    assert not code
    assert spent >= 100_000
    assert len(tried) < 500
    assert ovba.carved(mark * 10, 100_000)[1] < 100_000
    assert ovba.carved(b"Attribut" * 10_000, 100_000)[1] >= 100_000


def test_chunks_that_hold_nothing_are_bounded(monkeypatch: pytest.MonkeyPatch):
    chunks = []
    real = ovba._expand_chunk

    def counting(data: bytes, at: int, stop: int, out: bytearray) -> bool:
        chunks.append(at)
        return real(data, at, stop, out)

    monkeypatch.setattr(ovba, "_expand_chunk", counting)
    empty = b"\x01" + b"\x00\xb0\x00" * 10_000
    assert ovba.expanded(empty, 64_000) == (b"", 64_000)
    assert len(chunks) == 1000


def test_what_directories_cost_is_told():
    empty = b"\x01" + b"\x00\xb0\x00" * 10_000
    found = read({"dir": empty, "x": vba_compress(b"Attribute VB_Name\r\nSub A()\r\n")}, 64_000)
    assert [module.cut for module in found] == [True]
