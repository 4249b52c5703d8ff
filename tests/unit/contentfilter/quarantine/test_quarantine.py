"""The quarantine on a real folder: octets, names, permissions, and what a failing disk leaves."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from contentfilter.disposition.verdict import Verdict
from contentfilter.quarantine import storing
from contentfilter.quarantine.entry import MAGIC, QuarantineError, entries, find, locked, read, remove
from contentfilter.quarantine.folder import prepare, usage
from contentfilter.quarantine.keeper import AGAIN, HEAD, MAX_WAITING, Quarantine
from contentfilter.session.envelope import Client, Envelope
from contentfilter.session.envelope import Path as MailPath
from contentfilter.spool.spool import Spool
from mailbase.config import QuarantineSettings
from mailbase.vocabulary import Action, Finding, Flow, Unscanned

ID = "0123456789abc"
NOW = 1795312800.25
MACRO = Finding("office-macro", "2/a\n\udcff.docm", "detail")
VERDICT = Verdict(ID, Flow.UPSTREAM, Action.QUARANTINE, MACRO, (MACRO, Unscanned("3", "encrypted")))
ENVELOPE = Envelope(
    MailPath("s@x.example", b"<s@x.example> SIZE=5 ENVID=\xe4"),
    Client("mail.x.example", "192.0.2.1", helo="a\nb"),
    [b"XFORWARD NAME=mail.x.example"],
    [MailPath("r@y.example", b"<r@y.example> NOTIFY=NEVER"), MailPath("q@y.example", b"<q@y.example>")],
)


def keep(folder: Path, wire: bytes, now: float = NOW, memory: int = 1 << 20) -> Path:
    spool = Spool(folder, memory)
    spool.write(wire)
    box = Quarantine(QuarantineSettings(folder=folder), lambda job: maybeDeferred(job))
    kept: list[Path] = []
    storing = Deferred.fromCoroutine(box.keep(VERDICT, ENVELOPE, spool, now))
    spool.close()
    storing.addCallback(kept.append)
    failures: list[BaseException] = []
    storing.addErrback(lambda failure: failures.append(failure.value))
    if failures:
        raise failures[0]
    return kept[0]


@pytest.mark.parametrize("memory", [1 << 20, 0])
def test_keeps_the_message_octet_for_octet_and_what_is_known_of_it(tmp_path, memory):
    wire = b"Subject: x\r\n\r\n..dot\r\n\r\nbare\rcr \0 \xff\r\n" + b"0123456789abcde\r\n..\r\n" * 40_000
    message = wire.replace(b"\r\n.", b"\r\n")
    path = keep(tmp_path, wire, memory=memory)
    entry = read(path)
    assert b"".join(entry.message()) == message
    known = entry.metadata
    assert (known["id"], known["flow"], known["time"]) == (ID, "upstream", "2026-11-22T02:00:00Z")
    assert (known["size"], known["sha256"]) == (len(message), hashlib.sha256(message).hexdigest())
    assert (known["sender"], known["recipients"]) == ("s@x.example", ["r@y.example", "q@y.example"])
    assert known["client"]["address"] == "192.0.2.1"
    assert known["findings"] == [
        {"name": "office-macro", "part": MACRO.part, "detail": "detail", "digest": ""}
    ]
    assert known["unscanned"] == [{"part": "3", "reason": "encrypted", "detail": ""}]
    assert known["wire"]["mail"].encode("latin-1") == ENVELOPE.sender.line
    assert known["wire"]["rcpt"] == ["<r@y.example> NOTIFY=NEVER", "<q@y.example>"]


def test_a_file_is_readable_by_its_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        path = keep(tmp_path, b"x\r\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_mail_in_the_same_moment_takes_nothing_away(tmp_path):
    paths = [keep(tmp_path, b"number %d\r\n" % i) for i in range(5)]
    assert len(set(paths)) == 5
    assert [b"".join(entry.message()) for entry in find(tmp_path, ID)] == [
        b"number %d\r\n" % i for i in range(5)
    ]


@pytest.mark.parametrize("step", ["fsync", "write", "rename", "folder"])
def test_what_is_not_on_disk_is_not_there_at_all(tmp_path, monkeypatch, step):
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    match step:
        case "fsync":
            monkeypatch.setattr(os, "fsync", full)
        case "write":
            monkeypatch.setattr(storing, "_write", full)
        case "rename":
            monkeypatch.setattr(Path, "rename", full)
        case "folder":
            monkeypatch.setattr(storing, "sync_folder", full)
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No space"):
        keep(tmp_path, b"x\r\n")
    assert len(os.listdir("/proc/self/fd")) == descriptors
    # With the folder unsynced the file may stay: it is complete, and the client tries again.
    assert len(os.listdir(tmp_path)) == (1 if step == "folder" else 0)


def test_a_message_that_was_changed_on_its_way_is_not_kept(tmp_path):
    """By a fault of the disk, or by whoever has come into the daemon: what workers get is read-only."""
    folder = tmp_path / "quarantine"
    folder.mkdir()
    spool = Spool(tmp_path, 0)
    spool.write(b"Subject: x\r\n\r\nevil\r\n")
    os.pwrite(spool._fd, b"good", 14)
    box = Quarantine(QuarantineSettings(folder=folder), lambda job: maybeDeferred(job))
    failures: list[Failure] = []
    Deferred.fromCoroutine(box.keep(VERDICT, ENVELOPE, spool, NOW)).addErrback(failures.append)
    assert failures[0].check(OSError)
    assert list(folder.iterdir()) == []


def test_a_disk_that_hangs_takes_no_more_than_so_many_messages(tmp_path):
    begun: list[Callable[[], Path]] = []
    hanging: list[Deferred[Path]] = []

    def never(job: Callable[[], Path]) -> Deferred[Path]:
        begun.append(job)
        hanging.append(Deferred())
        return hanging[-1]

    box = Quarantine(QuarantineSettings(folder=tmp_path), never)
    spool = Spool(tmp_path, 100)
    spool.write(b"x\r\n")
    outcomes: list[object] = []

    def put() -> None:
        Deferred.fromCoroutine(box.keep(VERDICT, ENVELOPE, spool, NOW)).addBoth(outcomes.append)

    for _ in range(MAX_WAITING):
        put()
    # Whether anybody still waits for them plays no part.
    hanging[0].cancel()
    put()
    assert len(begun) == MAX_WAITING
    assert isinstance(outcomes[-1], Failure)
    assert outcomes[-1].check(OSError)
    begun[0]()
    put()
    assert len(begun) == MAX_WAITING + 1
    for job in begun[1:]:
        job()


def test_content_is_synced_before_the_name_and_the_name_before_the_answer(tmp_path, monkeypatch):
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(fd: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        fsync(fd)

    def noted_rename(path: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    keep(tmp_path, b"x\r\n")
    assert steps == ["file", "rename", "folder"]


def test_listing_passes_over_what_is_no_entry(tmp_path):
    first = keep(tmp_path, b"1\r\n")
    second = keep(tmp_path, b"2\r\n", NOW + 1)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / f"20260101T000000Z-{ID}.mail").write_bytes(b"garbage")
    (tmp_path / f"20260102T000000Z-{ID}.mail").write_bytes(MAGIC + b"5\n[1,2]x")
    (tmp_path / f"20260103T000000Z-{ID}.mail").write_bytes(MAGIC + b"99999999999\n{}")
    (tmp_path / f".20270101T000000Z-{ID}.mail").write_bytes(b"unfinished")
    assert [entry.path for entry in entries(tmp_path)] == [first, second]


def test_an_unknown_id_and_a_missing_folder_are_said(tmp_path):
    with pytest.raises(QuarantineError, match="nothing in"):
        find(tmp_path, ID)
    with pytest.raises(QuarantineError, match=r"there is no folder .*makes it when it starts"):
        list(entries(tmp_path / "missing"))


def test_preparing_makes_a_private_folder(tmp_path):
    before = os.umask(0)
    try:
        prepare(tmp_path / "a" / "quarantine", NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "quarantine").stat().st_mode) == 0o700


def test_preparing_refuses_a_folder_that_others_can_read(tmp_path):
    for mode in (0o755, 0o770, 0o701, 0o702, 0o720):
        tmp_path.chmod(mode)
        with pytest.raises(QuarantineError, match=f"mode {mode:04o}.*chmod 0700"):
            prepare(tmp_path, NOW)
    tmp_path.chmod(0o750)
    prepare(tmp_path, NOW)
    (tmp_path / "file").write_text("")
    with pytest.raises(QuarantineError, match="cannot be used"):
        prepare(tmp_path / "file", NOW)


def test_preparing_clears_away_what_a_killed_daemon_left(tmp_path):
    tmp_path.chmod(0o700)
    kept = keep(tmp_path, b"x\r\n")
    old, fresh = tmp_path / ".old.mail", tmp_path / ".fresh.mail"
    for path, age in ((old, 7200), (fresh, 60), (kept, 1e7)):
        path.touch()
        os.utime(path, (NOW - age, NOW - age))
    prepare(tmp_path, NOW)
    assert sorted(tmp_path.iterdir()) == sorted([fresh, kept])


def box(folder: Path, **settings: int) -> Quarantine:
    return Quarantine(QuarantineSettings(folder=folder, **settings), lambda job: maybeDeferred(job))  # type: ignore[arg-type]


def put(quarantine: Quarantine, octets: int, verdict: Verdict = VERDICT) -> object:
    """Keep a message of so many octets; returns the file or the error."""
    spool = Spool("/tmp", 1 << 24)
    spool.write(b"x" * (octets - 2) + b"\r\n")
    outcome: list[object] = []
    Deferred.fromCoroutine(quarantine.keep(verdict, ENVELOPE, spool, NOW)).addBoth(outcome.append)
    (result,) = outcome
    return result.value if isinstance(result, Failure) else result


def test_a_full_quarantine_takes_no_more_messages(tmp_path):
    quarantine = box(tmp_path, max_messages=3)
    files = [put(quarantine, 100) for _ in range(3)]
    problem = put(quarantine, 100)
    assert isinstance(problem, OSError)
    assert "full: 3 messages of at most 3" in str(problem)
    assert len(list(tmp_path.iterdir())) == 3
    assert all(isinstance(file, Path) for file in files)


def test_a_full_quarantine_takes_no_more_octets(tmp_path):
    quarantine = box(tmp_path, max_size=1 << 20)
    assert isinstance(put(quarantine, (1 << 20) - HEAD), Path)
    assert isinstance(put(quarantine, 100), OSError)
    exact = box(tmp_path / "other", max_size=1 << 20)
    (tmp_path / "other").mkdir()
    assert isinstance(put(exact, (1 << 20) - HEAD + 1), OSError)


def test_room_that_a_command_made_is_found(tmp_path):
    moment = [0.0]
    settings = QuarantineSettings(folder=tmp_path, max_messages=1)
    quarantine = Quarantine(settings, lambda job: maybeDeferred(job), lambda: moment[0])
    first = put(quarantine, 100)
    assert isinstance(first, Path)
    assert isinstance(put(quarantine, 100), OSError)
    first.unlink()
    # Not at each mail of a flood.
    assert isinstance(put(quarantine, 100), OSError)
    moment[0] = AGAIN
    assert isinstance(put(quarantine, 100), Path)


def test_what_failed_takes_no_room(tmp_path, monkeypatch):
    quarantine = box(tmp_path, max_messages=1)
    with monkeypatch.context() as patch:
        patch.setattr(storing, "_write", lambda *_args: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        assert isinstance(put(quarantine, 100), OSError)
    assert (quarantine.usage.messages, quarantine.usage.octets) == (0, 0)
    assert isinstance(put(quarantine, 100), Path)


def test_what_is_taken_back_is_gone_and_makes_room(tmp_path):
    quarantine = box(tmp_path, max_messages=1)
    path = put(quarantine, 100)
    assert isinstance(path, Path)
    quarantine.take_back(path.name)
    assert not path.exists()
    assert quarantine.usage.messages == 0
    with pytest.raises(FileNotFoundError):
        quarantine.take_back(path.name)


def test_measuring_counts_entries_alone(tmp_path):
    path = keep(tmp_path, b"x\r\n")
    (tmp_path / ".unfinished.mail").write_bytes(b"x" * 1000)
    (tmp_path / "digests.json").write_bytes(b"{}")
    assert usage(tmp_path) == (1, path.stat().st_size)
    quarantine = box(tmp_path)
    quarantine.measure()
    assert (quarantine.usage.messages, quarantine.usage.octets) == usage(tmp_path)


def test_where_a_group_may_read_the_folder_it_may_read_the_files(tmp_path):
    tmp_path.chmod(0o750)
    assert stat.S_IMODE(keep(tmp_path, b"x\r\n").stat().st_mode) == 0o640


def test_one_at_a_time_and_only_what_is_there(tmp_path):
    path = keep(tmp_path, b"x\r\n")
    with locked(path), pytest.raises(QuarantineError, match="somebody else"), locked(path):
        pass
    with locked(path):
        remove(path)
    with pytest.raises(QuarantineError), locked(path):
        pass


def test_what_was_released_between_opening_and_locking_is_not_released_again(tmp_path, monkeypatch):
    path = keep(tmp_path, b"x\r\n")
    flock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        path.unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(QuarantineError, match="meanwhile"), locked(path):
        pass


def test_a_link_is_not_followed(tmp_path):
    target = keep(tmp_path, b"x\r\n")
    link = tmp_path / "link.mail"
    link.symlink_to(target)
    with pytest.raises(QuarantineError), locked(link):
        pass


def test_strangers_leave_room_for_what_can_be_refused_nothing(tmp_path):
    quarantine = box(tmp_path, max_messages=10)
    strange = replace(VERDICT, flow=Flow.INBOUND)
    results = [put(quarantine, 100, strange) for _ in range(12)]
    assert [isinstance(one, Path) for one in results] == [True] * 9 + [False] * 3
    assert isinstance(put(quarantine, 100), Path)
    assert isinstance(put(quarantine, 100), OSError)
