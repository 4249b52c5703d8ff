"""nft itself reads the packet-filter rules that ``postwarden registry acl`` prints."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import yaml

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
    command = ["registry", "acl", "--config", str(tmp_path / "c.yaml"), "--format", "nftables"]
    done = subprocess.run(
        [sys.executable, "-m", "postwarden", *command, "--interface", "wan0", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert nft(done.stdout) == ""
    assert nft(done.stdout.replace("chain smtp {", "chain smtp {{")) != ""
