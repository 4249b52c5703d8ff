"""What we sign, Debian's opendkim and our own verifying find valid; dkimpy is asked in the unit tests."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from contentfilter.authentication.verify import authenticate
from contentfilter.message.wire import BytesWire
from contentfilter.signing.signature import Transmission, digest, sign
from tests.samples.dkim_keys import MADE, key, records

pytestmark = pytest.mark.integration

DOMAIN = "inst.example"
RSA, RSA_KEY = key()
EDWARDS, EDWARDS_KEY = key("ed001", "ed25519-sha256")
RECORDS = records(DOMAIN, RSA, EDWARDS)
MAILS = 60
PIECES = [b"the", b"  two", b"a\tb", b"x" * 70, b"=3D", "über".encode(), b" ", b"\t", b".", b"", b"-- "]


def words(source: random.Random, most: int) -> bytes:
    return b" ".join(source.choice(PIECES) for _ in range(source.randrange(most)))


def mail(source: random.Random) -> bytes:
    fields = [
        b"From: Ann <ann@inst.example>",
        b"To: bob@example.com,\r\n\t carol@example.com",
        b"Subject: " + words(source, 6),
        b"Date: Mon, 21 Sep 2026 10:00:00 +0000",
        b"Message-ID: <%d@inst.example>" % source.getrandbits(32),
        b"MIME-Version: 1.0",
        b"Content-Type: text/plain;\r\n charset=utf-8",
        b"Received: from a by b; Mon, 21 Sep 2026 10:00:01 +0000",
        b"List-Unsubscribe: <mailto:x@inst.example>",
        b"Cc: dave@example.com",
    ]
    chosen = fields[:1] + source.sample(fields[1:], source.randrange(len(fields)))
    source.shuffle(chosen)
    lines = [words(source, 12) for _ in range(source.randrange(20))]
    return b"".join(line + b"\r\n" for line in [*chosen, b"", *lines])


def corpus() -> list[bytes]:
    source = random.Random(20261127)
    mails = []
    for _ in range(MAILS):
        message = mail(source)
        both = sign(digest([message], Transmission()), DOMAIN, [RSA_KEY, EDWARDS_KEY], int(MADE))
        mails.append(both + message)
    return mails


def opendkim(folder: Path, mails: Sequence[bytes]) -> list[str]:
    """What it says of each mail, in its test mode."""
    (folder / "keys").write_text("".join(f"{name} {text}\n" for name, text in RECORDS.items()))
    configuration = (
        f"Syslog no\nTestDNSData file:{folder}/keys\nMode v\nAuthservID t\nAlwaysAddARHeader yes\n"
    )
    (folder / "opendkim.conf").write_text(configuration)
    names = [folder / f"{number}.eml" for number in range(len(mails))]
    for name, message in zip(names, mails, strict=True):
        name.write_bytes(message)
    command = ["stdbuf", "-o0", "opendkim", "-x", f"{folder}/opendkim.conf", "-vv", "-t"]
    ran = subprocess.run(
        [*command, ",".join(map(str, names))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ),
        timeout=60,
        check=False,
    )
    said = re.split(r"(?m)^open\w+: \S+: mlfi_eom\(\).*$", ran.stdout.decode("latin-1"))
    assert len(said) == len(mails) + 1, ran.stdout[-3000:]
    return said[:-1]


def test_opendkim_finds_it_valid(tmp_path: Path) -> None:
    # It knows no Ed25519; the first signature is the one that it looks at.
    mails = [re.sub(rb"DKIM-Signature: v=1; a=ed.*?\r\n(?! )", b"", one, flags=re.S) for one in corpus()]
    for message, said in zip(mails, opendkim(tmp_path, mails), strict=True):
        found = re.search(r"\bdkim=(\w+)", said)
        assert found is not None, said
        assert found[1] == "pass", (said, message)


def test_our_own_verifying_finds_both_valid() -> None:
    known = {name: [text.encode()] for name, text in RECORDS.items()}
    for message in corpus():
        verified = authenticate(BytesWire(message), known, MADE + 1)
        assert [(one.result, one.reason) for one in verified.signatures] == [("pass", "")] * 2, message
        changed = message.replace(b"inst.example>\r\n", b"inst.example>\r\nSubject: another\r\n", 1)
        verified = authenticate(BytesWire(changed), known, MADE + 1)
        assert "pass" not in [one.result for one in verified.signatures]
