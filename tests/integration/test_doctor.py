"""``postwarden doctor`` beside a real Postfix."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mailbase.config import load
from postwarden.doctor import parameters, wiring
from postwarden.doctor.postfix import NoPostfix, ask_postconf
from postwarden.sandbox.gateway import HOSTNAME, Gateway
from postwarden.sandbox.nameserver import Nameserver

EXAMPLES = Path(__file__).parents[2] / "examples"
ZONE = f"""
    {HOSTNAME}.                  A    198.51.100.1
    1.100.51.198.in-addr.arpa.   PTR  old.example.
    _spf.{HOSTNAME}.             TXT  "v=spf1 ip4:198.51.100.1 -all"
    _dmarc.gateway.example.      TXT  "v=DMARC1; p=reject"
"""


def test_the_examples_are_in_order(real_postfix, tmp_path):
    for name in ("main.cf", "master.cf"):
        shutil.copy(EXAMPLES / "postfix" / name, tmp_path)
    settings = load(EXAMPLES / "postwarden.yaml")
    postfix = ask_postconf(tmp_path)
    assert [*parameters.judge(postfix, settings), *wiring.judge(postfix, settings)] == []
    text = (tmp_path / "main.cf").read_text()
    (tmp_path / "main.cf").write_text(text + "\nsmtpd_data_restrictions =\nmaximal_queue_lifetime = 1w\n")
    found = [one.subject for one in parameters.judge(ask_postconf(tmp_path), settings)]
    assert found == ["smtpd_data_restrictions", "maximal_queue_lifetime"]


def test_what_is_no_configuration_is_said(real_postfix, tmp_path):
    with pytest.raises(NoPostfix, match=r"main\.cf"):
        ask_postconf(tmp_path)


def test_a_running_gateway_and_one_whose_daemon_is_gone(real_postfix, tmp_path):
    nameserver = Nameserver(ZONE)
    settings = {"dns": {"servers": [f"{nameserver.host}:{nameserver.port}"]}}
    link = tmp_path / "postfix"
    with Gateway(tmp_path / "gateway", settings=settings, postfix_link=link) as gateway:
        gateway.start()

        def doctor():
            command = [sys.executable, "-m", "postwarden", "doctor", "--config", str(gateway.config)]
            command += ["--postfix", str(link / "etc")]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert (done.returncode, done.stderr) == (1, "")
            return {(row["check"], row["subject"]): row for row in map(json.loads, done.stdout.splitlines())}

        found = doctor()
        assert found["name", "198.51.100.1"]["found"] == "its name old.example does not lead back to it"
        # It has no certificate; and what Postfix forbids by itself depends on its version.
        assert {key for key in found if key[0] != "name"} - {("postfix", "smtpd_forbid_bare_newline")} == {
            ("postfix", "smtpd_tls_security_level"),
            ("postfix", "smtp_tls_security_level"),
        }
        gateway.contentfilter.stop()
        assert ("daemon", "contentfilter") in doctor()
    nameserver.close()
