"""``postwarden registry check`` with a DNS server, real sockets and real TLS."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
import yaml

from postwarden.sandbox.nameserver import Nameserver
from postwarden.sandbox.sink import Sink
from tests.integration import certificates

ZONE = """
    good.example.             MX  10 mx1.gate.example.
    good.example.             MX  10 mx2.gate.example.
    printer.good.example.     MX  10 mx1.gate.example.
    printer.good.example.     MX  10 mx2.gate.example.
    mail.good.example.        A   192.0.2.25
    25.2.0.192.in-addr.arpa.  PTR mail.good.example.
    bad.example.              MX  10 mx1.gate.example.
    bad.example.              MX  20 mail.bad.example.
    mail.bad.example.         A   192.0.2.99
    99.2.0.192.in-addr.arpa.  PTR elsewhere.example.
"""


def knows(*addresses):
    return lambda path: b"250 2.1.5 Ok" if path.strip(b"<>").decode() in addresses else b"550 5.1.1 no"


@pytest.fixture(scope="module")
def nameserver():
    server = Nameserver(ZONE)
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path, nameserver):
    """Configuration and registry of two servers, one of them in order."""
    good_pem = certificates.write(tmp_path, "mail.good.example")
    bad_pem = certificates.write(tmp_path, "other.example", days=-1)
    good = Sink(on_recipient=knows("ada@good.example"), tls=certificates.context(good_pem), host="::1")
    bad = Sink(tls=certificates.context(bad_pem))
    config = {
        "identity": {"hostname": "mx1.gate.example", "relays": ["mx1.gate.example", "mx2.gate.example"]},
        "dns": {"servers": [f"{nameserver.host}:{nameserver.port}"]},
        "registry": "registry.yaml",
        "policyd": {
            "callout": {
                "test_targets": {
                    "mail.good.example": f"[::1]:{good.port}",
                    "mail.bad.example": f"127.0.0.1:{bad.port}",
                }
            }
        },
    }
    registry = {
        "servers": {
            "mail.good.example": {
                "addresses": ["192.0.2.25"],
                "domains": {"good.example": {"existing": "ada@good.example", "unknown": "eve@good.example"}},
                "systems": ["printer.good.example"],
            },
            "mail.bad.example": {"domains": {"bad.example": {"unknown": "eve@bad.example"}}},
        }
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(registry))
    yield tmp_path
    good.close()
    bad.close()


def command(folder, *arguments):
    return [
        *(sys.executable, "-m", "postwarden", "registry", "check", "--config", str(folder / "config.yaml")),
        *("--authorities", str(folder / "mail.good.example.pem")),
        *arguments,
    ]


def check(folder, *arguments):
    return subprocess.run(
        command(folder, *arguments), capture_output=True, text=True, timeout=60, check=False
    )


def test_a_server_in_order(folder):
    done = check(folder, "mail.good.example")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_server_that_is_not(folder):
    done = check(folder)
    assert done.returncode == 1
    assert done.stderr == ""
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["server"] for row in rows} == {"mail.bad.example"}
    found = {(row["check"], row["severity"], row["found"].partition(" 20")[0]) for row in rows}
    assert found == {
        ("mx", "error", "does not lead to mx2.gate.example"),
        (
            "mx",
            "warning",
            "leads to mail.bad.example as well, behind the relays: mail gets around the gateway",
        ),
        ("ptr", "warning", "its name elsewhere.example does not lead back to it"),
        ("callout", "warning", "its registration names no existing address"),
        ("callout", "error", "should not exist, and is accepted: 250 2.1.5 Ok"),
        ("certificate", "warning", "the certificate is for another name"),
        ("certificate", "warning", "the certificate ended"),
        ("certificate", "warning", "the certificate is not trusted: it is signed by itself"),
    }


def test_a_terminal_shows_progress_and_a_table(folder):
    screen, terminal = pty.openpty()
    with subprocess.Popen(command(folder), stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        text = b""
        while True:
            try:
                piece = os.read(screen, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(screen)
        assert process.wait(timeout=60) == 1
    assert b"checked 1 of " in text
    assert b"severity" in text
    assert text.index(b"checked 1 of ") < text.index(b"severity")


def test_a_server_that_is_not_registered_is_told(folder):
    done = check(folder, "mail.nowhere.example")
    assert done.returncode == 1
    assert "mail.nowhere.example is no registered server" in done.stderr
    assert done.stdout == ""


def test_a_dead_dns_server_is_said_and_ends(folder, nameserver):
    done = check(
        folder, "mail.good.example", "--set", "dns.servers=[127.0.0.1:1]", "--set", "dns.deadline=1s"
    )
    assert done.returncode == 1
    assert {json.loads(line)["check"] for line in done.stdout.splitlines()} == {"mx", "forward", "ptr"}
