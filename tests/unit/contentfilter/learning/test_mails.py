"""The mails at a path."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from contentfilter.learning.mails import mails

Write = Callable[[str, bytes], Path]
MAIL = b"From: ada@inst.example\nTo: bob@inst.example\nSubject: hello\n\nHello.\n"
BEGIN = b"From ada@inst.example Thu Jan  1 10:00:00 2030\n"


def read(*paths: Path) -> tuple[list[bytes], list[str]]:
    """Contents, and complaints."""
    found, complaints = [], []
    for mail in mails(paths, lambda error: complaints.append(str(error))):
        found.append(os.pread(mail.descriptor, mail.size, 0))
        os.close(mail.descriptor)
    return found, complaints


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def test_a_file(write: Write) -> None:
    assert read(write("m", MAIL)) == ([MAIL], [])


def test_a_file_with_the_line_of_an_mbox(write: Write) -> None:
    assert read(write("m", BEGIN + MAIL)) == ([MAIL], [])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_an_mbox(write: Write, end: bytes) -> None:
    content = (BEGIN + MAIL + b"\n" + BEGIN + MAIL + b">From here on\nFrom here\n\n" + BEGIN + MAIL).replace(
        b"\n", end
    )
    found, complaints = read(write("box", content))
    assert [one.replace(end, b"\n").rstrip(b"\n") for one in found] == [
        MAIL.rstrip(b"\n"),
        MAIL + b"From here on\nFrom here",
        MAIL.rstrip(b"\n"),
    ]
    assert complaints == []


def test_a_maildir_without_what_is_no_mail(write: Write, tmp_path: Path) -> None:
    write("md/cur/1:2,S", MAIL)
    write("md/new/2", MAIL)
    write("md/tmp/3", MAIL)
    write("md/dovecot.index", b"\1\2\3")
    write("md/.Sent/cur/4", MAIL)
    write("md/notes.txt", b"no mail at all")
    found, complaints = read(tmp_path / "md")
    assert (len(found), complaints) == (3, [])


def test_what_is_named_and_no_mail_is_complained_of(write: Write, tmp_path: Path) -> None:
    found, complaints = read(write("n", b"no mail at all"), tmp_path / "missing", write("m", MAIL))
    assert found == [MAIL]
    assert ["neither a mail nor an mbox" in complaints[0], "No such file" in complaints[1]] == [True, True]


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert read(tmp_path / "fifo")[1] == [f"{tmp_path}/fifo: not a file"]


def test_no_descriptor_stays_open(write: Write, tmp_path: Path) -> None:
    write("box", (BEGIN + MAIL + b"\n") * 50)
    write("m", MAIL)
    before = len(os.listdir("/proc/self/fd"))
    read(tmp_path, tmp_path / "gone")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_without_mails_is_told_of(write: Write, tmp_path: Path) -> None:
    """A slip of its name must not look like mails that were learned."""
    write("papers/thesis.pdf", b"%PDF-1.4")
    (tmp_path / "md" / "cur").mkdir(parents=True)
    assert read(tmp_path / "papers", tmp_path / "md") == (
        [],
        [f"{tmp_path}/papers: no mails there", f"{tmp_path}/md: no files there"],
    )


def test_a_name_that_is_too_long_ends_nothing(write: Write, tmp_path: Path) -> None:
    found, complaints = read(tmp_path / ("x" * 5000), write("m", MAIL))
    assert (found, len(complaints), complaints[0].endswith(": File name too long")) == ([MAIL], 1, True)
