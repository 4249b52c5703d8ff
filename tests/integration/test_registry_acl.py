"""nft itself reads the packet-filter rules that ``postwarden registry acl`` prints."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from postwarden.sandbox.nameserver import Nameserver
from postwarden.sandbox.registered import DOMAIN, registry


@pytest.fixture(scope="module")
def nft():
    """Runs nft on a file without loading it; where that may not be, in a network of its own."""
    program = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if program is None:
        pytest.fail("nft is not installed: apt-get install nftables", pytrace=False)

    def check(text: str) -> str:
        for prefix in ([], ["unshare", "--map-root-user", "--net"]):
            done = subprocess.run(
                [*prefix, program, "--check", "--file", "-"],
                input=text,
                capture_output=True,
                text=True,
                timeout=30,
            )
            if "Operation not permitted" not in done.stderr:
                break
        return done.stderr if done.returncode else ""

    return check


def acl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Prints the rules of the configuration in ``folder``."""
    command = ["registry", "acl", "--config", str(folder / "c.yaml"), "--format", "nftables"]
    return subprocess.run(
        [sys.executable, "-m", "postwarden", *command, "--interface", "wan0", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--relay", "203.0.113.1", "--relay", "2001:db8:9::1", "--direct", "mail.faculty.example"],
        ["--relay", "203.0.113.1"],
        ["--relay", "2001:db8:9::1"],
    ],
)
def test_nft_has_nothing_to_complain_about(nft, tmp_path, arguments):
    content = registry()
    del content["servers"][f"mail.{DOMAIN}"]["backup"]
    content["servers"]["mail.faculty.example"] = {"addresses": ["192.0.2.80", "2001:db8::80"]}
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "c.yaml").write_text("registry: registry.yaml\n")
    done = acl(tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert nft(done.stdout) == ""
    assert nft(done.stdout.replace("chain smtp {", "chain smtp {{")) != ""


def test_addresses_come_from_the_configured_dns_server(nft, tmp_path):
    zone = """
        gateway.example.    SOA  ns.gateway.example. h.gateway.example. 1 3600 600 86400 60
        mx.gateway.example. A    203.0.113.1
        mx.gateway.example. AAAA 2001:db8:9::1
    """
    (tmp_path / "registry.yaml").write_text("servers: {mail.inst.example: {addresses: 192.0.2.25}}\n")
    with Nameserver(zone) as server:
        (tmp_path / "c.yaml").write_text(
            "registry: registry.yaml\nidentity: {hostname: mx.gateway.example}\n"
            f"dns: {{servers: ['{server.host}:{server.port}']}}\n"
        )
        done = acl(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "203.0.113.1" in done.stdout
    assert "2001:db8:9::1" in done.stdout
    assert nft(done.stdout) == ""
