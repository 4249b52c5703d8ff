"""Allowed macros: entries, their file, what they excuse, and the commands."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import pytest

from contentfilter import cli
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.macros import file as macro_file
from contentfilter.macros.allowlist import ALLOWED, Allowlist
from contentfilter.macros.entry import Entry, entry_from, entry_of
from contentfilter.macros.file import MAX_ENTRIES, AllowlistError, change, read
from mailbase.logs import Log
from mailbase.vocabulary import Finding

M, N = "a" * 40, "b" * 40
NOW = 1_795_312_800.0
MACRO = Finding("office-macro", "a.docm", "VBA in x", M)
SUSPICIOUS = Finding("office-macro-suspicious", "a.docm", "AutoOpen", M)
OTHER = Finding("office-macro", "b.docm", "VBA in y", N)
VIRUS = Finding("virus", "", "Eicar")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "allowed.json"


class Scene:
    def __init__(self, path, *entries: Entry) -> None:
        self.now = NOW
        self.output = io.StringIO()
        change(path, lambda _old: entries)
        self.allowlist = Allowlist(path, Log("test", stream=self.output), lambda: self.now)

    def names(self, *findings: Finding, sender: str = "s@x.example", to: str = "r@a.example") -> list[str]:
        [result] = self.allowlist.excuse([ScanResult(findings)], sender, to.split())
        assert isinstance(result, ScanResult)
        return [finding.name for finding in result.findings]


def test_an_allowed_macro_is_called_so_and_nothing_else_is_excused(path):
    scene = Scene(path, entry_of(M, "a.example"))
    assert scene.names(MACRO, SUSPICIOUS) == [ALLOWED]
    assert scene.names(MACRO, SUSPICIOUS, OTHER, VIRUS) == [ALLOWED, "office-macro", "virus"]
    assert scene.names(Finding("executable", "x", "", M)) == ["executable"]


def test_it_is_for_its_domain_and_no_other(path):
    scene = Scene(path, entry_of(M, "a.example"))
    assert scene.names(MACRO, to="R@A.EXAMPLE.") == [ALLOWED]
    for to in (
        "r@b.example",
        "r@a.example r@b.example",
        "r@sub.a.example",
        "r@xa.example",
        '"@a.example"@b.example',
        "",
    ):
        assert scene.names(MACRO, to=to) == ["office-macro"], to


def test_each_recipient_may_be_allowed_by_another_entry(path):
    scene = Scene(
        path, entry_of(M, "a.example"), entry_of(M, "b.example", "x.example"), entry_of(N, "c.example")
    )
    assert scene.names(MACRO, to="r@a.example r@b.example") == [ALLOWED]
    assert scene.names(MACRO, to="r@a.example r@b.example", sender="s@y.example") == ["office-macro"]
    assert scene.names(MACRO, to="r@c.example") == ["office-macro"]


def test_a_sender_narrows_it(path):
    scene = Scene(path, entry_of(M, sender="x.example"))
    assert scene.names(MACRO, to="r@anywhere.example") == [ALLOWED]
    assert scene.names(MACRO, sender="s@y.example") == ["office-macro"]
    assert scene.names(MACRO, sender="") == ["office-macro"]
    assert scene.names(MACRO, sender="s@x.example@y.example") == ["office-macro"]


def test_it_ends(path):
    scene = Scene(path, entry_of(M, "a.example", expires=NOW + 10))
    assert scene.names(MACRO) == [ALLOWED]
    scene.now += 10
    assert scene.names(MACRO) == ["office-macro"]


def test_failed_scans_stay_what_they_are(path):
    failed = ScanFailed("clamd", "unavailable")
    results = Scene(path, entry_of(M, "a.example")).allowlist.excuse(
        [ScanResult((MACRO,)), failed], "", ["r@a.example"]
    )
    assert results[1] is failed


def test_changes_are_seen_and_a_damaged_file_changes_nothing(path):
    scene = Scene(path)
    assert scene.names(MACRO) == ["office-macro"]
    change(path, lambda _old: [entry_of(M, "a.example")])
    assert scene.names(MACRO) == [ALLOWED]
    path.write_text("{")
    assert scene.names(MACRO) == [ALLOWED]
    assert scene.names(MACRO) == [ALLOWED]
    assert scene.output.getvalue().count("allowed-macros-unreadable") == 1
    path.unlink()
    assert scene.names(MACRO) == ["office-macro"]


def test_a_file_that_nobody_may_read_is_told_at_once(path, monkeypatch):
    scene = Scene(path, entry_of(M, "a.example"))

    def forbidden(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.open", forbidden)
        scene.allowlist.refresh()
    assert "Permission denied" in scene.output.getvalue()
    assert scene.names(MACRO) == ["office-macro"]


def test_another_file_after_a_reload(path):
    scene = Scene(path, entry_of(M, "a.example"))
    assert scene.names(MACRO) == [ALLOWED]
    scene.allowlist.path = path.with_name("other.json")
    scene.allowlist.refresh()
    assert scene.names(MACRO) == ["office-macro"]


def test_without_a_macro_no_file_is_touched(path):
    allowlist = Allowlist(path / "no" / "such", Log("test", stream=io.StringIO()), lambda: NOW)
    results = [ScanResult((VIRUS,))]
    assert allowlist.excuse(results, "", []) == results


# The file.


def test_entries_survive_being_written(path):
    entries = [
        entry_of(M, "a.example", "b.example", expires=NOW, added=NOW, by="ada", why="form ü"),
        entry_of(N, "c.example"),
    ]
    change(path, lambda _old: entries)
    assert read(path) == entries
    assert oct(path.stat().st_mode & 0o777) == "0o640"
    assert [name for name in os.listdir(path.parent) if name != path.name] == []


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", "1", "nul", '{"macro": "x", "to": "a.example"}', json.dumps({"macro": M}),
        json.dumps({"macro": M, "to": "a b"}), json.dumps({"macro": M, "to": 1}),
        json.dumps({"macro": M, "to": "a.example", "expires": "x"}),
        json.dumps({"macro": M, "to": "a.example", "added": True}), "[" * 100_000, "\xff",
    ],
)  # fmt: skip
def test_a_damaged_file_is_told_with_its_line(path, line: str):
    path.write_bytes(b"\n" + line.encode("latin-1"))
    with pytest.raises(AllowlistError, match=r"allowed\.json:2: "):
        read(path)


def test_what_is_no_line_of_ours_is_told_in_the_operators_words(path):
    for line in (b"\xff", b"x", b"1", b"[" * 100_000):
        path.write_bytes(line)
        with pytest.raises(
            AllowlistError, match=r":1: expected a line as 'contentfilter macros allow' writes"
        ):
            read(path)


def test_the_file_is_bounded(path):
    entry = json.dumps(entry_of(M, "a.example").to_dict())
    path.write_text("\n".join(entry.replace("a.example", f"a{n}.example") for n in range(MAX_ENTRIES + 1)))
    with pytest.raises(AllowlistError, match="more than 10000"):
        read(path)
    path.write_bytes(b" " * (5 << 20))
    with pytest.raises(AllowlistError, match="larger than 4 MiB"):
        read(path)


def test_a_change_that_fails_leaves_the_old_file(path):
    change(path, lambda _old: [entry_of(M, "a.example")])

    def fail(_old: list[Entry]) -> list[Entry]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        change(path, fail)
    assert len(read(path)) == 1
    with pytest.raises(AllowlistError, match="there is no folder"):
        change(path.parent / "none" / "x", lambda old: old)


def test_who_may_not_change_it_is_told_who_may(path, monkeypatch):
    def refuse(_path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(macro_file, "_lock", refuse)
    with pytest.raises(AllowlistError, match="or with sudo"):
        change(path, list)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", "a.example"), "40 hexadecimal digits"),
        ((M,), "expected the domain"),
        ((M, "a b"), "expected a domain"),
        ((M, "", "@"), "expected a domain"),
    ],
)
def test_what_cannot_be_meant(arguments, message: str):
    with pytest.raises(ValueError, match=message):
        entry_of(*arguments)


def test_an_entry_in_other_words():
    assert entry_of(f"#{M.upper()} ", "@A.Example.") == entry_of(M, "a.example")
    assert entry_of(M, "bücher.example").to == "xn--bcher-kva.example"
    assert entry_from(entry_of(M, "a.example").to_dict()) == entry_of(M, "a.example")


# The commands.


@pytest.fixture
def run(tmp_path, path):
    config = tmp_path / "postwarden.yaml"
    config.write_text(f"contentfilter: {{allowed_macros: {path}}}\n")

    def command(*arguments: str) -> int:
        try:
            return cli.main(("macros", arguments[0], "--config", str(config), *arguments[1:]))
        except SystemExit as end:
            return int(end.code or 0)

    return command


def test_allow_list_and_remove(run, path, capsys, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ada")
    assert run("allow", M, "--to", "a.example", "--to", "b.example", "--for", "30d", "--why", "form") == 0
    assert "from anybody to b.example until" in capsys.readouterr().out
    assert run("allow", N, "--from", "c.example", "--by", "bob") == 0
    assert run("allow", M, "--to", "a.example", "--until", "2099-01-01") == 0
    capsys.readouterr()
    assert run("list", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["macro"], row["to"], row["from"], row["by"]) for row in rows] == [
        (M, "a.example", "", "ada"),
        (M, "b.example", "", "ada"),
        (N, "", "c.example", "bob"),
    ]
    assert rows[0]["expires"] > rows[1]["expires"]
    assert run("remove", "aaaa", "--to", "b.example") == 0
    assert len(read(path)) == 2
    assert run("remove", "") == 1
    assert run("remove", "cc") == 1
    assert len(read(path)) == 2
    assert run("remove", "b") == run("remove", M) == 0
    assert read(path) == []
    assert run("list") == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("allow", M),
        ("allow", "x", "--to", "a.example"),
        ("allow", M, "--to", "a.example", "--until", "2001-01-01"),
        ("allow", M, "--to", "a.example", "--for", "soon"),
        ("allow", M, "--to", "a.example", "--until", "soon"),
        ("allow", M, "--to", "a.example", "--for", "1d", "--until", "2099-01-01"),
    ],
)
def test_wrong_use(run, arguments, path):
    assert run(*arguments) == 2
    assert not path.exists()


def test_check_tells_of_a_damaged_file(tmp_path, path, capsys):
    config = tmp_path / "postwarden.yaml"
    config.write_text(f"contentfilter: {{allowed_macros: {path}}}\nidentity: {{hostname: mx.example.org}}\n")
    path.write_text("x")
    assert cli.main(("serve", "--check", "--config", str(config))) == 1
    assert "allowed.json:1:" in capsys.readouterr().err


def test_the_usual_configuration_need_not_be_named(tmp_path, path, capsys, monkeypatch):
    config = tmp_path / "postwarden.yaml"
    config.write_text(f"contentfilter: {{allowed_macros: {path}}}\n")
    monkeypatch.setattr(cli, "DEFAULT_CONFIG", config)
    assert cli.main(("macros", "allow", M, "--to", "a.example")) == 0
    assert cli.main(("macros", "list")) == 0
    assert cli.main(("macros", "remove", M)) == 0
    assert "no longer allowed" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_told_with_what_makes_it(tmp_path):
    with pytest.raises(
        AllowlistError, match=f"no folder {tmp_path}/state; make it first.*install -d -o postwarden"
    ):
        change(tmp_path / "state" / "macros", lambda entries: entries)


def test_nothing_is_taken_back_where_nothing_was_ever_allowed(tmp_path, capsys):
    config = tmp_path / "postwarden.yaml"
    config.write_text(f"contentfilter: {{allowed_macros: {tmp_path}/state/macros}}\n")
    assert cli.main(("macros", "remove", M, "--config", str(config))) == 1
    assert "not exactly one macro is meant; contentfilter macros list" in capsys.readouterr().err


def test_no_macro_is_meant_by_no_digit_of_its_digest(run, path):
    assert run("allow", M, "--to", "a.example") == 0
    assert run("remove", "#") == 1
    assert len(read(path)) == 1
