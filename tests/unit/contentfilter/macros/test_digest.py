"""The digest of a macro: what keeps it and what changes it."""

from __future__ import annotations

import pytest

from contentfilter.containers.vba_source import has_code, lines_of, normal_source
from contentfilter.content.scan import scan_document
from contentfilter.macros import digest
from contentfilter.macros.digest import is_digest
from tests.samples.compound import compound_file, vba_storage
from tests.samples.office import EMPTY, MACRO, TAME, doc, docm, docx, vba_project


def digest_of(modules: list[str]) -> str:
    return digest.digest_of(map(normal_source, modules))


CODE = 'Sub AutoOpen()\r\n  x = "A  b"\r\n  Shell x & _\r\n    ".exe"\r\nEnd Sub\r\n'


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("\r\n", "\n"),
        CODE.replace("\r\n", "\r"),
        CODE.replace("Shell", "SHELL").replace("Sub", "sub"),
        CODE.replace("  x", "\t\tx").replace(" = ", "  =\t"),
        CODE.replace("End", "\r\n \r\n\r\nEnd"),
        CODE.replace("& _\r\n    ", "& "),
        'Attribute VB_Name = "Other: name"\r\n' + CODE,
        CODE + "\0\0",
    ],
)
def test_what_office_changes_keeps_the_digest(other: str):
    assert digest_of([other]) == digest_of([CODE])


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("A  b", "A b"),
        CODE.replace("A  b", "a  b"),
        CODE.replace("Shell", "Call"),
        CODE + "' comment\r\n",
        CODE + 'Attribute x = "y": Shell "z"\r\n',
        CODE.replace('"A  b"', '"A  b" \' "'),
        CODE + TAME,
    ],
)
def test_what_changes_the_code_changes_the_digest(other: str):
    assert digest_of([other]) != digest_of([CODE])


def test_order_and_empty_modules_play_no_part_and_borders_do():
    assert digest_of([CODE, TAME]) == digest_of([TAME, "", CODE, "\r\n", 'Attribute VB_Name = "x"\r\n'])
    assert digest_of([CODE, TAME]) != digest_of([CODE + TAME])
    assert digest_of([CODE, CODE]) != digest_of([CODE])
    assert is_digest(digest_of([CODE]))


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ('Option Explicit: Sub AutoOpen(): Shell "x": End Sub', True),
        ('Attribute VB_Name = "x": Shell "y"', True),
        ('Attribute VB_Name = "x: y"', False),
        ("Attribute VB_Name = _\n: Shell x", True),
        ("Option Compare _\n Text", False),
        ("' a: b _\n c: d", False),
        ("REM: x", True),
        ("Rem\tx: y", False),
        ("rem", False),
        ("\0\0\0", False),
        ("Optional", True),
    ],
)
def test_code_behind_what_is_harmless(source: str, code: bool):
    assert has_code(normal_source(source)) is code


def test_lines_of_a_large_source_take_linear_time():
    assert sum(1 for _ in lines_of(' "' * 500_000 + "\n" * 500_000 + " _\n" * 200_000)) == 1


def digests(data: bytes) -> set[str]:
    return {finding.digest for finding in scan_document("x", data).findings}


def test_the_same_macro_has_one_digest_in_every_document():
    modules = {"Tabelle1": EMPTY.replace("' only a comment\r\n", ""), "Modul1": MACRO}
    other = compound_file({"VBA": vba_storage({"Module7": MACRO.upper().replace("\\X.EXE", "\\x.exe")})})
    assert digests(doc(MACRO)) == digests(docm(MACRO)) == digests(other) == {digest_of([MACRO])}
    assert digests(docx(extra={"x.bin": compound_file({"VBA": vba_storage(modules)})})) != digests(doc(MACRO))
    assert digests(doc(TAME)) != digests(doc(MACRO))


def test_what_was_not_read_in_whole_has_no_digest():
    broken = bytearray(vba_project(MACRO))
    assert digests(bytes(broken)) == {digest_of([MACRO])}
    cut = bytes(broken[:-900])
    assert digests(cut) <= {""}
