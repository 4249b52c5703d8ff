"""``contentfilter rules``: what it prints, and with which status it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contentfilter.cli import main
from contentfilter.rules.facts import FACTS
from tests.samples.honest_letters import HONEST
from tests.samples.spam_letters import SPAM

OWN = """
rules:
  room: {description: Rooms, points: 2, body: room, hits: [{text: a room}], misses: [{text: a house}]}
  part: {description: A part, body: flat}
shadow: [room]
"""


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    (tmp_path / "rules.yaml").write_text(OWN)
    (tmp_path / "postwarden.yaml").write_text("contentfilter: {rules: {shipped: false, file: rules.yaml}}\n")
    return ["--config", str(tmp_path / "postwarden.yaml")]


def test_list_has_each_rule_with_its_place(own: list[str], tmp_path: Path, capsys) -> None:
    assert main(["rules", "list", *own]) == 0
    room, part = map(json.loads, capsys.readouterr().out.splitlines())
    place = f"{tmp_path / 'rules.yaml'}:3"
    assert room == {"rule": "room", "points": 2.0, "note": "shadow", "place": place, "description": "Rooms"}
    assert part["points"] is None


def test_facts_are_listed_with_a_sentence_each(capsys) -> None:
    assert main(["rules", "facts"]) == 0
    rows = {row["fact"]: row["holds"] for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows.keys() == FACTS.keys()
    assert all(text.endswith(".") for text in rows.values())


def test_check_tries_the_mails(own: list[str], tmp_path: Path, capsys) -> None:
    assert main(["rules", "check", *own]) == 0
    assert capsys.readouterr().out == "2 rules, 2 mails, 0 wrong\n"
    (tmp_path / "rules.yaml").write_text(
        OWN.replace("a house", "a roomy house").replace("a room}", "a flat}")
    )
    assert main(["rules", "check", *own]) == 1
    told = capsys.readouterr()
    assert told.out == "2 rules, 2 mails, 2 wrong\n"
    assert f"{tmp_path / 'rules.yaml'}:3: room: does not fire on the mail hits[0]" in told.err
    assert "room: fires on the mail misses[0]" in told.err


def test_what_is_turned_off_is_no_mistake_in_the_rules_that_name_it(
    own: list[str], tmp_path: Path, capsys
) -> None:
    """Else an exception of one's own would make rules wrong that one has not written."""
    named = "  wide: {description: Wide, points: 1, all: [room], hits: [{text: We offer a room}]}\n"
    for change in ("off: [room]\n", "unless: {room: {header: to}}\n"):
        (tmp_path / "rules.yaml").write_text(OWN.replace("shadow:", f"{named}shadow:") + change)
        assert main(["rules", "check", *own]) == 0, capsys.readouterr().err


def test_check_names_rules_without_a_mail(own: list[str], tmp_path: Path, capsys) -> None:
    (tmp_path / "rules.yaml").write_text("rules: {x: {description: X, points: 1, body: x}}\n")
    assert main(["rules", "check", *own]) == 0
    assert "without a mail that they must fire on: x" in capsys.readouterr().err


def test_a_bad_file_is_told_with_its_line(own: list[str], tmp_path: Path, capsys) -> None:
    (tmp_path / "rules.yaml").write_text("rules:\n  x: {description: X, points: 1, body: '('}\n")
    for command in (["rules", "check"], ["rules", "list"], ["serve", "--check"]):
        assert main([*command, *own]) == 78
        assert (
            "rules.yaml:2: rules.x.body.matches: not an expression that RE2 reads" in capsys.readouterr().err
        )


def test_test_says_which_rules_fire_where_and_what_they_come_to(tmp_path: Path, capsys) -> None:
    mail = tmp_path / "parcel.eml"
    mail.write_bytes(SPAM["parcel"])
    (tmp_path / "letter.eml").write_bytes(HONEST["letter"])
    (tmp_path / "postwarden.yaml").write_text("{}\n")
    config = [
        "--config",
        str(tmp_path / "postwarden.yaml"),
        "--set",
        f"contentfilter.rules.file={tmp_path}/none",
    ]
    assert main(["rules", "test", str(mail), str(tmp_path / "letter.eml"), *config]) == 0
    spam, ham = map(json.loads, capsys.readouterr().out.splitlines())
    assert spam["total"] >= 5
    assert ham == {"mail": str(tmp_path / "letter.eml"), "total": 0.0, "rules": []}
    parcel = next(row for row in spam["rules"] if row["rule"] == "parcel")
    assert parcel["places"][0]["where"] == "text"
    assert "parcel could not be delivered" in parcel["places"][0]["seen"]


def test_test_does_not_count_shadows(own: list[str], tmp_path: Path, capsys) -> None:
    (tmp_path / "a.eml").write_bytes(b"Subject: room\r\n\r\nroom\r\n")
    assert main(["rules", "test", str(tmp_path / "a.eml"), *own]) == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert row["total"] == 0
    assert [rule["rule"] for rule in row["rules"]] == ["room"]


def test_a_mail_that_cannot_be_read_is_told(own: list[str], tmp_path: Path, capsys) -> None:
    assert main(["rules", "test", str(tmp_path / "none.eml"), *own]) == 2
    assert "none.eml: No such file or directory" in capsys.readouterr().err
