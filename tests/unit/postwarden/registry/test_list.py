"""``postwarden registry list``: everything that is registered, or what one server or one person has."""

import json

import pytest
import yaml

from postwarden import cli
from postwarden.registry.choice import complain
from postwarden.sandbox.registered import DOMAIN, registry


@pytest.fixture
def config(tmp_path):
    content = registry()
    content["servers"]["mail.faculty.example"] = {
        "administrators": [{"name": "Emmy Noether", "email": "emmy@faculty.example"}],
        "deputies": [{"name": "Ada Lovelace", "email": f"ada@{DOMAIN}"}],
        "domains": {
            "faculty.example": {"callout": False},
            "museum.example": {
                "protection": False,
                "actions": {"virus": "tag"},
                "unscanned": {"failed": "accept"},
            },
        },
    }
    content["servers"][f"mail.{DOMAIN}"]["users"] = [f"@{DOMAIN}"]
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))
    path = tmp_path / "postwarden.yaml"
    path.write_text(yaml.safe_dump({"registry": str(tmp_path / "registry.yaml")}))
    return path


def rows(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_registry_list_prints_one_object_a_line(config, capsys):
    assert cli.main(["registry", "list", "--config", str(config)]) == 0
    entries = {(row["kind"], row["entry"]) for row in rows(capsys)}
    assert ("domain", DOMAIN) in entries
    assert ("system", "192.0.2.0/24") in entries
    assert ("administrator", "Ada Lovelace") in entries
    assert ("deputy", "Charles Babbage") in entries
    assert ("backup", f"mail2.{DOMAIN}") in entries
    assert ("user", "@inst.example") in entries


@pytest.mark.parametrize("command", ["list", "contacts"])
def test_an_empty_registry_is_told_of(command, config, capsys):
    config.write_text("{}")
    assert cli.main(["registry", command, "--config", str(config)]) == 1
    assert "no server is registered" in capsys.readouterr().err


def test_a_domains_own_choices_are_noted(config, capsys):
    assert cli.main(["registry", "list", "--config", str(config), "--kind", "domain"]) == 0
    notes = {row["entry"]: row["note"] for row in rows(capsys)}
    assert notes["faculty.example"] == "callout off"
    assert notes["open.example"] == "greylisting off"
    assert notes["museum.example"] == "protection off, virus tag, failed accept"
    assert notes[DOMAIN] == ""


def test_registry_list_can_be_narrowed(config, capsys):
    arguments = ["registry", "list", "--config", str(config), "--kind", "system", f"mail.{DOMAIN}"]
    assert cli.main(arguments) == 0
    assert {row["kind"] for row in rows(capsys)} == {"system"}


def test_a_server_that_is_not_registered_is_a_negative_answer(config, capsys):
    assert cli.main(["registry", "list", "--config", str(config), "mail.nowhere.example"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "mail.nowhere.example is no registered server" in captured.err


@pytest.mark.parametrize(
    ("address", "servers"),
    [
        (f"Ada@{DOMAIN.upper()}", {f"mail.{DOMAIN}", "mail.faculty.example"}),
        (f"charles@{DOMAIN}", {f"mail.{DOMAIN}"}),
        ("emmy@faculty.example", {"mail.faculty.example"}),
    ],
)
def test_administrators_and_deputies_see_the_servers_that_they_look_after(config, capsys, address, servers):
    assert cli.main(["registry", "list", "--config", str(config), "--admin", address]) == 0
    found = rows(capsys)
    assert {row["server"] for row in found} == servers
    if f"mail.{DOMAIN}" in servers:
        assert {"192.0.2.0/24", f"printer.{DOMAIN}"} <= {row["entry"] for row in found}


def test_server_and_administrator_narrow_each_other(config, capsys):
    arguments = [
        "registry",
        "list",
        "--config",
        str(config),
        f"mail.{DOMAIN}",
        "--admin",
        "emmy@faculty.example",
    ]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == ""


def test_somebody_who_looks_after_nothing_is_a_negative_answer(config, capsys):
    arguments = ["registry", "list", "--config", str(config), "--admin", "nobody@faculty.example"]
    assert cli.main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "postwarden: nobody@faculty.example looks after no registered server\n"


def test_what_was_typed_is_shown_in_short(capsys: pytest.CaptureFixture[str]) -> None:
    assert complain(["x" * 200_000 + " is no registered server"]) == 1
    assert len(capsys.readouterr().err) < 1100
