"""Hangul's documents: locks, scripts, files in them."""

from __future__ import annotations

import struct
import zlib

import pytest

from contentfilter.containers import hangul
from contentfilter.containers.cfb import CompoundFile
from tests.samples.archives import plain_zip
from tests.samples.compound import Tree, compound_file
from tests.samples.office import MACRO, doc
from tests.samples.programs import pe

from ..scanned import scan, told

COMPRESSED = 1
HEADER = "var Documents = XHwpDocuments;\r\nvar Document = Documents.Active_XHwpDocument;\r\n"
GIVEN = "function OnDocument_New()\r\n{\r\n\t//todo : \r\n}\r\n"
CODE = "function OnDocument_Open()\r\n{\r\n\tDocument.Saved = 1;\r\n}\r\n"


def raw(data: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


def script(header: str = HEADER, source: str = GIVEN) -> bytes:
    texts = [text.encode("utf-16-le") for text in (header, source, "", "")]
    return b"".join(struct.pack("<I", len(text) // 2) + text for text in texts) + b"\xff" * 4


def hwp(flags: int = COMPRESSED, code: bytes | None = b"", **files: bytes) -> bytes:
    """A document; a file whose name ends with ``_raw`` is stored as it is, and ``code`` None is no script."""
    head = b"HWP Document File".ljust(32, b"\0") + struct.pack("<II", 0x05000300, flags)
    binary: Tree = {
        name.removesuffix("_raw").replace("_", "."): data if name.endswith("_raw") else raw(data)
        for name, data in files.items()
    }
    scripts: Tree = {"JScriptVersion": raw(bytes(8))}
    if code is not None:
        scripts["DefaultJScript"] = raw(code or script())
    return compound_file(
        {
            "FileHeader": head.ljust(256, b"\0"),
            "DocInfo": raw(b"x" * 90),
            "BinData": binary,
            "Scripts": scripts,
        }
    )


def scanned(data: bytes, name: str = "a.hwp") -> tuple[set[str], set[str]]:
    return told(scan(data, name=name))


@pytest.mark.parametrize("bit", [1, 4, 8, 10])
def test_locked_documents(bit: int):
    assert scanned(hwp(COMPRESSED | 1 << bit)) == ({"office-encrypted"}, {"encrypted"})


@pytest.mark.parametrize("bit", [3, 5, 6, 7, 11, 14])
def test_documents_that_everybody_can_open(bit: int):
    assert scanned(hwp(COMPRESSED | 1 << bit, BIN0001_png=b"\x89PNG" + bytes(90))) == (set(), set())


def test_documents_of_version_3():
    head = b"HWP Document File V3.00 \x1a\1\2\3\4\5"
    assert scanned(head + bytes(96) + b"\1\0" + bytes(2000)) == ({"office-encrypted"}, {"encrypted"})
    assert scanned(head + bytes(2098)) == (set(), set())


@pytest.mark.parametrize("stored", ["", "_raw"])
def test_files_in_a_document(stored: str):
    program, macro = {f"BIN0001_exe{stored}": pe()}, {f"BIN0001_OLE{stored}": bytes(4) + doc(MACRO)}
    assert "executable" in scanned(hwp(**program))[0]
    assert "office-macro" in scanned(hwp(**macro))[0]
    assert "executable" in scanned(hwp(**{f"BIN0001_js{stored}": b"WScript.Echo(1)"}))[0]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (script(), set()),
        (script(HEADER, GIVEN + GIVEN.replace("New", "Open")), set()),
        (script(HEADER, ""), set()),
        (script(HEADER, CODE), {"office-macro"}),
        # What ends a line of JScript ends a comment.
        *((script(HEADER, f"//{end}run()"), {"office-macro"}) for end in "\r\n\u2028\u2029"),
        (script(HEADER + "run();", GIVEN), {"office-macro"}),
        # The mark at the end is cut off, or missing.
        *((script()[:-cut], set()) for cut in range(1, 5)),
        *((script(HEADER, CODE)[:-cut], {"office-macro"}) for cut in range(1, 5)),
        (CODE.encode("utf-16"), {"office-macro"}),
        (script(HEADER, "/*" * 1_000_000), {"office-macro"}),
        (b"\xff\xff\xff\x7f" + CODE.encode("utf-16-le"), {"office-macro"}),
    ],
)
def test_scripts(code: bytes, names: set[str]):
    assert scanned(hwp(code=code))[0] == names


def test_of_a_script_little_is_expanded():
    file = CompoundFile.find(hwp(code=script(HEADER, "x" * 10_000_000)))
    assert file is not None
    ((path, content),) = hangul.packed(file, 100 << 20)
    assert (path, len(content)) == ("Scripts/DefaultJScript", 16_384)
    assert "var Documents" in hangul.script(content)


def test_scripts_of_a_document_for_passing_on():
    assert scanned(hwp(COMPRESSED | 1 << 2, code=script(HEADER, CODE))) == (set(), {"unsupported"})
    assert scanned(hwp(COMPRESSED | 1 << 2, code=None)) == (set(), set())


def test_packages():
    manifest = b'<odf:manifest xmlns:odf="x"><odf:file-entry>%s</odf:file-entry></odf:manifest>'
    members = {"mimetype": b"application/hwp+zip", "META-INF/manifest.xml": manifest % b""}
    given = {
        "Scripts/headerScripts": HEADER.encode("utf-16"),
        "Scripts/sourceScripts": GIVEN.encode("utf-16"),
    }
    assert scanned(plain_zip(members | given)) == (set(), set())
    assert scanned(plain_zip(members | given | {"Scripts/sourceScripts": CODE.encode()}))[0] == {
        "office-macro"
    }
    locked = {"META-INF/manifest.xml": manifest % b"<odf:encryption-data/>"}
    assert scanned(plain_zip(members | locked))[0] == {"office-encrypted"}
