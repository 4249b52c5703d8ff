"""A real clamd, with one signature of our own making, behind contentfilter."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import pytest

from postwarden.demo import documents, samples
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import Gateway, Rewired
from postwarden.sandbox.processes import Process

SIGNATURE = "Postwarden-Test-File"


@pytest.fixture(scope="module")
def clamd(clamd_program, guard):
    """clamd on a UNIX socket, knowing the EICAR test file by its hash."""
    folder = Path(tempfile.mkdtemp(prefix="postwarden-clamd-"))
    virus = documents.eicar()
    database = folder / "db"
    database.mkdir()
    digest = hashlib.md5(virus).hexdigest()
    (database / "test.hdb").write_text(f"{digest}:{len(virus)}:{SIGNATURE}\n")
    socket = folder / "clamd.sock"
    config = folder / "clamd.conf"
    config.write_text(
        f"LocalSocket {socket}\nDatabaseDirectory {database}\nForeground yes\nTemporaryDirectory {folder}\n"
        "StreamMaxLength 60M\nMaxThreads 4\nExitOnOOM yes\n"
    )
    process = Process("clamd", [clamd_program, "--config-file", str(config)], folder / "clamd.log", guard)
    process.socket = socket
    process.start(socket.exists, within=30.0)
    yield process
    process.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def filtering(clamd, tmp_path_factory):
    """contentfilter with clamd; no Postfix is needed to see what it answers."""
    settings = {"contentfilter": {"clamd": {"address": f"unix:{clamd.socket}", "timeout": "10s"}}}
    with Gateway(tmp_path_factory.mktemp("clamd"), settings=settings) as gateway:
        gateway.start(
            Rewired(reinject_before=gateway.sink.port, reinject_after=gateway.sink.port), with_postfix=False
        )
        yield gateway


def send(gateway, mail):
    with Dialogue(gateway.ports.before, timeout=60.0) as dialogue:
        return dialogue.send("a@outside.example", ["eve@open.example"], mail)


def test_a_virus_is_refused_with_its_name_in_the_log(filtering, mark):
    outcome = send(filtering, samples.mail(mark, attachments=(samples.virus(),)))
    assert outcome.code == 554, outcome
    assert str(outcome.reply).startswith("554 5.7.1 ")
    assert SIGNATURE in filtering.contentfilter.log.read_text()
    assert not filtering.sink.find(mark.encode())


def test_clean_mail_passes(filtering, mark):
    mail = samples.mail(mark, attachments=(samples.clean_document(),))
    assert send(filtering, mail).code == 250
    (arrived,) = filtering.sink.wait_for(mark.encode())
    assert arrived.data.endswith(mail)


def test_a_virus_in_an_archive_in_a_mail_in_a_mail_is_found(filtering, mark):
    archive = documents.archive({"v.com": documents.eicar()})
    file = samples.Attachment("a.zip", "application/zip", archive)
    inner = samples.mail(f"{mark}-inner", attachments=(file,))
    head = f"Message-ID: <{mark}@x>\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n"
    assert send(filtering, head.encode() + inner).code == 554


def test_nothing_passes_while_clamd_is_dead(filtering, clamd, mark):
    clamd.kill()
    try:
        outcome = send(filtering, samples.mail(mark))
        assert outcome.code == 451, outcome
        assert not filtering.sink.find(mark.encode())
        # What another scanner refuses is refused without clamd too.
        refused = send(filtering, samples.mail(f"{mark}-macro", attachments=(samples.renamed_macros(),)))
        assert refused.code in (451, 554)
    finally:
        clamd.socket.unlink(missing_ok=True)
        clamd.start(clamd.socket.exists, within=30.0)
    assert send(filtering, samples.mail(f"{mark}-after")).code == 250
