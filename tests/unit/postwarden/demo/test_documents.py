"""The sample documents must be what they say, in the eyes of programs that are not ours."""

import hashlib
import io
import random
import zipfile

import olefile
import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oletools.olevba import VBA_Parser, decompress_stream

from postwarden.demo import documents, vba
from postwarden.demo.compound import compound_file

LONG = vba.HARMLESS + "".join(f"' {random.Random(line).randbytes(30).hex()}\r\n" for line in range(300))


@given(st.binary(max_size=300).flatmap(lambda piece: st.builds(lambda n: piece * n, st.integers(0, 60))))
@settings(max_examples=60, deadline=None)
def test_vba_compression_is_undone_by_oletools(data):
    # A raw chunk is padded by line ends, as the format wants whole chunks.
    assert bytes(decompress_stream(bytearray(vba.compress(data)))).rstrip(b"\n") == data.rstrip(b"\n")


@pytest.mark.parametrize("size", [4095, 4096, 4097, 9000])
def test_incompressible_source_survives(size):
    data = random.Random(size).randbytes(size).replace(b"\n", b"x")
    assert bytes(decompress_stream(bytearray(vba.compress(data)))).rstrip(b"\n") == data


@pytest.mark.parametrize("sizes", [(0, 1, 63, 64, 65), (4095, 4096, 4097), (100_000, 10), (600_000, 4096)])
def test_compound_files_are_read_by_olefile(sizes):
    streams = {f"stream {size}": random.Random(size).randbytes(size) for size in sizes}
    tree = {"storage": {"inner": {"deep": b"down"}, **streams}, **streams}
    with olefile.OleFileIO(compound_file(tree)) as file:
        for name, data in streams.items():
            assert file.openstream([name]).read() == data
            assert file.openstream(["storage", name]).read() == data
        assert file.openstream(["storage", "inner", "deep"]).read() == b"down"


@pytest.mark.parametrize("source", [vba.HARMLESS, LONG])
@pytest.mark.parametrize("make", [lambda modules: documents.docx(["x"], modules=modules), documents.doc])
def test_macros_are_found_by_oletools(make, source):
    parser = VBA_Parser("sample", data=make({"Module1": source}))
    assert parser.detect_vba_macros()
    (code,) = [code for _, _, _, code in parser.extract_macros()]
    assert 'MsgBox "Good morning' in code


def test_a_document_without_modules_has_no_macros():
    assert not VBA_Parser("sample", data=documents.docx(["x"])).detect_vba_macros()


def test_the_locked_archive_opens_with_its_password_only():
    file = zipfile.ZipFile(io.BytesIO(documents.locked_archive("a.txt", b"hello" * 100, b"secret")))
    assert file.read("a.txt", pwd=b"secret") == b"hello" * 100
    with pytest.raises(RuntimeError, match="password required"):
        file.read("a.txt")
    with pytest.raises((RuntimeError, zipfile.BadZipFile)):
        file.read("a.txt", pwd=b"wrong")


def test_a_user_password_locks_a_pdf_and_an_owner_password_does_not():
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(io.BytesIO(documents.pdf(user="u", owner="o")))
    with pikepdf.open(io.BytesIO(documents.pdf(owner="o"))) as document:
        assert document.is_encrypted
    with pikepdf.open(io.BytesIO(documents.pdf())) as document:
        assert not document.is_encrypted


def test_eicar_is_the_well_known_file():
    assert hashlib.md5(documents.eicar()).hexdigest() == "44d88612fea8a8f36de82e1278abb02f"
