"""The command line: exit codes, what is scanned as what, and the quarantine's commands."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from contentfilter import cli
from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.verdict import Verdict
from contentfilter.offline import offline
from contentfilter.offline.batch import Unreadable
from contentfilter.offline.offline import Scan, files, is_message, open_task
from contentfilter.offline.progress import Progress
from contentfilter.pool.messages import Task
from contentfilter.quarantine import commands
from contentfilter.quarantine.entry import MAGIC, Entry, locked
from contentfilter.quarantine.keeper import Quarantine
from contentfilter.quarantine.release import Released
from contentfilter.session.envelope import Envelope
from contentfilter.session.envelope import Path as MailPath
from contentfilter.spool.spool import Spool
from mailbase.config import QuarantineSettings, loads
from mailbase.lists import showing
from mailbase.vocabulary import Action, Finding, Flow, Unscanned
from tests.samples.dkim_keys import lay_down

ID = "0123456789abc"
MACRO = Finding("office-macro", "a.docm", "AutoOpen")
KEYS = ["path", "disposition", "reply", "score", "seconds", "findings", "unscanned", "parts", "clues"]


def run(*arguments: str) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "postwarden.yaml"
    path.write_text(
        f"contentfilter: {{quarantine: {{folder: {tmp_path}/q}}}}\nidentity: {{hostname: mx.example.org}}\n"
    )
    return str(path)


@pytest.fixture
def quarantined(tmp_path, config):
    """One message in the quarantine; returns the file."""
    folder = tmp_path / "q"
    folder.mkdir(mode=0o700)
    spool = Spool(tmp_path, 1 << 20)
    spool.write(b"Subject: \x1b[31m\xff\r\n\r\n..dot\r\n")
    verdict = Verdict(ID, Flow.UPSTREAM, Action.QUARANTINE, MACRO, (MACRO,))
    envelope = Envelope(MailPath("s@x.example", b"<s@x.example>"), recipients=[MailPath("r@y.example", b"")])
    kept: list[Path] = []
    box = Quarantine(QuarantineSettings(folder=folder), lambda job: succeed(job()))
    Deferred.fromCoroutine(box.keep(verdict, envelope, spool, 1795312800.0)).addCallback(kept.append)
    return kept[0]


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("serve",),
        ("scan",),
        ("quarantine",),
        ("quarantine", "list"),
        ("quarantine", "show"),
        ("quarantine", "release"),
        ("quarantine", "delete"),
        ("macros",),
        ("macros", "allow"),
        ("macros", "list"),
        ("macros", "remove"),
    ],
)
def test_help_is_there_with_an_example(command, capsys):
    assert run(*command, "--help") == 0
    text = capsys.readouterr().out
    assert "Example:" in text or command in ((), ("quarantine",), ("macros",))


@pytest.mark.parametrize(
    "arguments",
    [(), ("scan",), ("scan", "--flow", "sideways", "x"), ("quarantine", "show", "../etc"), ("nonsense",)],
)
def test_wrong_usage_is_2(arguments, capsys):
    assert run(*arguments) == 2
    assert capsys.readouterr().err


def test_bad_configuration_is_78(tmp_path, capsys):
    path = tmp_path / "bad.yaml"
    path.write_text("contentfilter: {nonsense: 1}\n")
    for command in (("serve", "--check"), ("scan", "x"), ("quarantine", "list")):
        assert run(*command[:1], *command[1:], "--config", str(path)) == 78
        assert "bad.yaml:1" in capsys.readouterr().err
    assert run("scan", "--config", str(tmp_path / "missing.yaml"), "x") == 78


def test_check_says_ok_and_touches_nothing(config, tmp_path, capsys):
    assert run("serve", "--check", "--config", config) == 0
    assert capsys.readouterr().out.endswith("ok\n")
    assert not (tmp_path / "q").exists()


def test_check_looks_at_the_keys_too(tmp_path, capsys):
    path = tmp_path / "signs.yaml"
    path.write_text("contentfilter: {signing: {keys: dkim}, allowed_macros: none}\n")
    assert run("serve", "--check", "--config", str(path)) == 78
    assert "dkim cannot be used for DKIM keys: No such file" in capsys.readouterr().err
    lay_down(tmp_path / "dkim")
    assert run("serve", "--check", "--config", str(path)) == 0
    assert "signs with dkim001\n" in capsys.readouterr().out
    (tmp_path / "dkim" / "dkim001.pem").chmod(0o644)
    assert run("serve", "--check", "--config", str(path)) == 78
    assert f"chmod 600 {tmp_path}/dkim/dkim001.pem" in capsys.readouterr().err


def test_listing_the_quarantine(config, quarantined, capsys):
    assert run("quarantine", "list", "--config", config) == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert row == {
        "time": "2026-11-22T02:00:00Z",
        "id": ID,
        "flow": "upstream",
        "sender": "s@x.example",
        "recipients": ["r@y.example"],
        "size": 25,
        "findings": ["office-macro"],
        "expires": 1795312800 + 30 * 86400,
        "reason": row["reason"],
        "file": quarantined.name,
    }


def test_showing_what_is_known_and_the_message(config, quarantined, capsysbinary):
    assert run("quarantine", "show", ID, "--config", config) == 0
    assert json.loads(capsysbinary.readouterr().out)["file"] == str(quarantined)
    assert run("quarantine", "show", ID, "--message", "--config", config) == 0
    assert capsysbinary.readouterr().out == b"Subject: \x1b[31m\xff\r\n\r\n.dot\r\n"


def test_deleting(config, quarantined, capsys):
    assert run("quarantine", "delete", ID, "--config", config) == 0
    assert not quarantined.exists()
    assert run("quarantine", "delete", ID, "--config", config) == 1
    assert "nothing in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        (("--to", "r@y.example"), 1),
        (("--to", "R@Y.example"), 1),
        (("--to", "y.example"), 1),
        (("--to", "example"), 0),
        (("--from", "x.example"), 1),
        (("--from", "s@x.example", "--to", "other@y.example"), 0),
    ],
)
def test_listing_what_is_for_somebody(config, quarantined, capsys, arguments, rows):
    assert run("quarantine", "list", "--config", config, *arguments) == 0
    assert len(capsys.readouterr().out.splitlines()) == rows


def test_a_person_gets_a_table(config, quarantined, capsys, monkeypatch):
    monkeypatch.setattr(commands, "wants_json", lambda *_args: False)
    assert run("quarantine", "list", "--config", config) == 0
    head, row = capsys.readouterr().out.splitlines()
    # Both times are local.
    assert row.startswith(time.strftime("%Y-%m-%d %H:%M:%S  ", time.localtime(1795312800)))
    assert head.split() == ["TIME", "ID", "FLOW", "SENDER", "RECIPIENTS", "SIZE", "FINDINGS", "EXPIRES"]
    assert "r@y.example" in row
    assert "[" not in row


def test_a_file_that_is_none_is_complained_of(config, quarantined, capsys):
    (quarantined.parent / f"20260101T000000Z-{ID}.mail").write_bytes(b"garbage")
    assert run("quarantine", "list", "--config", config) == 0
    written = capsys.readouterr()
    assert len(written.out.splitlines()) == 1
    assert "is no quarantined message" in written.err


def test_what_is_in_use_is_neither_deleted_nor_released(config, quarantined, capsys):
    with locked(quarantined):
        for command in ("delete", "release"):
            assert run("quarantine", command, ID, "--config", config) == 1
            assert "by somebody else" in capsys.readouterr().err
    assert quarantined.exists()


def test_releasing_tells_where_it_would_have_gone(config, quarantined, capsys, monkeypatch):
    """… and goes there, if that is still configured."""
    asked: list[tuple[object, ...]] = []

    def release(entry: Entry, *about: object) -> Released:
        asked.append((entry.path, *about))
        return Released(("r@y.example",), "250 2.0.0 Ok: queued as 1", False)

    monkeypatch.setattr(commands, "release", release)
    assert run("quarantine", "release", ID, "--config", config) == 0
    assert asked == [(quarantined, "127.0.0.1:10025", "filter.mx.example.org", [], False)]
    assert capsys.readouterr().out == f"{ID} released to r@y.example: 250 2.0.0 Ok: queued as 1\n"
    quarantined.write_bytes(
        quarantined.read_bytes().replace(b'"reinject": ""', b'"reinject": "127.0.0.1:10028"')
    )
    data = quarantined.read_bytes()
    head = data[data.index(b"\n") + 1 :].partition(b"Subject:")[0]
    quarantined.write_bytes(MAGIC + b"%d\n" % len(head) + head + b"Subject:")
    assert run("quarantine", "release", ID, "--config", config, "--to", "b@z.example", "--force") == 0
    assert asked[1][1:] == ("127.0.0.1:10028", "filter.mx.example.org", ["b@z.example"], True)


@pytest.mark.parametrize(
    "address", ["nobody", "<a@b.example>", "a@b.example\r\nRCPT TO:<c>", "ä@b.example", ""]
)
def test_an_address_that_is_none_is_a_mistake(config, quarantined, address, capsys):
    assert run("quarantine", "release", ID, "--to", address, "--config", config) == 2


def test_of_several_ids_none_is_touched_if_one_is_unknown(config, quarantined, capsys):
    assert run("quarantine", "delete", ID, "1" * 13, "--config", config) == 1
    assert quarantined.exists()


# What is scanned, and as what


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


def test_what_cannot_be_read_is_said_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    descriptors = len(os.listdir("/proc/self/fd"))
    for name, why in (("missing", "No such file"), ("fifo", "not a file")):
        with pytest.raises(Unreadable, match=why):
            open_task(tmp_path / name)
    assert len(os.listdir("/proc/self/fd")) == descriptors


# A run, with a scripted pool


class FakePool:
    """Answers when told to."""

    def __init__(self) -> None:
        self.answers: dict[str, Deferred[Any]] = {}
        self.stopped = False

    def start(self) -> None: ...

    async def stop(self) -> None:
        self.stopped = True

    def submit(self, task: Task, descriptor: int) -> Deferred[Any]:
        os.close(descriptor)
        self.answers[task.name] = Deferred()
        return self.answers[task.name]


class FakeReactor:
    def __init__(self) -> None:
        self.now = 0.0
        self.stopped = False
        self.begin: Any = None

    def callWhenRunning(self, begin: Any) -> None:
        self.begin = begin

    def run(self) -> None:
        self.begin()

    def stop(self) -> None:
        self.stopped = True

    def seconds(self) -> float:
        return self.now


class Run:
    def __init__(self, *paths: Path, flow: Flow = Flow.INBOUND) -> None:
        self.pool, self.reactor = FakePool(), FakeReactor()
        self.rows: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        settings = loads("{identity: {hostname: mx.example.org}, contentfilter: {workers: {count: 2}}}")
        self.scan = Scan(
            self.reactor,
            self.pool,
            settings,
            flow,
            2,
            self.rows.append,
            self.complaints.append,  # type: ignore[arg-type]
        )
        self.scan.run(paths)

    def answer(self, name: str, result: ScanResult | ScanFailed, seconds: float = 0.25) -> None:
        self.reactor.now += seconds
        self.pool.answers[name].callback(result)


@pytest.fixture
def folder(tmp_path):
    for name in "abcd":
        (tmp_path / name).write_text("text")
    return tmp_path


def test_a_row_has_the_fields_of_the_interface(folder):
    run = Run(folder / "a")
    run.answer("a", ScanResult((MACRO,), (Unscanned("3/x.7z", "encrypted", "detail"),), 7, 9.9))
    (row,) = run.rows
    assert list(row) == KEYS
    assert row["path"] == str(folder / "a")
    assert row["disposition"] == "reject"
    assert row["reply"].startswith('554 5.7.1 The attachment "a.docm" contains a macro')
    assert row["findings"] == [{"name": "office-macro", "part": "a.docm", "detail": "AutoOpen"}]
    assert row["unscanned"] == [{"part": "3/x.7z", "reason": "encrypted"}]
    assert (row["score"], row["seconds"], row["parts"]) == (0.0, 0.25, 7)
    assert json.loads(json.dumps(row)) == row
    assert run.scan.objectionable
    assert run.pool.stopped
    assert run.reactor.stopped


def test_rows_come_in_the_order_of_the_files_and_no_more_than_there_are_workers_run(folder):
    run = Run(folder)
    assert sorted(run.pool.answers) == ["a", "b"]
    run.answer("b", ScanResult())
    assert sorted(run.pool.answers) == ["a", "b", "c"]
    assert run.rows == []
    run.answer("a", ScanResult())
    assert [Path(row["path"]).name for row in run.rows] == ["a", "b"]
    run.answer("d", ScanResult())
    run.answer("c", ScanResult())
    assert [Path(row["path"]).name for row in run.rows] == list("abcd")
    assert not run.scan.objectionable


def test_a_run_that_nobody_listens_to_ends_without_a_word(folder, monkeypatch):
    def closed(row: object) -> None:
        raise BrokenPipeError

    run = Run(folder)
    monkeypatch.setattr(run.scan, "_show", closed)
    run.answer("a", ScanResult())
    assert run.pool.stopped
    run.answer("b", ScanFailed("workers", "unavailable", "the pool is not running"))
    assert run.complaints == []


@pytest.mark.parametrize(("reason", "gap"), [("crashed", "failed"), ("timed-out", "timed-out")])
def test_a_worker_that_fails_is_no_clean_file(folder, reason, gap):
    run = Run(folder / "a")
    run.answer("a", ScanFailed("workers", reason, "worker ended: SIGSEGV"))
    (row,) = run.rows
    assert (row["disposition"], row["unscanned"]) == ("defer", [{"part": "", "reason": gap}])
    assert row["reply"].startswith("451 4.3.0")
    assert run.scan.objectionable
    assert "SIGSEGV" in run.complaints[0]


def test_a_finding_that_policy_accepts_is_a_finding(folder):
    run = Run(folder / "a")
    run.answer("a", ScanResult((Finding("pdf-owner-restricted", "a"),)))
    assert run.rows[0]["disposition"] == "accept"
    assert run.scan.objectionable


def test_clues_and_findings_come_to_a_score(folder):
    run = Run(folder / "a")
    clues = (Clue("url.listed", "x.example", 5.0), Clue("rule.trial", "", 9.0, shadow=True))
    run.answer("a", ScanResult((Finding("pdf-owner-restricted", "a"),), clues=clues))
    (row,) = run.rows
    assert (row["score"], row["disposition"]) == (5.5, "tag")
    assert row["clues"] == [
        {"name": "rule.trial", "points": 9.0, "shadow": True, "detail": ""},
        {"name": "url.listed", "points": 5.0, "shadow": False, "detail": "x.example"},
        {"name": "pdf-owner-restricted", "points": 0.5, "shadow": False, "detail": "a"},
    ]


@pytest.mark.parametrize(("points", "disposition"), [(4.9, "accept"), (9.0, "tag"), (15.0, "reject")])
def test_a_score_decides_as_if_the_mail_had_waited(folder, points, disposition):
    run = Run(folder / "a")
    run.answer("a", ScanResult(clues=(Clue("url.listed", "", points),)))
    assert run.rows[0]["disposition"] == disposition


def test_the_flow_decides(folder):
    run = Run(folder / "a", flow=Flow.UPSTREAM)
    run.answer("a", ScanResult((MACRO,)))
    assert run.rows[0]["disposition"] == "quarantine"


def test_an_unreadable_file_does_not_end_the_run(folder):
    run = Run(folder / "missing", folder / "a")
    run.answer("a", ScanResult())
    assert len(run.rows) == 1
    assert run.scan.unreadable
    assert "No such file" in run.complaints[0]


@pytest.mark.parametrize(
    ("unreadable", "objectionable", "code"),
    [(False, False, 0), (False, True, 1), (True, False, 2), (True, True, 2)],
)
def test_exit_codes_of_a_scan(monkeypatch, config, unreadable, objectionable, code):
    class Fake:
        def __init__(self) -> None:
            self.unreadable, self.objectionable = unreadable, objectionable

        def run(self, paths: object) -> None: ...

    monkeypatch.setattr(offline, "make_scan", lambda *_arguments: Fake())
    assert run("scan", "--config", config, "x") == code


@pytest.mark.parametrize(
    ("arguments", "jobs"),
    [
        (("FOLDER",), 8),
        (("--jobs", "3", "FOLDER"), 3),
        (("--set", "contentfilter.workers.count=12", "FOLDER"), 12),
        (("x",), 1),
        (("x", "y"), 2),
        (("--jobs", "1", "x", "y"), 1),
        (("x", "FOLDER"), 8),
    ],
)
def test_as_many_at_once_as_there_are_processors_or_files_or_as_is_said(
    monkeypatch, tmp_path, config, arguments, jobs
):
    asked: list[object] = []

    class Fake:
        unreadable = objectionable = False

        def run(self, paths: object) -> None: ...

    def make_scan(_reactor, _settings, _flow, jobs, *_more):
        asked.append(jobs)
        return Fake()

    monkeypatch.setattr(offline, "make_scan", make_scan)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    paths = [str(tmp_path) if word == "FOLDER" else word for word in arguments]
    assert run("scan", "--config", config, *paths) == 0
    assert asked == [jobs]


@pytest.mark.parametrize("jobs", ["0", "257", "-1", "many", "\u0663"])
def test_how_many_at_once_is_a_number(config, jobs):
    assert run("scan", "--config", config, "--jobs", jobs, "x") == 2


def test_a_configuration_with_a_mistake_scans_nothing(config, capsys):
    assert run("scan", "--config", config, "--set", "contentfilter.workers.count=0", "x") == 78
    assert "contentfilter.workers.count" in capsys.readouterr().err


class Terminal(io.StringIO):
    def __init__(self, there: bool = True) -> None:
        super().__init__()
        self.there = there

    def isatty(self) -> bool:
        return self.there


def test_a_terminal_sees_how_far_it_is_now_and_then():
    stream, now = Terminal(), [10.0]
    progress = Progress(stream, lambda: now[0])
    for number in range(40):
        now[0] += 0.01
        progress.step(objectionable=number % 10 == 0)
    assert stream.getvalue().count("files") == 1
    now[0] += 1
    progress.step(objectionable=False)
    assert stream.getvalue().endswith("41 files, 4 with something in them, 29/s")
    progress.clear()
    assert stream.getvalue().endswith("\r\x1b[K")
    before = stream.getvalue()
    progress.clear()
    assert stream.getvalue() == before


def test_a_file_sees_no_progress():
    stream, now = Terminal(there=False), [0.0]
    progress = Progress(stream, lambda: now[0])
    for _ in range(5):
        now[0] += 1
        progress.step(objectionable=True)
    progress.clear()
    assert stream.getvalue() == ""


def test_nothing_in_a_name_disturbs_the_terminal(monkeypatch):
    output = io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    cli._print_line(
        {
            "path": "a\x1b[31m\n\udcff",
            "disposition": "reject",
            "findings": [{"name": "virus", "part": "\x07\r\n"}],
            "unscanned": [{"part": "", "reason": "failed"}],
        }
    )
    assert output.getvalue().count("\n") == 1
    assert all(32 <= ord(letter) < 127 for letter in output.getvalue()[:-1])


@pytest.mark.parametrize(("state", "status"), [("on", 0), ("untested", 0), ("off", 1)])
def test_lists_of_links_are_shown(config, capsys, monkeypatch, state, status):
    rows = [{"list": "a", "state": "on"}, {"list": "b", "state": state, "detail": "no answer"}]
    monkeypatch.setattr(showing, "ask", lambda path, verb: iter(rows) if verb == "lists" else None)
    assert run("lists", "--config", config) == status
    assert [json.loads(line)["list"] for line in capsys.readouterr().out.splitlines()] == ["a", "b"]


def test_lists_of_a_daemon_that_is_not_there(config, capsys):
    assert run("lists", "--config", config, "--set", "contentfilter.control=/nonexistent/socket") == 1
    assert "contentfilter:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "nothing is in the quarantine"), (("--to", "inst.example"), "nothing of it is in the quarantine")],
)
def test_an_empty_quarantine_says_so_on_standard_error(config, tmp_path, capsys, arguments, said):
    (tmp_path / "q").mkdir()
    assert run("quarantine", "list", "--config", config, *arguments) == 0
    told = capsys.readouterr()
    assert (told.out, told.err.strip()) == ("", said)


def test_no_lists_are_told(config, capsys, monkeypatch):
    monkeypatch.setattr(showing, "ask", lambda path, verb: iter(()))
    assert run("lists", "--config", config) == 0
    assert capsys.readouterr().err == "no list is asked\n"
