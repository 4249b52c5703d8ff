"""The command line of postwarden: configuration, exit statuses, help."""

import json

import pytest
import yaml

from postwarden import cli
from postwarden.sandbox.registered import DOMAIN, registry, served


@pytest.fixture
def config(tmp_path):
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(registry()))
    path = tmp_path / "postwarden.yaml"
    path.write_text(yaml.safe_dump({"registry": str(tmp_path / "registry.yaml")}))
    return path


def test_a_bad_configuration_ends_with_78_and_names_the_line(tmp_path, capsys):
    path = tmp_path / "postwarden.yaml"
    path.write_text("policyd:\n  greylist:\n    delai: 5m\n")
    assert cli.main(["registry", "list", "--config", str(path)]) == 78
    assert "postwarden.yaml:3" in capsys.readouterr().err


def test_a_missing_configuration_ends_with_78(tmp_path, capsys):
    assert cli.main(["registry", "list", "--config", str(tmp_path / "none.yaml")]) == 78
    assert "none.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["registry"], ["registry", "list", "--kind", "x"], ["demo", "--keep", "--exit"]]
)
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["registry", "list", "--help"]])
def test_help_is_there_with_an_example(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 0
    assert len(arguments) == 1 or "Example: postwarden" in capsys.readouterr().out


def test_set_overrides_the_file(config, tmp_path, capsys):
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({"servers": {"mail.other.example": {"domains": {"other.example": {}}}}}))
    assert cli.main(["registry", "list", "--config", str(config), "--set", f"registry={other}"]) == 0
    assert json.loads(capsys.readouterr().out)["server"] == "mail.other.example"


def test_served_names_are_domains_and_host_names_only():
    assert set(served(registry())) == {DOMAIN, "open.example", f"printer.{DOMAIN}", f"mail2.{DOMAIN}"}


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_demo_folder_that_cannot_be_used_is_said_in_a_sentence(tmp_path, capsys, name):
    (tmp_path / "file").write_text("not a folder")
    assert cli.main(["demo", "--no-sudo", "--folder", str(tmp_path / name)]) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"postwarden demo: {tmp_path / name} cannot be used: ")
    assert complaint.count("\n") == 1
