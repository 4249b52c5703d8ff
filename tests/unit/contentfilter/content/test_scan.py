"""The walk: paths, bounds, failing scanners."""

from __future__ import annotations

import random
import tempfile
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from contentfilter.content import scan
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Found, Part
from contentfilter.content.scan import scan_document, scan_message, scan_wire
from contentfilter.passwords.passwords import Passwords
from mailbase.vocabulary import Finding, Unscanned
from tests.samples.archives import plain_zip
from tests.samples.messages import HEAD, attachment, base64_lines, message, multipart, text
from tests.samples.office import MACRO, docm, docx, encrypted_ooxml


def names(result: scan.ScanResult) -> set[str]:
    return {finding.name for finding in result.findings}


def test_macro_in_an_archive_in_an_attached_message():
    inner = message(
        multipart(text(), attachment(plain_zip({"a.docm": docm()}), "report.zip"), boundary=b"in")
    )
    mail = message(multipart(text(), b"Content-Type: message/rfc822\r\n\r\n" + inner))
    result = scan_message(mail)
    assert {(finding.name, finding.part) for finding in result.findings} == {
        ("office-macro", "2.2/report.zip/a.docm"),
        ("office-macro-suspicious", "2.2/report.zip/a.docm"),
    }
    assert result.unscanned == ()


@pytest.mark.parametrize("name", ["invoice.txt", "a.jpg", "", "no extension", "a.pdf"])
@pytest.mark.parametrize("kind", ["text/plain", "image/png", "application/pdf", "nonsense"])
def test_neither_name_nor_type_hides_a_macro(name: str, kind: str):
    result = scan_message(message(multipart(text(), attachment(docm(), name, kind))))
    assert "office-macro" in names(result)


def test_clean_mail_has_no_findings():
    result = scan_message(message(multipart(text(), attachment(docx(), "a.docx"))))
    assert (result.findings, result.unscanned) == ((), ())
    assert result.parts == 4
    assert result.seconds > 0


@pytest.mark.parametrize("size", [0, 1, 5])
def test_wire_form_and_message_give_the_same(size: int):
    mail = message(multipart(text(b"..\r\n" * size), attachment(docm(), "a")))
    with tempfile.TemporaryFile() as file:
        file.write(mail.replace(b"\r\n.", b"\r\n.."))
        file.flush()
        result = scan_wire(file.fileno(), file.tell())
    expected = scan_message(mail)
    assert (result.findings, result.parts) == (expected.findings, expected.parts)


def test_document_goes_by_its_name():
    result = scan_document("../x/report.zip", plain_zip({"a.docm": docm()}))
    assert {finding.part for finding in result.findings} == {"../x/report.zip/a.docm"}


class Broken:
    name = "broken"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        yield Finding("first", part.path)
        raise RuntimeError("secret text of the mail")


class Children:
    """Hands out endless children."""

    name = "children"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        while True:
            yield part.child("c", b"x" * 100)


class Counting:
    name = "counting"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        yield Finding("seen", part.path, str(len(part.data)))


def walk(*scanners: object, options: ScanOptions | None = None, clock=lambda: 0.0) -> scan.ScanResult:
    options = options or ScanOptions()
    budget = Budget(options, clock)
    walker = scan._Walk(budget, Passwords(budget), clock, scanners)  # type: ignore[arg-type]
    return walker.run(iter((Part("p", b"data"), Part("q", b"data"))))


def test_failing_scanner_leaves_the_part_unscanned_and_the_others_at_work():
    result = walk(Broken(), Counting())
    assert result.unscanned == (
        Unscanned("p", "failed", "broken: RuntimeError"),
        Unscanned("q", "failed", "broken: RuntimeError"),
    )
    assert {finding.part for finding in result.findings if finding.name == "seen"} == {"p", "q"}
    assert "secret" not in repr(result)


def test_containers_in_containers_are_bounded():
    data = docm()
    for number in range(20):
        data = plain_zip({f"{number}.zip": data})
    result = scan_document("x.zip", data, replace(ScanOptions(), depth=10))
    assert "office-macro" not in names(result)
    assert {item.reason for item in result.unscanned} == {"too-deep"}
    deep = scan_document("x.zip", data, replace(ScanOptions(), depth=30))
    assert "office-macro" in names(deep)
    assert deep.unscanned == ()


def test_endless_children_are_bounded_by_their_number_and_size():
    few = walk(Children(), options=ScanOptions(parts=50, depth=3))
    assert "too-large" in {item.reason for item in few.unscanned}
    small = walk(Children(), options=ScanOptions(expanded=5000, depth=3))
    assert "too-large" in {item.reason for item in small.unscanned}
    assert small.parts < 60


class Loud:
    name = "loud"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        for number in range(1000):
            yield Finding("loud", part.path, str(number))
        yield Finding("quiet", part.path)


def test_many_findings_of_a_kind_do_not_crowd_out_another():
    result = walk(Loud(), options=ScanOptions(listed=10))
    assert [finding.name for finding in result.findings].count("loud") == 10
    assert "quiet" in names(result)


def test_same_finding_is_listed_once():
    assert len(walk(Counting(), Counting()).findings) == 2


def test_wall_clock_ends_the_scan():
    times = iter(range(1000))
    result = walk(Counting(), options=ScanOptions(seconds=5), clock=lambda: float(next(times)))
    assert result.unscanned[-1] == Unscanned("", "timed-out", "the rest of the message")


def test_names_from_outside_are_made_safe():
    evil = "a\r\n\x1b[0m\u202etxt.exe" + "n" * 1000
    result = scan_document(evil, plain_zip({evil: docm()}))
    for finding in result.findings:
        assert finding.part.isprintable()
        assert len(finding.part) < 300
        finding.part.encode("utf-8")


@pytest.mark.parametrize(
    "data",
    [docm(), encrypted_ooxml(docx(), "secret"), plain_zip({"a.docm": docm()})],
    ids=["docm", "encrypted", "zip"],
)
def test_document_cut_at_every_octet_is_no_crash_and_no_pass(data: bytes):
    step = 1 if len(data) < 3000 else 509  # each attempt with a password takes its time
    for size in range(4, len(data), step):
        result = scan_document("x", data[:size])
        assert "failed" not in {item.reason for item in result.unscanned}, size
        assert result.findings or result.unscanned or size < 512, size


def test_message_cut_at_every_octet_is_no_crash():
    mail = message(
        multipart(text(), attachment(docm(), "a.doc"), attachment(plain_zip({"a": b"x"}), "b.zip"))
    )
    for size in range(len(mail)):
        assert "failed" not in {item.reason for item in scan_message(mail[:size]).unscanned}, size


@pytest.mark.parametrize("begins", [b"\xab\xc1", b"\xcb\xff", b"\x89P", b"\0"], ids=bytes.hex)
def test_large_mail_takes_little_memory(begins):
    # The first two may be packets of OpenPGP, as large as all of it.
    content = begins + random.Random(16).randbytes((24 << 20) - len(begins))
    with tempfile.TemporaryFile() as file:
        file.write(HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64_lines(content))
        size = file.tell()
        file.flush()
        tracemalloc.start()
        try:
            result = scan_wire(file.fileno(), size)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert result.parts == 1
    # The decoded part, what bytearray keeps in reserve, and a few windows; not the mail.
    assert peak < 24 * 1.25 * (1 << 20) + (8 << 20)


def test_preloading_is_quiet(capfd: pytest.CaptureFixture[str]):
    scan.preload()
    scan_document("x", docm(MACRO))
    assert capfd.readouterr() == ("", "")
