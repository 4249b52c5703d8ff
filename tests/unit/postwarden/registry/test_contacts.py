"""``postwarden registry contacts``: every administrator and deputy, once."""

import json

import pytest
import yaml

from postwarden import cli
from postwarden.sandbox.registered import DEPUTY, DOMAIN, PERSON, registry

EMMY = {"name": "Emmy Noether", "email": "Emmy@Faculty.example"}


@pytest.fixture
def run(tmp_path, capsys):
    content = registry()
    content["servers"]["mail.faculty.example"] = {
        "administrators": [EMMY, {**DEPUTY, "name": "C. Babbage"}],
        "deputies": [EMMY, PERSON],
    }
    content["servers"]["mail.alone.example"] = {"domains": {"alone.example": {}}}
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (tmp_path / "postwarden.yaml").write_text("registry: registry.yaml\n")

    def run(*arguments, edit=None):
        if edit:
            content["servers"]["mail.alone.example"]["administrators"] = edit
            (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        command = ["registry", "contacts", "--config", str(tmp_path / "postwarden.yaml"), *arguments]
        status = cli.main(command)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_an_address_a_line_and_each_once(run):
    assert run() == (0, f"ada@{DOMAIN}\ncharles@{DOMAIN}\nemmy@faculty.example\n", "")


def test_one_servers_people(run):
    assert run("mail.faculty.example")[1].splitlines() == [
        "emmy@faculty.example",
        f"charles@{DOMAIN}",
        f"ada@{DOMAIN}",
    ]
    assert run("mail.alone.example") == (0, "", "")


def test_an_alias(run):
    status, out, _ = run("--format", "aliases", "--name", "postmasters")
    assert status == 0
    assert out == f"postmasters:\n    ada@{DOMAIN},\n    charles@{DOMAIN},\n    emmy@faculty.example\n"
    # An alias of nobody would be a mistake to newaliases(1).
    assert run("--format", "aliases", "mail.alone.example")[1] == ""


@pytest.mark.parametrize(
    "address",
    ["|cmd@alone.example", "/etc/passwd@alone.example", "a,root@alone.example", ":include:@alone.example"],
)
def test_an_address_that_an_alias_file_would_run_or_read_is_left_out(run, address):
    status, out, err = run("--format", "aliases", edit=[{"name": "Mallory", "email": address}])
    assert status == 1
    assert address not in out
    assert f"ada@{DOMAIN}" in out
    assert err == f"postwarden: {address} has no place in an alias file; left out\n"
    # Whoever asks for JSON reads addresses, and nothing runs them.
    assert run("--format", "json")[0] == 0


def test_json_has_names_and_servers(run):
    status, out, _ = run("--format", "json")
    assert status == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            **PERSON,
            "administrates": [f"mail.{DOMAIN}"],
            "deputises": ["mail.faculty.example"],
        },
        {
            **DEPUTY,
            "administrates": ["mail.faculty.example"],
            "deputises": [f"mail.{DOMAIN}"],
        },
        {
            "name": "Emmy Noether",
            "email": "emmy@faculty.example",
            "phone": "",
            "administrates": ["mail.faculty.example"],
            "deputises": ["mail.faculty.example"],
        },
    ]


def test_a_server_that_is_not_registered(run):
    status, out, err = run("mail.nowhere.example")
    assert (status, out) == (1, "")
    assert "mail.nowhere.example is no registered server" in err


@pytest.mark.parametrize("name", ["a b", "", "a:b", "|x", "x" * 65])
def test_a_name_that_is_no_alias(run, name):
    with pytest.raises(SystemExit) as ended:
        run("--format", "aliases", "--name", name)
    assert ended.value.code == 2
