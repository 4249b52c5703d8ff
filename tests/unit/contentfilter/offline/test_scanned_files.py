"""What is scanned, and as what: messages, documents, folders, and what cannot be read."""

from __future__ import annotations

import os

import pytest

from contentfilter.offline import offline
from contentfilter.offline.batch import Unreadable
from contentfilter.offline.offline import files, is_message, open_task


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("x.eml", b"", True),
        ("X.EML", b"PK\3\4", True),
        ("x", b"Received: from a\r\n\tby b\r\nSubject: x\r\n\r\n", True),
        ("x.txt", b"From: a\nTo: b\n\n", True),
        ("mbox", b"From a@b Mon Jan  1 00:00:00 2026\nReceived: x\nFrom: y\n", True),
        ("x.txt", b"Note: this\nis: a text\n", False),
        ("x.txt", b"Subject: only one line\nthen text", False),
        ("x.docx", b"PK\3\4", False),
        ("x", b"\xd0\xcf\x11\xe0", False),
        ("x", b"", False),
        ("x", b"A: " * 5000, False),
    ],
)
def test_messages_are_told_from_documents(name, head, expected):
    assert is_message(name, head[: offline.HEAD]) is expected


def test_folders_are_walked_in_order_and_other_things_passed_over(tmp_path):
    for name in ("b/2", "b/1", "a", "c/d/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    os.mkfifo(tmp_path / "b" / "fifo")
    problems: list[Unreadable] = []
    found = list(files([tmp_path, tmp_path / "missing"], problems.append))
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a", "b/1", "b/2", "c/d/e", "missing"]
    assert not problems


def test_a_folder_without_files_is_told_of(tmp_path):
    """A slip of its name must not look like a scan in which nothing was found."""
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("x")
    problems: list[Unreadable] = []
    assert list(files([tmp_path / "empty", tmp_path / "full"], problems.append)) == [tmp_path / "full" / "a"]
    assert [str(problem) for problem in problems] == [f"{tmp_path / 'empty'}: no files there"]


def test_what_cannot_be_read_is_said_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    descriptors = len(os.listdir("/proc/self/fd"))
    for name, why in (("missing", "No such file"), ("fifo", "not a file")):
        with pytest.raises(Unreadable, match=why):
            open_task(tmp_path / name)
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_what_cannot_even_be_looked_at_is_said_like_all_else(tmp_path, monkeypatch):
    """Such as a file in a folder that is closed to whoever asks: it is no reason to pass over the others."""

    def closed(path, **_options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "stat", closed)
    problems: list[Unreadable] = []
    assert list(files([tmp_path / "closed" / "a", tmp_path / ("x" * 5000)], problems.append)) == [
        tmp_path / "closed" / "a",
        tmp_path / ("x" * 5000),
    ]
    with pytest.raises(Unreadable, match="File name too long"):
        open_task(tmp_path / ("x" * 5000))
