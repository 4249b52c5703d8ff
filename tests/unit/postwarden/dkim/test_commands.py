"""``postwarden dkim new``, ``dns`` and ``rotate``, with files and no network."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import dns.rdatatype
import dns.zone
import pytest
import yaml

from contentfilter.signing.keys import public_keys
from contentfilter.signing.public import Algorithm, PublicKey
from contentfilter.signing.record import disagreement
from contentfilter.signing.standing import Sight, Standings
from contentfilter.signing.state import write
from postwarden import cli
from postwarden.dkim import keyring
from postwarden.sandbox.registered import registry
from tests.samples.dkim_keys import lay_down

Run = Callable[..., tuple[int, str, str]]
DAY = 86400.0
SELECTORS: list[tuple[str, Algorithm]] = [
    ("dkim001", "rsa-sha256"),
    ("dkim002", "rsa-sha256"),
    ("ed001", "ed25519-sha256"),
]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(registry()))
    config = tmp_path / "postwarden.yaml"
    config.write_text(
        "registry: registry.yaml\n"
        "identity:\n  hostname: mx.gateway.example\n  dkim_domain: relay.example\n"
        "  dkim_ed25519_selectors: [ed001, ed002]\n"
        "contentfilter: {signing: {keys: dkim, state: seen.json, settle: 1h, keep: 7d}}\n"
    )

    def run(*arguments: str) -> tuple[int, str, str]:
        status = cli.main(["dkim", *arguments, "--config", str(config)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def zone(text: str) -> dict[tuple[str, str], list[bytes | str]]:
    """What a name server would read, by name and type; a TXT record's strings put together."""
    read = dns.zone.from_text("$TTL 300\n" + text, origin=".", relativize=False, check_origin=False)
    found: dict[tuple[str, str], list[bytes | str]] = {}
    for name, rdataset in read.iterate_rdatasets():
        key = (str(name).rstrip("."), dns.rdatatype.to_text(rdataset.rdtype))
        found[key] = [b"".join(data.strings) if key[1] == "TXT" else str(data) for data in rdataset]
    return found


def keys(folder: Path) -> tuple[PublicKey, ...]:
    return public_keys(folder, SELECTORS, os.geteuid())


def remember(tmp_path: Path, *seen: str, used: dict[str, float] | None = None) -> None:
    """What contentfilter would have written: the keys that each domain has, long since."""
    standings = Standings(3600.0)
    sights = [(key, Sight.SEEN) for key in keys(tmp_path / "dkim") if key.selector in seen]
    for domain in ("inst.example", "open.example"):
        standings.note(domain, sights, time.time() - 2 * 3600)
    for key in keys(tmp_path / "dkim"):
        if used and key.selector in used:
            standings.used([key], used[key.selector])
    write(tmp_path / "seen.json", standings.to_dict())


def test_a_first_key(run: Run, tmp_path: Path) -> None:
    status, out, err = run("new")
    assert status == 0
    (key,) = keys(tmp_path / "dkim")
    assert disagreement(zone(out)["dkim001.relay.example", "TXT"], key) == ""
    assert max(len(piece) for piece in out.split('"')[1::2]) <= 255
    assert f"made {tmp_path}/dkim/dkim001.pem" in err
    assert stat.S_IMODE((tmp_path / "dkim" / "dkim001.pem").stat().st_mode) == 0o600


def test_the_next_selector_without_a_key(run: Run, tmp_path: Path) -> None:
    lay_down(tmp_path / "dkim", "dkim001")
    lay_down(tmp_path / "dkim", "dkim002")
    status, out, _err = run("new")
    assert (status, out.startswith('ed001.relay.example. IN TXT "v=DKIM1; k=ed25519; p=')) == (0, True)
    assert run("new", "ed002")[0] == 0
    status, out, err = run("new")
    assert (status, out) == (1, "")
    assert "every selector has a key" in err


@pytest.mark.parametrize(
    ("selector", "why"), [("dkim001", "is there already"), ("dkim009", "is none of identity.dkim_selectors")]
)
def test_a_key_that_is_not_made(run: Run, tmp_path: Path, selector: str, why: str) -> None:
    lay_down(tmp_path / "dkim", "dkim001")
    status, out, err = run("new", selector)
    assert (status, out, why in err) == (78, "", True)


def test_the_records_of_everybody(run: Run, tmp_path: Path) -> None:
    lay_down(tmp_path / "dkim", "dkim001")
    status, out, err = run("dns")
    assert (status, err) == (0, "")
    found = zone(out)
    assert disagreement(found["dkim001.relay.example", "TXT"], keys(tmp_path / "dkim")[0]) == ""
    for domain in ("inst.example", "open.example", "printer.inst.example"):
        for selector in ("dkim001", "dkim002", "ed001", "ed002"):
            assert found[f"{selector}._domainkey.{domain}", "CNAME"] == [f"{selector}.relay.example."]
    assert len([name for name, kind in found if kind == "TXT"]) == 1


