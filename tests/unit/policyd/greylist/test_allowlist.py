"""Allowlists as postgrey has them: what each line matches, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailbase.addresses import pack
from mailbase.documents import ConfigError
from policyd.greylist.allowlist import ClientList, Line, RecipientList, read_lines

POSTGREY = Path("/etc/postgrey")


def lines(*texts: str) -> list[Line]:
    return [Line("list", number, text) for number, text in enumerate(texts, 1)]


def client(text: str, address: str, name: str = "unknown") -> bool:
    return ClientList(lines(text)).matches(pack(address), name)


@pytest.mark.parametrize(
    ("text", "name", "match"),
    [
        ("example.org", "example.org", True),
        ("example.org", "mail.example.org", True),
        ("Example.ORG", "a.b.example.org", True),
        ("example.org", "badexample.org", False),
        ("example.org", "example.org.evil.example", False),
        ("mail.example.org", "example.org", False),
        ("a.b.c.example.org", "x.a.b.c.example.org", True),
        ("example", "mail.example", True),
        ("example", "example", True),
        (".example.org", "mail.example.org", False),
        ("example.org", "unknown", False),
        ("/^mail\\d+\\.example\\.org$/", "mail17.example.org", True),
        ("/^MAIL\\d+\\./", "mail17.example.org", True),
        ("/^mail\\d+\\.example\\.org$/", "xmail17.example.org", False),
        ("/smtp/", "a.smtp.b.example", True),
        ("/^[[:alpha:]]+[[:digit:]]\\./", "mx1.example.org", True),
        ("/^\\Qmx1\\E\\.example/", "qmx1e.example.org", True),
        ("/^\\Qmx1\\E\\.example/", "mx1.example.org", False),
        ("/^(\\w)\\1\\./", "aa.example.org", True),
        ("/^(\\w)\\1\\./", "ab.example.org", False),
        ("/example\\.org\\z/", "mail.example.org", True),
    ],
)
def test_names(text: str, name: str, match: bool) -> None:
    assert client(text, "192.0.2.1", name) is match


@pytest.mark.parametrize(
    ("text", "address", "match"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.77/24", "192.0.2.1", True),
        ("192.0.2", "192.0.2.200", True),
        ("192.0.2", "192.0.3.200", False),
        ("10.1", "10.1.0.7", True),
        ("10.1", "10.1.5.7", False),
        ("0.0.0.0/0", "8.8.8.8", True),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::1", "2001:db8::1", True),
        ("2001:DB8::1", "2001:db8::2", False),
        ("2001:db8::5/64", "2001:db8::9", True),
    ],
)
def test_addresses(text: str, address: str, match: bool) -> None:
    assert client(text, address) is match


@pytest.mark.parametrize(
    ("text", "recipient", "match"),
    [
        ("postmaster@", "postmaster@anything.example", True),
        ("postmaster@", "Postmaster+x@anything.example", True),
        ("postmaster@", "xpostmaster@anything.example", False),
        ("postmaster@", "postmaster+@anything.example", False),
        ("a@inst.example", "A@Inst.Example", True),
        ("a@inst.example", "a+b+c@inst.example", True),
        ("a+b@inst.example", "a+b+c@inst.example", True),
        ("a@inst.example", "a@sub.inst.example", False),
        ("a@inst.example", "aa@inst.example", False),
        ("inst.example", "anyone@inst.example", True),
        ("inst.example", "anyone@sub.inst.example", True),
        ("inst.example", "anyone@badinst.example", False),
        ("inst.example", "inst.example", False),
        ("/^test.*@inst\\./", "Tester@inst.example", True),
        ("/^test.*@inst\\./", "x@inst.example", False),
    ],
)
def test_recipients(text: str, recipient: str, match: bool) -> None:
    assert RecipientList(lines(text)).matches(recipient) is match


def test_comments_and_empty_lines_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clients"
    path.write_text("# all comment\n\n   \n  example.org   # trailing\n/^mx#not-this/\n")
    assert [(line.number, line.text) for line in read_lines([str(path)])] == [(4, "example.org"), (5, "/^mx")]


def test_later_files_add_and_lines_keep_their_place(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("a.example\n")
    (tmp_path / "two").write_text("\nb.example")
    found = list(read_lines([str(tmp_path / "one"), str(tmp_path / "two")]))
    assert [(Path(line.source).name, line.number, line.text) for line in found] == [
        ("one", 1, "a.example"),
        ("two", 2, "b.example"),
    ]


def test_a_missing_file_is_an_error_unless_it_is_a_local_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing: cannot be read"):
        list(read_lines([str(tmp_path / "missing")]))
    assert list(read_lines([str(tmp_path / "missing.local")])) == []
    with pytest.raises(ConfigError, match="cannot be read"):
        list(read_lines([str(tmp_path)]))


@pytest.mark.parametrize("text", ["two words", "300.1.1.1", "192.0.2.0/33", "foo:bar:baz", "2001:db8::/129"])
def test_what_postgrey_skips_is_skipped_with_a_warning(text: str) -> None:
    found = ClientList(lines("example.org", text))
    (warning,) = found.warnings
    assert str(warning).startswith("list:2: skipped")
    assert found.matches(None, "example.org")


def test_two_octets_are_a_24_as_in_postgrey_and_a_warning_says_so() -> None:
    (warning,) = ClientList(lines("10.1")).warnings
    assert "10.1.0.0/24" in str(warning)
    assert "10.1.0.0/16" in str(warning)


def test_every_bad_pattern_is_told_with_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        ClientList(lines("/good/", "/(/", "example.org", "/[/"))
    assert [str(problem).partition(" not")[0] for problem in caught.value.problems] == ["list:2:", "list:4:"]
    with pytest.raises(ConfigError, match="list:1: not a regular expression"):
        RecipientList(lines("/*/"))


def test_the_shipped_lists_are_clean() -> None:
    clients = ClientList(read_lines(["data:allowlist_clients"]))
    recipients = RecipientList(read_lines(["data:allowlist_recipients"]))
    assert not clients.warnings
    assert not recipients.warnings
    assert clients.matches(pack("192.0.2.1"), "mail-ej1-f41.google.com")
    assert not clients.matches(pack("192.0.2.1"), "dsl-1-2.provider.example")
    assert recipients.matches("Abuse@inst.example")
    assert not recipients.matches("someone@inst.example")


def test_postgreys_own_files_load_unchanged(tmp_path: Path) -> None:
    names = [POSTGREY / "whitelist_clients", POSTGREY / "whitelist_recipients"]
    if not all(name.exists() for name in names):
        # Where postgrey is not installed, lines of its form.
        names = [tmp_path / "clients", tmp_path / "recipients"]
        names[0].write_text("# 2004: no retry\n/^ms-smtp.*\\.rr\\.com$/\n66.216.126.174\nmot.com\n")
        names[1].write_text("# postgrey\n\npostmaster@\nabuse@\n")
    clients = ClientList(read_lines([str(names[0])]))
    recipients = RecipientList(read_lines([str(names[1])]))
    assert [warning for warning in clients.warnings if "skipped" in warning.message] == []
    assert clients.matches(None, "ms-smtp-05.texas.rr.com")
    assert clients.matches(None, "gw.mot.com")
    assert clients.matches(pack("66.216.126.174"), "unknown")
    assert recipients.matches("postmaster@x.example")
