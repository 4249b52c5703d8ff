"""``contentfilter tune`` with its real workers, on mails of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from postwarden.demo import documents, samples

PROGRAM = str(Path(sys.executable).with_name("contentfilter"))


@pytest.fixture(scope="module")
def mails(tmp_path_factory):
    """Ham and spam; the spam has a file that is not what its name says, which is worth points."""
    folder = tmp_path_factory.mktemp("mails")
    page = samples.Attachment("photo.jpg", "image/jpeg", documents.docx(["Not a photo."]))
    for kind, attachments in (("ham", ()), ("spam", (page,))):
        (folder / kind).mkdir()
        for number in range(4):
            mail = samples.mail(f"{kind}-{number}", attachments=attachments)
            (folder / kind / f"{number}.eml").write_bytes(mail)
    return folder


def tune(*words: object) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "tune", "--jobs", "2", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120.0)


def test_ham_and_spam_are_judged_and_told_apart(mails, tmp_path):
    result = tmp_path / "figures.json"
    done = tune("--ham", mails / "ham", "--spam", mails / "spam", "--json", result, "--mails")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4 ham and 4 spam; points of flow inbound, in force: tag_at 5")
    told = json.loads(result.read_text())
    points = {mail["path"]: mail["points"] for mail in told["mails"]}
    for number in range(4):
        assert points[str(mails / "spam" / f"{number}.eml")] > points[str(mails / "ham" / f"{number}.eml")]
    assert "name-mismatch" in {clue["name"] for clue in told["clues"]}


def test_what_is_in_both_folders_or_in_none_is_said(mails, tmp_path):
    done = tune("--ham", mails, "--spam", mails / "spam")
    assert done.returncode == 2
    assert "is among both ham and spam" in done.stderr
    done = tune("--ham", mails / "ham", "--spam", tmp_path)
    assert done.returncode == 2
    assert "no spam there" in done.stderr
