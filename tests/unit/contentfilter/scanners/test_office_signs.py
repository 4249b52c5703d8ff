"""Office's XML in which nothing but one sign tells that there is something to look for."""

from __future__ import annotations

import base64

import pytest

from contentfilter.content.scan import scan_document

PROGRAM = base64.b64encode(b"\x7fELF" + bytes(range(100))).decode()
SIGNS = {
    "field": (
        '<w:d><w:fldSimple w:instr=" INCLUDETEXT http://host.example/a.docx "/></w:d>',
        "office-remote-template",
    ),
    "binData": (f"<w:d><w:binData>{PROGRAM}</w:binData></w:d>", "executable"),
    "binaryData": (f"<w:d><pkg:binaryData>{PROGRAM}</pkg:binaryData></w:d>", "executable"),
    "binary-data": (f"<w:d><office:binary-data>{PROGRAM}</office:binary-data></w:d>", "executable"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "name"), SIGNS.values(), ids=SIGNS)
def test_one_sign_is_enough(text: str, name: str):
    assert {finding.name for finding in scan_document("a.xml", text.encode()).findings} == {name}