def test_the_records_of_one(run: Run, tmp_path: Path) -> None:
    lay_down(tmp_path / "dkim", "dkim001")
    status, out, _err = run("dns", "mail.inst.example", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (status, {row["type"] for row in rows}) == (0, {"CNAME"})
    status, out, err = run("dns", "mail.nobody.example")
    assert (status, out, err) == (1, "", "postwarden: mail.nobody.example is no registered server\n")


def test_without_a_key(run: Run) -> None:
    for command in ("dns", "rotate", "check"):
        status, _out, err = run(command)
        assert (status, "'postwarden dkim new' makes one" in err) == (1, True), command


def test_a_key_that_others_can_read(run: Run, tmp_path: Path) -> None:
    lay_down(tmp_path / "dkim", "dkim001")
    (tmp_path / "dkim" / "dkim001.pem").chmod(0o644)
    for command in ("new", "dns", "check", "rotate"):
        status, out, err = run(command)
        assert (status, out, "chmod 600" in err) == (78, "", True)


def test_a_round(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "dkim"
    lay_down(folder, "dkim001")
    status, out, err = run("rotate")
    assert (status, list(zone(out))) == (0, [("dkim002.relay.example", "TXT")])
    assert "leave that of dkim001 as it is" in err
    new, old = keys(folder)
    assert (new.selector, old.selector) == ("dkim002", "dkim001")

    remember(tmp_path, "dkim001")
    status, out, err = run("rotate", "--remove")
    assert (status, out) == (1, "")
    assert "0 domains can sign with dkim002, 2 sign with dkim001 alone: inst.example, open.example" in err

    # Somebody who insists does not get everybody's signatures away.
    assert run("rotate", "--remove", "--force")[0] == 1
    assert len(keys(folder)) == 2


def moved(tmp_path: Path, used: float) -> None:
    """Both keys are there, and all have moved to the second."""
    lay_down(tmp_path / "dkim", "dkim001")
    path = tmp_path / "dkim" / "dkim002.pem"
    lay_down(tmp_path / "dkim", "dkim002")
    path.write_bytes(path.read_bytes().replace(b"Made: 2026-09-21", b"Made: 2026-09-22"))
    remember(tmp_path, "dkim001", "dkim002", used={"dkim001": used})


def test_the_old_key_stays_while_mail_is_on_its_way(run: Run, tmp_path: Path) -> None:
    moved(tmp_path, time.time() - 6 * DAY)
    status, out, err = run("rotate")
    assert (status, out) == (1, "")
    assert "nobody signs with dkim001 any more. Its record stays until" in err
    assert run("rotate", "--remove")[0] == 1
    assert len(keys(tmp_path / "dkim")) == 2
    assert run("rotate", "--remove", "--force")[0] == 0
    assert [key.selector for key in keys(tmp_path / "dkim")] == ["dkim002"]


def test_the_old_key_goes_and_the_next_round_begins(run: Run, tmp_path: Path) -> None:
    moved(tmp_path, time.time() - 8 * DAY)
    status, _out, err = run("rotate")
    assert (status, "dkim001 may be removed" in err, "dkim001.relay.example" in err) == (0, True, True)
    assert len(keys(tmp_path / "dkim")) == 2
    status, _out, err = run("rotate", "--remove")
    assert (status, "Take the record dkim001.relay.example away" in err) == (0, True)
    assert [key.selector for key in keys(tmp_path / "dkim")] == ["dkim002"]
    status, _out, err = run("rotate", "--remove")
    assert (status, "dkim002 is the only key" in err) == (1, True)
    status, out, _err = run("rotate")
    assert (status, list(zone(out))) == (0, [("dkim001.relay.example", "TXT")])


def test_the_other_kind(run: Run, tmp_path: Path) -> None:
    lay_down(tmp_path / "dkim", "dkim001")
    assert run("rotate", "--kind", "ed25519")[0] == 1
    run("new", "ed001")
    status, out, _err = run("rotate", "--kind", "ed25519")
    assert (status, out.startswith("ed002.relay.example.")) == (0, True)


def test_what_contentfilter_has_seen_must_be_readable(run: Run, tmp_path: Path) -> None:
    lay_down(tmp_path / "dkim", "dkim001")
    (tmp_path / "seen.json").write_text("[")
    status, _out, err = run("rotate")
    assert (status, "cannot be read" in err) == (1, True)


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("new", "dns", "check", "rotate"):
        with pytest.raises(SystemExit):
            cli.main(["dkim", command, "--help"])
        assert "Example: postwarden dkim" in capsys.readouterr().out


def test_the_keyring_of_a_configuration_that_does_not_sign(tmp_path: Path) -> None:
    config = tmp_path / "postwarden.yaml"
    config.write_text("identity: {hostname: mx.gateway.example}\n")
    assert str(keyring.read(config, []).folder) == "/var/lib/postwarden/dkim"
